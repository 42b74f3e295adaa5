package protocol

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"hikyaku/pkg/providers"
)

// A step is one decision at work: a copy of the run, which it may change, and what
// it rests on.
type step struct {
	Run

	now     time.Time
	left    time.Duration
	did     Action
	got     Got
	warning *Warning // goes out with the next action
}

// do makes an action that carries the run.
func (s *step) do(a Action) Action {
	a.Run, a.Warning = s.Run, s.warning
	return a
}

// after panics for an action that its phase never takes.
func (s *step) after() Action {
	panic(fmt.Sprintf("protocol: nothing is decided in phase %q after %q", s.Phase, s.did.Do))
}

// store writes a version and counts it against the budget of the caller.
func (s *step) store(part Part, label Label, id string, data []byte) Action {
	s.Journal.add(s.payer(), s.now)
	return s.do(Action{Do: Store, Part: part, Label: label, ID: id, Data: data})
}

// finish ends a run that holds no lease.
func (s *step) finish(v Verdict) Action {
	s.Verdict = v
	return s.do(Action{Do: Finish})
}

// end tells people what they do not know yet, and ends the lease if there is one.
func (s *step) end(v Verdict) Action {
	if !s.Leased {
		return s.finish(v)
	}
	s.Phase, s.Verdict = Ending, v
	return ending{s}.begin()
}

// conclude ends a run that acted, and remembers what came of it.
func (s *step) conclude(v Verdict) Action {
	settled := v.Outcome.Status() == OK
	if settled {
		s.Journal.Intent = nil
	}
	if s.Goal == FinishRotation {
		s.Journal.Pending = nil
	}
	if s.Goal == CreatePending && settled {
		return s.end(Verdict{Outcome: Failed, Reason: "this credential has no refresh token to rotate with; disable its rotation"})
	}
	s.remember(v)
	return s.end(v)
}

// fail concludes with a temporary failure.
func (s *step) fail(reason string, err error) Action {
	return s.conclude(Verdict{Failed, reason, err})
}

// overBudget ends a run that would write too many versions.
func (s *step) overBudget() Action {
	by := s.payer()
	reason := fmt.Sprintf("%s have had %d versions written in 24 hours, as many as they may; the provider was not asked", by, budgets[by])
	v := Verdict{OverBudget, reason, errors.New("no version is left in the budget")}
	if by != schedule {
		return s.end(v) // it says nothing of the credential: the schedule must not wait for it to cool
	}
	return s.conclude(v)
}

// unusable concludes a run whose connection is such that no request can be made of it.
func (s *step) unusable(err error) Action {
	return s.conclude(Verdict{Unconfigured, "no request can be made of the connection", err})
}

// made ends the first step of a rotation.
func (s *step) made() Action {
	return s.end(Verdict{Outcome: Rotating, Reason: "the new credential is stored"})
}

// leaseTaken takes in what Lease gave: the lease and the journal of the last holder.
func (s *step) leaseTaken() bool {
	if s.got.Err != nil {
		return false
	}
	s.Leased, s.Journal = true, s.got.Journal
	return true
}

// lagging reads what callers are served once more, by its id, if the read by
// label gave what stood there before the last promotion: then the label was read as it
// was a moment ago.
func (s *step) lagging() (Action, bool) {
	last := s.Journal.Promoted
	if s.did.Do == ReadVersion || s.got.Err != nil || last == nil || last.From != s.got.ID || s.now.Sub(last.At) >= lag {
		return Action{}, false
	}
	return s.do(Action{Do: ReadVersion, Part: TokenSecret, ID: last.To}), true
}

// tokenTaken takes in what callers read. A placeholder, or a document that cannot be
// read, is no token, but its version is the base of the next one.
func (s *step) tokenTaken() error {
	if s.got.Err != nil && !s.got.Missing {
		return fmt.Errorf("reading the token secret: %w", s.got.Err)
	}
	s.Token, _ = providers.ParseToken(s.got.Data)
	s.TokenVersion = s.got.ID
	return nil
}

// hurried: too little time is left for a token call and the writes after it.
func (s *step) hurried() bool { return s.left < 5*time.Second }

// exchange asks for a token, with the first client secret that the provider knows.
func (s *step) exchange(credential providers.Secret, fromCode bool) Action {
	return s.exchangeWith(0, credential, fromCode)
}

func (s *step) exchangeWith(attempt int, credential providers.Secret, fromCode bool) Action {
	x := Exchange{Attempt: attempt, Credential: credential, FromCode: fromCode}
	if attempt < len(s.Connection.ClientSecrets) {
		x.Client = s.Connection.ClientSecrets[attempt]
	}
	return s.do(Action{Do: Obtain, Exchange: x})
}

// refusedClient tries the next client secret. A refused client has spent nothing;
// after any other answer nothing is tried.
func (s *step) refusedClient() (Action, bool) {
	x := s.did.Exchange
	if !errors.Is(s.got.Err, providers.ErrClient) || x.Attempt+1 >= len(s.Connection.ClientSecrets) {
		return Action{}, false
	}
	return s.exchangeWith(x.Attempt+1, x.Credential, x.FromCode), true
}

// believable is the grant that was obtained. One that is said to end later than the
// provider documents ends at an unknown time: believing it would serve a dead token.
func (s *step) believable() providers.Grant {
	grant := s.got.Grant
	documented, stated := PolicyOf(s.Provider, s.Connection.Kind).Life, grant.ExpiresAt.Sub(grant.ObtainedAt)
	if documented > 0 && !grant.ExpiresAt.IsZero() && stated > documented+documented/10 { // what documents say is rounded
		s.warning = &Warning{Text: fmt.Sprintf("the provider states a longer life than it documents, %v instead of %v, which is not believed", stated, documented)}
		grant.ExpiresAt = time.Time{}
	}
	return grant
}

// neverSent: the connection is such that no request could be made of it.
func neverSent(err error) bool {
	var e *providers.Error
	return errors.Is(err, providers.ErrInvalid) && (!errors.As(err, &e) || e.Status == 0)
}

// OwnVersion begins the ids of the versions that Hikyaku writes.
const OwnVersion = "hikyaku-"

// ours reports whether Hikyaku wrote a version.
func ours(id string) bool { return strings.HasPrefix(id, OwnVersion) }
