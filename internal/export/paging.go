package export

import (
	"context"
	"errors"
	"fmt"
	"io"

	"hikyaku/pkg/providers"
)

// Drift says how the source moved while it was read. All zero: it stood still.
type Drift struct {
	// Shifts are pages that did not begin where the one before ended.
	Shifts int `json:"shifts"`
	// Rewinds are pages read again elsewhere until one fitted.
	Rewinds int `json:"rewinds"`
	// Unresolved are places where none fitted: rows may be missing there.
	Unresolved int `json:"unresolved"`
}

// A place is where a reading stands, enough to go on from there later.
type place struct {
	Pass int      `json:"pass"`
	Rows int      `json:"rows"`           // of the pass, taken or rejected
	Size int      `json:"size,omitempty"` // rows of a page, learned from the first; 0: not yet
	Last []string `json:"last,omitempty"` // ids of the rows taken last, the newest at the end
	// Fixed: the server's page size cannot be chosen.
	Fixed bool `json:"fixed,omitempty"`
	// Blind: the last row was unreadable, so its id leads nowhere.
	Blind bool `json:"blind,omitempty"`
}

// after is the beginning of the pass behind one that has been read.
func (p place) after(step int) place {
	next := place{Pass: step + 1, Fixed: p.Fixed}
	if p.Fixed {
		next.Size = p.Size
	}
	return next
}

const (
	// maxStalls bounds the pages in a row that bring nothing new before a
	// source is called broken: it ignores its paging parameters.
	maxStalls = 40
	// maxSearch bounds how far a lost place is looked for, in pages to
	// either side.
	maxSearch = 16
)

// errLoop: a source that sends the same rows again and again.
var errLoop = fmt.Errorf("%w: the source repeats rows and ignores its paging parameters; check the provider's quirk for paging", providers.ErrInvalid)

// A reading reads one pass of a feed, page after page. It is not safe for
// concurrent use.
type reading struct {
	feed   Feed
	window Window
	ahead  *readahead
	tail   *tail
	drift  *Drift

	at       place
	feedPass int  // index of the pass in the feed
	ended    bool // Unpaged: the one page was read
	beyond   bool // the next page lies behind all rows of a short one
	stalls   int
	cautious bool // the list has moved: rows are looked up even where a page fits exactly
	page     int  // ByFixedPage: number of the page taken last

	partial bool // ByFixedPage: an earlier call stopped inside that page

	shrunk    int      // rows of a chunk of a broken range; 0: not in one
	brokenEnd int      // the row behind that range
	clear     int      // rows behind the last one that was unreadable
	lone      bool     // the next record is read alone: with the row before it, it could not be
	unread    int      // records in a row that were unreadable
	good      int      // rows up to the last readable one before those
	rejected  []string // ids of the unreadable records, of the last ones at least
	doubled   []string // those of them that may come again, the list having moved
	blind     bool     // the row before was unreadable, so nothing can overlap it

	marks marks // ByCursor
}

// newReading goes on from a place.
func newReading(feed Feed, w Window, from place, ahead *readahead, drift *Drift) *reading {
	r := &reading{feed: feed, window: w, ahead: ahead, at: from, drift: drift, blind: from.Blind}
	if from.Fixed {
		r.feed.Paging = ByFixedPage
	}
	r.good = max(0, from.Rows-1)
	r.tail = newTail(4 * max(feed.PageSize, from.Size))
	for _, id := range from.Last {
		r.tail.add([]byte(id))
	}
	if r.feed.Paging == ByFixedPage && from.Size > 0 {
		r.page = (from.Rows + from.Size - 1) / from.Size
		r.partial = from.Rows%from.Size != 0
	}
	return r
}

