package export

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hikyaku/internal/pagination"
	"hikyaku/pkg/providers"
)

// This file says when a call stops, when its run goes on, and when it stores what
// it has before a part is full.

const (
	// leastWait is the shortest pause: below it a call waits by itself.
	leastWait = 30 * time.Second
	// mostWait is how long a run waits for its provider, all pauses together.
	mostWait = 6 * time.Hour
)

// pauseFor returns until when a run pauses after an error. It is nil if neither
// the provider nor the reader asked for a pause, or if the run has paused for
// mostWait: the error is then the call's.
func (x *extraction) pauseFor(err error) *pause {
	now := x.seams.Now()
	var until time.Time
	var later *pagination.WaitError
	switch {
	case errors.As(err, &later):
		until = later.Until
	case providers.Retryable(err) && providers.RetryAfter(err) > 0:
		until = now.Add(max(leastWait, providers.RetryAfter(err)))
	default:
		return nil
	}
	waited := x.journal.Waited + until.Sub(now)
	if waited > mostWait {
		return nil
	}
	x.journal.Waited = waited
	return &pause{until: until.UTC(), cause: err.Error()}
}

// lastMoments is how long before the time to stop an error of the source is taken
// for lack of time: a client that would have to wait longer gives up at once.
const lastMoments = 5 * time.Second

// cutShort reports that reading ended for lack of time, and not because the
// source failed.
func cutShort(reading context.Context, err error) bool {
	if reading.Err() != nil {
		return true
	}
	deadline, ok := reading.Deadline()
	return ok && providers.Retryable(err) && time.Until(deadline) < lastMoments
}

// untilStop returns the context of reading, which ends stopAhead before ctx does.
// If little time is left, at most a third of it is kept for the end.
func untilStop(ctx context.Context, stopAhead time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	left := time.Until(deadline)
	return context.WithTimeout(ctx, left-min(stopAhead, left/3))
}

// A pause is why a run cannot go on now, and when it can.
type pause struct {
	until time.Time
	cause string
}

// safePoints says when a call stores what it has although no part is full. It does
// so only if the call before it died and got nowhere, after firstSafePoint and then
// at longer and longer intervals. If that has not helped either, because the rate
// allows a call no second answer in its life, it stores the first answer at once.
// So a process that is killed again and again still makes progress.
type safePoints struct {
	after  bool // the call before died and got nowhere
	atOnce bool // although it would have stored early
	began  time.Time
	next   time.Duration // since began; 0: none has been made
}

const firstSafePoint = 1500 * time.Millisecond

func (s *safePoints) due(now time.Time) bool {
	least := firstSafePoint
	if s.atOnce && s.next == 0 {
		least = 0
	}
	if !s.after || now.Sub(s.began) < max(s.next, least) {
		return false
	}
	s.next = max(firstSafePoint, 2*now.Sub(s.began))
	return true
}

// storeEarly stores what the call has, if that is due and it got further.
func (x *extraction) storeEarly(ctx context.Context) error {
	if x.here() == x.journal.From || !x.early.due(x.seams.Now()) {
		return nil
	}
	if err := x.save(ctx); err != nil {
		return err
	}
	return x.keep(context.WithoutCancel(ctx))
}

// maxFruitless is how many calls in a row may end for lack of time where they
// began. A provider that answers now and then would be asked for ever.
const maxFruitless = 5

// mostFailures is how many failures of a suspect count as progress.
const mostFailures = 50

// getsNowhere counts the calls in a row that ended where they began, and reports
// whether they are too many.
func (x *extraction) getsNowhere() bool {
	x.journal.Fruitless++
	if x.here() != x.journal.From {
		x.journal.Fruitless = 0
	}
	return x.journal.Fruitless >= maxFruitless
}

// here is how far the run has come, as a text to compare.
func (x *extraction) here() string { return progressOf(x.number, x.part.point.Next) }

func progressOf(parts int, at pagination.Position) string {
	failures := 0
	if at.Suspect != nil {
		failures = min(at.Suspect.Failures, mostFailures)
	}
	return fmt.Sprintf("%d %d %d %d %v %d", parts, at.Pass, at.Look, at.Rows, at.Windows, failures)
}
