package protocol

import (
	"errors"
	"time"

	"hikyaku/pkg/providers"
)

const (
	// rest is how long a tick takes the word of the last look: less than five
	// minutes, so that with a tick each minute every secret is read each five, and
	// a connection that a person changed is in use within them.
	rest = 4*time.Minute + 30*time.Second

	// waits is how often the loser of the lease looks for the winner's token while a
	// caller waits for it.
	waits = 25
)

// inspecting reads the connection, what is remembered, and the callers' token, and
// decides whether there is anything to do: once without the lease, once under it.
type inspecting struct{ *step }

func (s inspecting) decide() Action {
	switch s.did.Do {
	case Begin:
		return s.begin()
	case Read, ReadVersion:
		switch {
		case s.did.Part == ConnectionSecret:
			return s.connectionRead()
		case s.Waits > 0:
			return s.awaited()
		}
		return s.tokenRead()
	case ReadJournal:
		if s.got.Err != nil {
			return s.unread(s.got.Err)
		}
		s.Journal = s.got.Journal
		return s.do(Action{Do: Read, Part: TokenSecret, Label: Current})
	case ReadRotation:
		return s.rotationRead()
	case Lease:
		return s.leased()
	case Await:
		return s.awaited()
	default:
		return s.after()
	}
}

// begin decides a tick from memory. A credential that is due by what this process
// saw goes to the lease at once, where everything is read anyway; one that is not
// rests for a while. Where nothing is remembered, after a failure or at the start,
// and for requests everything is read.
func (s inspecting) begin() Action {
	if m := s.Memory; m != nil && s.Goal == Keep && s.Request == (Request{}) {
		rests := s.Began.Sub(m.At) < rest
		if !m.Off {
			s.Snapshot = m.Snapshot
			if _, done := s.judge(s.now); !done {
				return s.do(Action{Do: ReadRotation, Part: s.record()})
			}
		}
		if rests && !s.untold(s.Began) {
			return s.finish(Verdict{Outcome: Resting})
		}
		s.Snapshot = Snapshot{}
	}
	return s.readAll()
}

func (s inspecting) readAll() Action {
	return s.do(Action{Do: Read, Part: ConnectionSecret, Label: Current})
}

// connectionRead goes on although a connection cannot be understood: a person is told.
func (s inspecting) connectionRead() Action {
	if s.got.Missing && s.Goal == Keep {
		return s.looked(Verdict{Outcome: Off, Reason: "no connection"})
	}
	if s.got.Err != nil {
		return s.unread(s.got.Err)
	}
	s.ConnectionVersion = s.got.ID
	s.Connection, s.Unreadable = providers.ParseConnection(s.got.Data)
	if errors.Is(s.Unreadable, providers.ErrNotFound) && s.Goal == Keep {
		return s.looked(Verdict{Outcome: Off, Reason: "no connection"})
	}
	if !s.Leased {
		return s.do(Action{Do: ReadJournal})
	}
	if unknown := providers.UnknownFields(s.got.Data); len(unknown) > 0 {
		s.warning = &Warning{"the connection has fields that no connection has: is one misspelled?", unknown}
	}
	return s.do(Action{Do: Read, Part: TokenSecret, Label: Current})
}

func (s inspecting) tokenRead() Action {
	if again, lags := s.lagging(); lags {
		return again
	}
	if err := s.tokenTaken(); err != nil {
		return s.unread(err)
	}
	if s.Goal != Keep {
		return driven(s).begin()
	}
	if rejected := s.Request.RejectedVersion; rejected != "" && !s.Token.Credential.Empty() && s.TokenVersion != rejected {
		return s.looked(Verdict{Outcome: Replaced, Reason: "another version is served already"})
	}
	v, done := s.judge(s.now)
	switch {
	case done:
		return s.looked(v)
	case s.Leased:
		return s.act()
	}
	return s.do(Action{Do: ReadRotation, Part: s.record()})
}

// unread ends a run that could not read everything.
func (s inspecting) unread(err error) Action {
	if s.Goal != Keep {
		return s.finish(Verdict{Err: err})
	}
	return s.looked(Verdict{Failed, "reading secrets and state", err})
}

// looked ends a run that has nothing to do, but for telling people what they do not
// know yet.
func (s inspecting) looked(v Verdict) Action {
	if !s.Leased && s.untold(s.now) {
		return s.do(Action{Do: Lease})
	}
	return s.end(v)
}

