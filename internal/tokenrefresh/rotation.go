package tokenrefresh

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"hikyaku/internal/lease"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
)

// The steps of Secrets Manager's rotation.
const (
	CreateSecret = "createSecret"
	SetSecret    = "setSecret"
	TestSecret   = "testSecret"
	FinishSecret = "finishSecret"
)

// Rotation is the opt-in second driver: Secrets Manager calls the four steps
// in order and repeats any of them, so each is idempotent. The machine is the
// schedule's, with the service's version id and its AWSPENDING in place of an
// id of ours and HIKYAKU_NEXT.
//
// secret is a name under the prefix, version the id that the service chose. An
// error makes the service try again.
func (r *Refresher) Rotation(ctx context.Context, secret, version, step string) error {
	rest, ok := strings.CutPrefix(secret, r.prefix+"/")
	provider, part, cut := strings.Cut(rest, "/")
	if !ok || !cut || r.deps.Authorities[provider] == nil {
		return fmt.Errorf("rotation of %s: not a token or refresh secret under the prefix %q", secret, r.prefix)
	}
	a := &attempt{Refresher: r, provider: provider, label: secretstore.Pending, id: version}
	if err := a.read(ctx); err != nil {
		return fmt.Errorf("rotation of %s: %w", secret, err)
	}
	if a.record() != part || a.connection.Kind == providers.Static {
		return fmt.Errorf("rotation of %s: a %s credential is not rotated through this secret; disable its rotation", secret, a.connection.Kind)
	}
	switch step {
	case CreateSecret:
		return a.rotationCreate(ctx, part)
	case SetSecret:
		return nil // the provider knows the token already: it made it
	case TestSecret:
		return a.rotationTest(ctx, part)
	case FinishSecret:
		return a.rotationFinish(ctx, part)
	}
	return fmt.Errorf("rotation of %s: unknown step; expected createSecret, setSecret, testSecret or finishSecret", secret)
}

// rotationCreate makes the new credential unless the version has one. The
// service's empty placeholder is a version without a value.
func (a *attempt) rotationCreate(ctx context.Context, part string) error {
	if _, found, err := a.pending(ctx, part); found || err != nil {
		return err
	}
	l, err := lease.Acquire(ctx, a.deps.Objects, a.leaseKey(a.provider), a.deps.NewID(), leaseTTL, a.deps.Now)
	if err != nil {
		return err
	}
	a.lease = l
	if a.state, err = readState(l.Journal); err != nil {
		return err
	}
	v := a.create(ctx, part)
	a.release(ctx, v)
	if v.outcome.failed() || v.outcome.needsHuman() || v.outcome == Waiting {
		return fmt.Errorf("rotation of the %s secret of %s: %s: %w", part, a.provider, v.reason, errors.Join(v.err, errNotMade))
	}
	return nil
}

var errNotMade = errors.New("no new credential was made")

// create stores a new credential as AWSPENDING.
func (a *attempt) create(ctx context.Context, part string) verdict {
	current, err := a.current(ctx, part)
	if err != nil {
		return verdict{Failed, "reading the secret", err}
	}
	if part == secretstore.TokenPart {
		a.tokenVersion = current.ID
		if _, id, v := a.obtainToken(ctx); id == "" {
			return v
		}
		return verdict{Rotating, "", nil}
	}
	s := spending{current: current}
	s.grant, _ = providers.ParseGrant(current.Data) // a placeholder is no grant
	a.request.Force = a.state.Intent == nil         // the service decides when; a doubt it does not decide
	credential, fromCode, v := a.toSpend(ctx, s)
	if credential.Empty() {
		return v
	}
	id, _, v := a.spendOnce(ctx, s, credential, fromCode)
	if id == "" {
		return v
	}
	return verdict{Rotating, "", nil}
}

// pending reads the version that the service named, if it has a value.
func (a *attempt) pending(ctx context.Context, part string) (secretstore.Value, bool, error) {
	value, err := a.deps.Secrets.GetVersion(ctx, a.secret(a.provider, part), a.id)
	if errors.Is(err, secretstore.ErrNotFound) {
		return secretstore.Value{}, false, nil
	}
	return value, err == nil && len(value.Data) > 0, err
}

// tokenOf reads a record of either kind as the callers' token.
func (a *attempt) tokenOf(part string, data []byte) (providers.Token, providers.Grant, error) {
	if part == secretstore.TokenPart {
		token, err := providers.ParseToken(data)
		return token, providers.Grant{}, err
	}
	grant, err := providers.ParseGrant(data)
	return a.tokenWith(grant.Access, grant.ObtainedAt, grant.ExpiresAt), grant, err
}

// rotationTest probes the new credential. Without one the service only tests
// the configuration, and the credential that is served is probed instead.
func (a *attempt) rotationTest(ctx context.Context, part string) error {
	token := a.token
	value, found, err := a.pending(ctx, part)
	if err != nil {
		return err
	}
	if found {
		if token, _, err = a.tokenOf(part, value.Data); err != nil {
			return err
		}
	}
	err = a.authority().Probe(ctx, a.connection, token)
	if part == secretstore.RefreshPart && !errors.Is(err, providers.ErrUnauthorized) {
		return nil // its old half is spent: only a definite no may stop it
	}
	return err
}

// rotationFinish promotes the new credential from the version that it was
// made to replace.
func (a *attempt) rotationFinish(ctx context.Context, part string) error {
	value, found, err := a.pending(ctx, part)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("rotation of the %s secret of %s: the version has no value; createSecret comes first", part, a.provider)
	}
	if value.Has(secretstore.Current) {
		_, err := a.promote(ctx, part, a.id, a.id)
		return err
	}
	token, grant, err := a.tokenOf(part, value.Data)
	if err != nil {
		return err
	}
	l, err := lease.Acquire(ctx, a.deps.Objects, a.leaseKey(a.provider), a.deps.NewID(), leaseTTL, a.deps.Now)
	if err != nil {
		return err
	}
	a.lease = l
	if a.state, err = readState(l.Journal); err != nil {
		return err
	}
	v := verdict{outcome: Refreshed}
	if part == secretstore.TokenPart {
		v.outcome, v.err = a.swapToken(ctx, a.id, token)
	} else {
		v = a.promoteGrant(ctx, a.id, grant, Refreshed)
	}
	a.release(ctx, v)
	return v.err
}
