package export_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/pagination"
	"hikyaku/internal/prove"
	"hikyaku/pkg/jsonscan"
)

var due = time.Date(2026, 11, 22, 0, 30, 0, 0, time.UTC)

// stride is which of many cases run: one in so many in 'go test' and in .ci/run,
// and all at full size.
func stride(few, twentieth int) int {
	switch {
	case prove.Full():
		return 1
	case prove.Handful():
		return few
	}
	return twentieth
}

// A bench is an exporter over a list and a store in memory.
type bench struct {
	testing.TB

	store   objectstore.Store
	list    *list
	feed    export.Feed
	set     export.Settings
	dataset export.Dataset
	opened  atomic.Int64
	now     func() time.Time
}

func newBench(t testing.TB, l *list) *bench {
	t.Helper()
	b := &bench{TB: t, store: &objectstore.Memory{}, list: l, now: time.Now}
	b.dataset = dataset(t, "shopline/customers")
	b.dataset.Incremental, b.dataset.Ranged, b.dataset.Passes = false, false, nil
	if l.paging == pagination.ByCursor { // a record that cannot be read is found by narrower windows
		b.dataset.Ranged, b.dataset.Past, b.dataset.Future = true, 24*time.Hour, 30*24*time.Hour
	}
	b.feed = feedOf(l, l.paging, 10, jsonscan.Limits{}, inItems)
	b.set = export.Settings{Prefix: "shop", Bucket: "lake", PartBytes: 1500, Spool: 256 << 10, Gzip: true, InFlight: 3, MaxRejects: 100}
	return b
}

