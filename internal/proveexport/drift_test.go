package proveexport

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"hikyaku/internal/export"
	"hikyaku/internal/pagination"
)

// A movingList is edited before requests: rows come, go, and cancel out.
type movingList struct {
	mu    sync.Mutex
	rows  []int
	edit  func(*movingList)
	asked int

	paging pagination.Paging // ByPage: by number
	clamp  int               // the largest page, whatever is asked for; 0: any
	fixed  int               // the only size of a page; 0: any
	beyond int               // requests for pages after the end
}

func (l *movingList) Page(_ context.Context, q pagination.Query) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asked++; l.asked > 1 {
		l.edit(l)
	}
	size := q.Limit
	if l.fixed > 0 {
		size = l.fixed
	}
	if l.clamp > 0 {
		size = min(size, l.clamp)
	}
	start := q.Start
	if l.paging == pagination.ByPage {
		start = (q.Page - 1) * size
	}
	if start >= len(l.rows) {
		l.beyond++
	}
	start = min(start, len(l.rows))
	var out []string
	for _, n := range l.rows[start:min(start+size, len(l.rows))] {
		out = append(out, fmt.Sprintf(`{"id":"%d"}`, n))
	}
	return []byte(`{"items":[` + strings.Join(out, ",") + `]}`), nil
}

// moving returns a list of rows, and those that will have lived through.
func moving(paging pagination.Paging, clamp int, part uint64) (*movingList, map[int]bool) {
	chance := random(1000 + part)
	lived := map[int]bool{}
	l := &movingList{paging: paging, clamp: clamp}
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
	for _, c := range []struct {
		paging pagination.Paging
		clamp  int // of pages of 10 rows
	}{{pagination.ByOffset, 0}, {pagination.ByOffset, 7}, {pagination.ByPage, 0}, {pagination.ByPage, 7}} {
		seeds := sized(1000, 10)
		missing, doubled, naive, shifted := 0, 0, 0, 0
		for s := range seeds {
			l, lived := moving(c.paging, c.clamp, uint64(s))
			e, store := exporter(t, feedOf(l, c.paging, 10), 3)
			a, err := e.Extract(t.Context(), runOf(t, "yappli/users", export.Trigger{Scheduled: at(1)}))
			if err != nil {
				t.Fatal(err)
			}
			if a.Status != export.Done {
				t.Fatalf("%s, %d, seed %d: %s %+v", c.paging, c.clamp, s, a.Status, a.Doubts)
			}
			r := &rig{TB: t, store: store}
			seen := map[string]int{}
			for _, line := range r.rows(r.verified(a.Manifest)) {
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
			naive += withoutOverlap(t, c.paging, c.clamp, uint64(s))
		}
		name := fmt.Sprintf("drift, %s, pages of %d", c.paging, cmp.Or(c.clamp, 10))
		figure(t, missing == 0 && doubled == 0, name, "no row that lived through missing or doubled",
			"%d missing, %d doubled in %d seeds, %d of which noticed a shift", missing, doubled, seeds, shifted)
		figure(t, naive*10 >= seeds*9, name+", without overlap", "rows lost or doubled in at least 90 % of the seeds", "in %d of %d", naive, seeds)
	}
}

// withoutOverlap is the guard removed: each page begins where the one before
// ended. It returns 1 if a row is missing or there twice.
func withoutOverlap(t *testing.T, paging pagination.Paging, clamp int, part uint64) int {
	t.Helper()
	l, lived := moving(paging, clamp, part)
	seen := map[string]int{}
	for start, page := 0, 1; ; page++ {
		body, err := l.Page(t.Context(), pagination.Query{Start: start, Page: page, Limit: 10})
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
