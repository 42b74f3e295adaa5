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
// The code is persisted first: see HandOver. From then on it is the protocol's: the run
// that follows here, or any other, exchanges it exactly once.
//
// An error means that the code was not handed over. What became of the
// exchange is in the Result.
func (r *Refresher) Authorize(ctx context.Context, provider string, begun providers.Connection, code providers.Secret) (Result, error) {
	adopt := func(ctx context.Context, c Candidate) (bool, error) { return r.Adopt(ctx, provider, c) }
	if err := r.HandOver(ctx, provider, begun, code, adopt); err != nil {
		return Result{}, err
	}
	return r.Exchange(ctx, provider), nil
}

// HandOver makes the code part of the connection begun: it stores both as a candidate,
// and lets adopt swap it in from the version that was read, so that an edit of somebody
// else's is kept. A crash before the swap spends nothing; the person begins again.
func (r *Refresher) HandOver(ctx context.Context, provider string, begun providers.Connection, code providers.Secret, adopt func(context.Context, Candidate) (taken bool, err error)) error {
	const tries = 3
	for range tries {
		c, err := r.stageCode(ctx, provider, begun, code)
		if err != nil {
			return err
		}
		if taken, err := adopt(ctx, c); !taken {
			return err
		}
	}
	return errChanged
}

// stageCode stores the connection with the code as a candidate.
func (r *Refresher) stageCode(ctx context.Context, provider string, begun providers.Connection, code providers.Secret) (Candidate, error) {
	name := secretstore.Name(r.prefix, provider, secretstore.ConnectionPart)
	value, err := r.deps.Secrets.Get(ctx, name, secretstore.Current)
	if err != nil {
		return Candidate{}, fmt.Errorf("reading %s: %w", name, err)
	}
	c, err := providers.ParseConnection(value.Data)
	if err != nil {
		return Candidate{}, err
	}
	switch {
	case c.Kind != begun.Kind || c.ClientID != begun.ClientID || c.RedirectURI != begun.RedirectURI:
		return Candidate{}, errChanged
	case c.Code == code:
		return Candidate{}, errReplayed
	}
	document, err := withCode(value.Data, code)
	if err != nil {
		return Candidate{}, err
	}
	return Stage(ctx, r.deps.Secrets, r.deps.NewID, name, value.ID, document)
}

// Exchange has a credential looked at after its code was handed over. While another run
// holds the lease, it looks again each second, as long as there is time for a run.
func (r *Refresher) Exchange(ctx context.Context, provider string) Result {
	const run = 10 * time.Second
	for {
		result := r.keep(ctx, provider, Request{Provider: provider})
		if deadline, ends := ctx.Deadline(); result.Outcome != protocol.Waiting || ends && time.Until(deadline) < run {
			return result
		}
		select {
		case <-ctx.Done():
			return result
		case <-time.After(time.Second):
		}
	}
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
