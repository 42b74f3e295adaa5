package pagination

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"time"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
)

// Options are how a Reader works. Zero values mean the defaults.
type Options struct {
	InFlight int // pages asked for before they are needed; 0: none
	// Attempts is how often a Fetch asks before it fails; 0: 1.
	Attempts int
	// Began is when the run began: a record created since then is nobody who
	// could have been missed.
	Began time.Time
	Now   func() time.Time // nil: time.Now
	// Awake is called about each Pulse while a page is awaited. Its error
	// ends the reading.
	Awake func() error
	Pulse time.Duration
}

// A Reader reads one pass of a source, from a position to its end. It is not
// safe for concurrent use.
type Reader struct {
	*session

	strategy strategy
	before   Position // where the present page began
	ended    bool
}

// A strategy is one way of paging.
type strategy interface {
	// next reads one page, or asks one question on the way to it and returns a
	// Page without rows. It returns io.EOF at the end of the list.
	next(ctx context.Context) (Page, error)
}

// A session is what all strategies share: the position, what is known, and the
// requests to the source.
type session struct {
	source Source
	window Window
	at     Position
	asked  *requests
	known  *Known
	recent *recentRows
	drift  *Drift
	late   lateRun
	// progress: the answer taken last showed a row that the look had not met.
	progress bool
	began    time.Time // when the run began
	attempts int       // of one Fetch
	wide     bool      // the last page failed, perhaps because none of its rows has an id: it begins with one that has
	rows     []Row     // memory of a page's
	shown    table     // rows of the answer that showsTwice looked at
	now      func() time.Time
}

// NewReader returns a reader that goes on from a position. What it hands over
// is added to known; how the list moved is added to drift.
func NewReader(source Source, w Window, from Position, known *Known, drift *Drift, o Options) *Reader {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Awake == nil {
		o.Awake = func() error { return nil }
	}
	if o.Pulse <= 0 {
		o.Pulse = time.Minute
	}
	if source.Release == nil {
		source.Release = func([]byte) {}
	}
	s := &session{
		source: source, window: w, at: from, known: known, drift: drift, began: o.Began,
		asked:    &requests{fetch: source.Fetch, release: source.Release, most: o.InFlight, awake: o.Awake, pulse: o.Pulse},
		attempts: max(1, o.Attempts), now: o.Now,
	}
	s.recent = newRecent(4*max(source.PageSize, from.Size), from.Last, from.Rows-from.Gap)
	s.recall(from.Last)
	r := &Reader{session: s}
	switch {
	case source.Paging == ByCursor:
		r.strategy = newCursor(s)
	case source.Paging == Unpaged:
		r.strategy = &whole{session: s}
	case source.Paging == ByFixedPage, from.Fixed:
		r.strategy = newFixed(s)
	default:
		r.strategy = &indexed{session: s, grid: grid{byPage: source.Paging == ByPage}, tail: noTail}
	}
	return r
}

// Next returns the next page with the rows that are to be taken, perhaps none
// of them, and io.EOF at the end of the pass. The page is valid until the next
// call, or Close.
func (r *Reader) Next(ctx context.Context) (Page, error) {
	if r.ended {
		return Page{}, io.EOF
	}
	r.before = r.Position()
	r.asked.free()
	p, err := r.strategy.next(ctx)
	var other errFixedSize
	switch {
	case errors.As(err, &other):
		r.asked.drop()
		r.at.Size = other.size
		r.strategy = newFixed(r.session)
		return Page{}, nil
	case errors.Is(err, io.EOF):
		r.readAgain(math.MaxInt)
		r.late = lateRun{} // new rows after all known ones were added at the end: nobody missed them
		r.ended, r.at.Done = true, true
		if r.at.Look > 0 && r.at.Rows == 0 && r.at.Seen > 0 { // the list is empty now: this look proves nothing
			r.at.Signs.Torn++
		}
	}
	return p, err
}

// errFixedSize is returned by indexed where the server ignores the size asked
// for and gives pages of its own. The reader goes on with fixed.
type errFixedSize struct{ size int }

