// Package jsonscan finds the records in a provider's list answer without
// decoding them, and reads single values out of a record's bytes.
//
// Split is strict: an answer is a list only if it has a documented shape.
// Whatever else it is, an error object, a page for people, a body cut short,
// is an error that says what was found, so that no caller takes it for a
// record or for the end of a list.
package jsonscan

import "errors"

// ErrNotAList means that an answer is not the documented list. Such an error
// is a *NotAListError, which says what was found instead.
var ErrNotAList = errors.New("not the documented list")

// ErrTooLarge is an ErrNotAList of an answer that passes Limits.Body or
// Limits.Elements. A smaller page may fit.
var ErrTooLarge = errors.New("larger than the limit")

// ErrOtherShape is an ErrNotAList of an answer with records in a documented shape
// that it should not have: all its records are well, so that no smaller question
// helps.
var ErrOtherShape = errors.New("another documented shape")

// A NotAListError says what was found in place of the documented list. It
// never holds text of the answer.
type NotAListError struct {
	Found string
	large bool
	other bool
}

// Error returns "not the documented list: found HTML".
func (e *NotAListError) Error() string { return ErrNotAList.Error() + ": found " + e.Found }

// Is makes it an ErrNotAList, and an ErrTooLarge or ErrOtherShape if it is one.
func (e *NotAListError) Is(target error) bool {
	return target == ErrNotAList || target == ErrTooLarge && e.large || target == ErrOtherShape && e.other
}

// A Shape is one documented form of a list answer.
type Shape struct {
	// Name tells the shapes of one list apart, see List.Shape.
	Name string
	// Path is the names that lead to the array. Empty: the answer is the array.
	Path []string
	// Wrap is the only member of each element, which holds the record or an
	// array of records. Empty: the element is the record.
	Wrap string
	// ID is the path of a record's id.
	ID []string
	// Total is the path of the documented count of all records; empty: none.
	Total []string
	// Beside are the members that a complete answer has beside the list.
	// Without one of them null in the list's place means nothing.
	Beside []string
	// Empty are further answers that mean an empty list, as the whole answer
	// or in the list's place: "null", "{}".
	Empty []string
}

// Limits bound what is taken from one answer. Zero values are no bound.
type Limits struct {
	Body     int // bytes of the answer, unpacked; more are ErrTooLarge
	Elements int // of the list; more are ErrTooLarge
	Record   int // bytes of a record; a larger one has a Fault
}

// A List is a list answer that has been read whole.
type List struct {
	Body    []byte   // the records' bytes, each compact and with a newline after it
	Records []Record // in the answer's order
	Shape   string   // name of the shape that the answer has; empty if it has no records and fits several
	Total   int      // the documented count of all records; -1: not said
	Null    bool     // null stood in the place of the array
	// Undecidable: a record is not UTF-8, and none is good beside it, so that the
	// whole answer may as well be in another character set.
	Undecidable bool
}

// A Record is one element of a list.
type Record struct {
	Start, End int    // its bytes in Body, without the newline at End
	ID         []byte // the text of its id; nil: it has none
	Fault      string // why it cannot be delivered; empty: it is good
}

// Bytes returns a record's bytes without the newline.
func (l List) Bytes(r Record) []byte { return l.Body[r.Start:r.End] }

// Line returns a record's bytes with the newline.
func (l List) Line(r Record) []byte { return l.Body[r.Start : r.End+1] }
