package tokenrefresh

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"hikyaku/internal/lease"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
)

// proofLabel is on the version that proved the refresh secret writable.
const proofLabel = "HIKYAKU_PROOF"

// A spending is what spend knows of the refresh secret, the record of a
// one-time credential.
type spending struct {
	current secretstore.Value
	grant   providers.Grant // of current; no Access if there is none yet
}

// spend keeps a credential whose renewal uses up what it is renewed with: a
// one-time code, or a refresh token. The refresh secret is its record; the
// callers' token is derived from it.
func (a *attempt) spend(ctx context.Context) verdict {
	current, err := a.current(ctx, secretstore.RefreshPart)
	if err != nil {
		return verdict{Failed, "reading the refresh secret", err}
	}
	s := spending{current: current}
	if s.grant, err = providers.ParseGrant(current.Data); err != nil {
		s.grant = providers.Grant{}
	}
	stored, found, err := a.labeled(ctx, secretstore.RefreshPart, current)
	if err != nil {
		return verdict{Failed, "reading the stored grant", err}
	}
	if found {
		if grant, err := providers.ParseGrant(stored.Data); err == nil {
			return a.promoteGrant(ctx, stored.ID, grant, Promoted)
		}
	}
	credential, fromCode, v := a.toSpend(ctx, s)
	if credential.Empty() {
		return v
	}
	id, grant, v := a.spendOnce(ctx, s, credential, fromCode)
	if id == "" {
		return v
	}
	return a.promoteGrant(ctx, id, grant, Refreshed)
}

// toSpend decides what is to be spent now. Without anything it settles the
// attempt: deriving the token, or probing it.
func (a *attempt) toSpend(ctx context.Context, s spending) (credential providers.Secret, fromCode bool, v verdict) {
	code := a.connection.Code
	if !code.Empty() && fingerprint(code) != s.grant.Origin {
		return code, true, verdict{}
	}
	if s.grant.Access.Empty() {
		return providers.Secret{}, false, verdict{Unavailable, "nobody has authorized yet", nil}
	}
	token := a.tokenWith(s.grant.Access, s.grant.ObtainedAt, s.grant.ExpiresAt)
	due := PolicyOf(a.provider, a.connection.Kind).dueAt(s.grant.ObtainedAt, s.grant.ExpiresAt)
	spendable := !s.grant.Refresh.Empty()
	if spendable && (a.request.Force || !due.IsZero() && !a.deps.Now().Before(due)) {
		return s.grant.Refresh, false, verdict{}
	}
	probe := a.authority().Probe(ctx, a.connection, token)
	if spendable && errors.Is(probe, providers.ErrUnauthorized) {
		return s.grant.Refresh, false, verdict{}
	}
	return providers.Secret{}, false, a.settle(ctx, token, probe)
}

// settle serves a token that is not to be replaced now, and judges it by its
// probe.
func (a *attempt) settle(ctx context.Context, token providers.Token, probe error) verdict {
	a.state.Intent = nil
	switch {
	case definiteNo(probe):
		return verdict{Refused, "the provider does not accept the token", probe}
	case probe != nil && a.serves(token):
		return verdict{Failed, "the probe gave no clear answer", probe}
	}
	if probe == nil {
		a.state.Probed = a.deps.Now()
	}
	if a.serves(token) {
		return verdict{Probed, "", nil}
	}
	if a.edited(ctx) {
		return verdict{Adopted, "a person's edit of the token secret works and stays", nil}
	}
	outcome, err := a.serve(ctx, token)
	return verdict{outcome, "", err}
}

// edited reports whether a person changed the token secret itself, and what
// they entered works.
func (a *attempt) edited(ctx context.Context) bool {
	return a.tokenVersion != "" && !ours(a.tokenVersion) && !a.token.Credential.Empty() &&
		a.state.Connection == a.connectionVersion && a.works(ctx, a.token)
}

// spendOnce makes the one call that uses up credential. Before it, the secret
// is proven writable and the intent is journaled; after it, the answer is
// stored before anything else. Without an id, the verdict is final.
func (a *attempt) spendOnce(ctx context.Context, s spending, credential providers.Secret, fromCode bool) (id string, grant providers.Grant, v verdict) {
	key := fingerprint(credential)
	if i := a.state.Intent; i != nil && i.Base == s.current.ID && i.Key == key && !a.request.Force {
		return "", grant, verdict{InDoubt, "an earlier run may have spent it and died before the answer was stored", nil}
	}
	if !a.state.spendBudget(a.deps.Now(), 3) {
		return "", grant, verdict{OverBudget, "the secret has had 90 new versions in 24 hours; the provider was not asked", secretstore.ErrLimit}
	}
	if _, err := a.storeUnder(ctx, secretstore.RefreshPart, s.current.Data, proofLabel, idPrefix+a.deps.NewID()); err != nil {
		return "", grant, verdict{Failed, "the refresh secret cannot be written; the provider was not asked", err}
	}
	a.state.Intent = &intent{Base: s.current.ID, Key: key, At: a.deps.Now()}
	if err := a.lease.Keep(ctx, leaseTTL, a.state.journal()); errors.Is(err, lease.ErrLost) {
		return "", grant, verdict{Waiting, "another run took the lease", err}
	} else if err != nil {
		a.state.Intent = nil
		return "", grant, verdict{Failed, "the intent cannot be journaled; the provider was not asked", err}
	}
	grant, err := a.obtain(ctx, credential, fromCode)
	if err != nil {
		return "", grant, a.spendFailed(ctx, s, err)
	}
	if grant.Refresh.Empty() && !fromCode {
		grant.Refresh = credential // RFC 6749, section 6: no new one means keep the old
	}
	grant.Base, grant.Origin = s.current.ID, s.grant.Origin
	if fromCode {
		grant.Origin = key
	}
	if id, err = a.store(ctx, secretstore.RefreshPart, grant.Document()); err != nil {
		return "", grant, verdict{InDoubt, "the new grant could not be stored; it is lost", err}
	}
	return id, grant, verdict{}
}

