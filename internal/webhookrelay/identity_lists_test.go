package webhookrelay_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/webhookrelay/reconcile"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// byHand is a member that a person made in Yappli.
func (r *rig) byHand(unique, name string) yapplitest.Member {
	r.t.Helper()
	r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": unique, "column01": name}})
	return r.member(unique)
}

// reconcileWhile lets something happen once users and rows are listed, and the
// members not yet.
func (r *rig) reconcileWhile(happens func()) {
	r.t.Helper()
	var once sync.Once
	r.transport = roundTripper(func(q *http.Request) (*http.Response, error) {
		if q.Method == http.MethodGet && q.URL.Path == "/api/ext/users" {
			once.Do(happens)
		}
		return both{r.shop, r.crm}.RoundTrip(q)
	})
	r.reconcile()
	r.transport = nil
}

// What a list shows of a member, claimed or not, counts for every user that
// asks for its identity: no member is made twice, and each goes to its user.
func TestIdentity_OfAMemberWhomAListShows(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(t *testing.T, r *rig, owner int64)
		want    string
	}{
		"its claim is another's than the first one's": {func(_ *testing.T, r *rig, _ int64) {
			r.byHand("C-1", "手")
			r.shop.Quiet().ChangeUser(r.earlier, map[string]any{"field_2": "C-1"})
		}, "戌"},
		"the owner of its claim was gone and comes back": {func(_ *testing.T, r *rig, owner int64) {
			r.shop.DeleteUser(owner)
			r.byHand("C-1", "手")
			r.reconcile()
			r.drop()
			r.shop.RestoreUser(owner)
			r.relay(owner, "change")
		}, "戌"},
		"the owner of its claim asked for another meanwhile": {func(_ *testing.T, r *rig, owner int64) {
			r.relay(r.numbered("酉", "C-2"), "new")
			r.shop.Quiet().ChangeUser(owner, map[string]any{"field_2": "C-2"}) // which it does not get
			r.relay(owner, "change")
			r.drop()
			r.byHand("C-1", "手")
			r.reconcile()
			r.mends()
			r.shop.Quiet().ChangeUser(owner, map[string]any{"field_2": "C-1"})
			r.relay(owner, "change")
		}, "戌"},
		"the owner of its claim has no identity now": {func(_ *testing.T, r *rig, owner int64) {
			r.shop.Quiet().ChangeUser(owner, map[string]any{"field_2": nil})
			r.byHand("C-1", "手")
		}, "手"},
		"nor now, but another has": {func(_ *testing.T, r *rig, owner int64) {
			r.shop.Quiet().ChangeUser(owner, map[string]any{"field_2": nil})
			r.byHand("C-1", "手")
			r.numbered("亥", "C-1")
		}, "亥"},
		"it is linked by another identity": {func(t *testing.T, r *rig, owner int64) {
			r.relay(r.numbered("酉", "C-3"), "new")
			r.mends()
			m := r.member("C-3")
			m.Values["unique_id"] = "C-1"
			r.crm.Put(m)
			r.reconcile()
			r.outcomes()
			r.relay(owner, "change")
			r.mends()
			r.wantOutcome("duplicate_identity")
		}, "酉"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.earlier = r.person("申")
				c.happens(t, r, claimed(t, r))
				for range 3 {
					time.Sleep(time.Hour)
					r.reconcile()
					r.mends()
				}
				r.wantField("C-1", "column01", c.want)
			})
		})
	}
}

// A list that shows a member that the relay makes meanwhile takes no identity away.
func TestIdentity_StaysWithOneMadeWhileTheListsAreRead(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.identity = tenant.Identity{By: "field_2"}
		r.reconcile()
		r.reconcileWhile(func() {
			r.relay(r.numbered("一", "X"), "new")
			r.wantOutcome("created")
		})
		r.relay(r.numbered("二", "X"), "new")
		r.wantOutcome("duplicate_identity")
		r.wantField("X", "column01", "一")
	})
}

// A row that says another identity than the list is older or newer: the relay
// finds out which, though the member shows no difference.
func TestIdentity_OfAnOldRowGivesWay(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		owner := claimed(t, r)
		r.shop.Quiet().ChangeUser(owner, map[string]any{"field_2": "C-9"})
		r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "C-9", "login_id": "戌@mail.example", "column01": "戌", "column02": "+819010000000"}})
		time.Sleep(time.Hour)
		r.reconcile()
		r.mends()
		r.shop.DeleteUser(owner)
		r.relay(owner, "delete")
		r.wantField("C-9", "enabled", "0")
	})
}

// deadBeforeRow lets an invocation take the lease and nothing after an identity.
type deadBeforeRow struct {
	objectstore.Store

	leased bool
}

func (s *deadBeforeRow) Put(ctx context.Context, o objectstore.Object) (string, error) {
	lease := strings.HasSuffix(o.Key, "/reconcile-lease")
	if s.leased && lease || strings.Contains(o.Key, "/rows/") || strings.Contains(o.Key, "/reconcile/") {
		return "", errors.New("dead")
	}
	s.leased = s.leased || lease
	return s.Store.Put(ctx, o)
}

// A list of users may be older than the user: one that was corrected since is not
// linked by it, and keeps no other from the identity.
func TestIdentity_IsNotKeptByWhomAnOlderListShows(t *testing.T) {
	corrected := func(r *rig, user int64) { r.shop.Quiet().ChangeUser(user, map[string]any{"field_2": "Z"}) }
	fails := func(r *rig, user int64) {
		r.crm.Inject(sandbox.Fault{Kind: sandbox.TooMany, Route: "POST /api/ext/users"})
		r.relay(user, "change")
	}
	during := func(r *rig, user int64, happens func()) {
		r.reconcileWhile(func() {
			corrected(r, user)
			happens()
		})
	}
	for name, lists := range map[string]func(r *rig, user int64){
		"who has a member of the other by now": func(r *rig, user int64) {
			during(r, user, func() { r.relay(user, "change") })
		},
		"who has claimed the other by now": func(r *rig, user int64) {
			during(r, user, func() { fails(r, user) })
		},
		"who had claimed this, and has claimed the other by now": func(r *rig, user int64) {
			fails(r, user)
			time.Sleep(time.Minute)
			r.drop()
			during(r, user, func() { fails(r, user) })
		},
		"of a run that died": func(r *rig, user int64) {
			whole := r.objects
			r.objects = &deadBeforeRow{Store: whole}
			if _, err := reconcile.New(r.stack(), r.queue).Run(context.Background(), false); err == nil {
				r.t.Fatal("the run did not die")
			}
			r.objects = whole
			corrected(r, user)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.identity = tenant.Identity{By: "field_2"}
				r.reconcile()
				user := r.numbered("一", "X")
				r.byHand("X", "二の手")
				lists(r, user)
				r.numbered("二", "X")
				for range 4 {
					time.Sleep(3 * time.Hour)
					r.reconcile()
					r.mends()
				}
				r.wantField("X", "column01", "二")
				r.wantField("Z", "column01", "一")
			})
		})
	}
}
