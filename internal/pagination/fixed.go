package pagination

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"

	"hikyaku/pkg/jsonscan"
)

// fixed reads pages by number whose size the server chooses. Such pages cannot
// overlap. Instead, each page is read again after the next one.
type fixed struct {
	*session

	page     int  // number of the page taken last
	furthest int  // the largest so far
	stalls   int  // answers in a row that neither got further nor showed a new row
	repeats  int  // pages in a row that were the page before them again
	resumed  bool // an earlier process took that page, or a part of it
	shorter  int  // how often in a row that page was found shorter than the size
}

// sizeIsWrong is after how many short pages in a row, with others after them,
// the size that was learned is taken to be wrong.
const sizeIsWrong = 3

func newFixed(s *session) *fixed {
	f := &fixed{session: s}
	before := s.at.Fixed || s.source.Paging == ByFixedPage // or this process has just found out, and remembers the rows
	s.at.Fixed = true
	if s.at.Rows > 0 {
		s.at.Size = max(1, s.at.Size)
		f.page = (s.at.Rows + s.at.Size - 1) / s.at.Size
		f.resumed = before || s.at.Rows%s.at.Size != 0
	}
	return f
}

// next reads the page after the last one, then the last one again. If that shows
// nothing new, no row has moved out of the next page into this one meanwhile: the
// two are neighbors.
func (f *fixed) next(ctx context.Context) (Page, error) {
	switch {
	case f.repeats > maxRepeats:
		return Page{}, ErrLoop
	case f.stalls > maxStalls, matchesSeldom(f.at, f.at.Size): // an order that changes with each request has no neighbors
		f.torn()
		return Page{}, io.EOF
	case f.resumed:
		return f.rest(ctx)
	}
	l, err := f.fetchPage(ctx, f.page+1)
	if err != nil && narrowable(err) {
		return f.skip(ctx)
	}
	if err != nil {
		return Page{}, err
	}
	if f.page == 0 {
		return f.first(l)
	}
	before, err := f.fetchPage(ctx, f.page)
	if err != nil {
		return Page{}, err
	}
	if !f.anyRecent(before) {
		return f.rewind(before)
	}
	from := f.place(f.page)
	full := len(before.Records) >= f.at.Size
	page, fresh := f.takeNew(before, from)
	switch {
	case fresh: // rows have moved to earlier pages: read the page before, too, and then this pair again
		f.shifted()
		f.page = max(1, f.page-1)
		return page, nil
	case len(l.Records) == 0:
		return f.end(ctx)
	}
	moved := f.countKnown(l)
	if moved > 0 { // unless that answer was wrong
		if l, err = f.fetchPage(ctx, f.page+1); err != nil {
			return Page{}, err
		}
		moved = f.countKnown(l)
	}
	switch {
	case len(l.Records) == 0:
		return f.end(ctx)
	case !full && moved == 0:
		f.shifted()
		if f.shorter++; f.shorter >= sizeIsWrong {
			f.at.Size = len(before.Records)
		}
		return Page{}, nil // they are no neighbors; read the pair again
	case moved > 0:
		f.at.Signs.displace(f.at.Look, 1) // once, not for each row: a shift shows on every page after it
	}
	f.shorter = 0
	if moved > 0 {
		f.shifted()
	}
	if f.repeats++; !sameRows(before, l) {
		f.repeats = 0
	}
	f.page++
	page, _ = f.takeNew(l, f.place(f.page))
	f.link(before, l)
	return page, nil
}

// shifted counts two pages that were found to be no neighbors.
func (f *fixed) shifted() {
	f.drift.Shifts++
	f.at.Shifts++
}

// link notes that two pages were found to be neighbors.
func (f *fixed) link(before, l jsonscan.List) {
	last := before.Records[len(before.Records)-1]
	if e := f.known.find(digest(idOf(before, last))); e != nil {
		e.next = digest16(digest(idOf(l, l.Records[0])))
	}
}

// place is how many rows stand before a page.
func (f *fixed) place(number int) int { return (number - 1) * max(1, f.at.Size) }

func (f *fixed) first(l jsonscan.List) (Page, error) {
	if len(l.Records) == 0 {
		return Page{}, io.EOF
	}
	f.at.Size = max(f.at.Size, len(l.Records))
	f.page = 1
	page, _ := f.takeNew(l, 0)
	return page, nil
}

