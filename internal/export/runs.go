package export

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"hikyaku/internal/lease"
	"hikyaku/internal/objectstore"
)

// Runs returns the runs of a dataset that have begun, the oldest scheduled
// time first: the last answer of one that has ended, published or in doubt, and
// Planned with what is known of the others. It reads one object for each run,
// and what lies in the folders of those that have not ended; it writes nothing.
func (e *Exporter) Runs(ctx context.Context, d Dataset) ([]Answer, error) {
	begun, err := e.begun(ctx, d, "", "")
	if err != nil {
		return nil, err
	}
	runs := []Answer{}
	for _, run := range begun {
		answer, err := e.Plan(ctx, run)
		if err != nil {
			return nil, err
		}
		runs = append(runs, answer)
	}
	return runs, nil
}

// begun lists the runs whose ids lie between two texts, both exclusive; an empty
// one is open.
func (e *Exporter) begun(ctx context.Context, d Dataset, after, before string) ([]Run, error) {
	prefix := e.keys(d).leases()
	if after != "" {
		after = prefix + after
	}
	var runs []Run
	for info, err := range e.seams.Store.List(ctx, prefix, after) {
		if err != nil {
			return nil, fmt.Errorf("listing the runs of %s: %w", d, err)
		}
		id, ok := strings.CutSuffix(strings.TrimPrefix(info.Key, prefix), leaseSuffix)
		if before != "" && id >= before {
			break
		}
		if !ok {
			continue
		}
		if run, ok := e.named(d, id); ok {
			runs = append(runs, run)
		}
	}
	return runs, nil
}

// named is the run of an id; false if there can be none.
func (e *Exporter) named(d Dataset, id string) (Run, bool) {
	t := Trigger{Dataset: d}
	for i, text := range strings.Split(id, "_") {
		at, err := time.Parse(stamp, text)
		if err != nil || i > 2 {
			return Run{}, false
		}
		*[]*time.Time{&t.Scheduled, &t.From, &t.To}[i] = at
	}
	run, err := e.NewRun(t)
	return run, err == nil && run.ID == id
}

// lying counts what is stored of a run that has not ended, whatever settings it
// was stored with: the compression is part of a part's name, the time zone of
// its folder's.
func (j *job) lying(ctx context.Context, a *Answer) error {
	for _, days := range []int{0, -1, 1} {
		found := j.run
		found.DT = addDays(j.run.DT, days)
		folder := j.keys.folder(found)
		for info, err := range j.seams.Store.List(ctx, folder+"part-", "") {
			if err != nil {
				return fmt.Errorf("listing %s: %w", folder, err)
			}
			if strings.Contains(path.Base(info.Key), ".jsonl") {
				a.DT = found.DT
				if err := j.weigh(ctx, info.Key, a); err != nil {
					return err
				}
			}
		}
		if a.Parts > 0 {
			return nil
		}
	}
	return nil
}

// weigh adds a part that lies there to what is known of its run. One without a
// checkpoint is counted, but of unknown content.
func (j *job) weigh(ctx context.Context, key string, a *Answer) error {
	info, err := j.seams.Store.Head(ctx, key)
	if errors.Is(err, objectstore.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", key, err)
	}
	if c, err := readCheckpoint(info); err == nil {
		a.add(c)
	} else {
		a.Parts++
	}
	return nil
}

// addDays returns another day of the calendar.
func addDays(dt string, days int) string {
	day, err := time.Parse(time.DateOnly, dt)
	if err != nil {
		return dt
	}
	return day.AddDate(0, 0, days).Format(time.DateOnly)
}

// Newest returns the manifest that latest.json points to; nil if no run of the
// dataset has been published, or if it has been deleted since.
func (e *Exporter) Newest(ctx context.Context, d Dataset) (*Manifest, error) {
	at, err := e.latest(ctx, e.keys(d))
	if err != nil || at.Manifest == "" {
		return nil, err
	}
	m, err := ReadManifest(ctx, e.seams.Store, at.Manifest)
	if errors.Is(err, objectstore.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &m, nil
}

// latest reads latest.json.
func (e *Exporter) latest(ctx context.Context, k keys) (Pointer, error) {
	var at Pointer
	document, err := objectstore.ReadDocument(ctx, e.seams.Store, k.latest())
	if err != nil {
		return at, err
	}
	return at, document.Decode(&at)
}

// CoveredUntil returns the end of a dataset's newest window that is published
// and has begun by now; zero if there is none. It reads one object, but for a
// clock that once ran ahead.
func (e *Exporter) CoveredUntil(ctx context.Context, d Dataset) (time.Time, error) {
	now := e.seams.Now()
	var end time.Time
	if d.Incremental {
		mark, err := e.watermark(ctx, e.keys(d))
		if err != nil {
			return end, err
		}
		end = mark.To
	} else {
		at, err := e.latest(ctx, e.keys(d))
		if err != nil {
			return end, err
		}
		end = at.ScheduledTime
	}
	if end.After(now.Add(skew)) {
		return e.coveredBefore(ctx, d, now)
	}
	return end, nil
}

// recently is how far back the newest published run is looked for first, so
// that the leases of all years are listed only where none is found.
const recently = 100 * 24 * time.Hour

// coveredBefore returns up to when the newest published run covers the dataset
// that was due before a time; zero if there is none.
func (e *Exporter) coveredBefore(ctx context.Context, d Dataset, before time.Time) (time.Time, error) {
	late, near := before.UTC().Format(stamp), before.UTC().Add(-recently).Format(stamp)
	for _, span := range [][2]string{{near, late}, {"", near}} {
		runs, err := e.begun(ctx, d, span[0], span[1])
		if err != nil {
			return time.Time{}, err
		}
		for _, run := range slices.Backward(runs) {
			if run.IsBackfill() {
				continue
			}
			if end, err := e.coveredBy(ctx, run); err != nil || !end.IsZero() {
				return end, err
			}
		}
	}
	return time.Time{}, nil
}

// coveredBy returns up to when a run covers its dataset; zero if it is not
// published.
func (e *Exporter) coveredBy(ctx context.Context, r Run) (time.Time, error) {
	j := &job{Exporter: e, run: r, keys: e.keys(r.Dataset)}
	known, err := lease.Peek(ctx, e.seams.Store, j.keys.lease(r))
	if err != nil {
		return time.Time{}, err
	}
	if err := j.read(known); err != nil {
		return time.Time{}, err
	}
	if done := j.journal.Done; done == nil || done.Status != Done {
		return time.Time{}, nil
	}
	end := r.Scheduled
	if p := j.journal.Plan; p != nil && p.Started.Before(end) {
		end = p.Started.Truncate(time.Second)
	}
	return end, nil
}
