package pagination

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
)

// cursor asks for what follows an id: that of the row before the last one, so
// that each page begins with the last row.
//
// Where a record cannot be read, nothing can be asked for that follows it. The
// list's window of time is then cut in two, again and again, until the record
// stands alone in its second. Two windows share the second between them: a
// record's time may have a fraction.
type cursor struct {
	*session

	few     int // rows to ask for while a page cannot be read; 0: as many as usual
	stalls  int // pages in a row whose rows this look had met before
	rejoins int // how often in a row the place was lost without a new row
	windows []int64
	over    bool // the last window was left before its end
	barren  int  // records in a row that were rejected without a row between
	single  bool // the server gives one row at a time, so that no page can overlap
}

// maxBarren bounds the records in a row that are rejected without a row between
// them. A server that does not look at the window would show the same one in
// each, without end.
const maxBarren = 8

// firstSecond begins the windows of a list that has no beginning. No shop of
// these providers is older.
var firstSecond = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Unix()

func newCursor(s *session) *cursor {
	return &cursor{session: s, windows: s.at.Windows}
}

func (c *cursor) next(ctx context.Context) (Page, error) {
	if c.over {
		return Page{}, io.EOF
	}
	known, ok := c.anchor(c.overlap())
	if !ok {
		return c.cut(ctx, errNoID)
	}
	q := c.after(known)
	l, err := c.fetch(ctx, q)
	switch {
	case err != nil && q.After != "" && refused(err):
		return c.rejoin(ctx) // an id that is gone leads nowhere
	case err != nil:
		return c.failed(ctx, err)
	case c.recent.read == 0:
		return c.first(ctx, l)
	case !c.begins(l, known):
		if l, err = c.again(ctx, q); err != nil && !refused(err) { // an answer that was wrong is not wrong twice
			return c.failed(ctx, err)
		}
		if err != nil || !c.begins(l, known) {
			return c.rejoin(ctx)
		}
	}
	if len(l.Records) == known {
		return c.end(ctx)
	}
	return c.took(ctx, l, placing{joint: known - 1})
}

// overlap is how many rows a page begins with that are known.
func (c *cursor) overlap() int {
	if c.single {
		return 0
	}
	return 1
}

// end ends the window where nothing stands after its last row. Where that is
// the only one, the server may give one row at a time.
func (c *cursor) end(ctx context.Context) (Page, error) {
	if c.recent.read > 1 || c.single {
		return c.nextWindow()
	}
	known, _ := c.anchor(0)
	l, err := c.again(ctx, c.after(known))
	switch {
	case err != nil && !refused(err):
		return c.failed(ctx, err)
	case known == 0 && len(l.Records) > 0:
		c.single = true
		return Page{}, nil
	}
	return c.nextWindow()
}

// anchor returns how many of the rows read last follow the nearest one before
// them, at least n, that has an id to ask behind. It is false if none is kept.
func (c *cursor) anchor(n int) (known int, ok bool) {
	for known = min(n, c.recent.read); known < c.recent.read; known++ {
		if known == fullIDs {
			return 0, false
		}
		if id := c.recent.back(known + 1); !IsDigest([]byte(id)) {
			return known, true
		}
	}
	return known, true // the beginning of the list
}

// after returns the question that the last known rows begin the answer to.
func (c *cursor) after(known int) Query {
	limit := c.limit()
	if c.few > 0 {
		limit = min(limit, c.few+1)
	}
	q := Query{Limit: limit + max(0, known-1), Start: max(0, c.at.Rows-known), Window: c.span()}
	if known < c.recent.read {
		q.After = c.recent.back(known + 1)
	}
	return q
}

// span is the window being read.
func (c *cursor) span() Window {
	if len(c.windows) < 2 {
		return c.window
	}
	w := Window{From: time.Unix(c.windows[0], 0).UTC(), To: time.Unix(c.windows[1], 0).UTC()}
	if c.window.From.IsZero() && c.windows[0] == firstSecond {
		w.From = time.Time{}
	}
	return w
}

