package export

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"hikyaku/internal/objectstore"
)

// Format is the manifest's format. It changes if a reader of the old one
// would misread the new one; added fields do not change it.
const Format = "hikyaku-export/1"

// A Manifest says what a published run holds. docs/export-format.md explains
// each field to readers. Everything but Observed is a function of the run,
// its settings and what the source held.
type Manifest struct {
	Format        string    `json:"format"`
	Provider      string    `json:"provider"`
	Dataset       string    `json:"dataset"`
	Run           string    `json:"run"`
	DT            string    `json:"dt"`
	TimeZone      string    `json:"time_zone"`
	ScheduledTime time.Time `json:"scheduled_time"`
	Kind          string    `json:"kind"` // snapshot or incremental
	Backfill      bool      `json:"backfill"`
	Window        Window    `json:"window"`
	Passes        []string  `json:"passes"`
	Compression   string    `json:"compression"` // gzip or none
	Dropped       []string  `json:"dropped_fields"`
	Hashed        []string  `json:"hashed_fields"`
	Source        Origin    `json:"source"`
	Rows          int       `json:"rows"`
	Bytes         int64     `json:"bytes"`
	StoredBytes   int64     `json:"stored_bytes"`
	Rejects       int       `json:"rejects"`
	Repeats       int       `json:"repeats"`
	RepeatsAtEnd  int       `json:"repeats_at_end"` // of them, behind the last part
	Late          int       `json:"late"`
	Drift         Drift     `json:"drift"`
	Parts         []Part    `json:"parts"`
	Observed      Observed  `json:"observed"`
}

// An Origin says how the source was read.
type Origin struct {
	Account  string `json:"account"`
	Paging   Paging `json:"paging"`
	PageSize int    `json:"page_size"`
}

// A Part is one file of a run.
type Part struct {
	Key          string `json:"key"`
	Rows         int    `json:"rows"`
	Bytes        int64  `json:"bytes"` // uncompressed
	StoredBytes  int64  `json:"stored_bytes"`
	StoredCRC32C string `json:"stored_crc32c"` // hex
	SHA256       string `json:"sha256"`        // of the uncompressed bytes, hex
	FirstID      string `json:"first_id"`
	LastID       string `json:"last_id"`
	Rejects      int    `json:"rejects"`
	RejectsKey   string `json:"rejects_key,omitempty"`
}

// Observed is what depends on a run's luck.
type Observed struct {
	Traffic

	Pages       int64   `json:"pages"` // asked for, those read again included
	Invocations int     `json:"invocations"`
	Seconds     float64 `json:"seconds"` // at work, waiting between calls not counted
}

func (o Observed) plus(u Observed) Observed {
	return Observed{
		Traffic: o.Traffic.plus(u.Traffic), Pages: o.Pages + u.Pages,
		Invocations: o.Invocations + u.Invocations, Seconds: o.Seconds + u.Seconds,
	}
}

// manifest describes the run from its parts' checkpoints alone.
func (j *job) manifest(points []checkpoint) Manifest {
	fields := j.set.Fields[j.run.Dataset.String()]
	m := Manifest{
		Format: Format, Provider: j.run.Dataset.Provider, Dataset: j.run.Dataset.Name,
		Run: j.run.ID, DT: j.run.DT, TimeZone: j.set.Zone.String(), ScheduledTime: j.run.Scheduled,
		Kind: j.run.Dataset.kind(), Backfill: j.run.IsBackfill(), Window: j.journal.Plan.Window, Passes: j.journal.Plan.Passes,
		Compression: map[bool]string{true: "gzip", false: "none"}[j.set.Gzip],
		Dropped:     nonNil(fields.Drop), Hashed: nonNil(fields.Hash),
		Source: j.journal.Extracted.Source, Drift: j.journal.Extracted.Drift,
		Repeats: j.journal.Extracted.Repeats, RepeatsAtEnd: j.journal.Extracted.Repeats,
		Parts: []Part{}, Observed: j.journal.Observed,
	}
	for _, c := range points {
		m.Parts = append(m.Parts, c.part())
		m.Rows += c.Rows
		m.Bytes += c.Bytes
		m.StoredBytes += c.stored
		m.Rejects += c.Rejects
		m.Repeats += c.Repeats
		m.Late += c.Late
	}
	return m
}

func nonNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// maxManifest caps what is read as a manifest: about 100,000 parts.
const maxManifest = 64 << 20

// ReadManifest reads a published run's manifest.
func ReadManifest(ctx context.Context, store objectstore.Store, key string) (Manifest, error) {
	var m Manifest
	_, body, err := store.Get(ctx, key)
	if err != nil {
		return m, fmt.Errorf("reading %s: %w", key, err)
	}
	defer func() { _ = body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(body, maxManifest))
	if err != nil {
		return m, fmt.Errorf("reading %s: %w", key, err)
	}
	if err := json.Unmarshal(raw, &m); err != nil || m.Format != Format {
		return m, fmt.Errorf("reading %s: not a manifest of format %s", key, Format)
	}
	return m, nil
}

// putManifest writes the manifest unless the run has one, and returns the one
// that counts.
func (j *job) putManifest(ctx context.Context, m Manifest) (Manifest, error) {
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, err
	}
	raw = append(raw, '\n')
	key := j.keys.manifest(j.run)
	_, err = j.seams.Store.Put(ctx, objectstore.Object{
		Key: key, Body: bytes.NewReader(raw), Size: int64(len(raw)), ContentType: "application/json",
		Condition: objectstore.Condition{Absent: true},
	})
	if err == nil {
		return m, nil
	}
	if errors.Is(err, objectstore.ErrDenied) {
		return m, fmt.Errorf("writing %s: %w", key, err)
	}
	there, readErr := ReadManifest(ctx, j.seams.Store, key) // mine after a lost answer, or another's
	if readErr != nil {
		return m, fmt.Errorf("writing %s: %w", key, errors.Join(err, readErr))
	}
	return there, nil
}
