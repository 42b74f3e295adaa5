package records

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"hikyaku/internal/export"
)

const (
	partsAtOnce = 2
	batchBytes  = 64 << 10               // of records that are handed over together
	batchTime   = 100 * time.Millisecond // after which fewer are handed over
	waiting     = 4                      // batches of a part that wait to be taken
)

// A Scan is one reading of a run.
type Scan struct {
	run    *Run
	query  Query
	needle []byte

	read atomic.Int64
}

// Read is how many records have been looked at so far, those that were jumped over
// included.
func (s *Scan) Read() int { return int(s.read.Load()) }

// All yields the records that the query chooses, in the run's order. A record's bytes are
// the caller's only until the next one. The first error is yielded once, and ends it; so
// does the end of ctx.
func (s *Scan) All(ctx context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var working sync.WaitGroup
		defer working.Wait()
		defer cancel()
		skip, left := s.query.Skip, s.query.Limit
		if !s.searches() {
			skip = 0 // the parts leave them out
		}
		for part := range s.parts(ctx, &working) {
			for batch := range part {
				for _, r := range batch.records {
					if skip > 0 {
						skip--
						continue
					}
					if !yield(r, nil) {
						return
					}
					if left--; left == 0 {
						return
					}
				}
				if batch.err != nil {
					yield(Record{}, batch.err)
					return
				}
			}
		}
		if err := ctx.Err(); err != nil {
			yield(Record{}, err)
		}
	}
}

// searches reports whether records are chosen by what they hold.
func (s *Scan) searches() bool { return len(s.needle) > 0 }

// jumps reports whether a record of which nothing is asked for has this number, so that
// neither it nor any before it is needed.
func (s *Scan) jumps(number int) bool { return !s.searches() && number <= s.query.Skip }

// A batch are records that were found beside each other.
type batch struct {
	records []Record
	err     error // the last of its part
}

// parts starts the reading of the parts, so many at once, and yields what each finds in
// the order of the run.
func (s *Scan) parts(ctx context.Context, working *sync.WaitGroup) <-chan chan batch {
	order := make(chan chan batch, partsAtOnce-1)
	working.Go(func() {
		defer close(order)
		turns := make(chan struct{}, partsAtOnce)
		first := 1
		for _, p := range s.run.Manifest.Parts {
			number := first
			first += p.Rows
			if s.jumps(first - 1) {
				s.read.Add(int64(p.Rows))
				continue
			}
			out := make(chan batch, waiting)
			select {
			case order <- out:
			case <-ctx.Done():
				return
			}
			select {
			case turns <- struct{}{}:
			case <-ctx.Done():
				close(out)
				return
			}
			working.Go(func() {
				defer func() { <-turns }()
				defer close(out)
				s.part(ctx, p, number, out)
			})
		}
	})
	return order
}

// errEnough ends the reading of a part of which nothing more is wanted.
var errEnough = errors.New("enough")

// part reads one part, whose first record has a number.
func (s *Scan) part(ctx context.Context, p export.Part, number int, out chan<- batch) {
	f := finder{ctx: ctx, scan: s, out: out, number: number, sent: time.Now(), match: matcher{needle: s.needle}}
	_, body, err := s.run.store.Get(ctx, p.Key)
	if err == nil {
		defer func() { _ = body.Close() }()
		err = export.EachLine(body, strings.HasSuffix(p.Key, ".gz"), f.line)
		if ctx.Err() != nil || errors.Is(err, errEnough) {
			return // nobody takes anything any more
		}
	}
	if err != nil {
		err = gone(p.Key, err)
	}
	f.send(err)
}

// A finder collects what is chosen of one part.
type finder struct {
	ctx    context.Context
	scan   *Scan
	out    chan<- batch
	number int // of the next record
	match  matcher

	found []Record
	size  int
	sent  time.Time
}

func (f *finder) line(line []byte) error {
	if f.number%256 == 0 && f.ctx.Err() != nil {
		return errEnough
	}
	line = bytes.TrimSuffix(line, []byte("\n"))
	if !f.scan.jumps(f.number) && f.match.chooses(line) {
		f.found = append(f.found, Record{f.number, bytes.Clone(line)})
		f.size += len(line)
	}
	f.number++
	f.scan.read.Add(1)
	if f.size < batchBytes && (len(f.found) == 0 || f.number%64 != 0 || time.Since(f.sent) < batchTime) {
		return nil
	}
	if !f.send(nil) {
		return errEnough
	}
	return nil
}

// send hands over what was found. It is false once nobody takes it.
func (f *finder) send(err error) bool {
	select {
	case f.out <- batch{f.found, err}:
	case <-f.ctx.Done():
		return false
	}
	f.found, f.size, f.sent = nil, 0, time.Now()
	return true
}

func (m *matcher) chooses(line []byte) bool {
	if len(m.needle) == 0 {
		return true
	}
	m.folded = AppendValues(m.folded[:0], line)
	return bytes.Contains(m.folded, m.needle)
}
