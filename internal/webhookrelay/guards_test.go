package webhookrelay_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/webhookrelay/queue"
	"hikyaku/internal/webhookrelay/relay"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// What the relay asks for while a run lists is not answered by that run.
func TestReconcile_LeavesAWishOfLater(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		user := r.person("後から")
		r.reconcileWhile(func() { r.relay(user, "new") }) // waits for the index
		if r.outcomes()["awaiting_list"] != 1 || r.reconciles(true) == nil {
			t.Fatal("the wish is gone, though it was made after the run had begun")
		}
	})
}

// If others make members of an identity, too, only a list shows the other aliases: a
// look-up finds one.
func TestRelay_CreatesAtOnceWhatNoListCouldShow(t *testing.T) {
	for by, want := range map[string]string{"id": "created", "field_2": "awaiting_list"} {
		t.Run(by, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.identity.By, r.crm.Lookup, r.quirks = by, true, `{"update":"partial","lookup":"unique_id"}`
				r.settings.CreateAfterList = true
				r.reconcile()
				r.drop()
				time.Sleep(time.Minute)
				r.relay(r.numbered("新", "7"), "new")
				r.wantOutcome(want)
			})
		})
	}
}

// A moving source changes the account or address of its token.
type movingSource struct {
	providers.TokenSource

	account string
}

func (s *movingSource) Token(ctx context.Context) (providers.Token, error) {
	token, err := s.TokenSource.Token(ctx)
	if s.account != "" {
		token.Account = s.account
	}
	return token, err
}

// A stack whose account is exchanged under it does nothing more, and holds
// that against no provider.
func TestRelay_LeavesAnotherAccountAlone(t *testing.T) {
	for name, of := range map[string]func(c *tenant.Config) *providers.TokenSource{
		"SuperSaaS": func(c *tenant.Config) *providers.TokenSource { return &c.SuperSaaS },
		"Yappli":    func(c *tenant.Config) *providers.TokenSource { return &c.Yappli },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				user := r.linked("卯")
				r.shop.ChangeUser(user, map[string]any{"full_name": "卯 改"})
				c := r.config()
				source := &movingSource{TokenSource: *of(&c)}
				*of(&c) = source
				stack, err := tenant.Open(context.Background(), c)
				if err != nil {
					t.Fatal(err)
				}
				source.account = "another"
				writes := r.crm.Count("PUT /api/ext/users/{id}")
				body := queue.Message{User: user, At: time.Now()}.Envelope("").Body
				for range 7 { // more than open a breaker
					if left := relay.New(stack, r.dead, r.queue).Work(context.Background(), []queue.Delivery{{ID: "1", Receipt: "1", Body: body}}); len(left) != 1 {
						t.Fatalf("unfinished = %v, want 1", left)
					}
				}
				if got := r.outcomes(); got["temporary"] != 7 || r.crm.Count("PUT /api/ext/users/{id}") != writes {
					t.Fatalf("outcomes = %v, %d writes, want none", got, r.crm.Count("PUT /api/ext/users/{id}")-writes)
				}
				if held := max(c.Limiters.SuperSaaS.Held(), c.Limiters.Yappli.Held()); held != 0 {
					t.Fatalf("held back for %v", held)
				}
			})
		})
	}
}

// A linked member that Yappli has no more is given up, and not made again.
func TestRelay_GivesUpAMemberWhoIsMissing(t *testing.T) {
	for name, change := range map[string]func(r *rig, user int64){
		"change": func(r *rig, user int64) { r.shop.ChangeUser(user, map[string]any{"full_name": "別"}) },
		"delete": func(r *rig, user int64) { r.shop.DeleteUser(user) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				user := r.linked("迷子")
				r.crm.MissingStatus = http.StatusNotFound
				r.crm.Delete(r.member(unique(user)).ID)
				change(r, user)
				for n := 1; n <= 2; n++ { // at once again: the row was given back
					r.relay(user, name)
					r.wantOutcome("member_missing")
					if letters := r.dead.bodies(); len(letters) != n || letters[n-1].Class != "member_missing" {
						t.Fatalf("dead letters = %+v, want %d of class member_missing", letters, n)
					}
				}
				if n := len(r.crm.FindUnique(unique(user))); n != 0 {
					t.Fatalf("%d members, want none", n)
				}
			})
		})
	}
}

// A user who goes and comes with every read waits, and is not written.
func TestRelay_LeavesTheRestlessForLater(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		user := r.linked("辰")
		writes, gone := r.crm.Count("PUT /api/ext/users/{id}"), false
		r.transport = roundTripper(func(q *http.Request) (*http.Response, error) {
			if strings.HasPrefix(q.URL.Path, "/api/users/") {
				if gone = !gone; gone {
					r.shop.Quiet().DeleteUser(user)
				} else {
					r.shop.Quiet().RestoreUser(user)
				}
			}
			return both{r.shop, r.crm}.RoundTrip(q)
		})
		r.send(user, "change")
		if left := r.work(); left != 1 || r.crm.Count("PUT /api/ext/users/{id}") != writes {
			t.Fatalf("%d unfinished, %d writes, want 1 and none", left, r.crm.Count("PUT /api/ext/users/{id}")-writes)
		}
		r.wantOutcome("restless")
	})
}

// An empty list is not believed where members are known: by the list before,
// or by a row.
func TestReconcile_DistrustsAnEmptyList(t *testing.T) {
	for name, known := range map[string]func(r *rig){
		"a list": func(r *rig) {
			r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "other"}})
			r.reconcile()
		},
		"a row": func(r *rig) {
			r.linked("壬")
			r.forget("/index")
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				known(r)
				r.drop()
				r.crm.Skip = func(string) bool { return true }
				r.person("新")
				if report := r.reconcile(); report.Missing != 0 || report.Sent != 0 || report.Members != 0 {
					t.Fatalf("report = %+v, want nobody missing", report)
				}
			})
		})
	}
}
