package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"hikyaku/internal/lease"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/pagination"
	"hikyaku/pkg/jsonscan"
)

// errAdopted: another holder stored this part; go on after it.
var errAdopted = errors.New("part adopted")

// maxLooks is how often a pass that is in doubt is looked at again.
const maxLooks = 3

// An extraction fills a run's parts from its feed.
type extraction struct {
	*writer

	pages         int64   // asked for since last observed
	start         Traffic // when this call began
	pagesTaken    int     // pages whose rows have been taken
	atRowBoundary bool    // the part ends with a row and its position is known, so that it can be stored after an error
	early         safePoints
}

// extract reads until the source ends, or until it is time to stop. It returns a
// pause if the run can go on only later.
func (j *job) extract(ctx context.Context) (stopped bool, wait *pause, err error) {
	x, err := j.open(ctx)
	if err != nil {
		return false, nil, err
	}
	defer x.part.spool.close()
	reading, cancel := untilStop(ctx, x.set.StopAhead)
	defer cancel()
	for err = errAdopted; errors.Is(err, errAdopted); {
		if err = x.locate(ctx); err == nil {
			err = x.readAll(ctx, reading)
		}
	}
	if err == nil {
		return false, nil, x.finish(ctx)
	}
	x.observe()
	if !x.atRowBoundary || errors.Is(err, lease.ErrLost) {
		return false, nil, err
	}
	fruitless := x.getsNowhere()
	switch wait = x.pauseFor(err); {
	case cutShort(reading, err):
		if wait = nil; fruitless {
			err = fmt.Errorf("%d calls in a row have ended without getting further; look at what the provider answers: %w", x.journal.Fruitless, err)
		} else {
			stopped, err = true, nil
		}
	case wait != nil:
		err = nil
	}
	if saveErr := x.save(ctx); !errors.Is(saveErr, errAdopted) && !errors.Is(err, saveErr) {
		err = errors.Join(err, saveErr)
	}
	return stopped, wait, err
}

// open plans the run, or takes up its plan.
func (j *job) open(ctx context.Context) (*extraction, error) {
	var names []string
	shape := ""
	settings := j.fingerprint(j.run.Dataset)
	if p := j.journal.Plan; p != nil {
		names, shape = p.Passes, p.Shape
		switch {
		case p.Version != planVersion:
			return nil, errors.New("the run was begun by another version of Hikyaku, which noted its place in another way; let the next scheduled time begin a new run, which covers what this one would have")
		case p.Settings != settings:
			return nil, fmt.Errorf("the settings changed in the middle of the run: it began with %q and would go on with %q; restore them, or let the next scheduled time begin a new run", p.Settings, settings)
		}
	}
	feed, err := j.seams.Open(ctx, j.run.Dataset, names, shape)
	if err != nil {
		return nil, err
	}
	x := &extraction{writer: &writer{job: j, feed: feed}, start: feed.traffic()}
	j.traffic = feed.traffic()
	if j.journal.Plan == nil {
		if err := x.plan(ctx, settings); err != nil {
			return nil, err
		}
	}
	if err := x.chooseSteps(); err != nil {
		return nil, err
	}
	var key []byte
	fields := j.set.Fields[j.run.Dataset.String()]
	if len(fields.Hash) > 0 {
		if key, err = j.seams.HashKey(ctx); err != nil {
			return nil, err
		}
	}
	x.redact = newRedactor(fields, key)
	x.part = newPart(spool{dir: j.set.SpoolDir, limit: j.set.Spool}, j.set.Gzip)
	return x, nil
}

// plan freezes what the run is about, before anything is read.
func (x *extraction) plan(ctx context.Context, settings string) error {
	window, err := x.window(ctx, x.run)
	if err != nil {
		return err
	}
	p := &plan{Version: planVersion, Window: window, Settings: settings, Started: x.seams.Now().UTC()}
	for _, pass := range x.feed.passes() {
		if !pass.WindowOnly || !p.Window.From.IsZero() {
			p.Passes = append(p.Passes, pass.Name)
		}
	}
	if !x.run.IsBackfill() && x.run.Dataset.Ranged && x.run.Dataset.Incremental {
		before, err := x.newest(ctx)
		if err != nil {
			return err
		}
		if before != nil {
			p.Owed = slices.DeleteFunc(slices.Clone(before.Owed), func(o Owed) bool { return o.Left <= 0 })
		}
	}
	x.journal.Plan, x.journal.From = p, progressOf(0, pagination.Position{})
	return x.keep(ctx)
}

// chooseSteps finds the planned passes in the feed, and adds the windows that
// earlier runs owe.
func (x *extraction) chooseSteps() error {
	find := func(name string) (step, bool) {
		for i, pass := range x.feed.passes() {
			if pass.Name == name {
				return step{Pass: pass, feedPass: i, window: pagination.Window(x.journal.Plan.Window)}, true
			}
		}
		return step{}, false
	}
	for _, name := range x.journal.Plan.Passes {
		s, found := find(name)
		if !found {
			return fmt.Errorf("the run was planned with %q, which the source no longer has; let the next scheduled time begin a new run", name)
		}
		x.steps = append(x.steps, s)
	}
	for _, owed := range x.journal.Plan.Owed {
		if s, found := find(owed.Pass); found {
			s.window, s.owed = pagination.Window{From: owed.From, To: owed.To}, true
			x.steps = append(x.steps, s)
		}
	}
	return nil
}

