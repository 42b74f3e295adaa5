package proveexport

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/pagination"
)

// A slowList answers after a log-normal time, and counts what it has in flight.
// Time is a bubble's.
type slowList struct {
	rows   int
	after  func(request int) time.Duration
	mu     sync.Mutex
	asked  int
	spent  time.Duration // the sum of all latencies
	paging pagination.Paging
}

func (l *slowList) Page(ctx context.Context, q pagination.Query) ([]byte, error) {
	l.mu.Lock()
	wait := l.after(l.asked)
	l.asked++
	l.spent += wait
	l.mu.Unlock()
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	start := q.Start
	if l.paging == pagination.ByCursor {
		start = 0
		_, _ = fmt.Sscanf(q.After, "r%d", &start)
	}
	var out []string
	for n := start; n < min(start+q.Limit, l.rows); n++ {
		out = append(out, fmt.Sprintf(`{"id":"r%07d"}`, n+1))
	}
	return []byte(`{"items":[` + strings.Join(out, ",") + `]}`), nil
}

// exporter is one over a source, in memory.
func exporter(t *testing.T, feed export.Feed, flight int) (*export.Exporter, *objectstore.Memory) {
	t.Helper()
	store := &objectstore.Memory{}
	return exporterTo(store, feed, export.Settings{Prefix: "p", Bucket: "b", InFlight: flight}), store
}

func exporterTo(store objectstore.Store, feed export.Feed, s export.Settings) *export.Exporter {
	n := 0
	return export.New(s, export.Seams{
		Store: store, Now: time.Now, NewID: func() string { n++; return fmt.Sprint("holder", n) },
		Open: func(context.Context, export.Dataset, []string, string) (export.Feed, error) { return feed, nil },
	})
}

func TestOverlap(t *testing.T) {
	for _, c := range []struct {
		paging pagination.Paging
		flight int
	}{{pagination.ByOffset, 1}, {pagination.ByCursor, 4}} {
		synctest.Test(t, func(t *testing.T) {
			chance := random(uint64(c.flight))
			list := &slowList{rows: sized(200_000, 40_000), paging: c.paging, after: func(int) time.Duration {
				return time.Duration(100 * math.Exp(0.5*chance.NormFloat64()) * float64(time.Millisecond))
			}}
			e, _ := exporter(t, feedOf(list, c.paging, 100), c.flight)
			began := time.Now()
			a, err := e.Extract(t.Context(), runOf(t, "yappli/users", export.Trigger{Scheduled: at(1)}))
			if err != nil || a.Rows != list.rows {
				t.Fatalf("%d rows, %v", a.Rows, err)
			}
			took := time.Since(began)
			if c.paging == pagination.ByCursor {
				ratio := float64(took) / float64(list.spent)
				figure(t, ratio <= 1.05, "cursor source", "at most 1.05 of the sum of latencies", "%.3f over %d requests", ratio, list.asked)
				return
			}
			mean := float64(list.spent) / float64(took)
			figure(t, mean >= 0.9*float64(c.flight), fmt.Sprintf("overlap with %d in flight", c.flight), "at least 0.9 of what is asked", "mean %.2f over %d requests", mean, list.asked)
		})
	}
}
