package export_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"hikyaku/internal/export"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/pagination"
	"hikyaku/pkg/jsonscan"
)

// fixed is a source of one answer.
type fixed []byte

func (f fixed) Page(context.Context, pagination.Query) ([]byte, error) { return bytes.Clone(f), nil }

// exportBody exports one answer and returns the lines and the manifest.
func exportBody(b *bench, shape jsonscan.Shape, body []byte) ([]string, export.Manifest, error) {
	b.feed = feedOf(fixed(body), pagination.Unpaged, 0, b.limits(), shape)
	b.store = &objectstore.Memory{}
	a, err := b.exporter().Extract(b.Context(), b.run(due))
	if err != nil {
		return nil, export.Manifest{}, err
	}
	m := b.manifest(cmp.Or(a.Manifest, a.Doubt)) // where all is rejected, the latter
	return b.lines(m), m, nil
}

var plain = jsonscan.Shape{ID: []string{"id"}}

// corpus are records whose bytes a decoder would change, a line each.
var corpus = func() []string {
	raw, err := os.ReadFile("testdata/corpus.jsonl")
	if err != nil {
		panic(err)
	}
	return strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
}()

func TestLines_AreTheRecordsOwnBytes(t *testing.T) {
	t.Parallel()
	indented := func(s string) string {
		var b bytes.Buffer
		if err := json.Indent(&b, []byte(s), " ", "\t"); err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(b.String(), "\n", "\r\n ")
	}
	list := strings.Join(corpus, ",")
	spaced := make([]string, len(corpus))
	for i, c := range corpus {
		spaced[i] = indented(c)
	}
	member := make([]string, len(corpus))
	for i, c := range corpus {
		member[i] = `{"member" : ` + c + ` }`
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte("[" + list + "]"))
	_ = z.Close()
	yappli := jsonscan.Shape{Path: []string{"members"}, Wrap: "member", ID: []string{"id"}}
	for name, c := range map[string]struct {
		shape jsonscan.Shape
		body  string
	}{
		"array":               {plain, "[" + list + "]"},
		"pretty array":        {plain, " [\r\n" + strings.Join(spaced, " ,\t") + "\n] \n"},
		"byte order mark":     {plain, "\xef\xbb\xbf[" + list + "]"},
		"gzip without header": {plain, zipped.String()},
		"beside other lists":  {jsonscan.Shape{Path: []string{"orders"}, ID: []string{"id"}}, `{"meta":{"x":[1]},"total":3,"orders":[` + list + `],"next":null}`},
		"named list":          {jsonscan.Shape{Path: []string{"items"}, ID: []string{"id"}}, `{"tags":["a"],"items":[` + list + `],"other":[]}`},
		"list further down":   {jsonscan.Shape{Path: []string{"response", "orders"}, ID: []string{"id"}}, `{"response":{"note":[],"orders":[` + list + `]}}`},
		"wrapped":             {yappli, `{"members":[` + strings.Join(member, ",") + `]}`},
		"wrapped twice":       {yappli, `{"members":[{"member":[` + strings.Join(spaced, " , ") + ` ] }]}`},
	} {
		t.Run(name, func(t *testing.T) {
			for _, compressed := range []bool{true, false} {
				b := newBench(t, newList(pagination.Unpaged, 0))
				b.set.Gzip = compressed
				got, m, err := exportBody(b, c.shape, []byte(c.body))
				if err != nil {
					t.Errorf("%v", err)
					continue
				}
				for i := range corpus {
					if i >= len(got) || got[i] != corpus[i] {
						t.Errorf("line %d is not the record's own bytes", i)
					}
				}
				if len(got) != len(corpus) || m.Rejects != 0 || m.Rows != len(corpus) {
					t.Errorf("%d lines, %d rejects", len(got), m.Rejects)
				}
			}
		})
	}
}

