package export

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"hikyaku/internal/lease"
	"hikyaku/internal/objectstore"
)

// ErrNotAcceptable means that a run in doubt can no longer be published. The
// dataset is exported again instead.
var ErrNotAcceptable = errors.New("cannot be accepted")

// Accept publishes a run in doubt on a person's word: by is who says so. key is
// that of its _doubt.json, whose time zone and kind hold, whatever the settings
// are now. Calling it again goes on where an earlier call died; a run that is
// published is left alone.
//
// It answers Busy while somebody else works on the run.
func (e *Exporter) Accept(ctx context.Context, key, by, reason string) (Answer, error) {
	answer, err := e.accept(ctx, key, Acceptance{By: strings.TrimSpace(by), Reason: strings.TrimSpace(reason)})
	if err != nil {
		return Answer{}, fmt.Errorf("accepting %s: %w", key, err)
	}
	return answer, nil
}

func (e *Exporter) accept(ctx context.Context, key string, word Acceptance) (Answer, error) {
	if word.By == "" || word.Reason == "" {
		return Answer{}, errors.New("who accepts the run, and for what reason, must be said")
	}
	p, err := e.inDoubt(ctx, key)
	if err != nil {
		return Answer{}, err
	}
	seen, err := lease.Read(ctx, e.seams.Store, p.keys.lease(p.run))
	if err != nil {
		return Answer{}, err
	}
	if err := p.read(seen.Journal); err != nil {
		return Answer{}, err
	}
	if done := p.journal.ended(); done != nil && done.Status == Done {
		return *done, nil
	}
	published, err := p.published(ctx)
	if err != nil {
		return Answer{}, err
	}
	if !published { // before the lease, because it takes as long as the run is large
		if err := p.intact(ctx, key); err != nil {
			return Answer{}, err
		}
	}
	p.lease, err = seen.Acquire(ctx, e.seams.NewID(), e.set.LeaseTTL, e.seams.Now)
	if held, ok := errors.AsType[*lease.HeldError](err); ok {
		return p.busy(held.Until), nil
	}
	if err != nil {
		return Answer{}, err
	}
	answer, err := p.publishAccepted(ctx, published, word)
	if err == nil {
		return answer, nil
	}
	if errors.Is(err, lease.ErrLost) {
		return p.busy(e.seams.Now().Add(e.set.LeaseTTL)), nil
	}
	_ = p.end(ctx) // err is what the caller must see; the lease ends by itself
	return Answer{}, err
}

// inDoubt reads the _doubt.json under key, and computes the run from it.
func (e *Exporter) inDoubt(ctx context.Context, key string) (*publication, error) {
	m, err := ReadManifest(ctx, e.seams.Store, key)
	if err != nil {
		return nil, err
	}
	d, err := FindDataset(m.Provider + "/" + m.Dataset)
	if err != nil {
		return nil, err
	}
	d.Incremental = m.Kind == "incremental"
	run, err := runOf(m, d)
	if err != nil {
		return nil, err
	}
	p := &publication{job: &job{Exporter: e, run: run, keys: e.keys(d), began: e.seams.Now()}, m: m}
	if m.State != InDoubt || len(m.Doubts) == 0 || key != p.keys.doubt(run) {
		return nil, fmt.Errorf("it is not the _doubt.json of a run in doubt, in the folder of that run: %w", ErrNotAcceptable)
	}
	return p, nil
}

// published reports whether the run has a manifest already, which then counts.
func (p *publication) published(ctx context.Context) (bool, error) {
	m, err := ReadManifest(ctx, p.seams.Store, p.keys.manifest(p.run))
	switch {
	case errors.Is(err, objectstore.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	}
	p.m = m
	return true, nil
}

// intact refuses a run of which a part is gone or is another than it was.
func (p *publication) intact(ctx context.Context, key string) error {
	verdict, err := Verify(ctx, p.seams.Store, key)
	if err != nil {
		return err
	}
	if len(verdict.Faults) > 0 {
		return fmt.Errorf("%s: %w; export the dataset again", verdict.Faults[0], ErrNotAcceptable)
	}
	return nil
}

// publishAccepted publishes the run under the lease. The tags go first: a part
// that a manifest names must not be ended by the bucket's lifecycle.
func (p *publication) publishAccepted(ctx context.Context, published bool, word Acceptance) (Answer, error) {
	if !published {
		if err := p.stillNext(ctx); err != nil {
			return Answer{}, err
		}
		for _, part := range p.m.Parts {
			err := p.tag(ctx, part.Key, nil)
			if errors.Is(err, objectstore.ErrNotFound) {
				err = fmt.Errorf("%s is gone: %w; export the dataset again", part.Key, ErrNotAcceptable)
			}
			if err != nil {
				return Answer{}, err
			}
		}
		before, err := p.newest(ctx)
		if err != nil {
			return Answer{}, err
		}
		word.At = p.seams.Now().UTC().Truncate(time.Second)
		p.m.State, p.m.Accepted = Accepted, &word
		p.m.Baselines = baselinesAfter(p.m, before)
	}
	return p.makeVisible(ctx)
}

// stillNext refuses a run if a newer one is published, or if there is a gap between
// what is covered and the beginning of its window.
func (p *publication) stillNext(ctx context.Context) error {
	if p.run.IsBackfill() { // it moves no pointer
		return nil
	}
	h := p.history(p.run.Dataset)
	at, err := h.latest(ctx)
	if err != nil {
		return err
	}
	if at.compare(p.m, p.seams.Now()) > 0 {
		return fmt.Errorf("run %s, which is newer, has been published: %w, and need not be", at.Run, ErrNotAcceptable)
	}
	if !p.run.Dataset.Incremental || p.m.Window.From.IsZero() {
		return nil
	}
	mark, err := h.watermark(ctx)
	if err != nil {
		return err
	}
	if p.m.Window.From.After(mark.To) && (p.run.Dataset.Past == 0 || !mark.To.IsZero()) {
		return fmt.Errorf("its window begins at %s, and the runs before it cover the dataset until %s only: %w; export the dataset again",
			p.m.Window.From.Format(time.RFC3339), mark.To.Format(time.RFC3339), ErrNotAcceptable)
	}
	return nil
}
