package webhookrelay_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/webhookrelay/tenant"
)

func TestReconcile_CreationsCanWaitForANewerList(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.settings.CreateAfterList = true
		r.identity = tenant.Identity{By: "field_2"}
		r.reconcile()
		r.drop()
		time.Sleep(time.Minute)
		user := r.person("申")
		r.shop.ChangeUser(user, map[string]any{"field_2": "B-1"})
		r.relay(user, "new")
		r.wantOutcome("awaiting_list")
		time.Sleep(3 * time.Minute)
		r.reconcile()
		time.Sleep(time.Hour)
		r.work()
		if got := r.outcomes(); got["created"] == 0 {
			t.Fatalf("outcomes = %v, want the creation", got)
		}
		r.wantField("B-1", "column01", "申")
	})
}

// A user that Yappli refuses is no reason for one list after the other.
func TestReconcile_OfARefusedCreationEnds(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.identity, r.settings.CreateAfterList = tenant.Identity{By: "field_2"}, true
		r.numbered("一", "X")
		r.byHand("other", "他")
		r.transport = roundTripper(func(q *http.Request) (*http.Response, error) {
			if q.Method == http.MethodPost && strings.HasSuffix(q.URL.Path, "/api/ext/users") {
				return &http.Response{StatusCode: http.StatusBadRequest, Body: io.NopCloser(strings.NewReader("{}")), Request: q}, nil
			}
			return both{r.shop, r.crm}.RoundTrip(q)
		})
		r.reconcile()
		lists := 0
		for range 72 {
			time.Sleep(10 * time.Minute)
			r.work()
			if r.reconciles(true) != nil {
				lists++
			}
		}
		if lists > 4 || r.queue.len() > 0 || r.dead.len() > 4 {
			t.Fatalf("%d lists, %d queued, %d dead, want it to end", lists, r.queue.len(), r.dead.len())
		}
	})
}

// A list that began after the event, but within its lag, may not show yet whom
// a person made before it.
func TestReconcile_CreationsWaitForTheLag(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.settings.CreateAfterList = true
		r.identity = tenant.Identity{By: "field_2"}
		r.byHand("other", "他")
		r.reconcile()
		made := r.byHand("B-1", "手").ID
		r.send(r.numbered("申", "B-1"), "new")
		shown := time.Now().Add(2 * time.Minute)
		time.Sleep(time.Minute)
		r.crm.Skip = func(id string) bool { return id == made && time.Now().Before(shown) }
		r.reconcile()
		r.work()
		r.mends()
		r.wantField("B-1", "column01", "申")
	})
}
