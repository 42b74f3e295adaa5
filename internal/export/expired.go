package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"hikyaku/internal/lease"
	"hikyaku/internal/objectstore"
)

// ended reports whether nothing is left in a run's folder, as after the days for which
// the bucket keeps exports. Its lease, which is state and never ends, still says how the
// run ended, so that the same trigger does not make it again.
func ended(ctx context.Context, store objectstore.Store, folder string) (bool, error) {
	for _, err := range store.List(ctx, folder, "") {
		if err != nil {
			return false, fmt.Errorf("listing %s: %w", folder, err)
		}
		return false, nil
	}
	return true, nil
}

// worth says of an answer of a published run whether the run is still there.
func (e *Exporter) worth(ctx context.Context, a *Answer) error {
	if a.Status != Done || a.Manifest == "" {
		return nil
	}
	gone, err := ended(ctx, e.seams.Store, path.Dir(a.Manifest)+"/")
	if gone {
		a.State = Expired
	}
	return err
}

// expired is the verdict on a published run of which nothing is left; missing is the
// error of reading its manifest, and stays if the run is not known to have been
// published, or if some of its objects are still there.
func expired(ctx context.Context, store objectstore.Store, key string, missing error) (Verdict, error) {
	prefix, run, found := cutLast(path.Dir(key), "exports/")
	parts := strings.Split(run, "/") // provider, dataset, dt=, run=
	if !errors.Is(missing, objectstore.ErrNotFound) || !found || len(parts) != 4 || path.Base(key) != manifestName {
		return Verdict{}, missing
	}
	gone, err := ended(ctx, store, path.Dir(key)+"/")
	if err != nil || !gone {
		return Verdict{}, missing
	}
	k := keys{prefix: prefix, dataset: parts[0] + "/" + parts[1]}
	raw, err := lease.Peek(ctx, store, k.leases()+strings.TrimPrefix(parts[3], "run=")+leaseSuffix)
	var j journal
	if err != nil || json.Unmarshal(raw, &j) != nil || j.Done == nil || j.Done.Status != Done || j.Done.Manifest != key {
		return Verdict{}, missing // who may not read state cannot know
	}
	return Verdict{State: Expired, Doubts: j.Done.Doubts, Parts: j.Done.Parts, Rows: j.Done.Rows, Faults: []string{}}, nil
}

// cutLast is strings.Cut at the last place.
func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}
