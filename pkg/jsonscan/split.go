package jsonscan

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// deepest is how many arrays and objects may lie in each other.
const deepest = 10_000

// Split reads a whole list answer. It takes over body, whose memory becomes
// List.Body. Of several shapes the first counts under which the answer holds a
// record with an id.
//
// One byte order mark and one layer of gzip are undone. What is left must be
// one JSON value of a documented shape without any sign of an error. Names
// that come twice in a record and lone surrogates are allowed there, and a
// record's bytes are kept as they came, but for the white space between them.
//
// A list has at least one object with an id, or is empty. An element beside it
// that is no such object, is not UTF-8 or is too large is a record with a
// Fault. The error is always an ErrNotAList.
func Split(body []byte, limits Limits, shapes ...Shape) (List, error) {
	body, err := Plain(body, limits.Body)
	if err != nil {
		return List{}, err
	}
	s := splitter{body: body, limits: limits}
	return s.list(shapes)
}

// Explain returns err, the error of Split, or an ErrOtherShape if the answer is a
// list with records of one of other shapes.
func Explain(err error, body []byte, others ...Shape) error {
	if err == nil || errors.Is(err, ErrTooLarge) {
		return err
	}
	if list, otherErr := Split(body, Limits{}, others...); otherErr != nil || len(list.Records) == 0 {
		return err
	}
	return &NotAListError{Found: "the list in another documented form than before", other: true}
}

// A span is where a value lies in the answer.
type span struct{ start, end int }

// A splitter finds one answer's records.
type splitter struct {
	body    []byte
	limits  Limits
	decoder jsontext.Decoder
	omitted int // bytes of the answer that body is without

	// Of the walk along a path:
	strict   bool    // the answer is valid in UTF-8 and has no lone surrogate
	elements []span  // of the array at the path's end
	place    byte    // what stands at the path's end: the first byte of its JSON, 0: nothing
	value    span    // that value
	short    bool    // it stands before the path's end
	asides   []aside // members of the objects on the path, but for those that lead on
	twice    bool    // a name of the path comes twice
}

// list tries one shape after the other.
func (s *splitter) list(shapes []Shape) (List, error) {
	if what := notJSON(s.body); what != "" {
		return List{}, found(what)
	}
	var fits []List // without records
	var first error
	var walked []string
	for i, shape := range shapes {
		if i == 0 || !slices.Equal(walked, shape.Path) {
			if err := s.walk(shape.Path); err != nil {
				return List{}, err
			}
			walked = shape.Path
		}
		list, err := s.try(shape)
		switch {
		case errors.Is(err, errNoID) || errors.Is(err, errSign):
			first = err // the array is there: this is what was found
		case err != nil:
			first = cmp.Or(first, err)
		case list.Records == nil:
			fits = append(fits, list)
		default:
			if s.alsoElsewhere(shape, shapes) {
				return List{}, found("records under two names")
			}
			if !s.strict {
				if bad, other := s.foreignElements(); other && bad > 1 {
					return List{}, found(otherUTF)
				}
			}
			list, err := s.records(shape, list)
			list.Undecidable = list.undecidable()
			return list, err
		}
	}
	switch {
	case len(fits) == 0 || errors.Is(first, errNoID) || errors.Is(first, errSign):
		return List{}, first
	case slices.ContainsFunc(fits, func(l List) bool { return l.Null }):
		return fits[slices.IndexFunc(fits, func(l List) bool { return l.Null })].ofAny(len(fits)), nil
	}
	return fits[0].ofAny(len(fits)), nil
}

// ofAny forgets the shape of a list that fits several.
func (l List) ofAny(shapes int) List {
	if shapes > 1 {
		l.Shape = ""
	}
	return l
}

func tooLargeRecord(most int) string { return fmt.Sprintf("larger than %d bytes", most) }

// Findings of several places.
const (
	otherUTF    = "another character set than UTF-8"
	notUTF8     = "not valid UTF-8" // of one record
	aRecord     = "a record in place of the list"
	errorBeside = "an error beside the list"
	twice       = "the list's name twice"
)

// Findings that outweigh those of other shapes.
var (
	errNoID = found("an array without an object that has an id")
	errSign = found("an error object")
)

