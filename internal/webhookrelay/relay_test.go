package webhookrelay_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/internal/webhookrelay/queue"
	"hikyaku/internal/webhookrelay/relay"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// inBubble runs a test in virtual time, on a rig with one user to stand by:
// an account without any user proves nothing.
func inBubble(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Parallel()
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.person("keeper")
		test(t, r)
	})
}

// person adds a user of a name.
func (r *rig) person(name string) int64 {
	r.t.Helper()
	mail := strings.ReplaceAll(name, " ", "") + "@mail.example"
	user := r.shop.AddUser(map[string]any{"name": mail, "email": mail, "full_name": name, "mobile": "090-1000-0000"})
	if user == 0 {
		r.t.Fatalf("user %q not added", name)
	}
	return user
}

// relay sends one event and works it off.
func (r *rig) relay(user int64, event string) {
	r.t.Helper()
	r.send(user, event)
	r.work()
}

// linked returns a user whose member the relay made.
func (r *rig) linked(name string) int64 {
	r.t.Helper()
	user := r.person(name)
	r.reconcile()
	r.drop()
	r.relay(user, "new")
	r.wantOutcome("created")
	return user
}

// drop forgets what is in the queue.
func (r *rig) drop() {
	r.queue.mu.Lock()
	defer r.queue.mu.Unlock()
	r.queue.messages = nil
}

func TestRelay_FollowsOneUserThroughLife(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		user := r.person("山田 花子")
		r.relay(user, "new")
		r.wantOutcome("awaiting_list")
		if n := len(r.crm.Members()); n != 0 {
			t.Fatalf("%d members before the first reconcile, want none", n)
		}
		if got := r.reconcile(); got.Missing != 2 || got.Sent != 2 {
			t.Fatalf("report = %+v, want both users missing and sent", got)
		}
		time.Sleep(time.Hour)
		r.work()
		if got := r.outcomes(); got["created"] != 2 {
			t.Fatalf("outcomes = %v, want 2 created", got)
		}
		r.wantField(unique(user), "column01", "山田 花子")
		r.wantField(unique(user), "column02", "+819010000000")
		r.wantField(unique(user), "enabled", "1")
		writes := r.crm.Count("PUT /api/ext/users/{id}")

		r.relay(user, "change")
		r.wantOutcome("unchanged")
		r.shop.ChangeUser(user, map[string]any{"full_name": "佐藤 花子"})
		r.relay(user, "change")
		r.wantOutcome("updated")
		r.wantField(unique(user), "column01", "佐藤 花子")
		if n := r.crm.Count("PUT /api/ext/users/{id}") - writes; n != 1 {
			t.Fatalf("%d updates, want 1: a no-op writes nothing", n)
		}

		r.shop.DeleteUser(user)
		r.relay(user, "delete")
		r.wantOutcome("disabled")
		r.wantField(unique(user), "enabled", "0")
		r.relay(user, "change")
		r.wantOutcome("unchanged")

		r.shop.RestoreUser(user)
		r.relay(user, "change")
		r.wantOutcome("restored")
		r.wantField(unique(user), "enabled", "1")
		if n := r.metrics.get("RelayLag"); n < 0 {
			t.Fatalf("lag = %v, want none below 0", n)
		}
	})
}

func TestRelay_ForceWritesWhatSeemsUnchanged(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		user := r.linked("一郎")
		m := r.member(unique(user))
		m.Values["column01"] = "drifted"
		r.crm.Put(m)
		r.relay(user, "change")
		r.wantOutcome("unchanged")
		force := queue.Message{User: user, Event: "reconcile", Force: true, At: time.Now()}
		if err := r.queue.Send(context.Background(), force.Envelope("f")); err != nil {
			t.Fatal(err)
		}
		r.work()
		r.wantOutcome("updated")
		r.wantField(unique(user), "column01", "一郎")
	})
}

