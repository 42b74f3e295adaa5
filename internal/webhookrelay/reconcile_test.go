package webhookrelay_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/internal/webhookrelay/reconcile"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// populate makes n users, and members for about two thirds of them.
func (r *rig) populate(n int) (users []int64) {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range n {
		user := r.person(fmt.Sprintf("会員 %05d", i))
		users = append(users, user)
		values := map[string]string{"unique_id": unique(user), "login_id": "old@mail.example"}
		switch random.IntN(3) {
		case 0:
			r.crm.Put(yapplitest.Member{Values: values})
		case 1:
			values["login_id"] = fmt.Sprintf("会員%05d@mail.example", i)
			values["column01"], values["column02"] = fmt.Sprintf("会員 %05d", i), "+819010000000"
			r.crm.Put(yapplitest.Member{Values: values})
		}
	}
	return users
}

func (r *rig) settleAll() {
	for range 100 {
		if r.queue.len() == 0 {
			return
		}
		r.work()
		time.Sleep(time.Minute)
	}
	r.t.Fatalf("the queue does not empty: %v", r.outcomes())
}

func TestReconcile_RepairsEveryDifferenceOnce(t *testing.T) {
	for name, quirks := range map[string]string{
		"by offset": `{"update":"partial"}`,
		"by page":   `{"update":"partial","paging":"page","page_size":37,"body":"json"}`,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.quirks = quirks
				if strings.Contains(quirks, "page_size") {
					r.crm.Generation = 3
				}
				r.shop.Knobs.Order = supersaastest.Shuffled
				users := r.populate(110)
				r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "not-ours", "column01": "他店"}})
				first := r.reconcile()
				if first.Users != 111 || first.Members != len(r.crm.Members()) || first.Unclaimed != 1 ||
					first.Differing+first.Missing != first.Sent || first.Matched+first.Missing != 111 || first.Sent == 0 || first.Drift != 0 {
					t.Fatalf("report = %+v", first)
				}
				r.settleAll()
				for _, user := range users {
					if m := r.member(unique(user)); !strings.HasPrefix(m.Values["column01"], "会員") || m.Values["column02"] != "+819010000000" {
						t.Fatalf("member %s was not repaired", m.JSON())
					}
				}
				second := r.reconcile()
				if second.Sent != 0 || second.Matched != 111 || second.Unclaimed != 1 {
					t.Fatalf("second report = %+v, want nothing sent", second)
				}
			})
		})
	}
}

func TestReconcile_SendsTheGoneAndTheRestored(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		users := r.populate(20)
		r.reconcile()
		r.settleAll()
		gone, back := users[0], users[1]
		r.shop.Quiet().DeleteUser(gone)
		r.shop.Quiet().DeleteUser(back)
		if report := r.reconcile(); report.Gone != 2 || report.Sent != 2 {
			t.Fatalf("report = %+v, want 2 gone and sent", report)
		}
		r.settleAll()
		r.wantField(unique(gone), "enabled", "0")
		if report := r.reconcile(); report.Sent != 0 {
			t.Fatalf("report = %+v, want nothing: both are disabled", report)
		}
		m := r.member(unique(gone))
		m.Values["enabled"] = "1" // somebody enables the member of a user who is gone
		r.crm.Put(m)
		r.shop.Quiet().RestoreUser(back)
		if report := r.reconcile(); report.Gone != 1 || report.Differing != 1 {
			t.Fatalf("report = %+v, want 1 gone and 1 to restore", report)
		}
		r.settleAll()
		r.wantField(unique(gone), "enabled", "0")
		r.wantField(unique(back), "enabled", "1")
		if report := r.reconcile(); report.Sent != 0 {
			t.Fatalf("report = %+v, want nothing", report)
		}
	})
}

