package webhookrelay_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/webhookrelay/queue"
	"hikyaku/internal/webhookrelay/relay"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// numbered is a user of an identity that is a field.
func (r *rig) numbered(name, number string) int64 {
	r.t.Helper()
	user := r.person(name)
	r.shop.Quiet().ChangeUser(user, map[string]any{"field_2": number})
	return user
}

// forget removes what the relay stored under keys that hold a text.
func (r *rig) forget(part string) {
	r.t.Helper()
	for key := range keysOf(r) {
		if strings.Contains(key, part) {
			if err := r.objects.Delete(context.Background(), key); err != nil {
				r.t.Fatal(err)
			}
		}
	}
}

// mends lets the relay and the reconciles that it asks for go on.
func (r *rig) mends() {
	r.t.Helper()
	for range 12 {
		time.Sleep(time.Hour + time.Minute)
		r.work()
		if r.queue.len() == 0 {
			return
		}
		r.reconciles(true)
	}
	r.t.Fatalf("the queue does not empty\n%s", r.log)
}

// claimed is one who claimed C-1 and certainly created nothing.
func claimed(t *testing.T, r *rig) int64 {
	t.Helper()
	r.identity = tenant.Identity{By: "field_2"}
	owner := r.numbered("戌", "C-1")
	r.reconcile()
	r.drop()
	r.crm.Inject(sandbox.Fault{Kind: sandbox.TooMany, Route: "POST /api/ext/users"})
	r.relay(owner, "new")
	r.wantOutcome("rate_limited")
	r.drop()
	return owner
}

func TestIdentity_IsTakenOverFromOneWhoCreatedNothing(t *testing.T) {
	for name, leave := range map[string]func(r *rig, owner int64){
		"corrected": func(r *rig, owner int64) { r.shop.ChangeUser(owner, map[string]any{"field_2": "C-2"}) },
		"gone":      func(r *rig, owner int64) { r.shop.DeleteUser(owner) },
	} {
		for _, told := range []bool{true, false} {
			for _, made := range []bool{true, false} {
				t.Run(name, func(t *testing.T) {
					inBubble(t, func(t *testing.T, r *rig) {
						leave(r, claimed(t, r))
						other := r.numbered("亥", "C-1")
						if made { // by a person, after the claim: no identity object tells of it
							r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "C-1"}})
						}
						if told {
							r.relay(other, "new")
							r.wantOutcome("unresolved")
						} else {
							r.reconcile()
						}
						r.mends()
						r.wantField("C-1", "column01", "亥")
						r.reconcile() // the owner's other identity
						r.mends()
						if report := r.reconcile(); report.Sent != 0 || report.DuplicateIdentity != 0 {
							t.Fatalf("report = %+v, want nothing sent", report)
						}
					})
				})
			}
		}
	}
}

// One who asks for the identity keeps it, and so does one whose creation is in
// doubt, whatever the shop says of them now.
func TestIdentity_IsNotTakenOverFromItsOwner(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		owner := claimed(t, r)
		other := r.numbered("亥", "C-1")
		r.relay(other, "new")
		r.wantOutcome("duplicate_identity")
		r.crm.Inject(sandbox.Fault{Kind: sandbox.Lost, Route: "POST /api/ext/users"})
		time.Sleep(time.Minute)
		r.relay(owner, "change")
		r.wantOutcome("unresolved")
		r.shop.ChangeUser(owner, map[string]any{"field_2": "C-2"})
		r.relay(other, "change")
		r.wantOutcome("duplicate_identity")
		r.mends()
		r.wantField("C-1", "column01", "戌")
		r.outcomes()
		r.relay(other, "change")
		r.wantOutcome("duplicate_identity")
	})
}

// Of several without a member, it belongs to the user that holds the claim,
// whichever was there first.
func TestIdentity_IsCreatedForWhoHoldsTheClaim(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.identity = tenant.Identity{By: "field_2"}
		first := r.person("申")
		owner := claimed(t, r)
		r.shop.DeleteUser(owner)
		r.relay(owner, "delete")
		r.wantOutcome("gone_unlinked")
		r.shop.Quiet().ChangeUser(first, map[string]any{"field_2": "C-1"})
		r.shop.Quiet().RestoreUser(owner)
		r.reconcile()
		r.mends()
		r.wantField("C-1", "column01", "戌")
		if report := r.reconcile(); report.Sent != 0 || report.DuplicateIdentity != 1 {
			t.Fatalf("report = %+v, want nothing sent and a duplicate", report)
		}
	})
}

// The owner who confirms its claim, and one who takes it over having read what
// went before, do not both create.
func TestIdentity_OfTwoClaimsOneIsGranted(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		owner := claimed(t, r)
		other := r.numbered("亥", "C-1")
		r.shop.ChangeUser(owner, map[string]any{"field_2": "C-2"})
		time.Sleep(time.Minute)
		once := false
		r.transport = roundTripper(func(q *http.Request) (*http.Response, error) {
			answer, err := both{r.shop, r.crm}.RoundTrip(q)
			if strings.HasSuffix(q.URL.Path, "/api/users/"+unique(owner)[3:]+".json") && !once {
				once = true // the other has read document, row and owner: now it gets its identity back, and creates
				r.shop.Quiet().ChangeUser(owner, map[string]any{"field_2": "C-1"})
				m := queue.Message{User: owner, Event: "change", At: time.Now()}
				relay.New(r.stack(), r.dead, r.queue).Work(context.Background(), []queue.Delivery{{ID: "x", Receipt: "x", Receives: 1, Body: m.Envelope("x").Body}})
			}
			return answer, err
		})
		r.relay(other, "new")
		if got := r.outcomes(); got["created"] != 1 || got["unresolved"] != 1 {
			t.Fatalf("outcomes = %v, want the owner's member created and the other in doubt\n%s", got, r.log)
		}
		r.mends()
		r.wantField("C-1", "column01", "戌")
	})
}

