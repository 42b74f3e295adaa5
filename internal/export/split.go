package export

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// A Shape says where the records of a page lie.
//
// The array is found, in this order: as the whole answer; as the value of a
// member named in Lists, also one object further down; as the only array of
// the answer's object. An object that has the id itself is one record. A
// record inside an object whose only member is Unwrap is taken out of it.
type Shape struct {
	Lists  []string // names that hold the records, such as "items"
	Unwrap string   // "member" for Yappli; empty: records are never wrapped
	ID     []string // path of the record's id
	// Nothing: null and {} mean that there are no records. Elsewhere they
	// are a fault, lest a broken answer ends a run early.
	Nothing bool
}

// ErrUnsplittable means that the answer as a whole is not the JSON that the provider
// documents, so no record can be told from the next.
var ErrUnsplittable = errors.New("answer cannot be split into records")

// byteOrderMark may precede an answer in UTF-8.
const byteOrderMark = "\xef\xbb\xbf"

// A row is one record of a page: a line of its buffer, the newline included.
type row struct {
	start, end int
	id         []byte
	reason     string // why the record is rejected; empty: it is good
	at         int    // rows of the pass up to and with this one
}

// A page is one answer, split. Its rows lie in the buffer one behind the
// other, each ending in a newline, so that a run of rows is one write.
type page struct {
	query Query
	buf   []byte
	rows  []row
}

// line returns a row's bytes with the newline.
func (p *page) line(r row) []byte { return p.buf[r.start:r.end] }

// A splitter turns answers into pages. It is not safe for concurrent use.
type splitter struct {
	shape     Shape
	maxRecord int
	maxBody   int64

	decoder  jsontext.Decoder
	spans    []span
	inner    []span // of one wrapped element
	arrays   int    // arrays met as values of the top object's members
	onlyList string // the name of the last of them
}

// span is where a record lies in the answer.
type span struct{ start, end int }

// split takes over body, which must not be used afterwards.
func (s *splitter) split(body []byte, q Query) (*page, error) {
	body, err := s.plain(body)
	if err != nil {
		return nil, err
	}
	lists := s.shape.Lists
	strict := true
	err = s.walk(body, lists, strict)
	if err != nil && !errors.Is(err, errShape) {
		strict = false // records with a lone surrogate or bad UTF-8 are told apart one by one
		err = s.walk(body, lists, strict)
	}
	if errors.Is(err, errShape) {
		if _, ok := s.id(body); ok {
			s.spans, err = append(s.spans[:0], span{skipSpace(body, 0), skipValue(body, skipSpace(body, 0))}), nil
		} else if s.arrays == 1 {
			err = s.walk(body, []string{s.onlyList}, strict)
		}
	}
	if err != nil {
		return nil, err
	}
	return s.page(body, q, strict), nil
}

// plain undoes what stands around the JSON: a gzip that no header announced,
// and a byte order mark.
func (s *splitter) plain(body []byte) ([]byte, error) {
	if len(body) > 2 && body[0] == 0x1f && body[1] == 0x8b {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, fmt.Errorf("%w: broken gzip", ErrUnsplittable)
		}
		body, err = io.ReadAll(io.LimitReader(z, s.maxBody+1))
		if err != nil || int64(len(body)) > s.maxBody {
			return nil, fmt.Errorf("%w: broken gzip, or more than %d bytes of it", ErrUnsplittable, s.maxBody)
		}
	}
	return bytes.TrimPrefix(body, []byte(byteOrderMark)), nil
}

// errShape: no JSON of a list at all, or no list of records where Shape says.
var errShape = fmt.Errorf("%w: no list of records in it", ErrUnsplittable)

// walk validates the answer and notes where the records lie.
func (s *splitter) walk(body []byte, lists []string, strict bool) error {
	s.spans, s.arrays, s.onlyList = s.spans[:0], 0, ""
	s.decoder.Reset(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(!strict))
	var found bool
	var err error
	switch s.decoder.PeekKind() {
	case '[':
		found, err = true, s.list()
	case '{':
		found, err = s.envelope(lists, true)
	case 'n':
		found, err = s.shape.Nothing, s.decoder.SkipValue()
	default: // nothing, or a page for people
		return errShape
	}
	if err == nil {
		if _, tail := s.decoder.ReadToken(); !errors.Is(tail, io.EOF) {
			return fmt.Errorf("%w: bytes behind the JSON", ErrUnsplittable)
		}
	}
	switch {
	case errors.Is(err, ErrUnsplittable):
		return err
	case err != nil:
		// The decoder's own text quotes the input, which may be personal.
		return fmt.Errorf("%w: not valid JSON at byte %d", ErrUnsplittable, s.decoder.InputOffset())
	case !found:
		return errShape
	}
	return nil
}