// Lists that cannot be believed disable nobody and prove nothing.
func TestReconcile_DistrustsIncompleteLists(t *testing.T) {
	for name, spoil := range map[string]func(r *rig){
		"users skipped": func(r *rig) {
			r.shop.Knobs.Skip = func(id int64) bool { return id%2 == 0 }
		},
		"no users": func(r *rig) { r.shop.Knobs.Skip = func(int64) bool { return true } },
		"no members": func(r *rig) {
			r.crm.Skip = func(string) bool { return true }
		},
		"another tenant": func(r *rig) {
			r.crm = yapplitest.New(sandbox.Options{Records: 24, Rate: -1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.populate(24)
				r.reconcile()
				r.settleAll()
				spoil(r)
				before := r.crm.Members()
				r.reconcile()
				r.settleAll()
				enabled := func(list []yapplitest.Member) (n int) {
					for _, m := range list {
						if m.Values["enabled"] == "1" {
							n++
						}
					}
					return n
				}
				if after := r.crm.Members(); len(after) != len(before) || enabled(after) != enabled(before) {
					t.Fatalf("%d members, %d enabled before; %d and %d after", len(before), enabled(before), len(after), enabled(after))
				}
			})
		})
	}
}

func TestReconcile_FailedListIsTakenUpAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.populate(120)
		r.crm.Inject(sandbox.Fault{Kind: sandbox.ServerFail, Route: "GET /api/ext/users", After: 1, Times: -1})
		_, err := reconcile.New(r.stack(), r.queue).Run(context.Background(), false)
		if err == nil || r.queue.len() != 0 {
			t.Fatalf("err = %v with %d sent, want an error and nothing sent", err, r.queue.len())
		}
		r.crm.SetFaults(sandbox.Faults{})
		lists := r.shop.Count("GET /api/users.json")
		if report := r.reconcile(); report.Matched+report.Missing != 121 {
			t.Fatalf("report = %+v, want everybody", report)
		}
		if n := r.shop.Count("GET /api/users.json") - lists; n != 0 {
			t.Fatalf("users were listed again (%d requests)", n)
		}
	})
}

// At its end a run measures and logs what only a person can repair.
func TestReconcile_TellsOfWebhooksAndFields(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.reconcile() // without an address there is nothing to count
		if _, there := r.metrics.all()["WebhooksRegistered"]; there || !strings.Contains(r.log.String(), "fields that the account does not have") {
			t.Fatalf("measured %v\n%s", r.metrics.all(), r.log)
		}
		r.settings.WebhookURL = "https://relay.example/webhooks/"
		r.mapping = "column01: full_name\n"
		before := strings.Count(r.log.String(), "does not have")
		r.reconcile()
		if n, there := r.metrics.all()["WebhooksRegistered"]; !there || n != 0 {
			t.Fatalf("measured %v, want that no webhook points here", r.metrics.all())
		}
		if strings.Count(r.log.String(), "does not have") != before || strings.Contains(r.log.String(), "not checked") {
			t.Fatalf("told of fields that are there:\n%s", r.log)
		}
	})
}

func TestReconcile_RunsOnRequest(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		run := func() reconcile.Result {
			result, err := reconcile.New(r.stack(), r.queue).Run(context.Background(), true)
			if err != nil || result.Status != "done" {
				t.Fatalf("Run = %+v, %v", result, err)
			}
			return result
		}
		if got := run(); got.Report != nil || r.crm.Count("") != 0 {
			t.Fatalf("result = %+v, want nothing done", got)
		}
		r.relay(r.person("午"), "new") // waits for the index, and asks
		time.Sleep(time.Second)
		if got := run(); got.Report == nil {
			t.Fatal("a reconcile that the relay asked for did not run")
		}
		if got := run(); got.Report != nil {
			t.Fatal("it ran twice for one request")
		}
	})
}

// A user whose linked member is in no list is named.
func TestReconcile_DryRunNamesWhoseMemberIsGone(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		user := r.linked("誰")
		r.linked("別") // an empty list proves nothing
		r.crm.Delete(r.member(unique(user)).ID)
		report, _, err := reconcile.New(r.stack(), r.queue).DryRun(context.Background())
		if err != nil || report.Lost != 1 {
			t.Fatalf("report %+v, %v; want 1 lost", report, err)
		}
		if len(report.Named) != 1 || report.Named[0].User != user || report.Named[0].Reason != outcome.MemberMissing {
			t.Errorf("named are %+v, want user %d with %s", report.Named, user, outcome.MemberMissing)
		}
	})
}

