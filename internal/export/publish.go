package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"hikyaku/internal/objectstore"
)

// A Pointer is the data of latest.json: the newest published run.
type Pointer struct {
	Run           string    `json:"run"`
	DT            string    `json:"dt"`
	ScheduledTime time.Time `json:"scheduled_time"`
	Manifest      string    `json:"manifest"` // key
	Rows          int       `json:"rows"`
}

// covered is the data of the watermark.
type covered struct {
	To  time.Time `json:"to"`
	Run string    `json:"run"`
}

// publish makes the stored parts visible, in an order in which each step is
// harmless without the next, and ends the run.
func (j *job) publish(ctx context.Context) (Answer, error) {
	n, points, err := j.stored(ctx)
	if err != nil {
		return Answer{}, err
	}
	if n != j.journal.Extracted.Parts {
		return Answer{}, fmt.Errorf("publishing: %d parts are stored where the run wrote %d; objects under %s were added or deleted by hand", n, j.journal.Extracted.Parts, j.keys.folder(j.run))
	}
	m := j.manifest(points)
	err = j.step(ctx, func(ctx context.Context) (err error) {
		m, err = j.putManifest(ctx, m)
		return err
	})
	if err == nil && !j.run.IsBackfill() {
		if j.run.Dataset.Incremental {
			err = j.step(ctx, func(ctx context.Context) error { return j.moveWatermark(ctx, m) })
		}
		if err == nil {
			err = j.step(ctx, func(ctx context.Context) error { return j.moveLatest(ctx, m) })
		}
	}
	if err == nil {
		err = j.step(ctx, func(ctx context.Context) error { return j.link(ctx, m) })
	}
	if err != nil {
		return Answer{}, err
	}
	answer := j.answer(Done)
	answer.Manifest = j.keys.manifest(j.run)
	answer.Parts, answer.Rows, answer.Rejects, answer.Drift = len(m.Parts), m.Rows, m.Rejects, m.Drift
	recorded := answer
	recorded.Observed = Observed{} // a later call meets nothing
	j.journal.Done = &recorded
	return answer, j.end(ctx)
}

// step runs one write while the lease surely holds.
func (j *job) step(ctx context.Context, write func(context.Context) error) error {
	guarded, cancel, err := j.guard(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	return write(guarded)
}

// swap replaces a document's data by what next returns, again and again while
// others write it too. next returns nil to leave it alone.
func swap[T any](ctx context.Context, store objectstore.Store, key string, next func(T) *T) error {
	for {
		document, err := objectstore.ReadDocument(ctx, store, key)
		if err != nil {
			return err
		}
		var data T
		if err := document.Decode(&data); err != nil {
			return err
		}
		replacement := next(data)
		if replacement == nil {
			return nil
		}
		_, err = document.Replace(ctx, store, replacement)
		if !errors.Is(err, objectstore.ErrConflict) {
			return err
		}
	}
}

// moveWatermark notes how far the dataset is covered: never beyond the time at
// which the run was planned. A scheduled time in the future, given by mistake,
// would leave each later run nothing but its look-back.
func (j *job) moveWatermark(ctx context.Context, m Manifest) error {
	to := m.Window.To
	if planned := j.journal.Plan.Started.Truncate(time.Second); planned.Before(to) {
		to = planned
	}
	return swap(ctx, j.seams.Store, j.keys.watermark(), func(old covered) *covered {
		if !old.To.Before(to) {
			return nil
		}
		return &covered{To: to, Run: m.Run}
	})
}

func (j *job) moveLatest(ctx context.Context, m Manifest) error {
	return swap(ctx, j.seams.Store, j.keys.latest(), func(old Pointer) *Pointer {
		if byTime(old.ScheduledTime, old.Run, m.ScheduledTime, m.Run) >= 0 {
			return nil
		}
		return &Pointer{Run: m.Run, DT: m.DT, ScheduledTime: m.ScheduledTime, Manifest: j.keys.manifest(j.run), Rows: m.Rows}
	})
}

// watermark reads how far a dataset is covered.
func (e *Exporter) watermark(ctx context.Context, k keys) (covered, error) {
	var c covered
	document, err := objectstore.ReadDocument(ctx, e.seams.Store, k.watermark())
	if err != nil {
		return c, err
	}
	return c, document.Decode(&c)
}

// Metadata of a symlink.
const (
	linkRun     = "run"
	linkNonce   = "nonce"
	linkCounter = "counter"
)

// link puts the run's parts into the day's symlink. The body can carry no
// nonce, so run, nonce and counter stand in its metadata. Adding is
// idempotent, so after a doubtful answer it simply looks again.
func (j *job) link(ctx context.Context, m Manifest) error {
	key := j.keys.symlink(j.run)
	for {
		info, lines, err := j.readLink(ctx, key)
		if err != nil {
			return err
		}
		next := j.nextLink(m, info, lines)
		if next == nil {
			return nil
		}
		counter, _ := strconv.Atoi(info.Metadata[linkCounter]) // 0 for a new one
		body := []byte(strings.Join(next, ""))
		_, err = j.seams.Store.Put(ctx, objectstore.Object{
			Key: key, Body: bytes.NewReader(body), Size: int64(len(body)), ContentType: "text/plain",
			Metadata: map[string]string{
				linkRun: max(m.Run, info.Metadata[linkRun]), linkNonce: j.seams.NewID(), linkCounter: strconv.Itoa(counter + 1),
			},
			Condition: objectstore.Condition{Absent: info.ETag == "", ETag: info.ETag},
		})
		if err == nil {
			return nil
		}
		if !errors.Is(err, objectstore.ErrConflict) {
			return fmt.Errorf("writing %s: %w", key, err)
		}
	}
}

// nextLink returns the lines of the new symlink, or nil if it is right. A
// snapshot's names the newest run's parts, never those of a mere range; an
// incremental one those of all runs of the day.
func (j *job) nextLink(m Manifest, info objectstore.Info, lines []string) []string {
	mine := make([]string, 0, len(m.Parts))
	for _, p := range m.Parts {
		mine = append(mine, "s3://"+j.set.Bucket+"/"+p.Key+"\n")
	}
	if m.Kind == "snapshot" {
		if m.Backfill || info.ETag != "" && info.Metadata[linkRun] >= m.Run {
			return nil
		}
		return mine
	}
	all := slices.Concat(lines, mine)
	slices.Sort(all)
	all = slices.Compact(all)
	if info.ETag != "" && slices.Equal(all, lines) {
		return nil
	}
	return all
}

// readLink reads a symlink's lines; none if there is no object.
func (j *job) readLink(ctx context.Context, key string) (objectstore.Info, []string, error) {
	info, body, err := j.seams.Store.Get(ctx, key)
	if errors.Is(err, objectstore.ErrNotFound) {
		return objectstore.Info{}, nil, nil
	}
	if err != nil {
		return info, nil, fmt.Errorf("reading %s: %w", key, err)
	}
	defer func() { _ = body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(body, maxManifest))
	if err != nil {
		return info, nil, fmt.Errorf("reading %s: %w", key, err)
	}
	lines := strings.SplitAfter(string(raw), "\n")
	return info, lines[:len(lines)-1], nil
}
