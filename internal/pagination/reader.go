package pagination

import (
	"context"
	"errors"
	"io"
	"time"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
)

// Options are how a Reader works. Zero values mean the defaults.
type Options struct {
	InFlight int // pages asked for at once; 0: 1
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

	way    strategy
	before Position // where the present page began
	ended  bool
}

// A strategy is one way of paging.
type strategy interface {
	// next reads one page or takes one step towards it, and returns io.EOF at
	// the end of the list.
	next(ctx context.Context) (Page, error)
}

// A session is what the strategies share: the place, what is known, and the
// way to the source.
type session struct {
	source Source
	window Window
	at     Position
	asked  *requests
	known  *Known
	recent *recentRows
	drift  *Drift
	late   lateRun
	// progress: it showed a row that the look had not met before.
	progress bool
	began    time.Time
	trust    trust
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
	s := &session{
		source: source, window: w, at: from, known: known, drift: drift, began: o.Began,
		asked: &requests{fetch: source.Fetch, most: max(1, o.InFlight), awake: o.Awake, pulse: o.Pulse},
		trust: trust{attempts: max(1, o.Attempts), now: o.Now},
	}
	s.recent = newRecent(4*max(source.PageSize, from.Size), from.Last)
	r := &Reader{session: s}
	switch {
	case source.Paging == ByCursor:
		r.way = newCursor(s)
	case source.Paging == Unpaged:
		r.way = &whole{session: s}
	case source.Paging == ByFixedPage, from.Fixed:
		r.way = newFixed(s)
	default:
		r.way = &indexed{session: s, byPage: source.Paging == ByPage}
	}
	return r
}

// Next returns the next page with the rows that are to be taken, perhaps none
// of them, and io.EOF at the end of the pass. The page is valid until the next
// call.
func (r *Reader) Next(ctx context.Context) (Page, error) {
	if r.ended {
		return Page{}, io.EOF
	}
	r.before = r.Position()
	p, err := r.way.next(ctx)
	var other becomeFixed
	switch {
	case errors.As(err, &other):
		r.asked.drop()
		r.at.Size = other.size
		r.way = newFixed(r.session)
		return Page{}, nil
	case errors.Is(err, io.EOF):
		r.late = lateRun{} // what stands after all known rows has been appended
		r.ended, r.at.Done = true, true
		if r.at.Look > 0 && r.at.Rows == 0 && r.at.Seen > 0 { // a look at nothing shows nothing
			r.at.Signs.Torn++
		}
	}
	return p, err
}

// becomeFixed is what indexed answers where the server ignores the size asked
// for and gives pages of its own.
type becomeFixed struct{ size int }

func (becomeFixed) Error() string { return ErrLoop.Error() }

