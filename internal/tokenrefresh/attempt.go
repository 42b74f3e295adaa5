package tokenrefresh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

	connection        providers.Connection
	connectionVersion string
	token             providers.Token // what callers read now; no credential if there is none
	tokenVersion      string          // the version that AWSCURRENT is on, placeholder or not

	lease  *lease.Lease
	state  state
	result Result
	err    error // of the last thing that failed, for the log
}

// A verdict is how an attempt ends.
type verdict struct {
	outcome Outcome
	reason  string
	err     error
}

func (a *attempt) run(ctx context.Context) verdict {
	if v, done := a.look(ctx); done {
		return v
	}
	if rotating, err := a.rotating(ctx); err != nil {
		return verdict{Failed, "reading the secret's rotation", err}
	} else if rotating {
		err := a.deps.Rotate(ctx, a.secret(a.provider, a.record()))
		if err != nil {
			return verdict{Failed, "starting the rotation", err}
		}
		return verdict{Rotating, "secrets manager drives this secret", nil}
	}
	return a.underLease(ctx)
}

// underLease takes the lease, looks again, and acts.
func (a *attempt) underLease(ctx context.Context) verdict {
	var held *lease.HeldError
	l, err := lease.Acquire(ctx, a.deps.Objects, a.leaseKey(a.provider), a.deps.NewID(), leaseTTL, a.deps.Now)
	switch {
	case errors.As(err, &held):
		return a.wait(ctx)
	case err != nil:
		return verdict{Failed, "acquiring the lease", err}
	}
	a.lease = l
	v, done := a.look(ctx)
	if !done {
		v = a.act(ctx)
	}
	return a.release(ctx, v)
}

// look reads everything and decides whether there is anything to do.
func (a *attempt) look(ctx context.Context) (verdict, bool) {
	if err := a.read(ctx); errors.Is(err, secretstore.ErrNotFound) {
		return verdict{Off, "no connection", nil}, true
	} else if errors.Is(err, providers.ErrInvalid) {
		return verdict{Unavailable, "the connection secret is not of the documented schema", err}, true
	} else if err != nil {
		return verdict{Failed, "reading secrets and state", err}, true
	}
	if rejected := a.request.RejectedVersion; rejected != "" && !a.token.Credential.Empty() && a.tokenVersion != rejected {
		return verdict{Replaced, "another version is served already", nil}, true
	}
	now := a.deps.Now()
	reason := a.due(now)
	switch {
	case reason == "":
		return verdict{Fresh, "", nil}, true
	case a.request.Force:
	case a.state.Terminal == a.terminalKey() && a.state.Outcome != InDoubt: // in doubt: the answer may yet be found stored
		return verdict{a.state.Outcome, "nothing changed since; a person has been told", nil}, true
	case now.Before(a.state.coolUntil()):
		return verdict{Cooling, "failed a moment ago", nil}, true
	}
	a.result.Reason = reason
	return verdict{}, false
}

func (a *attempt) read(ctx context.Context) error {
	value, err := a.deps.Secrets.Get(ctx, a.secret(a.provider, secretstore.ConnectionPart), secretstore.Current)
	if err != nil {
		return err
	}
	a.connectionVersion = value.ID
	if a.connection, err = providers.ParseConnection(value.Data); err != nil {
		return err
	}
	a.result.Provider, a.result.Kind = a.provider, a.connection.Kind
	if err := a.readToken(ctx); err != nil {
		return err
	}
	if a.lease != nil {
		a.state, err = readState(a.lease.Journal)
	} else {
		a.state, err = a.peek(ctx, a.provider)
	}
	return err
}

// readToken reads what callers are served. A placeholder, or a document that
// cannot be read, is no token, but its version is the base of the next one.
func (a *attempt) readToken(ctx context.Context) error {
	value, err := a.deps.Secrets.Get(ctx, a.secret(a.provider, secretstore.TokenPart), secretstore.Current)
	if errors.Is(err, secretstore.ErrNotFound) {
		a.token, a.tokenVersion = providers.Token{}, ""
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the token secret: %w", err)
	}
	a.tokenVersion = value.ID
	a.token, err = providers.ParseToken(value.Data)
	if err != nil {
		a.token = providers.Token{}
	}
	return nil
}

