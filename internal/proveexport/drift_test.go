package proveexport

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"hikyaku/internal/export"
)

// A movingList is edited before requests: rows come, go, and cancel out.
type movingList struct {
	mu    sync.Mutex
	rows  []int
	edit  func(*movingList)
	asked int
}

func (l *movingList) Page(_ context.Context, q export.Query) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asked++; l.asked > 1 {
		l.edit(l)
	}
	start := min(q.Start, len(l.rows))
	var out []string
	for _, n := range l.rows[start:min(start+q.Limit, len(l.rows))] {
		out = append(out, fmt.Sprintf(`{"id":"%d"}`, n))
	}
	return []byte(`{"items":[` + strings.Join(out, ",") + `]}`), nil
}

// moving returns a list of rows, and those that will have lived through.
func moving(part uint64) (*movingList, map[int]bool) {
	chance := random(1000 + part)
	lived := map[int]bool{}
	l := &movingList{}
	for n := range 300 {
		l.rows = append(l.rows, 1000*(n+1))
		lived[1000*(n+1)] = true
	}
	l.edit = func(l *movingList) {
		kind := chance.IntN(6)
		if kind < 2 { // gone, or gone and another come
			i := chance.IntN(len(l.rows))
			delete(lived, l.rows[i])
			l.rows = slices.Delete(l.rows, i, i+1)
		}
		if kind == 1 || kind == 2 {
			i := 1 + chance.IntN(len(l.rows)-1)
			if n := l.rows[i-1] + 1 + chance.IntN(500); n < l.rows[i] {
				l.rows = slices.Insert(l.rows, i, n)
			}
		}
	}
	return l, lived
}

// TestDrift reads moving lists with overlap, and by a reader without any.
func TestDrift(t *testing.T) {
	seeds := sized(1000, 50)
	missing, doubled, naive, shifted := 0, 0, 0, 0
	for s := range seeds {
		l, lived := moving(uint64(s))
		e, store := exporter(t, export.Feed{Source: l, Paging: export.ByOffset, PageSize: 10}, 3)
		a, err := e.Extract(t.Context(), runOf(t, "yappli/users", export.Trigger{Scheduled: at(1)}))
		if err != nil {
			t.Fatal(err)
		}
		r := &rig{TB: t, store: store}
		seen := map[string]int{}
		for _, line := range strings.FieldsFunc(string(r.object(r.verified(a.Manifest).Parts[0].Key)), func(c rune) bool { return c == '\n' }) {
			if seen[line]++; seen[line] > 1 {
				doubled++
			}
		}
		for n := range lived {
			if seen[fmt.Sprintf(`{"id":"%d"}`, n)] == 0 {
				missing++
			}
		}
		if a.Drift.Shifts > 0 {
			shifted++
		}
		naive += withoutOverlap(t, uint64(s))
	}
	figure(t, missing == 0 && doubled == 0, "drift", "no row that lived through missing or doubled",
		"%d missing, %d doubled in %d seeds, %d of which noticed a shift", missing, doubled, seeds, shifted)
	figure(t, naive*10 >= seeds*9, "drift without overlap", "rows lost or doubled in at least 90 % of the seeds", "in %d of %d", naive, seeds)
}

// withoutOverlap is the guard removed: each page begins where the one before
// ended. It returns 1 if a row is missing or there twice.
func withoutOverlap(t *testing.T, part uint64) int {
	t.Helper()
	l, lived := moving(part)
	seen := map[string]int{}
	for start := 0; ; {
		body, err := l.Page(t.Context(), export.Query{Start: start, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		rows := strings.Split(strings.TrimSuffix(strings.TrimPrefix(string(body), `{"items":[`), `]}`), ",")
		if rows[0] == "" {
			break
		}
		for _, row := range rows {
			if seen[row]++; seen[row] > 1 {
				return 1
			}
		}
		start += len(rows)
	}
	for n := range lived {
		if seen[fmt.Sprintf(`{"id":"%d"}`, n)] == 0 {
			return 1
		}
	}
	return 0
}
