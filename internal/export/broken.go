package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"hikyaku/pkg/providers"
)

// An answer that cannot be split is asked for once more; if that does not
// help, its range is read in halves of halves, until the one record that
// breaks it stands alone and is rejected as it came. Each page of the range
// begins with the last row taken where that can be read, so that here, too, a
// list that moves is noticed.

// maxUnreadable bounds the records in a row that are rejected so. A source that
// cuts every answer would otherwise be read for ever, behind its end.
const maxUnreadable = 200

// again repeats a query whose answer could not be split: a torn answer looks
// the same as a broken record. What is not even a list of records is no fault of
// a record: the provider is out of order, or its quirk for paging is wrong.
func (r *reading) again(ctx context.Context, p *page) (*page, error) {
	p, err := r.fetch(ctx, p.query)
	if errors.Is(err, errShape) {
		err = &providers.Error{Op: "export", Kind: providers.ErrTemporary, Detail: "an answer holds no list of records: the provider is out of order, or the quirk for paging is wrong"}
	}
	return p, err
}

// isolate begins to read a broken range in chunks.
func (r *reading) isolate(p *page) *page {
	r.restart()
	limit := max(1, p.query.Limit)
	if r.at.Size == 0 {
		r.at.Size = limit
	}
	r.brokenEnd = max(p.query.Start+limit, r.at.Rows+1)
	r.shrunk = max(1, (r.brokenEnd-r.at.Rows)/2)
	return &page{query: p.query}
}

// nextChunk reads a part of the broken range.
func (r *reading) nextChunk(ctx context.Context) (*page, error) {
	if r.at.Rows >= r.brokenEnd {
		r.shrunk = 0
		return &page{}, nil
	}
	size := min(r.shrunk, r.brokenEnd-r.at.Rows)
	q, lapped := r.lapped(size)
	if !lapped {
		q = r.chunk(size)
		size = q.Limit
	}
	p, err := r.fetch(ctx, q)
	switch {
	case errors.Is(err, ErrUnsplittable):
		return r.narrow(ctx, p, size, lapped)
	case err != nil:
		return nil, err
	case lapped:
		return r.joinChunk(ctx, p, size)
	case r.lone: // with the row before it, it could not be read: the list moves
		return r.lookBack(ctx)
	case len(p.rows) == 0 && r.feed.Paging == ByCursor && !r.blind:
		r.shrunk = 0
		return r.cursorEnd(ctx)
	}
	if r.blind || r.feed.Paging == ByPage {
		if p, err := r.moved(ctx); p != nil || err != nil {
			return p, err
		}
	}
	if len(p.rows) == 0 {
		return nil, io.EOF
	}
	r.number(p, r.at.Rows)
	behind := r.at.Rows + len(p.rows)
	r.takeTo(p, 0)
	r.at.Rows, r.blind, r.shrunk = behind, false, 2*size
	return p, nil
}

// lapped returns a query for about size rows behind those read that begins
// with the last of them, if there is one.
func (r *reading) lapped(size int) (Query, bool) {
	if r.blind || r.lone || r.at.Rows == 0 || r.feed.Paging == ByCursor {
		return Query{}, false
	}
	q, gain := r.reachWithin(r.at.Rows-1, size+1, r.clear)
	return q, gain > 1
}

// joinChunk takes what a page shows behind the last row taken.
func (r *reading) joinChunk(ctx context.Context, p *page, size int) (*page, error) {
	before, n := r.at.Rows-p.query.Start, len(p.rows)
	r.number(p, p.query.Start)
	if n < before || !r.tail.isLast(p.rows[before-1].id) {
		r.shrunk = 0
		return r.rejoin(ctx, p)
	}
	p.rows = p.rows[before:]
	r.shrunk = 2 * size
	if len(p.rows) == 0 { // the broken record has gone, and nothing is behind it
		r.shrunk, r.beyond = 0, true
		return p, nil
	}
	r.takeTo(p, 0)
	r.at.Rows = p.query.Start + n
	return p, nil
}

// narrow halves a range that cannot be split, or rejects the one record that is
// left of it.
func (r *reading) narrow(ctx context.Context, p *page, size int, lapped bool) (*page, error) {
	switch {
	case size > 1:
		r.shrunk = size / 2
		return &page{query: p.query}, nil
	case lapped:
		r.lone = true
		return &page{query: p.query}, nil
	}
	for range 3 { // a torn answer differs from time to time, a broken record does not
		next, err := r.again(ctx, p)
		if err != nil && !errors.Is(err, ErrUnsplittable) {
			return nil, err
		}
		if err == nil {
			return r.lookBack(ctx)
		}
		same := bytes.Equal(next.buf, p.buf)
		if p = next; same {
			break
		}
	}
	if p, err := r.moved(ctx); p != nil || err != nil {
		return p, err
	}
	if r.unread++; r.unread > maxUnreadable {
		return nil, &providers.Error{Op: "export", Kind: providers.ErrInvalid, Detail: fmt.Sprintf("%d answers in a row cannot be split into records, down to single ones; what was read is stored", r.unread)}
	}
	return r.reject(p), nil
}

