package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"hikyaku/internal/export"
	"hikyaku/internal/objectstore"
)

// runOutcome says what an ended run holds, and after it in parentheses what it does
// not, or what there is to know of it. where shows the place of an object; nil:
// nothing is kept. It reads the run's manifest.
func runOutcome(ctx context.Context, store objectstore.Store, a export.Answer, where func(key string) string) string {
	text := fmt.Sprintf("%s of %s in %s", count(a.Rows, "row"), a.Dataset, count(a.Parts, "part"))
	m, err := export.ReadManifest(ctx, store, cmp.Or(a.Manifest, a.Doubt))
	var notes []string
	note := func(n int, what, rest string) {
		if n > 0 {
			notes = append(notes, count(n, what)+" "+rest)
		}
	}
	note(a.Rejects, "record", "rejected"+rejectsAt(m, where))
	note(m.Repeats, "repetition", "left out")
	note(m.Late, "row", "found by a second look only")
	note(a.Drift.Shifts, "move", "of the list while it was read")
	note(a.Drift.Unresolved, "place", "where rows may be missing")
	note(a.TotalWrong, "count", "of the provider that stayed wrong")
	note(len(m.Owed), "window", "to be asked for again by the next runs")
	if a.Status == export.Done && len(a.Doubts) > 0 { // accepted; of a run in doubt they are said before
		notes = append(notes, count(len(a.Doubts), "doubt")+": "+details(a.Doubts))
	}
	if err != nil {
		notes = append(notes, "its manifest cannot be read: "+err.Error())
	}
	if len(notes) == 0 {
		return text
	}
	return text + " (" + visible(strings.Join(notes, "; ")) + ")"
}

// rejectsAt says where the rejected records of a run lie.
func rejectsAt(m export.Manifest, where func(key string) string) string {
	if where == nil {
		return " and not kept"
	}
	var keys []string
	for _, p := range m.Parts {
		if p.RejectsKey != "" {
			keys = append(keys, p.RejectsKey)
		}
	}
	switch len(keys) {
	case 0:
		return ""
	case 1:
		return ", see " + where(keys[0])
	}
	return fmt.Sprintf(", see %s and %s", where(keys[0]), count(len(keys)-1, "more object"))
}
