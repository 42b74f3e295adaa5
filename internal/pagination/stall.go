package pagination

import (
	"bytes"
	"slices"

	"hikyaku/pkg/jsonscan"
)

const (
	// maxStalls is how many pages in a row may neither bring a new row nor
	// begin where they should, before the source is called broken.
	maxStalls = 40
	// maxIdle is how many mismatches in a row may lead nowhere, before the look
	// ends at a torn place: the order may change with each request.
	maxIdle = 20
	// manyShifts is how many mismatches a look may have more than pages that it
	// takes to read the rows seen so far.
	manyShifts = 40
	// maxBack bounds how often a reader goes back in a row.
	maxBack = 24
	// maxRepeats bounds the mismatches in a row that show the same rows
	// wherever the list is asked to begin.
	maxRepeats = 4
	// maxUnread is how often in a row the place of the row read last may be
	// looked for where a record cannot be read.
	maxUnread = 2
	// enoughTails is how many mismatches in a row must end with the row read
	// last, each asked for elsewhere, before that is believed to be the end of
	// a list that grows in front of it with each request.
	enoughTails = 2
)

// A stall counts answers that lead nowhere, to tell a list that moves from one
// that cannot be read on.
type stall struct {
	reached int    // the furthest index read
	barren  int    // pages in a row that neither got further nor brought a new row
	idle    int    // mismatches in a row that neither got further nor brought a new row
	back    int    // how often the reader has gone back since a page last matched
	unread  int    // how often the row read last was looked for among records that cannot be read
	repeats int    // mismatches that began as the one before, and were asked for elsewhere
	shown   uint64 // the first row of the last mismatch
	shownAt int    // where it was asked for
	tails   int    // mismatches in a row that ended with the row read last
}

// took counts an answer whose rows were taken up to an index, and of which some
// may be new.
func (s *stall) took(q Query, l jsonscan.List, moved, isNew bool, rows int) {
	if s.barren++; isNew || rows > s.reached {
		s.barren = 0
	}
	if isNew {
		s.repeats, s.shown, s.unread = 0, 0, 0
	}
	switch {
	case !moved:
		s.idle, s.tails, s.back = 0, 0, 0
	case isNew || rows > s.reached:
		s.idle = 0
	default:
		s.idle++
	}
	s.reached = max(s.reached, rows)
	if moved && len(l.Records) > 0 {
		s.mismatch(q, digest(idOf(l, l.Records[0])))
	}
}

// aimless reports whether pages lead nowhere for longer than it takes to go back
// to the beginning and through the list once more.
func (s *stall) aimless(pageSize int) bool {
	return s.idle > maxIdle || s.barren > maxStalls+2*s.reached/pageSize
}

// mayGoBack reports whether a lost place is worth looking for once more. In a
// list that is shuffled it is lost again at once.
func (s *stall) mayGoBack() bool {
	s.back++
	return s.back <= maxBack
}

// tail counts the mismatches in a row that end with the row read last, and
// reports whether they are enough to believe that nothing stands after it.
func (s *stall) tail(is bool) bool {
	if !is {
		s.tails = 0
		return false
	}
	s.tails++
	return s.tails >= enoughTails
}

// mismatch compares an answer that did not begin where it should with the one
// before.
func (s *stall) mismatch(q Query, first uint64) {
	switch {
	case first != s.shown:
		s.repeats = 0
	case q.Start != s.shownAt:
		s.repeats++
	}
	s.shown, s.shownAt = first, q.Start
}

// sameRows reports whether two answers show the same rows in the same order.
func sameRows(a, b jsonscan.List) bool {
	return slices.EqualFunc(a.Records, b.Records, func(x, y jsonscan.Record) bool { return bytes.Equal(idOf(a, x), idOf(b, y)) })
}
