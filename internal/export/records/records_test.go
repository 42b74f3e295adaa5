package records_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/export/records"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/objectstore/dirstore"
	"hikyaku/internal/prove"
)

const manifest = "shop/exports/yappli/users/dt=2026-11-22/run=20261122T003000Z/_manifest.json"

// customer is a made-up record.
func customer(n int) string {
	return fmt.Sprintf(`{"id":"%d","unique_id":"shop-%07d","login_id":"u%d@mail.example","column01":"見本 試子%d","column02":"ﾐﾎﾝ ｼｺ","column03":"+8190%08d","note":"\u6771\u4eac \"x\"",`+
		`"address":{"city":"千代田区","zip":"100-%04d"},"tags":["vip","t%d"],"rank":%d,"enabled":true,"column04":null,"column05":"%s","created_at":"2026-03-02 10:15:09"}`,
		n, n, n, n, n, n%10000, n%7, n%5, strings.Repeat("東京都千代田区見本町 ", 4))
}

// store writes a run of so many records, in parts of so many.
func store(t testing.TB, to objectstore.Store, rows, each int, zipped bool) {
	t.Helper()
	m := export.Manifest{Format: export.Format, State: export.Complete, Provider: "yappli", Dataset: "users", Run: "20261122T003000Z", DT: "2026-11-22", Rows: rows}
	for from := 1; from <= rows; from += each {
		var body bytes.Buffer
		var out io.Writer = &body
		name := fmt.Sprintf("part-%05d.jsonl", len(m.Parts))
		if zipped {
			z, _ := gzip.NewWriterLevel(&body, gzip.BestSpeed)
			defer func() { _ = z.Close() }()
			out, name = z, name+".gz"
		}
		n := min(each, rows-from+1)
		for i := range n {
			_, _ = io.WriteString(out, customer(from+i)+"\n")
		}
		if z, ok := out.(*gzip.Writer); ok {
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
		}
		key := strings.TrimSuffix(manifest, "_manifest.json") + name
		m.Parts = append(m.Parts, export.Part{Key: key, Rows: n})
		put(t, to, key, body.Bytes())
	}
	raw, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	put(t, to, manifest, raw)
}

func put(t testing.TB, to objectstore.Store, key string, body []byte) {
	t.Helper()
	if _, err := to.Put(context.Background(), objectstore.Object{Key: key, Body: bytes.NewReader(body), Size: int64(len(body))}); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, from objectstore.Store) *records.Run {
	t.Helper()
	run, err := records.Open(context.Background(), from, manifest)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func numbers(t testing.TB, scan *records.Scan) []int {
	t.Helper()
	found := []int{}
	for r, err := range scan.All(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		if string(r.Raw) != customer(r.Number) {
			t.Fatalf("record %d is %s", r.Number, r.Raw)
		}
		found = append(found, r.Number)
	}
	return found
}

func span(from, to int) (list []int) {
	for n := from; n <= to; n++ {
		list = append(list, n)
	}
	return append([]int{}, list...)
}

func TestScan_FindsWhatAPersonTypes(t *testing.T) {
	t.Parallel()
	for _, zipped := range []bool{true, false} {
		memory := &objectstore.Memory{}
		store(t, memory, 100, 13, zipped)
		run := open(t, memory)
		for _, c := range []struct {
			query records.Query
			want  []int
		}{
			{records.Query{}, span(1, 100)},
			{records.Query{Limit: 5}, span(1, 5)},
			{records.Query{Skip: 38, Limit: 3}, span(39, 41)},
			{records.Query{Skip: 39, Limit: 3}, span(40, 42)},
			{records.Query{Skip: 95, Limit: 30}, span(96, 100)},
			{records.Query{Skip: 100}, []int{}},
			{records.Query{Search: "試子7"}, append([]int{7}, span(70, 79)...)},
			{records.Query{Search: "試子7", Skip: 2, Limit: 3}, span(71, 73)},
			{records.Query{Search: "U42@MAIL.example"}, []int{42}},
			{records.Query{Search: "ｕ４２＠ｍａｉｌ"}, []int{42}},
			{records.Query{Search: "ミホン シコ", Limit: 2}, span(1, 2)},
			{records.Query{Search: "東京 \"X\"", Skip: 99}, []int{100}}, // escapes
			{records.Query{Search: "100-0033"}, []int{33}},            // nested
			{records.Query{Search: "column01"}, []int{}},              // a name
			{records.Query{Search: "shop-0000001u"}, []int{}},         // of two values
			{records.Query{Search: "\\u6771"}, []int{}},               // an escape itself
			{records.Query{Search: "TRUE", Skip: 98, Limit: 1}, []int{99}},
		} {
			scan := run.Scan(c.query)
			if got := numbers(t, scan); !slices.Equal(got, c.want) {
				t.Errorf("%+v, zipped %v, finds %v, want %v", c.query, zipped, got, c.want)
			}
			if c.query.Limit == 0 && scan.Read() != 100 {
				t.Errorf("%+v has looked at %d records", c.query, scan.Read())
			}
		}
	}
}

func TestRecord_Columns(t *testing.T) {
	t.Parallel()
	columns := records.Record{Raw: []byte(`{"a":"x\u0041\n","b":{"c":[1]},"a":2,"d":null}`)}.Columns()
	want := []records.Column{
		{Name: "a", Value: "xA\n", Text: true, JSON: []byte(`"x\u0041\n"`)}, {Name: "b", Value: `{"c":[1]}`, JSON: []byte(`{"c":[1]}`)},
		{Name: "a", Value: "2", JSON: []byte("2")}, {Name: "d", Value: "null", JSON: []byte("null")},
	}
	if fmt.Sprint(columns) != fmt.Sprint(want) {
		t.Errorf("the columns are %v, want %v", columns, want)
	}
	if got := (records.Record{Raw: []byte("[1]")}).Columns(); got != nil {
		t.Errorf("an array has the columns %v", got)
	}
}

// What cannot be read is said, once, after what was found before it.
func TestScan_EndsAtAPartThatIsGone(t *testing.T) {
	t.Parallel()
	memory := &objectstore.Memory{}
	store(t, memory, 30, 10, true)
	run := open(t, memory)
	if err := memory.Delete(t.Context(), run.Manifest.Parts[1].Key); err != nil {
		t.Fatal(err)
	}
	found, faults := 0, []error{}
	for _, err := range run.Scan(records.Query{}).All(t.Context()) {
		if err != nil {
			faults = append(faults, err)
		} else {
			found++
		}
	}
	if found != 10 || len(faults) != 1 || !strings.Contains(faults[0].Error(), "part-00001.jsonl.gz is not there") {
		t.Errorf("%d found, %v", found, faults)
	}
	if _, err := records.Open(t.Context(), memory, "shop/nosuch/_manifest.json"); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("a run that is not there: %v", err)
	}
}

