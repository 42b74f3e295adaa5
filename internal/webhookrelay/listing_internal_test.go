package webhookrelay

import (
	"context"
	"encoding/json"
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
	byPage  bool          // it is asked for numbers of pages
	most    int           // rows of a page, whatever is asked for; 0: any
	obeys   string        // what of a request it looks at: "" is all of it, "size" the limit alone, "nothing"
}

func rollOf(n int) *roll {
	r := &roll{}
	for id := range n {
		r.ids = append(r.ids, 1000+id)
	}
	return r
}

// pager reads the roll in pages of size.
func (r *roll) pager(size int) pager[int] {
	return pager[int]{id: strconv.Itoa, size: size, byPage: r.byPage, fetch: func(_ context.Context, start, limit int) ([]int, error) {
		if r.change != nil {
			r.change(r)
		}
		r.fetches++
		page := start / limit
		if r.obeys == "nothing" {
			limit = 50
		}
		if r.most > 0 {
			limit = min(limit, r.most)
		}
		if r.byPage { // a lowered limit moves the page
			start = page * limit
		}
		if r.obeys != "" {
			start = 0
		}
		from := min(start, len(r.ids))
		return slices.Clone(r.ids[from:min(from+limit, len(r.ids))]), nil
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
		if want := (max(0, n-overlap)+5)/6 + 3; r.fetches > want {
			t.Errorf("%d rows: %d pages of 10, at most %d were enough", n, r.fetches, want)
		}
	}
}

// TestListing_LearnsThePageSize: whatever a server makes of the size asked for,
// everybody is read once, also if each page is read by another process.
func TestListing_LearnsThePageSize(t *testing.T) {
	t.Parallel()
	for _, byPage := range []bool{false, true} {
		for _, most := range []int{10, 13, 37, 50, 0} {
			for _, n := range []int{0, 1, 2, 3, 4, 5, 9, 10, 11, 49, 50, 51, 60, 100, 199, 200, 201, 960, 1301} {
				r := rollOf(n)
				r.byPage, r.most = byPage, most
				var all []int
				var l listing
				for !l.Ended && r.fetches < 1000 {
					fresh, err := r.pager(200).next(t.Context(), &l)
					if err != nil {
						t.Fatalf("by page %v, at most %d of %d rows: %v", byPage, most, n, err)
					}
					all = append(all, fresh...)
					journal, _ := json.Marshal(l)
					l = listing{}
					_ = json.Unmarshal(journal, &l)
				}
				if !slices.Equal(all, r.ids) || l.Drift != 0 || !l.Ended {
					t.Errorf("by page %v, at most %d: %d of %d rows, %+v", byPage, most, len(all), n, l)
				}
			}
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

// TestListing_RefusesPagesThatDoNotGoOn: a server that does not go where it is
// asked to is neither listed for ever nor taken to have no more.
func TestListing_RefusesPagesThatDoNotGoOn(t *testing.T) {
	t.Parallel()
	for _, byPage := range []bool{false, true} {
		for _, size := range []int{1, 10, 50, 200} {
			for _, n := range []int{1, 2, 3, 5, 8, 46, 50, 51, 92, 100, 1000} {
				for _, obeys := range []string{"size", "nothing"} {
					r := rollOf(n)
					r.byPage, r.obeys = byPage, obeys
					p := r.pager(size)
					var l listing
					var err error
					calls := 0
					for ; err == nil && !l.Ended && calls < 50; calls++ {
						_, err = p.next(t.Context(), &l)
					}
					if !errors.Is(err, providers.ErrInvalid) || r.fetches > 30 {
						t.Errorf("by page %v, %d of %d, obeys %s: %v after %d requests, %+v", byPage, size, n, obeys, err, r.fetches, l)
					}
				}
			}
		}
	}
	r := rollOf(9) // pages too small to begin inside one another
	r.most = 1
	for _, r.byPage = range []bool{false, true} {
		var l listing
		var err error
		for r.fetches = 0; err == nil && r.fetches < 50; {
			_, err = r.pager(50).next(t.Context(), &l)
		}
		if !errors.Is(err, providers.ErrInvalid) || l.Ended {
			t.Errorf("by page %v, pages of one row: %v, %+v; want ErrInvalid", r.byPage, err, l)
		}
	}
}

// TestListing_GrowsFromAlmostNothing: a first page of few rows was no promise.
func TestListing_GrowsFromAlmostNothing(t *testing.T) {
	t.Parallel()
	for _, byPage := range []bool{false, true} {
		for n := 1; n < 9; n++ {
			for at := 1; at < 4; at++ {
				r := rollOf(n)
				r.byPage = byPage
				r.change = func(r *roll) {
					if r.fetches == at {
						r.ids = append(r.ids, rollOf(90).ids[n:]...)
					}
				}
				all, l := r.read(t, 50)
				if want := rollOf(len(all)).ids; l.Drift != 0 || !slices.Equal(all, want) || len(all) != len(r.ids) {
					t.Errorf("by page %v, %d rows at first, %d after page %d: %d, %+v", byPage, n, len(r.ids), at, len(all), l)
				}
			}
		}
	}
}

// TestListing_GrowsInFrontAllTheTime: a list into which somebody is put before
// each request comes to its end all the same.
func TestListing_GrowsInFrontAllTheTime(t *testing.T) {
	t.Parallel()
	for _, each := range []int{1, 4, 7} {
		r := rollOf(230)
		r.change = func(r *roll) {
			for range each {
				r.ids = slices.Insert(r.ids, 0, -len(r.ids))
			}
		}
		all, l := r.read(t, 50)
		if l.Drift != 0 || !slices.Equal(all[len(all)-230:], rollOf(230).ids) {
			t.Errorf("%d each time: %d rows, %+v", each, len(all), l)
		}
	}
}

// TestListing_ShrinksBetweenTwoPages: the last rows of a page vanish before the
// next is read.
func TestListing_ShrinksBetweenTwoPages(t *testing.T) {
	t.Parallel()
	for _, byPage := range []bool{false, true} {
		r := rollOf(120)
		r.byPage = byPage
		r.change = func(r *roll) {
			if r.fetches == 1 {
				r.ids = r.ids[:45]
			}
		}
		all, l := r.read(t, 50)
		if l.Drift != 0 || len(all) != 50 || l.Rows != 45 {
			t.Errorf("by page %v: %d rows, %+v; want the first page and no drift", byPage, len(all), l)
		}
	}
}

// TestPageAround: by number, the page holds the end of what was seen and, but
// for very small pages, somebody behind it: most often half a page.
func TestPageAround(t *testing.T) {
	t.Parallel()
	for _, size := range []int{16, 30, 31, 50, 100, 250} {
		p, sum := pager[int]{byPage: true}, 0
		for i := 1; i < 20_000; i++ {
			rows := i
			if i >= 19_000 {
				rows = 1_436_395 - 500 + i - 19_000 // where pages of 30 reach least
			}
			start, limit := p.around(rows, size)
			known, gain := rows-start, start+limit-rows
			if start%limit != 0 || limit > size || known < 1 || gain < 1 || size >= 30 && rows >= overlap && (known < overlap || gain < 2) {
				t.Fatalf("%d rows, size %d: %d from %d", rows, size, limit, start)
			}
			sum += gain
		}
		if mean := sum / 20_000; mean < size/2 {
			t.Errorf("size %d: pages of %d new rows on average", size, mean)
		}
	}
	if start, limit := (pager[int]{byPage: true}).around(94, 100); start != 90 || limit != 90 {
		t.Errorf("94 rows: %d from %d; want the second page of 90, which reaches farthest", limit, start)
	}
}
