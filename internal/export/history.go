package export

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"hikyaku/internal/lease"
	"hikyaku/internal/objectstore"
)

// A history is what the store says of the runs of a dataset.
type history struct {
	*Exporter

	dataset Dataset
	keys    keys
}

func (e *Exporter) history(d Dataset) history { return history{e, d, e.keys(d)} }

// latest reads latest.json.
func (h history) latest(ctx context.Context) (Pointer, error) {
	var at Pointer
	document, err := objectstore.ReadDocument(ctx, h.seams.Store, h.keys.latest())
	if err != nil {
		return at, err
	}
	return at, document.Decode(&at)
}

// watermark reads how far a dataset is covered.
func (h history) watermark(ctx context.Context) (covered, error) {
	var c covered
	document, err := objectstore.ReadDocument(ctx, h.seams.Store, h.keys.watermark())
	if err != nil {
		return c, err
	}
	return c, document.Decode(&c)
}

// begun lists the runs that have a lease, the oldest scheduled time first, and
// whose ids lie between two texts, both exclusive; an empty text is no bound.
func (h history) begun(ctx context.Context, after, before string) ([]Run, error) {
	prefix := h.keys.leases()
	if after != "" {
		after = prefix + after
	}
	var runs []Run
	for info, err := range h.seams.Store.List(ctx, prefix, after) {
		if err != nil {
			return nil, fmt.Errorf("listing the runs of %s: %w", h.dataset, err)
		}
		id, ok := strings.CutSuffix(strings.TrimPrefix(info.Key, prefix), leaseSuffix)
		if before != "" && id >= before {
			break
		}
		if !ok {
			continue
		}
		if run, ok := h.named(id); ok {
			runs = append(runs, run)
		}
	}
	return runs, nil
}

// named is the run of an id; false if it is none.
func (h history) named(id string) (Run, bool) {
	t := Trigger{Dataset: h.dataset}
	for i, text := range strings.Split(id, "_") {
		at, err := time.Parse(stamp, text)
		if err != nil || i > 2 {
			return Run{}, false
		}
		*[]*time.Time{&t.Scheduled, &t.From, &t.To}[i] = at
	}
	run, err := h.NewRun(t)
	return run, err == nil && run.ID == id
}

// recently is how far back the newest published run is looked for first, so
// that the leases of all years are listed only where none is found.
const recently = 100 * 24 * time.Hour

// coveredBefore returns until when the dataset is covered by the newest published
// run that was due before a time; zero if there is none.
func (h history) coveredBefore(ctx context.Context, before time.Time) (time.Time, error) {
	late, near := before.UTC().Format(stamp), before.UTC().Add(-recently).Format(stamp)
	for _, span := range [][2]string{{near, late}, {"", near}} {
		runs, err := h.begun(ctx, span[0], span[1])
		if err != nil {
			return time.Time{}, err
		}
		for _, run := range slices.Backward(runs) {
			if run.IsBackfill() {
				continue
			}
			if end, err := h.coveredBy(ctx, run); err != nil || !end.IsZero() {
				return end, err
			}
		}
	}
	return time.Time{}, nil
}

// coveredBy returns until when a run covers its dataset; zero if it is not
// published.
func (h history) coveredBy(ctx context.Context, r Run) (time.Time, error) {
	j := &job{Exporter: h.Exporter, run: r, keys: h.keys}
	known, err := lease.Peek(ctx, h.seams.Store, j.keys.lease(r))
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
