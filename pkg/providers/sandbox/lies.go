package sandbox

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
)

// wholeLies change an answer, whatever it is. Those that return nil could not.
var wholeLies = map[string]func(body []byte) []byte{
	Truncated:  func(body []byte) []byte { return part(body, len(body)/2) },
	Doubled:    func(body []byte) []byte { return bytes.Repeat(part(body, len(body)), 2) },
	TextBehind: func(body []byte) []byte { return append(part(body, len(body)), "\n<!-- 0.0123 s -->"...) },
	TextBefore: func(body []byte) []byte {
		return append([]byte("<br />\n<b>Warning</b>: Undefined index: page in <b>/www/api.php</b><br />\n"), body...)
	},
	NoBody:    func([]byte) []byte { return []byte{} },
	Unlabeled: packed,
	Bomb: func(body []byte) []byte { // parts that are packed alone are unpacked as one
		return append(bytes.Repeat(packed(bytes.Repeat([]byte{' '}, 1<<20)), bombParts), packed(body)...)
	},
	Charset: func(body []byte) []byte { return part(body, len(body)) },
}

const bombParts = 64 // of 1 MiB

func packed(body []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(body) // a buffer takes everything
	_ = z.Close()
	return b.Bytes()
}

// label says in the headers what a lie about a whole answer needs there.
func label(h http.Header, id string) {
	switch id {
	case Bomb:
		h.Set("Content-Encoding", "gzip")
	case Charset:
		h.Set("Content-Type", "application/json; charset=Shift_JIS")
	}
}

// part is the beginning of a body; nil if there is none.
func part(body []byte, n int) []byte {
	if len(body) == 0 {
		return nil
	}
	return slices.Clone(body[:n])
}

// A lie is one that is told of one request.
type lie struct {
	id    string
	query url.Values
}

// errBadRecord is that a page holds the record that cannot be answered.
var errBadRecord = errors.New("the page holds a record that cannot be answered")

// listLie tells a lie about the list in a body. Nil: it could not. The lock is held.
func (t *troublemaker) listLie(l lie, r *Request, route string, body []byte) (told []byte, err error) {
	p, ok := findList(body)
	if !ok {
		return nil, nil
	}
	switch l.id {
	case RepeatedPages:
		key := route + " " + r.URL.Path
		before := t.pages[key]
		t.pages[key] = body
		if before == nil || bytes.Equal(before, body) {
			return nil, nil
		}
		return before, nil
	case FirstPage:
		first := t.pages[route]
		if first == nil {
			t.pages[route] = body
		}
		if first == nil || bytes.Equal(first, body) {
			return nil, nil
		}
		return first, nil
	case BadRecord:
		if len(p.rows) == 0 {
			return nil, nil
		}
		if t.bad == nil {
			t.bad = slices.Clone(p.rows[len(p.rows)-1])
		}
		if slices.ContainsFunc(p.rows, func(row []byte) bool { return bytes.Equal(row, t.bad) }) {
			return nil, errBadRecord
		}
		return nil, nil
	}
	return l.tell(p), nil
}

func (l lie) tell(p page) []byte {
	switch l.id {
	case WrongTotals:
		return p.halved()
	case DeadCursor:
		if !l.query.Has("previous_id") {
			return nil
		}
		return p.with(nil)
	}
	if len(p.rows) == 0 {
		return nil
	}
	switch l.id {
	case EmptyList:
		return p.with(nil)
	case NullList:
		return slices.Concat(p.head, []byte("null"), p.tail)
	case ErrorBeside:
		return p.beside(`"errors":[{"code":"E001","message":"upstream timeout"}]`)
	case ShortPages:
		if len(p.rows) < 2 {
			return nil
		}
		return p.with(p.rows[:(len(p.rows)+1)/2])
	case RepeatedRows:
		return p.with(slices.Concat(p.rows, p.rows))
	case OtherTimes:
		return p.retimed()
	case NoID:
		return p.with(append(slices.Clone(p.rows[:len(p.rows)-1]), withoutID(p.rows[len(p.rows)-1])))
	case OtherWrapper:
		return p.otherwise()
	case ObjectList:
		return p.asObject()
	}
	return nil
}

var (
	zoned = regexp.MustCompile(`"(\d{4}-\d\d-\d\d)T(\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d:\d\d)?"`)
	local = regexp.MustCompile(`"(\d{4})-(\d\d)-(\d\d) (\d\d:\d\d:\d\d)"`)
)

