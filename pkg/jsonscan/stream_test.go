package jsonscan_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"hikyaku/pkg/jsonscan"
)

// A file is an answer in memory.
type file struct {
	*bytes.Reader
	closed bool
}

func (f *file) Close() error {
	f.closed = true
	return nil
}

func stream(body string, limits jsonscan.Limits, shape jsonscan.Shape) (*jsonscan.Stream, error) {
	return jsonscan.NewStream(&file{Reader: bytes.NewReader([]byte(body))}, limits, shape)
}

// joined reads a stream to its end as one list.
func joined(t *testing.T, s *jsonscan.Stream) (jsonscan.List, int) {
	t.Helper()
	var all jsonscan.List
	for pieces := 0; ; pieces++ {
		l, err := s.Next()
		if errors.Is(err, io.EOF) {
			return all, pieces
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(l.Records) > 1001 || len(l.Body) > 3<<20 {
			t.Errorf("a piece of %d records, %d bytes", len(l.Records), len(l.Body))
		}
		shift := len(all.Body)
		all.Body = append(all.Body, l.Body...)
		all.Shape, all.Total, all.Null, all.Undecidable = l.Shape, l.Total, l.Null, l.Undecidable
		for _, r := range l.Records {
			r.Start, r.End = r.Start+shift, r.End+shift
			all.Records = append(all.Records, r)
		}
	}
}

// far is white space that makes an answer too long for one piece.
var far = strings.Repeat(" ", 1<<20)

func TestStream_ReadsAListInPieces(t *testing.T) {
	t.Parallel()
	var rows []string
	for n := range 30_000 {
		rows = append(rows, fmt.Sprintf(`{"id":%d,"name":"%s"}`, n, strings.Repeat("花", n%100)))
	}
	body := `{"pagination":{"total_count":30000},"items":[` + strings.Join(rows, ",") + `],"message":"fine"}`
	s, err := stream("\xef\xbb\xbf"+body, jsonscan.Limits{}, items)
	if err != nil {
		t.Fatal(err)
	}
	l, pieces := joined(t, s)
	if len(l.Records) != len(rows) || l.Shape != "items" || l.Total != 30_000 || pieces < 30 || pieces > 60 {
		t.Fatalf("%d records, shape %s, total %d, %d pieces", len(l.Records), l.Shape, l.Total, pieces)
	}
	for n, r := range l.Records {
		if string(l.Bytes(r)) != rows[n] || string(r.ID) != fmt.Sprint(n) || r.Fault != "" || string(l.Line(r)) != rows[n]+"\n" {
			t.Fatalf("record %d is %s", n, l.Line(r))
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestStream_SaysWhatWasFound(t *testing.T) {
	t.Parallel()
	row := `{"id":1,"s":"x"}`
	long := strings.Repeat(row+",", 1<<17) + row // 2 MiB
	good := `{"items":[` + long + `],"pagination":{}}`
	for _, c := range []struct{ body, want string }{
		{``, "an empty answer"},
		{`{"status":"error","errors":[{"code":"E401"}]}`, "an error object"},
		{`{"items":{"1":{"id":1}}}`, "an object of objects in place of the list"},
		{packed(`{"items":[]}`), "an answer compressed twice"},
		{far + "<html>", "an empty answer"}, // in its first megabyte
		{"<html>" + far, "HTML"},
		{"text" + far, "text in place of JSON"},
		{"[" + far + "]", "an array in place of the object that holds the list"},
		{`{"items":{` + far + `}}`, "an object in place of the list"},
		{`{"x":1}` + far, "an object without the list"},
		{`{"x":"` + far + `","items":[]}`, "a long answer that does not begin with the list"},
		{packed(strings.Repeat("0", 1<<10)) + far + far, "an answer compressed twice"},
		{utf16le("[" + far + "]"), "another character set (UTF-16)"},
		{good[:len(good)-1], fmt.Sprintf("JSON cut short after byte %d", 0)},
		{good[:2<<20], fmt.Sprintf("JSON cut short after byte %d", 2<<20)},
		{good + good, "two JSON values"},
		{good + "x", "text after the JSON"},
		{`{"items":[` + long + `,],"pagination":{}}`, fmt.Sprintf("JSON that is not valid at byte %d", 10+len(long)+1)},
		{`{"items":[` + long + ` ` + row + `]}`, fmt.Sprintf("JSON that is not valid at byte %d", 10+len(long)+1)},
		{`{"items":[` + long + `,{"a":nul}]}`, fmt.Sprintf("JSON that is not valid at byte %d", 10+len(long)+1+8)},
		{`{"items":[` + long + `,1"x"]}`, fmt.Sprintf("JSON that is not valid at byte %d", 10+len(long)+2)},
		{`{"items":[` + long + `,` + strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001) + `]}`, "JSON nested more than 10000 deep"},
		{`{"items":[` + strings.Repeat(`{"name":"x"},`, 1<<17) + `{}]}`, "an array without an object that has an id"},
		{`{"items":[` + strings.Repeat("{\"id\":1,\"s\":\"\xe9\"},", 1<<17) + `{"id":2}]}`, "another character set than UTF-8"},
		{`{"items":[` + long + `],"errors":[{"message":"x"}]}`, "an error beside the list"},
		{`{"error":"x","items":[` + long + `]}`, "an error beside the list"},
		{`{"items":[` + far + `],"message":"try later"}`, "an error beside the list"},
		{`{"items":[` + long + `],"items":[]}`, "the list's name twice"},
		{`{"items":[` + long + `]`, fmt.Sprintf("JSON cut short after byte %d", 0)},
	} {
		_, err := stream(c.body, jsonscan.Limits{}, items)
		var e *jsonscan.NotAListError
		want := c.want
		if want == "JSON cut short after byte 0" {
			want = fmt.Sprintf("JSON cut short after byte %d", len(c.body))
		}
		if !errors.As(err, &e) || e.Found != want {
			t.Errorf("%.60q, %d bytes: %v; want %s", c.body, len(c.body), err, want)
		}
	}
	if _, err := stream(good, jsonscan.Limits{Elements: 1000}, items); !errors.Is(err, jsonscan.ErrTooLarge) {
		t.Error(err)
	}
	if _, err := stream(`{"items":[`+long+`]`+strings.Repeat(far, 9)+`}`, jsonscan.Limits{}, items); !errors.Is(err, jsonscan.ErrNotAList) {
		t.Error(err)
	}
}

func TestStream_EmptyLists(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"orders":[]}`: "php", `{"orders":null}`: "php", `{}`: "php", `null`: "php",
		`{"orders":[` + far + `]}`: "php", `{"orders":[]` + far + `}`: "php",
	} {
		s, err := stream(body, jsonscan.Limits{}, php)
		if err != nil {
			t.Errorf("%.20s: %v", body, err)
			continue
		}
		if l, pieces := joined(t, s); show(l) != want || pieces != 1 {
			t.Errorf("%.20s: %s, %d pieces", body, show(l), pieces)
		}
	}
	if s, err := stream(`{"items":null,"pagination":{}}`, jsonscan.Limits{}, items); err != nil {
		t.Error(err)
	} else if l, err := s.Next(); err != nil || !l.Null {
		t.Error(l, err)
	}
}

// A record that is too large is a fault of its own, however large it is.
func TestStream_LargeRecords(t *testing.T) {
	t.Parallel()
	row := func(n, size int) string { return fmt.Sprintf(`{"id":%d,"s":"%s"}`, n, strings.Repeat(`\"`, size)) }
	body := "[" + row(1, 10) + "," + row(2, 3<<20) + "," + row(3, 10) + "," + row(4, 100) + `,{"s":"` + strings.Repeat("x", 2<<20) + `","id":5}, 7]`
	s, err := stream(body, jsonscan.Limits{Record: 1 << 20}, array)
	if err != nil {
		t.Fatal(err)
	}
	l, _ := joined(t, s)
	var got []string
	for _, r := range l.Records {
		got = append(got, fmt.Sprintf("%s:%d:%s", r.ID, r.End-r.Start, r.Fault))
	}
	if want := "1:35: 2:0:larger than 1048576 bytes 3:35: 4:215: :0:larger than 1048576 bytes :1:not an object"; strings.Join(got, " ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, " "), want)
	}
}

// generated is an answer that is made while it is read.
type generated struct {
	size, at int64
	row      string
}

func (g *generated) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) && g.at < g.size {
		switch {
		case g.at == 0:
			b[n] = '['
		case g.at == g.size-1:
			b[n] = ']'
		case (g.at-1)%int64(len(g.row)) == int64(len(g.row))-1 && g.at == g.size-2:
			b[n] = ' '
		default:
			b[n] = g.row[(g.at-1)%int64(len(g.row))]
		}
		n++
		g.at++
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (g *generated) Seek(offset int64, _ int) (int64, error) {
	g.at = offset
	return offset, nil
}

func (g *generated) Close() error { return nil }

// The memory of a stream is that of a piece, however long the list is.
func TestStream_TakesTheMemoryOfAPiece(t *testing.T) {
	row := `{"id":12345678,"s":"` + strings.Repeat("0123456789", 20) + `"},`
	g := &generated{row: row, size: int64(len(row))*30_000 + 2}
	var peak uint64
	look := func() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc)
	}
	runtime.GC()
	look()
	before := peak
	s, err := jsonscan.NewStream(g, jsonscan.Limits{Record: 1 << 20}, array)
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for {
		runtime.GC()
		look()
		l, err := s.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		rows += len(l.Records)
	}
	if rows != 30_000 || peak > before+4<<20 {
		t.Errorf("%d rows with %d bytes of heap more", rows, peak-before)
	}
}

