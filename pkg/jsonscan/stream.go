package jsonscan

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Of a Stream.
const (
	pieceBytes   = 1 << 20 // a piece ends once it has as many
	pieceRecords = 1000
	largeRecord  = 8 << 20 // without Limits.Record
	headBytes    = 1 << 20 // of what may stand before the list
	tailBytes    = 8 << 20 // and after it
)

// A File holds an answer that is too long for memory. Closing it may delete it.
type File interface {
	io.ReadSeeker
	io.Closer
}

// A Stream is a list answer that is read in pieces. It has been validated whole
// before the first of them.
type Stream struct {
	file     File
	limits   Limits
	shape    Shape
	whole    *List // the only piece of a short answer
	total    int
	start    int64 // of the elements
	elements elements

	undecidable bool // as in List
	pieceBytes  int
}

// NewStream validates the answer in file, which is not compressed, in the memory
// of a piece and one record. It is a list as Split has it, except that of a
// record larger than Limits.Record, or 8 MiB, nothing but the structure is
// looked at. The stream owns file; after an error it is the caller's.
func NewStream(file File, limits Limits, shape Shape) (*Stream, error) {
	return newStream(file, limits, shape, headBytes, pieceBytes)
}

func newStream(file File, limits Limits, shape Shape, headBytes, pieceBytes int) (*Stream, error) {
	s := &Stream{file: file, limits: limits, shape: shape, pieceBytes: pieceBytes}
	if s.limits.Record <= 0 {
		s.limits.Record = largeRecord
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	head := make([]byte, headBytes)
	n, err := io.ReadFull(file, head)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		list, err := s.short(head[:n])
		s.whole = &list
		return s, err
	}
	if err != nil {
		return nil, err
	}
	if err := s.locate(head); err != nil {
		return nil, err
	}
	return s, s.validate(head[:s.start])
}

// short reads an answer that is not longer than a piece.
func (s *Stream) short(body []byte) (List, error) {
	if Packed(body) {
		return List{}, found(packedTwice)
	}
	return Split(body, Limits{Record: s.limits.Record, Elements: s.limits.Elements}, s.shape)
}

