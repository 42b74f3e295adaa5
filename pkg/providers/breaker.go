package providers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Of a Breaker.
const (
	failuresToOpen = 5
	firstBreak     = 2 * time.Second
	longestBreak   = 5 * time.Minute
)

// A Breaker is a Pace that fails at once, instead of waiting, while a provider
// has asked for a pause, and that leaves a provider alone for growing times once
// several calls in a row have failed. It is safe for concurrent use.
type Breaker struct {
	*Pace

	mu       sync.Mutex
	until    time.Time // nothing is sent before
	failures int       // calls in a row
}

// NewBreaker returns a breaker that paces requests like pace.
func NewBreaker(pace *Pace) *Breaker { return &Breaker{Pace: pace} }

// errHeldBack is our own throttling, not a provider's failure: counted as one,
// every try would lengthen the break.
var errHeldBack = fmt.Errorf("%w: held back", ErrUnsent)

// Wait returns when a request may be sent. It is an error at once if the
// provider is to be left alone for now.
func (b *Breaker) Wait(ctx context.Context) error {
	if b.Held() > 0 {
		return errHeldBack
	}
	if err := b.Pace.Wait(ctx); err != nil {
		return fmt.Errorf("%w: %w", errHeldBack, err)
	}
	return nil
}

// Held returns for how long nothing should be sent; 0 if something may be.
func (b *Breaker) Held() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, time.Until(b.until))
}

// Observe takes how a call ended, as clients tell it: a 429, a Retry-After and
// failures in a row hold the next ones back.
func (b *Breaker) Observe(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	wait := RetryAfter(err)
	switch {
	case errors.Is(err, errHeldBack), errors.Is(err, context.Canceled):
		return // our own doing
	case errors.Is(err, ErrRateLimited):
		wait = max(wait, leastHold)
	case errors.Is(err, ErrTemporary):
		b.failures++
		if over := b.failures - failuresToOpen; over >= 0 {
			wait = max(wait, min(longestBreak, firstBreak<<min(over, 16)))
		}
	default:
		b.failures = 0
	}
	if wait > 0 {
		b.until = latest(b.until, time.Now().Add(wait))
	}
}
