package webhookrelay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"hikyaku/pkg/providers"
)

// Of a governor's breaker.
const (
	failuresToOpen = 5
	firstBreak     = 2 * time.Second
	longestBreak   = 5 * time.Minute
	leastHold      = time.Second // of a 429 that names no time

	// Of its rate, after a 429 and after so many requests without one.
	slower, faster = 0.8, 1.1
	probeAfter     = 50
)

// A Governor paces one account's requests from one instance of a function: a
// rate without bursts (but see AllowPair) that each 429 lowers and that then
// rises again to what the settings allow, a pause while the provider asks for
// one, and a breaker that leaves a dead provider alone for growing times. It is
// safe for concurrent use and is a providers.Limiter.
type Governor struct {
	limiter *rate.Limiter
	now     func() time.Time

	mu       sync.Mutex
	most     rate.Limit // that the settings allow
	passed   int        // requests since the rate was changed
	until    time.Time  // nothing is sent before
	failures int        // in a row
}

// NewGovernor returns a governor of the instance's part of an account's limit:
// perSecond is the account's, share the function's part of it (0 to 1), and
// instances how many of the function may run at once.
func NewGovernor(perSecond, share float64, instances int, now func() time.Time) *Governor {
	most := rate.Limit(perSecond * share / float64(max(instances, 1)))
	return &Governor{limiter: rate.NewLimiter(most, 1), most: most, now: now}
}

// errHeldBack: the governor itself let a request wait for another time. It says
// nothing of the provider, or every try would lengthen the break.
var errHeldBack = fmt.Errorf("%w: held back", providers.ErrUnsent)

// AllowPair lets two requests follow each other at once after a pause: a job
// reads its user twice, and between the two Lambda would bill the waiting.
func (g *Governor) AllowPair() { g.limiter.SetBurst(2) }

// Wait returns when a request may be sent. It is an error at once if the
// provider is to be left alone for now.
func (g *Governor) Wait(ctx context.Context) error {
	if g.Held() > 0 {
		return errHeldBack
	}
	if err := g.limiter.Wait(ctx); err != nil {
		return fmt.Errorf("%w: %w", errHeldBack, err)
	}
	return nil
}

// Held returns for how long nothing should be sent; 0 if something may be.
func (g *Governor) Held() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(0, g.until.Sub(g.now()))
}

// Note takes the outcome of a request: 429 and Retry-After hold the next ones
// back, and so do failures in a row.
func (g *Governor) Note(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	wait := providers.RetryAfter(err)
	switch {
	case errors.Is(err, providers.ErrRateLimited):
		wait = max(wait, leastHold)
		g.pace(slower)
	case errors.Is(err, context.Canceled), errors.Is(err, errOtherPlace), errors.Is(err, errHeldBack):
		return // our own doing
	case errors.Is(err, providers.ErrTemporary):
		g.failures++
		if over := g.failures - failuresToOpen; over >= 0 {
			wait = max(wait, min(longestBreak, firstBreak<<min(over, 16)))
		}
	default:
		g.failures = 0
		if g.passed++; g.passed >= probeAfter {
			g.pace(faster)
		}
	}
	if until := g.now().Add(wait); wait > 0 && until.After(g.until) {
		g.until = until
	}
}

// pace changes the rate by a factor, within what the settings allow and a
// tenth of it: an account may allow less than its operator believes.
func (g *Governor) pace(factor rate.Limit) {
	g.passed = 0
	g.limiter.SetLimitAt(g.now(), min(g.most, max(g.most/10, g.limiter.Limit()*factor)))
}
