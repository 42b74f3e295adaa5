package export_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/pagination"
)

// notUTF8 renders records of which those in bad are rejected.
func notUTF8(bad func(n int) bool) func(n int) string {
	return func(n int) string {
		if bad(n) {
			return `{"id":"` + id(n) + `","x":"` + "\xff" + `"}`
		}
		return record(n)
	}
}

// someBad rejects every so-many-th record.
func someBad(every int) func(n int) string {
	return notUTF8(func(n int) bool { return n/1000%every == 0 })
}

// doubt runs to the end in one call, which must be doubt.
func (b *bench) doubt(at time.Time) export.Answer {
	b.Helper()
	a, err := b.exporter().Extract(b.Context(), b.run(at))
	if err != nil || a.Status != export.Doubtful || a.State != export.InDoubt {
		b.Fatalf("got %s, %q, %v; want doubt", a.Status, a.State, err)
	}
	return a
}

// tags returns an object's tags.
func (b *bench) tags(key string) map[string]string {
	b.Helper()
	tags, err := b.store.GetTags(b.Context(), key)
	if err != nil {
		b.Fatal(err)
	}
	return tags
}

// absent reports that a key holds nothing.
func (b *bench) absent(key string) bool {
	_, err := b.store.Head(b.Context(), key)
	return errors.Is(err, objectstore.ErrNotFound)
}

// TestDoubt_PublishesNothing: the rows lie there, marked, and no reader finds
// them; the run is over, and the next one owes the window.
func TestDoubt_PublishesNothing(t *testing.T) {
	t.Parallel()
	b, l := incremental(t, "shopline/customers")
	b.set.MaxRejects = 10
	b.extract(due)
	before := map[string]string{}
	for _, key := range []string{"state/export/shopline/customers/watermark.json", "exports/shopline/customers/latest.json", "athena/shopline/customers/dt=2026-11-22/symlink.txt"} {
		before[key] = string(b.object("shop/" + key))
	}
	next := due.Add(time.Hour)
	l.rows = newList(pagination.ByCursor, 60).rows
	l.render = someBad(5)
	a := b.doubt(next)
	folder := "shop/exports/shopline/customers/dt=2026-11-22/run=20261122T013000Z/"
	if a.Doubt != folder+"_doubt.json" || a.Manifest != "" || a.Rows != 48 || a.Rejects != 12 || len(a.Doubts) != 1 || a.Doubts[0].Kind != export.DoubtRejects || a.Doubts[0].Count != 12 {
		t.Errorf("answer %+v", a)
	}
	if !b.absent(folder + "_manifest.json") {
		t.Error("a run in doubt is published")
	}
	for key, want := range before {
		if string(b.object("shop/"+key)) != want {
			t.Errorf("%s has moved", key)
		}
	}
	m := b.manifest(a.Doubt)
	if m.State != export.InDoubt || m.Rows != 48 || len(m.Parts) < 2 || len(m.Doubts) != 1 || m.Doubts[0].Detail != "12 of 60 records were rejected, more than 10 %" {
		t.Errorf("_doubt.json: %+v", m)
	}
	for _, p := range m.Parts {
		if got := b.tags(p.Key); len(got) != 1 || got["hikyaku"] != "doubt" {
			t.Errorf("%s has the tags %v", p.Key, got)
		}
	}
	v, err := export.Verify(t.Context(), b.store, a.Doubt)
	if err != nil || len(v.Faults) > 0 || v.State != export.InDoubt || len(v.Doubts) != 1 {
		t.Errorf("verdict %+v, %v", v, err)
	}

	requests, counting := l.requests(), &countingStore{Store: b.store}
	b.store = counting
	again := b.doubt(next)
	if l.requests() != requests || counting.reads != 1 || counting.writes != 0 || again.Doubt != a.Doubt || again.Observed.Invocations != 0 {
		t.Errorf("the same trigger again: %d reads, %d writes, %+v", counting.reads, counting.writes, again)
	}
	b.store = counting.Store

	later := next.Add(time.Hour)
	l.render = record
	healthy := b.extract(later)
	if want := (export.Window{From: due.Add(-time.Hour), To: later}); *healthy.Window != want || healthy.State != export.Complete {
		t.Errorf("the next run covers %+v, want %+v", healthy.Window, want)
	}
	if m := b.manifest(healthy.Manifest); m.State != export.Complete || m.Accepted != nil || len(m.Doubts) > 0 {
		t.Errorf("a healthy manifest says %+v", m)
	}
}