// moved goes back to the last readable row if the list has moved, and otherwise
// returns nothing.
func (r *reading) moved(ctx context.Context) (*page, error) {
	at, holds, err := r.seam(ctx)
	if holds || err != nil {
		return nil, err
	}
	return r.goBack(ctx, at)
}

// seam looks again at the last record, readable or not, once what follows it has
// been read. If it is still there, the two are neighbors, although no page
// can hold both: the seam holds. If not, at is the page that stands there now.
func (r *reading) seam(ctx context.Context) (at *page, holds bool, err error) {
	if r.at.Rows == 0 {
		return nil, true, nil // nothing stands before the first
	}
	q := Query{Start: r.at.Rows - 1, Limit: 1}
	if r.feed.Paging != ByOffset {
		q.Page = r.at.Rows
	}
	p, err := r.fetch(ctx, q)
	if errors.Is(err, ErrUnsplittable) && !r.blind {
		p, err = r.again(ctx, p)
	}
	switch {
	case errors.Is(err, ErrUnsplittable):
		return p, r.blind, nil
	case err != nil:
		return nil, false, err
	case !r.blind && len(p.rows) > 0 && r.tail.isLast(p.rows[0].id):
		return nil, true, nil
	}
	r.number(p, q.Start)
	return p, false, nil
}

// lookBack goes on where the last row stands, or tries the broken range again.
func (r *reading) lookBack(ctx context.Context) (*page, error) {
	r.lone = false
	if p, err := r.moved(ctx); p != nil || err != nil {
		return p, err
	}
	return &page{}, nil
}

// goBack reads on behind the last readable row, the list having moved.
func (r *reading) goBack(ctx context.Context, at *page) (*page, error) {
	if r.blind {
		r.at.Rows = r.good
	}
	r.blind, r.lone, r.shrunk, r.beyond = false, false, 0, false
	r.doubled = slices.Clone(r.rejected)
	if r.feed.Paging != ByCursor {
		return r.rejoin(ctx, at)
	}
	r.drift.Shifts++
	return &page{}, r.renumber(ctx)
}

// renumber finds the number of the last row of a cursor source, which leads
// past a record that shows no id.
func (r *reading) renumber(ctx context.Context) error {
	home := r.at.Rows
	for turn := range 2 * maxSearch {
		r.at.Rows = home - turn/2 - 1
		if turn%2 == 1 {
			r.at.Rows = home + turn/2 + 1
		}
		if r.at.Rows < 1 {
			continue
		}
		if _, holds, err := r.seam(ctx); holds || err != nil {
			return err
		}
	}
	r.at.Rows = home
	r.drift.Unresolved++
	return &providers.Error{Op: "export", Kind: providers.ErrTemporary, Detail: "the list moves too fast to read past a record that cannot be split off; what was read is stored"}
}

// chunk returns a query for at most size rows behind those read. A cursor
// cannot lead past a record that shows no id, a number can.
func (r *reading) chunk(size int) Query {
	start := r.at.Rows
	switch {
	case r.feed.Paging == ByOffset:
		return Query{Start: start, Limit: size}
	case r.feed.Paging == ByCursor && !r.blind:
		return Query{After: r.tail.lastID(), Start: start, Limit: size}
	case r.feed.Paging == ByCursor:
		size = 1
	}
	for start%size != 0 {
		size--
	}
	return Query{Start: start, Limit: size, Page: start/size + 1}
}

// reject makes a row of an answer that holds one broken record. One that comes
// again after the list has moved is counted once.
func (r *reading) reject(p *page) *page {
	id, reason := digestID(p.buf), unreadable
	if len(p.buf) == 0 { // not even its bytes are known
		id, reason = r.neighborID(), tooLarge
	}
	if !r.blind {
		r.good = r.at.Rows
	}
	r.at.Rows++
	r.blind, r.shrunk, r.lone, r.clear = true, 1, false, r.at.Rows
	r.rejected = append(r.rejected[max(0, len(r.rejected)-maxUnreadable):], string(id))
	if i := slices.Index(r.doubled, string(id)); i >= 0 {
		r.doubled = slices.Delete(r.doubled, i, i+1)
		return &page{query: p.query}
	}
	p.rows = []row{{end: len(p.buf), id: id, reason: reason, at: r.at.Rows}}
	return p
}

// neighborID stands for the id of a record of which nothing is known: the pass,
// and the row that it follows. That stays when the list moves, and no two
// records share it.
func (r *reading) neighborID() []byte {
	before := r.tail.lastID()
	if n := len(r.rejected); r.blind && n > 0 {
		before = r.rejected[n-1]
	}
	return digestID(fmt.Appendf(nil, "behind %s of %d", before, r.feedPass))
}
