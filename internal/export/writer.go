package export

import (
	"context"

	"hikyaku/internal/pagination"
	"hikyaku/pkg/jsonscan"
)

// A writer fills a run's parts with rows.
type writer struct {
	*job

	feed   Feed
	steps  []step
	redact *redactor
	part   *part
	number int // of the part being filled
	known  *pagination.Known
	rows   int   // written by this call
	sealed int64 // bytes of the parts that this call stored
}

// consume writes a page's rows into the part, and cuts where it is full.
func (w *writer) consume(ctx context.Context, r *pagination.Reader, p pagination.Page) error {
	at := w.part.point.Next
	w.part.point.Repeats += p.Repeated
	if p.Unread != nil && w.run.Dataset.Incremental { // any other run asks for all again
		if err := w.owe(ctx, w.steps[at.Pass], *p.Unread); err != nil {
			return err
		}
	}
	start, end := 0, 0 // lines of the page that wait to be written
	for i, row := range p.Rows {
		line, id := p.Line(row), row.ID
		if row.Fault == "" {
			if w.redact != nil {
				line = w.redact.apply(line)
				if pagination.IsDigest(id) { // as anybody who reads the stored line will find it
					id = w.run.Dataset.rowID(line[:len(line)-1])
				}
			}
			if w.deliveredBefore(at.Pass, line) {
				w.part.point.Repeats++
				w.part.known = row.AppendKnown(w.part.known)
				continue
			}
		}
		if !w.part.fits(end-start+len(line), w.set.PartBytes) {
			if err := w.part.write(p.Body[start:end]); err != nil {
				return err
			}
			start, end = 0, 0
			w.part.point.Next = r.PositionAfter(p, i)
			if err := w.store(ctx); err != nil {
				return err
			}
		}
		w.part.known = row.AppendKnown(w.part.known)
		var err error
		switch {
		case row.Fault != "":
			err = w.reject(w.steps[at.Pass], row, line)
		case w.redact != nil:
			w.countRow(id, at.Look)
			err = w.part.write(line)
		default:
			w.countRow(id, at.Look)
			if row.Start != end {
				err = w.part.write(p.Body[start:end])
				start = row.Start
			}
			end = row.End + 1
		}
		if err != nil {
			return err
		}
	}
	w.part.point.Next = r.Position()
	return w.part.write(p.Body[start:end])
}

// countRow counts a row of the part.
func (w *writer) countRow(id []byte, look int) {
	w.part.countRow(id)
	w.rows++
	if look > 0 {
		w.part.point.Late++
	}
}

// deliveredBefore reports whether an earlier pass must have delivered a row of
// a run that is too long for all its rows to be remembered.
func (w *writer) deliveredBefore(pass int, line []byte) bool {
	if !w.known.Forgetful() {
		return false
	}
	for _, earlier := range w.steps[:pass] {
		if len(earlier.Time) == 0 || earlier.owed {
			continue
		}
		value, ok := jsonscan.Lookup(line, earlier.Time)
		if !ok {
			continue
		}
		if t, ok := jsonscan.Text(value); ok && w.journal.Plan.Window.contains(t) {
			return true
		}
	}
	return false
}

func (w *writer) reject(s step, row pagination.Row, line []byte) error {
	w.part.point.Rejects++
	if s.owed {
		w.part.point.Owed++
	}
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	return w.part.rejects.add(s.Name, row, line, w.redact == nil)
}

// store puts the part being filled, and begins the next.
func (w *writer) store(ctx context.Context) error {
	if err := w.judgeRedaction(ctx); err != nil {
		return err
	}
	guarded, cancel, err := w.guard(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	if w.part.point.Rejects > 0 {
		if w.part.point.RejectsKey, err = w.part.rejects.put(guarded, w.seams.Store, w.keys.rejects(w.run, w.number)); err != nil {
			return err
		}
	}
	if err := w.putKnown(guarded); err != nil {
		return err
	}
	if err := w.part.seal(); err != nil {
		return err
	}
	mine := w.part.point
	there, err := w.part.put(guarded, w.seams.Store, w.keys.part(w.run, w.number, extension(w.set.Gzip)))
	if err != nil {
		return err
	}
	w.number++
	w.sealed += mine.Bytes
	w.part.reset()
	if samePart(there, mine) {
		return nil
	}
	return errAdopted
}

// owe notes a window in which a record cannot be read: later runs ask for it
// again.
func (w *writer) owe(ctx context.Context, s step, window pagination.Window) error {
	owed := Owed{Pass: s.Name, From: window.From, To: window.To, SinceRun: w.run.ID, Left: owedRuns}
	for _, before := range w.journal.Plan.Owed {
		if s.owed && before.Pass == s.Name && before.From.Equal(s.window.From) && before.To.Equal(s.window.To) {
			owed.SinceRun, owed.Left = before.SinceRun, before.Left-1
		}
	}
	for _, known := range w.journal.Owed {
		if known.Pass == owed.Pass && known.From.Equal(owed.From) && known.To.Equal(owed.To) {
			return nil
		}
	}
	w.journal.Owed = append(w.journal.Owed, owed)
	return w.keep(context.WithoutCancel(ctx))
}

// owedRuns is how many scheduled runs ask again for a window in which a record
// could not be read.
const owedRuns = 7
