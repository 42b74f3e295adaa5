package tokenrefresh

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

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
	a := &attempt{Refresher: r, provider: provider, label: secretstore.Pending, id: version, began: r.deps.Now()}
	if err := a.read(ctx); err != nil {
		return fmt.Errorf("rotation of %s: %w", secret, err)
	}
	if a.record() != part || a.connection.Kind == providers.Static || a.unreadable != nil {
		return fmt.Errorf("rotation of %s: a credential of kind %q is not rotated through this secret; disable its rotation", secret, a.connection.Kind)
	}
	var v verdict
	switch step {
	case CreateSecret:
		v = a.rotationCreate(ctx, part)
	case SetSecret:
		return nil // the provider knows the token already: it made it
	case TestSecret:
		v = a.rotationTest(ctx, part)
	case FinishSecret:
		v = a.rotationFinish(ctx, part)
	default:
		return fmt.Errorf("rotation of %s: unknown step; expected createSecret, setSecret, testSecret or finishSecret", secret)
	}
	a.conclude(ctx, v)
	if v.outcome.settled() || v.outcome == Rotating {
		return v.err
	}
	return fmt.Errorf("rotation of %s, %s: %s: %w", secret, step, v.reason, errors.Join(v.err, errNotRotated))
}

var errNotRotated = errors.New("not done")

// rotationCreate makes the new credential unless the version has one. The
// service's empty placeholder is a version without a value.
func (a *attempt) rotationCreate(ctx context.Context, part string) verdict {
	made := verdict{Rotating, "the new credential is stored", nil}
	if _, found, err := a.pending(ctx, part); err != nil {
		return verdict{Failed, "reading the version", err}
	} else if found {
		return made
	}
	if err := a.acquire(ctx); err != nil {
		return verdict{Failed, "acquiring the lease", err}
	}
	v := a.create(ctx, part)
	switch {
	case v.outcome == "":
		v = made
	case v.outcome.settled():
		v = verdict{Failed, "this credential has no refresh token to rotate with; disable its rotation", nil}
	default:
		a.remember(v)
	}
	return a.release(ctx, v)
}

// create stores a new credential as AWSPENDING; no outcome means that it did.
func (a *attempt) create(ctx context.Context, part string) verdict {
	if part == secretstore.TokenPart {
		current, err := a.current(ctx, part)
		if err != nil {
			return verdict{Failed, "reading the token secret", err}
		}
		a.tokenVersion = current.ID
		_, _, v := a.obtainToken(ctx)
		return v
	}
	r, err := a.readRecord(ctx)
	if err != nil {
		return verdict{Failed, "reading the refresh secret", err}
	}
	if r.storedID != "" && r.stored.Base == r.version && !a.newCode(r.stored, r.grant) { // the schedule's driver left it
		if _, err := a.store(ctx, part, r.stored.Document()); err != nil {
			return verdict{Failed, "storing a grant that was found", err}
		}
		return verdict{err: a.unlabel(ctx, part, r.storedLabel, r.storedID)}
	}
	a.request.Force = a.state.Intent == nil // the service decides when; a doubt it does not decide
	credential, fromCode, v := a.toSpend(ctx, r)
	if credential.Empty() {
		return v
	}
	_, _, v = a.spendOnce(ctx, r, credential, fromCode)
	return v
}

// pending reads the version that the service named, if it has a value.
func (a *attempt) pending(ctx context.Context, part string) (secretstore.Value, bool, error) {
	value, err := a.deps.Secrets.GetVersion(ctx, a.secret(a.provider, part), a.id)
	if errors.Is(err, secretstore.ErrNotFound) {
		return secretstore.Value{}, false, nil
	}
	return value, err == nil, err
}

// parse reads a record of either kind, as the callers' token and as the grant.
func (a *attempt) parse(part string, data []byte) (providers.Token, providers.Grant, error) {
	if part == secretstore.TokenPart {
		token, err := providers.ParseToken(data)
		return token, providers.Grant{}, err
	}
	grant, err := providers.ParseGrant(data)
	return a.tokenOf(grant), grant, err
}

