package webhookrelay_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"hikyaku/internal/webhookrelay/admin"
	"hikyaku/internal/webhookrelay/relay"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// Field R4: what a member bears, and what a user has whom a person would call the
// same.
var spellings = map[string]struct{ by, bears, has string }{
	"capitals":                      {"email", "hanako@mail.example", "Hanako@mail.example"},
	"a blank behind":                {"email", "hanako@mail.example", "Hanako@mail.example "},
	"an ideographic blank behind":   {"field_1", "A-0001　", "A-0001"},
	"full-width characters":         {"field_2", "A0001", "Ａ０００１"},
	"a telephone number":            {"mobile", "090-1000-0001", "09010000001"},
	"one with its country":          {"mobile", "+81 90-1000-0001", "０９０１０００００01"},
	"what is no telephone number":   {"phone", "12-34", "1234"},
	"another's name in full width":  {"name", "ｲﾁﾛｳ", "イチロウ"},
	"a number that others might be": {"field_2", "ⅠⅡ", "III"},
}

func (r *rig) spelled(by, value string) int64 {
	r.t.Helper()
	user := r.person(fmt.Sprint("user", len(r.shop.UserIDs())))
	r.shop.Quiet().ChangeUser(user, map[string]any{"full_name": "新", by: value})
	return user
}

// identifyBy makes the field the identity, which the account's first user lacks.
func (r *rig) identifyBy(field, prefix string) {
	r.t.Helper()
	r.identity = tenant.Identity{By: field, Prefix: prefix}
	r.shop.Quiet().ChangeUser(r.shop.UserIDs()[0], map[string]any{field: ""})
}

func eachSpelling(t *testing.T, mode tenant.LinkMode, test func(t *testing.T, r *rig, by, has string)) {
	t.Helper()
	for name, c := range spellings {
		for _, lookup := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", with the look-up"}[lookup], func(t *testing.T) {
				inBubble(t, func(t *testing.T, r *rig) {
					r.guarded(mode)
					r.identifyBy(c.by, "p-")
					if lookup {
						r.crm.Lookup, r.quirks = true, `{"update":"partial","lookup":"unique_id"}`
					}
					r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "p-" + c.bears, "column01": "本人", "column04": "S-1"}})
					r.reconcile()
					r.drop()
					test(t, r, c.by, c.has)
				})
			})
		}
	}
}

// In no mode does the relay make a second member for what a person would call the
// same, nor write the first one without a person's approval.
func TestSpellings_APersonDecides(t *testing.T) {
	for _, mode := range []tenant.LinkMode{tenant.Approve, tenant.Match, tenant.Always} {
		eachSpelling(t, mode, func(t *testing.T, r *rig, by, has string) {
			was := r.crm.Members()[0]
			user := r.spelled(by, has)
			r.relay(user, "new")
			r.wantOutcome("awaiting_approval")
			if report := r.reconcile(); report.AwaitingApproval != 1 || report.Missing+report.Differing != 0 {
				t.Fatalf("report = %+v, want one awaiting", report)
			}
			r.settles()
			r.wantUntouched(was)
			pairs := r.waiting()
			if len(pairs) != 1 || pairs[0].User != user || pairs[0].Member != was.ID || pairs[0].How != "folded" {
				t.Fatalf("pairs = %+v, want one in another spelling", pairs)
			}
			r.decide(user, true)
			r.work()
			r.wantOutcome("linked")
			r.settles()
			members := r.crm.Members()
			if len(members) != 1 || text(members[0], "column01") != "新" || text(members[0], "unique_id") != text(was, "unique_id") {
				t.Fatalf("members = %v, want the one, linked", members)
			}
		})
	}
}

