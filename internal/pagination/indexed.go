package pagination

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
)

// indexed reads by offset, or by page number with chosen sizes, so that each
// page begins with the last row of the one before.
type indexed struct {
	*session

	byPage  bool
	whole   int    // rows of the first page
	short   int    // rows of the last page, if it was shorter than asked for
	atEnd   bool   // by page number: the first page was short, and may be all
	ends    int    // how often the list has gone on after its end
	reached int    // the furthest index read
	stalls  int    // pages in a row that neither got further nor brought a new row
	idle    int    // of them, mismatches in a row
	shown   uint64 // the first row of the last answer that did not match
	same    int    // how many in a row have shown it

	// While a range cannot be read whole, it is read in chunks.
	chunk    int // rows of one; 0: none
	chunkEnd int // the row after the range
	alone    bool
}

// maxIdle bounds the pages in a row that lead nowhere.
const maxIdle = 20

// maxEnds bounds how often a list may go on after its end.
const maxEnds = 3

// fixedAfter is after how many mismatches in a row a server that pages by
// number is taken to ignore the size asked for.
const fixedAfter = 8

func (x *indexed) next(ctx context.Context) (Page, error) {
	switch {
	case x.same > maxStalls:
		return Page{}, ErrLoop
	case x.idle > maxIdle, x.stalls > maxStalls+2*x.reached/x.limit(): // an order that changes with each request has no end to match
		x.torn()
		return Page{}, io.EOF
	}
	if x.at.Suspect != nil && x.chunk == 0 {
		x.chunk, x.chunkEnd = 1, x.at.Rows+1
	}
	if x.chunk > 0 && x.at.Rows >= x.chunkEnd {
		x.chunk = 0
	}
	switch {
	case x.alone:
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
	if x.chunk > 0 {
		size, after = min(size, x.chunk+1), min(size, x.chunk)
	}
	if x.at.Gap == 0 && x.at.Rows > 0 {
		if q, gain := x.reach(x.at.Rows-1, size); gain > 1 {
			return q
		}
	}
	return x.exactly(x.at.Rows, after)
}

// reach returns the query of at most size rows that holds the row of index i
// and reaches furthest after it, and how many rows it has from that row on. By
// page number a page of size s begins at a multiple of s.
func (x *indexed) reach(i, size int) (q Query, gain int) {
	if !x.byPage {
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
func (x *indexed) exactly(i, size int) Query {
	if !x.byPage {
		return Query{Start: i, Limit: size}
	}
	for i%size != 0 {
		size--
	}
	return Query{Start: i, Limit: size, Page: i/size + 1}
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
	if x.matches(l, at) {
		return x.matched(ctx, q, l, at)
	}
	l, err := x.again(ctx, q) // an answer that was wrong is not wrong twice
	switch {
	case err != nil:
		return x.failed(ctx, q, err)
	case x.matches(l, at):
		return x.matched(ctx, q, l, at)
	}
	n := len(l.Records)
	x.mismatched(l)
	if x.byPage {
		switch {
		case n > q.Limit || x.same >= fixedAfter:
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
	i, place := x.newest(l)
	return i >= 0 && place-1-i == (q.Page-1)*len(l.Records)
}

// mismatched counts an answer that does not begin where it should.
func (x *indexed) mismatched(l jsonscan.List) {
	if shown := firstOf(l); shown != x.shown {
		x.shown, x.same = shown, 0
	}
	x.same++
}

func (x *indexed) matches(l jsonscan.List, at int) bool {
	return at >= 0 && at < len(l.Records) && x.recent.isLast(idOf(l, l.Records[at]))
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
	x.learnSize(q, len(l.Records))
	page := x.take(l, p)
	x.stalls++
	switch {
	case x.progress || x.at.Rows > x.reached:
		x.idle, x.stalls = 0, 0
	case p.moved:
		x.idle++
	default:
		x.idle = 0
	}
	if !p.moved {
		x.same = 0
	}
	x.reached = max(x.reached, x.at.Rows)
	if x.chunk > 0 {
		x.chunk *= 2
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
	if n < q.Limit && x.chunk == 0 {
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
	if x.chunk > 0 && n >= q.Limit {
		x.chunk *= 2
		return Page{}, nil
	}
	if !x.byPage && x.at.Rows > 1 {
		return Page{}, io.EOF
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
// the rows read, in a size that no server lowers.
func (x *indexed) nothingAfter(ctx context.Context) (bool, error) {
	size := min(x.limit(), max(1, x.whole))
	for range 2 {
		l, err := x.ask(ctx, x.exactly(x.at.Rows, size))
		if err != nil || len(l.Records) > 0 {
			return false, err
		}
	}
	return true, nil
}

// rejoin goes on in a list that has moved: at the row read last of those that
// the answer shows, or further back.
func (x *indexed) rejoin(ctx context.Context, q Query, l jsonscan.List) (Page, error) {
	step := max(1, x.limit()-1)
	for {
		if i, place := x.newest(l); i >= 0 {
			if moved := q.Start + i + 1 - place; moved > 0 {
				x.at.Signs.displace(x.at.Look, moved)
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

// newest returns the index of the row read last of those in the answer, and
// the place where it was read; -1 if none is remembered.
func (x *indexed) newest(l jsonscan.List) (index, place int) {
	index, number := -1, 0
	for i, record := range l.Records {
		if n := x.recent.number[digest(idOf(l, record))]; n > number {
			index, number = i, n
		}
	}
	return index, x.at.Rows - x.at.Gap - (x.recent.read - number)
}

// failed narrows the range that cannot be read, unless the server is ill.
func (x *indexed) failed(ctx context.Context, q Query, err error) (Page, error) {
	if !narrowable(err) {
		return Page{}, err
	}
	switch {
	case x.chunk == 0:
		if !errors.Is(err, providers.ErrTooLarge) && x.well(ctx, q.Start+q.Limit) != nil {
			return Page{}, err
		}
		x.chunkEnd = max(q.Start+q.Limit, x.at.Rows+1)
		x.chunk = max(1, (x.chunkEnd-x.at.Rows)/2)
	case x.chunk > 1:
		x.chunk /= 2
	default:
		x.alone = true
	}
	return Page{}, nil
}

// well reports whether the server answers questions about rows that are not in
// doubt: the last one read, or else one after the range in doubt.
func (x *indexed) well(ctx context.Context, after int) error {
	if x.recent.read == 0 {
		return x.answersAfter(ctx, after)
	}
	return x.answers(ctx, x.exactly(x.at.Rows-1-x.at.Gap, 1))
}

// farAway is how many rows after a record no other that fails is expected.
const farAway = 1000

// answersAfter asks for the record at an index. Where that fails too, one far
// away will do, or the emptiness after the end.
func (x *indexed) answersAfter(ctx context.Context, i int) error {
	err := x.answers(ctx, x.exactly(i, 1))
	if err != nil && narrowable(err) {
		err = x.answers(ctx, x.exactly(i+farAway, 1))
	}
	return err
}

// neighborsAreWell asks for the records on either side of the one after those
// read.
func (x *indexed) neighborsAreWell(ctx context.Context) error {
	if x.recent.read > 0 {
		if err := x.well(ctx, 0); err != nil {
			return err
		}
	}
	return x.answersAfter(ctx, x.at.Rows+1)
}

// single asks for the one record after those read, without any other.
func (x *indexed) single(ctx context.Context) (Page, error) {
	x.alone = false
	q := x.exactly(x.at.Rows, 1)
	l, err := x.condemn(ctx, func(ctx context.Context) (jsonscan.List, error) { return x.again(ctx, q) }, x.neighborsAreWell)
	var verdict errRejected
	switch {
	case errors.As(err, &verdict):
		// The record before it must still be there, or it is another's place.
		if p, moved, err := x.moved(ctx); moved || err != nil {
			return p, err
		}
		return x.reject(l.Body, verdict.reason, x.window), nil
	case err != nil && narrowable(err): // its neighbors fail too: the list has moved, or the server is ill
		if p, moved, movedErr := x.moved(ctx); moved && movedErr == nil {
			return p, nil
		}
		return Page{}, err
	case err != nil:
		return Page{}, err
	}
	return x.bridge(ctx, q, l)
}

// moved looks whether the last row that was readable stands where it was read.
// If not, it goes on where it stands now.
func (x *indexed) moved(ctx context.Context) (Page, bool, error) {
	if x.recent.read == 0 {
		return Page{}, false, nil
	}
	q := x.exactly(x.at.Rows-1-x.at.Gap, 1)
	l, err := x.ask(ctx, q)
	if err != nil && !narrowable(err) || x.matches(l, 0) {
		return Page{}, false, err
	}
	if err != nil { // one that fails stands there now, or the server is ill
		if wellErr := x.answersAfter(ctx, x.at.Rows); wellErr != nil {
			return Page{}, false, err
		}
		l = jsonscan.List{}
	}
	if fixed, err := x.ignoresSize(ctx, q, l); fixed {
		return Page{}, true, err
	}
	x.drift.Shifts++
	if x.idle++; x.idle > maxStalls {
		return Page{}, true, fmt.Errorf("%w: the list moves too fast to read past a record that cannot be read; what was read is stored", providers.ErrTemporary)
	}
	x.at.Rows -= x.at.Gap // what was rejected may come again, and is known
	x.at.Gap, x.chunk = 0, 0
	p, err := x.rejoin(ctx, q, l)
	return p, true, err
}

// bridge takes a page that begins right after the rows read and so cannot show
// the last of them: that one is looked at once more, after the page.
func (x *indexed) bridge(ctx context.Context, q Query, l jsonscan.List) (Page, error) {
	if p, moved, err := x.moved(ctx); moved || err != nil {
		return p, err
	}
	if fixed, err := x.ignoresSize(ctx, q, l); fixed || err != nil {
		return Page{}, err
	}
	if len(l.Records) == 0 { // which is no proof until it comes twice
		l, err := x.again(ctx, q)
		if err != nil {
			return x.failed(ctx, q, err)
		}
		if len(l.Records) == 0 {
			return Page{}, io.EOF
		}
		return Page{}, nil
	}
	return x.took(ctx, q, l, placing{start: q.Start, joint: -1}), nil
}
