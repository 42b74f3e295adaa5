package export

import (
	"context"
	"errors"
	"io"

	"hikyaku/pkg/providers"
)

// errBrokenFixed: an answer that cannot be split, where no smaller range can
// be asked for.
var errBrokenFixed = &providers.Error{Op: "export", Kind: providers.ErrInvalid, Detail: "an answer cannot be split into records, and this source has no smaller pages to ask for"}

// becomeFixed goes on with pages of one size.
func (r *reading) becomeFixed(ctx context.Context) (*page, error) {
	r.restart()
	r.feed.Paging = ByFixedPage
	r.page = (r.at.Rows + r.at.Size - 1) / r.at.Size
	return r.nextFixed(ctx)
}

// nextFixed reads the page behind the last one, then the last one again. If
// the second look shows nothing new, nothing has moved out of the next page
// into this one meanwhile, so the two are neighbors.
func (r *reading) nextFixed(ctx context.Context) (*page, error) {
	if r.partial {
		return r.nextPartial(ctx)
	}
	p, err := r.fixed(ctx, r.page+1)
	if err != nil {
		return nil, err
	}
	if r.page == 0 {
		if p, err = r.first(p); err == nil {
			r.page = 1
		}
		return p, err
	}
	before, err := r.fixed(ctx, r.page)
	if err != nil {
		return nil, err
	}
	i := r.joint(before)
	if !r.anyNew(before) {
		return r.fixedRewind(before)
	}
	if r.tail.count >= 2*len(before.rows) {
		i = 0 // far more is remembered than the page holds, so what is not is new
	}
	full := len(before.rows) >= r.at.Size
	count := len(p.rows)
	r.takeNew(before, i)
	switch {
	case len(before.rows) > 0: // rows have moved left: look at the page before, too, and then at this pair again
		r.drift.Shifts++
		r.page = max(1, r.page-1)
		return before, nil
	case count == 0:
		return r.fixedEnd(ctx)
	case !full && r.joint(p) < 0:
		r.drift.Shifts++
		return &page{}, nil // they are no neighbors; read the pair again
	}
	if r.joint(p) >= 0 {
		r.drift.Shifts++
	}
	r.takeNew(p, 0)
	r.page++
	return p, nil
}

// nextPartial reads the rest of the page in which an earlier call stopped.
func (r *reading) nextPartial(ctx context.Context) (*page, error) {
	r.partial = false
	p, err := r.fixed(ctx, r.page)
	if err != nil {
		return nil, err
	}
	i := r.joint(p)
	if i < 0 {
		return r.fixedRewind(p)
	}
	r.takeNew(p, i)
	return p, nil
}

// fixedEnd ends the pass if there is still nothing behind the last page now
// that it has been looked at again.
func (r *reading) fixedEnd(ctx context.Context) (*page, error) {
	p, err := r.fixed(ctx, r.page+1)
	if err != nil {
		return nil, err
	}
	if len(p.rows) == 0 {
		return nil, io.EOF
	}
	r.drift.Shifts++
	return &page{}, nil // read the pair again
}

// anyNew reports whether the page holds a row that was taken lately.
func (r *reading) anyNew(p *page) bool {
	for i := range p.rows {
		if r.tail.hasNew(p.rows[i].id) {
			return true
		}
	}
	return false
}

// fixedRewind steps back to a page that still shows rows taken earlier.
func (r *reading) fixedRewind(before *page) (*page, error) {
	r.drift.Rewinds++
	if r.page > 1 {
		r.page--
		return &page{}, nil
	}
	r.drift.Unresolved++
	r.takeNew(before, 0)
	return before, nil
}

// fixed fetches one page by number.
func (r *reading) fixed(ctx context.Context, number int) (*page, error) {
	start := (number - 1) * max(1, r.at.Size)
	p, err := r.fetch(ctx, Query{Page: number, Limit: r.limit(), Start: start})
	if errors.Is(err, ErrUnsplittable) {
		p, err = r.again(ctx, p)
	}
	if errors.Is(err, ErrUnsplittable) {
		return nil, errBrokenFixed
	}
	if err == nil {
		r.number(p, start)
	}
	return p, err
}
