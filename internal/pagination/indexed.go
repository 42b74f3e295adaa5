package pagination

import (
	"cmp"
	"context"
	"errors"
	"io"

	"hikyaku/pkg/jsonscan"
)

// indexed reads by offset, or by page number with sizes chosen so that each page
// begins with the last row of the one before, or at least holds it.
type indexed struct {
	*session
	grid

	largest   int  // rows of the largest page: the server gives at least as many
	lastSize  int  // rows of the last page, if it was shorter than asked for
	atEnd     bool // by page number: the first page was short, and may be the whole list
	falseEnds int  // how often rows followed what looked like the end
	over      bool // the end has been seen, although the list grows in front
	tail      int  // index from which on an answer just had shown nothing but rows that have changed, to its end
	stalled   stall

	broken isolation
	failed failure // the last of them
}

// A grid is where pages can begin: anywhere by offset; by page number, where
// the size asked for divides the index.
type grid struct{ byPage bool }

// reach returns the query of at most size rows that holds the row of index i
// and reaches furthest after it, and how many rows it has from that row on. By
// page number a page of size s begins at a multiple of s.
func (g grid) reach(i, size int) (q Query, gain int) {
	if !g.byPage {
		return Query{Start: i, Limit: size}, size
	}
	for s := size; s > gain; s-- {
		if s-i%s > gain {
			gain = s - i%s
			q = Query{Start: i - i%s, Limit: s, Page: i/s + 1}
		}
	}
	return q, gain
}

// exactly returns the query of at most size rows that begins at index i.
func (g grid) exactly(i, size int) Query {
	if !g.byPage {
		return Query{Start: i, Limit: size}
	}
	for i%size != 0 {
		size--
	}
	return Query{Start: i, Limit: size, Page: i/size + 1}
}

// maxEnds bounds how often rows may follow what looks like the end, before the
// server is taken to choose the size of its pages.
const maxEnds = 3

func (x *indexed) next(ctx context.Context) (Page, error) {
	p, err := x.read(ctx)
	if errors.Is(err, io.EOF) && x.failed.query.Limit > 0 && x.at.Rows <= x.failed.rows && !x.prober().endsBefore(ctx, x.failed.query) {
		x.torn() // there is more than could be read or rejected
	}
	return p, err
}

func (x *indexed) read(ctx context.Context) (Page, error) {
	switch {
	case x.over:
		return Page{}, io.EOF
	case x.stalled.repeats > maxRepeats:
		return Page{}, ErrLoop
	case x.stalled.aimless(x.limit()), matchesSeldom(x.at, x.limit()): // an order that changes with each request has no end to match
		x.torn()
		return Page{}, io.EOF
	}
	if x.at.Suspect != nil && x.broken.chunk == 0 {
		x.broken.chunk, x.broken.end = 1, x.at.Rows+1
	}
	if x.broken.chunk > 0 && x.at.Rows >= x.broken.end {
		x.broken.chunk = 0
	}
	switch {
	case x.broken.alone:
		return x.readAlone(ctx)
	case x.atEnd:
		x.atEnd = false
		if ended, err := x.nothingAfter(ctx); err != nil {
			return Page{}, err
		} else if ended {
			return x.firstAgain(ctx)
		}
		x.at.Size = x.at.First
	}
	q := x.query()
	l, err := x.fetch(ctx, q)
	if err != nil {
		return x.narrow(ctx, q, err)
	}
	return x.join(ctx, q, l)
}

// matchesSeldom reports whether the pages of a look have not matched so often
// that the order must change with each request.
func matchesSeldom(at Position, pageSize int) bool {
	return at.Shifts > manyShifts+at.Seen/max(1, pageSize-1)
}

// query returns the question for the rows after those read. It begins with the
// last of them, or with one before it if that has no id, unless it was rejected or
// no page by number can hold both.
func (x *indexed) query() Query {
	overlap := x.overlapRows()
	size, after := max(x.limit(), overlap+1), x.limit()
	if x.broken.chunk > 0 {
		size, after = min(size, x.broken.chunk+overlap), min(after, x.broken.chunk)
	}
	if x.at.Gap == 0 && x.at.Rows > 0 {
		if q, gain := x.reach(x.at.Rows-overlap, size); gain > overlap {
			return q
		}
	}
	return x.exactly(x.at.Rows, after)
}

