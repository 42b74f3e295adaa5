package export

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"strings"

	"hikyaku/internal/objectstore"
	"hikyaku/pkg/jsonscan"
)

// A Verdict is the result of reading a run again.
type Verdict struct {
	State    State       `json:"state"`
	Doubts   []Doubt     `json:"doubts,omitempty"`
	Accepted *Acceptance `json:"accepted,omitempty"`
	Manifest Manifest    `json:"-"`
	Parts    int         `json:"parts"`
	Rows     int         `json:"rows"`
	Bytes    int64       `json:"bytes"`
	Faults   []string    `json:"faults"` // empty: every figure of the manifest is proved
}

// The names of the manifests in a run's folder.
const (
	manifestName = "_manifest.json"
	doubtName    = "_doubt.json"
)

// Verify reads every object of the run that the manifest under key describes, or
// the _doubt.json of a run in doubt, and compares what is there with every figure
// in it. Faults are part of the verdict; an error means that the verdict could
// not be reached.
func Verify(ctx context.Context, store objectstore.Store, key string) (Verdict, error) {
	m, err := ReadManifest(ctx, store, key)
	if err != nil {
		return expired(ctx, store, key, err)
	}
	v := &verifier{store: store, Verdict: Verdict{State: standing(m), Doubts: m.Doubts, Accepted: m.Accepted, Manifest: m, Faults: []string{}}}
	d, err := FindDataset(m.Provider + "/" + m.Dataset)
	if err != nil {
		return v.Verdict, err
	}
	v.dataset = d
	folder, name := path.Split(key)
	v.standing(name)
	run, k := v.run(d), keys{dataset: d.String()}
	var found bool
	if k.prefix, found = strings.CutSuffix(folder, k.folder(run)); !found {
		v.fault("manifest: provider, dataset, dt and run are not those of its folder")
	}
	for i, p := range m.Parts {
		if want := fmt.Sprintf("%spart-%05d.%s", folder, i, extension(m.Compression == "gzip")); p.Key != want {
			v.fault("part %d is %s; %s is expected", i, p.Key, want)
		}
		if err := v.part(ctx, p, k.rejects(run, i)); err != nil {
			return v.Verdict, err
		}
	}
	if v.absent > 0 && v.absent == len(m.Parts) { // a run's objects end together, its manifest a day later at most
		v.State, v.Faults = Expired, []string{}
		return v.Verdict, nil
	}
	v.totals()
	return v.Verdict, v.listing(ctx, folder, key)
}

type verifier struct {
	Verdict

	store   objectstore.Store
	dataset Dataset
	absent  int        // parts that are not there
	sums    Manifest   // of what was found
	last    checkpoint // of the last part
}

func (v *verifier) fault(format string, args ...any) {
	v.Faults = append(v.Faults, fmt.Sprintf(format, args...))
}

// equal notes a figure that is not what was found.
func equal[T comparable](v *verifier, what, figure string, stated, found T) {
	if stated != found {
		v.fault("%s: %s is stated as %v and is %v", what, figure, stated, found)
	}
}

// standing proves that the state is the one of the manifest's name and of what
// else it says.
func (v *verifier) standing(name string) {
	m := v.Manifest
	want := Complete
	switch {
	case name == doubtName:
		want = InDoubt
	case m.Accepted != nil:
		want = Accepted
	case m.State == "" && len(m.Doubts) == 0:
		return
	}
	equal(v, "manifest", "state", m.State, want)
	equal(v, "manifest", "doubts", len(m.Doubts) > 0, want != Complete)
}

// run computes the name of the run from when it was due.
func (v *verifier) run(d Dataset) Run {
	m := v.Manifest
	run, err := runOf(m, d)
	if err != nil {
		v.fault("manifest: %v", err)
	}
	equal(v, "manifest", "run", m.Run, run.ID)
	equal(v, "manifest", "dt", m.DT, run.DT)
	equal(v, "manifest", "backfill", m.Backfill, run.IsBackfill())
	return run
}

// runOf computes the run that a manifest describes from when it was due.
func runOf(m Manifest, d Dataset) (Run, error) {
	t := Trigger{Dataset: d, Scheduled: m.ScheduledTime}
	if m.Backfill {
		t.From, t.To = m.Window.From, m.Window.To
	}
	zone, err := LoadZone(m.TimeZone)
	if err != nil {
		return Run{}, err
	}
	return NewRun(t, zone)
}

// part proves one part and its rejects.
func (v *verifier) part(ctx context.Context, p Part, rejects string) error {
	name := path.Base(p.Key)
	info, body, err := v.store.Get(ctx, p.Key)
	if errors.Is(err, objectstore.ErrNotFound) {
		v.fault("%s: there is no such object", name)
		v.absent++
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", p.Key, err)
	}
	defer func() { _ = body.Close() }()
	found := Part{Key: p.Key, StoredBytes: info.Size}
	stored := crc32.New(castagnoli)
	if err := v.lines(io.TeeReader(body, stored), &found); err != nil {
		v.fault("%s: cannot be read to its end: %v", name, err)
		return nil
	}
	found.StoredCRC32C = hex.EncodeToString(stored.Sum(nil))
	if err := v.rejected(ctx, p, rejects, &found); err != nil {
		return err
	}
	v.same(name, p, found)
	v.Parts++
	v.Rows += found.Rows
	v.Bytes += found.Bytes
	v.sums.StoredBytes += found.StoredBytes
	v.sums.Rejects += found.Rejects
	c, err := readCheckpoint(info)
	if err != nil {
		v.fault("%s: no checkpoint in its metadata", name)
		return nil
	}
	c.stored = info.Size // which it does not state
	v.same(name+"'s checkpoint", partOf(c), found)
	v.sums.Repeats += c.Repeats
	v.sums.Late += c.Late
	v.last = c
	return nil
}

