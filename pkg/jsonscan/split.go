package jsonscan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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

// A span is where a value lies in the answer.
type span struct{ start, end int }

// A splitter finds one answer's records.
type splitter struct {
	body    []byte
	limits  Limits
	decoder jsontext.Decoder

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
			if first == nil {
				first = err
			}
		case list.Records == nil:
			fits = append(fits, list)
		default:
			if s.alsoElsewhere(shape, shapes) {
				return List{}, found("records under two names")
			}
			return s.records(shape, list)
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
			return List{}, &NotAListError{Found: "an error beside the list"}
		}
		return List{}, errSign
	case s.twice:
		return List{}, found("the list's name twice")
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
	count, withID := 0, false
	for _, element := range s.elements {
		s.unwrap(shape, element, func(one span, wrapped bool) bool {
			count++
			if wrapped || shape.Wrap == "" {
				_, withID = idOf(s.body[one.start:one.end], shape.ID)
			}
			return !withID
		})
		if withID {
			list.Records = make([]Record, 0, len(s.elements))
			return list, nil
		}
	}
	if count > 0 {
		return List{}, errNoID
	}
	return list, nil // all that the wrappers hold is nothing
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

// walk validates the answer and notes what stands at a path's end. What is not
// valid in UTF-8 is walked again, so that it can be told record by record.
func (s *splitter) walk(path []string) error {
	s.strict = true
	err := s.pass(path)
	if err != nil && !errors.Is(err, ErrNotAList) {
		s.strict = false
		err = s.pass(path)
	}
	if err == nil || errors.Is(err, ErrNotAList) {
		return err
	}
	// The decoder's own text quotes the input, which may be personal.
	at := s.decoder.InputOffset()
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		at = max(at, syntax.ByteOffset)
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return found(fmt.Sprintf("JSON cut short after byte %d", len(s.body)))
	case deeperThan(s.body[:min(len(s.body), int(at)+1)], deepest):
		return found(fmt.Sprintf("JSON nested more than %d deep", deepest))
	}
	return found(fmt.Sprintf("JSON that is not valid at byte %d", at))
}

func (s *splitter) pass(path []string) error {
	s.elements, s.asides, s.twice, s.place, s.short = s.elements[:0], s.asides[:0], false, 0, false
	s.decoder.Reset(bytes.NewBuffer(s.body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(!s.strict))
	if err := s.at(path); err != nil {
		return err
	}
	return s.tail()
}

// tail refuses what follows the JSON.
func (s *splitter) tail() error {
	rest := s.body[SkipSpace(s.body, int(s.decoder.InputOffset())):]
	if len(rest) == 0 {
		return nil
	}
	opens := bytes.IndexAny(rest, "[{") >= 0
	if first := s.body[SkipSpace(s.body, 0)]; first != '{' && first != '[' && opens {
		return found("text before the JSON")
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(rest), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := d.ReadValue(); err == nil {
		return found("two JSON values")
	}
	return found("text after the JSON")
}

// at reads the next value, which stands where path still has to be gone.
func (s *splitter) at(path []string) error {
	kind := s.decoder.PeekKind()
	switch {
	case kind == '{' && len(path) > 0:
		return s.object(path)
	case kind == '[' && len(path) == 0:
		return s.array()
	}
	value, err := s.decoder.ReadValue()
	if err == nil {
		end := int(s.decoder.InputOffset())
		s.value, s.place, s.short = span{end - len(value), end}, value[0], len(path) > 0
		if kind == '{' {
			s.beside(value, s.value.start)
		}
	}
	return err
}

// mostAsides is how many members may stand beside the list.
const mostAsides = 1000

// beside notes the members of an object that stands in the list's place: an
// error object, perhaps.
func (s *splitter) beside(object []byte, offset int) {
	Members(object, 0, func(m Member) bool {
		name, _ := Unquote(m.Name)
		s.asides = append(s.asides, aside{string(name), offset + m.Value, offset + m.End})
		return len(s.asides) < mostAsides
	})
}

// object reads an object on the way to the list.
func (s *splitter) object(path []string) error {
	if _, err := s.decoder.ReadToken(); err != nil {
		return err
	}
	seen := false
	for s.decoder.PeekKind() != '}' {
		token, err := s.decoder.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		if name == path[0] {
			s.twice = s.twice || seen
			seen = true
			if err := s.at(path[1:]); err != nil {
				return err
			}
			continue
		}
		value, err := s.decoder.ReadValue()
		if err != nil {
			return err
		}
		if len(s.asides) == mostAsides {
			return found(fmt.Sprintf("an object with more than %d members", mostAsides))
		}
		end := int(s.decoder.InputOffset())
		s.asides = append(s.asides, aside{name, end - len(value), end})
	}
	_, err := s.decoder.ReadToken()
	return err
}

// array notes the elements of the list.
func (s *splitter) array() error {
	if _, err := s.decoder.ReadToken(); err != nil {
		return err
	}
	start := int(s.decoder.InputOffset()) - 1
	for s.decoder.PeekKind() != ']' {
		value, err := s.decoder.ReadValue()
		if err != nil {
			return err
		}
		if s.limits.Elements > 0 && len(s.elements) == s.limits.Elements {
			return tooLarge(fmt.Sprintf("more than %d elements", s.limits.Elements))
		}
		end := int(s.decoder.InputOffset())
		s.elements = append(s.elements, span{end - len(value), end})
	}
	_, err := s.decoder.ReadToken()
	s.place, s.value, s.short = '[', span{start, int(s.decoder.InputOffset())}, false
	return err
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
	if !s.strict && s.otherCharset() {
		return List{}, found("another character set than UTF-8")
	}
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
		fault = fmt.Sprintf("larger than %d bytes", s.limits.Record)
	case record[0] != '{':
		fault = "not an object"
	case !s.strict && !utf8.Valid(record):
		fault = "not valid UTF-8"
	case shape.Wrap != "" && !wrapped:
		fault = "not wrapped as the others are"
	case !ok:
		fault = "no id"
	}
	return id, fault
}

// otherCharset reports whether the whole answer is in another character set,
// rather than a single record broken: several elements are not valid UTF-8,
// and none that goes beyond ASCII is.
func (s *splitter) otherCharset() bool {
	bad := 0
	for _, e := range s.elements {
		element := s.body[e.start:e.end]
		switch {
		case !utf8.Valid(element):
			bad++
		case slices.ContainsFunc(element, func(c byte) bool { return c >= utf8.RuneSelf }):
			return false
		}
	}
	return bad > 1
}

// notJSON names an answer that does not begin as JSON.
func notJSON(body []byte) string {
	i := SkipSpace(body, 0)
	if i == len(body) {
		return "an empty answer"
	}
	switch c := body[i]; {
	case c == '<':
		if bytes.HasPrefix(body[i:], []byte("<?xml")) {
			return "XML"
		}
		return "HTML"
	case bytes.IndexByte([]byte(`{["-0123456789`), c) >= 0:
		return ""
	case c == 't' || c == 'f' || c == 'n':
		if end := skipScalar(body, i); slices.Contains([]string{"true", "false", "null"}, string(body[i:end])) {
			return ""
		}
	}
	if bytes.IndexAny(body[i:], "[{") >= 0 {
		return "text before the JSON"
	}
	return "text in place of JSON"
}