// takeNew takes the rows that are not known, and reports whether there are
// some that this look has not met. Pages are read again on purpose, so that to
// meet a known row is no sign.
func (f *fixed) takeNew(l jsonscan.List, start int) (page Page, fresh bool) {
	f.late = lateRun{open: true} // pages are not read in order: neighbors are known within a page only
	page = f.take(l, placement{start: start, overlapIndex: len(l.Records)})
	f.late = lateRun{}
	for _, record := range l.Records {
		if id := idOf(l, record); !f.recent.has(id) {
			f.recent.add(id, 0)
			fresh = true
		}
	}
	f.stalls++
	if f.page > f.furthest || f.progress && !f.known.Forgetful() {
		f.stalls, f.furthest = 0, max(f.furthest, f.page)
	}
	return page, fresh
}

// rest reads the page at which an earlier process stopped once more. It takes
// what is left of it, and remembers all of its rows: a position holds the ids of
// the last of them only, and the others would look as if they had moved here.
func (f *fixed) rest(ctx context.Context) (Page, error) {
	f.resumed = false
	l, err := f.fetchPage(ctx, f.page)
	if err != nil {
		return Page{}, err
	}
	if f.countKnown(l) == 0 {
		return f.rewind(l)
	}
	page, _ := f.takeNew(l, f.place(f.page))
	return page, nil
}

// end ends the list if there is still nothing after the last page now that it
// has been looked at again.
func (f *fixed) end(ctx context.Context) (Page, error) {
	l, err := f.fetchPage(ctx, f.page+1)
	if err != nil {
		return Page{}, err
	}
	if len(l.Records) == 0 {
		return Page{}, io.EOF
	}
	f.shifted()
	return Page{}, nil // read the pair again
}

// anyRecent reports whether a page shows a row that was read so lately that the
// rows next to it are remembered, too.
func (f *fixed) anyRecent(l jsonscan.List) bool {
	return slices.ContainsFunc(l.Records, func(r jsonscan.Record) bool { return f.recent.inNewerHalf(idOf(l, r)) })
}

// countKnown returns how many rows of a page were read lately.
func (f *fixed) countKnown(l jsonscan.List) (count int) {
	for _, record := range l.Records {
		if f.recent.has(idOf(l, record)) {
			count++
		}
	}
	return count
}

// rewind steps back to a page that still shows rows read earlier.
func (f *fixed) rewind(before jsonscan.List) (Page, error) {
	f.drift.Rewinds++
	if f.page > 1 {
		f.page--
		return Page{}, nil
	}
	f.torn()
	page, _ := f.takeNew(before, 0)
	return page, nil
}

// fetchPage asks for a page by its number.
func (f *fixed) fetchPage(ctx context.Context, number int) (jsonscan.List, error) {
	size := f.source.PageSize
	if f.at.Size > 0 {
		size = f.at.Size
	}
	q := Query{Page: number, Limit: size, Start: f.place(number)}
	return f.refetchTwice(ctx, q) // because no smaller question could be asked instead
}

// skip leaves out a page with a record that cannot be read: no smaller question
// can be asked. The run is in doubt at that place.
func (f *fixed) skip(ctx context.Context) (Page, error) {
	neighbor := cmp.Or(f.page, 2) // the page before, which was read a moment ago
	l, err := f.judgeRecord(ctx,
		func(ctx context.Context) (jsonscan.List, error) { return f.fetchPage(ctx, f.page+1) },
		func(ctx context.Context) error { _, err := f.fetchPage(ctx, neighbor); return err })
	var verdict errRejected
	switch {
	case errors.As(err, &verdict):
		f.at.Signs.Unread++
		f.page++
		f.at.Size = cmp.Or(f.at.Size, max(1, f.source.PageSize))
		f.at.Rows = f.page * f.at.Size
		return f.afterSkipped(ctx)
	case err != nil:
		return Page{}, err
	}
	if f.page == 0 {
		return f.first(l)
	}
	return Page{}, nil
}

// afterSkipped takes the page after one that was left out, which cannot be
// compared with it.
func (f *fixed) afterSkipped(ctx context.Context) (Page, error) {
	l, err := f.fetchPage(ctx, f.page+1)
	if err != nil {
		return Page{}, err
	}
	if len(l.Records) == 0 {
		return Page{}, io.EOF
	}
	f.page++
	page, _ := f.takeNew(l, f.place(f.page))
	return page, nil
}
