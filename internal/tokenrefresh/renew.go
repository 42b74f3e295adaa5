package tokenrefresh

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
)

// renew replaces a credential that can be asked for at any time. The token
// secret is its record: the new token is stored there under the label,
// probed, and promoted. A crash before the store costs one unused token.
func (a *attempt) renew(ctx context.Context) verdict {
	current := secretstore.Value{Version: secretstore.Version{ID: a.tokenVersion}} // read a moment ago, under the lease
	if current.ID == "" {
		var err error
		if current, err = a.current(ctx, secretstore.TokenPart); err != nil {
			return verdict{Failed, "reading the token secret", err}
		}
		a.tokenVersion = current.ID
	}
	next, id, err := a.storedToken(ctx, current)
	if err != nil {
		return verdict{Failed, "reading the stored token", err}
	}
	outcome := Promoted
	if id == "" {
		var v verdict
		if next, id, v = a.obtainToken(ctx); id == "" {
			return v
		}
		outcome = Refreshed
	}
	switch err := a.authority().Probe(ctx, a.connection, next); {
	case providers.Refused(err):
		return verdict{Denied, "the new token does not work", errors.Join(err, a.unlabel(ctx, secretstore.TokenPart, a.label, id))}
	case err != nil:
		return verdict{Unproven, "the new token is stored; its probe gave no clear answer", err}
	}
	served, err := a.swapToken(ctx, id, next)
	return verdict{settled(outcome, served), "", err}
}

// settled is how an attempt ends whose last step ended with served.
func settled(outcome, served Outcome) Outcome {
	if served == Refreshed {
		return outcome
	}
	return served
}

// storedToken finds a usable token that an earlier run stored for the version
// that is current now and for the connection as it is now.
func (a *attempt) storedToken(ctx context.Context, current secretstore.Value) (providers.Token, string, error) {
	stored, found, err := a.labeled(ctx, secretstore.TokenPart, a.label, current)
	if err != nil || !found {
		return providers.Token{}, "", err
	}
	token, err := providers.ParseToken(stored.Data)
	if err != nil {
		return providers.Token{}, "", nil //nolint:nilerr // written by no run of ours: it is overwritten
	}
	desired := a.tokenWith(token.Credential, token.ObtainedAt, token.ExpiresAt)
	due := PolicyOf(a.provider, token.Kind).dueAt(token.ObtainedAt, token.ExpiresAt)
	if token.Base != current.ID || !sameToken(token, desired) || !due.IsZero() && !a.deps.Now().Before(due) {
		return providers.Token{}, "", nil
	}
	return token, stored.ID, nil
}

// obtainToken asks for a token and stores it under the label.
func (a *attempt) obtainToken(ctx context.Context) (providers.Token, string, verdict) {
	none := providers.Token{}
	if !a.mayWrite(1) {
		return none, "", a.overBudget()
	}
	grant, err := a.obtain(ctx, providers.Secret{}, false)
	switch {
	case errors.Is(err, providers.ErrRevoked):
		return none, "", verdict{Refused, "the provider refuses the client's credentials", err}
	case neverSent(err):
		return none, "", unusable(err)
	case err != nil:
		return none, "", verdict{Failed, "asking for a token", err}
	}
	token := a.tokenOf(grant)
	id, err := a.store(ctx, secretstore.TokenPart, token.Document())
	if err != nil {
		return none, "", verdict{Failed, "storing the new token", err}
	}
	return token, id, verdict{}
}

// payer is whose budget the attempt writes from.
func (a *attempt) payer() payer {
	switch {
	case a.request.Force:
		return people
	case a.request.RejectedVersion != "":
		return functions
	}
	return schedule
}

func (a *attempt) mayWrite(n int) bool { return a.state.mayWrite(a.deps.Now(), n, a.payer()) }

// overBudget is the verdict on an attempt that would write too many versions.
func (a *attempt) overBudget() verdict {
	by := a.payer()
	reason := fmt.Sprintf("%s have had %d versions written in 24 hours, as many as they may; the provider was not asked", by, budgets[by])
	return verdict{OverBudget, reason, secretstore.ErrLimit}
}

// neverSent: the connection is such that no request could be made of it.
func neverSent(err error) bool {
	var e *providers.Error
	return errors.Is(err, providers.ErrInvalid) && (!errors.As(err, &e) || e.Status == 0)
}

func unusable(err error) verdict {
	return verdict{Unavailable, "no token request can be made of the connection", err}
}

// obtain calls the token endpoint with the first client secret that the
// provider knows. A refused client has spent nothing, so the next secret may
// be tried; after any other answer nothing is.
func (a *attempt) obtain(ctx context.Context, spend providers.Secret, fromCode bool) (providers.Grant, error) {
	secrets := a.connection.ClientSecrets
	if len(secrets) == 0 {
		secrets = []providers.Secret{{}}
	}
	if deadline, ok := ctx.Deadline(); ok { // leave half of the time to the writes
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	var grant providers.Grant
	var err error
	for _, secret := range secrets {
		grant, err = a.authority().Obtain(ctx, a.connection, secret, spend, fromCode)
		if !errors.Is(err, providers.ErrClient) {
			break
		}
	}
	return a.believable(ctx, grant), err
}

// believable is a grant whose end is unknown if it is later than the provider
// documents: who believed it would serve a dead token.
func (a *attempt) believable(ctx context.Context, grant providers.Grant) providers.Grant {
	documented, stated := PolicyOf(a.provider, a.connection.Kind).Life, grant.ExpiresAt.Sub(grant.ObtainedAt)
	if documented > 0 && !grant.ExpiresAt.IsZero() && stated > documented+documented/10 { // what documents say is rounded
		a.deps.Log.WarnContext(ctx, "the provider states a longer life than it documents, which is not believed", "provider", a.provider,
			"stated_s", stated.Seconds(), "documented_s", documented.Seconds())
		grant.ExpiresAt = time.Time{}
	}
	return grant
}
