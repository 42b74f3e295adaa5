package webhookrelay_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/webhookrelay/admin"
	"hikyaku/internal/webhookrelay/reconcile"
	"hikyaku/internal/webhookrelay/state"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

const linkMapping = testMapping + "column04: super_field\nlink_if: [column04]\n"

// guarded makes the rig one whose identity customers can type.
func (r *rig) guarded(mode tenant.LinkMode) {
	r.identity, r.settings.Link, r.mapping = tenant.Identity{By: "field_2"}, mode, linkMapping
}

func (r *rig) links() admin.Links { return admin.NewLinks(r.stack(), r.queue) }

func (r *rig) decide(user int64, approved bool) {
	r.t.Helper()
	pair, err := r.links().Compare(context.Background(), user)
	if err == nil {
		err = r.links().Decide(context.Background(), pair, approved)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) waiting() []state.Pair {
	r.t.Helper()
	pairs, err := r.links().Waiting(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	return pairs
}

// settles lets everything run until nothing more is to come.
func (r *rig) settles() {
	r.t.Helper()
	for range 3 {
		r.reconcile()
		r.mends()
	}
	r.outcomes()
}

// A victim is a member that the relay did not make, and an attacker the user who
// typed its identity.
func attack(r *rig, mode tenant.LinkMode) (victim yapplitest.Member, attacker int64) {
	r.guarded(mode)
	r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "V-1", "login_id": "victim@mail.example", "column01": "本人", "column04": "S-1"}})
	r.reconcile()
	return r.member("V-1"), r.numbered("別人", "V-1")
}

func (r *rig) wantUntouched(was yapplitest.Member) {
	r.t.Helper()
	if m, ok := r.crm.Find(was.ID); !ok || string(m.JSON()) != string(was.JSON()) {
		r.t.Fatalf("the member changed: %v, was %v\n%s", m.Values, was.Values, r.log)
	}
}

// Security S1: who types another's identity neither changes that one's member
// nor, by leaving, disables it, whichever way the relay finds it.
func TestLinks_NobodyTakesOverAMember(t *testing.T) {
	for _, mode := range []tenant.LinkMode{tenant.Approve, tenant.Match} {
		for _, by := range []string{"job", "reconcile", "look-up", "observe", "observing reconcile"} {
			t.Run(string(mode)+" "+by, func(t *testing.T) {
				inBubble(t, func(t *testing.T, r *rig) {
					victim, attacker := attack(r, mode)
					r.drop()
					want := "awaiting_approval"
					switch by {
					case "look-up":
						r.crm.Lookup, r.quirks = true, `{"update":"partial","lookup":"unique_id"}`
						r.forget("/identities/")
					case "observe", "observing reconcile":
						r.settings.Mode, want = tenant.Observe, "would_link"
					}
					if strings.HasSuffix(by, "reconcile") {
						if report := r.reconcile(); report.AwaitingApproval != 1 || report.Matched+report.Differing != 0 {
							t.Fatalf("report = %+v, want one awaiting", report)
						}
						r.drop()
					} else {
						r.relay(attacker, "new")
						r.wantOutcome(want)
					}
					if pairs := r.waiting(); len(pairs) != 1 || pairs[0].User != attacker || pairs[0].Member != victim.ID || pairs[0].How != "exact" {
						t.Fatalf("pairs = %+v, want the attacker's", pairs)
					}
					r.settles()
					r.shop.DeleteUser(attacker)
					r.relay(attacker, "delete")
					r.wantOutcome("gone_unlinked")
					r.settles()
					r.wantUntouched(victim)
				})
			})
		}
	}
}

// always is as it was: the identity is enough.
func TestLinks_AlwaysLinks(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		victim, attacker := attack(r, tenant.Always)
		r.relay(attacker, "new")
		r.wantOutcome("linked")
		r.wantField("V-1", "column01", "別人")
		r.settings.Link = tenant.Approve
		before, err := r.links().Before(context.Background())
		if err != nil || len(before) != 1 || before[0].User != attacker || before[0].Member != victim.ID {
			t.Fatalf("linked before: %+v, %v, want the one", before, err)
		}
		r.shop.ChangeUser(attacker, map[string]any{"full_name": "別人 改"})
		r.relay(attacker, "change")
		r.wantOutcome("updated") // it counts as approved
	})
}

