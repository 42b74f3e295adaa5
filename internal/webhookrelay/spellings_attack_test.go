package webhookrelay_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/prove"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// byMail is a rig whose identity is the mail address, with a first complete list.
func (r *rig) byMail(mode tenant.LinkMode) {
	r.t.Helper()
	r.guarded(mode)
	r.identifyBy("email", "")
	r.reconcile()
	r.drop()
}

// stranger is a member that a person made in Yappli.
func (r *rig) stranger(unique, card string) yapplitest.Member {
	r.t.Helper()
	r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": unique, "column01": "本人", "column04": card}})
	return r.member(unique)
}

// mailed is a user of an alias, with what link_if compares.
func (r *rig) mailed(mail, card string) int64 {
	r.t.Helper()
	user := r.spelled("email", mail)
	r.shop.Quiet().ChangeUser(user, map[string]any{"super_field": card})
	return user
}

func (r *rig) wantMember(user int64, want string) {
	r.t.Helper()
	if got := r.rowOf(user)["member"]; got != want {
		r.t.Fatalf("user %d has member %v, want %s; pairs = %+v", user, got, want, r.waiting())
	}
}

// 1. What is noted of a member's former alias hides whose the member is.
func TestSpellings_MatchTakesNobodysMember(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.byMail(tenant.Match)
		m := r.stranger("hanako@mail.example", "S-1")
		r.reconcile()
		m.Values["unique_id"] = "Hanako@mail.example" // staff corrects it
		r.crm.Put(m)
		owner := r.mailed("Hanako@mail.example", "S-1")
		r.settles()
		r.wantMember(owner, m.ID)
		other := r.mailed("HANAKO@mail.example", "S-1")
		r.relay(other, "new")
		r.settles()
		if r.rowOf(other)["member"] == m.ID {
			t.Fatalf("users %d and %d both write to member %s", owner, other, m.ID)
		}
	})
}

// downgrade rewrites the state to what commit df17976 writes: claims, and identities
// of rows, named by the exact form, and an index that names no rules.
func (r *rig) downgrade() {
	r.t.Helper()
	ctx := context.Background()
	for key := range keysOf(r) {
		d, err := objectstore.ReadDocument(ctx, r.objects, key)
		var data map[string]any
		if err != nil || json.Unmarshal(d.Data, &data) != nil {
			continue
		}
		write := func(key string, data any) {
			d, err := objectstore.ReadDocument(ctx, r.objects, key)
			if err == nil {
				_, err = d.Replace(ctx, r.objects, data)
			}
			if err != nil {
				r.t.Fatal(err)
			}
		}
		switch folder, _, _ := strings.Cut(key, "/identities/"); {
		case folder != key:
			others, _ := data["others"].(map[string]any)
			delete(data, "others")
			if err := r.objects.Delete(ctx, key); err != nil {
				r.t.Fatal(err)
			}
			if len(data) > 0 {
				write(key, data)
			}
			for mark, bearer := range others {
				write(folder+"/identities/"+mark, bearer)
			}
		case strings.Contains(key, "/rows/") && data["spelling"] != nil:
			data["identity"] = data["spelling"]
			delete(data, "spelling")
			write(key, data)
		case strings.HasSuffix(key, "/index"):
			delete(data, "folding")
			delete(data, "users")
			write(key, data)
		}
	}
}

// 2. Claims of an earlier version hold until a list shows their members.
func TestUpgrade_ClaimsOfMembersThatNoListShows(t *testing.T) {
	for name, before := range map[string]func(r *rig, first int64){
		"disabled, and the tenant's list leaves these out": func(r *rig, first int64) {
			r.relay(first, "new")
			r.settles()
			r.shop.DeleteUser(first)
			r.relay(first, "delete")
		},
		"made a moment ago": func(r *rig, first int64) { r.relay(first, "new") },
		"in doubt": func(r *rig, first int64) {
			r.crm.Inject(sandbox.Fault{Kind: sandbox.Lost, Route: "POST /api/ext/users"})
			r.relay(first, "new")
		},
	} {
		for _, has := range []string{"Hanako@mail.example", "hanako@mail.example"} {
			t.Run(name+", "+has, func(t *testing.T) {
				inBubble(t, func(t *testing.T, r *rig) {
					r.byMail(tenant.Approve)
					r.stranger("somebody@mail.example", "")
					before(r, r.spelled("email", "Hanako@mail.example"))
					hidden := r.member("Hanako@mail.example").ID
					r.crm.Skip = func(id string) bool { return id == hidden }
					r.downgrade() // without it, all cases hold
					r.drop()
					r.reconcile()
					r.drop()
					r.relay(r.spelled("email", has), "new")
					if members := r.crm.Members(); len(members) != 2 {
						t.Fatalf("%d members, want no second one of Hanako: %v", len(members), r.outcomes())
					}
				})
			})
		}
	}
}

