package webhookrelay_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/internal/webhookrelay/plan"
	"hikyaku/internal/webhookrelay/queue"
	"hikyaku/internal/webhookrelay/reconcile"
)

// trimming returns a user whose member keeps a name without the blank that it is
// sent with, and what counts the updates.
func (r *rig) trimming(name string) (user int64, updates func() int) {
	user = r.person(name)
	r.reconcile()
	r.settleAll()
	r.outcomes()
	hides := 0
	r.transport = altered{both{r.shop, r.crm}, membersPath, `"` + name + ` "`, `"` + name + `"`, &hides}
	r.shop.ChangeUser(user, map[string]any{"full_name": name + " "})
	r.relay(user, "change")
	r.wantOutcome("updated")
	seen := r.crm.Count("PUT /api/ext/users/{id}")
	return user, func() int {
		n := r.crm.Count("PUT /api/ext/users/{id}") - seen
		seen += n
		return n
	}
}

// night is a reconcile on the next day, and what it sends.
func (r *rig) night(wantSent int) {
	r.t.Helper()
	time.Sleep(24 * time.Hour)
	if report := r.reconcile(); report.Sent != wantSent {
		r.t.Fatalf("report = %+v, want %d sent", report, wantSent)
	}
	r.settleAll()
}

// leftAlone lets two nights show the difference.
func (r *rig) leftAlone(updates func() int) {
	r.t.Helper()
	r.night(1)
	r.wantOutcome("updated")
	r.night(1)
	r.wantOutcome("unconverging")
	if n := updates(); n != 1 {
		r.t.Fatalf("%d updates in two nights, want 1", n)
	}
}

// A member who does not keep what it is sent is written once more, said, and then
// left until either side changes.
func TestRelay_LeavesAMemberThatNeverAgrees(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		user, updates := r.trimming("会員")
		r.leftAlone(updates)
		held, err := r.stack().State.Rows.Read(context.Background(), user)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range held.History {
			if e.Mapping != r.stack().Mapping.ShortDigest() {
				t.Errorf("the history tells no mapping of %+v", e)
			}
		}
		if !strings.Contains(r.log.String(), "fields=[column01]") || strings.Contains(r.log.String(), "会員") {
			t.Fatalf("log: %s", r.log)
		}
		for range 3 {
			r.night(0)
		}
		report, differences, err := reconcile.New(r.stack(), r.queue).DryRun(context.Background())
		if err != nil || len(differences) != 0 || report.Unconverging != 1 || len(report.Named) != 1 || report.Named[0].User != user || report.Named[0].Reason != outcome.Unconverging {
			t.Fatalf("dry run = %+v, %v, %v", report, differences, err)
		}
		p, err := plan.Of(r.stack()).Preview(context.Background(), user)
		if err != nil || p.Outcome != outcome.Unconverging || !slices.Equal(p.Changes, []string{"column01"}) {
			t.Fatalf("preview = %+v, %v", p, err)
		}

		written := func() {
			t.Helper()
			r.night(1)
			r.wantOutcome("updated")
			r.wantField(unique(user), "column03", "新しい")
			if n := updates(); n != 1 {
				t.Fatalf("%d updates, want 1", n)
			}
			r.leftAlone(updates)
			r.night(0)
		}
		r.shop.Quiet().ChangeUser(user, map[string]any{"field_1": "新しい"}) // the user's side changes
		written()
		r.wantField(unique(user), "column03", "新しい")
		m := r.member(unique(user))
		m.Values["column03"] = "変えた"
		r.crm.Put(m) // the member's side changes
		written()
	})
}

// Only a list that began a lag after the write, and is complete, has shown anything.
func TestRelay_CountsWhatACompleteListShowsAfterTheWrite(t *testing.T) {
	for name, show := range map[string]func(r *rig){
		"a list that began before the lag was over": func(r *rig) { r.reconcile() },
		"a list that may leave somebody out": func(r *rig) {
			time.Sleep(24 * time.Hour)
			whole, odd := r.transport, 0
			r.transport = altered{whole, membersPath, `[{"member":`, `[{"member":null},{"member":`, &odd}
			r.reconcile()
			r.transport = whole
		},
		"a message without a list": func(r *rig) {
			m := queue.Message{User: r.shop.UserIDs()[1], Event: "reconcile", Force: true, At: time.Now()}
			_ = r.queue.Send(context.Background(), m.Envelope(time.Now().String()))
			time.Sleep(time.Hour)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				_, updates := r.trimming("会員")
				for range 3 {
					show(r)
					for r.queue.len() > 0 {
						r.work()
					}
					r.wantOutcome("updated")
				}
				if n := updates(); n != 3 {
					t.Fatalf("%d updates, want 3", n)
				}
			})
		})
	}
}

// What changed after the list, or is forced for another reason, is written.
func TestRelay_WritesWhatTheListDoesNotShow(t *testing.T) {
	for name, change := range map[string]func(r *rig, user int64){
		"another value since": func(r *rig, user int64) {
			m := r.member(unique(user))
			m.Values["column02"] = "変えた"
			r.crm.Put(m)
		},
		"another reason": func(r *rig, user int64) {
			m := queue.Message{User: user, Event: "redrive", Force: true, At: time.Now()}
			_ = r.queue.Send(context.Background(), m.Envelope("other"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				user, updates := r.trimming("会員")
				r.night(1)
				time.Sleep(24 * time.Hour)
				r.outcomes()
				r.reconcile()
				change(r, user)
				r.work()
				r.wantOutcome("updated")
				r.wantField(unique(user), "column02", "+819010000000")
				if n := updates(); n != 2 || r.queue.len() != 0 {
					t.Fatalf("%d updates, want 2", n)
				}
			})
		})
	}
}

// A disabling, a restore and an answer that no list shows are never left.
func TestRelay_NeverLeavesWhatMustBeWritten(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.mapping += "secret_answer: field_2\n"
		user, updates := r.trimming("会員")
		r.leftAlone(updates)
		r.shop.Quiet().ChangeUser(user, map[string]any{"field_2": "猫"})
		r.night(1)
		r.wantOutcome("updated")
		r.wantField(unique(user), "secret_answer", "猫")
		updates()
		r.leftAlone(updates)
		r.shop.Quiet().DeleteUser(user)
		r.night(1)
		r.wantOutcome("disabled")
		r.shop.Quiet().RestoreUser(user)
		r.night(1)
		r.wantOutcome("restored")
		r.wantField(unique(user), "enabled", "1")
	})
}
