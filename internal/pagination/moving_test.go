package pagination_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/pagination"
	"hikyaku/internal/prove"
	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
)

// A list is a source in memory that may move between requests. Its order is
// immutable, by number, unless shuffle changes it.
type list struct {
	paging        pagination.Paging
	rows          []int
	size          int // rows of a page as asked for
	clamp         int // the most rows a page has; 0: as asked
	fixed         bool
	edit          func(l *list, request int)
	shuffle       func(request int, q pagination.Query, rows []int) []int
	answer        func(request int, q pagination.Query, l jsonscan.List) (jsonscan.List, error)
	bad           map[int]error // records that spoil the answer they are in
	changed       map[int]int   // how often a record has been changed
	strict        bool          // an unknown cursor is answered with an empty page
	ignoresNumber bool          // a list by cursor knows no page numbers
	asked         []pagination.Query
	now           time.Time
}

func newList(paging pagination.Paging, n, size int) *list {
	l := &list{paging: paging, size: size, now: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}
	for i := range n {
		l.rows = append(l.rows, 1000*(i+1))
	}
	return l
}

func (l *list) source() pagination.Source {
	return pagination.Source{Paging: l.paging, PageSize: l.size, Fetch: l.fetch, Release: poison}
}

// poison overwrites a released buffer, so that a use after release is seen.
func poison(body []byte) {
	body = body[:cap(body)]
	for i := range body {
		body[i] = '!'
	}
}

func (l *list) fetch(_ context.Context, q pagination.Query) (jsonscan.List, error) {
	request := len(l.asked)
	if l.asked = append(l.asked, q); request > 5000 {
		return jsonscan.List{}, errors.New("the list is read for ever")
	}
	if l.edit != nil {
		l.edit(l, request)
	}
	rows := l.page(request, q)
	for _, n := range rows {
		if err := l.bad[n]; err != nil {
			return jsonscan.List{}, err
		}
	}
	list := jsonscan.List{Total: -1}
	for _, n := range rows {
		start := len(list.Body)
		list.Body = fmt.Appendf(list.Body, `{"id":"r%07d","changed":%d}`, n, l.changed[n])
		list.Records = append(list.Records, jsonscan.Record{Start: start, End: len(list.Body)})
		list.Body = append(list.Body, '\n')
	}
	for i, r := range list.Records { // which lie in the body, as those of a real answer do
		from := r.Start + len(`{"id":"`)
		list.Records[i].ID = list.Body[from : from+len("r0000000")]
	}
	if l.answer != nil {
		return l.answer(request, q, list)
	}
	return list, nil
}

func (l *list) page(request int, q pagination.Query) []int {
	rows := l.rows
	if l.shuffle != nil {
		rows = l.shuffle(request, q, slices.Clone(rows))
	}
	limit := q.Limit
	if l.clamp > 0 && (limit > l.clamp || l.fixed) {
		limit = l.clamp
	}
	start := q.Start
	switch l.paging {
	case pagination.ByPage, pagination.ByFixedPage:
		start = (q.Page - 1) * limit
	case pagination.ByCursor:
		start = 0
		rows = slices.Clone(rows)
		if !q.From.IsZero() || !q.To.IsZero() {
			rows = slices.DeleteFunc(rows, func(n int) bool {
				at := l.now.Add(time.Duration(n) * time.Second / 1000)
				return !q.From.IsZero() && at.Before(q.From) || !q.To.IsZero() && at.After(q.To)
			})
		}
		if q.Page > 0 && !l.ignoresNumber {
			start = (q.Page - 1) * limit
		}
		if q.After != "" {
			n, _ := strconv.Atoi(strings.TrimPrefix(q.After, "r"))
			if !slices.Contains(rows, n) && l.strict {
				return nil
			}
			start, _ = slices.BinarySearch(rows, n+1)
		}
	default: // by offset
	}
	start = min(start, len(rows))
	return rows[start:min(start+limit, len(rows))]
}

// reading is what a run made of a list.
type reading struct {
	got     map[string]int
	rejects []pagination.Row
	drift   pagination.Drift
	at      pagination.Position
	settled bool
}