// A rejected user gets a member of its own, and the first member stays as it was.
func TestSpellings_RejectedIsSomebodyElse(t *testing.T) {
	eachSpelling(t, tenant.Approve, func(t *testing.T, r *rig, by, has string) {
		was := r.crm.Members()[0]
		user := r.spelled(by, has)
		r.relay(user, "new")
		r.decide(user, false)
		r.outcomes()
		r.work()
		r.wantOutcome("awaiting_list") // perhaps there is a third
		r.settles()
		r.wantUntouched(was)
		if pairs := r.waiting(); len(pairs) != 0 {
			t.Fatalf("pairs = %+v, want none", pairs)
		}
		if members := r.crm.Members(); len(members) != 2 {
			t.Fatalf("%d members, want a second one\n%s", len(members), r.log)
		}
		r.wantField("p-"+strings.TrimSpace(has), "column01", "新") // as it was written, trimmed
		r.settles()
		if members := r.crm.Members(); len(members) != 2 {
			t.Fatalf("%d members, want two", len(members))
		}
	})
}

// In match, the fields of link_if may decide it.
func TestSpellings_Match(t *testing.T) {
	for _, by := range []string{"job", "reconcile"} {
		t.Run(by, func(t *testing.T) {
			eachSpelling(t, tenant.Match, func(t *testing.T, r *rig, field, has string) {
				user := r.spelled(field, has)
				r.shop.Quiet().ChangeUser(user, map[string]any{"super_field": "S-1"})
				if by == "job" {
					r.relay(user, "new")
				} else {
					r.reconcile()
					r.work()
				}
				r.wantOutcome("linked")
				if members := r.crm.Members(); len(members) != 1 || text(members[0], "column01") != "新" {
					t.Fatalf("members = %v, want the one, linked", members)
				}
			})
		})
	}
}

// If two users have aliases of one identity, the first gets the member. The other is
// pending approval, which cannot give both the same member.
func TestSpellings_OfTwoUsers(t *testing.T) {
	for _, mode := range []tenant.LinkMode{tenant.Approve, tenant.Match, tenant.Always} {
		t.Run(string(mode), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.guarded(mode)
				r.identifyBy("email", "")
				r.reconcile()
				r.drop()
				first, second := r.spelled("email", "Hanako@mail.example"), r.spelled("email", "hanako@mail.example")
				r.shop.Quiet().ChangeUser(first, map[string]any{"super_field": "S-1"})
				r.shop.Quiet().ChangeUser(second, map[string]any{"super_field": "S-1"})
				r.relay(first, "new")
				r.wantOutcome("created")
				r.relay(second, "new")
				if mode == tenant.Match { // what agrees is the first one's
					r.wantOutcome("duplicate_identity")
				} else {
					r.wantOutcome("awaiting_approval")
				}
				r.settles()
				made := r.member("Hanako@mail.example")
				pairs := r.waiting()
				if len(pairs) != 1 || pairs[0].User != second || pairs[0].Member != made.ID {
					t.Fatalf("pairs = %+v, want the second one's", pairs)
				}
				shown, err := r.links().Compare(context.Background(), second)
				if err != nil || shown.Owner != first {
					t.Fatalf("shown as user %d's, %v, want %d", shown.Owner, err, first)
				}
				if err := r.links().Decide(context.Background(), shown, true); !errors.Is(err, admin.ErrLinked) {
					t.Fatalf("approved: %v, want a refusal", err)
				}
				r.decide(second, false)
				r.settles()
				r.wantUntouched(made)
				if r.member("hanako@mail.example"); len(r.crm.Members()) != 2 {
					t.Fatalf("members = %v, want one of each", r.crm.Members())
				}
			})
		})
	}
}

// If users sign up at once with all aliases of one identity, one gets a member.
func TestSpellings_AtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.guarded(tenant.Always)
		r.identifyBy("email", "")
		r.reconcile()
		r.drop()
		for _, has := range []string{"hanako@mail.example", "Hanako@mail.example", "HANAKO@mail.example", "hanako@MAIL.example "} {
			r.send(r.spelled("email", has), "new")
		}
		r.crm.SetFaults(sandbox.Faults{Latency: time.Second})
		var workers sync.WaitGroup
		for range 4 {
			stack := r.stack()
			batch := r.queue.receive(1)
			workers.Go(func() { r.queue.settle(batch, relay.New(stack, r.dead, r.queue).Work(context.Background(), batch)) })
		}
		workers.Wait()
		r.crm.SetFaults(sandbox.Faults{})
		r.settles()
		if members := r.crm.Members(); len(members) != 1 || len(r.waiting()) != 3 {
			t.Fatalf("%d members and %d pairs, want 1 and 3\n%s", len(members), len(r.waiting()), r.log)
		}
	})
}

