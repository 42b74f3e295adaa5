package export

import (
	"context"
	"fmt"
	"strings"
	"time"

	"hikyaku/internal/objectstore"
)

// Runs returns the runs of a dataset that have begun, the oldest scheduled
// time first: a done one's last answer, and Planned with what is known of the
// others. It reads one object for each run, and the heads of
// the parts of those that are not done; it writes nothing.
func (e *Exporter) Runs(ctx context.Context, d Dataset) ([]Answer, error) {
	keys := e.keys(d)
	runs := []Answer{}
	for info, err := range e.seams.Store.List(ctx, keys.leases(), "") {
		if err != nil {
			return nil, fmt.Errorf("listing the runs of %s: %w", d, err)
		}
		id, ok := strings.CutSuffix(strings.TrimPrefix(info.Key, keys.leases()), leaseSuffix)
		if !ok {
			continue
		}
		run, ok := e.named(d, id)
		if !ok {
			continue
		}
		answer, err := e.Plan(ctx, run)
		if err != nil {
			return nil, err
		}
		runs = append(runs, answer)
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

// Newest returns the manifest that latest.json points to; nil if no run of the
// dataset has been published.
func (e *Exporter) Newest(ctx context.Context, d Dataset) (*Manifest, error) {
	document, err := objectstore.ReadDocument(ctx, e.seams.Store, e.keys(d).latest())
	if err != nil || !document.Exists() {
		return nil, err
	}
	var at Pointer
	if err := document.Decode(&at); err != nil {
		return nil, err
	}
	m, err := ReadManifest(ctx, e.seams.Store, at.Manifest)
	return &m, err
}
