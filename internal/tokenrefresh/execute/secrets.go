package execute

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh/protocol"
)

// placeholder is the first version of a token or refresh secret. A secret's
// first version is current whatever label is asked for, so it must be one that
// readers take as absent.
var placeholder = []byte(`{"placeholder":"hikyaku has stored nothing yet"}`)

// secrets are one provider's.
type secrets struct {
	store            secretstore.Store
	prefix, provider string
	newID            func() string
}

// parts are the secrets' own names for what the protocol calls them.
var parts = map[protocol.Part]string{
	protocol.ConnectionSecret: secretstore.ConnectionPart,
	protocol.TokenSecret:      secretstore.TokenPart,
	protocol.RefreshSecret:    secretstore.RefreshPart,
}

func (s *secrets) name(part protocol.Part) string {
	return secretstore.Name(s.prefix, s.provider, parts[part])
}

func (s *secrets) ownID() string { return protocol.OwnVersion + s.newID() }

// stage is the store's name of a label.
func stage(label protocol.Label) string {
	switch label {
	case protocol.Current:
		return secretstore.Current
	case protocol.Pending:
		return secretstore.Pending
	}
	return string(label)
}

// gave is what a call of the store gave.
func gave(value secretstore.Value, err error) protocol.Got {
	return protocol.Got{ID: value.ID, Data: value.Data, Err: err, Missing: errors.Is(err, secretstore.ErrNotFound), Taken: errors.Is(err, secretstore.ErrConflict)}
}

func (s *secrets) read(ctx context.Context, part protocol.Part, label protocol.Label) protocol.Got {
	return gave(s.store.Get(ctx, s.name(part), stage(label)))
}

func (s *secrets) readVersion(ctx context.Context, part protocol.Part, id string) protocol.Got {
	return gave(s.store.GetVersion(ctx, s.name(part), id))
}

// open reads the current version, making the secret with a placeholder if there is
// none.
func (s *secrets) open(ctx context.Context, part protocol.Part) protocol.Got {
	got := s.read(ctx, part, protocol.Current)
	if !got.Missing {
		return got
	}
	id := s.ownID()
	if err := Make(ctx, s.store, s.name(part), id); err != nil {
		return protocol.Got{Err: fmt.Errorf("creating the %s secret: %w", part, err)}
	}
	return s.readVersion(ctx, part, id)
}

// Make makes a secret whose current version id is a placeholder. A secret that somebody
// made empty gets the placeholder as its first version, which becomes current by itself.
func Make(ctx context.Context, store secretstore.Store, name, id string) error {
	err := store.Create(ctx, name, id, placeholder)
	if errors.Is(err, secretstore.ErrExists) {
		err = store.Put(ctx, name, id, placeholder, protocol.Proof)
	}
	return err
}

// rotation reads whether Secrets Manager drives a secret, and which versions are current
// and pending.
func (s *secrets) rotation(ctx context.Context, part protocol.Part) protocol.Got {
	d, err := s.store.Describe(ctx, s.name(part))
	got := gave(secretstore.Value{}, err)
	current, _ := d.Holder(secretstore.Current)
	pending, _ := d.Holder(secretstore.Pending)
	got.Rotates, got.Current, got.Pending = d.Rotating, current.ID, pending.ID
	return got
}

// put stores a version under a label, again and again until it is accepted, refused for
// good, or the run's time ends: what it holds may exist nowhere else. Without an id it
// takes a new one.
func (s *secrets) put(ctx context.Context, part protocol.Part, label protocol.Label, id string, data []byte) protocol.Got {
	if id == "" {
		id = s.ownID()
	}
	ctx, cancel := lastMoment(ctx)
	defer cancel()
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		err := s.store.Put(ctx, s.name(part), id, data, stage(label))
		switch {
		case err == nil:
			return protocol.Got{ID: id}
		case errors.Is(err, secretstore.ErrLimit), errors.Is(err, secretstore.ErrDenied), errors.Is(err, secretstore.ErrExists),
			errors.Is(err, secretstore.ErrNotFound), errors.Is(err, secretstore.ErrInvalid):
			return protocol.Got{ID: id, Err: fmt.Errorf("storing under %s: %w", stage(label), err)}
		}
		select {
		case <-ctx.Done():
			return protocol.Got{ID: id, Err: fmt.Errorf("storing under %s until the run's time ended: %w", stage(label), err)}
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

func (s *secrets) promote(ctx context.Context, part protocol.Part, id, from string) protocol.Got {
	taken, err := Promote(ctx, s.store, s.name(part), id, from)
	return protocol.Got{Err: err, Taken: taken}
}

// Promote moves the current label from version from to id. When the answer is lost, or an
// earlier run came so far, the version itself knows, and reading it never lags. taken says
// that the label is on a third version.
func Promote(ctx context.Context, store secretstore.Store, name, id, from string) (taken bool, err error) {
	err = store.Promote(ctx, name, secretstore.Current, id, from)
	if err == nil {
		return false, nil
	}
	now, readErr := store.GetVersion(ctx, name, id)
	switch {
	case readErr != nil:
		return false, fmt.Errorf("promoting: %w", errors.Join(err, readErr))
	case now.Has(secretstore.Current):
		return false, nil
	}
	return errors.Is(err, secretstore.ErrConflict), fmt.Errorf("promoting: %w", err)
}

// supersede moves the label of versions that lost to id, from wherever it is.
func (s *secrets) supersede(ctx context.Context, part protocol.Part, id string) protocol.Got {
	d, err := s.store.Describe(ctx, s.name(part))
	if err != nil {
		return protocol.Got{Err: err}
	}
	before, _ := d.Holder(protocol.Superseded)
	if before.ID == id {
		return protocol.Got{}
	}
	if err := s.store.Promote(ctx, s.name(part), protocol.Superseded, id, before.ID); err != nil {
		return protocol.Got{Err: fmt.Errorf("keeping a version under %s: %w", protocol.Superseded, err)}
	}
	return protocol.Got{}
}