func TestReconcile_DryRunChangesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		users := r.populate(30)
		want := r.stack()
		objects := slices.Collect(keysOf(r))
		report, differences, err := reconcile.New(want, r.queue).DryRun(context.Background())
		if err != nil || report.Differing+report.Missing != len(differences) || len(differences) == 0 {
			t.Fatalf("report %+v with %d differences, %v", report, len(differences), err)
		}
		for _, d := range differences {
			if d.Reason != "missing" && d.Reason != "differing" || d.User < users[0]-3 {
				t.Fatalf("difference = %+v", d)
			}
		}
		if got := slices.Collect(keysOf(r)); !slices.Equal(objects, got) || r.queue.sent != 0 {
			t.Fatalf("objects %v, %d sent; want nothing changed", got, r.queue.sent)
		}
	})
}

func keysOf(r *rig) func(func(string) bool) {
	return func(yield func(string) bool) {
		for info, err := range r.objects.List(context.Background(), "", "") {
			if err != nil || !yield(info.Key) {
				return
			}
		}
	}
}

// Records that vanish and appear while the lists are read shift what follows.
func TestReconcile_SeesThroughShiftingLists(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		users := r.populate(400)
		r.crm.Shuffle(3) // so that new members stand anywhere
		r.crm.BetweenPages = func(page int) {
			if page < 6 {
				r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": fmt.Sprintf("new-%d", page)}})
			}
		}
		report := r.reconcile()
		if report.Drift != 0 || report.Matched+report.Missing != 401 {
			t.Fatalf("report = %+v, want everybody and no drift", report)
		}
		r.drop()
		for _, u := range users {
			if n := len(r.crm.FindUnique(unique(u))); n > 1 {
				t.Fatalf("user %d has %d members", u, n)
			}
		}
	})
}

func TestReconcile_DriftProvesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.populate(200)
		r.crm.BetweenPages = func(page int) { r.crm.Shuffle(uint64(page)) }
		report := r.reconcile()
		if report.Drift == 0 || report.Missing != 0 {
			t.Fatalf("report = %+v, want drift, and nobody missing because of it", report)
		}
		r.drop()
		r.relay(r.person("未"), "new")
		r.wantOutcome("awaiting_list")
	})
}

// What no list shows is compared with what was written.
func TestReconcile_BringsWhatNoListShows(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.mapping = testMapping + "secret_answer: field_2\n"
		r.earlier = r.person("零郎")
		as := map[string]string{"unique_id": unique(r.earlier), "login_id": "零郎@mail.example", "column01": "零郎", "column02": "+819010000000", "column03": ""}
		r.crm.Put(yapplitest.Member{Values: as}) // a list finds no difference
		user := r.linked("一郎")
		r.mends()
		r.shop.Quiet().ChangeUser(user, map[string]any{"field_2": "猫"})
		r.shop.Quiet().ChangeUser(r.earlier, map[string]any{"field_2": "犬"})
		for range 2 {
			r.reconcile()
			r.mends()
		}
		r.wantField(unique(user), "secret_answer", "猫")
		r.wantField(unique(r.earlier), "secret_answer", "犬")
		if report := r.reconcile(); report.Sent != 0 {
			t.Fatalf("report = %+v, want nothing sent", report)
		}
	})
}

// A tenant's list may leave out disabled members.
func TestReconcile_RestoresWhomNoListShows(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		user := r.linked("一郎")
		r.linked("二郎")
		r.shop.DeleteUser(user)
		r.relay(user, "delete")
		gone := r.member(unique(user)).ID
		r.crm.Skip = func(id string) bool { return id == gone }
		r.shop.Quiet().RestoreUser(user)
		r.reconcile()
		r.mends()
		r.wantField(unique(user), "enabled", "1")
	})
}

