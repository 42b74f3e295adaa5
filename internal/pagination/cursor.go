package pagination

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
)

// cursor asks for the rows after an id. It gives the id of the row before the last
// one, so that each page begins with the last row.
//
// A record that cannot be read has no id that is known, so that the rows after it
// cannot be asked for. The list's window of time is then cut in two, again and
// again, until the record stands alone in a window of one second. Neighboring
// windows share a second, because a record's time may have a fraction.
type cursor struct {
	*session

	narrowed      int  // rows to ask for after a page that could not be read; 0: as many as usual
	largest       int  // rows of the largest page
	stalls        int  // pages in a row without a row that is new to this look
	rejoins       int  // how often in a row the place was lost without such a row
	ended         bool // the last window is done, although not read to its end
	rejectedInRow int  // records rejected since the last row that was new to this look
	oneRowPages   bool // the server gives one row at a time, so that no page can overlap
}

// maxRejectedInRow bounds the records in a row that are rejected. A server that
// ignores the window of a question would show the same record in each, without
// end.
const maxRejectedInRow = 8

// firstSecond begins the windows of a list that has no beginning: no shop of
// these providers is older.
var firstSecond = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Unix()

func newCursor(s *session) *cursor {
	return &cursor{session: s}
}

func (c *cursor) next(ctx context.Context) (Page, error) {
	if c.ended {
		return Page{}, io.EOF
	}
	if c.at.Windows.Past {
		return rejection{c}.readPast(ctx)
	}
	known, ok := c.anchor(c.overlap())
	if !ok {
		return c.cutWindow(ctx, errNoID)
	}
	q := c.queryAfter(known)
	l, err := c.fetch(ctx, q)
	if err == nil && len(l.Records) <= known && (c.narrowed > 0 || len(c.at.Windows.Bounds) > 0) {
		l, err = c.refetchTwice(ctx, q) // an end that nobody asks for again later
	}
	switch {
	case err != nil && q.After != "" && refused(err):
		return c.rejoin(ctx) // the row of that id may have been deleted
	case err != nil && c.widen(err):
		return Page{}, nil
	case err != nil:
		return c.narrow(ctx, err)
	case c.recent.read == 0:
		return c.first(ctx, l)
	case !c.begins(l, known):
		if l, err = c.refetch(ctx, q); err != nil && !refused(err) { // an answer that was wrong is not wrong twice
			return c.narrow(ctx, err)
		}
		if err != nil || !c.begins(l, known) {
			return c.rejoin(ctx)
		}
	}
	switch {
	case len(l.Records) > known:
	case known > 1 && known >= c.largest: // the server gives no more rows a page than these
		return c.cutWindow(ctx, errNoID)
	default:
		return c.end(ctx)
	}
	return c.advance(ctx, l, placement{overlapIndex: known - 1})
}

// overlap is how many rows a page begins with that are known, one of which has an
// id.
func (c *cursor) overlap() int {
	if c.oneRowPages || c.at.Windows.Behind {
		return 0
	}
	return c.overlapRows()
}

// end ends the window if nothing follows its last row, which was shown alone. That is asked
// for without the row: a server whose pages are shorter than asked for, or which gives one
// row a page, shows it alone again and again.
func (c *cursor) end(ctx context.Context) (Page, error) {
	known, _ := c.anchor(0)
	if c.oneRowPages || known > 0 && c.recent.read > 1 { // the last row has no id to ask after
		return c.nextWindow()
	}
	l, err := c.refetch(ctx, c.queryAfter(known))
	switch {
	case err != nil && !refused(err):
		return c.narrow(ctx, err)
	case known == 0 && len(l.Records) > 0:
		c.oneRowPages = true
		return Page{}, nil
	}
	return c.nextWindow()
}

// anchor finds a row whose id a page can be asked after, with at least n rows
// read after it. It returns how many there are: the page will begin with them. It
// is false if the rows that are kept have no such id.
func (c *cursor) anchor(n int) (known int, ok bool) {
	for known = min(n, c.recent.read); known < c.recent.read; known++ {
		if known == fullIDs {
			return 0, false
		}
		if id := c.recent.back(known + 1); !IsDigest([]byte(id)) {
			return known, true
		}
	}
	return known, true // asked from the beginning
}