func TestShapes_OneRecordOrNone(t *testing.T) {
	t.Parallel()
	yappli := jsonscan.Shape{Path: []string{"members"}, Wrap: "member", ID: []string{"id"}}
	lenient := jsonscan.Shape{ID: []string{"id"}, Empty: []string{"null", "{}"}}
	for _, c := range []struct {
		shape jsonscan.Shape
		body  string
		want  string // lines, joined by a bar; "!" for a refusal
	}{
		{plain, `[ { "id" : 7 , "lines" : [ 1 ] } ]`, `{"id":7,"lines":[1]}`},
		{plain, `{ "id" : 7 , "lines" : [ 1 ] }`, `!`},
		{plain, `[]`, ``},
		{plain, `{"items":[]}`, `!`},
		{plain, `{"a":[],"b":[]}`, `!`},
		{plain, `{"error":"x"}`, `!`},
		{plain, `[{"error":"x"}]`, `!`},
		{plain, `{}`, `!`},
		{plain, `null`, `!`},
		{plain, `5`, `!`},
		{plain, `"text"`, `!`},
		{lenient, `{}`, ``},
		{lenient, `null`, ``},
		{lenient, `{"message":"no list"}`, `!`},
		{yappli, `{"member":{"id":1}}`, `!`},
		{yappli, `{"members":[]}`, ``},
		{yappli, `{"members":null}`, `!`},
		{yappli, `{"members":[],"errors":[{"message":"x"}]}`, `!`},
		{yappli, `{"members":[{"member":{"id":1}},{"member":[{"id":2},{"id":3}]},{"member":"x"}]}`, `{"id":1}|{"id":2}|{"id":3}`},
		{yappli, `{"members":"none"}`, `!`},
		{yappli, `{"members":{"1":{"member":{"id":1}}}}`, `!`},
		{plain, `[{"id":1}] trailing`, `!`},
		{plain, `[{"id":1},]`, `!`},
		{plain, `[{"id":1}`, `!`},
		{plain, `<html><body>502</body></html>`, `!`},
		{plain, ``, `!`},
		{plain, "\x1f\x8b\x08broken", `!`},
	} {
		b := newBench(t, newList(pagination.Unpaged, 0))
		got, _, err := exportBody(b, c.shape, []byte(c.body))
		text := strings.Join(got, "|")
		if err != nil {
			text = "!"
			if strings.Contains(err.Error(), c.body) && c.body != "" && len(c.body) > 4 {
				t.Errorf("%s: the error shows the answer: %v", c.body, err)
			}
		}
		if text != c.want {
			t.Errorf("%s: got %s, want %s (%v)", c.body, text, c.want, err)
		}
	}
}

func TestRejects_KeepPlaceReasonAndBytes(t *testing.T) {
	t.Parallel()
	b := newBench(t, newList(pagination.Unpaged, 0))
	b.set.MaxRecord = 60
	body := "[{\"id\":\"1\"},{\"id\":\"2\",\"bad\":\"\xff\"},5,null,{\"id\":\"3\",\"long\":\"" + strings.Repeat("x", 60) + "\"},{\"id\":\"4\"}]"
	got, m, err := exportBody(b, plain, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(got, "|") != `{"id":"1"}|{"id":"4"}` || m.Rejects != 4 || m.Rows != 2 {
		t.Errorf("lines %q, %d rejects", got, m.Rejects)
	}
	var found []string
	for _, p := range m.Parts {
		for l := range strings.Lines(string(b.object(p.RejectsKey))) {
			var r struct {
				Place  int
				ID     string
				Reason string
				Bytes  int
				Data   []byte
			}
			if err := json.Unmarshal([]byte(l), &r); err != nil {
				t.Fatal(err)
			}
			found = append(found, fmt.Sprintf("%d %s %s %d %.8q", r.Place, r.ID[:1], r.Reason, r.Bytes, r.Data))
		}
	}
	want := []string{
		`2 2 not valid UTF-8 20 "{\"id\":\"2"`, `3 s not an object 1 "5"`, `4 s not an object 4 "null"`, `5 3 larger than 60 bytes 80 "{\"id\":\"3"`,
	}
	if strings.Join(found, "\n") != strings.Join(want, "\n") {
		t.Errorf("rejects\n%s\nwant\n%s", strings.Join(found, "\n"), strings.Join(want, "\n"))
	}
	b.verify(b.key("_manifest.json"))
	b.set.Fields = map[string]export.Fields{b.dataset.String(): {Drop: []string{"bad?"}}}
	_, m, err = exportBody(b, plain, []byte(body))
	if err != nil || m.Rejects != 4 {
		t.Fatal(m.Rejects, err)
	}
	if raw := string(b.object(m.Parts[0].RejectsKey)); strings.Contains(raw, `"data"`) {
		t.Error("rejects show data although fields are dropped")
	}
}

// key returns the key of an object in the folder of the run that is due.
func (b *bench) key(name string) string {
	return "shop/exports/shopline/customers/dt=2026-11-22/run=20261122T003000Z/" + name
}

// TestBrokenRecords_AreIsolated breaks single records so that their page
// cannot be split at all.
func TestBrokenRecords_AreIsolated(t *testing.T) {
	t.Parallel()
	for _, paging := range []pagination.Paging{pagination.ByOffset, pagination.ByPage, pagination.ByCursor} {
		for _, broken := range [][]int{{1}, {10}, {11}, {25}, {40}, {7, 8, 9}, {1, 2, 39, 40}} {
			l := newList(paging, 40)
			l.timed = true
			l.broken = map[int]bool{}
			for _, n := range broken {
				l.broken[1000*n] = true
			}
			b := newBench(t, l)
			a := b.extract(due)
			m := b.manifest(a.Manifest)
			var want []string
			for _, n := range l.rows {
				if !l.broken[n] {
					want = append(want, record(n))
				}
			}
			if got := b.lines(m); strings.Join(got, "\n") != strings.Join(want, "\n") || m.Rejects != len(broken) {
				t.Errorf("%s, broken %v: %d lines of %d, %d rejects", paging, broken, len(got), len(want), m.Rejects)
			}
			b.verify(a.Manifest)
		}
	}
}

func TestTornAnswer_IsAskedForAgain(t *testing.T) {
	t.Parallel()
	for _, paging := range []pagination.Paging{pagination.ByOffset, pagination.ByPage, pagination.ByFixedPage, pagination.ByCursor, pagination.Unpaged} {
		l := newList(paging, 35)
		l.cut = func(request int, body string) string {
			if request%4 == 0 {
				return body[:len(body)/2]
			}
			return body
		}
		b := newBench(t, l)
		if a := b.extract(due); a.Rows != 35 || a.Rejects != 0 {
			t.Errorf("%s: %d rows, %d rejects", paging, a.Rows, a.Rejects)
		}
	}
}

func FuzzLines(f *testing.F) {
	for _, c := range corpus {
		f.Add([]byte("["+c+"]"), true)
		f.Add([]byte(`{"items" : [ `+c+` ] }`), false)
	}
	f.Add([]byte("[{\"id\":\"\xff\"}]"), true)
	f.Add([]byte(`[1,{"id":1},[],"x",{}]`), true)
	f.Fuzz(func(t *testing.T, body []byte, compressed bool) {
		b := newBench(t, newList(pagination.Unpaged, 0))
		b.set.Gzip = compressed
		got, m, err := exportBody(b, plain, body)
		if err != nil {
			return
		}
		var records []json.RawMessage
		trimmed := bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
		if json.Unmarshal(trimmed, &records) != nil {
			return // not an array: TestShapes shows what is taken from it
		}
		var want []string
		rejects := 0
		seen := map[string]bool{}
		for _, r := range records {
			var c bytes.Buffer
			if err := json.Compact(&c, r); err != nil {
				t.Fatal(err)
			}
			record := c.String()
			id, hasID := idOf(c.Bytes())
			if !hasID {
				id = "bytes " + record
			}
			if seen[id] { // it is held once
				continue
			}
			seen[id] = true
			if !hasID || record[0] != '{' || !utf8.ValidString(record) {
				rejects++
				continue
			}
			want = append(want, record)
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") || m.Rejects != rejects {
			t.Errorf("lines %q, want %q; %d rejects, want %d", got, want, m.Rejects, rejects)
		}
	})
}

// idOf reads the first id of a record by a decoder.
func idOf(record []byte) (string, bool) {
	d := json.NewDecoder(bytes.NewReader(record))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return "", false
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return "", false
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return "", false
		}
		if name != "id" {
			continue
		}
		var text string
		if json.Unmarshal(value, &text) == nil && value[0] == '"' {
			return text, text != ""
		}
		return string(value), value[0] == '-' || value[0] >= '0' && value[0] <= '9'
	}
	return "", false
}