func TestRelay_LeavesAnOperatorsZero(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		user := r.linked("二郎")
		m := r.member(unique(user))
		m.Values["enabled"] = "0"
		r.crm.Put(m)
		r.shop.ChangeUser(user, map[string]any{"full_name": "二郎 改"})
		r.relay(user, "change")
		r.wantOutcome("updated")
		r.wantField(unique(user), "enabled", "0")
		r.shop.DeleteUser(user)
		r.relay(user, "delete")
		r.wantOutcome("already_disabled")
		r.shop.RestoreUser(user)
		r.relay(user, "change")
		r.wantOutcome("updated")
		r.wantField(unique(user), "enabled", "0")
	})
}

func TestRelay_WritesNoNullOrDuplicateIdentity(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.identity = tenant.Identity{By: "field_2"}
		none, first, second := r.person("無"), r.person("先"), r.person("後")
		for _, u := range []int64{first, second} {
			r.shop.ChangeUser(u, map[string]any{"field_2": "A-100"})
		}
		report := r.reconcile()
		if report.NoIdentity != 2 || report.Missing != 1 || report.DuplicateIdentity != 1 || report.Sent != 2 {
			t.Fatalf("report = %+v, want 2 without identity, 1 missing and sent, 1 duplicate", report)
		}
		r.drop()
		r.relay(none, "change")
		r.wantOutcome("no_identity")
		r.relay(first, "change")
		r.wantOutcome("created")
		r.relay(second, "change")
		r.wantOutcome("duplicate_identity")
		for user, class := range map[int64]string{none: "no_identity", second: "duplicate_identity"} {
			if want := fmt.Sprintf(`level=WARN msg="user handled" user_id=%d outcome=%s`, user, class); !strings.Contains(r.log.String(), want) {
				t.Fatalf("the log lacks %s:\n%s", want, r.log)
			}
		}
		if written := fmt.Sprintf(`msg="user handled" user_id=%d outcome=created`, first); !strings.Contains(r.log.String(), "level=DEBUG "+written) {
			t.Fatalf("the log of an ordinary user is not DEBUG:\n%s", r.log)
		}
		r.wantField("A-100", "column01", "先")
		r.shop.ChangeUser(first, map[string]any{"field_2": "A-200", "full_name": "先 改"})
		r.relay(first, "change")
		r.wantOutcome("updated")
		r.wantField("A-100", "column01", "先 改")
		if got := r.metrics.get("IdentityChanged"); got != 1 {
			t.Fatalf("identity changes = %v, want 1", got)
		}
		r.relay(second, "change")
		r.wantOutcome("duplicate_identity")
		report = r.reconcile()
		if report.Sent != 0 || report.DuplicateIdentity != 1 || report.IdentityChanged != 1 {
			t.Fatalf("report = %+v, want nothing sent, 1 duplicate, 1 changed", report)
		}
	})
}

func TestRelay_LinksAMemberWhoExists(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		id := r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "later", "column01": "旧"}})
		r.identity = tenant.Identity{By: "field_2"}
		r.reconcile()
		user := r.person("三郎")
		r.shop.ChangeUser(user, map[string]any{"field_2": "later"})
		r.relay(user, "new")
		r.wantOutcome("linked")
		m, _ := r.crm.Find(id)
		if m.Values["column01"] != "三郎" || r.crm.Count("POST /api/ext/users") != 0 {
			t.Fatalf("member holds %q, %d creations; want the member linked", m.Values["column01"], r.crm.Count("POST /api/ext/users"))
		}
	})
}

func TestRelay_LooksUpWhereTheTenantCan(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.crm.Lookup, r.quirks = true, `{"update":"partial","lookup":"unique_id"}`
		r.reconcile()
		r.drop()
		user := r.person("四郎")
		id := r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": unique(user)}}) // unseen by any list
		r.relay(user, "new")
		r.wantOutcome("linked")
		m, _ := r.crm.Find(id)
		if m.Values["column01"] != "四郎" {
			t.Fatalf("member holds %q, want the look-up's member linked", m.Values["column01"])
		}
	})
}

