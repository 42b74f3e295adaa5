package export_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/lease"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/pagination"
	"hikyaku/pkg/providers"
)

func TestPublish_NewestSnapshotOfTheDayWins(t *testing.T) {
	t.Parallel()
	b := newBench(t, newList(pagination.ByCursor, 3))
	b.set.Gzip = false
	link := func() string { return string(b.object("shop/athena/shopline/customers/dt=2026-11-22/symlink.txt")) }
	latest := func() export.Pointer {
		var p struct{ Data export.Pointer }
		b.json("shop/exports/shopline/customers/latest.json", &p)
		return p.Data
	}
	line := func(run string) string {
		return "s3://lake/shop/exports/shopline/customers/dt=2026-11-22/run=" + run + "/part-00000.jsonl\n"
	}
	b.extract(due.Add(2 * time.Hour))
	if got := link(); got != line("20261122T023000Z") {
		t.Errorf("symlink %q", got)
	}
	b.extract(due) // an earlier scheduled time, later
	if got := link(); got != line("20261122T023000Z") {
		t.Errorf("after an older run the symlink is %q", got)
	}
	if p := latest(); p.Run != "20261122T023000Z" || !p.ScheduledTime.Equal(due.Add(2*time.Hour)) || p.Rows != 3 || p.Manifest != "shop/exports/shopline/customers/dt=2026-11-22/run=20261122T023000Z/_manifest.json" {
		t.Errorf("latest %+v", p)
	}
	b.list.rows = nil // an empty snapshot is published, too
	b.extract(due.Add(3 * time.Hour))
	if got := link(); got != "" {
		t.Errorf("after an empty run the symlink is %q", got)
	}
	m := b.manifest("shop/exports/shopline/customers/dt=2026-11-22/run=20261122T033000Z/_manifest.json")
	if m.Rows != 0 || len(m.Parts) != 0 || m.Compression != "none" || m.TimeZone != "UTC" || m.Kind != "snapshot" || m.Format != export.Format {
		t.Errorf("manifest of an empty run: %+v", m)
	}
	if p := latest(); p.Run != "20261122T033000Z" || p.Rows != 0 {
		t.Errorf("latest %+v", p)
	}
}