// queryAfter returns the question whose answer begins with the last known rows.
func (c *cursor) queryAfter(known int) Query {
	limit := c.limit()
	if c.narrowed > 0 {
		limit = min(limit, c.narrowed+1)
	}
	q := Query{Limit: limit + max(0, known-1), Start: max(0, c.at.Rows-known), Window: c.currentWindow()}
	if known < c.recent.read {
		q.After = c.recent.back(known + 1)
	}
	return q
}

// currentWindow is the window of time being read.
func (c *cursor) currentWindow() Window {
	if len(c.at.Windows.Bounds) < 2 {
		return c.window
	}
	w := Window{From: time.Unix(c.at.Windows.Bounds[0], 0).UTC(), To: time.Unix(c.at.Windows.Bounds[1], 0).UTC()}
	if c.window.From.IsZero() && c.at.Windows.Bounds[0] == firstSecond {
		w.From = time.Time{}
	}
	return w
}

// refused reports whether the provider refused a question, such as one after the
// id of a deleted row.
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
	if l.Total >= 0 && len(c.at.Windows.Bounds) == 0 {
		c.at.Total = l.Total + 1
	}
	return c.advance(ctx, l, placement{overlapIndex: -1})
}

// advance takes the rows after the overlap, and asks for the page after them.
func (c *cursor) advance(ctx context.Context, l jsonscan.List, p placement) (Page, error) {
	p.start = c.at.Rows - 1 - p.overlapIndex
	p.reread = p.reread || len(c.at.Windows.Bounds) > 0 // a narrower window shows again what the whole one showed
	page := c.take(l, p)
	c.at.Suspect, c.largest = nil, max(c.largest, len(l.Records))
	c.at.Windows.Read += max(0, len(l.Records)-1-p.overlapIndex)
	c.at.Windows.Behind = false
	if c.stalls++; c.progress {
		c.stalls, c.rejectedInRow, c.rejoins = 0, 0, 0
	}
	if c.stalls > maxStalls {
		return Page{}, ErrLoop
	}
	if c.narrowed > 0 {
		c.narrowed *= 2
		if c.narrowed >= c.limit() {
			c.narrowed = 0
		}
	}
	if known, ok := c.anchor(c.overlap()); ok && c.narrowed == 0 {
		c.asked.expect(ctx, c.forPass(c.queryAfter(known)))
	}
	return page, nil
}

// nextWindow goes on with the next narrower window, or ends the list.
func (c *cursor) nextWindow() (Page, error) {
	if len(c.at.Windows.Bounds) <= 2 {
		return Page{}, io.EOF
	}
	c.restart(slices.Clone(c.at.Windows.Bounds[1:]))
	return Page{}, nil
}

// restart begins to read narrower windows from the first row of the first one.
func (c *cursor) restart(bounds []int64) {
	c.asked.drop()
	c.at.Windows, c.at.Suspect = Windows{Bounds: bounds}, nil
	c.narrowed, c.stalls = 0, 0
	c.recent = newRecent(4*c.source.PageSize, nil, 0)
}

