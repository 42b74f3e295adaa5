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
	chunk int  // rows of one; 0: no range is being narrowed
	end   int  // index of the row after the range
	alone bool // the next record is to be asked for without any other
}

// narrow asks for fewer rows after a page that could not be read. If the server
// is ill, it returns the error.
func (x *indexed) narrow(ctx context.Context, q Query, err error) (Page, error) {
	if !narrowable(err) {
		return Page{}, err
	}
	switch {
	case x.widen(err):
	case x.broken.chunk == 0:
		if !errors.Is(err, providers.ErrTooLarge) && x.prober().lastRead(ctx, q.Start+q.Limit) != nil {
			return Page{}, err
		}
		if q.Start >= x.at.Rows-1 && !errors.Is(err, providers.ErrTooLarge) { // or a record that has been rejected may spoil it
			x.failed = failure{q, x.at.Rows}
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

// A failure is a question that failed, although the server answered another one.
type failure struct {
	query Query
	rows  int // that had been read then
}

// endsBefore reports whether a question that failed is answered now, and shows no
// row that is not known: what had failed is not there any more.
func (p prober) endsBefore(ctx context.Context, q Query) bool {
	l, err := p.refetchTwice(ctx, q)
	return err == nil && p.known.has(l)
}

// farAway is at what distance from a record that fails another such record is
// not expected.
const farAway = 1000

// A prober asks for rows that are not at fault. Its errors mean that the server is
// ill.
type prober struct {
	*session
	grid
}

func (x *indexed) prober() prober { return prober{x.session, x.grid} }

// lastWithID returns the question for the last row read that has an id.
func (p prober) lastWithID() Query {
	return p.exactly(p.at.Rows-p.at.Gap-p.recent.withID(), 1)
}

// lastRead asks for the last row read or, before there is one, for the one at an
// index.
func (p prober) lastRead(ctx context.Context, or int) error {
	if p.recent.read == 0 {
		return p.record(ctx, or)
	}
	return p.probe(ctx, p.lastWithID())
}

// record asks for the one at an index. If that fails too, it asks far after it,
// where perhaps there is none.
func (p prober) record(ctx context.Context, i int) error {
	err := p.probe(ctx, p.exactly(i, 1))
	if err != nil && narrowable(err) {
		err = p.probe(ctx, p.exactly(i+farAway, 1))
	}
	return err
}

// neighbors asks for the records on either side of the next one.
func (p prober) neighbors(ctx context.Context) error {
	if p.recent.read > 0 {
		if err := p.lastRead(ctx, 0); err != nil {
			return err
		}
	}
	return p.record(ctx, p.at.Rows+1)
}

// readAlone asks for the next record without any other.
func (x *indexed) readAlone(ctx context.Context) (Page, error) {
	x.broken.alone = false
	q := x.exactly(x.at.Rows, 1)
	l, err := x.judgeRecord(ctx, func(ctx context.Context) (jsonscan.List, error) { return x.refetch(ctx, q) }, x.prober().neighbors)
	var verdict errRejected
	switch {
	case errors.As(err, &verdict):
		if n := jsonscan.CountObjects(l.Body); x.byPage && x.at.First == 0 && n > 1 { // it is not one record that fails
			x.at.Rows, x.at.Gap = 0, 0
			return Page{}, errFixedSize{n}
		}
		// If the record before it has moved, another record may have failed.
		if p, moved, err := x.rejoinIfMoved(ctx); moved || err != nil {
			return p, err
		}
		p := x.reject(l.Body, verdict.reason, fmt.Sprintf("%d after %s of %d", x.at.Gap, x.recent.back(1), x.at.Pass))
		p.Unread = &x.window
		return p, nil
	case err != nil && narrowable(err): // its neighbors fail too: the list has moved, or the server is ill
		if p, moved, movedErr := x.rejoinIfMoved(ctx); moved && movedErr == nil {
			return p, nil
		}
		return Page{}, err
	case err != nil:
		return Page{}, err
	}
	return x.takeAdjacent(ctx, q, l)
}

// rejoinIfMoved asks for the last row that could be read, at its place. If the row
// is not there any more, it goes on from where it is now, and moved is true.
func (x *indexed) rejoinIfMoved(ctx context.Context) (p Page, moved bool, err error) {
	if x.recent.read == 0 {
		return Page{}, false, nil
	}
	q := x.prober().lastWithID()
	l, err := x.refetchTwice(ctx, q)
	stands := len(l.Records) > 0 && x.recent.back(x.recent.withID()) == string(idOf(l, l.Records[0]))
	if err != nil && !narrowable(err) || stands {
		return Page{}, false, err
	}
	if err != nil { // a record that fails stands there now, or the server is ill
		if probeErr := x.prober().record(ctx, x.at.Rows); probeErr != nil {
			return Page{}, false, err
		}
		l = jsonscan.List{}
	}
	if fixed, err := x.ignoresSize(ctx, q, l); fixed {
		return Page{}, true, err
	}
	x.drift.Shifts++
	x.at.Shifts++
	if x.stalled.idle++; x.stalled.idle > maxStalls {
		return Page{}, true, fmt.Errorf("%w: the list moves too fast to read past a record that cannot be read; what was read is stored", providers.ErrTemporary)
	}
	x.at.Rows -= x.at.Gap // records that were rejected may be met again; they are known
	x.at.Gap, x.broken.chunk = 0, 0
	p, err = rejoining{x}.rejoin(ctx, q, l)
	return p, true, err
}

// takeAdjacent takes a page that begins right after the rows read, and so cannot
// show the last of them. It therefore asks once more for that row.
func (x *indexed) takeAdjacent(ctx context.Context, q Query, l jsonscan.List) (Page, error) {
	if fixed, err := x.ignoresSize(ctx, q, l); fixed || err != nil {
		return Page{}, err // before its pages are looked for where they cannot begin
	}
	x.tail = rejoining{x}.tailOf(q, l)
	p, moved, err := x.rejoinIfMoved(ctx)
	x.tail = noTail
	if moved || err != nil {
		return p, err
	}
	if len(l.Records) == 0 {
		ended, err := x.nothingAfter(ctx)
		switch {
		case err != nil:
			return x.narrow(ctx, q, err)
		case ended:
			return Page{}, io.EOF
		}
		return Page{}, nil
	}
	return x.advance(ctx, q, l, placement{start: q.Start, overlapIndex: -1}), nil
}