// next returns the next page with the rows that are to be taken, perhaps none
// of them, and io.EOF at the end of the pass. The page is the caller's.
func (r *reading) next(ctx context.Context) (*page, error) {
	if r.stalls > maxStalls {
		return nil, errLoop
	}
	r.stalls++
	var p *page
	var err error
	switch r.feed.Paging {
	case ByCursor:
		p, err = r.nextByCursor(ctx)
	case ByFixedPage:
		p, err = r.nextFixed(ctx)
	case Unpaged:
		p, err = r.nextUnpaged(ctx)
	default:
		p, err = r.nextOverlapped(ctx)
	}
	if err == nil && len(p.rows) > 0 {
		r.stalls = 0
		if p.rows[0].whole() {
			r.unread = 0
		}
	}
	return p, err
}

// close ends the requests that are still on their way.
func (r *reading) close() { r.ahead.drop() }

// stand returns the place behind a row that next returned, but for the ids.
func (r *reading) stand(last row) place {
	return place{
		Pass: r.at.Pass, Rows: last.at, Size: r.at.Size,
		Fixed: r.feed.Paging == ByFixedPage, Blind: !last.whole(),
	}
}

// The reasons of a record that cannot even be split off.
const (
	unreadable = "not valid JSON"
	tooLarge   = "larger than an answer may be"
)

// whole reports that a record could be split off.
func (r row) whole() bool { return r.reason != unreadable && r.reason != tooLarge }

func (r *reading) nextUnpaged(ctx context.Context) (*page, error) {
	if r.ended {
		return nil, io.EOF
	}
	p, err := r.fetch(ctx, Query{})
	if errors.Is(err, ErrUnsplittable) {
		p, err = r.again(ctx, p)
	}
	if errors.Is(err, ErrUnsplittable) {
		return nil, errBrokenFixed
	}
	if err != nil {
		return nil, err
	}
	r.ended = true
	r.number(p, 0)
	done := min(r.at.Rows, len(p.rows)) // of an earlier invocation
	if done > 0 && !r.tail.isLast(p.rows[done-1].id) {
		r.drift.Shifts++
		if i := r.joint(p); i >= 0 {
			done = i
		} else {
			r.drift.Unresolved++
		}
		r.takeNew(p, done)
		return p, nil
	}
	p.rows = p.rows[done:]
	r.taken(p)
	return p, nil
}

// fetch reads one page, none being ahead.
func (r *reading) fetch(ctx context.Context, q Query) (*page, error) {
	r.ahead.drop()
	r.ahead.push(ctx, r.frame(q))
	return r.ahead.pop(ctx, nothingMore)
}

// nothingMore queues nothing: what comes next is not known before this page is.
func nothingMore(context.Context) {}

// frame adds what all queries of the pass have in common.
func (r *reading) frame(q Query) Query {
	q.Pass, q.From, q.To = r.feedPass, r.window.From, r.window.To
	return q
}

// number gives each row its place in the pass.
func (r *reading) number(p *page, start int) {
	for i := range p.rows {
		p.rows[i].at = start + i + 1
	}
}

// taken remembers the rows that the caller will take.
func (r *reading) taken(p *page) {
	for i := range p.rows {
		r.tail.add(p.rows[i].id)
	}
	if n := len(p.rows); n > 0 {
		r.at.Rows = p.rows[n-1].at
	}
}

// takeNew keeps the rows from index i on that are not remembered. Some of them
// may lie before rows taken earlier, so the pages of the rest of the pass are
// looked through in the same way.
func (r *reading) takeNew(p *page, i int) {
	kept := p.rows[:0]
	for _, row := range p.rows[i:] {
		if !r.tail.has(row.id) {
			kept = append(kept, row)
		}
	}
	p.rows = kept
	r.cautious = true
	r.taken(p)
}

// joint returns the index of the first remembered row, or -1.
func (r *reading) joint(p *page) int {
	for i := range p.rows {
		if r.tail.has(p.rows[i].id) {
			return i
		}
	}
	return -1
}