// join decides what of an answer is taken.
func (x *indexed) join(ctx context.Context, q Query, l jsonscan.List) (Page, error) {
	switch {
	case x.at.Rows == 0:
		return x.first(ctx, q, l)
	case q.Start == x.at.Rows:
		return x.takeAdjacent(ctx, q, l)
	}
	at := x.at.Rows - 1 - q.Start // index at which the answer should show the last row
	if x.lastStandsAt(l, at) {
		return x.matched(ctx, q, l, at)
	}
	l, err := x.refetch(ctx, q) // the answer may have been wrong
	switch {
	case err != nil:
		return x.narrow(ctx, q, err)
	case x.lastStandsAt(l, at):
		return x.matched(ctx, q, l, at)
	}
	if n := len(l.Records); x.byPage {
		switch {
		case n > q.Limit || x.stalled.repeats >= maxRepeats:
			return Page{}, errFixedSize{x.at.First}
		case n < q.Limit && rejoining{x}.followsFirst(q, l): // its pages are all as large as the first one
			return Page{}, errFixedSize{x.at.First}
		case n < q.Limit && rejoining{x}.clamped(q, l): // the server gives fewer rows a page, so that its pages begin elsewhere
			x.at.Size = n
			return Page{}, nil
		}
	}
	x.drift.Shifts++
	x.at.Shifts++
	return rejoining{x}.rejoin(ctx, q, l)
}

// first takes the first page whole.
func (x *indexed) first(ctx context.Context, q Query, l jsonscan.List) (Page, error) {
	if fixed, err := x.ignoresSize(ctx, q, l); fixed || err != nil {
		return Page{}, err
	}
	if len(l.Records) == 0 {
		return Page{}, io.EOF
	}
	if l.Total >= 0 {
		x.at.Total = l.Total + 1
	}
	x.at.First = len(l.Records)
	x.atEnd = x.byPage && x.at.First < q.Limit
	return x.advance(ctx, q, l, placement{start: q.Start, overlapIndex: -1}), nil
}

// firstAgain asks once more for a first page that was short and seems to be the
// whole list. A server that chooses the size of its pages shows nothing after it,
// although rows were missing there.
func (x *indexed) firstAgain(ctx context.Context) (Page, error) {
	q := x.exactly(0, x.limit())
	l, err := x.refetch(ctx, q)
	if err != nil {
		return Page{}, err
	}
	if fixed, err := x.ignoresSize(ctx, q, l); fixed || err != nil {
		return Page{}, err
	}
	if x.known.has(l) || x.lastStandsAt(l, len(l.Records)-1) { // what is new has been inserted in front
		return Page{}, io.EOF
	}
	return x.advance(ctx, q, l, placement{start: q.Start, overlapIndex: -1, moved: true, reread: true}), nil
}

// ignoresSize reports whether a server that pages by number gives more rows
// than it was asked for, and does so again. Its error is then an errFixedSize.
func (x *indexed) ignoresSize(ctx context.Context, q Query, l jsonscan.List) (bool, error) {
	if !x.byPage || len(l.Records) <= q.Limit {
		return false, nil
	}
	l, err := x.refetch(ctx, q)
	if err == nil && len(l.Records) > q.Limit {
		err = errFixedSize{len(l.Records)}
	}
	return true, err
}

// matched takes what stands after the last row.
func (x *indexed) matched(ctx context.Context, q Query, l jsonscan.List, at int) (Page, error) {
	if at == len(l.Records)-1 {
		return x.end(ctx, q, l)
	}
	return x.advance(ctx, q, l, placement{start: q.Start, overlapIndex: at}), nil
}

// advance takes rows, and asks for the pages after them.
func (x *indexed) advance(ctx context.Context, q Query, l jsonscan.List, p placement) Page {
	if !p.moved || x.stalled.tails == 0 { // the end of a list is short by nature
		x.learnSize(q, len(l.Records))
	}
	page := x.take(l, p)
	x.stalled.took(q, l, p.moved, x.progress && !x.known.Forgetful(), x.at.Rows)
	if x.broken.chunk > 0 {
		x.broken.chunk *= 2
		return page
	}
	if !x.atEnd {
		x.expectMore(ctx)
	}
	return page
}

