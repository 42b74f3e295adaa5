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

func (a *attempt) newID() string { return idPrefix + a.deps.NewID() }

// current reads the version that AWSCURRENT is on, making the secret with a
// placeholder if there is none. A secret that somebody made empty gets the
// placeholder as its first version, which becomes current by itself.
func (a *attempt) current(ctx context.Context, part string) (secretstore.Value, error) {
	name := a.secret(a.provider, part)
	value, err := a.deps.Secrets.Get(ctx, name, secretstore.Current)
	if !errors.Is(err, secretstore.ErrNotFound) {
		return value, err
	}
	id := a.newID()
	err = a.deps.Secrets.Create(ctx, name, id, placeholder)
	if errors.Is(err, secretstore.ErrExists) {
		err = a.deps.Secrets.Put(ctx, name, id, placeholder, proofLabel)
	}
	if err != nil {
		return secretstore.Value{}, fmt.Errorf("creating the %s secret: %w", part, err)
	}
	return a.deps.Secrets.GetVersion(ctx, name, id)
}

// store writes a document under the attempt's label, again and again until it
// is accepted or the run's time ends: what it holds may exist nowhere else.
func (a *attempt) store(ctx context.Context, part string, document []byte) (id string, err error) {
	id = a.id
	if id == "" {
		id = a.newID()
	}
	return id, a.storeUnder(ctx, part, document, a.label, id)
}

func (a *attempt) storeUnder(ctx context.Context, part string, document []byte, label, id string) error {
	ctx, cancel := lastMoment(ctx)
	defer cancel()
	written := a.state.written(a.payer())
	*written = append(*written, a.deps.Now())
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		err := a.deps.Secrets.Put(ctx, a.secret(a.provider, part), id, document, label)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, secretstore.ErrLimit), errors.Is(err, secretstore.ErrDenied), errors.Is(err, secretstore.ErrExists),
			errors.Is(err, secretstore.ErrNotFound), errors.Is(err, secretstore.ErrInvalid):
			return fmt.Errorf("storing under %s: %w", label, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("storing under %s until the run's time ended: %w", label, err)
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
	if err := a.deps.Secrets.Promote(ctx, name, secretstore.Current, id, base); err != nil {
		// The answer may be lost, or an earlier run may have come so
		// far: the version itself knows, and reading it never lags.
		now, readErr := a.deps.Secrets.GetVersion(ctx, name, id)
		switch {
		case readErr != nil:
			return false, fmt.Errorf("promoting: %w", errors.Join(err, readErr))
		case now.Has(secretstore.Current):
		case errors.Is(err, secretstore.ErrConflict):
			return false, nil
		default:
			return false, fmt.Errorf("promoting: %w", err)
		}
	}
	if err := a.unlabel(ctx, part, a.label, id); err != nil { // nothing depends on it; the next run that acts takes it off
		a.deps.Log.WarnContext(ctx, "label not removed", "provider", a.provider, "err", err)
	}
	return true, nil
}

// unlabel takes a label off a version; that it is not there is fine.
func (a *attempt) unlabel(ctx context.Context, part, label, id string) error {
	err := a.deps.Secrets.Promote(ctx, a.secret(a.provider, part), label, "", id)
	if err == nil || errors.Is(err, secretstore.ErrConflict) {
		return nil
	}
	return fmt.Errorf("removing %s: %w", label, err)
}

// labeled reads what an earlier run stored under a label and did not promote.
// One that is current already only loses the label; AWSPENDING is the
// service's to take off.
func (a *attempt) labeled(ctx context.Context, part, label string, current secretstore.Value) (secretstore.Value, bool, error) {
	value, err := a.deps.Secrets.Get(ctx, a.secret(a.provider, part), label)
	switch {
	case errors.Is(err, secretstore.ErrNotFound):
		return secretstore.Value{}, false, nil
	case err != nil:
		return secretstore.Value{}, false, fmt.Errorf("reading %s: %w", label, err)
	case value.ID != current.ID:
		return value, true, nil
	case label != secretstore.Pending:
		err = a.unlabel(ctx, part, label, value.ID)
	}
	return secretstore.Value{}, false, err
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
	stored, found, err := a.labeled(ctx, secretstore.TokenPart, Next, current)
	if err != nil {
		return Failed, err
	}
	id := ""
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
// edit came first, the edit is tried: it stays unless it is definitely bad,
// and the other version is kept under HIKYAKU_KEPT.
func (a *attempt) swapToken(ctx context.Context, id string, desired providers.Token) (Outcome, error) {
	won, err := a.promote(ctx, secretstore.TokenPart, id, desired.Base)
	if err != nil {
		return Failed, err
	}
	if won {
		a.moved(id, desired)
		return Refreshed, nil
	}
	if err := a.readToken(ctx); err != nil {
		return Failed, err
	}
	edit := a.tokenVersion
	if edit == desired.Base {
		return Failed, fmt.Errorf("the token secret was read as it stood before an edit: %w", secretstore.ErrConflict)
	}
	if a.works(ctx, a.token) {
		return Adopted, a.keep(ctx, secretstore.TokenPart, id)
	}
	if won, err = a.promote(ctx, secretstore.TokenPart, id, edit); err != nil || !won {
		return Failed, errors.Join(err, secretstore.ErrConflict)
	}
	desired.Base = edit
	a.moved(id, desired)
	return Refreshed, a.keep(ctx, secretstore.TokenPart, edit)
}

// moved notes that callers read t now, in version id.
func (a *attempt) moved(id string, t providers.Token) {
	a.token, a.tokenVersion = t, id
	a.state.Moved = &move{From: t.Base, To: id, At: a.deps.Now()}
}

// keep labels a version that lost against a person's edit, or the edit that
// lost, for a person to look at.
func (a *attempt) keep(ctx context.Context, part, id string) error {
	a.notify(ctx, Event{
		Type:   NeedsHuman,
		Reason: "a person changed the " + part + " secret while hikyaku replaced it; the credential that works is served, the other is kept under " + Kept,
		Steps:  "Compare the two versions in Secrets Manager. Change the connection secret, never this one.",
	})
	name := a.secret(a.provider, part)
	description, err := a.deps.Secrets.Describe(ctx, name)
	if err != nil {
		return err
	}
	before, _ := description.Holder(Kept)
	if before.ID != id {
		if err := a.deps.Secrets.Promote(ctx, name, Kept, id, before.ID); err != nil {
			return fmt.Errorf("keeping a version under %s: %w", Kept, err)
		}
	}
	return a.unlabel(ctx, part, a.label, id)
}
