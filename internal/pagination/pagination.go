// Package pagination reads a provider's list from its beginning to its end, also
// if rows are inserted and deleted meanwhile, if answers are wrong, and if the
// server fails now and then.
//
// A Reader asks a Source for one page after the other and returns the rows that
// it has not returned before. Each page begins with the last row of the page
// before it, the row of overlap. If a page does not, either its answer was wrong
// or the list has moved. It is asked for once more. If it stays as it is, the
// reader goes back until a page shows rows that it knows, and goes on from there.
// The ids of a run's rows are kept in a set (Known), so that reading a page again
// never returns a row twice.
//
// There is one strategy for each way of paging: indexed (offsets, and page
// numbers whose size can be chosen), fixed (page numbers of one size), cursor,
// and whole (no paging).
//
// To read a list once, from end to end, is a look. The first look notes signs
// that rows may have been missed (Signs), and a further look finds those rows;
// Position.Settled says whether enough looks have been taken.
package pagination

import (
	"context"
	"fmt"
	"time"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
)

// A Paging is the way in which a list is asked for its next page.
type Paging string

// The ways of paging.
const (
	// ByOffset: rows to skip and rows to send.
	ByOffset Paging = "offset"
	// ByPage: a page's number, from 1, and its size. Page p of size s starts
	// at row (p-1)*s.
	ByPage Paging = "page"
	// ByFixedPage: like ByPage, for a server whose page size cannot be
	// chosen. ByPage turns into it where the server is seen to do so.
	ByFixedPage Paging = "fixed-page"
	// ByCursor: the id of an earlier row.
	ByCursor Paging = "cursor"
	// Unpaged: the first answer is the whole list.
	Unpaged Paging = "none"
)

// A Window is a range of time, both ends inclusive, to the second. A zero end
// is open.
type Window struct {
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
}

// A Query asks for one page. Which of its positions counts is a matter of the
// source's paging.
type Query struct {
	Pass  int    // which of the source's lists
	Start int    // rows before the page
	Limit int    // rows asked for; 0: the provider's own size
	Page  int    // number of the page, from 1; 0: not by number
	After string // id of the row before the page
	Window
}

// A Fetch asks for one page and reads it strictly: whatever is not the
// documented list is an error. It is safe for concurrent use, honors ctx,
// retries by itself what is worth retrying at once, and its errors are of the
// vocabulary of package providers.
type Fetch func(ctx context.Context, q Query) (jsonscan.List, error)

// A Source is one account's lists of one kind of record.
type Source struct {
	Paging   Paging
	PageSize int // rows to ask for; 0: the provider's own size
	Fetch    Fetch
	// Release takes back the body of an answer of Fetch that nobody will read
	// again. nil: nobody wants it.
	Release func(body []byte)
	// Stream opens the one answer of an unpaged list. Only Unpaged needs it.
	Stream func(ctx context.Context, q Query) (Stream, error)
	// Created tells between which times a record was made, which are one if it
	// says its zone, and whether it says anything. nil: they never do.
	Created func(record []byte) (earliest, latest time.Time, ok bool)
}

// A Stream yields a list in pieces, and io.EOF after the last one.
type Stream interface {
	Next() (jsonscan.List, error)
	Close() error
}

// A Row is a record with its place.
type Row struct {
	jsonscan.Record
	Place int // row of the pass, from 1, in the order of the source

	known knownRow
}

// A Page holds the new rows of one answer, perhaps none.
type Page struct {
	Body []byte // of the answer; a Row's Start and End point into it
	Rows []Row
	// Repeated counts rows that are left out because an earlier pass of the
	// run has returned them.
	Repeated int
	// Unread is a window of time with a record that could not be read. nil: there
	// is none.
	Unread *Window
}

// Line returns a row's bytes with the newline.
func (p Page) Line(r Row) []byte {
	if r.End == r.Start {
		return nil // the record was rejected, and no answer has shown its bytes
	}
	return p.Body[r.Start : r.End+1]
}

// A Position is where a reading of one pass stands: enough to go on from there
// in another process, together with the known ids.
type Position struct {
	Pass int `json:"pass"`
	Look int `json:"look,omitempty"` // 0: the first time that the pass is read
	// Looks is the most that any pass so far has taken.
	Looks int `json:"looks,omitempty"`
	// Rows is how many rows of the pass have been read, in this look.
	Rows int `json:"rows"`
	// Seen counts the different rows that the pass has shown, in all looks.
	Seen int `json:"seen,omitempty"`
	PageRows
	// Last are the ids of the rows read last, the newest at the end.
	Last []string `json:"last,omitempty"`
	// Fixed: the server's page size cannot be chosen.
	Fixed bool `json:"fixed,omitempty"`
	// Shifts counts the pages of this look that did not begin where they should.
	Shifts int `json:"shifts,omitempty"`
	// Gap counts the rows that were rejected after the last of Last. No page
	// can hold them, so that the next one begins after them.
	Gap int `json:"gap,omitempty"`
	// Windows are the narrower windows of time into which a list by cursor is cut
	// around a record that cannot be read.
	Windows Windows `json:"windows,omitzero"`
	// Total is one more than the count of all rows that the provider gave with
	// the first page; 0: it gave none.
	Total   int      `json:"total,omitempty"`
	Suspect *Suspect `json:"suspect,omitempty"`
	Signs   Signs    `json:"signs,omitzero"`
	// Done: the pass has been read to its end, and Settled judges it.
	Done bool `json:"done,omitempty"`
}