func TestLinks_MatchLinksWhoAgrees(t *testing.T) {
	for name, c := range map[string]struct {
		value any
		want  string
	}{"agrees": {"S-1", "linked"}, "differs": {"S-2", "awaiting_approval"}, "empty": {"", "awaiting_approval"}, "null": {nil, "awaiting_approval"}} {
		for _, job := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				inBubble(t, func(t *testing.T, r *rig) {
					_, user := attack(r, tenant.Match)
					r.shop.Quiet().ChangeUser(user, map[string]any{"super_field": c.value})
					r.drop()
					if job {
						r.relay(user, "new")
						r.wantOutcome(c.want)
					} else {
						r.reconcile()
						r.mends()
						if got := r.outcomes(); (got["linked"] == 1) != (c.want == "linked") {
							t.Fatalf("outcomes = %v, want %s", got, c.want)
						}
					}
					if row := r.rowOf(user); c.want == "linked" && row["link"] != "matched" {
						t.Fatalf("row = %v", row)
					}
				})
			})
		}
	}
}

// An approval is carried out once, and remembered of user and member: after the
// row is lost, nobody is asked again.
func TestLinks_ApprovedByAPerson(t *testing.T) {
	for name, tells := range map[string]func(r *rig){
		"told at once":        func(*rig) {},
		"the message is lost": func(r *rig) { r.drop(); r.reconcile() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				_, user := attack(r, tenant.Approve)
				r.relay(user, "new")
				r.decide(user, true)
				r.outcomes()
				tells(r)
				r.work()
				if got := r.outcomes(); got["linked"] != 1 || len(r.waiting()) != 0 {
					t.Fatalf("outcomes = %v, %d wait, want it linked\n%s", got, len(r.waiting()), r.log)
				}
				r.wantField("V-1", "column01", "別人")
				if row := r.rowOf(user); row["link"] != "approved" {
					t.Fatalf("row = %v", row)
				}
				if report := r.reconcile(); report.Sent != 0 {
					t.Fatalf("report = %+v, want nobody sent", report)
				}
				r.forget("/rows/")
				r.forget("/decisions/")
				r.shop.Quiet().ChangeUser(user, map[string]any{"full_name": "本人 改"})
				if name == "told at once" { // else a reconcile finds the row lost
					r.relay(user, "change")
				}
				r.settles()
				r.wantField("V-1", "column01", "本人 改")
				for _, part := range []string{"/rows/", "/identities/", "/index"} { // as the runbook says
					r.forget(part)
				}
				r.shop.ChangeUser(user, map[string]any{"full_name": "誰か"})
				r.relay(user, "change")
				r.settles()
				r.wantField("V-1", "column01", "本人 改") // both are lost: decided again
				if len(r.waiting()) != 1 {
					t.Fatalf("pairs = %+v, want one again", r.waiting())
				}
			})
		})
	}
}

// A decision is on what was shown: of this user, member, identity, and records.
func TestLinks_ADecisionIsVoidOnceARecordChanges(t *testing.T) {
	for name, change := range map[string]func(r *rig, victim yapplitest.Member, user int64){
		"the user": func(r *rig, _ yapplitest.Member, user int64) {
			r.shop.Quiet().ChangeUser(user, map[string]any{"address": "別所"})
		},
		"the member": func(r *rig, v yapplitest.Member, _ int64) { v.Values["column30"] = "新"; r.crm.Put(v) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				victim, user := attack(r, tenant.Approve)
				r.relay(user, "new")
				r.decide(user, true)
				change(r, r.member("V-1"), user)
				victim, _ = r.crm.Find(victim.ID)
				r.drop()
				r.outcomes()
				r.relay(user, "change")
				r.wantOutcome("awaiting_approval")
				if len(r.waiting()) != 1 {
					t.Fatalf("pairs = %+v, want it proposed again", r.waiting())
				}
				r.settles()
				r.wantUntouched(victim)
				r.decide(user, true)
				r.settles()
				r.wantField("V-1", "column01", "別人")
			})
		})
	}
}

