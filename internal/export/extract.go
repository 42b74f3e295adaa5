package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"hikyaku/internal/lease"
	"hikyaku/internal/objectstore"
	"hikyaku/pkg/providers"
)

// errAdopted: another holder stored this part; go on behind it.
var errAdopted = errors.New("part adopted")

// An extraction fills a run's parts from its feed.
type extraction struct {
	*job

	feed   Feed
	passes []Pass // of the plan, the closing ones at the end
	redact *redactor
	part   *part
	number int // of the part being filled
	pages  int64
	ids    *splitter // for the ids of stored lines
	known  *knownIDs // of a closing pass
	told   Progress
	start  Traffic // when this call began
	sealed int64   // bytes of the parts that this call stored
	whole  bool    // the part holds whole rows only: an error came from reading
}

// extract reads until the source ends, or until it is time to stop.
func (j *job) extract(ctx context.Context) (stopped bool, err error) {
	x, err := j.open(ctx)
	if err != nil {
		return false, err
	}
	defer x.part.spool.close()
	reading, cancel := x.untilStop(ctx)
	defer cancel()
	for err = errAdopted; errors.Is(err, errAdopted); {
		err = x.readAll(ctx, reading)
	}
	if err == nil {
		return false, x.finish(ctx)
	}
	x.observe()
	if !x.whole || errors.Is(err, lease.ErrLost) {
		return false, err
	}
	if cutShort(reading, err) {
		stopped, err = true, nil
	}
	return stopped, errors.Join(err, x.save(ctx))
}

// lastMoments is how long before the time to stop a source that gives up is
// taken to do so for lack of time: it would have had to wait for its turn.
const lastMoments = 5 * time.Second

// cutShort reports that reading ended for lack of time, and not because the
// source failed.
func cutShort(reading context.Context, err error) bool {
	if reading.Err() != nil {
		return true
	}
	deadline, ok := reading.Deadline()
	return ok && providers.Retryable(err) && time.Until(deadline) < max(lastMoments, providers.RetryAfter(err))
}

// untilStop returns the context of reading. Of a short time that is left, at
// most a third is kept for the end.
func (x *extraction) untilStop(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	left := time.Until(deadline)
	return context.WithTimeout(ctx, left-min(x.set.StopAhead, left/3))
}

// open plans the run, or takes up its plan, and finds where it stands.
func (j *job) open(ctx context.Context) (*extraction, error) {
	var names []string
	settings := j.fingerprint(j.run.Dataset)
	if p := j.journal.Plan; p != nil {
		names = p.Passes
		if p.Settings != settings {
			return nil, fmt.Errorf("the settings changed in the middle of the run: it began with %q and would go on with %q; restore them, or let the next scheduled time begin a new run", p.Settings, settings)
		}
	}
	feed, err := j.seams.Open(ctx, j.run.Dataset, names)
	if err != nil {
		return nil, err
	}
	x := &extraction{job: j, feed: feed, start: feed.traffic()}
	x.ids = x.splitter()
	j.traffic = feed.traffic()
	if j.journal.Plan == nil {
		if err := x.plan(ctx, settings); err != nil {
			return nil, err
		}
	}
	if err := x.choosePasses(); err != nil {
		return nil, err
	}
	if fields := j.set.Fields[j.run.Dataset.String()]; len(fields.Hash) > 0 {
		key, err := j.seams.HashKey(ctx)
		if err != nil {
			return nil, err
		}
		x.redact = newRedactor(fields, key)
	} else {
		x.redact = newRedactor(fields, nil)
	}
	x.part = newPart(spool{dir: j.set.SpoolDir, limit: j.set.Spool}, j.set.Gzip)
	return x, x.locate(ctx)
}

// plan freezes what the run is about, before anything is read.
func (x *extraction) plan(ctx context.Context, settings string) error {
	window, err := x.window(ctx, x.run)
	if err != nil {
		return err
	}
	p := &plan{Window: window, Settings: settings, Started: x.seams.Now().UTC()}
	for _, pass := range x.feed.passes() {
		if !pass.WindowOnly || !p.Window.From.IsZero() {
			p.Passes = append(p.Passes, pass.Name)
		}
	}
	x.journal.Plan = p
	return x.keep(ctx)
}

// choosePasses finds the planned passes in the feed.
func (x *extraction) choosePasses() error {
	for _, name := range x.journal.Plan.Passes {
		found := false
		for _, pass := range x.feed.passes() {
			if pass.Name == name {
				x.passes, found = append(x.passes, pass), true
			}
		}
		if !found {
			return fmt.Errorf("the run was planned with %q, which the source no longer has; let the next scheduled time begin a new run", name)
		}
	}
	return nil
}