// read reads a list as an export does: looks again, up to three times, while
// it is not settled.
func read(t *testing.T, l *list, unordered bool) reading {
	t.Helper()
	r := reading{got: map[string]int{}}
	known := pagination.NewKnown(pagination.Everything)
	now := l.now
	at := pagination.Position{}
	for waits := 0; ; {
		reader := pagination.NewReader(l.source(), pagination.Window{From: l.now, To: l.now.Add(time.Hour)}, at, known, &r.drift, pagination.Options{Now: func() time.Time { return now }})
		var err error
		for err == nil {
			var p pagination.Page
			if p, err = reader.Next(t.Context()); err == nil {
				for _, row := range p.Rows {
					if row.Fault != "" {
						r.rejects = append(r.rejects, row)
						continue
					}
					r.got[string(row.ID)]++
				}
			}
		}
		at = reader.Position()
		reader.Close()
		var wait *pagination.WaitError
		if errors.As(err, &wait) && waits < 100 {
			now = wait.Until
			waits++
			continue
		}
		if !errors.Is(err, io.EOF) {
			t.Fatalf("%s, clamp %d, %d rows, bad %v: %v after %d requests, the last of which were %s", l.paging, l.clamp, len(l.rows), l.bad, err, len(l.asked), brief(l.asked))
		}
		if r.at = at; at.Settled(unordered) || at.Look == 3 {
			r.settled = at.Settled(unordered)
			return r
		}
		at = at.Again()
	}
}

func id(n int) string { return fmt.Sprintf("r%07d", n) }

var ways = []pagination.Paging{pagination.ByOffset, pagination.ByPage, pagination.ByFixedPage, pagination.ByCursor}

// TestStill reads lists that stand still, of every length around a page's.
func TestStill(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		for _, clamp := range []int{0, 7, 3, 1} {
			for rows := range 45 {
				l := newList(way, rows, 10)
				l.clamp = clamp
				l.fixed = way == pagination.ByFixedPage && clamp > 0
				r := read(t, l, false)
				for _, n := range l.rows {
					if r.got[id(n)] != 1 {
						t.Errorf("%s, clamp %d, %d rows: row %d is there %d times", way, clamp, rows, n, r.got[id(n)])
					}
				}
				if !r.settled || r.drift.Unresolved > 0 {
					t.Errorf("%s, clamp %d, %d rows: not settled: %+v %+v", way, clamp, rows, r.at.Signs, r.drift)
				}
			}
		}
	}
}

// TestMoving edits the list before a third of the requests. A row that lived
// through the whole run must be there, and nothing healthy is doubted.
func TestMoving(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		for _, clamp := range []int{0, 7} {
			for seed := range prove.Size(1000, prove.Sample(40, 20)) {
				random := rand.New(rand.NewPCG(uint64(seed), 1))
				l := newList(way, 150, 10)
				l.clamp = clamp
				l.fixed = way == pagination.ByFixedPage && clamp > 0
				lived := map[int]bool{}
				for _, n := range l.rows {
					lived[n] = true
				}
				l.edit = func(l *list, request int) {
					if request == 0 || random.IntN(3) > 0 {
						return
					}
					kind := random.IntN(3)
					if kind != 0 {
						at := random.IntN(len(l.rows))
						delete(lived, l.rows[at])
						l.rows = slices.Delete(l.rows, at, at+1)
					}
					if kind != 1 {
						at := random.IntN(len(l.rows))
						low := 0
						if at > 0 {
							low = l.rows[at-1]
						}
						if high := l.rows[at]; high-low > 1 {
							l.rows = slices.Insert(l.rows, at, low+1+random.IntN(high-low-1))
						}
					}
				}
				r := read(t, l, false)
				for n := range lived {
					if r.got[id(n)] != 1 {
						t.Errorf("%s, clamp %d, seed %d: row %d is there %d times", way, clamp, seed, n, r.got[id(n)])
					}
				}
				for name, n := range r.got {
					if n > 1 {
						t.Errorf("%s, clamp %d, seed %d: row %s is there %d times", way, clamp, seed, name, n)
					}
				}
				if !r.settled {
					t.Errorf("%s, clamp %d, seed %d: in doubt: look %d, %+v, %+v", way, clamp, seed, r.at.Look, r.at.Signs, r.drift)
				}
			}
		}
	}
}

