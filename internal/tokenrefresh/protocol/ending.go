package protocol

import (
	"fmt"
	"time"

	"hikyaku/pkg/providers"
)

// ending tells people what they should know: that they are needed, once; that all is
// well again, once; and that a credential which only they can replace will end, on each
// of warnDays. What was told is remembered with the lease's release, so a crash between
// the two tells it twice rather than never.
type ending struct{ *step }

func (s ending) begin() Action {
	switch j := s.Journal; {
	case j.helpMissing():
		return s.notify(Event{Type: NeedsHuman, Reason: j.Reason, Steps: instructions(s.Provider, s.Connection.Kind)})
	case j.relieved():
		return s.notify(Event{Type: Recovered, Reason: "a working credential is served again"})
	}
	return s.warn()
}

func (s ending) decide() Action {
	switch s.did.Do {
	case Notify:
		return s.notified()
	case Release:
		if s.Verdict.Err == nil {
			s.Verdict.Err = s.got.Err
		}
		return s.do(Action{Do: Finish})
	default:
		return s.after()
	}
}

// notified remembers what was told. An event that was refused is sent by the next run.
func (s ending) notified() Action {
	told, e := s.got.Err == nil, s.did.Event
	switch {
	case e.Type == Expiring:
		if told {
			s.Journal.Warned, s.Journal.WarnedFor = e.days, s.Token.ExpiresAt
		}
		return s.do(Action{Do: Release})
	case told && e.Type == NeedsHuman:
		s.Journal.NeedsHuman = e.Reason
	case told:
		s.Journal.NeedsHuman = ""
	}
	return s.warn()
}

func (s ending) warn() Action {
	days := s.warningDue(s.now)
	if days == 0 {
		return s.do(Action{Do: Release})
	}
	reason := fmt.Sprintf("the credential ends at %s, in %d days or less", s.Token.ExpiresAt.UTC().Format("2006-01-02 15:04 MST"), days)
	return s.notify(Event{Type: Expiring, Reason: reason, Steps: instructions(s.Provider, s.Connection.Kind), days: days})
}

func (s ending) notify(e Event) Action {
	e.Provider, e.At = s.Provider, s.now
	return s.do(Action{Do: Notify, Event: e})
}

// untold: a person does not know what they should, because an event could not
// be sent or was not due yet.
func (r *Run) untold(now time.Time) bool {
	return r.Journal.helpMissing() || r.Journal.relieved() || r.warningDue(now) > 0
}

// warningDue returns the days of a warning that has not been given yet.
func (r *Run) warningDue(now time.Time) int {
	switch kind := r.Token.Kind; {
	case r.Token.Credential.Empty() || kind == providers.ClientCredentials:
		return 0
	case r.Journal.Renews && r.Journal.NeedsHuman == "":
		return 0 // it renews itself: its end is news only if that fails
	}
	expires := r.Token.ExpiresAt
	days := warning(now, expires)
	if days == 0 || r.Journal.WarnedFor.Equal(expires) && r.Journal.Warned <= days {
		return 0
	}
	return days
}
