package proverelay

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// roundTripTime is what a request to the object store takes in a region.
const roundTripTime = 30 * time.Millisecond

// TestPairs lets one run find that many members bear the identities of users,
// and a second the same again; then a person lists them.
func TestPairs(t *testing.T) {
	t.Parallel()
	n := prove.Size(10_000, prove.Sample(500, 150))
	var puts atomic.Int64
	var remote atomic.Bool
	o := options{users: n, members: -1, unlimited: true, vars: map[string]string{"HIKYAKU_LINK": "approve"}, aws: func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(q *http.Request) (*http.Response, error) {
			if q.Method == http.MethodPut && strings.Contains(q.URL.Path, "/pairs/") {
				puts.Add(1)
			}
			if remote.Load() {
				time.Sleep(roundTripTime)
			}
			return next.RoundTrip(q)
		})
	}}
	inBubble(t, o, func(r *rig) {
		for _, id := range r.ids() {
			r.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": fmt.Sprintf("ss-%d", id), "column01": "別人"}})
		}
		first := r.reconcile()
		second := r.reconcile()
		waiting := first.AwaitingApproval
		prove.Figure(t, waiting == n && second.AwaitingApproval == n && first.Sent+second.Sent == 0 && puts.Load() == int64(n) && r.crm.Count("PUT /api/ext/users/{id}") == 0,
			fmt.Sprintf("%d users whose identities members bear, found by two runs", n), "each proposed with one write, no member changed", "%d proposed, %d writes, %d sent", waiting, puts.Load(), first.Sent+second.Sent)
		vars := r.template.Variables(localstack.Resource(localstack.Reconcile))
		maps.Copy(vars, r.vars)
		f, err := relayfn.New(r.Context(), lambdafn.Environ{Vars: vars, Out: io.Discard, HTTP: r.toProviders(), AWS: r.toAWS()})
		if err != nil {
			t.Fatal(err)
		}
		links, err := f.Links(r.Context())
		if err != nil {
			t.Fatal(err)
		}
		remote.Store(true)
		began := time.Now()
		pairs, err := links.Waiting(r.Context())
		took := time.Since(began)
		prove.Figure(t, err == nil && len(pairs) == n && took < time.Minute, fmt.Sprintf("listing them, %v for each request", roundTripTime), "all within 60 s", "%d in %v, %v", len(pairs), took.Round(time.Second/10), err)
	})
}
