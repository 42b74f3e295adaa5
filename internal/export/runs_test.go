package export_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/pagination"
)

func TestRuns_ShowsWhatHasBegun(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"shop", ""} {
		b := newBench(t, newList(pagination.ByCursor, 45))
		b.set.Prefix = prefix
		if runs, err := b.exporter().Runs(t.Context(), b.dataset); err != nil || len(runs) != 0 {
			t.Fatalf("got %v, %v; want none", runs, err)
		}
		if m, err := b.exporter().Newest(t.Context(), b.dataset); err != nil || m != nil {
			t.Fatalf("got %v, %v; want none", m, err)
		}
		b.extract(due)
		b.stopAfter(due.Add(time.Hour), 3)
		runs, err := b.exporter().Runs(t.Context(), b.dataset)
		if err != nil || len(runs) != 2 {
			t.Fatalf("got %v, %v; want two runs", runs, err)
		}
		if a := runs[0]; a.Status != export.Done || a.Run != "20261122T003000Z" || a.Rows != 45 || a.Manifest == "" {
			t.Errorf("the first is %+v", a)
		}
		if a := runs[1]; a.Status != export.Planned || a.Run != "20261122T013000Z" || a.Parts == 0 || a.Rows == 0 || a.Rows >= 45 {
			t.Errorf("the second is %+v", a)
		}
		if m, err := b.exporter().Newest(t.Context(), b.dataset); err != nil || m == nil || m.Rows != 45 {
			t.Errorf("the newest is %+v, %v", m, err)
		}
		for info, err := range b.store.List(t.Context(), "", "") {
			if err != nil || info.Key[0] == '/' {
				t.Errorf("key %q, %v", info.Key, err)
			}
		}
	}
}

func TestProgress_CountsTheCallsOwnWork(t *testing.T) {
	t.Parallel()
	l := newList(pagination.ByCursor, 45)
	b := newBench(t, l)
	var told []export.Progress
	e := b.exporter().Telling(func(p export.Progress) { told = append(told, p) })
	a, err := e.Extract(t.Context(), b.run(due))
	if err != nil {
		t.Fatal(err)
	}
	m := b.manifest(a.Manifest)
	if len(told) != 5 || told[0].Rows != 10 || told[0].Pages != 1 || told[0].Parts != 0 {
		t.Fatalf("told %+v", told)
	}
	if last := told[4]; last.Rows != 45 || last.Bytes != m.Bytes || last.Pages != 5 || last.Parts != len(m.Parts)-1 {
		t.Errorf("at the end %+v, want %d bytes and %d parts", last, m.Bytes, len(m.Parts)-1)
	}
}

// TestRuns_ShowsWhatLiesThere: the caller may have other settings than the run
// that died, and a part may have lost its checkpoint.
func TestRuns_ShowsWhatLiesThere(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(b *bench){
		"the same settings":      func(*bench) {},
		"another compression":    func(b *bench) { b.set.Gzip = false },
		"another time zone":      func(b *bench) { b.set.Zone = time.FixedZone("west", -12*3600) },
		"a time zone further on": func(b *bench) { b.set.Zone = time.FixedZone("east", 14*3600) },
		"another part size":      func(b *bench) { b.set.PartBytes = 0 },
		"no checkpoint": func(b *bench) {
			key := b.key("part-00000.jsonl.gz")
			b.put(key, b.object(key), nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, newList(pagination.ByCursor, 45))
			stopped := b.stopAfter(due, 3)
			change(b)
			runs, err := b.exporter().Runs(t.Context(), b.dataset)
			if err != nil || len(runs) != 1 {
				t.Fatalf("got %v, %v", runs, err)
			}
			a := runs[0]
			rows := stopped.Rows
			if name == "no checkpoint" {
				rows = a.Rows // of the parts that still have one
			}
			if a.State != export.Unfinished || a.Parts != stopped.Parts || a.Parts < 2 || a.Rows != rows || a.DT != "2026-11-22" {
				t.Errorf("got %+v, want what the stop said: %+v", a, stopped)
			}
		})
	}
}

