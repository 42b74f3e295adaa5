package tokenrefresh

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"hikyaku/internal/lease"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
)

// A record is what the refresh secret holds of a one-time credential.
type record struct {
	version string
	data    []byte
	grant   providers.Grant // no Access if there is none yet

	// What an earlier run stored and did not promote, under which label.
	stored      providers.Grant
	storedID    string
	storedLabel string
}

// spend keeps a credential whose renewal uses up what it is renewed with: a
// one-time code, or a refresh token. The refresh secret is its record; the
// callers' token is derived from it.
func (a *attempt) spend(ctx context.Context) verdict {
	r, err := a.readRecord(ctx)
	if err != nil {
		return verdict{Failed, "reading the refresh secret", err}
	}
	if r.storedID != "" && !a.newCode(r.stored, r.grant) {
		a.label = r.storedLabel
		v := a.promoteGrant(ctx, r.storedID, r.stored, Promoted)
		if v.outcome != Denied || !a.request.Force || r.stored.Refresh.Empty() {
			return v
		}
		// Its access token is defective. Its refresh token is unspent, and the one
		// before it is not.
		r.grant, a.label = r.stored, Next
	}
	credential, fromCode, v := a.toSpend(ctx, r)
	if credential.Empty() {
		return v
	}
	id, grant, v := a.spendOnce(ctx, r, credential, fromCode)
	if id == "" {
		return v
	}
	return a.promoteGrant(ctx, id, grant, Refreshed)
}

// readRecord reads the refresh secret. A grant that the other driver left
// under its own label is found too, if it is for the version that is current.
func (a *attempt) readRecord(ctx context.Context) (record, error) {
	current, err := a.current(ctx, secretstore.RefreshPart)
	if err != nil {
		return record{}, err
	}
	r := record{version: current.ID, data: current.Data}
	r.grant, _ = providers.ParseGrant(current.Data) // a placeholder is no grant
	for _, label := range []string{Next, secretstore.Pending} {
		value, found, err := a.labeled(ctx, secretstore.RefreshPart, label, current)
		if err != nil {
			return record{}, err
		}
		grant, err := providers.ParseGrant(value.Data)
		if found && err == nil && (label == a.label || grant.Base == current.ID) {
			r.stored, r.storedID, r.storedLabel = grant, value.ID, label
			break
		}
	}
	return r, nil
}

// newCode: a person has entered a code that was not exchanged yet. The grants
// say which codes they came from, and the state knows the last one, for a
// person may have entered a grant without its origin.
func (a *attempt) newCode(grants ...providers.Grant) bool {
	key := fingerprint(a.connection.Code)
	if a.connection.Code.Empty() || key == a.state.Code {
		return false
	}
	for _, g := range grants {
		if g.Origin == key {
			return false
		}
	}
	return true
}

// toSpend decides what is to be spent now. Without anything it settles the
// attempt: deriving the token, or probing it.
func (a *attempt) toSpend(ctx context.Context, r record) (credential providers.Secret, fromCode bool, v verdict) {
	none := providers.Secret{}
	credential, fromCode = r.grant.Refresh, a.newCode(r.grant)
	if fromCode {
		credential = a.connection.Code
	}
	if !credential.Empty() && a.inDoubt(r, credential) && !a.request.ResendInDoubt {
		return none, false, verdict{InDoubt, unanswered, nil}
	}
	a.state.Renews = !r.grant.Refresh.Empty()
	if !fromCode {
		if r.grant.Access.Empty() {
			return none, false, verdict{Unavailable, "nobody has authorized yet", nil}
		}
		token := a.tokenOf(r.grant)
		if credential.Empty() {
			return none, false, a.settle(ctx, token)
		}
		if due := PolicyOf(a.provider, a.connection.Kind).dueAt(token.ObtainedAt, token.ExpiresAt); !a.request.Force && (due.IsZero() || a.deps.Now().Before(due)) {
			if !a.serves(token) && !a.mayWrite(1) {
				return none, false, a.overBudget()
			}
			if probe := a.authority().Probe(ctx, a.connection, token); !errors.Is(probe, providers.ErrUnauthorized) {
				return none, false, a.judge(ctx, token, probe)
			}
		}
	}
	switch s := a.state.Spent; {
	case s == nil:
	case !fromCode && s.Base == r.version && a.deps.Now().Sub(s.At) < lag:
		return none, false, verdict{Failed, "the refresh secret was read as it stood before the last grant", nil}
	case s.Key == fingerprint(credential) && !a.request.Force:
		return none, false, verdict{Refused, "what the refresh secret holds was spent before; authorize again", nil}
	}
	return credential, fromCode, verdict{}
}

// inDoubt: the journal says that credential may have been spent from this
// version, and no answer is stored.
func (a *attempt) inDoubt(r record, credential providers.Secret) bool {
	i := a.state.Intent
	return i != nil && i.Base == r.version && i.Key == fingerprint(credential)
}

