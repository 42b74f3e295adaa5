package protocol

import (
	"fmt"
	"time"

	"hikyaku/pkg/providers"
)

// stuckAfter is how long a version may stay pending that does not become current
// before its rotation is taken as abandoned. Until it is taken away, Secrets Manager
// refuses every other rotation.
const stuckAfter = 10 * time.Minute

// driven leaves a secret to Secrets Manager's rotation: a run by schedule or request
// only starts it, and ends one that was abandoned; a step of the rotation makes,
// tests or promotes the version that the service names.
type driven struct{ *step }

func (s driven) decide() Action {
	switch s.did.Do {
	case ReadVersion:
		return s.pendingRead()
	case Lease:
		return s.leased()
	case Probe:
		return s.tested()
	case Unlabel:
		if s.got.Err != nil {
			return s.finish(Verdict{Failed, "taking the abandoned version back", s.got.Err})
		}
		return s.start()
	case StartRotation:
		return s.started()
	default:
		return s.after()
	}
}

// begin begins a step of a rotation.
func (s driven) begin() Action {
	s.Phase = Driven
	if s.record() != s.Part || s.Connection.Kind == providers.Static || s.Unreadable != nil {
		return s.finish(Verdict{Err: fmt.Errorf("a credential of kind %q is not rotated through this secret; disable its rotation", s.Connection.Kind)})
	}
	return s.do(Action{Do: ReadVersion, Part: s.Part, ID: s.Version})
}

// rotates starts the rotation of a secret, unless one is under way. One that was
// abandoned half-way is finished first if it has stored a one-time credential, or else
// taken back.
func (s driven) rotates() Action {
	s.Phase = Driven
	pending, seen := s.got.Pending, s.Journal.Pending
	switch {
	case pending == "" || pending == s.got.Current:
		return s.start()
	case seen == nil || seen.ID != pending:
		s.Version = pending
		return s.do(Action{Do: Lease}) // to note it
	case s.now.Sub(seen.Since) < stuckAfter:
		return s.finish(Verdict{Outcome: Rotating, Reason: "a rotation is under way"})
	}
	return s.do(Action{Do: ReadVersion, Part: s.record(), ID: pending})
}

// start starts a rotation if the budget of its payer has the versions. Its steps come from
// Secrets Manager alone, so the version's id says what budget they count to.
func (s driven) start() Action {
	versions := 1
	if s.record() == RefreshSecret {
		versions = redeemVersions
	}
	if !s.mayWrite(versions, s.now) {
		return s.overBudget()
	}
	return s.do(Action{Do: StartRotation, Part: s.record(), ID: rotationOf[s.payer()]})
}

func (s driven) started() Action {
	healed := s.Version != ""
	switch {
	case s.got.Err != nil && healed:
		return s.finish(Verdict{Failed, "starting the rotation again", s.got.Err})
	case s.got.Err != nil:
		return s.finish(Verdict{Failed, "starting the rotation", s.got.Err})
	case healed:
		return s.finish(Verdict{Outcome: Rotating, Reason: "an abandoned rotation was taken back and started again"})
	}
	return s.finish(Verdict{Outcome: Rotating, Reason: "secrets manager drives this secret"})
}

// pendingRead goes on with the version that the service named, or that was abandoned.
// The service's empty placeholder is a version without a value.
func (s driven) pendingRead() Action {
	if s.got.Err != nil && !s.got.Missing {
		return s.finish(Verdict{Failed, "reading the pending version", s.got.Err})
	}
	switch s.Goal {
	case CreatePending:
		if !s.got.Missing {
			return s.made()
		}
		return s.do(Action{Do: Lease})
	case TestPending:
		return s.test()
	case Keep:
		s.Version = s.did.ID
		if s.got.Missing || s.record() == TokenSecret {
			return s.do(Action{Do: Unlabel, Part: s.record(), Label: Pending, ID: s.did.ID})
		}
		s.Goal, s.Part = FinishRotation, RefreshSecret // what it was made from is spent
	case FinishRotation:
	}
	if s.got.Missing {
		return s.finish(Verdict{Outcome: Failed, Reason: "the version has no value; createSecret comes first"})
	}
	if err := s.pendingTaken(); err != nil {
		return s.finish(Verdict{Failed, "reading the pending version", err})
	}
	return s.do(Action{Do: Lease})
}

// pendingTaken takes the pending version as the replacement.
func (s driven) pendingTaken() error {
	s.Next = Replacement{Part: s.Part, ID: s.did.ID, Label: Pending}
	var err error
	if s.Part == TokenSecret {
		s.Next.Token, err = providers.ParseToken(s.got.Data)
		s.Next.Base = s.Next.Token.Base
		return err
	}
	s.Next.Grant, err = providers.ParseGrant(s.got.Data)
	s.Next.Token, s.Next.Base = s.tokenOf(s.Next.Grant), s.Next.Grant.Base
	return err
}

// test probes the new credential. Without one the service only tests the
// configuration, and the credential that is served is probed instead.
func (s driven) test() Action {
	token := s.Token
	if !s.got.Missing {
		if err := s.pendingTaken(); err != nil {
			return s.finish(Verdict{Failed, "reading the pending version", err})
		}
		token = s.Next.Token
	}
	return s.do(Action{Do: Probe, Token: token})
}

// tested lets doubt stop only what can be asked for again: of a one-time pair the old
// half is spent.
func (s driven) tested() Action {
	if err := s.got.Err; providers.Refused(err) || err != nil && s.Part == TokenSecret {
		return s.finish(Verdict{Denied, "the new credential does not work", err})
	}
	return s.finish(Verdict{Outcome: Probed})
}

func (s driven) leased() Action {
	if !s.leaseTaken() {
		if s.Goal == Keep {
			return s.finish(Verdict{Waiting, "a step of the rotation runs", s.got.Err})
		}
		return s.finish(Verdict{Failed, "acquiring the lease", s.got.Err})
	}
	switch s.Goal {
	case CreatePending:
		if s.Part == TokenSecret {
			return renewing(s).begin()
		}
		return redeeming(s).begin()
	case FinishRotation:
		if s.Part == TokenSecret {
			return promoting(s).begin()
		}
		return redeeming(s).probe()
	default:
		s.Journal.Pending = &Sighting{ID: s.Version, Since: s.now}
		return s.end(Verdict{Outcome: Rotating, Reason: "a rotation is under way"})
	}
}