// TestRuns_SayWhatTheyAreWorth: complete, accepted, in doubt, not recorded, or
// unfinished.
func TestRuns_SayWhatTheyAreWorth(t *testing.T) {
	t.Parallel()
	b := newBench(t, newList(pagination.ByCursor, 45))
	b.set.MaxRejects = 5
	b.extract(due)
	b.extract(due.Add(time.Minute))
	b.list.render = someBad(5)
	b.doubt(due.Add(2 * time.Minute))
	accepted := b.doubt(due.Add(3 * time.Minute))
	if _, err := b.exporter().Accept(t.Context(), accepted.Doubt, "山田", "known"); err != nil {
		t.Fatal(err)
	}
	b.list.render = record
	b.stopAfter(due.Add(4*time.Minute), 2)
	// The first is as a version left it that knew no doubt.
	for _, key := range []string{"shop/state/export/shopline/customers/run=20261122T003000Z.json", b.key("_manifest.json")} {
		text := strings.Replace(strings.Replace(string(b.object(key)), `"state":"complete",`, "", 1), `"state": "complete",`, "", 1)
		b.put(key, []byte(text), nil)
	}
	runs, err := b.exporter().Runs(t.Context(), b.dataset)
	if err != nil || len(runs) != 5 {
		t.Fatal(runs, err)
	}
	want := []export.State{export.NotRecorded, export.Complete, export.InDoubt, export.Accepted, export.Unfinished}
	for i, a := range runs {
		if a.State != want[i] {
			t.Errorf("run %d is %q, want %q", i, a.State, want[i])
		}
		key := a.Manifest
		if key == "" {
			key = a.Doubt
		}
		if key == "" {
			continue
		}
		v, err := export.Verify(t.Context(), b.store, key)
		raw, _ := json.Marshal(v)
		if err != nil || len(v.Faults) > 0 || v.State != want[i] || !strings.Contains(string(raw), `"state":"`+string(want[i])+`"`) {
			t.Errorf("run %d: verify says %s, %v", i, raw, err)
		}
	}
}

// A run whose objects the bucket has ended is expired, neither damaged nor unknown, and
// the same trigger does not make it again. One that lost a part of them is not expired.
func TestRuns_ExpireWithTheirObjects(t *testing.T) {
	t.Parallel()
	b := newBench(t, newList(pagination.ByCursor, 45))
	a := b.extract(due)
	later := b.extract(due.Add(time.Minute))
	m := b.manifest(a.Manifest)
	b.remove(a.Manifest)
	if v, err := export.Verify(t.Context(), b.store, a.Manifest); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("without its manifest the run is %q, %v", v.State, err)
	}
	for _, p := range m.Parts {
		b.remove(p.Key)
	}
	v, err := export.Verify(t.Context(), b.store, a.Manifest)
	if err != nil || v.State != export.Expired || v.Rows != m.Rows || v.Parts != len(m.Parts) || len(v.Faults) > 0 {
		t.Errorf("verdict %+v, %v", v, err)
	}
	runs, err := b.exporter().Runs(t.Context(), b.dataset)
	if err != nil || len(runs) != 2 || runs[0].State != export.Expired || runs[1].State != export.Complete {
		t.Errorf("runs %+v, %v", runs, err)
	}
	opened := b.opened.Load()
	if again := b.extract(due); again.Status != export.Done || again.Manifest != a.Manifest || b.opened.Load() != opened || !b.absent(a.Manifest) {
		t.Errorf("the same trigger answers %+v, and asks the provider", again)
	}
	unknown := strings.Replace(later.Manifest, "run=2026", "run=2025", 1)
	if v, err := export.Verify(t.Context(), b.store, unknown); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("a run that never was is %q, %v", v.State, err)
	}
	if v, err := export.Verify(t.Context(), b.store, later.Manifest); err != nil || v.State != export.Complete {
		t.Errorf("the other run is %q, %v", v.State, err)
	}
}

// A manifest may end a day after the parts, which were stored before it.
func TestVerify_PartsExpireFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t, newList(pagination.ByCursor, 45))
	b.extract(due)
	key := b.key("_manifest.json")
	for _, p := range b.manifest(key).Parts {
		b.remove(p.Key)
	}
	if v, err := export.Verify(t.Context(), b.store, key); err != nil || v.State != export.Expired || len(v.Faults) != 0 {
		t.Errorf("verify: %+v, %v; want expired", v, err)
	}
}
