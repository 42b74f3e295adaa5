package proverelay

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"hikyaku/internal/prove"
)

// signedUp is what came of sign-ups in a tenant with many members.
type signedUp struct {
	members, users, existing, pairs int

	most    int // requests to Yappli for one of them
	doubled int // identities with more than one member
	missing int // identities without one
	linked  int // members that existed and now show their user's name
}

// signUp lets so many users sign up whose identity is the number that the shop
// gave them: every other one is a member already, and one in ten shares it with
// the one before. The tenant has no look-up.
func signUp(t *testing.T, members, users int, aws func(http.RoundTripper) http.RoundTripper) (s signedUp) {
	t.Helper()
	s = signedUp{members: members, users: users}
	o := options{users: 10, members: members, unlimited: true, workers: workers, aws: aws, vars: map[string]string{"HIKYAKU_IDENTITY": "field_2", "HIKYAKU_IDENTITY_PREFIX": ""}}
	inBubble(t, o, func(r *rig) {
		r.reconcile()
		r.poll()
		r.drained(day)
		before := len(r.crm.Calls())
		identity, existed := "", map[string]bool{}
		for i := range users {
			switch old := i%2 == 0; {
			case i%20 == 19 || i%20 == 10:
				s.pairs++ // with the one before: once a member, once a new one
			case old:
				identity = fmt.Sprintf("shop-%07d", 1+i*members/users)
				existed[identity] = true
			default:
				identity = fmt.Sprintf("new-%07d", i)
				existed[identity] = false
			}
			name := fmt.Sprintf("signup%05d@mail.example", i)
			r.shop.AddUser(map[string]any{"name": name, "email": name, "full_name": "入会", "field_2": identity})
		}
		r.drained(day)
		requests, created := map[string]int{}, 0
		for _, c := range r.crm.Calls()[before:] {
			if requests[c.Path]++; c.Route == "POST /api/ext/users" {
				created++
			}
		}
		delete(requests, "/api/ext/users")
		for _, n := range requests {
			s.most = max(s.most, n)
		}
		if created > 0 {
			s.most = max(s.most, 1)
		}
		found := r.members()
		for identity, old := range existed {
			switch mine := found[identity]; {
			case len(mine) == 0:
				s.missing++
			case len(mine) > 1:
				s.doubled++
			case old:
				s.existing++
				if mine[0].Values["column01"] == "入会" {
					s.linked++
				}
			}
		}
		if distinct := len(existed) - s.existing; s.doubled == 0 && created != distinct {
			s.most = created // some were created in more than one request
		}
	})
	return s
}

func TestSignUp(t *testing.T) {
	t.Parallel()
	s := signUp(t, prove.Size(100_000, 2000), prove.Size(1000, 50), nil)
	prove.Figure(t, s.most > 0 && s.most <= 3, fmt.Sprintf("%d sign-ups among %d members, without the look-up", s.users, s.members), "at most 3 requests to Yappli each", "at most %d", s.most)
	prove.Figure(t, s.doubled == 0 && s.missing == 0 && s.linked == s.existing && s.existing > 0 && s.pairs > 0, "members after these", "those that existed are linked, nobody doubled",
		"%d of %d linked, %d doubled, %d missing; %d pairs with one identity", s.linked, s.existing, s.doubled, s.missing, s.pairs)
}

// Without the identities that reconcile keeps, people are doubled.
func TestSignUp_WithoutIdentities(t *testing.T) {
	t.Parallel()
	s := signUp(t, 200, 40, func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(q *http.Request) (*http.Response, error) {
			if strings.Contains(q.URL.Path, "/identities/") {
				if q.Method == http.MethodGet {
					return answer(http.StatusNotFound, `<Error><Code>NoSuchKey</Code></Error>`), nil
				}
				q.Header.Del("If-None-Match")
				q.Header.Del("If-Match")
			}
			return next.RoundTrip(q)
		})
	})
	prove.Figure(t, s.doubled > 0, "guard removed: nothing is known of members' identities", "must double people", "%d doubled", s.doubled)
}