// TestPublish_ARangeIsNoSnapshot: a backfill of a snapshot's range does not
// stand for the day.
func TestPublish_ARangeIsNoSnapshot(t *testing.T) {
	t.Parallel()
	b, _ := incremental(t, "supersaas/appointments")
	const key = "shop/athena/supersaas/appointments/dt=2026-11-22/symlink.txt"
	backfill := func(n int) {
		t.Helper()
		run, err := export.NewRun(export.Trigger{Dataset: b.dataset, Scheduled: due.Add(time.Duration(n) * time.Second), From: due.AddDate(0, -1, 0), To: due}, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		if a, err := b.exporter().Extract(t.Context(), run); err != nil || a.Status != export.Done || a.Rows != 5 {
			t.Fatal(a, err)
		}
	}
	backfill(0)
	if _, err := b.store.Head(t.Context(), key); !errors.Is(err, objectstore.ErrNotFound) {
		t.Error("a range stands for the day", err)
	}
	b.extract(due)
	before := b.object(key)
	backfill(1)
	if got := b.object(key); string(got) != string(before) || strings.Count(string(got), "\n") != 1 {
		t.Errorf("after a backfill the symlink is %q, and was %q", got, before)
	}
}

func TestPublish_NoticesObjectsAddedByHand(t *testing.T) {
	t.Parallel()
	b := newBench(t, newList(pagination.ByCursor, 30))
	failing := &failingStore{Store: b.store, match: "_manifest.json"}
	b.store = failing
	if _, err := b.exporter().Extract(t.Context(), b.run(due)); err == nil || !strings.Contains(err.Error(), "_manifest.json") {
		t.Fatalf("got %v, want the failed manifest", err)
	}
	failing.match = "nothing"
	last := ""
	for info, err := range b.store.List(t.Context(), "shop/exports/", "") {
		if err != nil {
			t.Fatal(err)
		}
		last = info.Key
	}
	if err := b.store.Delete(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	if _, err := b.exporter().Publish(t.Context(), b.run(due)); err == nil || !strings.Contains(err.Error(), "added or deleted by hand") {
		t.Errorf("got %v, want the missing part noticed", err)
	}
}

// A failingStore refuses to write the keys that contain match.
type failingStore struct {
	objectstore.Store

	match string
	err   error
}

func (s *failingStore) Put(ctx context.Context, o objectstore.Object) (string, error) {
	if strings.Contains(o.Key, s.match) {
		if s.err != nil {
			return "", s.err
		}
		return "", errors.New("the store is down")
	}
	return s.Store.Put(ctx, o)
}

func TestExtract_DeniedWritesAreNamed(t *testing.T) {
	t.Parallel()
	for _, match := range []string{"part-00000", "_manifest", "latest.json", "symlink.txt", "run=20261122T003000Z.json"} {
		b := newBench(t, newList(pagination.ByCursor, 5))
		b.store = &failingStore{Store: b.store, match: match, err: objectstore.ErrDenied}
		_, err := b.exporter().Extract(t.Context(), b.run(due))
		if !errors.Is(err, objectstore.ErrDenied) || !strings.Contains(err.Error(), match) {
			t.Errorf("%s: %v", match, err)
		}
	}
}

func TestSourceError_KeepsWhatWasRead(t *testing.T) {
	t.Parallel()
	b := newBench(t, newList(pagination.ByCursor, 50))
	outage := &providers.Error{Provider: "shopline", Op: "customers.list", Status: 503, Kind: providers.ErrTemporary}
	down := true
	b.list.fail = func(request int) error {
		if request >= 4 && down {
			return outage
		}
		return nil
	}
	_, err := b.exporter().Extract(t.Context(), b.run(due))
	if !errors.Is(err, providers.ErrTemporary) || !strings.Contains(err.Error(), "exporting shopline/customers run 20261122T003000Z") {
		t.Fatalf("got %v", err)
	}
	a, err := b.exporter().Plan(t.Context(), b.run(due))
	if err != nil || a.Rows != 37 || a.Parts < 2 || a.Status != export.Planned {
		t.Errorf("after the outage %+v, %v; want the 37 rows that were read", a, err)
	}
	before := b.list.requests()
	down = false
	if a := b.extract(due); a.Rows != 50 || b.list.requests()-before != 4 {
		t.Errorf("%d rows with %d more requests, want 50 with 4", a.Rows, b.list.requests()-before)
	}
}

func TestLoops_AreRefused(t *testing.T) {
	t.Parallel()
	for _, paging := range []pagination.Paging{pagination.ByOffset, pagination.ByPage, pagination.ByFixedPage, pagination.ByCursor} {
		l := newList(paging, 10)
		b := newBench(t, l)
		b.serve(sameAlways{l})
		_, err := b.exporter().Extract(t.Context(), b.run(due))
		if !errors.Is(err, providers.ErrInvalid) || !strings.Contains(err.Error(), "ignores its paging parameters") {
			t.Errorf("%s: %v", paging, err)
		}
		if n := l.requests(); n > 300 {
			t.Errorf("%s: %d requests before the loop was seen", paging, n)
		}
	}
}

type sameAlways struct{ *list }

func (s sameAlways) Page(ctx context.Context, _ pagination.Query) ([]byte, error) {
	return s.list.Page(ctx, pagination.Query{Limit: 10, Page: 1})
}

func TestUnordered_SecondLookTakesWhatTheFirstMissed(t *testing.T) {
	t.Parallel()
	l := newList(pagination.ByOffset, 30)
	b := newBench(t, l)
	b.feed.Unordered = true
	hidden := l.rows[17]
	all := slices.Clone(l.rows)
	l.rows = slices.DeleteFunc(l.rows, func(n int) bool { return n == hidden })
	shown := false
	l.edit = func(l *list, _ int) {
		// The source shows the row only once it has been read to its end.
		if last := l.calls[len(l.calls)-1]; !shown && last.Start == 0 && len(l.calls) > 1 {
			l.rows, shown = all, true
		}
	}
	m := b.manifest(b.extract(due).Manifest)
	if m.Rows != 30 || m.Late != 1 {
		t.Errorf("%d rows, %d late; want 30 and 1", m.Rows, m.Late)
	}
	if last := ids(t, b.lines(m))[29]; last != id(hidden) {
		t.Errorf("the last row is %s, want the one that was missed", last)
	}
	b.verify(b.key("_manifest.json"))
}

func TestLease_IsExtendedWhileReading(t *testing.T) {
	t.Parallel()
	b := newBench(t, newList(pagination.ByCursor, 80))
	var passed atomic.Int64
	b.now = func() time.Time { return due.Add(time.Duration(passed.Load())) }
	b.list.edit = func(*list, int) { passed.Add(int64(50 * time.Second)) }
	b.set.PartBytes = 0 // nothing but the extension writes
	counting := &countingStore{Store: b.store}
	b.store = counting
	b.extract(due)
	if counting.writes < 8 {
		t.Errorf("%d writes: the lease ran out while reading", counting.writes)
	}
}

func TestLease_LostMeansBusy(t *testing.T) {
	t.Parallel()
	b := newBench(t, newList(pagination.ByCursor, 80))
	var passed atomic.Int64
	b.now = func() time.Time { return due.Add(time.Duration(passed.Load())) }
	b.list.edit = func(_ *list, request int) {
		if request != 3 {
			return
		}
		// Asleep, while another takes over: the rival's clock is ahead, so that
		// what runs beside this request cannot extend the lease before it.
		asleep := func() time.Time { return b.now().Add(time.Hour) }
		_, err := lease.Acquire(t.Context(), b.store, "shop/state/export/shopline/customers/run=20261122T003000Z.json", "rival", time.Hour, asleep)
		if err != nil {
			t.Error(err)
		}
		passed.Add(int64(time.Hour))
	}
	a, err := b.exporter().Extract(t.Context(), b.run(due))
	if err != nil || a.Status != export.Busy || !a.Until.Equal(b.now().Add(3*time.Minute)) {
		t.Errorf("got %+v, %v; want busy", a, err)
	}
}
