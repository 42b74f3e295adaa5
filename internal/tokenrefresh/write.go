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

// placeholder is the first version of a token or refresh secret. A secret's
// first version is current whatever label is asked for, so it must be one that
// readers take as absent.
var placeholder = []byte(`{"placeholder":"hikyaku has stored nothing yet"}`)

// idPrefix marks the versions that Hikyaku wrote, apart from a person's.
const idPrefix = "hikyaku-"

// ours reports whether Hikyaku wrote a version.
func ours(id string) bool { return strings.HasPrefix(id, idPrefix) }

// current reads the version that AWSCURRENT is on, making the secret with a
// placeholder if there is none.
func (a *attempt) current(ctx context.Context, part string) (secretstore.Value, error) {
	name := a.secret(a.provider, part)
	value, err := a.deps.Secrets.Get(ctx, name, secretstore.Current)
	if !errors.Is(err, secretstore.ErrNotFound) {
		return value, err
	}
	err = a.deps.Secrets.Create(ctx, name, idPrefix+a.deps.NewID(), placeholder)
	if err != nil && !errors.Is(err, secretstore.ErrExists) {
		return secretstore.Value{}, fmt.Errorf("creating the %s secret: %w", part, err)
	}
	return a.deps.Secrets.Get(ctx, name, secretstore.Current)
}

// store writes a document under the attempt's label, again and again until it
// is accepted or the run's time ends: what it holds may exist nowhere else.
func (a *attempt) store(ctx context.Context, part string, document []byte) (id string, err error) {
	return a.storeUnder(ctx, part, document, a.label, a.nextID())
}

func (a *attempt) nextID() string {
	if a.id != "" {
		return a.id
	}
	return idPrefix + a.deps.NewID()
}

func (a *attempt) storeUnder(ctx context.Context, part string, document []byte, label, id string) (string, error) {
	ctx, cancel := lastMoment(ctx)
	defer cancel()
	a.state.Writes = append(a.state.Writes, a.deps.Now())
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		err := a.deps.Secrets.Put(ctx, a.secret(a.provider, part), id, document, label)
		if err == nil {
			return id, nil
		}
		if errors.Is(err, secretstore.ErrLimit) || errors.Is(err, secretstore.ErrDenied) || errors.Is(err, secretstore.ErrExists) || errors.Is(err, secretstore.ErrNotFound) {
			return "", fmt.Errorf("storing under %s: %w", label, err)
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("storing under %s until the run's time ended: %w", label, err)
		case <-time.After(wait):
		}
	}
}

// lastMoment is a context for a write that must not be given up because
// somebody lost interest: it ends half a second before the function does.
func lastMoment(ctx context.Context) (context.Context, context.CancelFunc) {
	const spare, most = 500 * time.Millisecond, 30 * time.Second
	left := most
	if deadline, ok := ctx.Deadline(); ok {
		left = min(most, time.Until(deadline)-spare)
	}
	return context.WithTimeout(context.WithoutCancel(ctx), left)
}

// promote swaps AWSCURRENT of a secret from base to id, and takes the label
// off. It reports false if a person's edit won the swap.
func (a *attempt) promote(ctx context.Context, part, id, base string) (bool, error) {
	name := a.secret(a.provider, part)
	err := a.deps.Secrets.Promote(ctx, name, secretstore.Current, id, base)
	if errors.Is(err, secretstore.ErrConflict) {
		now, readErr := a.deps.Secrets.Get(ctx, name, secretstore.Current)
		if readErr != nil {
			return false, fmt.Errorf("promoting: %w", readErr)
		}
		if now.ID != id {
			return false, nil
		}
		err = nil
	}
	if err != nil {
		return false, fmt.Errorf("promoting: %w", err)
	}
	// A label that stays is taken off by the next run that finds it on
	// the current version; nothing depends on it.
	if err := a.deps.Secrets.Promote(ctx, name, a.label, "", id); err != nil && !errors.Is(err, secretstore.ErrConflict) {
		a.deps.Log.WarnContext(ctx, "label not removed", "provider", a.provider, "err", err)
	}
	return true, nil
}