// envelope walks an object and reports whether it holds a list.
func (s *splitter) envelope(lists []string, top bool) (bool, error) {
	if _, err := s.decoder.ReadToken(); err != nil {
		return false, err
	}
	found := top && s.shape.Nothing && s.decoder.PeekKind() == '}'
	for s.decoder.PeekKind() != '}' {
		token, err := s.decoder.ReadToken()
		if err != nil {
			return false, err
		}
		name := token.String()
		kind := s.decoder.PeekKind()
		if !slices.Contains(lists, name) {
			if kind == '[' && top {
				s.arrays++
				s.onlyList = name
			}
			err = s.decoder.SkipValue()
		} else {
			found, err = s.named(lists, kind, found)
		}
		if err != nil {
			return false, err
		}
	}
	_, err := s.decoder.ReadToken()
	return found, err
}

// named reads the value of a member that should hold records.
func (s *splitter) named(lists []string, kind jsontext.Kind, found bool) (bool, error) {
	switch kind {
	case '[':
		return true, s.list()
	case '{':
		before := len(s.spans)
		start := int(s.decoder.InputOffset())
		inner, err := s.envelope(lists, false)
		if err == nil && !inner { // it is a record
			s.spans = append(s.spans[:before], span{start, int(s.decoder.InputOffset())})
		}
		return true, err
	case 'n': // null: the list is empty
		return true, s.decoder.SkipValue()
	default:
		return found, s.decoder.SkipValue()
	}
}

// list notes the elements of an array.
func (s *splitter) list() error {
	if _, err := s.decoder.ReadToken(); err != nil {
		return err
	}
	for s.decoder.PeekKind() != ']' {
		value, err := s.decoder.ReadValue()
		if err != nil {
			return err
		}
		end := int(s.decoder.InputOffset())
		s.spans = append(s.spans, span{end - len(value), end})
	}
	_, err := s.decoder.ReadToken()
	return err
}

// page compacts the records that walk found.
func (s *splitter) page(body []byte, q Query, strict bool) *page {
	p := &page{query: q, rows: make([]row, 0, len(s.spans))}
	body = append(body, '\n') // room behind a record that ends the answer
	w := 0
	for i, outer := range s.spans {
		start := outer.start
		for start < outer.end && (isSpace(body[start]) || body[start] == ':') {
			start++ // the offset of a wrapped record is its name's end
		}
		if i == 0 {
			w = start
		}
		for _, one := range s.unwrap(body, span{start, outer.end}) {
			w = s.add(p, body, w, one, strict)
		}
	}
	p.buf = body
	return p
}

// unwrap returns the records inside one element, until its next call.
func (s *splitter) unwrap(body []byte, outer span) []span {
	s.inner = append(s.inner[:0], outer)
	if s.shape.Unwrap == "" || body[outer.start] != '{' {
		return s.inner
	}
	var only member
	count := 0
	members(body[:outer.end], outer.start, func(m member) bool {
		count, only = count+1, m
		return count < 2
	})
	if count != 1 || !nameIs(only.name, s.shape.Unwrap) {
		return s.inner
	}
	switch body[only.value] {
	case '{':
		s.inner[0] = span{only.value, only.end}
	case '[':
		s.inner = s.inner[:0]
		for i := skipSpace(body, only.value+1); i < only.end-1; {
			end := skipValue(body[:only.end-1], i)
			s.inner = append(s.inner, span{i, end})
			i = skipSpace(body, end)
			if body[i] == ',' {
				i = skipSpace(body, i+1)
			}
		}
	}
	return s.inner
}

// add moves one record to body[w:] and notes it as a row.
func (s *splitter) add(p *page, body []byte, w int, one span, strict bool) int {
	r := row{start: w}
	r.end = compactInto(body, w, one.start, one.end)
	record := body[r.start:r.end]
	switch {
	case len(record) > s.maxRecord:
		r.reason = fmt.Sprintf("larger than %d bytes", s.maxRecord)
	case record[0] != '{':
		r.reason = "not an object"
	case !strict && !utf8.Valid(record):
		r.reason = "not valid UTF-8"
	}
	r.id = s.rowID(record)
	body[r.end] = '\n'
	r.end++
	p.rows = append(p.rows, r)
	return r.end
}

// rowID returns the id by which a row is known: the record's own, or a digest
// of the record if it has none that a checkpoint could hold.
func (s *splitter) rowID(record []byte) []byte {
	id, ok := s.id(record)
	if !ok || width(id) > maxID {
		return digestID(record)
	}
	return id
}

// id returns the record's own id.
func (s *splitter) id(record []byte) ([]byte, bool) {
	value, ok := lookup(record, s.shape.ID)
	if !ok {
		return nil, false
	}
	return text(value)
}

// maxID is the width of the longest id that a checkpoint can hold a few of.
const maxID = 128

// digestPrefix begins the ids that are none of the provider's.
const digestPrefix = "sha256:"

// digestID stands for the id of a record that has none: equal records get
// equal ones.
func digestID(record []byte) []byte {
	sum := sha256.Sum256(record)
	return []byte(digestPrefix + hex.EncodeToString(sum[:8]))
}
