package export

import (
	"context"
	"errors"
	"io"
	"slices"
)

// stallsToFixed is after how many pages without a new row a server that pages
// by number is taken to ignore the size asked for.
const stallsToFixed = 8

// nextOverlapped reads by offset, or by page number with chosen sizes, so that
// each page begins inside the one before.
func (r *reading) nextOverlapped(ctx context.Context) (*page, error) {
	if r.shrunk > 0 {
		return r.nextChunk(ctx)
	}
	if len(r.ahead.queue) == 0 && r.stuck() {
		return r.becomeFixed(ctx)
	}
	r.fill(ctx)
	p, err := r.ahead.pop(ctx, r.fill)
	if errors.Is(err, ErrUnsplittable) {
		p, err = r.again(ctx, p)
	}
	if errors.Is(err, ErrUnsplittable) {
		return r.isolate(p), nil
	}
	if err != nil {
		return nil, err
	}
	return r.join(ctx, p)
}

// join decides what of a page is taken.
func (r *reading) join(ctx context.Context, p *page) (*page, error) {
	q, n := p.query, len(p.rows)
	r.number(p, q.Start)
	switch {
	case r.at.Rows == 0:
		return r.first(p)
	case n == 0 && (r.beyond || r.blind):
		if q.Start > r.at.Rows { // asked for before the short page came: rows may lie between
			r.ahead.drop()
			return p, nil
		}
		return r.end(ctx)
	case r.blind:
		if p, err := r.moved(ctx); p != nil || err != nil {
			return p, err
		}
		r.blind = false
		r.takeNew(p, min(n, max(0, r.at.Rows-q.Start)))
		r.at.Rows = q.Start + n
	case q.Start < r.at.Rows && q.Start+n >= r.at.Rows && r.tail.isLast(p.rows[r.at.Rows-1-q.Start].id):
		p.rows = p.rows[r.at.Rows-q.Start:]
		if r.cautious {
			r.takeNew(p, 0)
		} else {
			r.taken(p)
		}
		r.at.Rows = q.Start + n
	case r.beyond: // the page before was short, yet more follows: ask for what lies between
		r.restart()
		return &page{query: q}, nil
	case r.feed.Paging == ByPage && q.Limit != r.at.Size && (n > q.Limit || r.stalls >= stallsToFixed):
		return r.becomeFixed(ctx)
	default:
		return r.rejoin(ctx, p)
	}
	r.beyond = n < q.Limit
	return p, nil
}

// end ends the pass, unless the last row is not where it should be: it has
// moved, or a server that pages by number has lowered the size.
func (r *reading) end(ctx context.Context) (*page, error) {
	if !r.blind && (r.feed.Paging == ByOffset || !r.cautious) {
		return nil, io.EOF
	}
	if p, err := r.moved(ctx); p != nil || err != nil {
		return p, err
	}
	return nil, io.EOF
}

// first takes the first page whole. An empty one ends the pass.
func (r *reading) first(p *page) (*page, error) {
	if len(p.rows) == 0 {
		return nil, io.EOF
	}
	r.learn(p)
	r.taken(p)
	r.beyond = r.feed.Paging != ByFixedPage && len(p.rows) < p.query.Limit
	return p, nil
}

// fill queues pages up to what may be ahead. Before the first page tells the
// size, there is only that one to ask for.
func (r *reading) fill(ctx context.Context) {
	for !r.ahead.full() {
		n := len(r.ahead.queue)
		var q Query
		gain := 1
		switch {
		case r.at.Rows == 0 || r.blind:
			if n > 0 {
				return
			}
			q, gain = r.reach(r.at.Rows)
		case r.beyond:
			if n > 0 {
				return
			}
			q = r.chunk(max(1, r.limit()))
		case n > 0:
			last := r.ahead.queue[n-1].query
			q, gain = r.reach(last.Start + last.Limit - 1)
		default:
			q, gain = r.reach(r.at.Rows - 1)
		}
		if n > 0 && gain < 2 {
			return
		}
		r.ahead.push(ctx, r.frame(q))
	}
}