// Close ends the requests that are still on their way.
func (r *Reader) Close() {
	r.asked.drop()
	if w, ok := r.way.(*whole); ok {
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
	recent := newRecent(0, at.Last)
	for _, row := range p.Rows[:n] {
		recent.add(row.ID)
	}
	at.Rows, at.Gap, at.Last = p.Rows[n-1].Place, 0, recent.ids()
	at.Size, at.Total, at.Suspect = r.at.Size, r.at.Total, nil
	return at
}

// Total returns what the provider counted, and whether it did.
func (r *Reader) Total() (int, bool) { return r.at.Total - 1, r.at.Total > 0 }

// frame adds what all queries of the pass have in common.
func (s *session) frame(q Query) Query {
	q.Pass = s.at.Pass
	if q.Window == (Window{}) {
		q.Window = s.window
	}
	return q
}

func (s *session) fetch(ctx context.Context, q Query) (jsonscan.List, error) {
	l, err := s.asked.get(ctx, s.frame(q))
	if err == nil && l.Null && s.at.Rows == 0 {
		return l, errNull
	}
	return l, err
}

// errNull is a list that begins with null in its place: it may end a list that
// has had rows, and is never a first answer.
var errNull = &providers.Error{Op: "list", Status: 200, Kind: providers.ErrTemporary, Detail: "found null in place of the list, which is no documented form of an empty one"}

// again asks anew, although the page may be on its way.
func (s *session) again(ctx context.Context, q Query) (jsonscan.List, error) {
	s.asked.drop()
	return s.fetch(ctx, q)
}

// torn notes a place that could not be brought to match.
func (s *session) torn() {
	s.drift.Unresolved++
	s.at.Signs.Torn++
}

// firstOf tells answers apart by their first rows; 0: there is none.
func firstOf(l jsonscan.List) uint64 {
	if len(l.Records) == 0 {
		return 0
	}
	return digest(idOf(l, l.Records[0]))
}

// limit is how many rows to ask for. Each look has other pages than the one
// before it. A page of one row could not overlap.
func (s *session) limit() int {
	size := s.source.PageSize
	if s.at.Size > 0 {
		size = min(size, s.at.Size)
	}
	return max(2, size-s.at.Look)
}

// A placing says how a page's rows relate to those that have been read.
type placing struct {
	start  int  // rows of the pass before the answer's first
	joint  int  // index of the row up to which all should be known; -1: none
	moved  bool // the page does not begin where the one before ended
	reread bool // it reaches back, so that known rows after the joint are no sign
}

// take returns the rows of an answer that are not known yet, and notes what
// the known ones tell.
func (s *session) take(l jsonscan.List, p placing) Page {
	page := Page{Body: l.Body, Rows: make([]Row, 0, len(l.Records))}
	s.known.answers++
	answer := s.known.answers
	s.progress = false
	var before uint64 // the row before, in this answer
	fresh := false    // it was taken now
	twice := 0        // rows that the answer shows a second time
	for i, record := range l.Records {
		id := idOf(l, record)
		d, content := digest(id), uint16(digest(l.Bytes(record)))
		if before != 0 {
			if e := s.known.find(before); e != nil {
				e.next = short(d)
			}
			if fresh {
				page.Rows[len(page.Rows)-1].known.next = short(d)
			}
		}
		e := s.known.find(d)
		if fresh = e == nil; fresh {
			one := slot{id: d, content: content, answer: answer, pass: uint8(s.at.Pass), looks: inLook(s.at.Look)}
			s.known.add(one)
			record.ID = id
			s.at.Seen++
			s.progress = true
			page.Rows = append(page.Rows, Row{Record: record, Place: p.start + i + 1 - twice, known: one})
			s.late.unknown(s, l.Bytes(record))
		} else {
			known := *e
			e.answer = answer
			e.meet(s.at.Look)
			if known.answer == answer {
				twice++
			}
			again := known.met() == s.at.Look && known.pass == uint8(s.at.Pass)
			s.progress = s.progress || !again
			// A row that one answer shows twice has not moved.
			if again && i > p.joint && !p.reread && known.answer != answer && known.content == content {
				s.at.Signs.displace(s.at.Look, 1)
			}
			if known.pass != uint8(s.at.Pass) && i > p.joint && s.at.Look == 0 {
				s.at.Seen++
				page.Repeated++
			}
			if known.taken() < s.at.Look || known.pass != uint8(s.at.Pass) {
				s.late.met(&s.at.Signs, known)
			}
		}
		if i > p.joint || p.moved {
			s.recent.add(id)
		}
		before = d
	}
	if n := len(l.Records); n > 0 {
		s.at.Rows, s.at.Gap = p.start+n-twice, 0
	}
	return page
}

// A lateRun follows the unknown rows that stand together in a further look,
// and judges them by their neighbors: between two rows that one answer showed,
// they have come since that answer; elsewhere they had been missed.
type lateRun struct {
	unknownRows int
	before      slot // the known row before them, as it was last met; zero: there is none
	open        bool // it is not known, and nothing follows from it
}

// creationSlack is by how much a provider's clock may lag, and how much its
// times may be rounded.
const creationSlack = 2 * time.Second

// unknown notes a row that no look before has shown.
func (r *lateRun) unknown(s *session, record []byte) {
	if s.at.Look == 0 {
		return
	}
	s.at.Signs.Found++
	if s.source.Created != nil {
		if at, ok := s.source.Created(record); ok && !s.began.IsZero() && at.After(s.began.Add(-creationSlack)) {
			return // it was made while the run was reading
		}
	}
	r.unknownRows++
}

// met notes a row that a look before has shown.
func (r *lateRun) met(signs *Signs, known slot) {
	together := r.before.id != 0 && (r.before.answer == known.answer || r.before.next == short(known.id))
	if r.unknownRows > 0 && !r.open && !together {
		signs.Late += r.unknownRows
	}
	*r = lateRun{before: known}
}

// close counts rows whose neighbor is not known yet as missed, since it will
// never be known to whoever goes on from the position.
func (r *lateRun) close(at Position) Position {
	at.Signs.Late += r.unknownRows
	return at
}
