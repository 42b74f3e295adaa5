package proveexport

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// A burden is the worst that records can be in one respect.
type burden struct {
	name   string
	ids    int // bytes before the number in an id, besides what all have
	tail   func(bytes int) string
	number int // records of a page at most; 0: as many as were asked for
	// packed: the answer comes as gzip, without a label, and so is small on
	// its way.
	packed bool
	// beyond writes an answer that no cap allows, instead of records.
	beyond func(w io.Writer)
	zipped bool // what beyond writes comes as gzip, with a label
}

// idle is filling that compresses to nothing.
func idle(n int) string { return strings.Repeat("長い文", max(n, 9)/9) }

// burdens are what an answer may hold of within the caps, and beyond them. The
// number of elements is the most that any page may have.
func burdens(elements int) []burden {
	wide := func(n int) string { return `,"note":"` + idle(n-12) + `"}` }
	return []burden{
		{name: "most elements", tail: func(int) string { return "}" }, number: elements},
		{name: "most elements, as long as they fit", tail: wide, number: elements},
		{name: "wide records", tail: wide},
		{name: "the largest records", tail: wide, number: 1},
		{name: "the deepest", number: elements, tail: func(int) string {
			const deep = 9000
			return `,"x":` + strings.Repeat("[", deep) + strings.Repeat("]", deep) + "}"
		}},
		{name: "the longest ids", ids: 1, tail: func(int) string { return "}" }},
		{name: "all escapes", tail: func(n int) string { return `,"note":"` + strings.Repeat(`\u3042`, n/6) + `"}` }},
		{name: "most members", tail: func(n int) string {
			var b strings.Builder
			for i := 0; b.Len() < n-20; i++ {
				fmt.Fprintf(&b, `,"%x":0`, i)
			}
			return b.String() + "}"
		}},
		{name: "gzip of wide records", tail: wide, packed: true},
		{name: "beyond: a bomb", zipped: true, beyond: flood(`{"items":[`, " ", 1<<30)},
		{name: "beyond: a bomb of records", zipped: true, beyond: flood(`{"items":[{"id":"1"}`, `,{"id":"1"}`, 512<<20)},
		{name: "beyond: no end", beyond: flood(`{"members":[{"id":"1"}`, `,{"id":"`+idle(10_000)+`"}`, 256<<20)},
		{name: "beyond: elements", beyond: flood(`[{}`, `,{}`, 200<<20)},
		{name: "beyond: one id", beyond: flood(`{"id":"`, "0", 200<<20)},
		{name: "beyond: depth", beyond: flood(``, `[`, 200<<20)},
	}
}

// flood writes a beginning and then the same text until it has n bytes.
func flood(first, then string, n int) func(io.Writer) {
	return func(w io.Writer) {
		block := bytes.Repeat([]byte(then), 1+(64<<10)/len(then))
		_, err := io.WriteString(w, first)
		for written := 0; err == nil && written < n; written += len(block) {
			_, err = w.Write(block)
		}
	}
}

// A pile is a provider, any of them, whose records are as bad as can be. Its
// lists are as long as said, in pages of as many bytes as a cap allows.
type pile struct {
	burden

	records int
	cap     int  // bytes of an answer
	each    int  // of a record in a list
	object  int  // of a record alone
	whole   bool // a list is one answer
}

// pile returns a provider with so many pages of this burden. A page has asked
// records, or as many as the burden puts there.
func (b burden) pile(pages, asked, page, record int) pile {
	p := pile{burden: b, cap: page, object: objectCap}
	if b.number > 0 {
		asked = b.number
	}
	p.each = min(page/asked, record) - room
	p.records = pages * asked
	if deep := len(b.tailOf(p.each)); asked*deep > page { // it is as long as it is
		p.records = pages * (page / deep)
	}
	return p
}

// tailOf is the end of a record; what is beyond the caps has none.
func (b burden) tailOf(n int) string {
	if b.tail == nil {
		return ""
	}
	return b.tail(n)
}

// fill makes the list one answer of so many bytes.
func (p *pile) fill(n int) {
	p.whole, p.cap = true, n
	p.records = max(1, n/(len(p.tailOf(p.each))+p.ids*p.each+40))
}

const pileID = 100_000_000 // of the first record

// A shape is a list's envelope and how it is asked for.
type shape struct {
	before, after, id, size, from string
}

var shapes = map[string]shape{
	"/api/ext/users":     {`{"members":[`, `]}`, "id", "limit", "offset"},
	"/api/users.json":    {`[`, `]`, "id", "limit", "offset"},
	"/v1/customers":      {`{"items":[`, `]}`, "id", "per_page", "previous_id"},
	"/v1/orders":         {`{"items":[`, `]}`, "id", "per_page", "previous_id"},
	"/api/v1/orders.php": {`{"orders":[`, `]}`, "serial_order_id", "limit", "offset"},
}

func (p *pile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if p.beyond != nil {
		out := io.Writer(w)
		if p.zipped {
			w.Header().Set("Content-Encoding", "gzip")
			z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
			defer func() { _ = z.Close() }()
			out = z
		}
		p.beyond(out)
		return
	}
	s, isList := shapes[r.URL.Path]
	if !isList {
		p.write(w, shape{id: "id"}, lastNumber(r.URL.Path), 1, p.object)
		return
	}
	q := r.URL.Query()
	size, _ := strconv.Atoi(q.Get(s.size))
	start := 0
	switch {
	case p.whole:
		size = p.records
	case s.from == "previous_id" && q.Get(s.from) != "":
		start = lastNumber(q.Get(s.from)) - pileID + 1
	case s.from == "offset":
		start, _ = strconv.Atoi(q.Get(s.from))
	}
	if p.number > 0 && !p.whole {
		size = p.number
	}
	p.write(w, s, pileID+start, max(0, min(size, p.records-start)), p.each)
}

// lastNumber is the number with which a text ends, but for an extension.
func lastNumber(text string) int {
	text = strings.TrimSuffix(text, ".json")
	digits := text[len(strings.TrimRight(text, "0123456789")):]
	n, _ := strconv.Atoi(digits[max(0, len(digits)-9):])
	return n
}

// room is what an envelope, or a record's id, takes at most.
const room = 100

// write writes n records of about so many bytes, or as many as the cap allows.
func (p *pile) write(w http.ResponseWriter, s shape, first, n, each int) {
	ids, tail := "", p.tail(max(each-room, 0))
	if p.ids > 0 {
		ids = strings.Repeat("0", max(each-room, 0))
	}
	out := io.Writer(w)
	if p.packed {
		z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
		defer func() { _ = z.Close() }()
		out = z
	}
	b := bufio.NewWriterSize(out, 256<<10)
	_, _ = b.WriteString(s.before)
	left := p.cap - room
	for i := range n {
		if left -= len(ids) + len(tail) + 40; left < 0 && i > 0 && !p.whole {
			break
		}
		if i > 0 {
			_ = b.WriteByte(',')
		}
		_, _ = b.WriteString(`{"` + s.id + `":`)
		if ids == "" {
			_, _ = b.WriteString(strconv.Itoa(first + i))
		} else {
			_, _ = b.WriteString(`"` + ids + strconv.Itoa(first+i) + `"`)
		}
		_, _ = b.WriteString(tail)
	}
	_, _ = b.WriteString(s.after)
	_ = b.Flush()
}