func TestLongRecord_GoesThroughWhole(t *testing.T) {
	t.Parallel()
	b := newBench(t, newList(pagination.Unpaged, 0))
	b.set.PartBytes, b.set.Spool, b.set.SpoolDir = 0, 1000, t.TempDir()
	long := `{"id":"1","s":"` + strings.Repeat("長い文", 1<<20) + `"}`
	got, m, err := exportBody(b, plain, []byte("["+long+`, {"id":"2"}]`))
	if err != nil || len(got) != 2 || got[0] != long || got[1] != `{"id":"2"}` {
		t.Fatalf("%d lines, %v", len(got), err)
	}
	if m.Bytes != int64(len(long)+len(`{"id":"2"}`)+2) || len(m.Parts) != 1 {
		t.Errorf("%d bytes in %d parts", m.Bytes, len(m.Parts))
	}
	b.verify(b.key("_manifest.json"))
}

// The spool's file serves one part after the other, longer and shorter ones.
func TestSpool_IsUsedAgain(t *testing.T) {
	t.Parallel()
	for _, packed := range []bool{true, false} {
		b := newBench(t, newList(pagination.Unpaged, 0))
		b.set.PartBytes, b.set.Spool, b.set.SpoolDir, b.set.Gzip = 3000, 200, t.TempDir(), packed
		var records []string
		for n, size := range []int{2500, 2000, 10, 900, 2500, 100, 2900, 2000} {
			noise := make([]byte, size)
			for i := range noise {
				noise[i] = byte('a' + (i*i+n)%26)
			}
			records = append(records, fmt.Sprintf(`{"id":"%d","s":"%s"}`, n, noise))
		}
		got, m, err := exportBody(b, plain, []byte("["+strings.Join(records, ",")+"]"))
		if err != nil || len(m.Parts) < 5 || !slices.Equal(got, records) {
			t.Errorf("packed %v: %d rows in %d parts, %v", packed, m.Rows, len(m.Parts), err)
		}
		b.verify(b.key("_manifest.json"))
	}
}
