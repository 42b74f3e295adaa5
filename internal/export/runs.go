package export

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"hikyaku/internal/lease"
	"hikyaku/internal/objectstore"
)

// Runs returns the runs of a dataset that have begun, the oldest scheduled
// time first: the last answer of one that has ended, published or in doubt, and
// Planned with what is known of the others. It reads one object for each run,
// and what lies in its folder; it writes nothing.
func (e *Exporter) Runs(ctx context.Context, d Dataset) ([]Answer, error) {
	return e.RunsSince(ctx, d, time.Time{})
}

// RunsSince is Runs of those that were due after a time; of all, if it is zero.
func (e *Exporter) RunsSince(ctx context.Context, d Dataset, after time.Time) ([]Answer, error) {
	from := ""
	if !after.IsZero() {
		from = after.UTC().Format(stamp)
	}
	begun, err := e.history(d).begun(ctx, from, "")
	if err != nil {
		return nil, err
	}
	runs := []Answer{}
	for _, run := range begun {
		answer, err := e.Plan(ctx, run)
		if err != nil {
			return nil, err
		}
		if err := e.worth(ctx, &answer); err != nil {
			return nil, err
		}
		runs = append(runs, answer)
	}
	return runs, nil
}

// countStored counts the parts of a run that has not ended, whatever settings it
// has: the compression is part of a part's name, and the time zone decides the name
// of its folder.
func (j *job) countStored(ctx context.Context, a *Answer) error {
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
				if err := j.countPart(ctx, info.Key, a); err != nil {
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

// countPart adds a stored part to the answer. Of one without a checkpoint the rows
// are not known.
func (j *job) countPart(ctx context.Context, key string, a *Answer) error {
	info, err := j.seams.Store.Head(ctx, key)
	if errors.Is(err, objectstore.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", key, err)
	}
	if c, err := readCheckpoint(info); err == nil {
		addPart(a, c)
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
	at, err := e.history(d).latest(ctx)
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

// CoveredUntil returns until when the dataset is covered by published runs; zero if
// there is none. It reads one object, or more if the newest run was due in the
// future, as after a clock that ran ahead.
func (e *Exporter) CoveredUntil(ctx context.Context, d Dataset) (time.Time, error) {
	now, h := e.seams.Now(), e.history(d)
	var end time.Time
	if d.Incremental {
		mark, err := h.watermark(ctx)
		if err != nil {
			return end, err
		}
		end = mark.To
	} else {
		at, err := h.latest(ctx)
		if err != nil {
			return end, err
		}
		end = at.ScheduledTime
	}
	if end.After(now.Add(skew)) {
		return h.coveredBefore(ctx, now)
	}
	return end, nil
}

// ErrNoRun says that no run was found.
var ErrNoRun = errors.New("see 'hikyaku runs'")

// RunNamed returns one run as Runs does, by its id; without an id, the newest that was
// published. It is ErrNoRun if there is none.
func (e *Exporter) RunNamed(ctx context.Context, d Dataset, id string) (Answer, error) {
	h := e.history(d)
	if id == "" {
		at, err := h.latest(ctx)
		if err == nil && at.Run == "" {
			err = fmt.Errorf("no run of %s has been published: %w", d, ErrNoRun)
		}
		if err != nil {
			return Answer{}, err
		}
		id = at.Run
	}
	run, ok := h.named(id)
	if !ok {
		return Answer{}, fmt.Errorf("%s is no name of a run, which is such as 20261122T003000Z: %w", clip(id), ErrNoRun)
	}
	known, err := lease.Peek(ctx, e.seams.Store, h.keys.lease(run))
	if err == nil && known == nil {
		err = fmt.Errorf("no run %s of %s has begun: %w", id, d, ErrNoRun)
	}
	if err != nil {
		return Answer{}, err
	}
	answer, err := e.Plan(ctx, run)
	if err != nil {
		return Answer{}, err
	}
	return answer, e.worth(ctx, &answer)
}
