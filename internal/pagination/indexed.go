package pagination

import (
	"cmp"
	"context"
	"io"

	"hikyaku/pkg/jsonscan"
)

// indexed reads by offset, or by page number with chosen sizes, so that each
// page begins with the last row of the one before.
type indexed struct {
	*session
	grid

	whole   int  // rows of the first page
	short   int  // rows of the last page, if it was shorter than asked for
	atEnd   bool // by page number: the first page was short, and may be all
	ends    int  // how often the list has gone on after its end
	over    bool // the list ends, however it grows in front
	stalled stall

	broken isolation
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

// maxEnds bounds how often a list may go on after its end.
const maxEnds = 3

func (x *indexed) next(ctx context.Context) (Page, error) {
	switch {
	case x.over:
		return Page{}, io.EOF
	case x.stalled.repeats > maxRepeats:
		return Page{}, ErrLoop
	case x.stalled.aimless(x.limit()): // an order that changes with each request has no end to match
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
		return x.single(ctx)
	case x.atEnd:
		x.atEnd = false
		if ended, err := x.nothingAfter(ctx); ended || err != nil {
			return Page{}, cmp.Or(err, io.EOF)
		}
		x.at.Size = x.whole
	}
	q := x.query()
	l, err := x.fetch(ctx, q)
	if err != nil {
		return x.failed(ctx, q, err)
	}
	return x.join(ctx, q, l)
}

// query returns the question for the rows after those read. It begins with the
// last of them, unless that was rejected or no page by number can hold both.
func (x *indexed) query() Query {
	size, after := x.limit(), x.limit()
	if x.broken.chunk > 0 {
		size, after = min(size, x.broken.chunk+1), min(size, x.broken.chunk)
	}
	if x.at.Gap == 0 && x.at.Rows > 0 {
		if q, gain := x.reach(x.at.Rows-1, size); gain > 1 {
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
		return x.bridge(ctx, q, l)
	}
	at := x.at.Rows - 1 - q.Start // where the last row should be
	if x.lastStandsAt(l, at) {
		return x.matched(ctx, q, l, at)
	}
	l, err := x.again(ctx, q) // an answer that was wrong is not wrong twice
	switch {
	case err != nil:
		return x.failed(ctx, q, err)
	case x.lastStandsAt(l, at):
		return x.matched(ctx, q, l, at)
	}
	if n := len(l.Records); x.byPage {
		switch {
		case n > q.Limit || x.stalled.repeats >= maxRepeats:
			return Page{}, becomeFixed{x.whole}
		case n < q.Limit && x.lowered(q, l): // the server gives fewer rows a page, so that its pages begin elsewhere
			x.at.Size = n
			return Page{}, nil
		}
	}
	x.drift.Shifts++
	return x.rejoin(ctx, q, l)
}

// lowered reports whether a page by number stands where one of as many rows as
// it has would stand.
func (x *indexed) lowered(q Query, l jsonscan.List) bool {
	i, place := x.newestOf(l)
	return i >= 0 && place-1-i == (q.Page-1)*len(l.Records)
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
	x.whole = len(l.Records)
	x.atEnd = x.byPage && x.whole < q.Limit
	return x.took(ctx, q, l, placing{start: q.Start, joint: -1}), nil
}

// ignoresSize reports whether a server that pages by number gives more rows
// than it was asked for, and does so again. Its error is then becomeFixed.
func (x *indexed) ignoresSize(ctx context.Context, q Query, l jsonscan.List) (bool, error) {
	if !x.byPage || len(l.Records) <= q.Limit {
		return false, nil
	}
	l, err := x.again(ctx, q)
	if err == nil && len(l.Records) > q.Limit {
		err = becomeFixed{len(l.Records)}
	}
	return true, err
}

// matched takes what stands after the last row.
func (x *indexed) matched(ctx context.Context, q Query, l jsonscan.List, at int) (Page, error) {
	if at == len(l.Records)-1 {
		return x.end(ctx, q, l)
	}
	return x.took(ctx, q, l, placing{start: q.Start, joint: at}), nil
}

// took takes rows, and asks for what comes after them.
func (x *indexed) took(ctx context.Context, q Query, l jsonscan.List, p placing) Page {
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

// learnSize notes how many rows the server gives at the most, if it is seen to
// give fewer than asked for although others follow: twice in a row, or by page
// number, where other sizes would be other places, at once.
func (x *indexed) learnSize(q Query, n int) {
	if x.short > 1 && (x.byPage || n == x.short || x.short == x.whole) {
		x.at.Size = x.short
	}
	x.short = 0
	if n < q.Limit && x.broken.chunk == 0 {
		x.short = n
	}
}

// expectMore asks for the next pages before they are needed, as they would
// follow if the list stood still.
func (x *indexed) expectMore(ctx context.Context) {
	behind := x.at.Rows - 1
	if last, ok := x.asked.last(); ok {
		behind = last.Start + last.Limit - 1
	}
	for {
		q, gain := x.reach(behind, x.limit())
		if gain < 2 || !x.asked.expect(ctx, x.frame(q)) {
			return
		}
		behind = q.Start + q.Limit - 1
	}
}

// end ends the list where nothing stands after its last row. A server that
// pages by number may have left rows off a page that asked for more than it
// gives; it may also give one row at a time.
func (x *indexed) end(ctx context.Context, q Query, l jsonscan.List) (Page, error) {
	n := len(l.Records)
	if x.broken.chunk > 0 && n >= q.Limit {
		x.broken.chunk *= 2
		return Page{}, nil
	}
	if !x.byPage && x.at.Rows > 1 {
		l, err := x.again(ctx, q) // the last row alone may be a wrong answer
		if err != nil {
			return x.failed(ctx, q, err)
		}
		if n := len(l.Records); n > 0 && x.lastStandsAt(l, n-1) {
			return Page{}, io.EOF
		}
		return Page{}, nil
	}
	if ended, err := x.nothingAfter(ctx); err != nil {
		return x.failed(ctx, q, err)
	} else if ended {
		return Page{}, io.EOF
	}
	if x.ends++; x.ends > maxEnds { // it has not just grown
		return Page{}, becomeFixed{x.whole}
	}
	if x.ends > 1 && n > 2 {
		x.at.Size = n
	}
	return Page{}, nil
}

// nothingAfter reports whether two answers are empty for what begins right after
// the rows read, in a size that no server lowers. In a list that has grown in
// front, the last of those rows may stand there, and nothing after it.
func (x *indexed) nothingAfter(ctx context.Context) (bool, error) {
	q := x.exactly(x.at.Rows, min(x.limit(), max(1, x.whole)))
	for range 2 {
		l, err := x.ask(ctx, q)
		n := len(l.Records)
		if err != nil || n > 0 {
			return n > 0 && n < q.Limit && x.lastStandsAt(l, n-1), err
		}
	}
	return x.nothingInLargePages(ctx)
}

// nothingInLargePages reports whether a server that pages by number also has
// nothing new after the rows read in pages of the largest size: if it ignores
// the size asked for, any page of a small size seems to lie after the end.
func (x *indexed) nothingInLargePages(ctx context.Context) (bool, error) {
	for size := cmp.Or(x.whole, x.source.PageSize); x.byPage; {
		page := (x.at.Rows+size-1)/size + 1
		l, err := x.ask(ctx, Query{Page: page, Limit: size, Start: (page - 1) * size})
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

// rejoin goes on in a list that has moved: at the row read last of those that
// the answer shows, or further back.
func (x *indexed) rejoin(ctx context.Context, q Query, l jsonscan.List) (Page, error) {
	if i, _ := x.newestOf(l); i < 0 && !x.stalled.mayGoBack() { // there is no order to be found
		x.torn()
		if len(l.Records) == 0 {
			return Page{}, io.EOF
		}
		return x.took(ctx, q, l, placing{start: q.Start, joint: -1, moved: true, reread: true}), nil
	}
	step := max(1, x.limit()-1)
	for {
		if i, place := x.newestOf(l); i >= 0 {
			if moved := q.Start + i + 1 - place; moved > 0 {
				x.at.Signs.displace(x.at.Look, moved)
			}
			isTail := i == len(l.Records)-1 && place == x.at.Rows-x.at.Gap && len(l.Records) < q.Limit
			if x.over = x.stalled.tail(isTail); x.over && q.Start > 0 { // or it answers any question with its first rows
				front, err := x.again(ctx, x.exactly(0, x.limit()))
				if err == nil && sameRows(front, l) {
					err = ErrLoop
				}
				if err != nil {
					return Page{}, err
				}
			}
			return x.took(ctx, q, l, placing{start: q.Start, joint: i, moved: true}), nil
		}
		if q.Start == 0 {
			break
		}
		x.drift.Rewinds++
		back := max(0, min(q.Start, x.at.Rows-1)-step)
		step *= 2
		var err error
		for size := x.limit(); ; size /= 2 { // a record that cannot be read may stand there
			q, _ = x.reach(back, size)
			if l, err = x.ask(ctx, q); err == nil || size == 1 || !narrowable(err) {
				break
			}
		}
		if err != nil {
			return x.failed(ctx, q, err)
		}
	}
	// Nothing of what was read last is there any more. From the beginning on,
	// all that is unknown is taken.
	x.torn()
	if len(l.Records) == 0 {
		return Page{}, io.EOF
	}
	return x.took(ctx, q, l, placing{start: q.Start, joint: -1, moved: true, reread: true}), nil
}
