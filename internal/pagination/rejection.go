package pagination

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"hikyaku/pkg/jsonscan"
)

// A rejection is how cursor gives up a record that cannot be read, in a window that
// cannot be cut any more, and goes on after it.
type rejection struct{ *cursor }

// judgeNext asks for the next record by a question of its own, and rejects it if
// it fails for long.
func (c rejection) judgeNext(ctx context.Context, alone Query) (Page, error) {
	w, suspect := c.currentWindow(), c.at.Suspect
	l, err := c.judgeRecord(ctx, func(ctx context.Context) (jsonscan.List, error) { return c.refetch(ctx, alone) }, c.probeServer)
	var verdict errRejected
	if !errors.As(err, &verdict) {
		return Page{}, err
	}
	name, err := c.nameOfNext(ctx, w)
	if err != nil {
		c.at.Suspect = suspect // a later call goes on here
		return Page{}, err
	}
	var page Page
	if name != "" {
		page = c.reject(l.Body, verdict.reason, name)
		page.Unread, c.at.Gap = &w, 0
	}
	c.at.Windows.Read++
	c.rejectedInRow++
	c.at.Windows.Past = true
	if w.To.IsZero() || c.rejectedInRow >= maxRejectedInRow {
		c.giveUp(w)
	}
	return page, nil
}

// readPast goes on after a record that was rejected. The rows after it cannot be
// asked for by its id, which is not known, but by their number in the window. If
// the server ignores numbers, they cannot be asked for at all.
func (c rejection) readPast(ctx context.Context) (Page, error) {
	q := Query{Page: c.at.Windows.Read + 1, Limit: 1, Window: c.currentWindow()}
	l, err := c.refetchTwice(ctx, q)
	if err == nil && len(l.Records) == 0 {
		l, err = c.refetchTwice(ctx, q)
	}
	if err != nil && !narrowable(err) && !refused(err) {
		return Page{}, err
	}
	if err == nil && len(l.Records) == 0 || err != nil && refused(err) || c.ignoresNumbers(ctx, q, l) {
		c.at.Windows.Past = false
		return c.nextWindow()
	}
	if err != nil {
		return c.judgeNext(ctx, q)
	}
	c.at.Windows.Past = false
	page, err := c.advance(ctx, l, placement{overlapIndex: -1})
	c.at.Windows.Behind = true
	return page, err
}

// ignoresNumbers reports whether the server answers a question for a row by its
// number as it does that for another one: with the same row, or with none far
// after.
func (c rejection) ignoresNumbers(ctx context.Context, q Query, l jsonscan.List) bool {
	other := q
	if len(l.Records) == 0 { // it failed
		other.Page += farAway
		return c.probe(ctx, other) != nil
	}
	other.Page = 1
	first, err := c.refetchTwice(ctx, other)
	return err == nil && len(first.Records) > 0 && string(idOf(first, first.Records[0])) == string(idOf(l, l.Records[0]))
}

// giveUp notes that rows may follow in a window that cannot be asked for, and goes
// on with the next one. A window without an end, and records that are rejected one
// after the other, end the list.
func (c rejection) giveUp(w Window) {
	c.at.Signs.Unread++ // and no later run will ask for them
	c.at.Windows.Past = false
	_, err := c.nextWindow()
	c.ended = errors.Is(err, io.EOF) || w.To.IsZero() || c.rejectedInRow >= maxRejectedInRow
}

// nameOfNext names a record that is rejected after its window and its number among
// those rejected there. It is empty for one that the window before has rejected,
// because both show it: a window shows the records of its last second that have no
// fraction, and so does the next one.
func (c rejection) nameOfNext(ctx context.Context, w Window) (string, error) {
	if c.at.Windows.Rejected == 0 {
		shared, err := c.failingAt(ctx, w.From)
		if err != nil {
			return "", err
		}
		c.at.Windows.Shared = shared
	}
	c.at.Windows.Rejected++
	switch n := c.at.Windows.Rejected - c.at.Windows.Shared; {
	case n <= 0:
		return "", nil
	case n == 1:
		return fmt.Sprintf("of %d from %d", c.at.Pass, w.From.Unix()), nil
	default:
		return fmt.Sprintf("of %d from %d, the %dth", c.at.Pass, w.From.Unix(), n), nil
	}
}

// failingAt counts the records that fail of a moment at which a window begins and
// the one before it ends.
func (c rejection) failingAt(ctx context.Context, moment time.Time) (failing int, err error) {
	if len(c.at.Windows.Bounds) < 2 || moment.Equal(c.window.From) || c.at.Windows.Bounds[0] == firstSecond {
		return 0, nil // there is none before it
	}
	var last []byte
	for number := 1; ; number++ {
		q := Query{Page: number, Limit: 1, Window: Window{From: moment, To: moment}}
		l, err := c.refetchTwice(ctx, q)
		if err != nil && refused(err) { // it knows no such number
			l, err = jsonscan.List{}, nil
		}
		switch {
		case err != nil && narrowable(err):
			if failing++; c.ignoresNumbers(ctx, q, l) {
				return failing, nil
			}
		case err != nil:
			return 0, err
		case len(l.Records) == 0 || string(last) == string(idOf(l, l.Records[0])): // or it ignores the number
			return failing, nil
		default:
			last = idOf(l, l.Records[0])
		}
		if failing > maxRejectedInRow {
			return failing, nil
		}
	}
}