// rotationTest probes the new credential. Without one the service only tests
// the configuration, and the credential that is served is probed instead.
func (a *attempt) rotationTest(ctx context.Context, part string) verdict {
	token := a.token
	value, found, err := a.pending(ctx, part)
	if err == nil && found {
		token, _, err = a.parse(part, value.Data)
	}
	if err != nil {
		return verdict{Failed, "reading the version", err}
	}
	err = a.authority().Probe(ctx, a.connection, token)
	if providers.Refused(err) || err != nil && part == secretstore.TokenPart { // of a one-time pair the old half is spent: doubt stops nothing
		return verdict{Denied, "the new credential does not work", err}
	}
	return verdict{Probed, "", nil}
}

// rotationFinish promotes the new credential from the version that it was
// made to replace.
func (a *attempt) rotationFinish(ctx context.Context, part string) verdict {
	value, found, err := a.pending(ctx, part)
	switch {
	case err != nil:
		return verdict{Failed, "reading the version", err}
	case !found:
		return verdict{Failed, "the version has no value; createSecret comes first", nil}
	}
	token, grant, err := a.parse(part, value.Data)
	if err != nil {
		return verdict{Failed, "reading the version", err}
	}
	if err := a.acquire(ctx); err != nil {
		return verdict{Failed, "acquiring the lease", err}
	}
	var v verdict
	if part == secretstore.TokenPart {
		v.outcome, v.err = a.swapToken(ctx, a.id, token)
	} else {
		v = a.promoteGrant(ctx, a.id, grant, Refreshed)
	}
	a.state.Pending = nil
	a.remember(v)
	return a.release(ctx, v)
}

// stuckAfter is how long AWSPENDING may stand on a version that does not
// become current before it is taken as abandoned. Until it is taken away, the
// service refuses every other rotation.
const stuckAfter = 10 * time.Minute

// startRotation lets Secrets Manager drive. A rotation that was abandoned
// half-way is finished first if it has stored a one-time credential, or else
// taken back.
func (a *attempt) startRotation(ctx context.Context, d secretstore.Description) verdict {
	current, _ := d.Holder(secretstore.Current)
	if pending, found := d.Holder(secretstore.Pending); found && pending.ID != current.ID {
		if s := a.state.Pending; s != nil && s.ID == pending.ID && a.deps.Now().Sub(s.Since) < stuckAfter {
			return verdict{Rotating, "a rotation is under way", nil}
		}
		return a.heal(ctx, pending.ID)
	}
	if err := a.deps.Rotate(ctx, a.secret(a.provider, a.record())); err != nil {
		return verdict{Failed, "starting the rotation", err}
	}
	return verdict{Rotating, "secrets manager drives this secret", nil}
}

// heal notes since when AWSPENDING stands on version id, and after stuckAfter
// ends what was abandoned.
func (a *attempt) heal(ctx context.Context, id string) verdict {
	part := a.record()
	a.label, a.id = secretstore.Pending, id
	if s := a.state.Pending; s != nil && s.ID == id {
		if _, found, err := a.pending(ctx, part); err != nil {
			return verdict{Failed, "reading the abandoned version", err}
		} else if found && part == secretstore.RefreshPart { // what it was made from is spent
			return a.rotationFinish(ctx, part)
		}
		if err := a.unlabel(ctx, part, a.label, id); err != nil {
			return verdict{Failed, "taking the abandoned version back", err}
		}
		if err := a.deps.Rotate(ctx, a.secret(a.provider, part)); err != nil {
			return verdict{Failed, "starting the rotation again", err}
		}
		return verdict{Rotating, "an abandoned rotation was taken back and started again", nil}
	}
	if err := a.acquire(ctx); err != nil {
		return verdict{Waiting, "a step of the rotation runs", err}
	}
	a.state.Pending = &sighted{ID: id, Since: a.deps.Now()}
	return a.release(ctx, verdict{Rotating, "a rotation is under way", nil})
}