// steps is how many readings the run takes: each pass, and each again for a
// source without order and for one with fixed pages, of which edits that cancel
// out between three requests can hide a row.
func (x *extraction) steps() int {
	if x.feed.Unordered || x.part.point.Next.Fixed {
		return 2 * len(x.passes)
	}
	return len(x.passes)
}

// locate sets the part to be filled and the place to read on from.
func (x *extraction) locate(ctx context.Context) error {
	n, points, err := x.stored(ctx)
	if err != nil {
		return err
	}
	x.number = n
	if n > 0 {
		x.goOnFrom(points[n-1])
	}
	if r := x.journal.Resume; r != nil && r.Parts == n {
		x.part.point.Drift, x.part.point.Repeats = r.Drift, r.Repeats
		x.setPlace(r.Place)
	}
	return nil
}

func (x *extraction) goOnFrom(c checkpoint) {
	x.part.point.Drift = c.Drift
	x.setPlace(c.Next)
}

func (x *extraction) setPlace(p place) {
	x.part.ids = recent{}
	for _, id := range p.Last {
		x.part.ids.add([]byte(id))
	}
	x.part.point.Next = p
}

// readAll reads from the part's place to the end of the last pass. reading ends
// when it is time to stop; ctx, which writes obey, lasts longer.
func (x *extraction) readAll(ctx, reading context.Context) error {
	for step := x.part.point.Next.Pass; step < x.steps(); step++ {
		if step == len(x.passes) || x.known == nil && step > len(x.passes) {
			x.whole = true
			if err := x.openClosing(ctx); err != nil {
				return err
			}
		}
		if err := x.readPass(ctx, reading, x.part.point.Next); err != nil {
			return err
		}
		x.part.point.Next = x.part.point.Next.after(step)
		x.part.ids = recent{}
	}
	return nil
}

// readPass reads one pass to its end.
func (x *extraction) readPass(ctx, reading context.Context, from place) error {
	ahead := newReadahead(x.feed.Source, x.splitter, x.set.InFlight, x.set.ReadAhead)
	ahead.awake, ahead.pulse = func() error { return x.stayAlive(ctx) }, x.set.LeaseTTL/8
	r := newReading(x.feed, x.journal.Plan.Window, from, ahead, &x.part.point.Drift)
	r.feedPass = x.feedPass(from.Pass)
	defer func() {
		r.close()
		x.pages += ahead.count
	}()
	for {
		x.whole = true
		p, err := r.next(reading)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		x.whole = false
		if err := x.consume(ctx, r, p); err != nil {
			return err
		}
		ahead.recycle(p)
		x.tell()
		if err := reading.Err(); err != nil {
			x.whole = true
			return err
		}
	}
}

// tell reports the call's progress.
func (x *extraction) tell() {
	if x.seams.progress == nil {
		return
	}
	x.told.Pages++
	x.told.Bytes = x.sealed + x.part.point.Bytes
	x.told.Parts, x.told.Traffic = x.number, x.feed.traffic().minus(x.start)
	x.seams.progress(x.told)
}

// feedPass returns the index in the feed of the pass that a step reads.
func (x *extraction) feedPass(step int) int {
	name := x.passes[step%len(x.passes)].Name
	for i, pass := range x.feed.passes() {
		if pass.Name == name {
			return i
		}
	}
	return 0 // choosePasses has found it
}

func (x *extraction) splitter() *splitter {
	return &splitter{shape: x.feed.Shape, maxRecord: x.set.MaxRecord, maxBody: x.set.MaxBody}
}

// stayAlive extends the lease in good time: wherever the run waits, lest a
// second holder asks the provider too.
func (x *extraction) stayAlive(ctx context.Context) error {
	if x.lease.Until.Sub(x.seams.Now()) < x.set.LeaseTTL/2 {
		x.observe()
		return x.keep(context.WithoutCancel(ctx))
	}
	return nil
}