// nextByCursor asks for what follows the last row. The next page is on its way
// before this one is handed over.
func (r *reading) nextByCursor(ctx context.Context) (*page, error) {
	if r.shrunk > 0 {
		return r.nextChunk(ctx)
	}
	if len(r.ahead.queue) == 0 {
		r.ahead.push(ctx, r.frame(r.following()))
	}
	p, err := r.ahead.pop(ctx, nothingMore)
	if errors.Is(err, ErrUnsplittable) {
		p, err = r.again(ctx, p)
	}
	if errors.Is(err, ErrUnsplittable) {
		return r.isolate(p), nil
	}
	if err != nil {
		return nil, err
	}
	if len(p.rows) == 0 {
		return r.cursorEnd(ctx)
	}
	r.blind = false
	r.number(p, r.at.Rows)
	if r.tail.count > 0 && r.joint(p) >= 0 {
		r.drift.Shifts++
		r.takeNew(p, 0)
	} else {
		r.taken(p)
	}
	if len(p.rows) > 0 {
		if r.marks.again(r.tail.lastID()) {
			return nil, errLoop
		}
		r.ahead.push(ctx, r.frame(r.following()))
	}
	return p, nil
}

// marks finds a cursor that leads back to where it was, in constant memory:
// one id is remembered, and another after twice as many pages. To meet it once
// more may be a row that was moved to the end; to meet it twice is a loop.
type marks struct {
	id          string
	page, renew int
	met         bool
}

func (m *marks) again(id string) bool {
	if id == m.id {
		loop := m.met
		m.met = true
		return loop
	}
	if m.page++; m.page > m.renew {
		*m = marks{id: id, page: m.page, renew: 2 * m.page}
	}
	return false
}

// cursorEnd asks behind rows before the last one. An empty page behind the last
// row is the end of the list if that row is still there: a source may answer
// the same for an id that has been deleted meanwhile, or has left the window.
func (r *reading) cursorEnd(ctx context.Context) (*page, error) {
	if r.blind || r.tail.count == 0 {
		return nil, io.EOF
	}
	for _, id := range r.tail.before() {
		p, err := r.fetch(ctx, Query{After: id, Limit: r.limit(), Start: r.at.Rows - 1})
		if errors.Is(err, ErrUnsplittable) { // only rows behind the last one can be the cause
			r.drift.Shifts++
			return r.isolate(p), nil
		}
		if err != nil {
			return nil, err
		}
		if len(p.rows) == 0 {
			r.drift.Rewinds++
			continue
		}
		return r.behindKnown(ctx, p)
	}
	r.drift.Unresolved++
	return nil, io.EOF
}

// behindKnown goes on behind a page of rows that are known, until one is new or
// the list ends.
func (r *reading) behindKnown(ctx context.Context, p *page) (*page, error) {
	for range maxStalls {
		if len(p.rows) == 0 {
			return nil, io.EOF
		}
		last := string(p.rows[len(p.rows)-1].id)
		r.number(p, r.at.Rows)
		r.takeNew(p, 0)
		if len(p.rows) > 0 {
			r.drift.Shifts++
			return p, nil
		}
		if last == r.tail.lastID() { // behind it nothing came a moment ago
			return nil, io.EOF
		}
		var err error
		p, err = r.fetch(ctx, Query{After: last, Limit: r.limit(), Start: r.at.Rows})
		if errors.Is(err, ErrUnsplittable) {
			r.drift.Shifts++
			return r.isolate(p), nil
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, errLoop
}

// following is the query behind the last row, by number if that row was
// unreadable and so has no id to go on from.
func (r *reading) following() Query {
	if r.blind {
		return r.chunk(1)
	}
	return Query{After: r.tail.lastID(), Limit: r.limit(), Start: r.at.Rows}
}

// limit is how many rows to ask for.
func (r *reading) limit() int {
	if r.at.Size > 0 && r.feed.Paging != ByCursor {
		return r.at.Size
	}
	return r.feed.PageSize
}

// learn notes the page size in effect from the first page: servers lower a
// limit silently.
func (r *reading) learn(p *page) {
	if r.at.Size == 0 {
		r.at.Size = len(p.rows)
	}
}
