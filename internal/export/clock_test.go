package export_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/pagination"
)

// TestWindow_AfterAClockThatWasAhead: the clock of one run was 400 days ahead.
// Every later run covers its whole time again, and readers find it.
func TestWindow_AfterAClockThatWasAhead(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{false, true} { // the wrong run is the very first
		t.Run(fmt.Sprintf("first %t", first), func(t *testing.T) {
			t.Parallel()
			b, l := incremental(t, "shopline/customers")
			clock := due
			b.now = func() time.Time { return clock.Add(time.Minute) }
			if !first {
				b.extract(clock)
			}
			clock = due.AddDate(0, 0, 400)
			b.extract(clock)
			for day := 1; day <= 3; day++ {
				clock = due.AddDate(0, 0, day)
				if day == 2 { // one that is published by nobody covers nothing
					l.render, b.set.MaxRejects = someBad(2), 5
					b.doubt(clock.Add(-time.Hour))
					l.render = record
				}
				want := export.Window{From: clock.AddDate(0, 0, -1).Add(-time.Hour), To: clock}
				if first && day == 1 {
					want.From = time.Time{}
				}
				plan, err := b.exporter().Plan(t.Context(), b.run(clock))
				a := b.extract(clock)
				if err != nil || *a.Window != want || *plan.Window != want {
					t.Errorf("day %d covers %+v, was planned %+v; want %+v (%v)", day, *a.Window, *plan.Window, want, err)
				}
				var latest struct{ Data export.Pointer }
				if b.json("shop/exports/shopline/customers/latest.json", &latest); latest.Data.Manifest != a.Manifest {
					t.Errorf("day %d: latest is still %s", day, latest.Data.Run)
				}
				if end, err := b.exporter().CoveredUntil(t.Context(), b.dataset); err != nil || !end.Equal(clock) {
					t.Errorf("day %d: covered until %s, %v; want %s", day, end, err, clock)
				}
			}
			var mark struct{ Data struct{ To time.Time } }
			if b.json("shop/state/export/shopline/customers/watermark.json", &mark); !mark.Data.To.Equal(due.AddDate(0, 0, 400)) {
				t.Errorf("the watermark has gone back to %s", mark.Data.To)
			}
		})
	}
}

// TestLatest_IsNoTimeToCome: a run that was named for a time to come is
// published, but not as the newest.
func TestLatest_IsNoTimeToCome(t *testing.T) {
	t.Parallel()
	for ahead, moves := range map[time.Duration]bool{0: true, time.Minute: true, time.Hour: false, 400 * 24 * time.Hour: false} {
		b := newBench(t, newList(pagination.ByCursor, 5))
		b.now = func() time.Time { return due }
		b.extract(due.Add(ahead))
		if b.absent("shop/exports/shopline/customers/latest.json") == moves {
			t.Errorf("%s ahead: latest.json is there: %t", ahead, !moves)
		}
	}
}

// counted counts what is listed and read.
type counted struct {
	objectstore.Store

	lists, listed *int
}

func (c counted) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	*c.lists++
	return func(yield func(objectstore.Info, error) bool) {
		for info, err := range c.Store.List(ctx, prefix, after) {
			if *c.listed++; !yield(info, err) {
				return
			}
		}
	}
}

// TestWindow_OfALongHistoryIsFoundCheaply: of years of runs only the last
// hundred days are listed, and one is read.
func TestWindow_OfALongHistoryIsFoundCheaply(t *testing.T) {
	t.Parallel()
	b, _ := incremental(t, "shopline/customers")
	var clock time.Time
	b.now = func() time.Time { return clock }
	for _, clock = range []time.Time{due, due.AddDate(0, 0, 400)} {
		b.extract(clock)
	}
	done := b.object("shop/state/export/shopline/customers/run=20261122T003000Z.json")
	for day := 1; day < 1500; day++ {
		id := due.AddDate(0, 0, -day).Format("20060102T150405Z")
		b.put("shop/state/export/shopline/customers/run="+id+".json", done, nil)
	}
	lists, listed := 0, 0
	counting := &countingStore{Store: counted{b.store, &lists, &listed}}
	b.store = counting
	clock = due.AddDate(0, 0, 1)
	a, err := b.exporter().Plan(t.Context(), b.run(clock))
	if err != nil || !a.Window.From.Equal(due.Add(-time.Hour)) {
		t.Fatal(a.Window, err)
	}
	// The plan itself lists where its parts would lie, in three folders.
	if listed > 110 || counting.reads > 3 {
		t.Errorf("%d lists of %d objects, %d reads", lists, listed, counting.reads)
	}
	b.store = counting.Store
	for day := range 120 { // nothing recent: the whole history is searched
		b.remove("shop/state/export/shopline/customers/run=" + due.AddDate(0, 0, -day).Format("20060102T150405Z") + ".json")
	}
	if a, err := b.exporter().Plan(t.Context(), b.run(clock)); err != nil || !a.Window.From.Equal(due.AddDate(0, 0, -120).Add(-time.Hour)) {
		t.Error(a.Window, err)
	}
}