// TestDoubt_OfRejects: the share that is too much, and every record.
func TestDoubt_OfRejects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rows, bad, most int
		doubt           string // empty: none
	}{
		{100, 5, 0, ""},
		{100, 6, 0, "6 of 100 records were rejected, more than 5 %"},
		{100, 6, 6, ""},
		{7, 1, 0, ""}, // one broken record keeps no small shop's runs in doubt
		{7, 2, 0, "2 of 7 records were rejected, more than 5 %"},
		{1, 1, 0, "every record was rejected"},
		{20, 20, 100, "every record was rejected"},
		{20, 19, 100, ""},
		{0, 0, 0, ""},
	} {
		l := newList(pagination.ByCursor, c.rows)
		l.render = func(n int) string {
			if n/1000 <= c.bad {
				return fmt.Sprintf(`{"id":%q,"x":%q}`, id(n), strings.Repeat("x", 300))
			}
			return record(n)
		}
		b := newBench(t, l)
		b.set.MaxRecord = 200
		b.serve(l)
		b.set.MaxRejects = c.most
		a, err := b.exporter().Extract(t.Context(), b.run(due))
		got := ""
		for _, d := range a.Doubts {
			got += d.Detail
		}
		if want := map[bool]export.Status{true: export.Done, false: export.Doubtful}[c.doubt == ""]; err != nil || a.Status != want || got != c.doubt {
			t.Errorf("%d of %d rejected, %d %% allowed: %s, %q, %v; want %q", c.bad, c.rows, c.most, a.Status, got, err, c.doubt)
		}
	}
}

// A snapshot is a run of so many rows, of an account and of a list of passes.
type snapshot struct {
	rows    int
	account string // and, after a slash, generation of the answers
	accept  bool   // in doubt, and then accepted
	want    export.Status
}