// 3. A person is asked about each member that the newest list shows.
func TestSpellings_EachListedMemberIsAskedAbout(t *testing.T) {
	for name, waits := range map[string]func(r *rig, user int64){
		"the webhook was lost": func(r *rig, _ int64) { r.reconcile() },
		"observe": func(r *rig, user int64) {
			r.settings.Mode = tenant.Observe
			r.relay(user, "new")
			r.reconcile()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.byMail(tenant.Approve)
				r.stranger("hanako@mail.example", "")
				r.reconcile()
				user := r.spelled("email", "Hanako@mail.example")
				waits(r, user)
				r.stranger("HANAKO@mail.example", "")
				time.Sleep(time.Hour)
				r.reconcile() // shows both
				r.drop()
				r.decide(user, false) // of the first
				r.settings.Mode = tenant.Write
				r.work() // the decision's message
				if members := r.crm.Members(); len(members) != 2 || len(r.waiting()) != 1 {
					t.Fatalf("%d members, pairs = %+v, want 2 and one of the second", len(members), r.waiting())
				}
			})
		})
	}
}

// 4a. An approval is carried out, whichever of several members it is of.
func TestSpellings_AnApprovalOfOneOfTwoMembers(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.byMail(tenant.Approve)
		r.stranger("HANAKO@mail.example", "")
		r.stranger("hanako@mail.example", "")
		user := r.spelled("email", "Hanako@mail.example")
		r.reconcile()
		pair := r.waiting()[0]
		r.decide(user, true)
		r.settles()
		r.settles()
		r.wantMember(user, pair.Member)
	})
}

// 4b. A member of the exact alias goes first, on whatever page it stands, and its
// pair is written once.
func TestSpellings_TheVerySpellingGoesFirst(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.quirks = `{"update":"partial","page_size":30}`
		r.byMail(tenant.Approve)
		r.stranger("hanako@mail.example", "")
		for i := range 60 {
			r.stranger(fmt.Sprint("other", i), "")
		}
		r.stranger("Hanako@mail.example", "")
		r.spelled("email", "Hanako@mail.example")
		r.reconcile()
		first := r.waiting()
		time.Sleep(time.Hour)
		r.reconcile()
		again := r.waiting()
		if len(first) != 1 || first[0].How != "exact" || len(again) != 1 || again[0] != first[0] {
			t.Fatalf("pairs = %+v, then %+v, want the exact one, once", first, again)
		}
	})
}

// 4d. Members of one identity on one page do not end the run.
func TestSpellings_TwoOnOnePageEndNoRun(t *testing.T) {
	for range prove.Sample(40, 10) { // it is a matter of timing
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.person("keeper")
			r.byMail(tenant.Approve)
			r.stranger("hanako@mail.example", "")
			r.stranger("Hanako@mail.example", "")
			r.spelled("email", "Hanako@mail.example")
			r.reconcile()
		})
	}
}

// 4c. A lost row ends no link of what the relay made, whatever the alias is now.
func TestSpellings_ALostRowEndsNoLink(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.byMail(tenant.Approve)
		user := r.spelled("email", "Hanako@mail.example")
		r.relay(user, "new")
		made := r.member("Hanako@mail.example").ID
		r.shop.Quiet().ChangeUser(user, map[string]any{"email": "hanako@mail.example"})
		r.settles()
		r.forget("/rows/")
		r.settles()
		r.wantMember(user, made)
	})
}