// labeled reads what an earlier run stored and did not promote. One that is
// current already only loses its label.
func (a *attempt) labeled(ctx context.Context, part string, current secretstore.Value) (secretstore.Value, bool, error) {
	name := a.secret(a.provider, part)
	value, err := a.deps.Secrets.Get(ctx, name, a.label)
	switch {
	case errors.Is(err, secretstore.ErrNotFound):
		return secretstore.Value{}, false, nil
	case err != nil:
		return secretstore.Value{}, false, fmt.Errorf("reading %s: %w", a.label, err)
	case value.ID == current.ID:
		if err := a.deps.Secrets.Promote(ctx, name, a.label, "", value.ID); err != nil && !errors.Is(err, secretstore.ErrConflict) {
			return secretstore.Value{}, false, fmt.Errorf("removing %s: %w", a.label, err)
		}
		return secretstore.Value{}, false, nil
	}
	return value, true, nil
}

// serve makes desired what callers read, by the labeled put and the swap. A
// document that an earlier run stored for the same purpose is used again.
func (a *attempt) serve(ctx context.Context, desired providers.Token) (Outcome, error) {
	current, err := a.current(ctx, secretstore.TokenPart)
	if err != nil {
		return Failed, err
	}
	a.tokenVersion = current.ID
	desired.Base = current.ID
	a.label, a.id = Next, "" // a rotation's label and version are the record's, not this secret's
	id := ""
	stored, found, err := a.labeled(ctx, secretstore.TokenPart, current)
	if err != nil {
		return Failed, err
	}
	if found {
		token, err := providers.ParseToken(stored.Data)
		if err == nil && token.Base == current.ID && sameToken(token, desired) {
			id = stored.ID
		}
	}
	if id == "" {
		if id, err = a.store(ctx, secretstore.TokenPart, desired.Document()); err != nil {
			return Failed, err
		}
	}
	return a.swapToken(ctx, id, desired)
}

// swapToken promotes a stored token from the version it names. If a person's
// edit came first, both are tried: the edit stays unless it is definitely
// bad, and the other is kept under HIKYAKU_KEPT.
func (a *attempt) swapToken(ctx context.Context, id string, desired providers.Token) (Outcome, error) {
	won, err := a.promote(ctx, secretstore.TokenPart, id, desired.Base)
	if err != nil {
		return Failed, err
	}
	if won {
		a.token, a.tokenVersion = desired, id
		return Refreshed, nil
	}
	if err := a.readToken(ctx); err != nil {
		return Failed, err
	}
	edit := a.tokenVersion
	if a.works(ctx, a.token) || !a.works(ctx, desired) {
		return Adopted, a.keep(ctx, id)
	}
	won, err = a.promote(ctx, secretstore.TokenPart, id, edit)
	if err != nil || !won {
		return Failed, errors.Join(err, secretstore.ErrConflict)
	}
	a.token, a.tokenVersion = desired, id
	return Refreshed, a.keep(ctx, edit)
}

// keep labels a version that lost, for a person to look at.
func (a *attempt) keep(ctx context.Context, id string) error {
	name := a.secret(a.provider, secretstore.TokenPart)
	description, err := a.deps.Secrets.Describe(ctx, name)
	if err != nil {
		return err
	}
	before, _ := description.Holder(Kept)
	if before.ID == id {
		return nil
	}
	if err := a.deps.Secrets.Promote(ctx, name, Kept, id, before.ID); err != nil {
		return err
	}
	a.notify(ctx, Event{Type: NeedsHuman, Reason: "a person changed the token secret while hikyaku replaced it; the credential that works is served, the other is kept under " + Kept,
		Steps: "Compare the two versions in Secrets Manager. Change the connection secret, not the token secret."})
	if holder, ok := description.Holder(a.label); ok && holder.ID == id {
		return a.deps.Secrets.Promote(ctx, name, a.label, "", id)
	}
	return nil
}

// works reports whether a token is not definitely bad.
func (a *attempt) works(ctx context.Context, t providers.Token) bool {
	if t.Credential.Empty() || t.Expired(a.deps.Now()) {
		return false
	}
	return !definiteNo(a.authority().Probe(ctx, a.connection, t))
}

// definiteNo: the provider says that this credential does not work, or is
// somebody else's.
func definiteNo(err error) bool {
	return errors.Is(err, providers.ErrUnauthorized) || errors.Is(err, providers.ErrRevoked) ||
		errors.Is(err, providers.ErrForbidden) || errors.Is(err, providers.ErrInvalid)
}

func (a *attempt) authority() providers.Authority { return a.deps.Authorities[a.provider] }
