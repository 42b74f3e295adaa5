package tokenrefresh

import (
	"context"
	"fmt"
	"time"

	"hikyaku/pkg/providers"
)

// tell sends what a person should know: that they are needed, once; that all
// is well again, once; and that a credential which only they can replace will
// end, on each of warnDays. What was told is remembered with the lease's
// release, so a crash between the two tells it twice rather than never.
func (a *attempt) tell(ctx context.Context) {
	s := &a.state
	switch {
	case s.helpMissing():
		if a.notify(ctx, Event{Type: NeedsHuman, Reason: s.Reason, Steps: steps(a.provider, a.connection.Kind)}) {
			s.NeedsHuman = s.Reason
		}
	case s.relieved():
		if a.notify(ctx, Event{Type: Recovered, Reason: "a working credential is served again"}) {
			s.NeedsHuman = ""
		}
	}
	days := a.warningDue(a.deps.Now())
	if days == 0 {
		return
	}
	expires := a.token.ExpiresAt
	reason := fmt.Sprintf("the credential ends at %s, in %d days or less", expires.UTC().Format("2006-01-02 15:04 MST"), days)
	if a.notify(ctx, Event{Type: Expiring, Reason: reason, Steps: steps(a.provider, a.connection.Kind)}) {
		s.Warned, s.WarnedFor = days, expires
	}
}

// untold: a person does not know what they should, because an event could not
// be sent or was not due yet.
func (a *attempt) untold(now time.Time) bool {
	return a.state.helpMissing() || a.state.relieved() || a.warningDue(now) > 0
}

// helpMissing: a person is needed and was not told, or told another reason.
func (s *state) helpMissing() bool { return s.Outcome.needsHuman() && s.NeedsHuman != s.Reason }

// relieved: a person was told, and is needed no more.
func (s *state) relieved() bool { return s.Outcome.settled() && s.NeedsHuman != "" }

// notify reports whether the event was accepted; if not, the next run sends
// it again.
func (a *attempt) notify(ctx context.Context, e Event) bool {
	e.Provider, e.At = a.provider, a.deps.Now()
	if err := a.deps.Notify(ctx, e); err != nil {
		a.deps.Log.ErrorContext(ctx, "event not sent", "provider", a.provider, "err", err)
		return false
	}
	return true
}

// warningDue returns the days of a warning that has not been given yet.
func (a *attempt) warningDue(now time.Time) int {
	switch kind := a.token.Kind; {
	case a.token.Credential.Empty() || kind == providers.ClientCredentials:
		return 0
	case a.state.Renews && a.state.NeedsHuman == "":
		return 0 // it renews itself: its end is news only if that fails
	}
	expires := a.token.ExpiresAt
	days := warning(now, expires)
	if days == 0 || a.state.WarnedFor.Equal(expires) && a.state.Warned <= days {
		return 0
	}
	return days
}