func (errFixedSize) Error() string { return ErrLoop.Error() }

// Close ends the requests that are still on their way.
func (r *Reader) Close() {
	r.asked.drop()
	r.asked.free()
	if w, ok := r.strategy.(*whole); ok {
		w.close()
	}
}

// Pages returns how many pages have been asked for.
func (r *Reader) Pages() int64 { return r.asked.count }

// Position returns where the reader stands after all pages that it returned.
func (r *Reader) Position() Position {
	at := r.at
	at.Last = r.recent.ids()
	return r.late.close(at)
}

// PositionAfter returns the position after the first n rows of the page that
// Next returned last, so that a reading can stop in the middle of it.
func (r *Reader) PositionAfter(p Page, n int) Position {
	switch n {
	case len(p.Rows):
		return r.Position()
	case 0:
		return r.before
	}
	at := r.before
	recent := newRecent(0, at.Last, 0)
	for _, row := range p.Rows[:n] {
		recent.add(row.ID, row.Place)
	}
	at.Rows, at.Gap, at.Last = p.Rows[n-1].Place, 0, recent.ids()
	at.Seen += n
	at.Size, at.Total, at.Suspect = r.at.Size, r.at.Total, nil
	return at
}

// forPass adds what all queries of the pass have in common.
func (s *session) forPass(q Query) Query {
	q.Pass = s.at.Pass
	if q.Window == (Window{}) {
		q.Window = s.window
	}
	return q
}

// fetch returns a page, the one that is on its way if it is this one.
func (s *session) fetch(ctx context.Context, q Query) (jsonscan.List, error) {
	l, err := s.asked.get(ctx, s.forPass(q))
	switch {
	case err != nil:
	case l.Null && s.at.Rows == 0:
		return l, errNull
	case l.Undecidable && !s.known.has(l):
		return l, errCharset
	case s.showsTwice(l):
		s.asked.drop() // asked once more: the answer may have been wrong
		if again, err := s.asked.get(ctx, s.forPass(q)); err == nil && !again.Null && !again.Undecidable && !s.showsTwice(again) {
			return again, nil
		}
	}
	return l, err
}

// showsTwice reports whether an answer shows a row twice.
func (s *session) showsTwice(l jsonscan.List) bool {
	s.shown.clear()
	for _, m := range s.asked.answer.identify(l) {
		if s.shown.find(m.id) != nil {
			return true
		}
		s.shown.add(knownRow{id: m.id})
	}
	return false
}

// errNull is a list that begins with null in its place: it may end a list that
// has had rows, and is never a first answer.
var errNull = &providers.Error{Op: "list", Status: 200, Kind: providers.ErrTemporary, Detail: "found null in place of the list, which is no documented form of an empty one"}

// errCharset is an answer whose only record is not UTF-8 and has not been seen
// among others: it may be in another character set as a whole.
var errCharset = &providers.Error{Op: "list", Status: 200, Kind: providers.ErrMalformed, Detail: "found an answer whose only record is not UTF-8"}

// refetch drops what is on its way and asks again.
func (s *session) refetch(ctx context.Context, q Query) (jsonscan.List, error) {
	s.asked.drop()
	return s.fetch(ctx, q)
}

// torn notes a place that could not be brought to match.
func (s *session) torn() {
	s.drift.Unresolved++
	s.at.Signs.Torn++
}

// lastStandsAt reports whether an answer shows the row read last at an index.
func (s *session) lastStandsAt(l jsonscan.List, i int) bool {
	return i >= 0 && i < len(l.Records) && s.recent.isLast(idOf(l, l.Records[i]))
}

// newestOf returns the index of the row read last of those in an answer, and
// its number; -1 if none is remembered. A row that has changed since says
// nothing: its change may have moved it.
func (s *session) newestOf(l jsonscan.List) (index, number int) {
	index = -1
	for i, m := range s.asked.answer.identify(l) {
		n := s.recent.number(m.id)
		if n <= number {
			continue
		}
		if row := s.known.find(m.id); row == nil || row.content == m.content {
			index, number = i, n
		}
	}
	return index, number
}

