package export

import (
	"context"
	"errors"
	"fmt"
	"time"
	_ "time/tzdata" // a function's image has no zone data
)

// ErrTrigger means that a trigger names no run. Repeating it is useless.
var ErrTrigger = errors.New("trigger names no run")

// A Window is the range of time that an incremental run covers, both ends
// inclusive, to the second. A zero end is open.
type Window struct {
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
}

// contains reports whether the time in a record's field lies in the window.
// What cannot be read does not: a record is rather taken twice than left out.
func (w Window) contains(value []byte) bool {
	t, ok := readTime(string(value))
	return ok && !t.Before(w.From) && (w.To.IsZero() || !t.After(w.To))
}

// LoadZone returns the zone of an IANA name. The machine's own zone is
// refused: a day must not depend on where it is counted.
func LoadZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, errors.New("an IANA time zone such as Asia/Tokyo is expected")
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%q is not a known IANA time zone such as Asia/Tokyo", name)
	}
	return zone, nil
}

// A Trigger asks for one run.
type Trigger struct {
	Dataset   Dataset
	Scheduled time.Time // the time the run was due, never the time at which it starts
	From, To  time.Time // of a backfill; both zero: none
}

// A Run is one dataset at one scheduled time. Equal triggers are equal runs.
type Run struct {
	Dataset   Dataset
	Scheduled time.Time // to the second, in UTC
	DT        string    // the local date of Scheduled, YYYY-MM-DD
	ID        string    // safe for keys, file names and columns
	Backfill  Window    // zero: none
}

const (
	stamp    = "20060102T150405Z"
	maxRange = 50 * 366 * 24 * time.Hour
)

// NewRun names the run of a trigger.
func NewRun(t Trigger, zone *time.Location) (Run, error) {
	scheduled := t.Scheduled.UTC().Truncate(time.Second)
	if t.Scheduled.IsZero() {
		return Run{}, fmt.Errorf("%w: it has no scheduled time; give the time at which the run was due, not the time of the call", ErrTrigger)
	}
	if y := scheduled.Year(); y < 2000 || y > 9999 {
		return Run{}, fmt.Errorf("%w: the scheduled time's year %d cannot be", ErrTrigger, y)
	}
	r := Run{Dataset: t.Dataset, Scheduled: scheduled, DT: scheduled.In(zone).Format(time.DateOnly), ID: scheduled.Format(stamp)}
	if t.From.IsZero() && t.To.IsZero() {
		return r, nil
	}
	r.Backfill = Window{From: t.From.UTC().Truncate(time.Second), To: t.To.UTC().Truncate(time.Second)}
	switch {
	case !t.Dataset.Ranged:
		return Run{}, fmt.Errorf("%w: %s has no time range; only whole snapshots of it can be had", ErrTrigger, t.Dataset)
	case t.From.IsZero() || t.To.IsZero():
		return Run{}, fmt.Errorf("%w: a backfill needs both from and to", ErrTrigger)
	case !r.Backfill.From.Before(r.Backfill.To) || r.Backfill.To.Sub(r.Backfill.From) > maxRange:
		return Run{}, fmt.Errorf("%w: a backfill's from must lie before its to, by at most fifty years", ErrTrigger)
	}
	r.ID += "_" + r.Backfill.From.Format(stamp) + "_" + r.Backfill.To.Format(stamp)
	return r, nil
}

// IsBackfill reports whether the run has a range of its own. It then moves
// neither the watermark nor latest.json.
func (r Run) IsBackfill() bool { return r.Backfill != Window{} }

// window returns the run's window. covered is how far the dataset is covered
// by the runs before, not beyond the scheduled time; zero: not at all.
func (r Run) window(covered time.Time, lookBack time.Duration) Window {
	switch {
	case r.IsBackfill():
		return r.Backfill
	case r.Dataset.Incremental && covered.IsZero() && r.Dataset.Past == 0:
		return Window{To: r.Scheduled}
	case r.Dataset.Incremental && covered.IsZero():
		return Window{From: r.Scheduled.Add(-r.Dataset.Past), To: r.Scheduled}
	case r.Dataset.Incremental:
		return Window{From: covered.Add(-lookBack), To: r.Scheduled}
	case r.Dataset.Ranged:
		return Window{From: r.Scheduled.Add(-r.Dataset.Past), To: r.Scheduled.Add(r.Dataset.Future)}
	}
	return Window{}
}

// window returns the window of a run that is planned now. It begins at the
// watermark. One that is ahead of the scheduled time, as after a clock that was,
// says nothing about the time before it: the run then begins where the newest
// published run ended that was due before.
func (e *Exporter) window(ctx context.Context, r Run) (Window, error) {
	h := e.history(r.Dataset)
	mark, err := h.watermark(ctx)
	if err != nil {
		return Window{}, err
	}
	if r.Dataset.Incremental && !r.IsBackfill() && mark.To.After(r.Scheduled) {
		if mark.To, err = h.coveredBefore(ctx, r.Scheduled); err != nil {
			return Window{}, err
		}
	}
	return r.window(mark.To, e.set.LookBack), nil
}
