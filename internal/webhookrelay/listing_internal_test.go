package webhookrelay

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"

	"hikyaku/pkg/providers"
)

// A roll is a list of ids that may change before any of its pages.
type roll struct {
	ids     []int
	fetches int
	change  func(r *roll) // before a page is read; nil: nothing changes
}

func rollOf(n int) *roll {
	r := &roll{}
	for id := range n {
		r.ids = append(r.ids, 1000+id)
	}
	return r
}

// pager reads the roll in pages of size, by offset.
func (r *roll) pager(size int) pager[int] {
	return pager[int]{id: strconv.Itoa, fetch: func(_ context.Context, position int) ([]int, int, int, error) {
		if r.change != nil {
			r.change(r)
		}
		r.fetches++
		from := min(position, len(r.ids))
		return slices.Clone(r.ids[from:min(from+size, len(r.ids))]), position, size, nil
	}}
}

// read lists the roll to its end.
func (r *roll) read(t *testing.T, size int) (all []int, l listing) {
	t.Helper()
	for !l.Ended {
		fresh, err := r.pager(size).next(t.Context(), &l)
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, fresh...); r.fetches > 1000 {
			t.Fatalf("no end after %d pages: %+v", r.fetches, l)
		}
	}
	return all, l
}

func TestListing_OfAStillList(t *testing.T) {
	t.Parallel()
	for n := range 70 {
		r := rollOf(n)
		all, l := r.read(t, 10)
		if !slices.Equal(all, r.ids) || l.Drift != 0 || l.Rows != n {
			t.Errorf("%d rows: %v, %+v", n, all, l)
		}
		if want := (max(0, n-overlap)+5)/6 + 2; r.fetches > want {
			t.Errorf("%d rows: %d pages of 10, at most %d were enough", n, r.fetches, want)
		}
	}
}

// TestListing_OfAListThatMoves deletes and inserts rows before the position,
// once, at any page: nobody who stays is missed or seen twice.
func TestListing_OfAListThatMoves(t *testing.T) {
	t.Parallel()
	const rows, size = 300, 50
	for at := range 6 {
		for _, shift := range []int{-160, -100, -41, -40, -39, -5, -4, -1, 1, 4, 5, 40} {
			r := rollOf(rows)
			r.change = func(r *roll) {
				switch {
				case r.fetches != at:
				case shift < 0 && at*(size-overlap)+overlap > -shift+tailLength:
					r.ids = r.ids[-shift:]
				case shift > 0:
					for i := range shift {
						r.ids = slices.Insert(r.ids, 0, 500-i)
					}
				}
			}
			all, l := r.read(t, size)
			for _, id := range r.ids {
				if id < 1000 {
					continue // it came behind the reader
				}
				if !slices.Contains(all, id) {
					t.Errorf("shift of %d before page %d: %d is missed, %+v", shift, at, id, l)
					break
				}
			}
			if slices.Sort(all); len(slices.Compact(all)) != len(all) || l.Drift != 0 {
				t.Errorf("shift of %d before page %d: somebody is seen twice, %+v", shift, at, l)
			}
		}
	}
}

// TestListing_LosesItsPlace: all ids that were remembered go at once. Reading
// goes on at the position, says that it may have missed somebody, and still
// comes to the end.
func TestListing_LosesItsPlace(t *testing.T) {
	t.Parallel()
	r := rollOf(300)
	r.change = func(r *roll) {
		if r.fetches == 2 {
			r.ids = slices.Concat(r.ids[:40], r.ids[100:])
		}
	}
	all, l := r.read(t, 50)
	if l.Drift != 1 || !l.Ended || all[len(all)-1] != 1299 {
		t.Errorf("read to %d, %+v; want one drift and the end", all[len(all)-1], l)
	}
	if r.fetches > 2+stepsBack+1+6 {
		t.Errorf("%d pages", r.fetches)
	}

	r = rollOf(100) // and where nothing follows
	r.change = func(r *roll) {
		if r.fetches == 1 {
			r.ids = nil
		}
	}
	if all, l = r.read(t, 50); l.Drift != 1 || len(all) != 50 {
		t.Errorf("%d rows, %+v; want those of the first page and one drift", len(all), l)
	}
}

// TestListing_RefusesPagesThatDoNotGoOn: a server that shows the same page
// again and again is not listed for ever.
func TestListing_RefusesPagesThatDoNotGoOn(t *testing.T) {
	t.Parallel()
	ids := rollOf(8).ids
	p := pager[int]{id: strconv.Itoa, fetch: func(context.Context, int) ([]int, int, int, error) { return ids, 0, len(ids), nil }}
	var l listing
	for range 3 {
		if _, err := p.next(t.Context(), &l); errors.Is(err, providers.ErrInvalid) {
			return
		}
	}
	t.Errorf("still reading: %+v", l)
}

// TestPageAround: by number, the page that holds the position reaches at least
// 6 behind it, so that each page shows somebody new behind the overlap.
func TestPageAround(t *testing.T) {
	t.Parallel()
	for _, size := range []int{smallest, 31, 50, 100, 250} {
		for position := range 20_000 {
			q, start := pageAround(position, size)
			if start != (q.Page-1)*q.Limit || start > position || start+q.Limit < position+6 || q.Limit > size || q.Limit <= size/2 {
				t.Fatalf("position %d, size %d: page %d of %d, from %d", position, size, q.Page, q.Limit, start)
			}
		}
	}
	if q, start := pageAround(90, 100); q.Limit != 90 || q.Page != 2 || start != 90 {
		t.Errorf("position 90: page %d of %d from %d; want the second of 90, which reaches farthest", q.Page, q.Limit, start)
	}
}