// retimed is the page with its times in another form; nil if it has none.
func (p page) retimed() []byte {
	rows := make([][]byte, len(p.rows))
	changed := false
	for i, row := range p.rows {
		rows[i] = local.ReplaceAll(row, []byte(`"$1/$2/$3 $4"`))
		rows[i] = zoned.ReplaceAllFunc(rows[i], func(text []byte) []byte {
			parts := zoned.FindSubmatch(text)
			zone := bytes.ReplaceAll(bytes.ToLower(parts[3]), []byte(":"), nil)
			return slices.Concat([]byte(`"`), parts[1], []byte("t"), parts[2], zone, []byte(`"`))
		})
		changed = changed || !bytes.Equal(row, rows[i])
	}
	if !changed {
		return nil
	}
	return p.with(rows)
}

// A page is the answer of a list: what stands before and after the array, and its elements.
type page struct {
	head, tail []byte
	rows       [][]byte
}

// deepest is in how many objects a list may lie.
const deepest = 3

// findList finds the first array that is the body, or a member of an object of it.
func findList(body []byte) (page, bool) { return findArray(body, bytes.TrimSpace(body), deepest) }

// findArray looks in value, which is a part of body.
func findArray(body, value []byte, depth int) (page, bool) {
	if len(value) == 0 || depth < 0 {
		return page{}, false
	}
	if value[0] == '[' {
		var rows []json.RawMessage
		if json.Unmarshal(value, &rows) != nil {
			return page{}, false
		}
		start := offset(body, value)
		p := page{head: body[:start], tail: body[start+len(value):]}
		for _, row := range rows {
			p.rows = append(p.rows, row)
		}
		return p, true
	}
	values := members(value)
	for _, kind := range []byte{'[', '{'} { // what lies nearer comes first
		for _, inner := range values {
			if inner[0] != kind {
				continue
			}
			if p, ok := findArray(body, inner, depth-1); ok {
				return p, true
			}
		}
	}
	return page{}, false
}

// offset is where part begins in whole, in whose memory it lies.
func offset(whole, part []byte) int { return cap(whole) - cap(part) }

// members returns the values of an object, as parts of it; none if it is no object.
func members(object []byte) (values [][]byte) {
	dec := json.NewDecoder(bytes.NewReader(object))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil
	}
	for dec.More() {
		if _, err := dec.Token(); err != nil { // its name
			return nil
		}
		var raw json.RawMessage
		if dec.Decode(&raw) != nil {
			return nil
		}
		end := int(dec.InputOffset())
		values = append(values, object[end-len(raw):end])
	}
	return values
}

// with is the page with other records.
func (p page) with(rows [][]byte) []byte {
	return slices.Concat(p.head, []byte("["), bytes.Join(rows, []byte(",")), []byte("]"), p.tail)
}

// beside is the page without records and with a further member; nil if the list lies in
// no object.
func (p page) beside(member string) []byte {
	if len(bytes.TrimSpace(p.head)) == 0 {
		return nil
	}
	return slices.Concat(p.head, []byte("[],"+member), p.tail)
}

var lastName = regexp.MustCompile(`"[^"]*"\s*:\s*$`)

// otherwise is the page under another name, or in an object that should not be there.
func (p page) otherwise() []byte {
	if at := lastName.FindIndex(p.head); at != nil {
		p.head = append(slices.Clone(p.head[:at[0]]), `"records":`...)
		return p.with(p.rows)
	}
	return slices.Concat([]byte(`{"data":`), p.with(p.rows), []byte("}"))
}

// asObject is the page with its records by number.
func (p page) asObject() []byte {
	rows := make([][]byte, len(p.rows))
	for i, row := range p.rows {
		rows[i] = append([]byte(`"`+strconv.Itoa(2*i+1)+`":`), row...)
	}
	return slices.Concat(p.head, []byte("{"), bytes.Join(rows, []byte(",")), []byte("}"), p.tail)
}

var aTotal = regexp.MustCompile(`"(total|last_page|total_pages|total_count)":(\d+)`)

// halved is the page with half of each total; nil if it has none.
func (p page) halved() []byte {
	halve := func(b []byte) []byte {
		return aTotal.ReplaceAllFunc(b, func(member []byte) []byte {
			at := aTotal.FindSubmatchIndex(member)
			n, _ := strconv.Atoi(string(member[at[4]:at[5]]))
			return strconv.AppendInt(slices.Clone(member[:at[4]]), int64(n/2), 10)
		})
	}
	if !aTotal.Match(p.head) && !aTotal.Match(p.tail) {
		return nil
	}
	p.head, p.tail = halve(p.head), halve(p.tail)
	return p.with(p.rows)
}

var anID = regexp.MustCompile(`"(id|serial_order_id)":("[^"]*"|\d+),?`)

// withoutID is a record without its first id.
func withoutID(row []byte) []byte {
	at := anID.FindIndex(row)
	if at == nil {
		return row
	}
	return slices.Concat(row[:at[0]], row[at[1]:])
}