// rotationRead leaves a secret that Secrets Manager drives to it.
func (s inspecting) rotationRead() Action {
	switch {
	case s.got.Missing:
	case s.got.Err != nil:
		return s.finish(Verdict{Failed, "reading the secret's rotation", s.got.Err})
	case s.got.Rotates:
		return driven(s).rotates()
	}
	return s.do(Action{Do: Lease})
}

func (s inspecting) leased() Action {
	switch {
	case s.leaseTaken():
		return s.readAll()
	case !s.got.Taken:
		return s.finish(Verdict{Failed, "acquiring the lease", s.got.Err})
	case s.Request.RejectedVersion == "":
		return s.finish(Verdict{Outcome: Waiting, Reason: "another run holds the lease"})
	}
	return s.await()
}

func (s inspecting) await() Action {
	s.Waits++
	return s.do(Action{Do: Await, Part: TokenSecret, Label: Current})
}

// awaited waits for the token of the run that holds the lease, because a caller
// waits for it.
func (s inspecting) awaited() Action {
	if again, lags := s.lagging(); lags {
		return again
	}
	if s.tokenTaken() == nil && s.TokenVersion != s.Request.RejectedVersion && !s.Token.Credential.Empty() {
		return s.finish(Verdict{Outcome: Replaced, Reason: "another run replaced it"})
	}
	switch {
	case s.left == 0:
		return s.finish(Verdict{Waiting, "another run holds the lease", s.got.Err})
	case s.Waits == waits:
		return s.finish(Verdict{Outcome: Waiting, Reason: "another run holds the lease; try again"})
	}
	return s.await()
}

// act begins what there is to do.
func (s inspecting) act() Action {
	faults := s.Connection.Unusable()
	switch {
	case s.Unreadable != nil:
		return s.conclude(Verdict{Unconfigured, "the connection secret is not of the documented schema", s.Unreadable})
	case len(faults) > 0:
		return s.conclude(Verdict{Outcome: Unconfigured, Reason: "the connection cannot work: " + faults.Error()})
	case s.hurried():
		return s.fail("too little time is left for a token call and its writes", nil)
	}
	switch s.Connection.Kind {
	case providers.ClientCredentials:
		return renewing(s).begin()
	case providers.OneTimePair, providers.OneTimeCode:
		return redeeming(s).begin()
	case providers.Static:
		return settling(s).static()
	}
	return s.conclude(Verdict{Outcome: Unconfigured, Reason: "the connection names no known kind of credential"})
}

// judge says from what was read whether there is anything to do, and why.
func (r *Run) judge(now time.Time) (v Verdict, done bool) {
	reason, unchanged := r.due(now), r.Journal.Tried == r.key()
	cooling := unchanged && now.Before(r.Journal.coolUntil(r.Connection.Kind))
	switch last := r.Journal.Outcome; {
	case r.Request.Force:
	case unchanged && last.Status() == Human && (last.final() || cooling || reason == ""):
		return Verdict{Outcome: last, Reason: r.Journal.Reason}, true
	case reason == "":
		return Verdict{Outcome: Fresh}, true
	case cooling:
		return Verdict{Outcome: Cooling, Reason: "failed a moment ago"}, true
	}
	r.Reason = reason
	return Verdict{}, false
}

// due returns why there is something to do, or "".
func (r *Run) due(now time.Time) string {
	policy := PolicyOf(r.Provider, r.Connection.Kind)
	switch {
	case r.Request.Force:
		return "asked for by a person"
	case r.Unreadable != nil:
		return "the connection cannot be read"
	case r.Token.Credential.Empty():
		return "no token yet"
	case r.Request.RejectedVersion != "":
		return "the provider rejected it"
	case r.Journal.Intent != nil:
		return "an earlier run did not finish"
	case r.Journal.Connection != r.ConnectionVersion:
		return "the connection changed"
	case r.Journal.Outcome.Status() == Fault:
		return "the last run failed"
	case r.oldEnough(policy, now):
		return "its time has come"
	case policy.Probe > 0 && now.Sub(r.Journal.Probed) >= policy.Probe && now.Sub(r.Journal.At) >= policy.Probe:
		return "to be tried"
	case r.warningDue(now) > 0:
		return "it ends soon"
	}
	return ""
}

// oldEnough: the credential is to be replaced for its age. One that turned
// out to have nothing to replace it with is only probed.
func (r *Run) oldEnough(policy Policy, now time.Time) bool {
	return r.Connection.Kind != providers.Static && r.aged(r.Token, now) &&
		(r.Journal.Outcome != Probed || now.Sub(r.Journal.At) >= policy.Probe)
}
