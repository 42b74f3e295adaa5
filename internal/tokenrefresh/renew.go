package tokenrefresh

import (
	"context"
	"errors"
	"net/http"
	"time"

	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
)

// renew replaces a credential that can be asked for at any time. The token
// secret is its record: the new token is stored there under the label,
// probed, and promoted. A crash before the store costs one unused token.
func (a *attempt) renew(ctx context.Context) verdict {
	current, err := a.current(ctx, secretstore.TokenPart)
	if err != nil {
		return verdict{Failed, "reading the token secret", err}
	}
	a.tokenVersion = current.ID
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
	case definiteNo(err):
		return verdict{Refused, "the new token does not work", errors.Join(err, a.drop(ctx, id))}
	case err != nil:
		return verdict{Unproven, "the new token is stored; its probe gave no clear answer", err}
	}
	served, err := a.swapToken(ctx, id, next)
	if served != Refreshed {
		outcome = served
	}
	return verdict{outcome, "", err}
}

// storedToken finds a usable token that an earlier run stored for the version
// that is current now and for the connection as it is now.
func (a *attempt) storedToken(ctx context.Context, current secretstore.Value) (providers.Token, string, error) {
	stored, found, err := a.labeled(ctx, secretstore.TokenPart, current)
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
	if !a.state.spendBudget(a.deps.Now(), 1) {
		return providers.Token{}, "", verdict{OverBudget, "the secret has had 90 new versions in 24 hours; the provider was not asked", secretstore.ErrLimit}
	}
	grant, err := a.obtain(ctx, providers.Secret{}, false)
	switch {
	case errors.Is(err, providers.ErrRevoked):
		return providers.Token{}, "", verdict{Refused, "the provider refuses the client's credentials", err}
	case err != nil:
		return providers.Token{}, "", verdict{Failed, "asking for a token", err}
	}
	token := a.tokenWith(grant.Access, grant.ObtainedAt, grant.ExpiresAt)
	id, err := a.store(ctx, secretstore.TokenPart, token.Document())
	if err != nil {
		return providers.Token{}, "", verdict{Failed, "storing the new token", err}
	}
	return token, id, verdict{}
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
		if !clientRefused(err) {
			break
		}
	}
	return grant, err
}

// clientRefused: the client's own id or secret was refused (RFC 6749, 5.2).
func clientRefused(err error) bool {
	var e *providers.Error
	if !errors.As(err, &e) || !errors.Is(err, providers.ErrRevoked) {
		return false
	}
	return e.Code == "invalid_client" || e.Code == "unauthorized_client" || e.Code == "" && e.Status == http.StatusUnauthorized
}

// drop takes the label off a token that does not work.
func (a *attempt) drop(ctx context.Context, id string) error {
	return a.deps.Secrets.Promote(ctx, a.secret(a.provider, secretstore.TokenPart), a.label, "", id)
}