// A creation whose answer was lost waits for a list; the list decides.
func TestRelay_UnknownCreationWaitsForAList(t *testing.T) {
	for name, fault := range map[string]struct {
		kind       sandbox.FaultKind
		wantMember int    // after the fault
		wantReason string // of the reconcile
	}{
		"took effect":    {sandbox.Lost, 1, "linked"},
		"had no effect":  {sandbox.Dropped, 0, "absent"},
		"server failure": {sandbox.ServerFail, 0, "absent"},
		"garbled answer": {sandbox.Garbage, 1, "linked"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				user := r.person("五郎")
				r.reconcile()
				r.drop()
				r.crm.Inject(sandbox.Fault{Kind: fault.kind, Route: "POST /api/ext/users"})
				r.relay(user, "new")
				r.wantOutcome("unresolved")
				if n := len(r.crm.FindUnique(unique(user))); n != fault.wantMember {
					t.Fatalf("%d members after the fault, want %d", n, fault.wantMember)
				}
				time.Sleep(90 * time.Second) // the row's hold
				r.work()
				if report := r.reconcile(); report.Unresolved != 1 {
					t.Fatalf("report = %+v: resolved by a list that may lag", report)
				}
				for range 12 { // until the message pauses for an hour each time
					time.Sleep(time.Hour)
					r.work()
				}
				r.reconcile()
				r.work() // at once, though the message that waits is not visible yet
				r.wantField(unique(user), "column01", "五郎")
				if n := r.crm.Count("POST /api/ext/users"); n != 3-fault.wantMember { // the keeper's, and the second try
					t.Fatalf("%d creations, want %d", n, 3-fault.wantMember)
				}
			})
		})
	}
}

func TestRelay_RefusedCreationIsTerminalOnceAbsenceIsProven(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		user := r.person("六郎")
		r.reconcile()
		r.drop()
		r.crm.Duplicate = yapplitest.Refuse
		id := r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": unique(user)}})
		r.crm.Skip = func(string) bool { return true } // no list ever shows the member
		r.relay(user, "new")
		r.wantOutcome("unresolved")
		time.Sleep(4 * time.Minute)
		if report := r.reconcile(); report.Absent != 1 {
			t.Fatalf("report = %+v, want one absent", report)
		}
		time.Sleep(time.Hour)
		r.work()
		got := r.outcomes()
		if got["refused"] != 1 || r.dead.len() == 0 {
			t.Fatalf("outcomes = %v with %d dead letters, want refused and buried\n%s", got, r.dead.len(), r.log)
		}
		letter := r.dead.bodies()[0]
		if letter.User != user || letter.Class != "refused" {
			t.Fatalf("dead letter = %+v, want the user and the class refused", letter)
		}
		if m, _ := r.crm.Find(id); m.Values["column01"] != "" {
			t.Fatal("a member that no list showed was written")
		}
	})
}

func TestRelay_CertainFailuresGiveTheRowBack(t *testing.T) {
	for name, c := range map[string]struct {
		fault sandbox.Fault
		class string
		after time.Duration
	}{
		"rate limited": {sandbox.Fault{Kind: sandbox.TooMany, RetryAfter: "20"}, "rate_limited", 20 * time.Second},
		"credential":   {sandbox.Fault{Kind: sandbox.Denied}, "credential", 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				user := r.person("七郎")
				r.reconcile()
				r.drop()
				c.fault.Route = "POST /api/ext/users"
				r.crm.Inject(c.fault)
				r.relay(user, "new")
				r.wantOutcome(c.class)
				time.Sleep(c.after)
				r.work()
				r.wantOutcome("created")
			})
		})
	}
}

func TestRelay_UnknownUpdateWaitsForItsHold(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		user := r.linked("八郎")
		r.shop.ChangeUser(user, map[string]any{"full_name": "八郎 改"})
		r.crm.Inject(sandbox.Fault{Kind: sandbox.Lost, Route: "PUT /api/ext/users/{id}"})
		r.relay(user, "change")
		r.wantOutcome("temporary")
		time.Sleep(90 * time.Second)
		if r.work(); len(r.outcomes()) != 0 {
			t.Fatal("another attempt began before the first one's hold ended")
		}
		time.Sleep(2 * time.Second)
		r.work()
		r.wantOutcome("updated")
		r.wantField(unique(user), "column01", "八郎 改")
	})
}