// A stream reads what Split reads, and refuses what Split refuses.
func FuzzStream(f *testing.F) {
	for _, c := range corpus(f) {
		f.Add([]byte("["+c+"]"), 0)
		f.Add([]byte(`{"items" : [ `+c+` ,{"id":1}] }`), 1)
	}
	for _, s := range []string{
		"[{\"id\":\"\xff\"}]", `[1,{"id":1},[],"x",{}]`, `{"members":[{"member":{"id":1}}]}`, `{"items":null}`, `[{"id":1}]]`, `[{"id":1},,2]`, `[,]`, `[}`, `[1 2]`,
		`{"status":500,"items":[]}`, `{"items":[{"id":1}],"errors":[1]}`, `[{"id":1}]x`, `[{"id":"\ud800"}]`, "[{\"id\":1,\"\xff\":1},\"\xff\"]", `["\"]`, `[{"id":1}`,
		"[{\"id\":0,\"s\":\"a long enough record \xb1 in another character set\"}]",
	} {
		f.Add([]byte(s), 2)
	}
	all := shapes(array, items, deep, table, flat, inner, php)
	f.Fuzz(func(t *testing.T, body []byte, n int) {
		shape := all[(n%len(all)+len(all))%len(all)]
		if jsonscan.Packed(body) {
			return
		}
		limits := jsonscan.Limits{Record: 1 << 16}
		want, wantErr := jsonscan.Split(bytes.Clone(body), limits, shape)
		s, err := jsonscan.NewSmallStream(&file{Reader: bytes.NewReader(body)}, limits, shape, min(len(body), 40), 50)
		if wantErr == nil && err != nil && strings.HasSuffix(err.Error(), "does not begin with the list") {
			return
		}
		if wantErr == nil && (want.Null || len(want.Records) == 0) && err != nil {
			return // a long answer without an array is none that the documents know
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: Split says %v, NewStream %v", body, wantErr, err)
		}
		if err != nil {
			if !errors.Is(err, jsonscan.ErrNotAList) {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		got, _ := joined(t, s)
		if len(got.Records) != len(want.Records) || got.Shape != want.Shape || got.Total != want.Total || got.Undecidable != want.Undecidable {
			t.Fatalf("%q: %s; want %s", body, show(got), show(want))
		}
		for i, r := range want.Records {
			g := got.Records[i]
			if large := strings.HasPrefix(g.Fault, "larger"); !large && (!bytes.Equal(got.Bytes(g), want.Bytes(r)) || !bytes.Equal(g.ID, r.ID)) || !large && g.Fault != r.Fault {
				t.Fatalf("%q: %s; want %s", body, show(got), show(want))
			}
		}
	})
}
