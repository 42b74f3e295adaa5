package export_test

import (
	"context"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/pagination"
	"hikyaku/pkg/jsonscan"
)

// linesOf serves an old run's source by offset, whatever pass is asked for.
type linesOf struct {
	lines []string
	asked atomic.Int64
}

func (l *linesOf) Page(_ context.Context, q pagination.Query) ([]byte, error) {
	l.asked.Add(1)
	start := min(q.Start, len(l.lines))
	return []byte("[" + strings.Join(l.lines[start:min(start+q.Limit, len(l.lines))], ",") + "]"), nil
}

// TestUpgrade_OfRunsThatEe17bceBegan: a run whose rows are all stored is
// published, one that is done stays so, and any other is refused by name; the
// next run then covers what it would have.
func TestUpgrade_OfRunsThatEe17bceBegan(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "ee17bce", "*-*.json"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d fixtures, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old, store := readOldRun(t, name)
			b := newBench(t, newList(pagination.ByOffset, 0))
			b.store, b.dataset = store, dataset(t, old.Dataset)
			now := old.Scheduled.Add(time.Hour)
			b.now = func() time.Time { return now }
			source := &linesOf{lines: old.source}
			b.feed = feedOf(source, pagination.ByOffset, 10, jsonscan.Limits{}, jsonscan.Shape{ID: b.dataset.ID})
			b.feed.Passes = b.dataset.Passes
			prefix := strings.TrimSuffix(strings.SplitN(old.Objects[0].Key, "/", 2)[0], "/")
			b.set = export.Settings{Prefix: prefix, Bucket: "lake", PartBytes: old.PartBytes, Gzip: true}
			a, err := b.exporter().Extract(t.Context(), b.run(old.Scheduled))
			switch {
			case strings.HasSuffix(name, "done"):
				if err != nil || a.Status != export.Done || a.State != export.NotRecorded || source.asked.Load() > 0 {
					t.Errorf("got %s, %q, %v after %d requests; want it done as before", a.Status, a.State, err, source.asked.Load())
				}
			case strings.HasSuffix(name, "extracted"):
				if err != nil || a.Status != export.Done || a.State != export.Complete || a.Rows == 0 || source.asked.Load() > 0 {
					t.Errorf("got %s, %q with %d rows, %v after %d requests; want what is stored published without one", a.Status, a.State, a.Rows, err, source.asked.Load())
				}
				b.verify(a.Manifest)
			default:
				if err == nil || !strings.Contains(err.Error(), "another version of Hikyaku") || !strings.Contains(err.Error(), "next scheduled time") || source.asked.Load() > 0 {
					t.Errorf("got %s, %v after %d requests; want it refused by name", a.Status, err, source.asked.Load())
				}
			}
			now = old.Scheduled.Add(25 * time.Hour)
			next, err := b.exporter().Extract(t.Context(), b.run(old.Scheduled.AddDate(0, 0, 1)))
			if err != nil || next.Status != export.Done || next.State != export.Complete || next.Rows != len(old.source) {
				t.Fatalf("the next run: %s, %q, %d rows of %d, %v", next.Status, next.State, next.Rows, len(old.source), err)
			}
			if from := next.Window.From; b.dataset.Incremental && from.After(old.Scheduled) {
				t.Errorf("the next run begins at %s and owes what was before", from)
			}
		})
	}
}