func TestRelay_SecondWorkerWaitsWhileARowIsInFlight(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		user := r.linked("九郎")
		r.shop.ChangeUser(user, map[string]any{"full_name": "九郎 改"})
		r.crm.Inject(sandbox.Fault{Kind: sandbox.Slow, Delay: 20 * time.Second, Route: "PUT /api/ext/users/{id}"})
		first := make(chan struct{})
		go func() {
			defer close(first)
			r.relay(user, "change")
		}()
		time.Sleep(5 * time.Second)
		m := queue.Message{User: user, Event: "change", At: time.Now()}
		left := relay.New(r.stack(), r.dead, r.queue).Work(context.Background(), []queue.Delivery{{ID: "x", Receipt: "x", Receives: 1, Body: m.Envelope("x").Body}})
		if got := r.outcomes(); len(left) != 1 || got["in_flight"] != 1 {
			t.Fatalf("second worker: %v, outcomes %v; want it to wait", left, got)
		}
		<-first
		r.wantOutcome("updated")
	})
}

func TestRelay_EmptiedAccountDisablesNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		user := r.linked("十郎")
		for _, id := range r.shop.UserIDs() {
			r.shop.DeleteUser(id)
		}
		r.relay(user, "delete")
		r.wantOutcome("temporary")
		r.wantField(unique(user), "enabled", "1")
		if report := r.reconcile(); report.Gone != 0 || report.Sent != 0 {
			t.Fatalf("report = %+v: an empty list made somebody gone", report)
		}
		r.drop()
		odd := 0
		r.transport = altered{both{r.shop, r.crm}, "/api/users", `[]`, `[null]`, &odd} // is nobody either
		r.relay(user, "delete")
		r.wantOutcome("temporary")
		if r.wantField(unique(user), "enabled", "1"); odd == 0 {
			t.Fatal("no answer was altered")
		}
	})
}

func TestRelay_CapStopsDisablingUntilReleased(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.settings.Cap = 2
		var users []int64
		for _, name := range []string{"甲", "乙", "丙"} {
			users = append(users, r.linked(name))
		}
		for _, u := range users {
			r.shop.DeleteUser(u)
			r.send(u, "delete")
		}
		r.work()
		if got := r.outcomes(); got["disabled"] != 2 || got["disabling_stopped"] != 1 {
			t.Fatalf("outcomes = %v, want 2 disabled and 1 stopped", got)
		}
		time.Sleep(3 * time.Hour) // the window is over; the stop is not
		r.work()
		r.wantOutcome("disabling_stopped")
		stopped, err := r.stack().State.Disabling.Release(context.Background())
		if err != nil || !stopped {
			t.Fatalf("Release = %v, %v, want true", stopped, err)
		}
		time.Sleep(time.Hour)
		r.work()
		r.wantOutcome("disabled")
		if stopped, err := r.stack().State.Disabling.Release(context.Background()); err != nil || stopped {
			t.Fatalf("second Release = %v, %v, want false", stopped, err)
		}
	})
}

func TestRelay_CapCountsAnHourAndAUserOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.settings.Cap = 1
		first, second := r.linked("丁"), r.linked("戊")
		r.shop.DeleteUser(first)
		r.crm.Inject(sandbox.Fault{Kind: sandbox.Dropped, Route: "PUT /api/ext/users/{id}"})
		r.relay(first, "delete")
		r.wantOutcome("temporary")
		time.Sleep(2 * time.Minute)
		r.work() // counted already
		r.wantOutcome("disabled")
		time.Sleep(time.Hour - 2*time.Minute)
		r.shop.DeleteUser(second)
		r.relay(second, "delete")
		r.wantOutcome("disabled")
	})
}
