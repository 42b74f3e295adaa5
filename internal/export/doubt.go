package export

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// A Doubt is a reason to believe that a run lacks rows.
type Doubt struct {
	Kind   string `json:"kind"`
	Pass   string `json:"pass,omitempty"`
	Place  int    `json:"place,omitempty"` // row of the pass, from 1; 0: the whole pass or run
	Count  int    `json:"count"`           // rows or records that it is about
	Detail string `json:"detail"`
}

// The doubts about a run as a whole; those about a place come from the reading.
const (
	DoubtRejects = "rejects" // too many records were rejected
	DoubtShrunk  = "shrunk"  // a snapshot holds far fewer rows than the one before
)

// The tag of the parts of a run in doubt. A lifecycle rule of the bucket ends
// what bears it.
const (
	doubtTag   = "hikyaku"
	doubtValue = "doubt"
)

// compareFrom is how many rows a complete run must have for later ones to be
// compared with it: of fewer, half may go in a day.
const compareFrom = 100

// runDoubts judges a run as a whole by how many rows are stored and how many
// records were rejected.
func (w *writer) runDoubts(ctx context.Context, rows, rejects int) ([]Doubt, error) {
	var doubts []Doubt
	// A single broken record among others is no share: it must not keep a
	// small shop's runs in doubt for ever.
	switch records := rows + rejects; {
	case rejects > 0 && rows == 0:
		doubts = append(doubts, Doubt{Kind: DoubtRejects, Count: rejects, Detail: "every record was rejected"})
	case rejects > 1 && rejects*100 > records*w.set.MaxRejects:
		doubts = append(doubts, Doubt{
			Kind: DoubtRejects, Count: rejects,
			Detail: fmt.Sprintf("%d of %d records were rejected, more than %d %%", rejects, records, w.set.MaxRejects),
		})
	}
	like := Manifest{Kind: w.run.Dataset.kind(), Backfill: w.run.IsBackfill(), Window: w.journal.Plan.Window, Passes: w.journal.Plan.Passes, Source: w.origin()}
	if !isCompared(like) {
		return doubts, nil
	}
	before, err := w.newest(ctx)
	if err != nil || before == nil {
		return doubts, err
	}
	i := slices.IndexFunc(before.Baselines, baselineOf(like, 0).comparable)
	if i < 0 {
		return doubts, nil
	}
	if b := before.Baselines[i]; rows*100 < b.Rows*(100-w.set.MaxShrink) {
		doubts = append(doubts, Doubt{
			Kind: DoubtShrunk, Count: rows,
			Detail: fmt.Sprintf("%d rows where run %s had %d: more than %d %% fewer", rows, b.Run, b.Rows, w.set.MaxShrink),
		})
	}
	return doubts, nil
}

// judgeRun judges the run as a whole by what is stored of it. Rejects of windows
// that earlier runs owe were judged there: they must not keep a dataset in doubt
// in which little else has changed since.
func (w *writer) judgeRun(ctx context.Context) ([]Doubt, error) {
	_, points, err := w.stored(ctx)
	if err != nil {
		return nil, err
	}
	var all Answer
	owed := 0
	for _, c := range points {
		addPart(&all, c)
		owed += c.Owed
	}
	return w.runDoubts(ctx, all.Rows, all.Rejects-owed)
}

// A Baseline is a published snapshot that later ones are compared with. Each
// manifest hands on those of the one before it, so that the newest manifest
// alone says what the next run is to be compared with.
type Baseline struct {
	Run    string `json:"run"`
	Rows   int    `json:"rows"`
	Source string `json:"source"`          // digest of account, passes and length of range
	Shape  string `json:"shape,omitempty"` // the generation; empty: not known, as of an empty list
}

// comparable reports whether the numbers of rows of two runs say something
// about each other.
func (b Baseline) comparable(c Baseline) bool {
	return b.Source == c.Source && (b.Shape == c.Shape || b.Shape == "" || c.Shape == "")
}

// maxBaselines bounds how many a manifest hands on: of so many accounts and
// settings by turns.
const maxBaselines = 8

// isCompared reports whether a run is compared with earlier ones. What changed in
// a window may be any number of rows, and a range that was asked for by hand is
// like no other.
func isCompared(m Manifest) bool { return m.Kind == "snapshot" && !m.Backfill }

// baselineOf is what later runs would be compared with if m had so many rows.
func baselineOf(m Manifest, rows int) Baseline {
	var length time.Duration
	if !m.Window.From.IsZero() && !m.Window.To.IsZero() {
		length = m.Window.To.Sub(m.Window.From)
	}
	raw, _ := json.Marshal([]any{m.Source.Account, m.Passes, length}) // texts and a number
	sum := sha256.Sum256(raw)
	return Baseline{Run: m.Run, Rows: rows, Source: hex.EncodeToString(sum[:8]), Shape: m.Source.Shape}
}

// baselinesAfter returns what runs after m are compared with, the newest first: m
// itself if it may serve, and of other sources what the run before it handed
// on.
func baselinesAfter(m Manifest, before *Manifest) []Baseline {
	if !isCompared(m) {
		return nil
	}
	var list []Baseline
	own := baselineOf(m, m.Rows)
	serves := m.State == Accepted || m.State == Complete && m.Rows >= compareFrom
	if serves {
		list = append(list, own)
	}
	if before != nil {
		for _, b := range before.Baselines {
			if !serves || b.Source != own.Source || b.Shape != own.Shape {
				list = append(list, b)
			}
		}
	}
	return list[:min(len(list), maxBaselines)]
}

// endInDoubt ends a run in doubt: it tags the parts and writes _doubt.json. No
// pointer moves.
func (p *publication) endInDoubt(ctx context.Context) (Answer, error) {
	for _, part := range p.m.Parts {
		select {
		case <-ctx.Done(): // the next call goes on
			return p.progress(ctx), nil
		default:
		}
		if err := p.tag(ctx, part.Key, map[string]string{doubtTag: doubtValue}); err != nil {
			return Answer{}, err
		}
	}
	key := p.keys.doubt(p.run)
	err := p.underLease(ctx, func(ctx context.Context) (err error) {
		p.m, err = p.create(ctx, key, p.m)
		return err
	})
	if err != nil {
		return Answer{}, err
	}
	answer := p.answer(Doubtful)
	answer.State, answer.Doubt = InDoubt, key
	return p.conclude(ctx, answer)
}

// tag replaces a part's tags; nil removes them.
func (p *publication) tag(ctx context.Context, key string, tags map[string]string) error {
	return p.underLease(ctx, func(ctx context.Context) error {
		if err := p.seams.Store.SetTags(ctx, key, tags); err != nil {
			return fmt.Errorf("tagging %s: %w", key, err)
		}
		return nil
	})
}

// newest returns the manifest that latest.json names, nil if there is none, and
// reads it once.
func (j *job) newest(ctx context.Context) (*Manifest, error) {
	if j.newestRead {
		return j.newestManifest, nil
	}
	m, err := j.Newest(ctx, j.run.Dataset)
	j.newestManifest, j.newestRead = m, err == nil
	return m, err
}