// spendOnce makes the one call that uses up credential. Before it, the secret
// is proven writable and the intent is journaled; after it, the answer is
// stored before anything else. Without an id, the verdict is final.
func (a *attempt) spendOnce(ctx context.Context, r record, credential providers.Secret, fromCode bool) (id string, grant providers.Grant, v verdict) {
	if !a.mayWrite(3) {
		return "", grant, a.overBudget()
	}
	if err := a.storeUnder(ctx, secretstore.RefreshPart, r.data, proofLabel, a.newID()); err != nil {
		return "", grant, verdict{Failed, "the refresh secret cannot be written; the provider was not asked", err}
	}
	before := a.state.Intent
	spending := intent{Base: r.version, Key: fingerprint(credential), At: a.deps.Now()}
	a.state.Intent = &spending
	err := a.lease.Keep(ctx, leaseTTL, a.state.journal())
	switch {
	case errors.Is(err, lease.ErrLost):
		return "", grant, verdict{Waiting, "another run took the lease", err}
	case err == nil && hurried(ctx):
		err = errors.New("too little time is left")
		fallthrough
	case err != nil:
		a.state.Intent = before
		return "", grant, verdict{Failed, "the intent cannot be journaled in time; the provider was not asked", err}
	}
	if grant, err = a.obtain(ctx, credential, fromCode); err != nil {
		return "", grant, a.spendFailed(ctx, r, before, err)
	}
	if grant.Refresh.Empty() && !fromCode {
		grant.Refresh = credential // RFC 6749, section 6: no new one means keep the old
	} else {
		a.state.Spent = &spending
	}
	grant.Base, grant.Origin = r.version, r.grant.Origin
	if fromCode {
		grant.Origin, a.state.Code = spending.Key, spending.Key
	}
	if id, err = a.store(ctx, secretstore.RefreshPart, grant.Document()); err != nil {
		return "", grant, verdict{InDoubt, unanswered, err}
	}
	return id, grant, verdict{}
}

// unanswered is one reason for all that leaves a credential in doubt, so that
// a person is told once.
const unanswered = "a one-time credential was sent, or may have been, and no answer is stored"

// spendFailed judges an error of the one call. before is the intent that
// stood until then.
func (a *attempt) spendFailed(ctx context.Context, r record, before *intent, err error) verdict {
	var e *providers.Error
	refused := errors.Is(err, providers.ErrRevoked) ||
		errors.As(err, &e) && e.Status >= 400 && e.Status < 500 && !errors.Is(err, providers.ErrTemporary)
	switch {
	case errors.Is(err, providers.ErrUnsent), errors.Is(err, providers.ErrRateLimited):
		a.state.Intent = before
		return verdict{Failed, "the token endpoint did not take the request", err}
	case neverSent(err):
		a.state.Intent = before
		return unusable(err)
	case !refused:
		return verdict{InDoubt, unanswered, err}
	}
	a.state.Intent = nil // whatever came of an earlier attempt: this answer is clear
	now, readErr := a.deps.Secrets.Get(ctx, a.secret(a.provider, secretstore.RefreshPart), secretstore.Current)
	switch {
	case readErr != nil:
		return verdict{Failed, "the provider refused the grant; reading the refresh secret again", errors.Join(err, readErr)}
	case now.ID != r.version:
		return verdict{Failed, "the refresh secret changed meanwhile", err}
	}
	return verdict{Refused, "the provider refuses the grant for good", err}
}

// promoteGrant makes a stored grant the record and derives the token. Its old
// half is already spent, so only a definite no stops it; it stays stored then,
// and is tried again. The intent goes last, so that whatever stops this run,
// the next one goes on.
func (a *attempt) promoteGrant(ctx context.Context, id string, grant providers.Grant, outcome Outcome) verdict {
	token := a.tokenOf(grant)
	probe := a.authority().Probe(ctx, a.connection, token)
	if errors.Is(probe, providers.ErrUnauthorized) {
		return verdict{Denied, "the new token does not work", probe}
	}
	won, err := a.promote(ctx, secretstore.RefreshPart, id, grant.Base)
	if err != nil {
		return verdict{Failed, "promoting the new grant", err}
	}
	a.state.Renews = !grant.Refresh.Empty()
	if !won {
		if token, outcome, err = a.grantLost(ctx, id, token, outcome); err != nil {
			return verdict{Failed, "settling with an edit of the refresh secret", err}
		}
	}
	if probe == nil {
		a.state.Probed = a.deps.Now()
	}
	if !a.serves(token) {
		served, err := a.serve(ctx, token)
		if !served.settled() {
			return verdict{served, "deriving the token", err}
		}
		outcome = settled(outcome, served)
	}
	a.state.Intent = nil
	return verdict{outcome, "", nil}
}

// grantLost: a person edited the refresh secret while a grant was on its way.
// If what they entered works it stays; else the new grant takes its place.
func (a *attempt) grantLost(ctx context.Context, id string, ours providers.Token, outcome Outcome) (providers.Token, Outcome, error) {
	edit, err := a.deps.Secrets.Get(ctx, a.secret(a.provider, secretstore.RefreshPart), secretstore.Current)
	if err != nil {
		return ours, Failed, err
	}
	if entered, err := providers.ParseGrant(edit.Data); err == nil {
		if theirs := a.tokenOf(entered); a.works(ctx, theirs) {
			return theirs, Adopted, a.keep(ctx, secretstore.RefreshPart, id)
		}
	}
	if won, err := a.promote(ctx, secretstore.RefreshPart, id, edit.ID); err != nil || !won {
		return ours, Failed, errors.Join(err, secretstore.ErrConflict)
	}
	return ours, outcome, a.keep(ctx, secretstore.RefreshPart, edit.ID)
}

// fingerprint names a credential without showing it.
func fingerprint(s providers.Secret) string {
	sum := sha256.Sum256([]byte("hikyaku one-time " + s.Reveal()))
	return hex.EncodeToString(sum[:8])
}