// locate finds out which part is to be filled next and where to read on, and makes
// the set of known rows.
func (x *extraction) locate(ctx context.Context) error {
	n, points, err := x.stored(ctx)
	if err != nil {
		return err
	}
	x.number = n
	if n > 0 {
		x.part.point.Drift, x.part.point.Next = points[n-1].Drift, points[n-1].Next
	}
	if r := x.journal.Resume; r != nil && r.Parts == n {
		x.part.point.Drift, x.part.point.Repeats, x.part.point.Next = r.Drift, r.Repeats, r.Place
	}
	if err := x.noteBeginning(ctx); err != nil {
		return err
	}
	return x.recall(ctx, points, x.feed.remembered())
}

// noteBeginning notes where the call begins. If the call before died and began at
// the same place, it got nowhere, and this one stores early.
func (x *extraction) noteBeginning(ctx context.Context) error {
	nowhere := x.journal.From == x.here()
	x.journal.Stuck = x.unfinished && (x.journal.Stuck || x.journal.Killed && nowhere)
	x.journal.Killed = x.unfinished && (x.journal.Killed || nowhere)
	x.early = safePoints{began: x.began, after: x.journal.Killed, atOnce: x.journal.Stuck}
	x.journal.From = x.here()
	if !x.unfinished {
		return nil
	}
	return x.keep(ctx)
}

// readAll reads from the part's position to the end of the last step, looks again
// where that is needed, asks again for what was empty, and reviews the run as a
// whole. reading ends when it is time to stop; ctx, which writes obey, lasts longer.
func (x *extraction) readAll(ctx, reading context.Context) error {
	for x.part.point.Next.Pass < len(x.steps) {
		if !x.part.point.Next.Done {
			if err := x.readPass(ctx, reading); err != nil {
				return err
			}
		}
		if err := x.judgePass(ctx, reading); err != nil {
			return err
		}
		if err := x.storeEarly(ctx); err != nil {
			return err
		}
	}
	if err := (confirmation{x}).all(ctx, reading); err != nil {
		return err
	}
	if again, err := x.review(ctx); err != nil || !again {
		return err
	}
	return x.readAll(ctx, reading)
}

