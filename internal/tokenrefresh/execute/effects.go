package execute

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh/protocol"
)

// effects are what actions do for one credential.
type effects struct {
	Deps

	provider string
	secrets  *secrets
	journal  *journal
}

func newEffects(prefix, provider string, deps Deps) *effects {
	return &effects{
		Deps: deps, provider: provider,
		secrets: &secrets{store: deps.Secrets, prefix: prefix, provider: provider, newID: deps.NewID},
		journal: &journal{objects: deps.Objects, key: prefix + "/state/tokens/" + provider, newID: deps.NewID, now: deps.Now},
	}
}

// waitStep is how long one Await waits.
const waitStep = 200 * time.Millisecond

// do does what an action says, and nothing else.
func (e *effects) do(ctx context.Context, a protocol.Action) protocol.Got {
	switch a.Do {
	case protocol.Read:
		return e.secrets.read(ctx, a.Part, a.Label)
	case protocol.ReadVersion:
		return e.secrets.readVersion(ctx, a.Part, a.ID)
	case protocol.Open:
		return e.secrets.open(ctx, a.Part)
	case protocol.ReadJournal:
		j, err := e.journal.read(ctx)
		return protocol.Got{Journal: j, Err: err}
	case protocol.ReadRotation:
		return e.secrets.rotation(ctx, a.Part)
	case protocol.Await:
		select {
		case <-ctx.Done():
			return protocol.Got{Err: ctx.Err()}
		case <-time.After(waitStep):
			return e.secrets.read(ctx, a.Part, a.Label)
		}
	case protocol.Lease:
		return e.journal.lease(ctx)
	case protocol.WriteJournal:
		return e.journal.write(ctx, a.Run.Journal)
	case protocol.Obtain:
		return e.obtain(ctx, a)
	case protocol.Probe:
		return protocol.Got{Err: e.Authorities[e.provider].Probe(ctx, a.Run.Connection, a.Token)}
	case protocol.Store:
		return e.secrets.put(ctx, a.Part, a.Label, a.ID, a.Data)
	case protocol.Promote:
		return e.secrets.promote(ctx, a.Part, a.ID, a.From)
	case protocol.Unlabel:
		return e.unlabel(ctx, a)
	case protocol.Supersede:
		return e.secrets.supersede(ctx, a.Part, a.ID)
	case protocol.StartRotation:
		id := a.ID
		if id != "" {
			id += e.NewID()
		}
		return protocol.Got{Err: e.Rotate(ctx, e.secrets.name(a.Part), id)}
	case protocol.Notify:
		return e.notify(ctx, a.Event)
	case protocol.Release:
		ctx, cancel := detached(ctx)
		defer cancel()
		return protocol.Got{Err: e.journal.release(ctx, a.Run.Journal)}
	case protocol.Begin, protocol.Finish:
	}
	return protocol.Got{}
}

// obtain makes the call within half of the time that is left: the rest is for the writes.
func (e *effects) obtain(ctx context.Context, a protocol.Action) protocol.Got {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	x := a.Exchange
	grant, err := e.Authorities[e.provider].Obtain(ctx, a.Run.Connection, x.Client, x.Credential, x.FromCode)
	return protocol.Got{Grant: grant, Err: err}
}

func (e *effects) unlabel(ctx context.Context, a protocol.Action) protocol.Got {
	err := e.Secrets.Promote(ctx, e.secrets.name(a.Part), stage(a.Label), "", a.ID)
	if err == nil || errors.Is(err, secretstore.ErrConflict) {
		return protocol.Got{}
	}
	e.Log.WarnContext(ctx, "label not removed", "provider", e.provider, "err", err)
	return protocol.Got{Err: fmt.Errorf("removing %s: %w", stage(a.Label), err)}
}

func (e *effects) notify(ctx context.Context, event protocol.Event) protocol.Got {
	ctx, cancel := detached(ctx)
	defer cancel()
	err := e.Notify(ctx, event)
	if err != nil {
		e.Log.ErrorContext(ctx, "event not sent", "provider", e.provider, "err", err)
	}
	return protocol.Got{Err: err}
}

// detached is a context for what must be done even if ctx has ended.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
}
