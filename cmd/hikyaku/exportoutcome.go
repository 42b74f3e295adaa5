package main

import (
	"cmp"
	"context"

	"hikyaku/internal/export"
	"hikyaku/internal/locale"
	"hikyaku/internal/objectstore"
)

// runOutcome says what an ended run holds, and after it in parentheses what it does
// not, or what there is to know of it. where shows the place of an object; nil:
// nothing is kept. It reads the run's manifest.
func runOutcome(ctx context.Context, store objectstore.Store, a export.Answer, where func(key string) string) locale.Message {
	text := locale.M("%s of %s in %s", count(a.Rows, "row"), a.Dataset, count(a.Parts, "part"))
	m, err := export.ReadManifest(ctx, store, cmp.Or(a.Manifest, a.Doubt))
	var notes []locale.Message
	note := func(n int, what, rest string, values ...any) {
		if n > 0 {
			notes = append(notes, locale.M(rest, append([]any{count(n, what)}, values...)...))
		}
	}
	note(a.Rejects, "record", "%s rejected%s", rejectsAt(m, where))
	note(m.Repeats, "repetition", "%s left out")
	note(m.Late, "row", "%s found by a second look only")
	note(a.Drift.Shifts, "move", "%s of the list while it was read")
	note(a.Drift.Unresolved, "place", "%s where rows may be missing")
	note(a.TotalWrong, "count", "%s of the provider that stayed wrong")
	note(len(m.Owed), "window", "%s to be asked for again by the next runs")
	if a.Status == export.Done && len(a.Doubts) > 0 { // accepted; of a run in doubt they are said before
		notes = append(notes, locale.M("%s: %s", count(len(a.Doubts), "doubt"), visible(details(a.Doubts))))
	}
	if err != nil {
		notes = append(notes, locale.M("its manifest cannot be read: %s", visible(err.Error())))
	}
	if len(notes) == 0 {
		return text
	}
	return locale.M("%s (%s)", text, locale.Join(notes, "; "))
}

// rejectsAt says where the rejected records of a run lie.
func rejectsAt(m export.Manifest, where func(key string) string) locale.Message {
	if where == nil {
		return locale.T(" and not kept")
	}
	var keys []string
	for _, p := range m.Parts {
		if p.RejectsKey != "" {
			keys = append(keys, p.RejectsKey)
		}
	}
	switch len(keys) {
	case 0:
		return locale.T("")
	case 1:
		return locale.M(", see %s", visible(where(keys[0])))
	}
	return locale.M(", see %s and %s", visible(where(keys[0])), count(len(keys)-1, "more object"))
}