// due returns why there is something to do, or "".
func (a *attempt) due(now time.Time) string {
	policy := PolicyOf(a.provider, a.connection.Kind)
	at := policy.dueAt(a.token.ObtainedAt, a.token.ExpiresAt)
	switch {
	case a.request.Force:
		return "asked for by a person"
	case a.token.Credential.Empty():
		return "no token yet"
	case a.request.RejectedVersion != "":
		return "the provider rejected it"
	case a.state.Intent != nil:
		return "an earlier run did not finish"
	case a.state.Connection != a.connectionVersion:
		return "the connection changed"
	case !at.IsZero() && !now.Before(at) && a.connection.Kind != providers.Static:
		return "its time has come"
	case policy.Probe > 0 && now.Sub(a.state.Probed) >= policy.Probe && now.Sub(a.state.At) >= policy.Probe:
		return "to be tried"
	case a.warningDue(now) > 0:
		return "it ends soon"
	}
	return ""
}

// terminalKey identifies what a provider refused for good: while it is the
// same, asking again is useless.
func (a *attempt) terminalKey() string { return a.connectionVersion + "/" + a.tokenVersion }

// record names the secret that is the source of truth for the credential.
func (a *attempt) record() string {
	if a.connection.Kind == providers.OneTimePair || a.connection.Kind == providers.OneTimeCode {
		return secretstore.RefreshPart
	}
	return secretstore.TokenPart
}

func (a *attempt) rotating(ctx context.Context) (bool, error) {
	d, err := a.deps.Secrets.Describe(ctx, a.secret(a.provider, a.record()))
	if errors.Is(err, secretstore.ErrNotFound) {
		return false, nil
	}
	return d.Rotating, err
}

func (a *attempt) act(ctx context.Context) verdict {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < leastTime {
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

// leastTime is what a token call and the writes after it may need.
const leastTime = 5 * time.Second

// wait is what the loser of the lease does: it waits for the winner's token
// while a caller waits for it, and else leaves.
func (a *attempt) wait(ctx context.Context) verdict {
	rejected := a.request.RejectedVersion
	if rejected == "" {
		return verdict{Waiting, "another run holds the lease", nil}
	}
	for end := a.deps.Now().Add(waitForNew); a.deps.Now().Before(end); {
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

// tokenWith is the callers' document for a credential of this connection.
func (a *attempt) tokenWith(credential providers.Secret, obtained, expires time.Time) providers.Token {
	c := a.connection
	return providers.Token{
		Provider: a.provider, Kind: c.Kind, BaseURL: c.BaseURL, LoginURL: c.LoginURL, Account: c.Account,
		Credential: credential, ObtainedAt: obtained, ExpiresAt: expires, Quirks: c.Quirks, Base: a.tokenVersion,
	}
}

// serves reports whether callers already read what desired says.
func (a *attempt) serves(desired providers.Token) bool {
	return sameToken(a.token, desired)
}

// sameToken compares what callers can see.
func sameToken(x, y providers.Token) bool {
	return x.Credential == y.Credential && x.ExpiresAt.Equal(y.ExpiresAt) && x.BaseURL == y.BaseURL &&
		x.LoginURL == y.LoginURL && x.Account == y.Account && x.Kind == y.Kind && bytes.Equal(x.Quirks, y.Quirks)
}

// release writes what is to be remembered and ends the lease. The lease is
// given back even if ctx has ended.
func (a *attempt) release(ctx context.Context, v verdict) verdict {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	a.remember(v)
	a.tell(ctx, v)
	if err := a.lease.Release(ctx, a.state.journal()); err != nil && v.err == nil {
		v.err = err
	}
	return v
}

func (a *attempt) remember(v verdict) {
	now := a.deps.Now()
	if v.outcome == Fresh || v.outcome == Replaced || v.outcome == Cooling {
		return
	}
	a.state.Outcome, a.state.At = v.outcome, now
	switch {
	case v.outcome.needsHuman():
		a.state.Failures++
		if a.connection.Kind != providers.Static {
			a.state.Terminal = a.terminalKey()
		}
	case v.outcome.failed():
		a.state.Failures++
	default:
		a.state.Failures, a.state.Terminal, a.state.Connection = 0, "", a.connectionVersion
	}
}

// finish fills the result.
func (a *attempt) finish(v verdict) {
	a.result.Provider, a.result.Outcome, a.err = a.provider, v.outcome, v.err
	if v.reason != "" {
		a.result.Reason = v.reason
	}
	if !a.token.Credential.Empty() {
		a.result.Version = a.tokenVersion
		if !a.token.ExpiresAt.IsZero() {
			expires := a.token.ExpiresAt
			a.result.ExpiresAt = &expires
		}
	}
}
