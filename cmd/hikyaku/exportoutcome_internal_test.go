package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"hikyaku/internal/export"
	"hikyaku/internal/objectstore"
)

// The outcome names what the run does not hold, and what there is to know of it.
func TestOutcome(t *testing.T) {
	t.Parallel()
	const key = "exports/shopline/orders/dt=2026-11-22/run=20261122T003000Z/_manifest.json"
	answer := func(change func(*export.Answer)) export.Answer {
		a := export.Answer{Status: export.Done, Dataset: "shopline/orders", Rows: 99, Parts: 1, Manifest: key}
		change(&a)
		return a
	}
	part := func(n int) export.Part { return export.Part{RejectsKey: fmt.Sprintf("rejects/%d.jsonl", n)} }
	where := func(key string) string { return "lake/" + key }
	for _, c := range []struct {
		answer   export.Answer
		manifest export.Manifest
		where    func(string) string
		want     string
	}{
		{answer(func(*export.Answer) {}), export.Manifest{}, where, "99 rows of shopline/orders in 1 part"},
		{
			answer(func(a *export.Answer) { a.Rejects = 1 }), export.Manifest{Parts: []export.Part{{}, part(1)}}, where,
			"99 rows of shopline/orders in 1 part (1 record rejected, see lake/rejects/1.jsonl)",
		},
		{
			answer(func(a *export.Answer) { a.Rejects, a.Parts = 3, 3 }), export.Manifest{Parts: []export.Part{part(0), part(1), part(2)}}, where,
			"99 rows of shopline/orders in 3 parts (3 records rejected, see lake/rejects/0.jsonl and 2 more objects)",
		},
		{
			answer(func(a *export.Answer) { a.Rejects = 1 }), export.Manifest{Parts: []export.Part{part(0)}}, nil,
			"99 rows of shopline/orders in 1 part (1 record rejected and not kept)",
		},
		{
			answer(func(a *export.Answer) { a.Drift.Shifts, a.Drift.Unresolved, a.TotalWrong = 2, 1, 1 }), export.Manifest{Repeats: 25, Late: 1, Owed: []export.Owed{{}}}, where,
			"99 rows of shopline/orders in 1 part (25 repetitions left out; 1 row found by a second look only; 2 moves of the list while it was read; " +
				"1 place where rows may be missing; 1 count of the provider that stayed wrong; 1 window to be asked for again by the next runs)",
		},
		{
			answer(func(a *export.Answer) {
				a.Doubts = []export.Doubt{{Detail: "40 rows \u202ewhere"}, {Detail: "a place"}}
			}), export.Manifest{}, where,
			`99 rows of shopline/orders in 1 part (2 doubts: 40 rows \u202ewhere; a place)`,
		},
		{
			answer(func(a *export.Answer) { a.Manifest = "exports/gone/_manifest.json" }), export.Manifest{}, where,
			"99 rows of shopline/orders in 1 part (its manifest cannot be read: reading exports/gone/_manifest.json: exports/gone/_manifest.json: object not found)",
		},
	} {
		store := &objectstore.Memory{}
		c.manifest.Format = export.Format
		raw, err := json.Marshal(c.manifest)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.Put(t.Context(), objectstore.Object{Key: key, Body: bytes.NewReader(raw), Size: int64(len(raw))}); err != nil {
			t.Fatal(err)
		}
		if got := runOutcome(t.Context(), store, c.answer, c.where).String(); got != c.want {
			t.Errorf("got\n%s, want\n%s", got, c.want)
		}
	}
}

// TestExport_NamesTheRejectedRecord: one of 40 customers is no UTF-8.
func TestExport_NamesTheRejectedRecord(t *testing.T) {
	serveShop(t, 40, func(n int) bool { return n == 6 })
	lake := t.TempDir()
	out, err := runCommand(t, "export", "shopline/customers", "--to", lake)
	found := regexp.MustCompile(`^Exported 39 rows of shopline/customers in 1 part \(1 record rejected, see (.+)\): .+_manifest.json\n$`).FindStringSubmatch(out)
	if found == nil {
		t.Fatalf("got %q, %v", out, err)
	}
	if files, err := filepath.Glob(filepath.Join(lake, "rejects", "shopline", "customers", "*", "*", "*.jsonl")); err != nil || len(files) != 1 || files[0] != found[1] {
		t.Errorf("the rejects are in %v; %s is named: %v", files, found[1], err)
	}
	out, notes, err := runNoted(t, "export", "shopline/customers", "--to", "-")
	if err != nil || strings.Count(out, "\n") != 39 || !strings.HasSuffix(notes, "Printed 39 rows of shopline/customers in 1 part (1 record rejected and not kept)\n") {
		t.Errorf("printed %q, said %q, %v", out, notes, err)
	}
}
