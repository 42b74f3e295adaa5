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
// that still ends with the row taken last, the two are neighbors; rows that
// the second look shows for the first time are taken in any case.
func (r *reading) nextFixed(ctx context.Context) (*page, error) {
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
	if i < 0 {
		return r.fixedRewind(before)
	}
	last := r.tail.isLast(before.rows[len(before.rows)-1].id)
	count := len(p.rows)
	r.takeNew(before, i)
	switch late := len(before.rows); {
	case late > 0: // take these first; the pair is read again
		r.drift.Shifts++
		return before, nil
	case count == 0:
		return nil, io.EOF
	case !last && r.joint(p) < 0:
		r.drift.Shifts++
		return &page{}, nil // they are no neighbors; read the pair again
	}
	if j := r.joint(p); j >= 0 {
		r.drift.Shifts++
		r.takeNew(p, j)
	} else {
		r.taken(p)
	}
	r.page++
	return p, nil
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