// reach returns the query that holds the row of index i and reaches furthest
// behind it, and how many rows it has from that row on.
func (r *reading) reach(i int) (q Query, gain int) { return r.reachWithin(i, max(1, r.limit()), 0) }

// reachWithin is reach with pages of at most size rows, none of which lies
// before the row of index first. By page number a page of size s begins at a
// multiple of s.
func (r *reading) reachWithin(i, size, first int) (q Query, gain int) {
	if r.feed.Paging == ByOffset {
		return Query{Start: i, Limit: size}, size
	}
	for s := size; s > gain; s-- {
		if s-i%s > gain && i-i%s >= first {
			gain = s - i%s
			q = Query{Start: i - i%s, Limit: s, Page: i/s + 1}
		}
	}
	return q, gain
}

// stuck reports that no page can show a new row beside the last one: pages of
// one row by offset, or an unlucky place among small pages by number.
func (r *reading) stuck() bool {
	if r.at.Rows == 0 || r.beyond || r.blind {
		return false
	}
	_, gain := r.reach(r.at.Rows - 1)
	return gain < 2
}

// restart drops what is ahead; reading goes on at the last row taken.
func (r *reading) restart() {
	r.ahead.drop()
	r.beyond = false
}

// rejoin finds the place again in a list that has moved: further left, where
// deletions have moved it, then further right, in turn.
func (r *reading) rejoin(ctx context.Context, p *page) (*page, error) {
	r.drift.Shifts++
	home := r.at.Rows - 1
	step := max(1, r.limit()-1)
	left, right := true, true
	for turn := 0; r.joint(p) < 0; turn++ {
		if turn == 2*maxSearch || !left && !right {
			return r.giveUp(ctx, home)
		}
		away := (turn/2 + 1) * step
		target := home - away
		if turn%2 == 1 {
			target = home + away
		}
		if turn%2 == 0 && !left || turn%2 == 1 && !right {
			continue
		}
		r.drift.Rewinds++
		q, _ := r.reach(max(0, target))
		var err error
		if p, err = r.fetch(ctx, q); err != nil && !errors.Is(err, ErrUnsplittable) {
			return nil, err
		}
		r.number(p, p.query.Start)
		left = left && home > away
		right = right && (turn%2 == 0 || len(p.rows) > 0)
	}
	r.resume(p, r.joint(p))
	return p, nil
}

// giveUp takes what stands where the list should go on: the rows around it
// are gone.
func (r *reading) giveUp(ctx context.Context, home int) (*page, error) {
	r.drift.Unresolved++
	q, _ := r.reach(home)
	p, err := r.fetch(ctx, q)
	switch {
	case errors.Is(err, ErrUnsplittable):
		return r.isolate(p), nil
	case err != nil:
		return nil, err
	case len(p.rows) == 0:
		return nil, io.EOF
	}
	r.number(p, p.query.Start)
	r.resume(p, min(len(p.rows), max(0, home-p.query.Start)))
	return p, nil
}

// resume takes the unknown rows of a page from index i on, and goes on behind
// the page. What was rejected may come again.
func (r *reading) resume(p *page, i int) {
	n := len(p.rows)
	r.takeTo(p, i)
	r.restart()
	r.at.Rows, r.beyond = p.query.Start+n, n < p.query.Limit
	r.doubled = slices.Clone(r.rejected)
}

// takeTo is takeNew, behind which the page's last row counts as the last one,
// also if it was known: the next page begins with it.
func (r *reading) takeTo(p *page, i int) {
	var last []byte
	if n := len(p.rows); n > 0 {
		last = p.rows[n-1].id
	}
	r.takeNew(p, i)
	if len(last) > 0 && !r.tail.isLast(last) {
		r.tail.add(last)
	}
}