// changed reports whether an answer shows from an index on only rows that are
// known and have changed since: their change may have moved them there.
func (s *session) changed(l jsonscan.List, from int) bool {
	return !slices.ContainsFunc(s.asked.answer.identify(l)[from:], func(m mark) bool {
		row := s.known.find(m.id)
		return row == nil || row.content == m.content
	})
}

// recall makes the rows read last known, also where the set that another
// process filled is not at hand.
func (s *session) recall(last []string) {
	for _, id := range last {
		if d := digest([]byte(id)); s.known.find(d) == nil {
			s.known.add(knownRow{id: d, pass: uint8(s.at.Pass), looks: takenIn(s.at.Look)})
		}
	}
}

// overlapRows is how many rows read before a page begins with.
func (s *session) overlapRows() int {
	if s.wide {
		return s.recent.withID()
	}
	return 1
}

// widen reports whether a page that failed is to be asked for once more, with a
// row before it that has an id.
func (s *session) widen(err error) bool {
	if s.wide || s.recent.withID() == 1 || !errors.Is(err, jsonscan.ErrNotAList) {
		return false
	}
	s.wide = true
	return true
}

// limit is how many rows to ask for. The first page of each look is one row
// shorter than that of the look before, so that all pages begin elsewhere. Later
// ones have two rows at least: one row could not overlap.
func (s *session) limit() int {
	size := s.source.PageSize
	if s.at.Size > 0 {
		size = min(size, s.at.Size)
	}
	if s.at.Rows == 0 && s.at.Look > 0 {
		return max(1, size-s.at.Look)
	}
	return max(2, size)
}

// A placement says how an answer's rows relate to those that have been read.
type placement struct {
	start        int  // rows of the pass before the answer's first
	overlapIndex int  // index of the row up to which all should be known; -1: none
	moved        bool // the page does not begin where the one before ended
	reread       bool // it reaches back, so that known rows after the joint are no sign
}

// take returns the rows of an answer that are not known yet, and notes what the
// known ones tell of how the list has moved.
func (s *session) take(l jsonscan.List, p placement) Page {
	page := Page{Body: l.Body, Rows: slices.Grow(s.rows[:0], len(l.Records))}
	defer func() { s.rows = page.Rows }()
	s.known.answers++
	s.progress, s.wide = false, false
	var before *knownRow // the row before, in this answer
	taken := false       // that row was taken from this answer
	var kept knownRow    // that row as it was known, if it has not changed since
	for i, m := range s.asked.answer.identify(l) {
		record, d, content := l.Records[i], m.id, m.content
		if before != nil {
			before.next = digest16(d)
		}
		if taken {
			page.Rows[len(page.Rows)-1].known.next = digest16(d)
		}
		e := s.known.find(d)
		if taken = e == nil; taken {
			s.readAgain(math.MaxInt)
			one := knownRow{id: d, content: content, answer: s.known.answers, pass: uint8(s.at.Pass), looks: takenIn(s.at.Look)}
			e = s.known.add(one)
			s.at.Seen++
			s.progress = true
			kept = knownRow{}
			page.Rows = append(page.Rows, Row{Record: record, Place: p.start + i + 1, known: one})
			s.late.unknown(s, l.Bytes(record), p.moved && i < p.overlapIndex)
		} else {
			var unchanged knownRow
			if e.content == content && e.pass == uint8(s.at.Pass) {
				unchanged = *e
			}
			if s.stoodBefore(unchanged, kept) {
				// Whatever else is inserted, deleted or moved by a change, two
				// rows keep their order.
				s.at.Signs.Inverted++
			}
			kept = unchanged
			s.meet(e, content, i > p.overlapIndex, p.reread, &page)
		}
		if i > p.overlapIndex || p.moved {
			if len(l.Records)-i <= fullIDs { // the others would be overwritten at once
				s.recent.keep(record.ID)
			}
			s.recent.note(d, p.start+i+1)
		}
		before = e
	}
	if n := len(l.Records); n > 0 {
		s.at.Rows, s.at.Gap = p.start+n, 0
	}
	return page
}

