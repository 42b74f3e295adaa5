package proveexport

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
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