// TestChanging reads a list in the order of its last changes, oldest or newest
// first, while a row changes before every third request: all rows are there, and
// the list is not doubted, although its end or its beginning is another one each
// time.
func TestChanging(t *testing.T) {
	t.Parallel()
	for _, way := range []pagination.Paging{pagination.ByOffset, pagination.ByPage} {
		for _, newestFirst := range []bool{false, true} {
			for seed := range uint64(prove.Size(1000, prove.Sample(40, 20))) {
				random := rand.New(rand.NewPCG(seed, 3))
				l := newList(way, 20+random.IntN(60), 4+random.IntN(12))
				l.changed = map[int]int{}
				l.edit = func(l *list, request int) {
					if request%3 > 0 {
						return
					}
					at := random.IntN(len(l.rows))
					n := l.rows[at]
					l.changed[n]++
					l.rows = slices.Delete(l.rows, at, at+1)
					if newestFirst {
						l.rows = slices.Insert(l.rows, 0, n)
					} else {
						l.rows = append(l.rows, n)
					}
				}
				r := read(t, l, false)
				if !r.complete(l) || !r.settled {
					t.Errorf("%s, newest first %t, seed %d: settled %t with %d of %d rows: look %d, %+v", way, newestFirst, seed, r.settled, len(r.got), len(l.rows), r.at.Look, r.at.Signs)
				}
			}
		}
	}
}

// TestBadRecords: each is narrowed down and rejected, and nothing else is.
func TestBadRecords(t *testing.T) {
	t.Parallel()
	kinds := map[string]error{
		"no list":   &providers.Error{Status: 200, Kind: fmt.Errorf("%w: %w", providers.ErrTemporary, jsonscan.ErrNotAList)},
		"500":       &providers.Error{Status: 500, Kind: providers.ErrTemporary},
		"too large": &providers.Error{Status: 200, Kind: providers.ErrTooLarge},
	}
	for _, way := range []pagination.Paging{pagination.ByOffset, pagination.ByPage, pagination.ByCursor} {
		for _, name := range []string{"no list", "500", "too large"} {
			err := kinds[name]
			for _, bad := range [][]int{{1}, {17}, {40}, {16, 17}, {1, 2, 3}, {39, 40}, {5, 20, 33}, {1, 40}} {
				l := newList(way, 40, 10)
				l.bad = map[int]error{}
				for _, n := range bad {
					l.bad[1000*n] = err
				}
				r := read(t, l, false)
				for _, n := range l.rows {
					if want := 1 - map[bool]int{true: 1}[l.bad[n] != nil]; r.got[id(n)] != want {
						t.Errorf("%s, %s %v: row %d is there %d times", way, name, bad, n, r.got[id(n)])
					}
				}
				if len(r.rejects) != len(bad) || !r.settled {
					t.Errorf("%s, %s %v: %d rejects, settled %t: %+v", way, name, bad, len(r.rejects), r.settled, r.rejects)
				}
			}
		}
	}
}

// TestBadRecords_OfOneSecond: those after them are asked for by their number.
func TestBadRecords_OfOneSecond(t *testing.T) {
	t.Parallel()
	failure := &providers.Error{Status: 500, Kind: providers.ErrTemporary}
	for _, ignores := range []bool{false, true} {
		for _, bad := range [][]int{{1}, {2}, {17}, {40}, {16, 17}, {16, 18}, {1, 2, 3}, {39, 40}, {5, 20, 33}, {1, 40}} {
			l := newList(pagination.ByCursor, 0, 10)
			for n := range 40 {
				l.rows = append(l.rows, 7000+n+1)
			}
			l.bad = map[int]error{}
			for _, n := range bad {
				l.bad[7000+n] = failure
			}
			l.ignoresNumber = ignores
			r := read(t, l, false)
			if ignores { // the rows after the first bad one cannot be asked for
				if len(r.got) != bad[0]-1 || len(r.rejects) != 1 {
					t.Errorf("bad %v, of a server that ignores numbers: %d rows, %d rejects", bad, len(r.got), len(r.rejects))
				}
				continue
			}
			if len(r.got) != 40-len(bad) || len(r.rejects) != len(bad) || !r.settled || r.at.Signs.Unread > 0 {
				t.Errorf("bad %v: %d rows, %d rejects, settled %t: %+v", bad, len(r.got), len(r.rejects), r.settled, r.at.Signs)
			}
		}
	}
}

// brief names the last questions.
func brief(asked []pagination.Query) string {
	var b strings.Builder
	for _, q := range asked[max(0, len(asked)-20):] {
		fmt.Fprintf(&b, " {start %d limit %d page %d after %q}", q.Start, q.Limit, q.Page, q.After)
	}
	return b.String()
}