// refused reports whether a provider does not accept a question.
func refused(err error) bool {
	return errors.Is(err, providers.ErrInvalid) && !errors.Is(err, providers.ErrTooLarge) || errors.Is(err, providers.ErrNotFound) || errors.Is(err, providers.ErrGone)
}

// begins reports whether a page begins with the rows read last.
func (c *cursor) begins(l jsonscan.List, known int) bool {
	if len(l.Records) < known {
		return false
	}
	for i := range known {
		if c.recent.back(known-i) != string(idOf(l, l.Records[i])) {
			return false
		}
	}
	return true
}

// first takes the first page of a window.
func (c *cursor) first(ctx context.Context, l jsonscan.List) (Page, error) {
	if len(l.Records) == 0 {
		return c.nextWindow()
	}
	if l.Total >= 0 && len(c.windows) == 0 {
		c.at.Total = l.Total + 1
	}
	return c.took(ctx, l, placing{joint: -1})
}

// took takes the rows after the joint, and asks for what follows them.
func (c *cursor) took(ctx context.Context, l jsonscan.List, p placing) (Page, error) {
	p.start = c.at.Rows - 1 - p.joint
	p.reread = p.reread || len(c.windows) > 0 // what the wider window showed is shown again
	page := c.take(l, p)
	c.at.Suspect = nil
	if c.stalls++; c.progress {
		c.stalls, c.barren, c.rejoins = 0, 0, 0
	}
	if c.stalls > maxStalls {
		return Page{}, ErrLoop
	}
	if c.few > 0 {
		c.few *= 2
		if c.few >= c.limit() {
			c.few = 0
		}
	}
	if known, ok := c.anchor(c.overlap()); ok && c.few == 0 {
		c.asked.expect(ctx, c.frame(c.after(known)))
	}
	return page, nil
}

// nextWindow goes on with the next narrower window, or ends the list.
func (c *cursor) nextWindow() (Page, error) {
	if len(c.windows) <= 2 {
		return Page{}, io.EOF
	}
	c.windows = slices.Clone(c.windows[1:])
	c.restart()
	return Page{}, nil
}

// restart begins the window being read from its first row.
func (c *cursor) restart() {
	c.asked.drop()
	c.at.Windows, c.at.Suspect = c.windows, nil
	c.few, c.stalls = 0, 0
	c.recent = newRecent(4*c.source.PageSize, nil)
}

// rejoin asks behind rows further and further back, the row asked behind or
// the last one having gone. What is known there is gone through once more.
func (c *cursor) rejoin(ctx context.Context) (Page, error) {
	c.drift.Shifts++
	if c.rejoins++; c.rejoins > maxStalls { // rows that are shown to one question only
		c.torn()
		return c.nextWindow()
	}
	for _, n := range []int{2, 3, 7, 15, fullIDs - 1, c.recent.read} {
		known, ok := c.anchor(n)
		if !ok {
			continue
		}
		q := c.after(known)
		l, err := c.again(ctx, q)
		switch {
		case err != nil && refused(err):
		case err != nil:
			return c.failed(ctx, err)
		case len(l.Records) > 0 && (q.After == "" || c.newest(l) >= 0):
			return c.took(ctx, l, placing{joint: c.newest(l), moved: true, reread: true})
		}
		c.drift.Rewinds++
		if q.After == "" {
			break
		}
	}
	c.torn() // even the beginning of the list is empty now
	return c.nextWindow()
}

// newest returns the index of the last row of an answer that was read lately.
func (c *cursor) newest(l jsonscan.List) int {
	for i := len(l.Records) - 1; i >= 0; i-- {
		if c.recent.has(idOf(l, l.Records[i])) {
			return i
		}
	}
	return -1
}

