package tokenrefresh

import (
	"context"

	"hikyaku/pkg/providers"
)

// keepStatic serves what a person entered into the connection, tries it, and
// lets people be warned before it ends.
func (a *attempt) keepStatic(ctx context.Context) verdict {
	if a.connection.APIKey.Empty() {
		return verdict{Unavailable, "the connection has no api_key", nil}
	}
	token := a.tokenWith(a.connection.APIKey, a.token.ObtainedAt, a.connection.ExpiresAt)
	if token.Credential != a.token.Credential || token.ObtainedAt.IsZero() {
		token.ObtainedAt = a.deps.Now()
	}
	if token.Expired(a.deps.Now()) {
		return verdict{Refused, "the credential's configured end has passed", nil}
	}
	return a.settle(ctx, token)
}

// settle tries a token that is not to be replaced now, and serves it unless
// the provider says no.
func (a *attempt) settle(ctx context.Context, token providers.Token) verdict {
	if !a.serves(token) && !a.mayWrite(1) {
		return a.overBudget()
	}
	return a.judge(ctx, token, a.authority().Probe(ctx, a.connection, token))
}

// judge is settle with the answer of a probe that was made already.
func (a *attempt) judge(ctx context.Context, token providers.Token, probe error) verdict {
	switch {
	case providers.Refused(probe):
		return verdict{Denied, "the provider does not accept the credential", probe}
	case probe != nil && a.serves(token):
		return verdict{Failed, "the probe gave no clear answer", probe}
	}
	if probe == nil {
		a.state.Probed = a.deps.Now()
	}
	switch {
	case a.serves(token):
		a.state.Intent = nil
		return verdict{Probed, "", nil}
	case a.edited(ctx):
		a.state.Intent = nil
		return verdict{Adopted, "a person's edit of the token secret works and stays", nil}
	}
	outcome, err := a.serve(ctx, token)
	if outcome.settled() {
		a.state.Intent = nil
	}
	return verdict{outcome, "", err}
}

// edited reports whether a person changed the token secret itself, and what
// they entered works.
func (a *attempt) edited(ctx context.Context) bool {
	return a.tokenVersion != "" && !ours(a.tokenVersion) && !a.token.Credential.Empty() &&
		a.state.Connection == a.connectionVersion && a.works(ctx, a.token)
}