// Another user's approval, or one of another member or identity, decides nothing.
func TestLinks_ADecisionIsOnOnePair(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		victim, user := attack(r, tenant.Approve)
		r.relay(user, "new")
		r.decide(user, true)
		r.drop()
		second := r.byHand("V-2", "第二")
		r.reconcile()
		r.shop.Quiet().ChangeUser(user, map[string]any{"field_2": "V-2"})
		r.drop()
		r.outcomes()
		r.relay(user, "change")
		r.wantOutcome("awaiting_approval")
		other := r.numbered("第三者", "V-1")
		r.relay(other, "new")
		r.wantOutcome("awaiting_approval")
		r.settles()
		r.wantUntouched(victim)
		r.wantUntouched(second)
	})
}

func TestLinks_RejectedByAPerson(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		victim, user := attack(r, tenant.Approve)
		r.relay(user, "new")
		r.decide(user, false)
		r.outcomes()
		r.work()
		r.wantOutcome("link_rejected")
		r.shop.ChangeUser(user, map[string]any{"full_name": "別人 改"}) // a rejection stays, whatever changes
		r.relay(user, "change")
		r.wantOutcome("link_rejected")
		if report := r.reconcile(); report.LinkRejected != 1 || report.AwaitingApproval != 0 || report.Sent != 0 || len(r.waiting()) != 0 {
			t.Fatalf("report = %+v, %d wait, want it rejected and not sent", report, len(r.waiting()))
		}
		r.settles()
		r.wantUntouched(victim)
		r.shop.ChangeUser(user, map[string]any{"field_2": "N-1"}) // an identity of their own
		r.relay(user, "change")
		r.settles()
		r.wantField("N-1", "column01", "別人 改")
	})
}

// A claim that passes on gives no right to the member that bears the identity.
func TestLinks_AClaimGivesNoRightToAMember(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		_, owner := attack(r, tenant.Approve)
		r.relay(owner, "new")
		r.decide(owner, true)
		r.work()
		r.forget("/rows/")
		r.shop.DeleteUser(owner) // the identity object still names owner and link
		victim := r.member("V-1")
		other := r.numbered("次の人", "V-1")
		r.drop()
		r.relay(other, "new")
		r.settles()
		r.wantUntouched(victim)
		if pairs := r.waiting(); len(pairs) != 1 || pairs[0].User != other {
			t.Fatalf("pairs = %+v, want the other's", pairs)
		}
	})
}

// After a POST without an answer a member is the relay's own only if it shows all
// that was sent; after a refusal it is not.
func TestLinks_AfterACreationInDoubt(t *testing.T) {
	for name, c := range map[string]struct {
		fault  sandbox.FaultKind
		happen func(r *rig)
		linked bool
	}{
		"the answer is lost": {sandbox.Lost, func(*rig) {}, true},
		"somebody else's came instead": {sandbox.Dropped, func(r *rig) {
			r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "N-1", "column01": "本人"}})
		}, false},
		"somebody else's, with one value more alike": {sandbox.Dropped, func(r *rig) {
			r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "N-1", "column01": "新人", "login_id": "新人@mail.example"}})
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.guarded(tenant.Approve)
				r.reconcile()
				r.drop()
				r.crm.Inject(sandbox.Fault{Kind: c.fault, Route: "POST /api/ext/users"})
				user := r.numbered("新人", "N-1")
				r.relay(user, "new")
				r.wantOutcome("unresolved")
				c.happen(r)
				r.shop.Quiet().ChangeUser(user, map[string]any{"full_name": "新人 改"})
				was := yapplitest.Member{}
				if !c.linked {
					was = r.member("N-1")
				}
				time.Sleep(time.Hour)
				r.settles()
				if !c.linked {
					r.wantUntouched(was)
				} else {
					r.wantField("N-1", "column01", "新人 改")
				}
				if waits := len(r.waiting()) == 1; waits == c.linked {
					t.Fatalf("pairs = %+v", r.waiting())
				}
			})
		})
	}
}

// A refusal may mean that somebody else's member bears the identity, even one
// with equal values.
func TestLinks_AfterARefusedCreation(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.guarded(tenant.Approve)
		r.reconcile()
		r.drop()
		r.crm.Duplicate = yapplitest.Refuse
		user := r.numbered("新人", "N-1")
		r.crm.Put(yapplitest.Member{Values: map[string]string{
			"unique_id": "N-1", "login_id": "新人@mail.example", "column01": "新人", "column02": "+819010000000", "enabled": "1",
		}})
		r.relay(user, "new")
		r.wantOutcome("unresolved")
		was := r.member("N-1")
		time.Sleep(time.Hour)
		r.shop.Quiet().ChangeUser(user, map[string]any{"full_name": "新人 改"})
		r.settles()
		r.wantUntouched(was)
	})
}

