package webhookrelay_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// A dyingStore dies once an object under a folder has been written.
type dyingStore struct {
	objectstore.Store

	folder string
	dead   bool
}

func (s *dyingStore) Put(ctx context.Context, o objectstore.Object) (string, error) {
	if s.dead {
		return "", errLost
	}
	version, err := s.Store.Put(ctx, o)
	s.dead = strings.Contains(o.Key, s.folder)
	return version, err
}

// A rejection stays when another pair of the same user is decided.
func TestLinks_ARejectionOutlivesTheNext(t *testing.T) {
	for _, mode := range []tenant.LinkMode{tenant.Approve, tenant.Match} {
		t.Run(string(mode), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				victim, a := attack(r, mode)
				r.byHand("V-2", "第二")
				r.reconcile()
				r.drop()
				r.relay(a, "new") // super_field empty: pair
				r.decide(a, false)
				r.shop.Quiet().ChangeUser(a, map[string]any{"super_field": "S-1"}) // the link_if value agrees, but a person said no
				r.drop()
				r.outcomes()
				r.relay(a, "change")
				r.wantOutcome("link_rejected")
				r.shop.Quiet().ChangeUser(a, map[string]any{"field_2": "V-2"})
				r.relay(a, "change")
				r.wantOutcome("awaiting_approval")
				r.decide(a, false)
				r.drop()
				r.shop.Quiet().ChangeUser(a, map[string]any{"field_2": "V-1"})
				r.relay(a, "change")
				r.wantUntouched(victim)
				if len(r.waiting()) != 0 {
					t.Fatal("proposed again")
				}
			})
		})
	}
}

// A job dies between the identity and the row; the person then rejects.
func TestLinks_ARejectionOutweighsHalfALink(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		victim, a := attack(r, tenant.Approve)
		r.relay(a, "new")
		r.decide(a, true)
		store := r.objects
		r.objects = &dyingStore{Store: store, folder: "/identities/"}
		r.work()
		r.objects = store
		r.wantUntouched(victim)
		r.decide(a, false)
		r.drop()
		time.Sleep(time.Hour)
		r.settles()
		r.wantUntouched(victim)
	})
}

// A creation of which nothing is shown makes nobody the relay's own.
func TestLinks_NothingShownProvesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.guarded(tenant.Approve)
		r.mapping = "options: {zone: Asia/Tokyo, region: JP}\ncolumn02: e164(phone)\ncolumn03: e164(mobile)\n"
		r.reconcile()
		r.drop()
		r.crm.Inject(sandbox.Fault{Kind: sandbox.Dropped, Route: "POST /api/ext/users"})
		a := r.numbered("新人", "N-1")
		r.shop.Quiet().ChangeUser(a, map[string]any{"phone": "unreadable", "mobile": "unreadable"})
		r.relay(a, "new")
		r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "N-1", "column01": "本人", "column02": "+819012345678", "enabled": "1"}})
		was := r.member("N-1")
		r.shop.Quiet().ChangeUser(a, map[string]any{"phone": "09087654321"})
		time.Sleep(time.Hour)
		r.settles()
		r.wantUntouched(was)
	})
}

// A reconcile that read the decisions before keeps the note that one is void.
func TestLinks_AVoidDecisionStaysListed(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		_, a := attack(r, tenant.Approve)
		r.relay(a, "new")
		r.drop()
		r.reconcileWhile(func() {
			tr := r.transport
			r.transport = nil
			r.decide(a, true)
			r.shop.Quiet().ChangeUser(a, map[string]any{"address": "別所"})
			r.relay(a, "change")
			r.transport = tr
		})
		r.transport = nil
		r.drop()
		if len(r.waiting()) != 1 {
			t.Fatalf("a void decision, and nobody waits")
		}
	})
}