// TestDoubt_OfASnapshotThatShrank compares runs, an hour apart, with what was
// published before.
func TestDoubt_OfASnapshotThatShrank(t *testing.T) {
	t.Parallel()
	const done, doubt = export.Done, export.Doubtful
	for name, runs := range map[string][]snapshot{
		"half is no doubt":                      {{100, "a", false, done}, {50, "a", false, done}},
		"more than half is":                     {{100, "a", false, done}, {49, "a", false, doubt}},
		"nothing left is":                       {{100, "a", false, done}, {0, "a", false, doubt}},
		"few rows may vanish":                   {{99, "a", false, done}, {1, "a", false, done}},
		"compared with the last large one":      {{120, "a", false, done}, {70, "a", false, done}, {40, "a", false, doubt}},
		"a doubt is nothing to compare with":    {{120, "a", false, done}, {10, "a", false, doubt}, {10, "a", false, doubt}, {110, "a", false, done}},
		"growth is no doubt":                    {{100, "a", false, done}, {1000, "a", false, done}, {499, "a", false, doubt}},
		"an accepted one counts, however small": {{100, "a", false, done}, {20, "a", true, doubt}, {15, "a", false, done}, {9, "a", false, doubt}},
		"an accepted empty one too":             {{100, "a", false, done}, {0, "a", true, doubt}, {0, "a", false, done}, {3, "a", false, done}},
		"another account is another shop":       {{100, "a", false, done}, {10, "b", false, done}, {10, "a", false, doubt}},
		"another generation is another list":    {{100, "a/1", false, done}, {10, "a/2", false, done}, {10, "a/1", false, doubt}},
		"an empty list has no generation":       {{100, "a/1", false, done}, {0, "a", false, doubt}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, newList(pagination.ByCursor, 0))
			b.set.PartBytes, b.now = 0, func() time.Time { return due.AddDate(0, 0, 1) }
			for i, run := range runs {
				b.list.rows = newList(pagination.ByCursor, run.rows).rows
				account, generation, _ := strings.Cut(run.account, "/")
				b.feed.Account, b.feed.PageSize, b.feed.Generation = account, 100, func() string { return generation }
				a, err := b.exporter().Extract(t.Context(), b.run(due.Add(time.Duration(i)*time.Hour)))
				if err != nil || a.Status != run.want {
					t.Fatalf("run %d of %d rows: %s, %v; want %s", i, run.rows, a.Status, err, run.want)
				}
				if run.want == doubt && a.Doubts[0].Kind != export.DoubtShrunk {
					t.Errorf("run %d: %+v", i, a.Doubts)
				}
				if run.accept {
					if _, err := b.exporter().Accept(t.Context(), a.Doubt, "山田", "deleted on purpose"); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

// TestDoubt_ShrinkingIsASetting, by passes and by length of range as well.
func TestDoubt_ShrinkingIsASetting(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		most int
		past time.Duration
		pass string
		want export.Status
	}{
		{89, 240 * time.Hour, "1", export.Doubtful},
		{90, 240 * time.Hour, "1", export.Done},
		{100, 240 * time.Hour, "1", export.Done},
		{50, 24 * time.Hour, "1", export.Done}, // another length is another list
		{50, 240 * time.Hour, "2", export.Done},
	} {
		b := newBench(t, newList(pagination.ByOffset, 100))
		b.dataset = dataset(t, "supersaas/appointments")
		b.dataset.Past, b.dataset.Future = 240*time.Hour, 0
		b.feed.Passes = []export.Pass{{Name: "1"}}
		b.extract(due)
		b.set.MaxShrink, b.dataset.Past, b.feed.Passes = c.most, c.past, []export.Pass{{Name: c.pass}}
		b.list.rows = b.list.rows[:10]
		if a, err := b.exporter().Extract(t.Context(), b.run(due.Add(time.Hour))); err != nil || a.Status != c.want {
			t.Errorf("%+v: %s, %v", c, a.Status, err)
		}
	}
}

// TestDoubt_OfARangeByHand moves nothing and owes nothing; it is compared with
// nothing either.
func TestDoubt_OfARangeByHand(t *testing.T) {
	t.Parallel()
	b, l := incremental(t, "supersaas/appointments")
	l.rows = newList(pagination.ByCursor, 120).rows
	b.extract(due)
	for i, render := range []func(n int) string{someBad(2), record} {
		l.rows, l.render = l.rows[:10], render
		trigger := export.Trigger{ // as long as a scheduled run's range
			Dataset: b.dataset, Scheduled: due.Add(time.Duration(i) * time.Minute), From: due.Add(-b.dataset.Past), To: due.Add(b.dataset.Future),
		}
		run, err := export.NewRun(trigger, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		b.set.MaxRejects = 5
		a, err := b.exporter().Extract(t.Context(), run)
		if want := []export.Status{export.Doubtful, export.Done}[i]; err != nil || a.Status != want {
			t.Errorf("backfill %d: %s, %v; want %s", i, a.Status, err, want)
		}
		if i == 0 {
			if accepted, err := b.exporter().Accept(t.Context(), a.Doubt, "山田", "they are broken there"); err != nil || accepted.State != export.Accepted {
				t.Errorf("accepted %+v, %v", accepted, err)
			}
		}
	}
	var latest struct{ Data export.Pointer }
	if b.json("shop/exports/supersaas/appointments/latest.json", &latest); latest.Data.Run != "20261122T003000Z" {
		t.Errorf("latest %+v", latest.Data)
	}
}

// TestVerify_FindsAStateThatIsNotTrue changes what a manifest says of itself.
func TestVerify_FindsAStateThatIsNotTrue(t *testing.T) {
	t.Parallel()
	b := newBench(t, newList(pagination.ByCursor, 20))
	b.set.MaxRejects = 5
	b.list.render = someBad(4)
	doubtful := b.doubt(due)
	key := b.key("_doubt.json")
	whole := string(b.object(key))
	if _, err := b.exporter().Accept(t.Context(), doubtful.Doubt, "山田", "right as it is"); err != nil {
		t.Fatal(err)
	}
	accepted := string(b.object(b.key("_manifest.json")))
	for _, c := range []struct{ key, text, from, to, want string }{
		{key, whole, `"state": "in doubt"`, `"state": "complete"`, "state is stated as complete"},
		{key, whole, `"kind": "rejects"`, `"kind": "rejects"`, ""},
		{b.key("_manifest.json"), accepted, `"state": "accepted"`, `"state": "complete"`, "state is stated as complete and is accepted"},
		{b.key("_manifest.json"), accepted, `"accepted": {`, `"accept": {`, "state is stated as accepted and is complete"},
		{b.key("_manifest.json"), accepted, `"doubts": [`, `"doubt": [`, "doubts is stated as false and is true"},
		{b.key("_manifest.json"), accepted, `"rows": 15`, `"rows": 16`, "rows is stated as 16"},
		{b.key("_manifest.json"), accepted, `"state": "accepted"`, `"state": "accepted"`, ""},
	} {
		changed := strings.Replace(c.text, c.from, c.to, 1)
		b.put(c.key, []byte(changed), nil)
		v, err := export.Verify(t.Context(), b.store, c.key)
		if faults := strings.Join(v.Faults, "\n"); err != nil || c.want == "" && faults != "" || !strings.Contains(faults, c.want) || c.from != c.to && changed == c.text {
			t.Errorf("%s in place of %s: %q, %v; want %q", c.to, c.from, v.Faults, err, c.want)
		}
		b.put(c.key, []byte(c.text), nil)
	}
	for _, name := range []string{"_doubt.json", "_manifest.json"} {
		if v, err := export.Verify(t.Context(), b.store, b.key(name)); err != nil || v.State != export.Accepted || v.Accepted == nil || v.Accepted.By != "山田" {
			t.Errorf("%s is %q, %v", name, v.State, err)
		}
	}
	b.put(b.key("_manifest.json"), []byte(strings.Replace(whole, `"state": "in doubt"`, `"state": "complete"`, 1)), nil)
	if v, err := export.Verify(t.Context(), b.store, key); err != nil || !strings.Contains(strings.Join(v.Faults, "\n"), "nobody has accepted it, and yet it is published") {
		t.Errorf("a doubt that is published unaccepted: %v, %v", v.Faults, err)
	}
}
