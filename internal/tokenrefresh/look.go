package tokenrefresh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
)

// look reads everything and decides whether there is anything to do.
func (a *attempt) look(ctx context.Context) (verdict, bool) {
	if err := a.read(ctx); errors.Is(err, secretstore.ErrNotFound) {
		return verdict{Off, "no connection", nil}, true
	} else if err != nil {
		return verdict{Failed, "reading secrets and state", err}, true
	}
	if rejected := a.request.RejectedVersion; rejected != "" && !a.token.Credential.Empty() && a.tokenVersion != rejected {
		return verdict{Replaced, "another version is served already", nil}, true
	}
	return a.decide()
}

// decide says from what was read whether there is anything to do.
func (a *attempt) decide() (verdict, bool) {
	now := a.deps.Now()
	reason, unchanged := a.due(now), a.state.Tried == a.key()
	cooling := unchanged && now.Before(a.state.coolUntil(a.connection.Kind))
	switch last := a.state.Outcome; {
	case a.request.Force:
	case unchanged && last.needsHuman() && (last.final() || cooling || reason == ""):
		return verdict{last, a.state.Reason, nil}, true
	case reason == "":
		return verdict{Fresh, "", nil}, true
	case cooling:
		return verdict{Cooling, "failed a moment ago", nil}, true
	}
	a.result.Reason = reason
	return verdict{}, false
}

// read reads the connection, what is remembered, and the callers' token. A
// connection that cannot be understood is no error here: a person is told.
func (a *attempt) read(ctx context.Context) error {
	value, err := a.deps.Secrets.Get(ctx, a.secret(a.provider, secretstore.ConnectionPart), secretstore.Current)
	if err != nil {
		return err
	}
	a.connectionVersion = value.ID
	a.connection, a.unreadable = providers.ParseConnection(value.Data)
	if unknown := providers.UnknownFields(value.Data); len(unknown) > 0 && a.lease != nil {
		a.deps.Log.WarnContext(ctx, "the connection has fields that no connection has: is one misspelled?", "provider", a.provider, "fields", unknown)
	}
	if a.lease == nil {
		if a.state, err = a.peek(ctx, a.provider); err != nil {
			return err
		}
	}
	return a.readToken(ctx)
}

// readToken reads what callers are served. A placeholder, or a document that
// cannot be read, is no token, but its version is the base of the next one.
func (a *attempt) readToken(ctx context.Context) error {
	name := a.secret(a.provider, secretstore.TokenPart)
	value, err := a.deps.Secrets.Get(ctx, name, secretstore.Current)
	if m := a.state.Moved; m != nil && (err == nil && value.ID == m.From) && a.deps.Now().Sub(m.At) < lag {
		value, err = a.deps.Secrets.GetVersion(ctx, name, m.To) // the stage was read as it stood before our swap
	}
	if errors.Is(err, secretstore.ErrNotFound) {
		a.token, a.tokenVersion = providers.Token{}, ""
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the token secret: %w", err)
	}
	a.tokenVersion = value.ID
	if a.token, err = providers.ParseToken(value.Data); err != nil {
		a.token = providers.Token{}
	}
	return nil
}

// due returns why there is something to do, or "".
func (a *attempt) due(now time.Time) string {
	policy := PolicyOf(a.provider, a.connection.Kind)
	switch {
	case a.request.Force:
		return "asked for by a person"
	case a.unreadable != nil:
		return "the connection cannot be read"
	case a.token.Credential.Empty():
		return "no token yet"
	case a.request.RejectedVersion != "":
		return "the provider rejected it"
	case a.state.Intent != nil:
		return "an earlier run did not finish"
	case a.state.Connection != a.connectionVersion:
		return "the connection changed"
	case a.state.Outcome.failed():
		return "the last run failed"
	case a.oldEnough(policy, now):
		return "its time has come"
	case policy.Probe > 0 && now.Sub(a.state.Probed) >= policy.Probe && now.Sub(a.state.At) >= policy.Probe:
		return "to be tried"
	case a.warningDue(now) > 0:
		return "it ends soon"
	}
	return ""
}

// oldEnough: the credential is to be replaced for its age. One that turned
// out to have nothing to replace it with is only probed.
func (a *attempt) oldEnough(policy Policy, now time.Time) bool {
	at := policy.dueAt(a.token.ObtainedAt, a.token.ExpiresAt)
	return a.connection.Kind != providers.Static && !at.IsZero() && !now.Before(at) &&
		(a.state.Outcome != Probed || now.Sub(a.state.At) >= policy.Probe)
}

// key identifies what an attempt worked on. While it is the same, what failed
// for good would fail again, and what failed a moment ago may wait.
func (a *attempt) key() string { return a.connectionVersion + "/" + a.tokenVersion }

// tokenWith is the callers' document for a credential of this connection.
func (a *attempt) tokenWith(credential providers.Secret, obtained, expires time.Time) providers.Token {
	c := a.connection
	return providers.Token{
		Provider: a.provider, Kind: c.Kind, BaseURL: c.BaseURL, LoginURL: c.LoginURL, Account: c.Account,
		Credential: credential, ObtainedAt: obtained, ExpiresAt: expires, Quirks: c.Quirks, Base: a.tokenVersion,
	}
}

// tokenOf is the callers' document for a grant.
func (a *attempt) tokenOf(g providers.Grant) providers.Token {
	return a.tokenWith(g.Access, g.ObtainedAt, g.ExpiresAt)
}

// serves reports whether callers already read what desired says.
func (a *attempt) serves(desired providers.Token) bool { return sameToken(a.token, desired) }

// sameToken compares what callers can see.
func sameToken(x, y providers.Token) bool {
	return x.Credential == y.Credential && x.ExpiresAt.Equal(y.ExpiresAt) && x.BaseURL == y.BaseURL &&
		x.LoginURL == y.LoginURL && x.Account == y.Account && x.Kind == y.Kind && bytes.Equal(x.Quirks, y.Quirks)
}

// authority obtains and probes the provider's credentials.
func (a *attempt) authority() providers.Authority { return a.deps.Authorities[a.provider] }

// works reports whether a token is not definitely bad.
func (a *attempt) works(ctx context.Context, t providers.Token) bool {
	if t.Credential.Empty() || t.Expired(a.deps.Now()) {
		return false
	}
	return !providers.Refused(a.authority().Probe(ctx, a.connection, t))
}