// Without rows, a member that the relay made is found again by a list.
func TestIdentity_SurvivesLostRows(t *testing.T) {
	for _, failing := range []bool{false, true} {
		inSub(t, func(t *testing.T, r *rig) {
			user := r.linked("一郎")
			r.forget("/rows/")
			if failing { // between the row and the claim
				r.shop.Inject(sandbox.Fault{Kind: sandbox.ServerFail, Route: "GET /api/users/{key}", After: 1})
				r.relay(user, "change")
				r.wantOutcome("temporary")
			}
			r.relay(user, "change")
			r.mends()
			r.wantField(unique(user), "column01", "一郎")
		})
	}
}

func inSub(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	t.Run("", func(t *testing.T) { inBubble(t, test) })
}

// A member who bears another identity now is not the one's who has the old.
func TestIdentity_LinksOnlyWhoStillBearsIt(t *testing.T) {
	for name, change := range map[string]func(r *rig, m yapplitest.Member){
		"renamed": func(r *rig, m yapplitest.Member) { m.Values["unique_id"] = "Z"; r.crm.Put(m) },
		"removed": func(r *rig, m yapplitest.Member) { r.crm.MissingStatus = http.StatusNotFound; r.crm.Delete(m.ID) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.identity = tenant.Identity{By: "field_2"}
				id := r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "X", "column01": "古"}})
				r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "other"}})
				r.reconcile()
				m, _ := r.crm.Find(id)
				change(r, m)
				r.relay(r.numbered("新", "X"), "new")
				r.wantOutcome("unresolved")
				r.mends()
				r.wantField("X", "column01", "新")
				if m, ok := r.crm.Find(id); ok && m.Values["column01"] != "古" {
					t.Fatal("a member who bears another identity was written")
				}
			})
		})
	}
}

// A member who is linked stays one user's, whatever identity Yappli shows now.
func TestIdentity_OfALinkedMemberIsItsUsers(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.identity = tenant.Identity{By: "field_2"}
		r.reconcile()
		user := r.numbered("古参", "X")
		r.relay(user, "new")
		m := r.member("X")
		m.Values["unique_id"] = "Z"
		r.crm.Put(m)
		r.reconcile()
		r.outcomes()
		r.relay(r.numbered("新", "Z"), "new")
		r.wantOutcome("duplicate_identity")
		r.wantField("Z", "column01", "古参")
	})
}

// A row that is left with one identity and linked by another tells of that one.
func TestIdentity_OfALinkIsTheMembers(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		owner := claimed(t, r)
		r.shop.ChangeUser(owner, map[string]any{"field_2": "C-2"})
		r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "C-2"}})
		r.reconcile()
		r.mends()
		r.wantField("C-2", "column01", "戌")
		r.numbered("亥", "C-1")
		if report := r.reconcile(); report.IdentityChanged != 0 || report.Missing != 1 {
			t.Fatalf("report = %+v, want nobody's identity changed, and the other one missing", report)
		}
	})
}

// rowOf is a user's row.
func (r *rig) rowOf(user int64) (row map[string]any) {
	r.t.Helper()
	for key := range keysOf(r) {
		if strings.HasSuffix(key, "/rows/"+unique(user)[3:]) {
			d, err := objectstore.ReadDocument(context.Background(), r.objects, key)
			if err != nil || json.Unmarshal(d.Data, &row) != nil {
				r.t.Fatalf("%s: %v", key, err)
			}
		}
	}
	return row
}

// That no member bears one identity says nothing of another.
func TestIdentity_AbsenceIsOfOne(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.identity = tenant.Identity{By: "field_2"}
		user := r.numbered("六郎", "X")
		r.reconcile()
		r.drop()
		r.crm.Inject(sandbox.Fault{Kind: sandbox.Dropped, Route: "POST /api/ext/users"})
		r.relay(user, "new")
		r.drop()
		time.Sleep(10 * time.Minute)
		if report := r.reconcile(); report.Absent != 1 || r.rowOf(user)["absent"] != true {
			t.Fatalf("report = %+v, row %v, want it absent", report, r.rowOf(user))
		}
		r.drop()
		r.outcomes()
		r.shop.ChangeUser(user, map[string]any{"field_2": "Y"})
		r.crm.Duplicate = yapplitest.Refuse
		r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "Y"}})
		r.relay(user, "change")
		r.wantOutcome("unresolved") // not refused for good: a list may show whose it is
	})
}

func TestIdentity_KnowsItsFields(t *testing.T) {
	t.Parallel()
	for _, by := range tenant.IdentityFields() {
		if err := (tenant.Identity{By: by}).Validate(); err != nil {
			t.Error(err)
		}
	}
	if err := (tenant.Identity{By: "form"}).Validate(); err == nil {
		t.Error("identity form was accepted")
	}
}
