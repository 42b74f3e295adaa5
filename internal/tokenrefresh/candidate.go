package tokenrefresh

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh/execute"
	"hikyaku/internal/tokenrefresh/protocol"
)

// A Candidate is a version of a connection secret that a person has entered, under the
// label HIKYAKU_CANDIDATE. Nothing takes it for the connection before it is adopted.
type Candidate struct {
	Version string
	Base    string // the version whose place it is to take
}

// noConnection begins the version id of the placeholder that a connection secret holds
// before its first candidate is adopted.
const noConnection = "placeholder-"

// Stage stores document as the candidate for the place of version base of a connection
// secret, in the place of any candidate before it. Where there is no connection yet, base
// is empty, and the secret is made with a placeholder: its first version is current
// whatever label it is put under.
func Stage(ctx context.Context, secrets secretstore.Store, newID func() string, name, base string, document []byte) (Candidate, error) {
	c := Candidate{Version: newID(), Base: base}
	if base == "" {
		c.Base = noConnection + newID()
		if err := execute.Make(ctx, secrets, name, c.Base); err != nil {
			return c, fmt.Errorf("creating %s: %w", name, err)
		}
	}
	if err := secrets.Put(ctx, name, c.Version, document, protocol.Candidate); err != nil {
		return c, fmt.Errorf("storing a candidate in %s: %w", name, err)
	}
	return c, nil
}

// Adopt makes the candidate the connection. It may be repeated. taken says that somebody
// else's edit has won: the connection is no longer the candidate's base.
func (r *Refresher) Adopt(ctx context.Context, provider string, c Candidate) (taken bool, err error) {
	name := secretstore.Name(r.prefix, provider, secretstore.ConnectionPart)
	if taken, err = execute.Promote(ctx, r.deps.Secrets, name, c.Version, c.Base); err != nil {
		return taken, fmt.Errorf("storing %s: %w", name, err)
	}
	if err := r.deps.Secrets.Promote(ctx, name, protocol.Candidate, "", c.Version); err != nil && !errors.Is(err, secretstore.ErrConflict) {
		r.deps.Log.WarnContext(ctx, "label not removed", "provider", provider, "err", err) // nothing depends on it
	}
	return false, nil
}

// HasConnection says whether a connection secret holds more than a placeholder.
func HasConnection(d secretstore.Description) bool {
	current, _ := d.Holder(secretstore.Current)
	return !strings.HasPrefix(current.ID, noConnection)
}
