package export_test

import (
	"testing"
	"time"

	"hikyaku/internal/export"
)

func TestRuns_ShowsWhatHasBegun(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"shop", ""} {
		b := newBench(t, newList(export.ByCursor, 45))
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
	l := newList(export.ByCursor, 45)
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