// stoodBefore reports whether the answer that showed two rows last, in this look,
// had a right before b.
func (s *session) stoodBefore(a, b knownRow) bool {
	n, m := s.recent.number(a.id), s.recent.number(b.id)
	return n > 0 && n < m && a.answer == b.answer && a.next == digest16(b.id)
}

// readAgain notes that the reader, where it went back, is at a place again. The
// rows expected before it, and not found, have vanished.
func (s *session) readAgain(place int) {
	for _, d := range s.recent.missed(place) {
		if row := s.known.find(d); row != nil && s.at.Look == 0 {
			row.next = vanished
		}
	}
}

// meet notes a known row that an answer shows again. beyond: it stands after the
// overlap, where only new rows are expected, unless the answer reads rows again
// on purpose.
func (s *session) meet(row *knownRow, content uint16, beyond, reread bool, page *Page) {
	known := *row
	row.answer, row.content = s.known.answers, content
	row.meet(s.at.Look)
	if known.next == vanished {
		if row.next = 0; s.at.Look > 0 {
			s.at.Signs.Returned++
		}
	}
	samePass, twice := known.pass == uint8(s.at.Pass), known.answer == row.answer // twice in this answer
	metInThisLook := samePass && known.met() == s.at.Look
	s.progress = s.progress || !metInThisLook
	again := 0
	if beyond {
		if again = s.recent.expectedAgain(row.id); again > 0 {
			s.readAgain(again)
		}
	}
	// An answer that shows a row twice does not show that it has moved, nor does
	// a row that has changed: it may be sorted by when.
	if metInThisLook && beyond && !reread && !twice && known.content == content && again == 0 {
		s.at.Signs.displace(s.at.Look, 1)
		s.at.Signs.Reordered++
	}
	if !samePass && beyond && s.at.Look == 0 {
		s.at.Seen++
		page.Repeated++
	}
	if !samePass || known.taken() < s.at.Look {
		s.late.met(&s.at.Signs, known)
	}
}

// A lateRun follows the rows that a further look shows for the first time, as
// long as they stand together, and judges them by the known rows on either side.
// If the answer that showed one of those last showed the other one too, the new
// rows have been inserted since. If not, an earlier look has missed them: they
// are late.
type lateRun struct {
	unknownRows int
	before      knownRow // the known row before them, as it was last read; zero: there is none
	open        bool     // what stands before them was not read: they are not judged
}

// creationSlack is by how much a provider's clock may lag, and how much its
// times may be rounded.
const creationSlack = 2 * time.Second

// unknown notes a row that no look before has shown. front: it stands before rows
// that this look has read. If it was made while the run was reading, that was
// since this look began, and it has not pushed on what the first look read.
func (r *lateRun) unknown(s *session, record []byte, front bool) {
	if s.at.Look == 0 {
		return
	}
	made, maybe := s.source.madeSince(s.began, record)
	if !front || !maybe {
		s.at.Signs.Found++
	}
	if !made {
		r.unknownRows++
	}
}

// madeSince reports whether a record was made since a run began, as it says, and
// whether it may have been.
func (s Source) madeSince(began time.Time, record []byte) (made, maybe bool) {
	if s.Created == nil || began.IsZero() {
		return false, false
	}
	earliest, latest, ok := s.Created(record)
	since := began.Add(-creationSlack)
	return ok && earliest.After(since), ok && latest.After(since)
}

// met notes a row that a look before has shown.
func (r *lateRun) met(signs *Signs, known knownRow) {
	together := r.before.id != 0 && (r.before.answer == known.answer || r.before.next == digest16(known.id))
	if r.unknownRows > 0 && !r.open && !together {
		signs.Late += r.unknownRows
	}
	*r = lateRun{before: known}
}

// close counts the rows at the end of an answer as late: the row after them is
// not known yet, and a reader that goes on from this position cannot judge them.
func (r *lateRun) close(at Position) Position {
	at.Signs.Late += r.unknownRows
	return at
}