// consume writes a page's rows into the part, and cuts where it is full.
func (x *extraction) consume(ctx context.Context, r *reading, p *page) error {
	start, end := 0, 0 // lines of the page that wait to be written
	for i, one := range p.rows {
		line, id := p.line(one), one.id
		if one.reason == "" && x.redact != nil {
			line = x.redact.apply(line)
			if bytes.HasPrefix(id, []byte(digestPrefix)) { // as whoever reads the stored line will find it
				id = x.ids.rowID(line[:len(line)-1])
			}
		}
		if one.reason == "" && x.leaveOut(r.at.Pass, id, line) {
			x.part.ids.add(one.id)
			continue
		}
		if !x.part.fits(end-start+len(line), x.set.PartBytes) {
			if err := x.part.write(p.buf[start:end]); err != nil {
				return err
			}
			start, end = 0, 0
			if i > 0 {
				x.part.point.Next = r.stand(p.rows[i-1])
			}
			if err := x.store(ctx); err != nil {
				return err
			}
		}
		x.part.ids.add(one.id)
		var err error
		switch {
		case one.reason != "":
			err = x.reject(r.at.Pass, one, line)
		case x.redact != nil:
			x.note(id)
			err = x.part.write(line)
		default:
			x.note(id)
			if one.start != end {
				err = x.part.write(p.buf[start:end])
				start = one.start
			}
			end = one.end
		}
		if err != nil {
			return err
		}
	}
	if n := len(p.rows); n > 0 {
		x.part.point.Next = r.stand(p.rows[n-1])
	}
	return x.part.write(p.buf[start:end])
}

// note counts a row of the part.
func (x *extraction) note(id []byte) {
	x.part.note(id)
	x.told.Rows++
	if x.known != nil {
		x.known.add(id)
		x.part.point.Late++
	}
}

// leaveOut reports whether a row has been delivered by an earlier pass.
func (x *extraction) leaveOut(step int, id, line []byte) bool {
	if step >= len(x.passes) {
		return x.known.has(id)
	}
	for _, earlier := range x.passes[:step] {
		if len(earlier.Time) == 0 {
			continue
		}
		value, ok := lookup(line, earlier.Time)
		if !ok {
			continue
		}
		if t, ok := text(value); ok && x.journal.Plan.Window.contains(t) {
			x.part.point.Repeats++
			return true
		}
	}
	return false
}

func (x *extraction) reject(step int, one row, line []byte) error {
	if step >= len(x.passes) && x.known.has(one.id) {
		return nil
	}
	x.part.point.Rejects++
	data := line
	if n := len(data); n > 0 && data[n-1] == '\n' && one.whole() {
		data = data[:n-1]
	}
	return x.part.rejects.add(x.passes[step%len(x.passes)].Name, one, data, x.redact == nil)
}

// store puts the part being filled, and begins the next.
func (x *extraction) store(ctx context.Context) error {
	if err := x.judgeRedaction(ctx, false); err != nil {
		return err
	}
	guarded, cancel, err := x.guard(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	if x.part.point.Rejects > 0 {
		if x.part.point.RejectsKey, err = x.part.rejects.put(guarded, x.seams.Store, x.keys.rejects(x.run, x.number)); err != nil {
			return err
		}
	}
	if err := x.part.seal(); err != nil {
		return err
	}
	mine := x.part.point
	there, err := x.part.put(guarded, x.seams.Store, x.keys.part(x.run, x.number, extension(x.set.Gzip)))
	if err != nil {
		return err
	}
	x.number++
	x.sealed += mine.Bytes
	x.part.reset()
	if there.same(mine) {
		return nil
	}
	x.goOnFrom(there)
	x.known = nil
	return errAdopted
}

// save stores what has been read before a stop, or notes the place in the
// journal if that is nothing.
func (x *extraction) save(ctx context.Context) error {
	if !x.part.empty() {
		if err := x.store(ctx); err != nil && !errors.Is(err, errAdopted) {
			return err
		}
		return nil
	}
	at := x.part.point.Next
	at.Last = x.part.ids.ids(idBudget)
	x.journal.Resume = &resume{Parts: x.number, Place: at, Drift: x.part.point.Drift, Repeats: x.part.point.Repeats}
	return nil
}

// finish stores the last part and notes in the journal that all is stored.
func (x *extraction) finish(ctx context.Context) error {
	if !x.part.empty() {
		if err := x.store(ctx); err != nil {
			if errors.Is(err, errAdopted) { // a rival is as far as this; let the next call look
				return lease.ErrLost
			}
			return err
		}
	}
	doubts, err := x.wholeRun(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	x.observe()
	x.journal.Resume = nil
	x.journal.Extracted = &extracted{
		Parts: x.number, Drift: x.part.point.Drift, Repeats: x.part.point.Repeats, Source: x.origin(), Doubts: doubts,
	}
	return x.keep(context.WithoutCancel(ctx))
}

// observe adds what the call has met since it was last asked.
func (x *extraction) observe() {
	now, traffic := x.seams.Now(), x.feed.traffic()
	o := Observed{Traffic: traffic.minus(x.traffic), Pages: x.pages, Seconds: now.Sub(x.began).Seconds()}
	x.traffic, x.pages, x.began = traffic, 0, now
	x.journal.Observed = x.journal.Observed.plus(o)
	x.counted = x.counted.plus(o)
}

// stored returns the checkpoints of the parts that are there.
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