// learnSize notes how many rows a page has at most, if pages come with fewer rows
// than asked for although others follow: by offset if two in a row do, by page
// number at once, because the size decides where a page begins.
func (x *indexed) learnSize(q Query, n int) {
	if x.lastSize > 1 && x.lastSize >= x.largest && (x.byPage || n == x.lastSize || x.lastSize == x.at.First) {
		x.at.Size = x.lastSize
	}
	x.lastSize, x.largest = 0, max(x.largest, n)
	if n < q.Limit && x.broken.chunk == 0 {
		x.lastSize = n
	}
}

// expectMore asks in advance for the pages that come next if the list does not
// move.
func (x *indexed) expectMore(ctx context.Context) {
	overlap := x.at.Rows - 1
	if last, ok := x.asked.last(); ok {
		overlap = last.Start + last.Limit - 1
	}
	for {
		q, gain := x.reach(overlap, x.limit())
		if gain < 2 || !x.asked.expect(ctx, x.forPass(q)) {
			return
		}
		overlap = q.Start + q.Limit - 1
	}
}

// end ends the list if nothing follows its last row. By offset two answers in a row
// show that. By page number the page may be short because it asked for more rows
// than the server gives, so that what follows is asked for.
func (x *indexed) end(ctx context.Context, q Query, l jsonscan.List) (Page, error) {
	n := len(l.Records)
	if x.broken.chunk > 0 && n >= q.Limit {
		x.broken.chunk *= 2
		return Page{}, nil
	}
	if !x.byPage && x.at.Rows > 1 {
		l, err := x.refetch(ctx, q) // the last row alone may be a wrong answer
		if err != nil {
			return x.narrow(ctx, q, err)
		}
		if n := len(l.Records); n == 0 || !x.lastStandsAt(l, n-1) {
			return Page{}, nil
		}
		return x.endAfter(ctx)
	}
	if ended, err := x.nothingAfter(ctx); err != nil {
		return x.narrow(ctx, q, err)
	} else if ended {
		return Page{}, io.EOF
	}
	if x.falseEnds++; x.falseEnds > maxEnds { // more often than a list that grows
		return Page{}, errFixedSize{x.at.First}
	}
	if x.falseEnds > 1 && n > 2 {
		x.at.Size = n
	}
	return Page{}, nil
}

// endAfter ends a list by offset whose last row was shown alone twice. A server whose pages
// are shorter than asked for shows it alone again and again: of one that has shown such
// pages, or no more than two rows, what follows is asked for without it.
func (x *indexed) endAfter(ctx context.Context) (Page, error) {
	if x.at.Size == 0 && x.at.Rows > 2 {
		return Page{}, io.EOF
	}
	q := x.exactly(x.at.Rows, x.limit())
	l, err := x.refetch(ctx, q)
	switch {
	case err != nil:
		return x.narrow(ctx, q, err)
	case len(l.Records) == 0 || x.known.has(l): // nothing, or the list has moved since
		return Page{}, io.EOF
	}
	return x.takeAdjacent(ctx, q, l)
}

// nothingAfter reports whether two answers in a row are empty after the rows read.
// They are asked for with a size that the server has given before, and by page
// number with larger ones, too. In a list that has grown in front, the last row
// read may stand there, and nothing after it.
func (x *indexed) nothingAfter(ctx context.Context) (bool, error) {
	q := x.exactly(x.at.Rows, min(x.limit(), max(1, x.at.First)))
	for range 2 {
		l, err := x.refetchTwice(ctx, q)
		n := len(l.Records)
		switch {
		case err != nil:
			return false, err
		case n == 0:
		case n < q.Limit && x.lastStandsAt(l, n-1):
			x.at.Signs.displace(x.at.Look, q.Start+n-x.at.Rows)
			return true, nil
		default:
			return false, nil
		}
	}
	return x.nothingInLargePages(ctx)
}

// nothingInLargePages reports whether pages by number of the largest size show
// nothing new after the rows read, either. A server that ignores the size asked for
// takes the number of a small page for that of a large one after the end.
func (x *indexed) nothingInLargePages(ctx context.Context) (bool, error) {
	for size := cmp.Or(x.at.First, x.source.PageSize); x.byPage; {
		page := (x.at.Rows+size-1)/size + 1
		l, err := x.refetchTwice(ctx, Query{Page: page, Limit: size, Start: (page - 1) * size})
		n := len(l.Records)
		switch {
		case err != nil:
			return false, err
		case n == 0:
			return true, nil
		case n >= size || x.known.Len() >= x.at.Seen && !x.known.has(l):
			return false, nil
		}
		size = n // the server lowers it to this, or knows no other
	}
	return true, nil
}
