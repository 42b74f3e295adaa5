package admin

import (
	"context"

	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/internal/webhookrelay/plan"
	"hikyaku/internal/webhookrelay/state"
	"hikyaku/internal/webhookrelay/tenant"
)

// A History is what the relay did for one user, and what it would do now.
type History struct {
	Events  []state.Event // the oldest first
	Preview plan.Preview  // zero if Err is set
	Err     error         // why it is not known what the relay would do now
}

// HistoryOf reads a user's row, and asks the providers what the next job would do.
// It writes nothing.
func HistoryOf(ctx context.Context, t *tenant.Tenant, user int64) (History, error) {
	held, err := t.State.Rows.Read(ctx, user)
	if err != nil {
		return History{}, err
	}
	h := History{Events: held.History}
	for i := range h.Events {
		newest := i == len(h.Events)-1
		switch e := &h.Events[i]; {
		case e.Outcome != "":
		case newest && held.State == state.Inflight && t.Now().Before(held.Until):
			e.Outcome = outcome.InFlight
		default:
			e.Outcome = outcome.Interrupted
		}
	}
	h.Preview, h.Err = plan.Of(t).Preview(ctx, user)
	if h.Preview.Outcome == outcome.WouldDisable {
		var stopped bool
		if stopped, h.Err = t.State.Disabling.Stopped(ctx); stopped {
			h.Preview.Outcome = outcome.DisablingStopped
		}
	}
	if h.Err != nil {
		h.Preview.Outcome = outcome.FaultOf(h.Err).Class
	}
	return h, nil
}