// same notes the figures of a part that are not what was found.
func (v *verifier) same(what string, stated, found Part) {
	equal(v, what, "rows", stated.Rows, found.Rows)
	equal(v, what, "bytes", stated.Bytes, found.Bytes)
	equal(v, what, "stored_bytes", stated.StoredBytes, found.StoredBytes)
	equal(v, what, "stored_crc32c", stated.StoredCRC32C, found.StoredCRC32C)
	equal(v, what, "sha256", stated.SHA256, found.SHA256)
	equal(v, what, "first_id", stated.FirstID, found.FirstID)
	equal(v, what, "last_id", stated.LastID, found.LastID)
	equal(v, what, "rejects", stated.Rejects, found.Rejects)
	equal(v, what, "rejects_key", stated.RejectsKey, found.RejectsKey)
}

// lines reads a part's lines and sums them up.
func (v *verifier) lines(body io.Reader, found *Part) error {
	sum := sha256.New()
	err := EachLine(body, strings.HasSuffix(found.Key, ".gz"), func(line []byte) error {
		_, _ = sum.Write(line) // never fails
		found.Bytes += int64(len(line))
		found.Rows++
		record, whole := bytes.CutSuffix(line, []byte("\n"))
		if !whole || len(record) == 0 || record[0] != '{' || !jsonscan.Valid(record) {
			v.fault("%s: line %d is not one JSON object with a newline", path.Base(found.Key), found.Rows)
			return nil
		}
		found.LastID = string(v.dataset.rowID(record))
		if found.Rows == 1 {
			found.FirstID = found.LastID
		}
		return nil
	})
	found.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return err
}

// rejected counts a part's rejects, and names them by what they hold.
func (v *verifier) rejected(ctx context.Context, p Part, stem string, found *Part) error {
	if p.RejectsKey == "" {
		return nil
	}
	_, body, err := v.store.Get(ctx, p.RejectsKey)
	if errors.Is(err, objectstore.ErrNotFound) {
		v.fault("%s: its rejects are not at %s", path.Base(p.Key), p.RejectsKey)
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", p.RejectsKey, err)
	}
	defer func() { _ = body.Close() }()
	sum := sha256.New()
	if err := EachLine(io.TeeReader(body, sum), false, func([]byte) error { found.Rejects++; return nil }); err != nil {
		return fmt.Errorf("reading %s: %w", p.RejectsKey, err)
	}
	found.RejectsKey = rejectsKey(stem, sum.Sum(nil))
	return nil
}

// totals proves the sums. What was left out after the last part, and drift that was
// met there, is in no checkpoint: the manifest states the former apart, and of the
// latter never less than the last part does.
func (v *verifier) totals() {
	m := v.Manifest
	equal(v, "manifest", "rows", m.Rows, v.Rows)
	equal(v, "manifest", "bytes", m.Bytes, v.Bytes)
	equal(v, "manifest", "stored_bytes", m.StoredBytes, v.sums.StoredBytes)
	equal(v, "manifest", "rejects", m.Rejects, v.sums.Rejects)
	equal(v, "manifest", "repeats", m.Repeats, v.sums.Repeats+m.RepeatsAtEnd)
	equal(v, "manifest", "late", m.Late, v.sums.Late)
	if d, last := m.Drift, v.last.Drift; d.Shifts < last.Shifts || d.Rewinds < last.Rewinds || d.Unresolved < last.Unresolved {
		v.fault("manifest: drift is stated as %+v, less than the last part's %+v", d, last)
	}
}

// listing proves that the run's folder holds what the manifest names, and
// nothing else but the other manifest of a run that was in doubt.
func (v *verifier) listing(ctx context.Context, folder, manifest string) error {
	named := map[string]bool{manifest: true}
	if v.Manifest.Accepted != nil {
		named[folder+doubtName] = true
	}
	for _, p := range v.Manifest.Parts {
		named[p.Key] = true
	}
	for info, err := range v.store.List(ctx, folder, "") {
		if err != nil {
			return fmt.Errorf("listing %s: %w", folder, err)
		}
		if named[info.Key] {
			continue
		}
		if info.Key == folder+manifestName && v.Manifest.State == InDoubt {
			if err := v.acceptedBy(ctx, info.Key); err != nil {
				return err
			}
			continue
		}
		v.fault("%s: the manifest does not name this object", path.Base(info.Key))
	}
	return nil
}

// acceptedBy reads the manifest that stands beside a _doubt.json: a person must
// have accepted the run.
func (v *verifier) acceptedBy(ctx context.Context, key string) error {
	m, err := ReadManifest(ctx, v.store, key)
	if err != nil {
		return err
	}
	if m.Accepted == nil {
		v.fault("%s: the run is in doubt, nobody has accepted it, and yet it is published", manifestName)
		return nil
	}
	v.State, v.Accepted = Accepted, m.Accepted
	return nil
}