// spendFailed judges an error of the one call.
func (a *attempt) spendFailed(ctx context.Context, s spending, err error) verdict {
	var e *providers.Error
	refused := errors.As(err, &e) && e.Status >= 400 && e.Status < 500
	switch {
	case errors.Is(err, providers.ErrUnsent), errors.Is(err, providers.ErrRateLimited):
		a.state.Intent = nil
		return verdict{Failed, "the token endpoint did not take the request", err}
	case errors.Is(err, providers.ErrRevoked), refused:
		now, readErr := a.deps.Secrets.Get(ctx, a.secret(a.provider, secretstore.RefreshPart), secretstore.Current)
		if readErr != nil {
			return verdict{Failed, "reading the refresh secret again", readErr}
		}
		a.state.Intent = nil
		if now.ID != s.current.ID {
			return verdict{Failed, "the refresh secret changed meanwhile", err}
		}
		return verdict{Refused, "the provider refuses the grant for good", err}
	}
	return verdict{InDoubt, "the token endpoint gave no clear answer to a one-time credential", err}
}

// promoteGrant makes a stored grant the record and derives the token. Its old
// half is already spent, so only a definite no stops it.
func (a *attempt) promoteGrant(ctx context.Context, id string, grant providers.Grant, outcome Outcome) verdict {
	token := a.tokenWith(grant.Access, grant.ObtainedAt, grant.ExpiresAt)
	probe := a.authority().Probe(ctx, a.connection, token)
	if errors.Is(probe, providers.ErrUnauthorized) {
		a.state.Intent = nil
		return verdict{Refused, "the new token does not work", probe}
	}
	won, err := a.promote(ctx, secretstore.RefreshPart, id, grant.Base)
	if err != nil {
		return verdict{Failed, "promoting the new grant", err}
	}
	if !won {
		return a.grantLost(ctx, id, token)
	}
	a.state.Intent = nil
	if probe == nil {
		a.state.Probed = a.deps.Now()
	}
	if a.serves(token) {
		return verdict{outcome, "", nil}
	}
	served, err := a.serve(ctx, token)
	if served != Refreshed {
		outcome = served
	}
	return verdict{outcome, "", err}
}

// grantLost: a person edited the refresh secret while a grant was on its way.
// If what they entered works it stays; else the new grant takes its place.
func (a *attempt) grantLost(ctx context.Context, id string, token providers.Token) verdict {
	name := a.secret(a.provider, secretstore.RefreshPart)
	edit, err := a.deps.Secrets.Get(ctx, name, secretstore.Current)
	if err != nil {
		return verdict{Failed, "reading the refresh secret", err}
	}
	a.state.Intent = nil
	entered, parseErr := providers.ParseGrant(edit.Data)
	theirs := a.tokenWith(entered.Access, entered.ObtainedAt, entered.ExpiresAt)
	winner, loser, outcome := theirs, id, Adopted
	if parseErr != nil || !a.works(ctx, theirs) && a.works(ctx, token) {
		if won, err := a.promote(ctx, secretstore.RefreshPart, id, edit.ID); err != nil || !won {
			return verdict{Failed, "promoting the new grant over an edit that does not work", err}
		}
		winner, loser, outcome = token, edit.ID, Refreshed
	}
	if err := a.deps.Secrets.Promote(ctx, name, Kept, loser, ""); err != nil && !errors.Is(err, secretstore.ErrConflict) {
		return verdict{Failed, "keeping the other grant", err}
	}
	if loser == id {
		if err := a.deps.Secrets.Promote(ctx, name, a.label, "", id); err != nil && !errors.Is(err, secretstore.ErrConflict) {
			return verdict{Failed, "removing the label", err}
		}
	}
	a.notify(ctx, Event{Type: NeedsHuman, Reason: "a person changed the refresh secret while hikyaku replaced it; the grant that works is served, the other is kept under " + Kept,
		Steps: "Compare the two versions in Secrets Manager."})
	served, err := a.serve(ctx, winner)
	if served != Refreshed {
		outcome = served
	}
	return verdict{outcome, "", err}
}

// fingerprint names a credential without showing it.
func fingerprint(s providers.Secret) string {
	sum := sha256.Sum256([]byte("hikyaku one-time " + s.Reveal()))
	return hex.EncodeToString(sum[:8])
}

// keepStatic serves what a person entered into the connection, tries it, and
// warns before it ends.
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
	return a.settle(ctx, token, a.authority().Probe(ctx, a.connection, token))
}

// warningDue returns the days of a warning that has not been given yet.
func (a *attempt) warningDue(now time.Time) int {
	switch {
	case a.connection.Kind == providers.ClientCredentials:
		return 0
	case a.connection.Kind == providers.OneTimePair && a.state.NeedsHuman == "":
		return 0 // it renews itself: its end is news only if that fails
	}
	expires := a.token.ExpiresAt
	days := warning(now, expires)
	if days == 0 || a.state.WarnedFor.Equal(expires) && a.state.Warned <= days {
		return 0
	}
	return days
}
