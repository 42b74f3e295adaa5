package export_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/lease"
	"hikyaku/internal/pagination"
)

// inDoubt prepares an incremental dataset with a complete run at due, and one in
// doubt an hour later.
func inDoubt(t *testing.T) (*bench, export.Answer) {
	t.Helper()
	b, l := incremental(t, "shopline/customers")
	b.extract(due)
	l.rows = newList(pagination.ByCursor, 60).rows
	l.render, b.set.MaxRejects = someBad(5), 5
	return b, b.doubt(due.Add(time.Hour))
}

func TestAccept_PublishesOnAPersonsWord(t *testing.T) {
	t.Parallel()
	b, doubtful := inDoubt(t)
	b.set.Zone = time.FixedZone("elsewhere", 3600) // the run has its own
	a, err := b.exporter().Accept(t.Context(), doubtful.Doubt, " 山田 ", " known to be broken ")
	if err != nil || a.Status != export.Done || a.State != export.Accepted || a.Rows != 48 || a.Rejects != 12 {
		t.Fatal(a, err)
	}
	b.set.Zone = nil
	m := b.manifest(a.Manifest)
	if want := (export.Acceptance{At: b.now(), By: "山田", Reason: "known to be broken"}); m.State != export.Accepted || *m.Accepted != want || len(m.Doubts) != 1 {
		t.Errorf("the manifest says %q, %+v, %v", m.State, m.Accepted, m.Doubts)
	}
	for _, p := range m.Parts {
		if tags := b.tags(p.Key); len(tags) > 0 {
			t.Errorf("%s has the tags %v", p.Key, tags)
		}
	}
	b.verify(a.Manifest)
	var latest struct{ Data export.Pointer }
	if b.json("shop/exports/shopline/customers/latest.json", &latest); latest.Data.Run != "20261122T013000Z" || latest.Data.Manifest != a.Manifest {
		t.Errorf("latest is %+v", latest.Data)
	}
	link := string(b.object("shop/athena/shopline/customers/dt=2026-11-22/symlink.txt"))
	if strings.Count(link, "run=20261122T013000Z/") != len(m.Parts) {
		t.Errorf("symlink\n%s", link)
	}
	later := due.Add(2 * time.Hour)
	if plan, err := b.exporter().Plan(t.Context(), b.run(later)); err != nil || !plan.Window.From.Equal(due) {
		t.Errorf("the next window is %+v, %v; want from an hour before the accepted run's end", plan.Window, err)
	}
	counting := &countingStore{Store: b.store}
	b.store = counting
	again, err := b.exporter().Accept(t.Context(), doubtful.Doubt, "somebody else", "again")
	if err != nil || counting.writes > 0 || again.Manifest != a.Manifest || again.State != export.Accepted {
		t.Errorf("again: %d writes, %+v, %v", counting.writes, again, err)
	}
	if trigger := b.extract(due.Add(time.Hour)); trigger.Manifest != a.Manifest {
		t.Errorf("the trigger is answered by %+v", trigger)
	}
}

func TestAccept_Refuses(t *testing.T) {
	t.Parallel()
	part := func(b *bench, n string) string {
		return "shop/exports/shopline/customers/dt=2026-11-22/run=20261122T013000Z/part-0000" + n + ".jsonl.gz"
	}
	for name, c := range map[string]struct {
		change func(b *bench)
		key    string // another one than that of the run in doubt
		want   string
	}{
		"a part that is gone":     {func(b *bench) { b.remove(part(b, "1")) }, "", "part-00001.jsonl.gz: there is no such object"},
		"a part that differs":     {func(b *bench) { b.put(part(b, "1"), b.object(part(b, "0")), nil) }, "", "part-00001.jsonl.gz: "},
		"a part too many":         {func(b *bench) { b.put(part(b, "9"), []byte("{}\n"), nil) }, "", "does not name this object"},
		"a run older than latest": {func(b *bench) { b.list.render = record; b.extract(due.Add(3 * time.Hour)) }, "", "run 20261122T033000Z, which is newer, has been published"},
		"a gap after the watermark": {func(b *bench) {
			b.put("shop/state/export/shopline/customers/watermark.json", []byte(`{"nonce":"n","counter":1,"data":{"to":"2026-11-21T00:00:00Z","run":"x"}}`), nil)
		}, "", "its window begins at 2026-11-21T23:30:00Z, and the runs before it cover the dataset until 2026-11-21T00:00:00Z only"},
		"no watermark at all": {func(b *bench) { b.remove("shop/state/export/shopline/customers/watermark.json") }, "", "its window begins at"},
		"a complete run":      {func(*bench) {}, "shop/exports/shopline/customers/dt=2026-11-22/run=20261122T003000Z/_manifest.json", "not the _doubt.json of a run in doubt"},
		"another folder": {func(b *bench) {
			b.put("shop/exports/shopline/customers/dt=2026-11-22/run=x/_doubt.json", b.object("shop/exports/shopline/customers/dt=2026-11-22/run=20261122T013000Z/_doubt.json"), nil)
		}, "shop/exports/shopline/customers/dt=2026-11-22/run=x/_doubt.json", "in the folder of that run"},
		"nothing there": {func(*bench) {}, "shop/exports/none/_doubt.json", "object not found"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, doubtful := inDoubt(t)
			c.change(b)
			counting := &countingStore{Store: b.store}
			b.store = counting
			key := doubtful.Doubt
			if c.key != "" {
				key = c.key
			}
			a, err := b.exporter().Accept(t.Context(), key, "山田", "why not")
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), key) {
				t.Errorf("got %+v, %v; want %q", a, err, c.want)
			}
			if !errors.Is(err, export.ErrNotAcceptable) && name != "nothing there" {
				t.Errorf("%v is not ErrNotAcceptable", err)
			}
			if !b.absent("shop/exports/shopline/customers/dt=2026-11-22/run=20261122T013000Z/_manifest.json") {
				t.Error("and yet it is published")
			}
			if held := b.tags(part(b, "0")); held["hikyaku"] != "doubt" {
				t.Errorf("a refused run's parts are no longer marked: %v", held)
			}
		})
	}
	b, doubtful := inDoubt(t)
	for _, word := range [][2]string{{"", "because"}, {"山田", " "}} {
		if _, err := b.exporter().Accept(t.Context(), doubtful.Doubt, word[0], word[1]); err == nil || !strings.Contains(err.Error(), "must be said") {
			t.Errorf("by %q for %q: %v", word[0], word[1], err)
		}
	}
}

// TestAccept_WaitsForTheHolder: the holder of the run's lease decides.
func TestAccept_WaitsForTheHolder(t *testing.T) {
	t.Parallel()
	b, doubtful := inDoubt(t)
	if _, err := lease.Acquire(t.Context(), b.store, "shop/state/export/shopline/customers/run=20261122T013000Z.json", "rival", time.Hour, b.now); err != nil {
		t.Fatal(err)
	}
	a, err := b.exporter().Accept(t.Context(), doubtful.Doubt, "山田", "why not")
	if err != nil || a.Status != export.Busy || !a.Until.Equal(b.now().Add(time.Hour)) {
		t.Errorf("got %+v, %v; want busy", a, err)
	}
}
