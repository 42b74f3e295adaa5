package tokenrefresh

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"hikyaku/internal/lease"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
)

// An attempt is one run of the protocol for one provider. What it has read
// lives here; it is used once.
type attempt struct {
	*Refresher

	provider string
	request  Request
	label    string // of what is stored but not promoted: Next, or AWSPENDING in a rotation
	id       string // of the version to write; empty: a new one each time
	began    time.Time

	view
	lease  *lease.Lease
	result Result
}

// A view is what was read of a credential.
type view struct {
	connection        providers.Connection
	connectionVersion string
	unreadable        error           // why the connection document cannot be used
	token             providers.Token // what callers read now; no credential if there is none
	tokenVersion      string          // the version that AWSCURRENT is on, placeholder or not
	state             state
}

// A verdict is how an attempt ends.
type verdict struct {
	outcome Outcome
	reason  string
	err     error
}

func (a *attempt) run(ctx context.Context) verdict {
	due, rests := a.recall()
	if rests {
		return verdict{Resting, "", nil}
	}
	if !due {
		v, done := a.look(ctx)
		if done && !a.untold(a.deps.Now()) {
			return v
		}
		due = !done
	}
	if due {
		d, err := a.deps.Secrets.Describe(ctx, a.secret(a.provider, a.record()))
		switch {
		case errors.Is(err, secretstore.ErrNotFound):
		case err != nil:
			return verdict{Failed, "reading the secret's rotation", err}
		case d.Rotating:
			return a.startRotation(ctx, d)
		}
	}
	return a.underLease(ctx)
}

// underLease takes the lease, looks again, and acts.
func (a *attempt) underLease(ctx context.Context) verdict {
	var held *lease.HeldError
	if err := a.acquire(ctx); errors.As(err, &held) {
		return a.wait(ctx)
	} else if err != nil {
		return verdict{Failed, "acquiring the lease", err}
	}
	v, done := a.look(ctx)
	if !done {
		v = a.act(ctx)
		a.remember(v)
	}
	return a.release(ctx, v)
}

// acquire takes the lease and inherits its journal. A journal that cannot be
// read is left alone, under a lease that ends by itself: releasing it would
// write another.
func (a *attempt) acquire(ctx context.Context) error {
	l, err := lease.Acquire(ctx, a.deps.Objects, a.leaseKey(a.provider), a.deps.NewID(), leaseTTL, a.deps.Now)
	if err != nil {
		return err
	}
	if a.state, err = readState(l.Journal); err != nil {
		return err
	}
	a.lease = l
	return nil
}

func (a *attempt) act(ctx context.Context) verdict {
	faults := a.connection.Unsendable()
	switch {
	case a.unreadable != nil:
		return verdict{Unavailable, "the connection secret is not of the documented schema", a.unreadable}
	case len(faults) > 0:
		return verdict{Unavailable, "the connection cannot work: " + faults.Error(), nil}
	case hurried(ctx):
		return verdict{Failed, "too little time is left for a token call and its writes", nil}
	}
	switch a.connection.Kind {
	case providers.ClientCredentials:
		return a.renew(ctx)
	case providers.OneTimePair, providers.OneTimeCode:
		return a.spend(ctx)
	case providers.Static:
		return a.keepStatic(ctx)
	}
	return verdict{Unavailable, "the connection names no known kind of credential", nil}
}

// hurried: too little time is left for a token call and the writes after it.
func hurried(ctx context.Context) bool {
	const least = 5 * time.Second
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && time.Until(deadline) < least
}

// record names the secret that is the source of truth for the credential.
func (a *attempt) record() string {
	if oneTime(a.connection.Kind) {
		return secretstore.RefreshPart
	}
	return secretstore.TokenPart
}

// wait is what the loser of the lease does: it waits for the winner's token
// while a caller waits for it, and else leaves.
func (a *attempt) wait(ctx context.Context) verdict {
	rejected := a.request.RejectedVersion
	if rejected == "" {
		return verdict{Waiting, "another run holds the lease", nil}
	}
	for range waitForNew / waitStep {
		select {
		case <-ctx.Done():
			return verdict{Waiting, "another run holds the lease", ctx.Err()}
		case <-time.After(waitStep):
		}
		if err := a.readToken(ctx); err == nil && a.tokenVersion != rejected && !a.token.Credential.Empty() {
			return verdict{Replaced, "another run replaced it", nil}
		}
	}
	return verdict{Waiting, "another run holds the lease; try again", nil}
}

// remember takes the verdict of an attempt that did something into the state.
func (a *attempt) remember(v verdict) {
	switch {
	case v.outcome.failed() || v.outcome.needsHuman():
		a.state.Failures++
	case v.outcome.settled():
		a.state.Failures, a.state.Connection = 0, a.connectionVersion
	default:
		return
	}
	a.state.Outcome, a.state.Reason, a.state.At, a.state.Tried = v.outcome, v.reason, a.began, a.key()
}

// release tells people what they do not know yet and ends the lease, with the
// state for the next holder, even if ctx has ended.
func (a *attempt) release(ctx context.Context, v verdict) verdict {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	a.tell(ctx)
	if err := a.lease.Release(ctx, a.state.journal()); err != nil && v.err == nil {
		v.err = err
	}
	return v
}

// conclude makes the report of an attempt, measures and logs it.
func (a *attempt) conclude(ctx context.Context, v verdict) Result {
	x := &a.result
	x.Provider, x.Kind, x.Outcome, x.Seconds = a.provider, a.connection.Kind, v.outcome, a.deps.Now().Sub(a.began).Seconds()
	if v.reason != "" {
		x.Reason = v.reason
	}
	if !a.token.Credential.Empty() {
		x.Version = a.tokenVersion
		if expires := a.token.ExpiresAt; !expires.IsZero() {
			x.ExpiresAt = &expires
		}
	}
	if x.Outcome == Resting {
		return *x
	}
	a.memorize(v)
	if x.Outcome != Off {
		a.measure(*x)
	}
	level := slog.LevelInfo
	if x.Outcome.failed() || x.Outcome.needsHuman() {
		level = slog.LevelError
	}
	a.deps.Log.Log(ctx, level, "credential looked at", "provider", x.Provider, "outcome", x.Outcome,
		"reason", x.Reason, "elapsed", x.Seconds, "err", v.err)
	return *x
}