// readPass reads one pass to its end.
func (x *extraction) readPass(ctx, reading context.Context) error {
	r := x.reader(ctx, x.part.point.Next, x.known, &x.part.point.Drift)
	defer func() {
		r.Close()
		x.pages += r.Pages()
	}()
	for {
		x.atRowBoundary = true
		p, err := r.Next(reading)
		if err != nil {
			x.part.point.Next = r.Position()
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := x.holdToGeneration(ctx); err != nil {
			return err
		}
		x.atRowBoundary = false
		if err := x.consume(ctx, r, p); err != nil {
			return err
		}
		x.reportProgress()
		x.atRowBoundary = true
		if err := x.storeEarly(ctx); err != nil {
			return err
		}
		if err := reading.Err(); err != nil {
			return err
		}
	}
}

// reader reads a step from a position.
func (x *extraction) reader(ctx context.Context, at pagination.Position, known *pagination.Known, drift *pagination.Drift) *pagination.Reader {
	s := x.steps[at.Pass]
	source := x.feed.Source
	source.Fetch = func(ctx context.Context, q pagination.Query) (jsonscan.List, error) {
		q.Pass = s.feedPass
		return x.feed.Fetch(ctx, q)
	}
	return pagination.NewReader(source, s.window, at, known, drift, pagination.Options{
		InFlight: x.set.InFlight, Attempts: x.feed.Attempts, Began: x.journal.Plan.Started, Now: x.seams.Now,
		Awake: func() error { return x.stayAlive(ctx) }, Pulse: x.set.LeaseTTL / 8,
	})
}

// holdToGeneration notes in the plan which of several documented shapes the answers
// have, once that is known.
func (x *extraction) holdToGeneration(ctx context.Context) error {
	if shape := x.feed.generation(); shape != x.journal.Plan.Shape {
		x.journal.Plan.Shape = shape
		return x.keep(context.WithoutCancel(ctx))
	}
	return nil
}

// judgePass decides whether a pass that has been read to its end is to be
// looked at again, and moves to the next one if not.
func (x *extraction) judgePass(ctx, reading context.Context) error {
	at := x.part.point.Next
	if at.Look > 1 && at.Rows == 0 && at.Seen > 0 {
		if err := (confirmation{x}).emptied(reading, &at); err != nil {
			return err
		}
	}
	settled := at.Seen == 0 || at.Settled(x.feed.Unordered) // emptiness is asked again by itself
	if !settled && at.Look < maxLooks && !x.known.Forgetful() {
		x.part.point.Next = at.Again()
		return nil
	}
	if doubts := doubtsAbout(at, x.steps[at.Pass].Name, settled); len(doubts) > 0 {
		// Noted before the position says that the pass has been read.
		for _, d := range doubts {
			if !slices.Contains(x.journal.Doubts, d) { // noted already by a call that died here
				x.journal.Doubts = append(x.journal.Doubts, d)
			}
		}
		if err := x.keep(context.WithoutCancel(ctx)); err != nil {
			return err
		}
	}
	if err := x.toAskAgain(ctx, at); err != nil {
		return err
	}
	x.part.point.Next = at.After()
	if x.journal.Reviewed {
		x.part.point.Next.Look = reviewLook
	}
	return nil
}

// reviewLook is the number of the look at each pass of a run that is in doubt as
// a whole: one that judgePass never gives.
const reviewLook = maxLooks + 1

// review reports whether all passes are to be looked at once more, because the run
// is in doubt as a whole. It happens once in a run.
func (x *extraction) review(ctx context.Context) (again bool, err error) {
	if x.journal.Reviewed || x.known.Forgetful() {
		return false, nil
	}
	if !x.part.empty() {
		if err := x.store(ctx); err != nil {
			return false, err
		}
	}
	doubts, err := x.judgeRun(ctx)
	if err != nil || len(doubts) == 0 {
		return false, err
	}
	x.journal.Reviewed = true
	x.part.point.Next = pagination.Position{Look: reviewLook, Looks: x.part.point.Next.Looks}
	x.notePlace()
	return true, x.keep(context.WithoutCancel(ctx))
}

// reportProgress tells the seam how far the call has come.
func (x *extraction) reportProgress() {
	if x.seams.progress == nil {
		return
	}
	x.pagesTaken++
	x.seams.progress(Progress{
		Rows: x.rows, Bytes: x.sealed + x.part.point.Bytes, Parts: x.number, Pages: x.pagesTaken, Traffic: x.feed.traffic().minus(x.start),
	})
}

// stayAlive extends the lease in good time while the run waits, or else a second
// holder would begin to ask the provider, too. If the part is empty, the position
// is noted with it.
func (w *writer) stayAlive(ctx context.Context) error {
	if w.lease.Until.Sub(w.seams.Now()) >= w.set.LeaseTTL/2 {
		return nil
	}
	if w.part.empty() {
		w.notePlace()
	}
	return w.keep(context.WithoutCancel(ctx))
}

// notePlace notes in the journal where to go on; the next keep writes it.
func (w *writer) notePlace() {
	w.journal.Resume = &resume{Parts: w.number, Place: w.part.point.Next, Drift: w.part.point.Drift, Repeats: w.part.point.Repeats}
}

// save stores the part before a stop, or notes the position if the part is empty.
func (x *extraction) save(ctx context.Context) error {
	if x.part.empty() {
		x.notePlace()
		return nil
	}
	return x.store(ctx)
}

// finish stores the last part and notes in the journal that all is stored.
func (x *extraction) finish(ctx context.Context) error {
	if !x.part.empty() {
		if err := x.store(ctx); err != nil {
			if errors.Is(err, errAdopted) { // another holder has got as far; the next call goes on from there
				return lease.ErrLost
			}
			return err
		}
	}
	doubts, err := x.judgeRun(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	x.observe()
	x.journal.Resume = nil
	x.journal.Extracted = &extracted{
		Parts: x.number, Drift: x.part.point.Drift, Repeats: x.part.point.Repeats, Source: x.origin(),
		Doubts: append(x.journal.Doubts, doubts...), Looks: x.part.point.Next.Looks, Total: x.journal.Total, Owed: x.journal.Owed,
	}
	return x.keep(context.WithoutCancel(ctx))
}

// observe adds to the journal what the call has met since the last observe.
func (x *extraction) observe() {
	now, traffic := x.seams.Now(), x.feed.traffic()
	o := Observed{Traffic: traffic.minus(x.traffic), Pages: x.pages, Seconds: now.Sub(x.began).Seconds()}
	x.traffic, x.pages, x.began = traffic, 0, now
	x.journal.Observed = x.journal.Observed.plus(o)
	x.counted = x.counted.plus(o)
}

// stored returns how many parts are stored, and their checkpoints.
func (j *job) stored(ctx context.Context) (int, []checkpoint, error) {
	var points []checkpoint
	for {
		info, err := j.seams.Store.Head(ctx, j.keys.part(j.run, len(points), extension(j.set.Gzip)))
		if errors.Is(err, objectstore.ErrNotFound) {
			return len(points), points, nil
		}
		if err != nil {
			return 0, nil, fmt.Errorf("looking for stored parts: %w", err)
		}
		c, err := readCheckpoint(info)
		if err != nil {
			return 0, nil, err
		}
		c.key, c.stored = info.Key, info.Size
		points = append(points, c)
	}
}
