package tokenrefresh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
)

// Errors of Authorize. The code was not sent anywhere.
var (
	errReplayed = errors.New("this authorization code was used before: open the authorization URL again for a new one")
	errChanged  = errors.New("the connection changed while the person was authorizing: begin again")
)

// Authorize takes the one-time code that a person has just obtained with the
// connection begun, and exchanges it.
//
// The code is persisted first: it becomes part of the connection, by a swap
// from the version that was read, so that an edit of somebody else's is kept.
// From then on it is the protocol's: the run that follows here, or any other,
// exchanges it exactly once. A crash before the swap spends nothing; the
// person begins again.
//
// An error means that the code was not handed over. What became of the
// exchange is in the Result. While another run holds the lease, Authorize
// looks again each second until ctx ends.
func (r *Refresher) Authorize(ctx context.Context, provider string, begun providers.Connection, code providers.Secret) (Result, error) {
	const tries = 3
	won := false
	for n := 0; !won; n++ {
		if n == tries {
			return Result{}, errChanged
		}
		var err error
		if won, err = r.handOver(ctx, provider, begun, code); err != nil {
			return Result{}, err
		}
	}
	for {
		result := r.keep(ctx, provider, Request{Provider: provider})
		if result.Outcome != protocol.Waiting {
			return result, nil
		}
		select {
		case <-ctx.Done():
			return result, nil
		case <-time.After(time.Second):
		}
	}
}

// handOver writes the code into the connection secret, and reports false if
// somebody else's edit won the swap.
func (r *Refresher) handOver(ctx context.Context, provider string, begun providers.Connection, code providers.Secret) (bool, error) {
	name := secretstore.Name(r.prefix, provider, secretstore.ConnectionPart)
	value, err := r.deps.Secrets.Get(ctx, name, secretstore.Current)
	if err != nil {
		return false, fmt.Errorf("reading %s: %w", name, err)
	}
	c, err := providers.ParseConnection(value.Data)
	if err != nil {
		return false, err
	}
	switch {
	case c.Kind != begun.Kind || c.ClientID != begun.ClientID || c.RedirectURI != begun.RedirectURI:
		return false, errChanged
	case c.Code == code:
		return false, errReplayed
	}
	document, err := withCode(value.Data, code)
	if err != nil {
		return false, err
	}
	id := r.deps.NewID()
	if err := r.deps.Secrets.Put(ctx, name, id, document, protocol.Next); err != nil {
		return false, fmt.Errorf("storing the code in %s: %w", name, err)
	}
	err = r.deps.Secrets.Promote(ctx, name, secretstore.Current, id, value.ID)
	if errors.Is(err, secretstore.ErrConflict) {
		now, readErr := r.deps.Secrets.Get(ctx, name, secretstore.Current)
		if readErr != nil || now.ID != id {
			return false, readErr
		}
		err = nil
	}
	if err != nil {
		return false, fmt.Errorf("storing the code in %s: %w", name, err)
	}
	if err := r.deps.Secrets.Promote(ctx, name, protocol.Next, "", id); err != nil {
		r.deps.Log.WarnContext(ctx, "label not removed", "provider", provider, "err", err) // nothing depends on it
	}
	return true, nil
}

// withCode sets the code of a connection document and leaves everything else
// in it as the operator wrote it, what Hikyaku does not know included.
func withCode(document []byte, code providers.Secret) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(document, &fields); err != nil {
		return nil, fmt.Errorf("connection document: %w: not a JSON object", providers.ErrInvalid)
	}
	text, err := json.Marshal(code.Reveal())
	if err != nil {
		return nil, fmt.Errorf("connection document: %w: the code is no text", providers.ErrInvalid)
	}
	fields["code"] = text
	return json.Marshal(fields)
}
