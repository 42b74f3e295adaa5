package providers

import (
	"cmp"
	"context"
	"errors"
	"math"
	"sync"
	"time"
)

// Of a Pace.
const (
	leastHold  = time.Second      // of a 429 that names no time
	leastRate  = 0.1              // of the given rate: a provider that refuses all for hours is asked again at a bearable pace
	underSeen  = 0.96             // of the rate at which requests were seen to pass
	underGood  = 0.98             // of the last rate that was not refused
	probeAfter = 400              // requests without a refusal
	firstProbe = 0.005            // of the rate; each further one is twice as much
	mostKept   = 3000             // times of requests
	outdated   = 10 * time.Minute // without a request, after which what was learned no longer counts
)

// A Pace is a Limiter that finds out what an account allows. It begins with the
// rate it was given, without bursts, and is never faster. When a request is
// refused for its rate, all wait as the answer says; from then on the pace is
// just under what had passed before. After many requests without a refusal it
// probes upwards, first by little. It is safe for concurrent use.
//
// Providers count the requests of any second. So however late a process wakes
// up, no second of its own holds more requests than the rate has, and what the
// rate leaves of that second is for jitter on the way.
type Pace struct {
	turn chan struct{} // held by the one that waits for its moment

	mu      sync.Mutex
	most    float64 // requests per second
	pair    bool    // two may follow each other after a pause
	rate    float64
	good    float64     // the rate before the last probe
	probe   float64     // the next one
	passed  int         // requests since the rate was changed
	next    time.Time   // when a request is due
	hold    time.Time   // nothing is sent before
	sent    []time.Time // the last requests
	refused time.Time   // when a refusal was last heard of
	since   time.Time   // the first request after that
}

// NewPace returns a pace of at most perSecond requests per second.
func NewPace(perSecond float64) *Pace {
	return &Pace{turn: make(chan struct{}, 1), most: perSecond, rate: perSecond, good: perSecond, probe: firstProbe}
}

// AllowPair lets two requests follow each other at once after a pause: a job of
// the relay reads its user twice, and between the two Lambda would bill the
// waiting. A second then holds one request more than the rate has.
func (p *Pace) AllowPair() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pair = true
}

// Rate returns the requests per second that it keeps to now.
func (p *Pace) Rate() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rate
}

// A HeldError says that a provider answered 429, and that nothing is sent until
// a time that the caller does not live to see.
type HeldError struct{ Until time.Time }

// Error says until when.
func (e *HeldError) Error() string {
	return "held back by a 429 until " + e.Until.UTC().Format(time.RFC3339)
}

// Unwrap makes it a context.DeadlineExceeded.
func (*HeldError) Unwrap() error { return context.DeadlineExceeded }

// Wait returns when a request may be sent, or with an error when ctx ends. That
// is at once if ctx would end before its moment, and a *HeldError if a refusal
// is the reason.
func (p *Pace) Wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := p.held(ctx); err != nil {
		return err
	}
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return cmp.Or(p.held(ctx), ctx.Err())
	}
	began := time.Now()
	for {
		wait, sent := p.try(began)
		if sent {
			return nil
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < wait {
			return cmp.Or(p.held(ctx), context.DeadlineExceeded)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C: // the pace may have changed meanwhile
		case <-ctx.Done():
			timer.Stop()
			return cmp.Or(p.held(ctx), ctx.Err())
		}
	}
}

// held returns a *HeldError if ctx ends, by its deadline, before a refusal does.
func (p *Pace) held(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if deadline, ok := ctx.Deadline(); ok && p.hold.After(deadline) && !errors.Is(ctx.Err(), context.Canceled) {
		return &HeldError{p.hold}
	}
	return nil
}

// try notes a request as sent, or says how long to wait before the next try.
func (p *Pace) try(began time.Time) (time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if n := len(p.sent); n > 0 && now.Sub(latest(p.sent[n-1], p.hold)) > outdated {
		p.rate, p.good, p.probe, p.passed = p.most, p.most, firstProbe, 0
	}
	due := latest(p.next, p.hold)
	n := int(math.Ceil(p.rate))
	spread := time.Duration(float64(n) / p.rate * float64(time.Second)) // of n requests at this rate
	if p.pair {
		n++
	}
	if n <= len(p.sent) {
		due = latest(due, p.sent[len(p.sent)-n].Add((time.Second+spread)/2))
	}
	if wait := due.Sub(now); wait > 0 {
		return wait, false
	}
	// A moment that was missed is made up for; one that nobody wanted is not.
	gap := time.Duration(float64(time.Second) / p.rate)
	if p.pair { // but for the one before it
		began = began.Add(-gap)
	}
	p.next = latest(latest(due, began).Add(gap), now)
	if p.since.IsZero() || p.refused.After(p.since) {
		p.since = now
	}
	p.sent = append(p.sent[max(0, len(p.sent)+1-mostKept):], now)
	return 0, true
}

// Learn takes the outcome of a request and when it was sent.
func (p *Pace) Learn(sent time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !errors.Is(err, ErrRateLimited) {
		p.grow()
		return
	}
	now := time.Now()
	p.hold = latest(p.hold, now.Add(min(max(RetryAfter(err), leastHold), LongestRetryAfter)))
	if sent.Before(p.since) {
		return // of a pace that is over
	}
	seen := max(p.seen(sent), p.rate/2) // less may be others' doing
	switch {
	case seen < 0.9*p.rate:
		p.rate = min(p.rate, underSeen*seen)
	case sent.After(p.refused):
		p.rate = underGood * p.good
	}
	p.rate = max(p.rate, leastRate*p.most)
	p.good, p.probe, p.passed, p.refused = p.rate, firstProbe, 0, now
}

// seen returns the rate at which requests passed until one was refused. Too few
// or too old ones would tell nothing about it.
func (p *Pace) seen(refused time.Time) float64 {
	span := time.Duration(max(3, 30/p.rate) * float64(time.Second))
	from := latest(p.since, refused.Add(-span))
	count := -1 // without the refused one
	for _, t := range p.sent {
		if !t.Before(from) && !t.After(refused) {
			count++
		}
	}
	return float64(count) / max(1, refused.Sub(from).Seconds())
}

// grow counts a request that passed, and probes upwards after many.
func (p *Pace) grow() {
	if p.passed++; p.passed < probeAfter || p.rate >= p.most {
		return
	}
	p.good, p.passed = p.rate, 0
	p.rate = min(p.most, p.rate*(1+p.probe))
	p.probe *= 2
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