func dataset(t testing.TB, name string) export.Dataset {
	t.Helper()
	d, err := export.FindDataset(name)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var serial atomic.Int64

func (b *bench) exporter() *export.Exporter {
	return export.New(b.set, export.Seams{
		Store: b.store, Now: b.now, Sleep: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
		NewID: func() string { return "holder-" + string(rune('a'+serial.Add(1)%26)) + time.Now().String() },
		Open: func(context.Context, export.Dataset, []string, string) (export.Feed, error) {
			b.opened.Add(1)
			return b.feed, nil
		},
		HashKey: func(context.Context) ([]byte, error) { return []byte("0123456789abcdef0123456789abcdef"), nil },
	})
}

func (b *bench) run(at time.Time) export.Run {
	b.Helper()
	r, err := export.NewRun(export.Trigger{Dataset: b.dataset, Scheduled: at}, time.UTC)
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// extract runs to the end in one call.
func (b *bench) extract(at time.Time) export.Answer {
	b.Helper()
	answer, err := b.exporter().Extract(b.Context(), b.run(at))
	if err != nil {
		b.Fatal(err)
	}
	if answer.Status != export.Done {
		b.Fatalf("status %s, want done", answer.Status)
	}
	return answer
}

// stopAfter makes one call, which is to stop when it has asked for so many pages
// and asks for another.
func (b *bench) stopAfter(at time.Time, requests int) export.Answer {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	b.list.edit = func(*list, int) {
		if requests--; requests < 0 {
			cancel()
		}
	}
	answer, err := b.exporter().Extract(ctx, b.run(at))
	if err != nil {
		b.Fatal(err)
	}
	return answer
}

func (b *bench) manifest(key string) export.Manifest {
	b.Helper()
	m, err := export.ReadManifest(b.Context(), b.store, key)
	if err != nil {
		b.Fatal(err)
	}
	return m
}

// lines returns the rows of a manifest's parts, without newlines.
func (b *bench) lines(m export.Manifest) []string {
	b.Helper()
	var lines []string
	for _, p := range m.Parts {
		scan := bufio.NewScanner(bytes.NewReader(b.unpacked(p.Key)))
		scan.Buffer(nil, 64<<20)
		for scan.Scan() {
			lines = append(lines, scan.Text())
		}
	}
	return lines
}

func (b *bench) unpacked(key string) []byte {
	b.Helper()
	raw := b.object(key)
	if !strings.HasSuffix(key, ".gz") {
		return raw
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		b.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		b.Fatal(err)
	}
	return plain
}

func (b *bench) object(key string) []byte {
	b.Helper()
	_, body, err := b.store.Get(b.Context(), key)
	if err != nil {
		b.Fatal(err)
	}
	raw, err := io.ReadAll(body)
	if err != nil {
		b.Fatal(err)
	}
	return raw
}

func (b *bench) verify(key string) {
	b.Helper()
	v, err := export.Verify(b.Context(), b.store, key)
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range v.Faults {
		b.Error(f)
	}
}

// ids returns the ids of lines.
func ids(t testing.TB, lines []string) []string {
	t.Helper()
	var all []string
	for _, l := range lines {
		var r struct{ ID string }
		if err := json.Unmarshal([]byte(l), &r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r.ID)
	}
	return all
}

func TestExtract_StoresEveryRowInOrder(t *testing.T) {
	t.Parallel()
	for _, paging := range []pagination.Paging{pagination.ByOffset, pagination.ByPage, pagination.ByFixedPage, pagination.ByCursor, pagination.Unpaged} {
		for _, n := range []int{0, 1, 2, 3, 9, 10, 11, 19, 20, 21, 100, 137} {
			for _, gzip := range []bool{true, false} {
				l := newList(paging, n)
				b := newBench(t, l)
				b.set.Gzip = gzip
				answer := b.extract(due)
				m := b.manifest(answer.Manifest)
				var want []string
				for _, r := range l.rows {
					want = append(want, record(r))
				}
				got := b.lines(m)
				if strings.Join(got, "\n") != strings.Join(want, "\n") {
					t.Errorf("%s, %d rows, gzip %t: %d lines differ from the source", paging, n, gzip, len(got))
				}
				if m.Rows != n || answer.Rows != n || m.Drift != (pagination.Drift{}) {
					t.Errorf("%s, %d rows: manifest has %d rows, drift %+v", paging, n, m.Rows, m.Drift)
				}
				b.verify(answer.Manifest)
			}
		}
	}
}

func TestExtract_AnswersBusyWhileAnotherHolds(t *testing.T) {
	t.Parallel()
	l := newList(pagination.ByOffset, 30)
	b := newBench(t, l)
	inside, leave := make(chan struct{}), make(chan struct{})
	l.edit = func(_ *list, request int) {
		if request == 0 {
			close(inside)
			<-leave
		}
	}
	finished := make(chan export.Answer)
	go func() {
		a, err := b.exporter().Extract(context.Background(), b.run(due))
		if err != nil {
			t.Error(err)
		}
		finished <- a
	}()
	<-inside
	second, err := b.exporter().Extract(t.Context(), b.run(due))
	if err != nil || second.Status != export.Busy || second.Until == nil || time.Until(*second.Until) > 3*time.Minute || time.Until(*second.Until) < 2*time.Minute {
		t.Errorf("got %+v, %v; want busy until the lease's end", second, err)
	}
	close(leave)
	if a := <-finished; a.Status != export.Done {
		t.Errorf("first holder: %s, want done", a.Status)
	}
}

func TestExtract_DoneTwiceTouchesNothing(t *testing.T) {
	t.Parallel()
	l := newList(pagination.ByCursor, 25)
	b := newBench(t, l)
	first := b.extract(due)
	requests, opened := l.requests(), b.opened.Load()
	counting := &countingStore{Store: b.store}
	b.store = counting
	second := b.extract(due)
	if l.requests() != requests || b.opened.Load() != opened {
		t.Error("a repeated trigger asked the provider")
	}
	if counting.reads > 2 || counting.writes > 0 {
		t.Errorf("a repeated trigger read %d objects and wrote %d", counting.reads, counting.writes)
	}
	if second.Manifest != first.Manifest || second.Rows != 25 {
		t.Errorf("got %+v, want the first answer", second)
	}
}

type countingStore struct {
	objectstore.Store

	reads, writes int
}

func (s *countingStore) Get(ctx context.Context, key string) (objectstore.Info, io.ReadCloser, error) {
	s.reads++
	return s.Store.Get(ctx, key)
}

func (s *countingStore) Head(ctx context.Context, key string) (objectstore.Info, error) {
	s.reads++
	return s.Store.Head(ctx, key)
}

func (s *countingStore) Put(ctx context.Context, o objectstore.Object) (string, error) {
	s.writes++
	return s.Store.Put(ctx, o)
}

func TestExtract_ChangedSettingsInMidRunAreRefused(t *testing.T) {
	t.Parallel()
	l := newList(pagination.ByCursor, 50)
	b := newBench(t, l)
	l.fail = func(request int) error {
		if request == 3 {
			return errors.New("stop here")
		}
		return nil
	}
	if _, err := b.exporter().Extract(t.Context(), b.run(due)); err == nil {
		t.Fatal("want the source's error")
	}
	b.set.Gzip = false
	if _, err := b.exporter().Extract(t.Context(), b.run(due)); err == nil || !strings.Contains(err.Error(), "gzip=true") {
		t.Fatalf("got %v, want the settings named", err)
	}
	b.set.Gzip = true
	if a := b.extract(due); a.Rows != 50 {
		t.Errorf("%d rows, want 50", a.Rows)
	}
}

func TestPublish_NeedsAllRows(t *testing.T) {
	t.Parallel()
	b := newBench(t, newList(pagination.ByCursor, 5))
	if a, err := b.exporter().Publish(t.Context(), b.run(due)); err != nil || a.Status != export.Continue {
		t.Fatalf("got %+v, %v; want continue", a, err)
	}
	if b.opened.Load() != 0 {
		t.Error("publish opened the source")
	}
	b.extract(due)
	if a, err := b.exporter().Publish(t.Context(), b.run(due)); err != nil || a.Status != export.Done || a.Rows != 5 {
		t.Fatalf("got %+v, %v; want done", a, err)
	}
}

func TestPlan_ReadsOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t, newList(pagination.ByCursor, 5))
	counting := &countingStore{Store: b.store}
	b.store = counting
	a, err := b.exporter().Plan(t.Context(), b.run(due))
	if err != nil || a.Status != export.Planned || a.DT != "2026-11-22" || a.Run != "20261122T003000Z" {
		t.Fatalf("got %+v, %v", a, err)
	}
	if counting.writes != 0 || b.opened.Load() != 0 {
		t.Error("a plan wrote, or opened the source")
	}
}

func (b *bench) json(key string, v any) {
	b.Helper()
	if err := json.Unmarshal(b.object(key), v); err != nil {
		b.Fatal(err)
	}
}

// exporterManifest returns the key of a run's manifest.
func (b *bench) exporterManifest(at time.Time) string {
	b.Helper()
	a, err := b.exporter().Plan(b.Context(), b.run(at))
	if err != nil || a.Manifest == "" {
		b.Fatal("the run is not published", err)
	}
	return a.Manifest
}
