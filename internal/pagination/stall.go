package pagination

import "hikyaku/pkg/jsonscan"

const (
	// maxStalls is how many pages in a row may neither bring a new row nor
	// begin where they should, before the source is called broken.
	maxStalls = 40
	// maxIdle is how many mismatches in a row may lead nowhere, before the look
	// ends at a torn place: the order may change with each request.
	maxIdle = 8
	// maxBack bounds how often a reader goes back in a row.
	maxBack = 12
)

// A stall counts answers that lead nowhere, to tell a list that moves from one
// that cannot be read on.
type stall struct {
	reached int    // the furthest index read
	idle    int    // mismatches in a row that neither got further nor brought a new row
	back    int    // how often the reader has gone back since a page last matched
	shown   uint64 // the first row of the last answer that did not match
	same    int    // how many in a row have shown it
}

// mismatch counts an answer that does not begin where it should.
func (s *stall) mismatch(l jsonscan.List) {
	shown := uint64(0)
	if len(l.Records) > 0 {
		shown = digest(idOf(l, l.Records[0]))
	}
	if shown != s.shown {
		s.same = 0
	}
	s.shown = shown
	s.same++
}

// mayGoBack reports whether a lost place is worth looking for once more. In a
// list that is shuffled it is lost again at once.
func (s *stall) mayGoBack() bool {
	s.back++
	return s.back <= maxBack
}

// took counts an answer whose rows were taken.
func (s *stall) took(moved, progress bool, rows int) {
	switch {
	case !moved:
		s.idle, s.same, s.back = 0, 0, 0
	case progress || rows > s.reached:
		s.idle = 0
	default:
		s.idle++
	}
	s.reached = max(s.reached, rows)
}
