package tokenrefresh

import (
	"context"
	"fmt"
)

// tell sends what a person should know: that they are needed, once; that all
// is well again, once; and that a credential which only they can replace will
// end, on each of warnDays. What was told is remembered with the lease's
// release, so a crash between the two tells it twice rather than never.
func (a *attempt) tell(ctx context.Context, v verdict) {
	switch {
	case v.outcome.needsHuman() && a.state.NeedsHuman != v.reason:
		if a.notify(ctx, Event{Type: NeedsHuman, Reason: v.reason, Steps: steps(a.provider, a.connection.Kind)}) {
			a.state.NeedsHuman = v.reason
		}
	case a.state.NeedsHuman != "" && settled(v.outcome):
		if a.notify(ctx, Event{Type: Recovered, Reason: "a working credential is served again"}) {
			a.state.NeedsHuman = ""
		}
	}
	a.warn(ctx)
}

// settled: a credential that works is served.
func settled(o Outcome) bool {
	return o == Refreshed || o == Promoted || o == Probed || o == Adopted
}

func (a *attempt) warn(ctx context.Context) {
	days := a.warningDue(a.deps.Now())
	if days == 0 {
		return
	}
	expires := a.token.ExpiresAt
	reason := fmt.Sprintf("the credential ends at %s, in %d days or less", expires.UTC().Format("2006-01-02 15:04 MST"), days)
	if a.notify(ctx, Event{Type: Expiring, Reason: reason, Steps: steps(a.provider, a.connection.Kind)}) {
		a.state.Warned, a.state.WarnedFor = days, expires
	}
}

// notify reports whether the event was accepted; if not, the next run that
// acts sends it again.
func (a *attempt) notify(ctx context.Context, e Event) bool {
	e.Provider, e.At = a.provider, a.deps.Now()
	if err := a.deps.Notify(ctx, e); err != nil {
		a.deps.Log.ErrorContext(ctx, "event not sent", "provider", a.provider, "err", err)
		return false
	}
	return true
}
