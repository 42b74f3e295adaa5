package export_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"hikyaku/internal/pagination"
)

// A list is a source in memory that may move between requests. Its order is
// immutable: by number.
type list struct {
	mu     sync.Mutex
	rows   []int // ascending
	paging pagination.Paging
	clamp  int  // the most rows a page has; 0: as asked
	fixed  bool // the page size asked for is ignored: always clamp
	render func(n int) string
	wrap   func(rows []string) string
	edit   func(l *list, request int) // before each request, the lock held
	timed  bool                       // by cursor: it shows what was changed in the window
	strict bool                       // an unknown cursor is answered with an empty page
	broken map[int]bool               // rows that break the page they are on
	cut    func(request int, body string) string
	calls  []pagination.Query
	fail   func(request int) error
}

func newList(paging pagination.Paging, n int) *list {
	l := &list{paging: paging, render: record, wrap: func(rows []string) string { return `{"items":[` + strings.Join(rows, ",") + `]}` }}
	for i := range n {
		l.rows = append(l.rows, 1000*(i+1))
	}
	return l
}

func record(n int) string {
	return fmt.Sprintf(`{"id":"r%07d","name":"山田 花子 %d","total":%d.50,"tags":["a","b"]}`, n, n, n)
}

func (l *list) Page(ctx context.Context, q pagination.Query) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	request := len(l.calls)
	l.calls = append(l.calls, q)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if l.edit != nil {
		l.edit(l, request)
	}
	if l.fail != nil {
		if err := l.fail(request); err != nil {
			return nil, err
		}
	}
	var out []string
	for _, n := range l.page(q) {
		if l.broken[n] {
			out = append(out, fmt.Sprintf(`{"id":"r%07d","total":NaN}`, n))
			continue
		}
		out = append(out, l.render(n))
	}
	body := l.wrap(out)
	if l.cut != nil {
		body = l.cut(request, body)
	}
	return []byte(body), nil
}

func (l *list) page(q pagination.Query) []int {
	limit := q.Limit
	if l.clamp > 0 && (limit > l.clamp || l.fixed) {
		limit = l.clamp
	}
	start := q.Start
	switch l.paging {
	case pagination.Unpaged:
		return l.rows
	case pagination.ByPage:
		start = (q.Page - 1) * limit
	case pagination.ByCursor:
		start = 0
		rows := slices.Clone(l.rows)
		if l.timed {
			rows = slices.DeleteFunc(rows, func(n int) bool { return changedAt(n).Before(q.From) || changedAt(n).After(q.To) })
		}
		if q.After != "" {
			n, _ := strconv.Atoi(strings.TrimPrefix(q.After, "r"))
			var there bool
			if _, there = slices.BinarySearch(rows, n); l.strict && !there {
				return nil
			}
			start, _ = slices.BinarySearch(rows, n+1)
		}
		return rows[min(start, len(rows)):min(start+limit, len(rows))]
	default: // by offset
	}
	start = min(start, len(l.rows))
	return l.rows[start:min(start+limit, len(l.rows))]
}

// changedAt is when a row of a timed list was changed: the first ones lie in
// the window of a run that is due then.
func changedAt(n int) time.Time { return due.Add(-24*time.Hour + time.Duration(n)*time.Second) }

// insert adds a row of a new number near index i; remove takes one away.
func (l *list) insert(r *rand.Rand, i int) {
	low := 0
	if i > 0 {
		low = l.rows[i-1]
	}
	high := low + 1000
	if i < len(l.rows) {
		high = l.rows[i]
	}
	if high-low < 2 {
		return
	}
	l.rows = slices.Insert(l.rows, i, low+1+r.IntN(high-low-1))
}

func (l *list) remove(i int) { l.rows = slices.Delete(l.rows, i, i+1) }

func (l *list) requests() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.calls)
}

func id(n int) string { return fmt.Sprintf("r%07d", n) }
