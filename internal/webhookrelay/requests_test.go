package webhookrelay_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"hikyaku/internal/objectstore"
	"hikyaku/pkg/providers/sandbox"
)

// A door counts the requests of a job to the store and to the providers.
type door struct {
	objectstore.Store
	http.RoundTripper

	mu                 sync.Mutex
	reads, puts, calls int
}

func (d *door) Get(ctx context.Context, key string) (objectstore.Info, io.ReadCloser, error) {
	d.mu.Lock()
	d.reads++
	d.mu.Unlock()
	return d.Store.Get(ctx, key)
}

func (d *door) Put(ctx context.Context, o objectstore.Object) (string, error) {
	d.mu.Lock()
	d.puts++
	d.mu.Unlock()
	return d.Store.Put(ctx, o)
}

func (d *door) RoundTrip(r *http.Request) (*http.Response, error) {
	d.mu.Lock()
	d.calls++
	d.mu.Unlock()
	return d.RoundTripper.RoundTrip(r)
}

// TestRelay_AsksNoMoreThanBefore counts each outcome's job, with the read of the
// key that opens a stack. The figures are those of commit ee17bce, where a
// member who existed was linked at once.
func TestRelay_AsksNoMoreThanBefore(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(r *rig) int64
		want    string // reads and writes of objects, calls of providers
	}{
		"created":       {func(r *rig) int64 { r.reconcile(); return r.person("新") }, "4 3 3"},
		"unchanged":     {func(r *rig) int64 { return r.linked("甲") }, "2 0 1"},
		"updated":       {func(r *rig) int64 { return r.changed(r.linked("甲")) }, "2 2 3"},
		"awaiting_list": {func(r *rig) int64 { return r.person("新") }, "4 1 1"},
		"gone_unlinked": {func(r *rig) int64 { user := r.person("去"); r.shop.DeleteUser(user); return user }, "2 0 2"},
		"disabled":      {func(r *rig) int64 { user := r.linked("去"); r.shop.DeleteUser(user); return user }, "3 3 6"},
		"duplicate_identity": {func(r *rig) int64 {
			r.identity.By = "field_2"
			r.reconcile()
			r.relay(r.numbered("一", "A"), "new")
			return r.numbered("二", "A")
		}, "5 2 2"},
		"no_identity": {func(r *rig) int64 { r.identity.By = "field_2"; return r.person("無") }, "2 0 1"},
		"unresolved": {func(r *rig) int64 {
			r.reconcile()
			r.crm.Inject(sandbox.Fault{Kind: sandbox.Lost, Route: "POST /api/ext/users"})
			return r.person("新")
		}, "5 3 3"},
		"linked": {func(r *rig) int64 { // by the identity alone
			r.identity.By = "field_2"
			r.byHand("ss-A", "古")
			r.reconcile()
			return r.numbered("新", "A")
		}, "4 4 4"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				user := c.happens(r)
				r.stack() // makes its key
				r.drop()
				r.outcomes()
				time.Sleep(time.Hour)
				d := &door{Store: r.objects, RoundTripper: both{r.shop, r.crm}}
				r.objects, r.transport = d, d
				r.relay(user, "change")
				r.wantOutcome(name)
				if got := fmt.Sprint(d.reads, d.puts, d.calls); got != c.want {
					t.Errorf("%s asks %s, before it was %s", name, got, c.want)
				}
			})
		})
	}
}

func (r *rig) changed(user int64) int64 {
	r.shop.ChangeUser(user, map[string]any{"full_name": "改"})
	return user
}
