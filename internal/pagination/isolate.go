package pagination

import (
	"context"
	"errors"
	"fmt"
	"io"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
)

// isolation is how far indexed has narrowed a range that cannot be read whole.
// The range is read in chunks, half as large after each that fails and twice as
// large after each that does not, until the one record that spoils it stands
// alone.
type isolation struct {
	chunk int // rows of one; 0: no range is in doubt
	end   int // the row after the range
	alone bool
}

// failed narrows the range that cannot be read, unless the server is ill.
func (x *indexed) failed(ctx context.Context, q Query, err error) (Page, error) {
	if !narrowable(err) {
		return Page{}, err
	}
	switch {
	case x.broken.chunk == 0:
		if !errors.Is(err, providers.ErrTooLarge) && x.well(ctx, q.Start+q.Limit) != nil {
			return Page{}, err
		}
		x.broken.end = max(q.Start+q.Limit, x.at.Rows+1)
		x.broken.chunk = max(1, (x.broken.end-x.at.Rows)/2)
	case x.broken.chunk > 1:
		x.broken.chunk /= 2
	default:
		x.broken.alone = true
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
	x.broken.alone = false
	q := x.exactly(x.at.Rows, 1)
	l, err := x.condemn(ctx, func(ctx context.Context) (jsonscan.List, error) { return x.again(ctx, q) }, x.neighborsAreWell)
	var verdict errRejected
	switch {
	case errors.As(err, &verdict):
		// The record before it must still be there, or it is another's place.
		if p, moved, err := x.moved(ctx); moved || err != nil {
			return p, err
		}
		p := x.reject(l.Body, verdict.reason, fmt.Sprintf("%d after %s of %d", x.at.Gap, x.recent.back(1), x.at.Pass))
		p.Unread = &x.window
		return p, nil
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
	if err != nil && !narrowable(err) || x.lastStandsAt(l, 0) {
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
	if x.stalled.idle++; x.stalled.idle > maxStalls {
		return Page{}, true, fmt.Errorf("%w: the list moves too fast to read past a record that cannot be read; what was read is stored", providers.ErrTemporary)
	}
	x.at.Rows -= x.at.Gap // what was rejected may come again, and is known
	x.at.Gap, x.broken.chunk = 0, 0
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
		ended, err := x.nothingAfter(ctx)
		switch {
		case err != nil:
			return x.failed(ctx, q, err)
		case ended:
			return Page{}, io.EOF
		}
		return Page{}, nil
	}
	return x.took(ctx, q, l, placing{start: q.Start, joint: -1}), nil
}
