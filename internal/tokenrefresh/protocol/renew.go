package protocol

import (
	"errors"

	"hikyaku/pkg/providers"
)

// renewing replaces a credential that can be asked for at any time. The token secret
// is its record: the new token is stored there under the label, probed, and promoted.
// A crash before the store costs one unused token.
type renewing struct{ *step }

func (s renewing) begin() Action {
	s.Phase = Renewing
	if s.TokenVersion == "" || s.Goal == CreatePending {
		return s.do(Action{Do: Open, Part: TokenSecret})
	}
	return s.do(Action{Do: Read, Part: TokenSecret, Label: Next})
}

func (s renewing) decide() Action {
	switch s.did.Do {
	case Open:
		if s.got.Err != nil {
			return s.fail("reading the token secret", s.got.Err)
		}
		s.TokenVersion = s.got.ID
		if s.Goal == CreatePending {
			return s.obtain()
		}
		return s.do(Action{Do: Read, Part: TokenSecret, Label: Next})
	case Read:
		return s.storedRead()
	case Unlabel:
		return s.unlabeled()
	case Obtain:
		return s.obtained()
	case Store:
		if s.got.Err != nil {
			return s.fail("storing the new token", s.got.Err)
		}
		if s.Goal == CreatePending {
			return s.made()
		}
		s.Next.ID = s.got.ID
		return s.do(Action{Do: Probe, Token: s.Next.Token})
	case Probe:
		return s.probed()
	default:
		return s.after()
	}
}

// storedRead uses a token that an earlier run stored, if it is for the version that is
// current now and for the connection as it is now, and not due itself. One that is current
// already only loses the label.
func (s renewing) storedRead() Action {
	switch {
	case s.got.Missing:
		return s.obtain()
	case s.got.Err != nil:
		return s.fail("reading the stored token", s.got.Err)
	case s.got.ID == s.TokenVersion:
		return s.do(Action{Do: Unlabel, Part: TokenSecret, Label: Next, ID: s.got.ID})
	}
	token, err := providers.ParseToken(s.got.Data)
	desired := s.tokenWith(token.Credential, token.ObtainedAt, token.ExpiresAt)
	if err != nil || token.Base != s.TokenVersion || !sameToken(token, desired) || s.aged(token, s.now) {
		return s.obtain()
	}
	s.Outcome = Promoted
	s.Next = Replacement{Part: TokenSecret, ID: s.got.ID, Label: Next, Base: token.Base, Token: token}
	return s.do(Action{Do: Probe, Token: token})
}

// unlabeled goes on after a label was taken off: of the current version, or of a
// token that the provider denied.
func (s renewing) unlabeled() Action {
	if s.Next.ID != "" {
		v := s.Verdict
		v.Err = errors.Join(v.Err, s.got.Err)
		return s.conclude(v)
	}
	if s.got.Err != nil {
		return s.fail("reading the stored token", s.got.Err)
	}
	return s.obtain()
}

func (s renewing) obtain() Action {
	if !s.mayWrite(1, s.now) {
		return s.overBudget()
	}
	return s.exchange(providers.Secret{}, false)
}

func (s renewing) obtained() Action {
	if next, another := s.refusedClient(); another {
		return next
	}
	switch err := s.got.Err; {
	case errors.Is(err, providers.ErrRevoked):
		return s.conclude(Verdict{Refused, "the provider refuses the client's credentials", err})
	case neverSent(err):
		return s.unusable(err)
	case err != nil:
		return s.fail("asking for a token", err)
	}
	token := s.tokenOf(s.believable())
	s.Next = Replacement{Part: TokenSecret, Label: s.label(), Base: token.Base, Token: token}
	return s.store(TokenSecret, s.label(), s.Version, token.Document())
}

// probed lets any doubt stop a token that can be asked for again.
func (s renewing) probed() Action {
	switch err := s.got.Err; {
	case providers.Refused(err):
		s.Verdict = Verdict{Denied, "the new token does not work", err}
		return s.do(Action{Do: Unlabel, Part: TokenSecret, Label: s.Next.Label, ID: s.Next.ID})
	case neverSent(err):
		return s.unusable(err)
	case err != nil:
		return s.conclude(Verdict{Unproven, "the new token is stored; its probe gave no clear answer", err})
	}
	return promoting(s).begin()
}