// locate notes where the elements of the list begin.
func (s *Stream) locate(head []byte) error {
	if Packed(head) {
		return found(packedTwice)
	}
	if name := foreign(head); name != "" {
		return found(name)
	}
	text := TrimMark(head)
	if what := notJSON(text); what != "" {
		return found(what)
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for i := range s.shape.Path {
		if kind := d.PeekKind(); kind != '{' {
			return found((&splitter{place: byte(kind), short: true}).describe())
		}
		if err := enter(d, s.shape.Path[i]); err != nil {
			return err
		}
	}
	if kind := d.PeekKind(); kind != '[' {
		return found((&splitter{place: byte(kind)}).describe())
	}
	if _, err := d.ReadToken(); err != nil {
		return found(notInTime)
	}
	s.start = int64(len(head)-len(text)) + d.InputOffset()
	return nil
}

const (
	packedTwice = "an answer compressed twice"
	notInTime   = "a long answer that does not begin with the list"
)

// enter goes to the value of an object's member.
func enter(d *jsontext.Decoder, name string) error {
	if _, err := d.ReadToken(); err != nil {
		return found(notInTime)
	}
	for {
		token, err := d.ReadToken()
		switch {
		case err != nil:
			return found(notInTime)
		case token.Kind() == '}':
			return found("an object without the list")
		case token.String() == name:
			return nil
		}
		if err := d.SkipValue(); err != nil {
			return found(notInTime)
		}
	}
}

// validate walks all elements once, and then judges what stands around them.
func (s *Stream) validate(head []byte) error {
	if err := s.rewind(); err != nil {
		return err
	}
	var all elementCheck
	var element []byte
	for {
		var size int
		var err error
		element, size, err = s.elements.next(element[:0], s.limits.Record)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && s.limits.Elements > 0 && all.count == s.limits.Elements {
			err = tooLarge(fmt.Sprintf("more than %d elements", s.limits.Elements))
		}
		if err == nil {
			err = all.add(s.shape, element, size > s.limits.Record, s.elements.offset-int64(size))
		}
		if err != nil {
			return err
		}
	}
	if err := s.around(head, all.count > 0); err != nil {
		return err
	}
	if err := all.verdict(); err != nil {
		return err
	}
	s.undecidable = all.foreign > 0 && !all.good
	return s.rewind()
}

// An elementCheck is what the elements of a list have shown so far.
type elementCheck struct {
	splitter
	count   int
	withID  bool
	good    bool // one of them can be delivered
	foreign int  // elements that are not valid UTF-8
	native  int  // those that are, and go beyond ASCII
}

// add looks at one element, which lies at an offset of the answer.
func (c *elementCheck) add(shape Shape, element []byte, large bool, offset int64) error {
	c.count++
	if large {
		c.withID = c.withID || element[0] == '{' // where its id would be is not kept
		return nil
	}
	c.decoder.Reset(bytes.NewBuffer(element), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := c.decoder.ReadValue(); err != nil || int(c.decoder.InputOffset()) != len(element) {
		if deeperThan(element, deepest-1) {
			return found(fmt.Sprintf("JSON nested more than %d deep", deepest))
		}
		return found(fmt.Sprintf("JSON that is not valid at byte %d", offset+c.failedAt(err)))
	}
	switch {
	case !utf8.Valid(element):
		c.foreign++
	case c.native == 0 && bytes.ContainsFunc(element, func(r rune) bool { return r >= utf8.RuneSelf }):
		c.native++
	}
	if c.body = element; !c.withID {
		_, withID := c.withIDs(shape, span{0, len(element)})
		c.withID = withID && !errorRecord(element)
	}
	if !c.good {
		c.unwrap(shape, span{0, len(element)}, func(one span, wrapped bool) bool {
			_, fault := c.judge(shape, element[one.start:one.end], wrapped)
			c.good = c.good || fault == ""
			return !c.good
		})
	}
	return nil
}

func (c *elementCheck) verdict() error {
	switch {
	case c.count > 0 && !c.withID:
		return errNoID
	case c.native == 0 && c.foreign > 1:
		return found(otherUTF)
	}
	return nil
}

// around judges the answer without the elements of its list, the last of which
// has just been read.
func (s *Stream) around(head []byte, records bool) error {
	tail, err := ReadAll(s.elements.r, 512, tailBytes)
	switch {
	case errors.Is(err, ErrTooLarge):
		return found(fmt.Sprintf("more than %d bytes after the list", tailBytes))
	case err != nil:
		return err
	}
	t := splitter{body: append(append(bytes.Clone(TrimMark(head)), ']'), tail...)}
	t.omitted = int(s.elements.offset) - len(head) - 1
	if err := t.walk(s.shape.Path); err != nil {
		return err
	}
	s.total = t.total(s.shape.Total)
	switch {
	case anySign(t.body, t.asides, records):
		return found(errorBeside)
	case t.twice:
		return found(twice)
	case isRecord(t.body, t.asides, s.shape):
		return found(aRecord)
	}
	return nil
}

// rewind goes to the first element.
func (s *Stream) rewind() error {
	_, err := s.file.Seek(s.start, io.SeekStart)
	s.elements = elements{r: bufio.NewReaderSize(s.file, 64<<10), offset: s.start}
	return err
}

// Next returns the next records, about a megabyte or a thousand of them, until
// io.EOF. A list without any gives one piece without records. Of a record
// larger than Limits.Record there is the Fault, and the id if it comes early.
func (s *Stream) Next() (List, error) {
	if s.whole != nil {
		list := *s.whole
		s.whole, s.elements.done = nil, true
		return list, nil
	}
	if s.elements.done {
		return List{}, io.EOF
	}
	piece, large, err := s.piece()
	if err != nil {
		return List{}, err
	}
	list := List{Shape: s.shape.Name, Total: s.total, Undecidable: s.undecidable}
	if len(piece) > 0 {
		t := splitter{body: piece, limits: Limits{Record: s.limits.Record}}
		if err := t.walk(nil); err != nil {
			return List{}, err
		}
		if list, err = t.records(s.shape, list); err != nil {
			return List{}, err
		}
	}
	if large != nil {
		at := len(list.Body)
		list.Body = append(list.Body, '\n')
		list.Records = append(list.Records, Record{Start: at, End: at, ID: earlyID(large, s.shape.ID), Fault: tooLargeRecord(s.limits.Record)})
	}
	return list, nil
}

// earlyID returns the id in a record that was cut, if it was not cut itself.
func earlyID(record []byte, path []string) []byte {
	value, ok := Lookup(record, path)
	if !ok || cap(record)-cap(value)+len(value) == len(record) {
		return nil
	}
	id, _ := Text(value)
	return bytes.Clone(id)
}

// piece returns the next elements as an array. One that is too large ends it,
// and comes apart, as far as it was kept.
func (s *Stream) piece() (piece, large []byte, err error) {
	piece = []byte{'['}
	for range pieceRecords {
		before := len(piece)
		if before > 1 {
			piece = append(piece, ',')
		}
		start := len(piece)
		var size int
		piece, size, err = s.elements.next(piece, s.limits.Record)
		if errors.Is(err, io.EOF) {
			s.elements.done = true
			piece = piece[:before]
			break
		}
		if err != nil {
			return nil, nil, err
		}
		if size > s.limits.Record {
			large = piece[start:]
			piece = piece[:before:before]
			break
		}
		if len(piece) >= s.pieceBytes {
			break
		}
	}
	if len(piece) == 1 {
		return nil, large, nil
	}
	return append(piece, ']'), large, nil
}

// Close closes the file.
func (s *Stream) Close() error { return s.file.Close() }

// elements reads the elements of an array one after the other, by structure
// alone.
type elements struct {
	r      *bufio.Reader
	offset int64
	begun  bool
	done   bool
}

// next appends the next element to buf, of a larger one no more than most bytes
// and one, and returns its size. After the last one it is io.EOF.
func (e *elements) next(buf []byte, most int) ([]byte, int, error) {
	c, err := e.token()
	if err != nil {
		return buf, 0, err
	}
	switch {
	case c == ']' && !e.begun:
		return buf, 0, io.EOF
	case !e.begun:
		e.begun = true
	case c == ']':
		return buf, 0, io.EOF
	case c != ',':
		return buf, 0, e.invalid()
	default:
		if c, err = e.token(); err != nil {
			return buf, 0, err
		}
	}
	if c == ',' || c == ']' || c == '}' || c == ':' {
		return buf, 0, e.invalid()
	}
	if err := e.r.UnreadByte(); err != nil {
		return buf, 0, err
	}
	e.offset--
	return e.value(buf, most)
}

// token returns the next byte that is no white space.
func (e *elements) token() (byte, error) {
	for {
		c, err := e.r.ReadByte()
		if err != nil {
			return 0, e.ended(err)
		}
		if e.offset++; !isSpace(c) {
			return c, nil
		}
	}
}

func (e *elements) ended(err error) error {
	if errors.Is(err, io.EOF) {
		return found(fmt.Sprintf("JSON cut short after byte %d", e.offset))
	}
	return err
}

func (e *elements) invalid() error {
	return found(fmt.Sprintf("JSON that is not valid at byte %d", e.offset-1))
}

// value appends one value.
func (e *elements) value(buf []byte, most int) ([]byte, int, error) {
	var v valueEnd
	size := 0
	for {
		if _, err := e.r.Peek(1); err != nil {
			return buf, size, e.ended(err)
		}
		chunk, _ := e.r.Peek(e.r.Buffered())
		n, ended := v.scan(chunk)
		if keep := min(n, most+1-size); keep > 0 {
			buf = append(buf, chunk[:keep]...)
		}
		_, _ = e.r.Discard(n)
		size += n
		e.offset += int64(n)
		if ended {
			return buf, size, nil
		}
	}
}

// valueEnd finds where a value ends that comes in chunks.
type valueEnd struct {
	depth   int
	text    bool // inside a string
	escaped bool // after a backslash there
	begun   bool
}

// scan returns how many bytes of the chunk belong to the value, and whether it
// ends there.
func (v *valueEnd) scan(chunk []byte) (int, bool) {
	for i, c := range chunk {
		switch {
		case v.escaped:
			v.escaped = false
		case v.text && c == '\\':
			v.escaped = true
		case v.text && c == '"':
			if v.text = false; v.depth == 0 {
				return i + 1, true
			}
		case v.text:
		case c == '"':
			if v.begun && v.depth == 0 {
				return i, true
			}
			v.text = true
		case c == '{' || c == '[':
			if v.begun && v.depth == 0 {
				return i, true
			}
			v.depth++
		case v.depth == 0 && (c == ',' || c == ']' || c == '}' || c == ':' || isSpace(c)):
			return i, true
		case c == '}' || c == ']':
			if v.depth--; v.depth == 0 {
				return i + 1, true
			}
		}
		v.begun = true
	}
	return len(chunk), false
}
