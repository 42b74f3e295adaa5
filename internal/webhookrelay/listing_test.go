package webhookrelay_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/webhookrelay/reconcile"
	"hikyaku/pkg/providers"
)

// TestReconcile_OfAServerThatLowersThePageSize: a member after the first page
// is found all the same, and is not created again.
func TestReconcile_OfAServerThatLowersThePageSize(t *testing.T) {
	for name, c := range map[string]struct {
		quirks     string
		generation int
		most       int
	}{
		"offset":              {`{"update":"partial","page_size":200}`, 1, 50},
		"page":                {`{"update":"partial","paging":"page","page_size":200,"body":"json"}`, 3, 50},
		"page, as configured": {`{"update":"partial","paging":"page","page_size":10,"body":"json"}`, 3, 10},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.quirks, r.crm.Generation, r.crm.MaxPage = c.quirks, c.generation, c.most
				r.populate(160)
				r.reconcile()
				r.settleAll()
				again := r.reconcile()
				if n := len(r.crm.Members()); n != 161 || again.Members != 161 || again.Matched != 161 || again.Drift != 0 || again.Sent != 0 {
					t.Fatalf("%d members, report = %+v; want 161 and nothing to do", n, again)
				}
			})
		})
	}
}

// TestReconcile_RefusesTheWrongQuirk: a tenant that ignores how it is asked is
// no tenant of few members, and no reconcile without an end.
func TestReconcile_RefusesTheWrongQuirk(t *testing.T) {
	for name, c := range map[string]struct {
		quirks     string
		generation int
	}{
		"pages asked of an offset server":       {`{"update":"partial","paging":"page"}`, 1},
		"large pages asked of an offset server": {`{"update":"partial","paging":"page","page_size":200}`, 1},
		"offsets asked of a page server":        {`{"update":"partial","body":"json"}`, 3},
		"large offsets asked of a page server":  {`{"update":"partial","body":"json","page_size":200}`, 3},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.quirks, r.crm.Generation = c.quirks, c.generation
				r.populate(120)
				before := r.crm.Count("GET /api/ext/users")
				ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
				defer cancel()
				result, err := reconcile.New(r.stack(), r.queue).Run(ctx, false)
				if !errors.Is(err, providers.ErrInvalid) || !strings.Contains(err.Error(), "quirk paging") {
					t.Fatalf("result = %+v, %v; want ErrInvalid that names the quirk", result, err)
				}
				if n := r.crm.Count("GET /api/ext/users") - before; n > 30 || r.queue.len() > 0 {
					t.Fatalf("%d requests, %d messages", n, r.queue.len())
				}
				r.quirks, r.crm.Generation = `{"update":"partial"}`, 1 // repaired: what was read is not gone on with
				lists := r.shop.Count("GET /api/users.json")
				if report := r.reconcile(); r.shop.Count("GET /api/users.json") == lists || report.Members != len(r.crm.Members()) || report.Drift != 0 || report.Matched+report.Missing != 121 {
					t.Fatalf("report after the repair = %+v", report)
				}
			})
		})
	}
}