// One who was restored and whose member is gone is sent once.
func TestReconcile_GivesUpARestoredOneWithoutAMember(t *testing.T) {
	for _, quirks := range []string{`{"update":"partial"}`, `{"update":"replace"}`} {
		t.Run(quirks, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.quirks, r.crm.Replace, r.crm.MissingStatus = quirks, strings.Contains(quirks, "replace"), http.StatusNotFound
				user := r.linked("誰")
				r.shop.DeleteUser(user)
				r.relay(user, "delete")
				r.crm.Delete(r.member(unique(user)).ID)
				r.shop.RestoreUser(user)
				r.outcomes()
				for range 3 {
					r.reconcile()
					r.mends()
				}
				r.wantOutcome("member_missing")
			})
		})
	}
}

func TestCheck_CountsWebhooksAndUnknownFields(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.settings.WebhookURL = "https://relay.example/webhooks/"
		for _, h := range []supersaastest.Hook{
			{Trigger: "M", Target: "https://relay.example/webhooks/s3cret"},
			{Trigger: "U", Target: "https://relay.example/webhooks/s3cret"},
			{Trigger: "M", Target: "https://elsewhere.example/hook"},
		} {
			r.shop.AddHook(h)
		}
		got, err := r.stack().Check(context.Background())
		if err != nil || got.Webhooks != 1 {
			t.Fatalf("Check = %+v, %v, want one webhook", got, err)
		}
		r.settings.WebhookURL = ""
		if got, err = r.stack().Check(context.Background()); err != nil || got.Webhooks != -1 {
			t.Fatalf("Check = %+v, %v, want -1 webhooks", got, err)
		}
		if !slices.Contains(got.Unknown, "phone") {
			t.Fatalf("unknown fields = %v, want phone, which this account does not show", got.Unknown)
		}
	})
}

// A second member of one identity is linked to no user.
func TestReconcile_LinksOneOfTwoMembers(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		user := r.person("双子")
		for range 2 {
			r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": unique(user), "column01": "古"}})
		}
		for range 2 { // by identity, then by row
			report := r.reconcile()
			if report.Matched+report.Missing != 2 || report.Unclaimed != 1 {
				t.Fatalf("report = %+v, want one of the two unclaimed", report)
			}
			r.settleAll()
		}
		found := r.crm.FindUnique(unique(user))
		if a, b := found[0].Values["column01"], found[1].Values["column01"]; (a == "双子") == (b == "双子") {
			t.Fatalf("members hold %q and %q, want one of them written", a, b)
		}
	})
}

// A list that misses a linked member neither creates nor disables anybody.
func TestReconcile_CountsLostMembers(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		user := r.linked("迷子")
		r.settleAll()
		id := r.member(unique(user)).ID
		r.crm.Skip = func(m string) bool { return m == id }
		r.relay(r.person("別人"), "new") // so that the list is not empty
		r.settleAll()
		if report := r.reconcile(); report.Lost != 1 {
			t.Fatalf("report = %+v, want one lost", report)
		}
		r.settleAll()
		r.wantField(unique(user), "enabled", "1")
	})
}

// If a worker handles one of two users with one identity while the list is read,
// the member belongs to the user it was made for.
func TestReconcile_LinksTheOneWhoClaimed(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.identity.By = "field_2"
		r.reconcile()
		var users []int64
		for _, name := range []string{"a@mail.example", "b@mail.example"} {
			users = append(users, r.shop.AddUser(map[string]any{"name": name, "email": name, "full_name": name, "field_2": "7"}))
		}
		r.crm.Inject(sandbox.Fault{Kind: sandbox.Lost, Route: "POST"})
		r.relay(users[0], "new")
		r.wantOutcome("unresolved")
		time.Sleep(10 * time.Minute)
		r.drop()
		r.shop.Inject(sandbox.Fault{Kind: sandbox.Slow, Route: "GET /api/users/{key}", After: 1, Delay: time.Minute})
		r.send(users[1], "new")
		var other sync.WaitGroup
		other.Go(func() { r.work() })
		time.Sleep(time.Second) // the second user's row is taken
		report := r.reconcile()
		other.Wait()
		r.work()
		r.member("ss-7")
		if report.Linked != 1 || report.Absent != 0 {
			t.Errorf("report = %+v, want the first user linked", report)
		}
	})
}