// PageRows are how many rows pages have.
type PageRows struct {
	Size  int `json:"size,omitempty"`  // rows of a page that the server is known to give; 0: as asked
	First int `json:"first,omitempty"` // rows of the look's first page
}

// Windows are narrower windows of time, and how far the first of them is read.
type Windows struct {
	// Bounds are, in seconds of Unix time, the beginning of the window being read,
	// its end, and the ends of those after it.
	Bounds []int64 `json:"bounds,omitempty"`
	Read   int     `json:"read,omitempty"` // rows of it that were read or could not be read
	// Rejected counts its records that could not be read, and Shared those of them
	// that the window before it has rejected, too.
	Rejected int `json:"rejected,omitempty"`
	Shared   int `json:"shared,omitempty"`
	// Past: the next row stands right after one of them, and has to be asked for
	// by its number.
	Past bool `json:"past,omitempty"`
	// Behind: the last row read stands right after one of them, so that no page
	// can begin with the row before it.
	Behind bool `json:"behind,omitempty"`
}

// Signs are what the looks at one pass have met so far that may mean missing rows.
type Signs struct {
	// Displaced counts the rows that the first look met a second time, further
	// on than where it had read them: as many rows have been inserted before
	// them, and one of those may be one that jumped from after the reader's
	// place to before it.
	Displaced int `json:"displaced,omitempty"`
	// Moved counts the same of the present look, if that is a further one.
	Moved int `json:"moved,omitempty"`
	// Reordered counts those of Displaced and Moved that one answer showed
	// after its row of overlap: what stands before that did not push them there.
	Reordered int `json:"reordered,omitempty"`
	// Inverted counts the pairs of rows that were met in the opposite order. The
	// order of such a list changes by itself, so that nothing accounts for a shift.
	// One alone may be a mistake: of a row's bytes 16 bits are known.
	Inverted int `json:"inverted,omitempty"`
	// Found counts the rows that only further looks have shown.
	Found int `json:"found,omitempty"`
	// Returned counts the rows that vanished from where the first look had read
	// them, and that further looks have met: they are among those that pushed
	// others on, and nobody has missed them.
	Returned int `json:"returned,omitempty"`
	// Late counts those rows of the present look that an earlier look has
	// missed: they were there when it read that place.
	Late int `json:"late,omitempty"`
	// Torn counts the places of the present look where none of the rows read
	// before could be found again, so that it is not known what lies between.
	Torn int `json:"torn,omitempty"`
	// TornBefore counts those of the looks before.
	TornBefore int `json:"torn_before,omitempty"`
	// Unread counts the places where a record could not be read and no smaller
	// question could be asked, so that rows beside it are missing.
	Unread int `json:"unread,omitempty"`
}

// displace counts displaced rows of a look.
func (s *Signs) displace(look, rows int) {
	if look == 0 {
		s.Displaced += rows
	} else {
		s.Moved += rows
	}
}

// Settled reports whether the looks so far show that no row is missing. One look
// is enough for a list that the provider keeps in order, if no row was displaced
// and no place torn. A further look is enough if it found no late row, and no row
// was displaced in it or in the first look; or if the rows that further
// looks have found or met elsewhere are as many as were displaced, so that these
// account for the shift, unless rows change places by themselves. A look that was
// torn has not counted them to the end.
func (p Position) Settled(unordered bool) bool {
	s := p.Signs
	switch {
	case s.Torn > 0:
		return false
	case p.Look == 0:
		return !unordered && !p.Fixed && s.Displaced == 0
	case s.TornBefore > 0:
		return s.Late == 0 && s.Moved == 0
	}
	return s.Late == 0 && (s.Displaced == 0 || s.Moved == 0) || s.Displaced > 0 && s.Inverted <= 1 && s.Found+s.Returned >= s.Displaced
}

// Counted returns how many rows the provider said that there are, and whether
// it did.
func (p Position) Counted() (int, bool) { return p.Total - 1, p.Total > 0 }

// Again is the beginning of a further look at the pass.
func (p Position) Again() Position {
	next := Position{Pass: p.Pass, Look: p.Look + 1, Looks: p.Looks, Fixed: p.Fixed, Signs: p.Signs, Seen: p.Seen, Total: p.Total}
	if p.Fixed {
		next.Size = p.Size
	}
	next.Signs.TornBefore += next.Signs.Torn
	next.Signs.Late, next.Signs.Torn, next.Signs.Moved = 0, 0, 0
	return next
}

// After is the beginning of the next pass.
func (p Position) After() Position {
	next := Position{Pass: p.Pass + 1, Looks: max(p.Looks, p.Look+1), Fixed: p.Fixed}
	if p.Fixed {
		next.Size = p.Size
	}
	return next
}

// Drift counts how a source moved while it was read. All zero: it stood still.
type Drift struct {
	// Shifts are pages that did not begin where the one before ended.
	Shifts int `json:"shifts"`
	// Rewinds are pages read again elsewhere until one fitted.
	Rewinds int `json:"rewinds"`
	// Unresolved are places where none fitted: rows may be missing there.
	Unresolved int `json:"unresolved"`
}

// ErrLoop is a source that sends the same rows again and again.
var ErrLoop = fmt.Errorf("%w: the source repeats rows and ignores its paging parameters; check the provider's quirk for paging", providers.ErrInvalid)

// AppendKnown appends what Known.Restore needs to know the row again.
func (r Row) AppendKnown(b []byte) []byte { return r.known.appendTo(b) }
