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

// skew is by how much two clocks may differ. A run whose scheduled time was later
// than that after the time of its plan was triggered with a wrong time.
const skew = 5 * time.Minute

// A publication is the end of a run whose rows are all stored.
type publication struct {
	*job

	m Manifest
}

// publish ends the run: published, or in doubt.
func (j *job) publish(ctx context.Context) (Answer, error) {
	n, points, err := j.stored(ctx)
	if err != nil {
		return Answer{}, err
	}
	if n != j.journal.Extracted.Parts {
		return Answer{}, fmt.Errorf("publishing: %d parts are stored where the run wrote %d; objects under %s were added or deleted by hand, or the bucket has ended those of a run in doubt", n, j.journal.Extracted.Parts, j.keys.folder(j.run))
	}
	m, err := j.manifest(ctx, points)
	if err != nil {
		return Answer{}, err
	}
	p := &publication{job: j, m: m}
	if m.State == InDoubt {
		return p.endInDoubt(ctx)
	}
	return p.makeVisible(ctx)
}

// makeVisible writes the manifest and moves the pointers, in an order in which each
// step is harmless without the next.
func (p *publication) makeVisible(ctx context.Context) (Answer, error) {
	key := p.keys.manifest(p.run)
	err := p.underLease(ctx, func(ctx context.Context) (err error) {
		p.m, err = p.create(ctx, key, p.m)
		return err
	})
	if err == nil && p.run.Dataset.Incremental && !p.run.IsBackfill() {
		err = p.underLease(ctx, p.moveWatermark)
	}
	if err == nil && !p.run.IsBackfill() {
		err = p.underLease(ctx, p.moveLatest)
	}
	if err == nil && p.set.Bucket != "" {
		err = p.underLease(ctx, p.link)
	}
	if err != nil {
		return Answer{}, err
	}
	answer := p.answer(Done)
	answer.State, answer.Manifest = standing(p.m), key
	return p.conclude(ctx, answer)
}

// conclude keeps the last answer in the journal, so that a repeated trigger is
// answered by it, and releases the lease in the same swap.
func (p *publication) conclude(ctx context.Context, answer Answer) (Answer, error) {
	answer.Window = &p.m.Window
	answer.Parts, answer.Rows, answer.Rejects, answer.Drift = len(p.m.Parts), p.m.Rows, p.m.Rejects, p.m.Drift
	answer.Doubts, answer.TotalWrong = p.m.Doubts, len(p.m.Total)
	recorded := answer
	recorded.Observed = Observed{} // a later call meets nothing
	p.journal.Done = &recorded
	return answer, p.end(ctx)
}

// underLease runs one write while the lease surely holds.
func (j *job) underLease(ctx context.Context, write func(context.Context) error) error {
	guarded, cancel, err := j.guard(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	return write(guarded)
}

// planned is when the run was planned.
func (p *publication) planned() time.Time {
	if p.m.Observed.Planned.IsZero() { // a manifest of before
		return p.journal.Plan.Started
	}
	return p.m.Observed.Planned
}

// moveWatermark notes how far the dataset is covered: never beyond the time at
// which the run was planned. A scheduled time in the future, given by mistake,
// would leave each later run nothing but its look-back.
func (p *publication) moveWatermark(ctx context.Context) error {
	to := p.m.Window.To
	if planned := p.planned().Truncate(time.Second); planned.Before(to) {
		to = planned
	}
	return objectstore.Update(ctx, p.seams.Store, p.keys.watermark(), func(c *covered) bool {
		older := c.To.Before(to)
		*c = covered{To: to, Run: p.m.Run}
		return older
	})
}

// moveLatest makes latest.json name the run, unless a newer one is published. A run
// that was due in the future when it was planned is never named there. If a clock
// that ran ahead has left a pointer to a time still to come, this run replaces it.
func (p *publication) moveLatest(ctx context.Context) error {
	if p.m.ScheduledTime.After(p.planned().Add(skew)) {
		return nil
	}
	now := p.seams.Now()
	return objectstore.Update(ctx, p.seams.Store, p.keys.latest(), func(l *Pointer) bool {
		older := l.compare(p.m, now) < 0
		*l = Pointer{Run: p.m.Run, DT: p.m.DT, ScheduledTime: p.m.ScheduledTime, Manifest: p.keys.manifest(p.run), Rows: p.m.Rows}
		return older
	})
}

// compare compares the run that latest.json names with another: above 0 if it is
// the newer one.
func (l Pointer) compare(m Manifest, now time.Time) int {
	if l.ScheduledTime.After(now.Add(skew)) {
		return -1
	}
	return byTime(l.ScheduledTime, l.Run, m.ScheduledTime, m.Run)
}

// Metadata of a symlink.
const (
	linkRun     = "run"
	linkNonce   = "nonce"
	linkCounter = "counter"
)

// link puts the run's parts into the day's symlink. The body can carry no nonce, so
// run, nonce and counter stand in its metadata. To add the same lines again changes
// nothing, so that after a lost answer it simply reads the object again.
func (p *publication) link(ctx context.Context) error {
	key := p.keys.symlink(p.run)
	for {
		info, lines, err := p.readLink(ctx, key)
		if err != nil {
			return err
		}
		next := p.nextLink(info, lines)
		if next == nil {
			return nil
		}
		counter, _ := strconv.Atoi(info.Metadata[linkCounter]) // 0 for a new one
		body := []byte(strings.Join(next, ""))
		_, err = p.seams.Store.Put(ctx, objectstore.Object{
			Key: key, Body: bytes.NewReader(body), Size: int64(len(body)), ContentType: "text/plain",
			Metadata: map[string]string{
				linkRun: max(p.m.Run, info.Metadata[linkRun]), linkNonce: p.seams.NewID(), linkCounter: strconv.Itoa(counter + 1),
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
func (p *publication) nextLink(info objectstore.Info, lines []string) []string {
	mine := make([]string, 0, len(p.m.Parts))
	for _, part := range p.m.Parts {
		mine = append(mine, "s3://"+p.set.Bucket+"/"+part.Key+"\n")
	}
	if p.m.Kind == "snapshot" {
		if p.m.Backfill || info.ETag != "" && info.Metadata[linkRun] >= p.m.Run {
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
func (p *publication) readLink(ctx context.Context, key string) (objectstore.Info, []string, error) {
	info, body, err := p.seams.Store.Get(ctx, key)
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
