package export

import (
	"context"
	"errors"
	"io"
)

// An answer that cannot be split is asked for once more; if that does not
// help, its range is read in halves of halves, until the one record that
// breaks it stands alone and is rejected as it came.

// again repeats a query whose answer could not be split: a torn answer looks
// the same as a broken record.
func (r *reading) again(ctx context.Context, p *page) (*page, error) {
	return r.fetch(ctx, p.query)
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

// nextChunk reads a part of the broken range, without overlap.
func (r *reading) nextChunk(ctx context.Context) (*page, error) {
	if r.at.Rows >= r.brokenEnd {
		r.shrunk = 0
		return &page{}, nil
	}
	q := r.chunk(min(r.shrunk, r.brokenEnd-r.at.Rows))
	p, err := r.fetch(ctx, q)
	switch {
	case errors.Is(err, ErrUnsplittable) && q.Limit == 1:
		return r.reject(p), nil
	case errors.Is(err, ErrUnsplittable):
		r.shrunk = q.Limit / 2
		return &page{query: q}, nil
	case err != nil:
		return nil, err
	case len(p.rows) == 0:
		return nil, io.EOF
	}
	r.number(p, r.at.Rows)
	behind := r.at.Rows + len(p.rows)
	r.takeNew(p, 0)
	r.at.Rows, r.blind, r.shrunk = behind, false, 2*q.Limit
	return p, nil
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

// reject makes a row of an answer that holds one broken record.
func (r *reading) reject(p *page) *page {
	r.at.Rows++
	r.blind, r.shrunk = true, 1
	p.rows = []row{{end: len(p.buf), id: digestID(p.buf), reason: unreadable, at: r.at.Rows}}
	return p
}