// try says whether the answer that was walked has a shape: an error, a list
// without records, or one with the Records that records will fill.
func (s *splitter) try(shape Shape) (List, error) {
	list := List{Shape: shape.Name, Total: s.total(shape.Total)}
	records := s.place == '[' && len(s.elements) > 0
	switch {
	case anySign(s.body, s.asides, records):
		if s.place == '[' {
			return List{}, found(errorBeside)
		}
		return List{}, errSign
	case s.twice:
		return List{}, found(twice)
	case (s.place == '[' || s.place == 'n') && isRecord(s.body, s.asides, shape):
		return List{}, found(aRecord)
	case s.isEmptyForm(shape.Empty):
		return list, nil
	case s.place == 'n' && !s.short && len(shape.Path) > 0:
		if !s.complete(shape.Beside) {
			return List{}, found("null in place of the list, and nothing of what stands beside it")
		}
		list.Null = true
		return list, nil
	case s.place != '[' || s.short:
		return List{}, found(s.describe())
	}
	count := 0
	for _, element := range s.elements {
		n, withID := s.withIDs(shape, element)
		if withID && !errorRecord(s.body[element.start:element.end]) {
			list.Records = make([]Record, 0, len(s.elements))
			return list, nil
		}
		count += n
	}
	if count > 0 {
		return List{}, errNoID
	}
	return list, nil // all that the wrappers hold is nothing
}

// isRecord reports whether what stands around the list has an id as records have:
// it is one itself, with a list of its own inside.
func isRecord(body []byte, asides []aside, shape Shape) bool {
	return slices.ContainsFunc(asides, func(a aside) bool {
		_, ok := Text(body[a.start:a.end])
		return ok && len(shape.ID) == 1 && a.name == shape.ID[0]
	})
}

// withIDs counts the records in an element, up to the first that has an id.
func (s *splitter) withIDs(shape Shape, element span) (count int, withID bool) {
	s.unwrap(shape, element, func(one span, wrapped bool) bool {
		count++
		if wrapped || shape.Wrap == "" {
			_, withID = idOf(s.body[one.start:one.end], shape.ID)
		}
		return !withID
	})
	return count, withID
}

func idOf(record []byte, path []string) ([]byte, bool) {
	value, ok := Lookup(record, path)
	if !ok {
		return nil, false
	}
	return Text(value)
}

// isEmptyForm reports whether the list's place, or the whole answer, holds one
// of the further forms of an empty list.
func (s *splitter) isEmptyForm(forms []string) bool {
	if len(forms) == 0 {
		return false
	}
	return slices.Contains(forms, compactText(s.body)) ||
		s.place != 0 && !s.short && slices.Contains(forms, compactText(s.body[s.value.start:s.value.end]))
}

// compactText returns a very short value without white space.
func compactText(value []byte) string {
	value = bytes.TrimSpace(value)
	if len(value) > 64 {
		return ""
	}
	value = bytes.Clone(value)
	return string(value[:compactInto(value, 0, 0, len(value))])
}

// complete reports whether the answer has what stands beside its list.
func (s *splitter) complete(names []string) bool {
	for _, name := range names {
		if !slices.ContainsFunc(s.asides, func(a aside) bool { return a.name == name }) {
			return false
		}
	}
	return true
}

// describe says what the answer is instead of a list.
func (s *splitter) describe() string {
	instead := " in place of the list"
	if s.short {
		instead = " in place of the object that holds the list"
	}
	value := s.body[s.value.start:s.value.end]
	switch s.place {
	case 0:
		return "an object without the list"
	case '{':
		objects := 0
		Members(value, 0, func(m Member) bool {
			if value[m.Value] != '{' {
				objects = 0
				return false
			}
			objects++
			return true
		})
		if objects > 0 {
			return "an object of objects" + instead
		}
		return "an object" + instead
	case '[':
		return "an array" + instead
	case '"':
		return "a text" + instead
	case 'n':
		return "null" + instead
	case 't', 'f':
		return "true or false" + instead
	}
	return "a number" + instead
}

// total returns the documented count, or -1.
func (s *splitter) total(path []string) int {
	if len(path) == 0 {
		return -1
	}
	for _, a := range s.asides {
		if a.name != path[0] {
			continue
		}
		value := s.body[a.start:a.end]
		if len(path) > 1 {
			value, _ = Lookup(value, path[1:])
		}
		if digits, ok := Text(value); ok {
			if n, err := strconv.Atoi(string(digits)); err == nil && n >= 0 {
				return n
			}
		}
	}
	return -1
}