// TestPasses_ReadEveryWayOfWritingATime: a record whose time the window holds is
// left out of the later passes, however the time is written; one whose time
// cannot be read is taken again.
func TestPasses_ReadEveryWayOfWritingATime(t *testing.T) {
	t.Parallel()
	inside := []string{
		"2026-11-22T02:00:00Z", "2026-11-22t02:00:00z", "2026-11-22T01:59:60Z", "2026-11-22T02:00:00+0000", "2026-11-22T11:00:00+09",
		"2026-11-22T11:00:00+09:00", "2026-11-22 02:00:00 UTC", "2026-11-22 02:00:00 utc", "2026-11-22 11:00:00 +0900", "2026-11-22T02:00:00 Z",
		"2026-11-22T02:00:00.123Z", "2026-11-22T02:00:00,123456789123Z", "2026-11-21T21:00:00-05:00", "2026-11-21T24:00:00-02:00",
		"2026-11-21T24:00:00.000-0200", "20261122T020000Z", "2026/11/22 02:00:00 GMT", "2026-11-22T02:00Z", "2026-11-22T020000+0000",
		" 2026-11-22T02:00:00Z ", "2026-11-22T02:00:00-00:00", "2026-11-22T07:45:00+0545",
	}
	outside := []string{
		"2026-11-22T00:59:59Z", "2026-11-22T03:00:01Z", "2026-11-22T02:00:00+09:00", "2025-11-22T02:00:00Z",
		"", "yesterday", "2026-11-22", "2026-11-22T02:00:00", "2026-11-22T02:00:61Z", "2026-11-22T24:00:01Z", "2026-11-22T25:00:00Z",
		"2026-02-30T02:00:00Z", "2026-13-22T02:00:00Z", "2026-11-00T02:00:00Z", "2026-11-22T02:60:00Z", "2026-11-22T02:00:00.Z",
		"2026-11-22T02:00:00+9", "2026-11-22T02:00:00+09:", "2026-11-22T02:00:00+0960", "2026-11-22T02:00:00 JST", "2026-11-22T02:00:00Z!",
		"26-11-22T02:00:00Z", "2026-11/22T02:00:00Z", "2026-11-22T2:00:00Z", "1795312800",
	}
	forms := append(append([]string{}, inside...), outside...)
	b, l := incremental(t, "shopline/orders")
	b.extract(due.Add(90 * time.Minute))
	l.rows = newList(pagination.ByCursor, len(forms)).rows
	l.render = func(n int) string {
		return fmt.Sprintf(`{"id":%q,"updated_at":%q,"order_delivery":{}}`, id(n), forms[n/1000-1])
	}
	m := b.manifest(b.extract(due.Add(150 * time.Minute)).Manifest) // 01:00 to 03:00, with the look-back
	if m.Window.From.Format(time.RFC3339) != "2026-11-22T01:00:00Z" {
		t.Fatal(m.Window)
	}
	got := map[string]int{}
	for _, one := range ids(t, b.lines(m)) {
		got[one]++
	}
	for i, form := range forms {
		// The list ignores the passes: each of the five shows every row.
		if want := map[bool]int{true: 1, false: 5}[i < len(inside)]; got[id(1000*(i+1))] != want {
			t.Errorf("%q: %d lines, want %d", form, got[id(1000*(i+1))], want)
		}
	}
	if m.Repeats != 4*len(inside) {
		t.Errorf("%d repeats, want %d", m.Repeats, 4*len(inside))
	}
}

// TestSymlink_NeedsABucket: where there is none, its lines would name what does
// not exist.
func TestSymlink_NeedsABucket(t *testing.T) {
	t.Parallel()
	b := newBench(t, newList(pagination.ByCursor, 5))
	b.set.Bucket = ""
	b.verify(b.extract(due).Manifest)
	for info, err := range b.store.List(t.Context(), "", "") {
		if err != nil || strings.Contains(info.Key, "athena") {
			t.Error(info.Key, err)
		}
	}
}