// rejoin goes on where the last row, or the one before it, has been deleted: it
// asks after rows further and further back, and reads from there again.
func (c *cursor) rejoin(ctx context.Context) (Page, error) {
	c.drift.Shifts++
	if c.rejoins++; c.rejoins > maxBack { // some rows are shown to one question only
		return Page{}, ErrLoop
	}
	for _, n := range []int{2, 3, 7, 15, fullIDs - 1, c.recent.read} {
		known, ok := c.anchor(n)
		if !ok {
			continue
		}
		q := c.queryAfter(known)
		l, err := c.refetch(ctx, q)
		switch {
		case err != nil && refused(err):
		case err != nil:
			return c.narrow(ctx, err)
		case len(l.Records) > 0 && (q.After == "" || c.newest(l) >= 0):
			overlap := c.newest(l)
			if q.After == "" { // no row that was read stands before these any more
				c.recent = newRecent(4*c.source.PageSize, nil, 0)
			}
			return c.advance(ctx, l, placement{overlapIndex: overlap, moved: true, reread: true})
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

// narrow asks for fewer rows after a page that could not be read, then for the
// next row alone, and at last cuts the window around it. If the server is ill, it
// returns the error.
func (c *cursor) narrow(ctx context.Context, err error) (Page, error) {
	switch {
	case !narrowable(err):
		return Page{}, err
	case c.narrowed == 0:
		if !errors.Is(err, providers.ErrTooLarge) && c.probeServer(ctx) != nil {
			return Page{}, err
		}
		fewerRowsMayDo := c.recent.read > 0 && errors.Is(err, providers.ErrTooLarge)
		if len(c.at.Windows.Bounds) > 0 && !fewerRowsMayDo && c.divisible(c.currentWindow()) {
			return c.cutWindow(ctx, err) // which has been cut around this record before
		}
		c.narrowed = max(1, c.limit()/2)
		return Page{}, nil
	case c.narrowed > 1:
		c.narrowed /= 2
		return Page{}, nil
	}
	if l, err := c.refetch(ctx, c.queryAlone()); err == nil && len(l.Records) > 0 { // only the two rows together were too much
		first := digest(idOf(l, l.Records[0]))
		for range 3 { // nothing overlaps, so that the same answer must come twice
			if l, err = c.refetch(ctx, c.queryAlone()); err == nil && len(l.Records) > 0 && digest(idOf(l, l.Records[0])) == first {
				return c.advance(ctx, l, placement{overlapIndex: -1})
			}
		}
		return Page{}, err
	}
	return c.cutWindow(ctx, err)
}

// queryAlone returns the question for the next row without the last one, if that
// has an id to ask after.
func (c *cursor) queryAlone() Query {
	known, _ := c.anchor(0)
	q := c.queryAfter(known)
	q.Limit = known + 1
	return q
}

// probeServer asks a question that the record at hand cannot spoil: for the last
// row alone, or for a second before there were any.
func (c *cursor) probeServer(ctx context.Context) error {
	at := time.Unix(firstSecond, 0).UTC()
	q := Query{Limit: 1, Window: Window{From: at, To: at}}
	if c.at.Windows.Behind { // the row before it was rejected
		q = Query{Page: c.at.Windows.Read, Limit: 1, Window: c.currentWindow()}
	} else if known, ok := c.anchor(c.recent.withID()); ok && known > 0 {
		q = c.queryAfter(known)
		q.Limit = known
	}
	return c.probe(ctx, q)
}

// errNoID is a list that cannot be read on: no row that is kept has an id that
// a page could be asked after.
var errNoID = errors.New("no row has an id to ask after")

// cutWindow divides the window in which the next record cannot be read, and reads
// its first half from the beginning. In a window of one second the record is
// rejected.
func (c *cursor) cutWindow(ctx context.Context, cause error) (Page, error) {
	w := c.currentWindow()
	if c.divisible(w) {
		from, to := beginning(w), w.To.Unix()
		after := []int64{to}
		if len(c.at.Windows.Bounds) > 1 {
			after = c.at.Windows.Bounds[1:]
		}
		c.restart(append([]int64{from, from + (to-from)/2}, after...))
		return Page{}, nil
	}
	if errors.Is(cause, errNoID) {
		rejection{c}.giveUp(w)
		return Page{}, nil
	}
	return rejection{c}.judgeNext(ctx, c.queryAlone())
}

// divisible reports whether a window can be cut in two.
func (c *cursor) divisible(w Window) bool {
	return !w.To.IsZero() && w.To.Unix()-beginning(w) > 1 && c.rejectedInRow < maxRejectedInRow
}

// beginning returns the second with which a window begins.
func beginning(w Window) int64 {
	if w.From.IsZero() {
		return firstSecond
	}
	return w.From.Unix()
}
