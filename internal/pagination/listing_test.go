package pagination_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"testing"

	"hikyaku/internal/pagination"
	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
)

// once reads a list in one look, as a reconcile does: with a set that remembers
// little, and a new process for each so many pages (0: one for all).
func once(t *testing.T, l *list, each int) (rows []string, at pagination.Position, drift pagination.Drift, err error) {
	t.Helper()
	return onceWith(t, l, each, func() *pagination.Known { return pagination.NewKnown(3000) })
}

// onceWith does so with the set that each process begins with.
func onceWith(t *testing.T, l *list, each int, known func() *pagination.Known) (rows []string, at pagination.Position, drift pagination.Drift, err error) {
	t.Helper()
	for err == nil {
		reader := pagination.NewReader(l.source(), pagination.Window{}, at, known(), &drift, pagination.Options{})
		for n := 0; err == nil && (each == 0 || n < each); n++ {
			var p pagination.Page
			if p, err = reader.Next(context.Background()); err == nil {
				for _, row := range p.Rows {
					rows = append(rows, string(row.ID))
				}
			}
		}
		at = reader.Position()
		reader.Close()
		journal, _ := json.Marshal(at)
		at = pagination.Position{}
		if jerr := json.Unmarshal(journal, &at); jerr != nil {
			t.Fatal(jerr)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return rows, at, drift, err
}

func idsOf(rows []int) (ids []string) {
	for _, n := range rows {
		ids = append(ids, id(n))
	}
	return ids
}

var chosen = []pagination.Paging{pagination.ByOffset, pagination.ByPage}

// TestResumed reads still lists of any length, with servers that lower the
// size of a page, by another process for each page.
func TestResumed(t *testing.T) {
	t.Parallel()
	for _, way := range chosen {
		for _, clamp := range []int{10, 13, 37, 50, 0} {
			for _, n := range []int{0, 1, 2, 3, 4, 5, 9, 10, 11, 49, 50, 51, 60, 100, 199, 200, 201, 960, 1301} {
				for _, each := range []int{0, map[pagination.Paging]int{pagination.ByOffset: 1, pagination.ByPage: 3}[way]} {
					l := newList(way, n, 200)
					l.clamp = clamp
					rows, at, drift, err := once(t, l, each)
					if err != nil || !slices.Equal(rows, idsOf(l.rows)) || !at.Settled(false) || drift.Unresolved > 0 {
						t.Errorf("%s, clamp %d, %d a process: %d of %d rows, %v, %+v, %+v", way, clamp, each, len(rows), n, err, at, drift)
					}
				}
			}
		}
	}
}

// TestResumed_FixedPages does the same with pages of one size, which cannot
// overlap, and which have more rows than a position has ids.
func TestResumed_FixedPages(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 7, 24, 25, 40, 200} {
		for _, n := range []int{0, 1, 6, 7, 199, 200, 201, 960, 1301} {
			for _, each := range []int{0, 2, 3} {
				l := newList(pagination.ByFixedPage, n, size)
				l.fixed, l.clamp = true, size
				known := pagination.NewKnown(pagination.Everything) // as an export restores it
				rows, _, drift, err := onceWith(t, l, each, func() *pagination.Known { return known })
				if err != nil || !slices.Equal(rows, idsOf(l.rows)) || drift != (pagination.Drift{}) {
					t.Errorf("pages of %d, %d a process: %d of %d rows, %v, %+v", size, each, len(rows), n, err, drift)
				}
			}
		}
	}
}

// TestFewRequests counts the pages of still lists: each begins with the last row
// of the one before, and one that shows no other is the end if it is answered
// so twice.
func TestFewRequests(t *testing.T) {
	t.Parallel()
	for n := range 70 {
		l := newList(pagination.ByOffset, n, 10)
		rows, _, _, err := once(t, l, 0)
		want := max(1, (n-1+8)/9) + 2
		switch n {
		case 0:
			want = 1
		case 1, 2: // too few to know how many rows a page has
			want = 4
		}
		if err != nil || len(rows) != n || len(l.asked) > want {
			t.Errorf("%d rows: %d pages of 10, %d were enough", n, len(l.asked), want)
		}
	}
}

// TestShiftOnce deletes and inserts rows in front of the place, once, before
// any page.
func TestShiftOnce(t *testing.T) {
	t.Parallel()
	for _, way := range chosen {
		for at := range 6 {
			for _, shift := range []int{-160, -100, -41, -40, -39, -5, -4, -1, 1, 4, 5, 40} {
				l := newList(way, 300, 50)
				l.edit = func(l *list, request int) {
					switch {
					case request != at:
					case shift < 0 && at*46+4 > 8-shift:
						l.rows = l.rows[-shift:]
					case shift > 0:
						for i := range shift {
							l.rows = slices.Insert(l.rows, 0, 500-i)
						}
					}
				}
				rows, pos, drift, err := once(t, l, 0)
				for _, n := range l.rows {
					if n >= 1000 && !slices.Contains(rows, id(n)) {
						t.Errorf("%s, shift of %d before page %d: %d is missed, %+v", way, shift, at, n, pos)
						break
					}
				}
				if slices.Sort(rows); err != nil || len(slices.Compact(rows)) != len(rows) || drift.Unresolved > 0 {
					t.Errorf("%s, shift of %d before page %d: %v, twice? %+v %+v", way, shift, at, err, pos, drift)
				}
			}
		}
	}
}

// TestLosesItsPlace: everything that was read is gone. Reading goes on with what
// is left, says that it may have missed a row, and comes to the end.
func TestLosesItsPlace(t *testing.T) {
	t.Parallel()
	for _, way := range chosen {
		l := newList(way, 300, 50)
		l.edit = func(l *list, request int) {
			if request == 2 {
				l.rows = l.rows[100:]
			}
		}
		rows, at, drift, err := once(t, l, 0)
		if err != nil || drift.Unresolved != 1 || !at.Done || rows[len(rows)-1] != id(300_000) {
			t.Errorf("%s: %d rows, %v, %+v %+v", way, len(rows), err, at, drift)
		}
		l = newList(way, 100, 50)
		l.edit = func(l *list, request int) {
			if request == 1 {
				l.rows = nil
			}
		}
		rows, at, drift, err = once(t, l, 0)
		if err != nil || drift.Unresolved == 0 || len(rows) != 50 {
			t.Errorf("%s: %d rows, %v, %+v %+v", way, len(rows), err, at, drift)
		}
	}
}

// TestIgnoresPaging: a server that does not go where it is asked to is neither
// read for ever nor taken to have no more.
func TestIgnoresPaging(t *testing.T) {
	t.Parallel()
	for _, way := range []pagination.Paging{pagination.ByOffset, pagination.ByPage, pagination.ByFixedPage} {
		for _, size := range []int{2, 10, 50, 200} {
			for _, n := range []int{1, 2, 3, 5, 8, 46, 50, 51, 92, 100, 1000} {
				for _, obeys := range []string{"size", "nothing"} {
					for _, each := range []int{0, 20} {
						l := newList(way, n, size)
						l.answer = func(_ int, q pagination.Query, _ jsonscan.List) (jsonscan.List, error) {
							limit := q.Limit
							if obeys == "nothing" {
								limit = 50
							}
							return newList(pagination.ByOffset, n, limit).fetch(t.Context(), pagination.Query{Limit: limit})
						}
						_, at, _, err := once(t, l, each)
						if !errors.Is(err, pagination.ErrLoop) || !errors.Is(err, providers.ErrInvalid) || len(l.asked) > 30+60/size {
							t.Errorf("%s by %d, %d rows, obeys %s, %d a process: %v after %d requests, %+v", way, size, n, obeys, each, err, len(l.asked), at)
						}
					}
				}
			}
		}
	}
}

// TestGrowsFromAlmostNothing: a first page of few rows was no promise.
func TestGrowsFromAlmostNothing(t *testing.T) {
	t.Parallel()
	for _, way := range chosen {
		for n := 1; n < 9; n++ {
			for at := 1; at < 4; at++ {
				l := newList(way, n, 50)
				l.edit = func(l *list, request int) {
					if request == at {
						l.rows = newList(way, 90, 50).rows
					}
				}
				rows, pos, drift, err := once(t, l, 0)
				if err != nil || !slices.Equal(rows, idsOf(l.rows[:len(rows)])) || len(rows) != len(l.rows) || !pos.Settled(false) {
					t.Errorf("%s, %d rows at first, %d after page %d: %d, %v, %+v %+v", way, n, len(l.rows), at, len(rows), err, pos, drift)
				}
			}
		}
	}
}

// TestGrowsInFront: a list into which rows are put before each request comes to
// its end all the same.
func TestGrowsInFront(t *testing.T) {
	t.Parallel()
	for _, way := range chosen {
		for _, each := range []int{1, 4, 7} {
			for _, n := range []int{1, 2, 3, 10, 49, 50, 51, 52, 53, 99, 100, 147, 148, 149, 150, 230} {
				l := newList(way, n, 50)
				first := 0
				l.edit = func(l *list, _ int) {
					for range each {
						first--
						l.rows = slices.Insert(l.rows, 0, first)
					}
				}
				rows, pos, drift, err := once(t, l, 0)
				got := map[string]int{}
				for _, row := range rows {
					got[row]++
				}
				missed := slices.ContainsFunc(newList(way, n, 50).rows, func(n int) bool { return got[id(n)] == 0 })
				if err != nil || drift.Unresolved > 0 || missed || len(got) != len(rows) || pos.Fixed {
					t.Errorf("%s, %d each time, %d rows: %d rows, %v, %d requests, %+v %+v", way, each, n, len(rows), err, len(l.asked), pos.Signs, drift)
				}
			}
		}
	}
}

// TestShrinksBetweenTwoPages: the last rows of a page vanish before the next is
// read.
func TestShrinksBetweenTwoPages(t *testing.T) {
	t.Parallel()
	for _, way := range chosen {
		l := newList(way, 120, 50)
		l.edit = func(l *list, request int) {
			if request == 1 {
				l.rows = l.rows[:45]
			}
		}
		rows, pos, drift, err := once(t, l, 0)
		if err != nil || drift.Unresolved > 0 || len(rows) != 50 || !pos.Settled(false) {
			t.Errorf("%s: %d rows, %v, %+v %+v", way, len(rows), err, pos, drift)
		}
	}
}

// TestShuffledForEver: an order that changes with each request ends, in doubt,
// although the set forgets.
func TestShuffledForEver(t *testing.T) {
	t.Parallel()
	for _, way := range []pagination.Paging{pagination.ByOffset, pagination.ByPage, pagination.ByFixedPage} {
		for _, n := range []int{200, 3500, 20_000} {
			l := newList(way, n, 50)
			l.shuffle = func(request int, _ pagination.Query, rows []int) []int {
				return tied(rows, 0, len(rows), uint64(request))
			}
			_, pos, drift, err := once(t, l, 0)
			if err != nil || pos.Settled(false) {
				t.Errorf("%s, %d rows: %v after %d requests, %+v %+v", way, n, err, len(l.asked), pos.Signs, drift)
			}
		}
	}
}
