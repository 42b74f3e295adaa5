package jsonscan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

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
	at := s.failedAt(err)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return found(fmt.Sprintf("JSON cut short after byte %d", len(s.body)+s.omitted))
	case deeperThan(s.body[:min(len(s.body), int(at)+1)], deepest):
		return found(fmt.Sprintf("JSON nested more than %d deep", deepest))
	}
	return found(fmt.Sprintf("JSON that is not valid at byte %d", at+int64(s.omitted)))
}

// failedAt returns the offset at which the decoder gave up.
func (s *splitter) failedAt(err error) int64 {
	at := s.decoder.InputOffset()
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		at = max(at, syntax.ByteOffset)
	}
	return at
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
	opens := bytes.ContainsAny(rest, "[{")
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
		if s.elements == nil { // as many as there are if all are as long as the first
			s.elements = make([]span, 0, min(len(s.body)/len(value), s.limits.Elements)+1)
		}
		s.elements = append(s.elements, span{end - len(value), end})
	}
	_, err := s.decoder.ReadToken()
	s.place, s.value, s.short = '[', span{start, int(s.decoder.InputOffset())}, false
	return err
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
	if bytes.ContainsAny(body[i:], "[{") {
		return "text before the JSON"
	}
	return "text in place of JSON"
}