// 5a. A user who typed an alias first and was rejected keeps no other from the member.
func TestSpellings_WhoTypedItFirstKeepsNobodyOut(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.byMail(tenant.Match)
		r.crm.Duplicate = yapplitest.Refuse
		m := r.stranger("Hanako@mail.example", "S-1")
		first := r.mailed("Hanako@mail.example", "")
		r.relay(first, "new") // refused: the claim is the first one's
		time.Sleep(time.Hour)
		r.settles()
		r.decide(first, false)
		r.settles()
		r.shop.Quiet().ChangeUser(first, map[string]any{"email": "hanako@mail.example"})
		r.relay(first, "change")
		r.decide(first, false)
		r.settles() // the first one has a member of its own
		rightful := r.mailed("Hanako@mail.example", "S-1")
		r.relay(rightful, "new")
		r.settles()
		r.settles()
		r.wantMember(rightful, m.ID)
	})
}

// 5b. Nor does a user who is gone, once no row says that the member is its own.
func TestSpellings_WhoIsGoneKeepsNobodyOut(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.byMail(tenant.Approve)
		first := r.spelled("email", "Hanako@mail.example")
		r.relay(first, "new")
		r.settles()
		r.forget("/rows/")
		r.shop.DeleteUser(first)
		second := r.spelled("email", "hanako@mail.example")
		r.relay(second, "new")
		r.decide(second, true) // which is not refused
		r.settles()
		r.settles()
		r.wantMember(second, r.member("Hanako@mail.example").ID)
	})
}

// 5c. Nor does a claim without a member on an alias that its owner has given up.
func TestSpellings_AnOldSpellingKeepsNobodyOut(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.byMail(tenant.Approve)
		r.stranger("hanako@mail.example", "")
		r.reconcile()
		first := r.spelled("email", "Hanako@mail.example")
		r.relay(first, "new")
		r.decide(first, false)
		r.drop()
		time.Sleep(time.Hour)
		r.reconcile()
		r.drop()
		r.crm.Inject(sandbox.Fault{Kind: sandbox.TooMany, Route: "POST /api/ext/users"})
		r.relay(first, "change") // the claim stays
		r.drop()
		r.shop.Quiet().ChangeUser(first, map[string]any{"email": "hanako@mail.example"})
		r.relay(first, "change")
		r.decide(first, false)
		r.settles()
		second := r.spelled("email", "HANAKO@mail.example")
		r.relay(second, "new")
		r.decide(second, false)
		r.settles()
		r.settles()
		if r.rowOf(second)["member"] == nil {
			t.Fatal("left without a member")
		}
	})
}

// 6. Of what is no valid number the digits count as the same digits alone do.
func TestSpellings_DigitsFoldAsTheNumberThatTheyAre(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.guarded(tenant.Approve)
		r.identifyBy("phone", "")
		r.stranger("09010000001", "")
		r.reconcile()
		r.drop()
		user := r.spelled("phone", "M090-1000-0001") // the webhook was lost
		r.settles()
		if _, err := r.links().Compare(context.Background(), user); err != nil {
			t.Errorf("a pair waits that nobody can decide, and its user for ever: %v", err)
		}
		r.relay(user, "change")
		if members := r.crm.Members(); len(members) != 1 {
			t.Errorf("%d members of one number: %v", len(members), r.outcomes())
		}
	})
}

// A member that the list leaves out and who cannot be read stops no run under other
// rules.
func TestUpgrade_AnOddMemberStopsNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.byMail(tenant.Approve)
		r.stranger("somebody@mail.example", "")
		r.relay(r.spelled("email", "Hanako@mail.example"), "new")
		hidden := r.member("Hanako@mail.example").ID
		r.crm.Skip = func(id string) bool { return id == hidden }
		r.crm.Inject(sandbox.Fault{Kind: sandbox.Garbage, Route: "GET /api/ext/users/{id}", Times: -1})
		r.downgrade()
		r.drop()
		r.reconcile()
		r.drop()
		r.outcomes()
		r.relay(r.spelled("email", "taro@mail.example"), "new")
		r.wantOutcome("created")
		if !strings.Contains(r.log.String(), "linked member not readable") {
			t.Error("nobody is told")
		}
	})
}