// What an earlier creation sent, which had no effect, says nothing of a later one.
func TestLinks_AnEarlierCreationProvesNothing(t *testing.T) {
	for name, kind := range map[string]string{"429": "rate", "400 after absent": "absent"} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.guarded(tenant.Approve)
				r.reconcile()
				r.drop()
				a := r.numbered("新人", "N-1")
				same := map[string]string{"unique_id": "N-1", "login_id": "新人@mail.example", "column01": "新人", "column02": "+819010000000", "enabled": "1"}
				if kind == "rate" {
					r.crm.Inject(sandbox.Fault{Kind: "429", Route: "POST /api/ext/users"})
					r.relay(a, "new")
					r.crm.Put(yapplitest.Member{Values: same})
				} else {
					r.crm.Inject(sandbox.Fault{Kind: sandbox.Dropped, Route: "POST /api/ext/users"})
					r.relay(a, "new")
					time.Sleep(time.Hour)
					r.reconcile() // absent
					r.crm.Duplicate = yapplitest.Refuse
					r.crm.Put(yapplitest.Member{Values: same})
					r.work()
				}
				was := r.member("N-1")
				r.drop()
				time.Sleep(time.Hour)
				store := r.objects
				r.objects = &dyingStore{Store: store, folder: "/rows/"}
				r.relay(a, "change")
				r.objects = store
				r.shop.Quiet().ChangeUser(a, map[string]any{"full_name": "新人 改"})
				time.Sleep(time.Hour)
				r.settles()
				r.wantUntouched(was)
			})
		})
	}
}

// A member that staff gave another number is not linked a second time.
func TestLinks_AMemberIsOneUsers(t *testing.T) {
	for _, lookup := range []bool{false, true} {
		t.Run(strconv.FormatBool(lookup), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.guarded(tenant.Match)
				if lookup {
					r.crm.Lookup, r.quirks = true, `{"update":"partial","lookup":"unique_id"}`
				}
				r.reconcile()
				r.drop()
				owner := r.numbered("持主", "N-1")
				r.shop.Quiet().ChangeUser(owner, map[string]any{"super_field": "F-1"})
				r.relay(owner, "new")
				r.wantOutcome("created")
				r.reconcile()
				r.reconcile()
				m := r.member("N-1")
				m.Values["unique_id"] = "N-2"
				r.crm.Put(m) // staff corrects the number
				other := r.numbered("家族", "N-2")
				r.shop.Quiet().ChangeUser(other, map[string]any{"super_field": "F-1"})
				r.relay(other, "new")
				r.settles()
				if r.rowOf(owner)["member"] == r.rowOf(other)["member"] {
					t.Errorf("two users hold one member (lookup %v)", lookup)
				}
			})
		})
	}
}

// A user who typed an identity first, and was rejected, does not keep its owner out.
func TestLinks_WhoTypedItFirstKeepsNobodyOut(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.guarded(tenant.Match)
		r.crm.Duplicate = yapplitest.Refuse
		r.reconcile()
		r.drop()
		r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "V-1", "login_id": "victim@mail.example", "column01": "本人", "column04": "S-1"}})
		a := r.numbered("別人", "V-1")
		r.relay(a, "new")
		time.Sleep(time.Hour)
		r.settles()
		r.decide(a, false)
		r.settles()
		b := r.numbered("本人", "V-1")
		r.shop.Quiet().ChangeUser(b, map[string]any{"super_field": "S-1"}) // link_if agrees
		r.relay(b, "new")
		for range 3 {
			r.settles()
		}
		r.relay(b, "change")
		if r.rowOf(b)["member"] == nil {
			t.Error("the rightful user is kept out")
		}
	})
}

// A link_if field of which only constants are left agrees with nobody.
func TestLinks_AnEmptyFieldAgreesWithNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.guarded(tenant.Match)
		r.mapping = testMapping + "column04: '\"S-\" + super_field'\nlink_if: [column04]\n"
		victim := yapplitest.Member{Values: map[string]string{"unique_id": "V-1", "column01": "本人", "column04": "S-"}}
		r.crm.Put(victim)
		victim = r.member("V-1")
		a := r.numbered("別人", "V-1")
		r.shop.Quiet().ChangeUser(a, map[string]any{"super_field": ""})
		r.reconcile()
		r.drop()
		r.outcomes()
		r.relay(a, "new")
		r.wantOutcome("awaiting_approval")
		r.wantUntouched(victim)
	})
}
