package export

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/pagination"
)

// Format is the manifest's format. It changes if a reader of the old one
// would misread the new one; added fields do not change it.
const Format = "hikyaku-export/1"

// A State says what a run is worth to those who read it.
type State string

// The states.
const (
	Complete    State = "complete"     // published; nothing speaks against it
	Accepted    State = "accepted"     // published although in doubt, because a person said so
	InDoubt     State = "in doubt"     // all rows are stored, nothing is published
	NotRecorded State = "not recorded" // published by a version that knew no doubt
	Unfinished  State = "unfinished"   // rows are still to come
	Expired     State = "expired"      // was published; the bucket has ended its objects since
)

// A Manifest says what a published run holds, or one in doubt.
// docs/export-format.md explains each field to readers. Everything but
// Observed, Accepted and what earlier runs left there (Baselines, MatchedBy) is
// a function of the run, its settings and what the source held.
type Manifest struct {
	Format        string           `json:"format"`
	State         State            `json:"state"` // empty: not recorded
	Provider      string           `json:"provider"`
	Dataset       string           `json:"dataset"`
	Run           string           `json:"run"`
	DT            string           `json:"dt"`
	TimeZone      string           `json:"time_zone"`
	ScheduledTime time.Time        `json:"scheduled_time"`
	Kind          string           `json:"kind"` // snapshot or incremental
	Backfill      bool             `json:"backfill"`
	Window        Window           `json:"window"`
	Passes        []string         `json:"passes"`
	Compression   string           `json:"compression"` // gzip or none
	Dropped       []string         `json:"dropped_fields"`
	Hashed        []string         `json:"hashed_fields"`
	Source        Origin           `json:"source"`
	Rows          int              `json:"rows"`
	Bytes         int64            `json:"bytes"`
	StoredBytes   int64            `json:"stored_bytes"`
	Rejects       int              `json:"rejects"`
	Repeats       int              `json:"repeats"`
	RepeatsAtEnd  int              `json:"repeats_at_end"` // of them, after the last part
	Late          int              `json:"late"`
	Drift         pagination.Drift `json:"drift"`
	Looks         int              `json:"looks"` // how many times the lists were read
	// Total are the counts of the provider that stayed wrong.
	Total []WrongTotal `json:"total,omitempty"`
	// Owed are the windows that the next runs ask for again.
	Owed      []Owed      `json:"owed,omitempty"`
	Redaction []Redaction `json:"redaction,omitempty"`
	Doubts    []Doubt     `json:"doubts,omitempty"`
	Accepted  *Acceptance `json:"accepted,omitempty"`
	Baselines []Baseline  `json:"baselines,omitempty"` // of a snapshot: what the next ones are compared with
	Parts     []Part      `json:"parts"`
	Observed  Observed    `json:"observed"`
}

// standing is the state of the run that a manifest describes.
func standing(m Manifest) State { return cmp.Or(m.State, NotRecorded) }

// An Origin says how the source was read.
type Origin struct {
	Account  string            `json:"account"`
	Shape    string            `json:"shape,omitempty"` // name of the generation of the provider's answers
	Paging   pagination.Paging `json:"paging"`
	PageSize int               `json:"page_size"`
}

// A WrongTotal is a count of all records that the provider gave and that stayed
// wrong when it was asked again.
type WrongTotal struct {
	Pass  string `json:"pass,omitempty"`
	Said  int    `json:"said"`
	Found int    `json:"found"`
}

// An Owed window of time holds a record that could not be read. Runs after SinceRun
// ask for it again.
type Owed struct {
	Pass     string    `json:"pass,omitempty"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	SinceRun string    `json:"since_run"`
	Left     int       `json:"left"` // runs that will still ask
}

// An Acceptance says who published a run that was in doubt, and why.
type Acceptance struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
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

// Observed is what differs each time that a run is made: it depends on how the
// network, the provider and the calls behaved.
type Observed struct {
	Traffic

	Pages       int64   `json:"pages"` // asked for, those read again included
	Invocations int     `json:"invocations"`
	Seconds     float64 `json:"seconds"` // at work, waiting between calls not counted
	// Planned is when the run was planned; only a manifest says it.
	Planned time.Time `json:"planned,omitzero"`
}

func (o Observed) plus(u Observed) Observed {
	return Observed{
		Traffic: o.Traffic.plus(u.Traffic), Pages: o.Pages + u.Pages,
		Invocations: o.Invocations + u.Invocations, Seconds: o.Seconds + u.Seconds,
	}
}

// origin says how the run's source was read.
func (w *writer) origin() Origin {
	o := Origin{Account: w.feed.Account, Shape: w.journal.Plan.Shape, Paging: w.feed.Paging, PageSize: w.feed.PageSize}
	if w.part.point.Next.Fixed && w.feed.Paging == pagination.ByPage {
		o.Paging = pagination.ByFixedPage
	}
	return o
}

// manifest describes the run from its parts' checkpoints, its journal, and what
// the manifest of the newest published run hands on.
func (j *job) manifest(ctx context.Context, points []checkpoint) (Manifest, error) {
	fields, done := j.set.Fields[j.run.Dataset.String()], j.journal.Extracted
	m := Manifest{
		Format: Format, State: Complete, Provider: j.run.Dataset.Provider, Dataset: j.run.Dataset.Name,
		Run: j.run.ID, DT: j.run.DT, TimeZone: j.set.Zone.String(), ScheduledTime: j.run.Scheduled,
		Kind: j.run.Dataset.kind(), Backfill: j.run.IsBackfill(), Window: j.journal.Plan.Window, Passes: j.journal.Plan.Passes,
		Compression: map[bool]string{true: "gzip", false: "none"}[j.set.Gzip],
		Dropped:     plainPaths(fields.Drop), Hashed: plainPaths(fields.Hash),
		Source: done.Source, Drift: done.Drift, Looks: max(1, done.Looks), Total: done.Total, Owed: done.Owed, Doubts: done.Doubts,
		Repeats: done.Repeats, RepeatsAtEnd: done.Repeats,
		Parts: []Part{}, Observed: j.journal.Observed,
	}
	m.Observed.Planned = j.journal.Plan.Started
	for _, c := range points {
		m.Parts = append(m.Parts, partOf(c))
		m.Rows += c.Rows
		m.Bytes += c.Bytes
		m.StoredBytes += c.stored
		m.Rejects += c.Rejects
		m.Repeats += c.Repeats
		m.Late += c.Late
	}
	if len(m.Doubts) > 0 {
		m.State = InDoubt
	}
	if fields.none() && !isCompared(m) {
		return m, nil
	}
	before, err := j.newest(ctx)
	if err != nil {
		return m, err
	}
	m.Redaction = fields.recorded(m, points, before)
	m.Baselines = baselinesAfter(m, before)
	return m, nil
}

// maxManifest caps what is read as a manifest: about 100,000 parts.
const maxManifest = 64 << 20

// ReadManifest reads the manifest of a published run, or of one in doubt.
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

// create writes a manifest under key unless there is one, and returns the one
// that counts.
func (j *job) create(ctx context.Context, key string, m Manifest) (Manifest, error) {
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, err
	}
	raw = append(raw, '\n')
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