// A pair that is the same is written once, by whatever it is proposed.
func TestLinks_APairIsWrittenOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		_, user := attack(r, tenant.Approve)
		r.relay(user, "new")
		first := r.waiting()
		time.Sleep(time.Hour)
		r.settles()
		r.relay(user, "change")
		if again := r.waiting(); len(again) != 1 || !again[0].At.Equal(first[0].At) {
			t.Fatalf("pairs = %+v, want %+v", again, first)
		}
	})
}

// What cannot be written must not be acknowledged.
func TestLinks_AJobEndsOnlyOnceThePairIsThere(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		_, user := attack(r, tenant.Approve)
		r.objects = refusing{r.objects, "/pairs/"}
		r.send(user, "new")
		if left := r.work(); left != 1 {
			t.Fatalf("%d unfinished, want 1", left)
		}
		r.wantOutcome("store")
	})
}

// A pair is none any more once one of both has gone.
func TestLinks_ShowsOnlyWhatCanBeLinked(t *testing.T) {
	for name, change := range map[string]func(r *rig, victim yapplitest.Member, user int64){
		"gone": func(r *rig, _ yapplitest.Member, user int64) { r.shop.DeleteUser(user) },
		"another identity": func(r *rig, _ yapplitest.Member, user int64) {
			r.shop.ChangeUser(user, map[string]any{"field_2": "N-9"})
		},
		"another member": func(r *rig, v yapplitest.Member, _ int64) { v.Values["unique_id"] = "Z"; r.crm.Put(v) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				victim, user := attack(r, tenant.Approve)
				r.relay(user, "new")
				pair, err := r.links().Compare(context.Background(), user)
				if err != nil || pair.Bearer["column01"] != "本人" || pair.Desired["column01"] != "別人" || pair.Fields["field_2"] != "V-1" {
					t.Fatalf("%+v, %v", pair, err)
				}
				change(r, victim, user)
				if _, err := r.links().Compare(context.Background(), user); !errors.Is(err, admin.ErrNoPair) {
					t.Fatalf("err = %v, want ErrNoPair", err)
				}
			})
		})
	}
}

// refusing takes no object whose key holds a text.
type refusing struct {
	objectstore.Store

	part string
}

func (s refusing) Put(ctx context.Context, o objectstore.Object) (string, error) {
	if strings.Contains(o.Key, s.part) {
		return "", errLost
	}
	return s.Store.Put(ctx, o)
}

// A dry run names who waits, and puts nobody on the queue for it.
func TestLinks_OfADryRun(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		_, user := attack(r, tenant.Approve)
		report, differences, err := reconcile.New(r.stack(), r.queue).DryRun(context.Background())
		if err != nil || len(differences) != 0 || report.AwaitingApproval != 1 || len(report.Named) != 1 || report.Named[0].User != user {
			t.Fatalf("report = %+v, differences %v, %v", report, differences, err)
		}
		if len(r.waiting()) != 0 {
			t.Fatal("a dry run proposed a pair")
		}
	})
}

// That the relay made a member is noted in row and identity, by the first list
// that shows the member: the loss of one of both ends no link.
func TestLinks_AMemberThatTheRelayMadeIsItsOwn(t *testing.T) {
	for _, lost := range []string{"/rows/", "/identities/"} {
		t.Run(lost, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.guarded(tenant.Approve)
				r.reconcile()
				r.drop()
				user := r.numbered("新人", "N-1")
				r.relay(user, "new")
				r.wantOutcome("created")
				r.relay(r.changed(user), "change")
				r.wantOutcome("updated")
				r.reconcile()
				d := &door{Store: r.objects, RoundTripper: both{r.shop, r.crm}}
				store := r.objects
				r.objects = d
				r.reconcile()
				if d.puts > 4 { // lease and index
					t.Fatalf("%d writes by a run that has nothing to note", d.puts)
				}
				r.objects = store
				r.forget(lost)
				r.shop.Quiet().ChangeUser(user, map[string]any{"full_name": "新人 改"})
				r.settles()
				r.wantField("N-1", "column01", "新人 改")
				if len(r.waiting()) != 0 {
					t.Fatalf("pairs = %+v, want none", r.waiting())
				}
			})
		})
	}
}