// Whoever goes away is waited for by nothing.
func TestScan_EndsWithItsCaller(t *testing.T) {
	t.Parallel()
	memory := &objectstore.Memory{}
	store(t, memory, 20_000, 5_000, true)
	run, before := open(t, memory), runtime.NumGoroutine()
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		seen := 0
		var fault error
		for _, err := range run.Scan(records.Query{}).All(ctx) {
			if err != nil {
				fault = err
				continue
			}
			if seen++; seen == 10 {
				cancel()
			}
		}
		if cancel(); !errors.Is(fault, context.Canceled) || seen >= 20_000 {
			t.Fatalf("%d seen, %v", seen, fault)
		}
		for _, err := range run.Scan(records.Query{Search: "vip"}).All(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before+20; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, and %d before", runtime.NumGoroutine(), before)
		}
	}
}

// A million records: the first page at once, all of them soon, in little memory.
func TestProveRecords(t *testing.T) {
	rows := prove.Size(1_000_000, 20_000)
	to := dirstore.New(t.TempDir())
	store(t, to, rows, max(rows/5, 1), true)
	run := open(t, to)
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var most atomic.Uint64
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			most.Store(max(most.Load(), now.HeapInuse+now.StackInuse))
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	began := time.Now()
	if got := numbers(t, run.Scan(records.Query{Limit: 50})); len(got) != 50 {
		t.Fatalf("the first page has %d records", len(got))
	}
	first := time.Since(began)
	began = time.Now()
	if got := numbers(t, run.Scan(records.Query{Skip: rows - 10, Limit: 50})); len(got) != 10 {
		t.Fatalf("the last page has %d records", len(got))
	}
	last := time.Since(began)
	began = time.Now()
	var hit time.Duration
	found := 0
	for _, err := range run.Scan(records.Query{Search: fmt.Sprintf("-%04d", 7)}).All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if found++; found == 1 {
			hit = time.Since(began)
		}
	}
	whole := time.Since(began)
	close(done)
	<-stopped
	more := int64(most.Load()) - int64(before.HeapInuse+before.StackInuse)
	if found < rows/10_000 {
		t.Errorf("%d found of %d", found, rows)
	}
	prove.Figure(t, first < time.Second, fmt.Sprintf("first page of a run of %d records", rows), "within 1 s", "%v", first.Round(time.Microsecond))
	prove.Figure(t, last < 15*time.Second, "last page of it", "within 15 s", "%v", last.Round(time.Millisecond))
	prove.Figure(t, hit < time.Second, "first hit of a search", "within 1 s", "%v", hit.Round(time.Millisecond))
	prove.Figure(t, whole < 15*time.Second, fmt.Sprintf("search of all of it, %d processors", runtime.GOMAXPROCS(0)), "within 15 s", "%v", whole.Round(time.Millisecond))
	prove.Figure(t, more < 64<<20, "memory that it takes", "at most 64 MiB", "%.1f MiB", float64(more)/(1<<20))
}

func BenchmarkScan(b *testing.B) {
	memory := &objectstore.Memory{}
	store(b, memory, 50_000, 10_000, true)
	run := open(b, memory)
	b.SetBytes(int64(50_000 * len(customer(25_000))))
	for b.Loop() {
		for _, err := range run.Scan(records.Query{Search: "nobody at all"}).All(context.Background()) {
			b.Fatal(err)
		}
	}
}