// alsoElsewhere reports whether the answer also holds elements where another
// shape has its list.
func (s *splitter) alsoElsewhere(shape Shape, shapes []Shape) bool {
	for _, other := range shapes {
		if len(other.Path) == 0 || slices.Equal(other.Path, shape.Path) {
			continue
		}
		for _, a := range s.asides {
			if a.name != other.Path[0] {
				continue
			}
			value := s.body[a.start:a.end]
			if len(other.Path) > 1 {
				value, _ = Lookup(value, other.Path[1:])
			}
			if len(value) > 0 && value[0] == '[' && value[SkipSpace(value, 1)] != ']' {
				return true
			}
		}
	}
	return false
}

// unwrap yields the records inside one element, and whether they were wrapped
// as the shape says. An element that was not is yielded itself.
func (s *splitter) unwrap(shape Shape, element span, yield func(one span, wrapped bool) bool) {
	if shape.Wrap == "" || s.body[element.start] != '{' {
		yield(element, false)
		return
	}
	count := 0
	var only Member
	Members(s.body[:element.end], element.start, func(m Member) bool {
		count, only = count+1, m
		return count < 2
	})
	switch {
	case count != 1 || !NameIs(only.Name, shape.Wrap):
		yield(element, false)
	case s.body[only.Value] == '[':
		Elements(s.body[:only.End], only.Value, func(start, end int) bool { return yield(span{start, end}, true) })
	default:
		yield(span{only.Value, only.End}, true)
	}
}

// records compacts the records of the list in place. Nothing can be read from
// the answer after that.
func (s *splitter) records(shape Shape, list List) (List, error) {
	w := -1
	add := func(one span, wrapped bool) bool {
		if w < 0 {
			w = one.start
		}
		r := Record{Start: w, End: compactInto(s.body, w, one.start, one.end)}
		r.ID, r.Fault = s.judge(shape, s.body[r.Start:r.End], wrapped)
		s.body[r.End] = '\n' // in place of the comma or bracket that followed
		list.Records = append(list.Records, r)
		w = r.End + 1
		return s.limits.Elements == 0 || len(list.Records) <= s.limits.Elements
	}
	for _, element := range s.elements {
		s.unwrap(shape, element, add)
		if s.limits.Elements > 0 && len(list.Records) > s.limits.Elements {
			return List{}, tooLarge(fmt.Sprintf("more than %d records", s.limits.Elements))
		}
	}
	list.Body = s.body[:w]
	return list, nil
}

// judge returns a record's id and what is wrong with it.
func (s *splitter) judge(shape Shape, record []byte, wrapped bool) (id []byte, fault string) {
	id, ok := idOf(record, shape.ID)
	switch {
	case s.limits.Record > 0 && len(record) > s.limits.Record:
		fault = tooLargeRecord(s.limits.Record)
	case record[0] != '{':
		fault = "not an object"
	case !s.strict && !utf8.Valid(record):
		fault = notUTF8
	case shape.Wrap != "" && !wrapped:
		fault = "not wrapped as the others are"
	case !ok:
		fault = "no id"
	}
	return id, fault
}

// undecidable is List.Undecidable, once the records are judged.
func (l List) undecidable() bool {
	return slices.ContainsFunc(l.Records, func(r Record) bool { return r.Fault == notUTF8 }) &&
		!slices.ContainsFunc(l.Records, func(r Record) bool { return r.Fault == "" })
}

// foreignElements counts the elements that are not valid UTF-8, and reports whether none
// of the others goes beyond ASCII: if several are not and none does, the whole
// answer is in another character set, rather than a single record broken.
func (s *splitter) foreignElements() (bad int, otherCharset bool) {
	otherCharset = true
	for _, e := range s.elements {
		element := s.body[e.start:e.end]
		switch {
		case !utf8.Valid(element):
			bad++
		case slices.ContainsFunc(element, func(c byte) bool { return c >= utf8.RuneSelf }):
			otherCharset = false
		}
	}
	return bad, otherCharset
}