// failed asks for fewer rows, then for the next one alone, and at last cuts the
// window around it.
func (c *cursor) failed(ctx context.Context, err error) (Page, error) {
	switch {
	case !narrowable(err):
		return Page{}, err
	case c.few == 0:
		if !errors.Is(err, providers.ErrTooLarge) && c.well(ctx) != nil {
			return Page{}, err
		}
		c.few = max(1, c.limit()/2)
		return Page{}, nil
	case c.few > 1:
		c.few /= 2
		return Page{}, nil
	}
	if l, err := c.again(ctx, c.alone()); err == nil && len(l.Records) > 0 { // the two were too much together
		first := digest(idOf(l, l.Records[0]))
		l, err := c.again(ctx, c.alone()) // which no overlap can prove
		if err != nil || len(l.Records) == 0 || digest(idOf(l, l.Records[0])) != first {
			return Page{}, nil
		}
		return c.took(ctx, l, placing{joint: -1})
	}
	return c.cut(ctx, err)
}

// alone returns the question for the next row without any other, where the last
// one has an id to ask behind.
func (c *cursor) alone() Query {
	known, _ := c.anchor(0)
	q := c.after(known)
	q.Limit = known + 1
	return q
}

// well reports whether the server answers questions that the record in doubt
// cannot spoil: the last row alone, or an empty second.
func (c *cursor) well(ctx context.Context) error {
	at := time.Unix(firstSecond, 0).UTC()
	q := Query{Limit: 1, Window: Window{From: at, To: at}}
	if known, ok := c.anchor(1); ok && known > 0 {
		q = c.after(known)
		q.Limit = known
	}
	return c.answers(ctx, q)
}

// errNoID is a list that goes on although no row of a page has an id to ask
// behind.
var errNoID = errors.New("no row has an id to ask behind")

// cut divides the window in which the next record cannot be read. In a window
// of one second the record is rejected. What follows it there cannot be asked
// for; the reader goes on with the next window.
func (c *cursor) cut(ctx context.Context, cause error) (Page, error) {
	w := c.span()
	from, to := firstSecond, w.To.Unix()
	if !w.From.IsZero() {
		from = w.From.Unix()
	}
	if to-from > 1 && !w.To.IsZero() && c.barren < maxBarren {
		if len(c.windows) < 2 {
			c.windows = []int64{from, to}
		}
		c.windows = append([]int64{from, from + (to-from)/2}, c.windows[1:]...)
		c.restart()
		return Page{}, nil
	}
	var page Page
	if errors.Is(cause, errNoID) || w.To.IsZero() || c.barren >= maxBarren {
		c.at.Signs.Unread++ // what follows is hidden, and cannot be asked for otherwise
	}
	if !errors.Is(cause, errNoID) {
		suspect := c.at.Suspect
		l, err := c.condemn(ctx, func(ctx context.Context) (jsonscan.List, error) { return c.again(ctx, c.alone()) }, c.well)
		var verdict errRejected
		switch {
		case errors.As(err, &verdict):
			second, err := c.secondOf(ctx, w)
			if err != nil {
				c.at.Suspect = suspect // a later call goes on here
				return Page{}, err
			}
			page = c.reject(l.Body, verdict.reason, second)
			page.Unread, c.at.Gap = &w, 0
			c.barren++
		case err != nil:
			return Page{}, err
		default:
			return Page{}, nil
		}
	}
	_, err := c.nextWindow()
	c.over = errors.Is(err, io.EOF) || w.To.IsZero() || c.barren >= maxBarren
	return page, nil
}

// secondOf names the place of a record that is rejected with its window. Two
// windows share a second, so that both may hold it: then the end of the second
// one can be read by itself.
func (c *cursor) secondOf(ctx context.Context, w Window) (string, error) {
	name := func(from time.Time) string { return fmt.Sprintf("of %d from %d", c.at.Pass, from.Unix()) }
	before := name(w.From.Add(-time.Second))
	if c.known.find(digest(digestID([]byte(before)))) == nil {
		return name(w.From), nil
	}
	err := c.answers(ctx, Query{Limit: 1, Window: Window{From: w.To, To: w.To}})
	if err != nil && narrowable(err) {
		return name(w.From), nil
	}
	return before, err
}