// A user who changes the alias while it is not known whether a member was made
// keeps that member.
func TestSpellings_ChangedInDoubt(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.guarded(tenant.Approve)
		r.identifyBy("email", "")
		r.reconcile()
		r.drop()
		user := r.spelled("email", "Hanako@mail.example")
		r.crm.Inject(sandbox.Fault{Kind: sandbox.Lost, Route: "POST /api/ext/users"})
		r.relay(user, "new")
		r.wantOutcome("unresolved")
		r.shop.Quiet().ChangeUser(user, map[string]any{"email": "hanako@mail.example", "full_name": "花子 改"})
		r.settles()
		if len(r.waiting()) != 0 || len(r.crm.Members()) != 1 {
			t.Fatalf("members = %v, pairs = %v, want one and none\n%s", r.crm.Members(), r.waiting(), r.log)
		}
		r.wantField("Hanako@mail.example", "column01", "花子 改")
	})
}

// Under other rules than those that the identities are named by, nobody is created
// before a complete list has named them again.
func TestSpellings_OtherRules(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.guarded(tenant.Always)
		r.identifyBy("mobile", "")
		r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "+852 2123 4567", "column01": "本人"}})
		r.reconcile()
		r.drop()
		user := r.spelled("mobile", "2123 4567")
		r.mapping = strings.Replace(linkMapping, "region: JP", "region: HK", 1)
		if r.mapping == linkMapping {
			t.Fatal("the mapping has no region")
		}
		r.relay(user, "new")
		r.wantOutcome("awaiting_list")
		r.settles()
		if pairs := r.waiting(); len(pairs) != 1 || len(r.crm.Members()) != 1 {
			t.Fatalf("pairs = %v, members = %v, want one each", pairs, r.crm.Members())
		}
	})
}

// What a person has decided holds whatever the rules are that identities are named by.
func TestSpellings_DecisionsOutliveOtherRules(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.guarded(tenant.Match)
		r.identifyBy("mobile", "")
		r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "090-1000-0001", "column01": "本人", "column04": "S-1"}})
		r.reconcile()
		r.drop()
		user := r.spelled("mobile", "090-1000-0001")
		r.relay(user, "new")
		r.wantOutcome("awaiting_approval")
		r.decide(user, false)
		r.shop.Quiet().ChangeUser(user, map[string]any{"super_field": "S-1"}) // link_if would agree now
		r.mapping = strings.Replace(linkMapping, "region: JP", "region: HK", 1)
		was := r.crm.Members()[0]
		r.settles()
		r.relay(user, "change")
		r.wantOutcome("link_rejected")
		r.wantUntouched(was)
		if len(r.waiting()) != 0 || len(r.crm.Members()) != 1 {
			t.Fatalf("pairs = %v, members = %v, want none and one", r.waiting(), r.crm.Members())
		}
	})
}

// A decision that is void is not sent to the relay again and again.
func TestLinks_AVoidDecisionIsSentOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		_, user := attack(r, tenant.Approve)
		r.relay(user, "new")
		r.outcomes()
		shown, err := r.links().Compare(context.Background(), user)
		if err != nil {
			t.Fatal(err)
		}
		r.shop.Quiet().ChangeUser(user, map[string]any{"full_name": "別人 改"})
		if err := r.links().Decide(context.Background(), shown, true); err != nil {
			t.Fatal(err)
		}
		r.work()
		r.wantOutcome("awaiting_approval")
		if report := r.reconcile(); report.AwaitingApproval != 1 || r.queue.len() != 0 {
			t.Fatalf("report = %+v, %d sent", report, r.queue.len())
		}
	})
}
