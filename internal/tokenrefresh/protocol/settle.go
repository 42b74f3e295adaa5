package protocol

import (
	"errors"

	"hikyaku/pkg/providers"
)

// settling tries a token that is not to be replaced now, and serves it unless the
// provider says no.
type settling struct{ *step }

func (s settling) decide() Action {
	switch {
	case s.did.Do != Probe:
		return s.after()
	case s.Edit.Version != "":
		return s.editProbed()
	}
	return s.judge(s.did.Token)
}

// static serves what a person entered into the connection.
func (s settling) static() Action {
	if s.Connection.APIKey.Empty() {
		return s.conclude(Verdict{Outcome: Unconfigured, Reason: "the connection has no api_key"})
	}
	token := s.tokenWith(s.Connection.APIKey, s.Token.ObtainedAt, s.Connection.ExpiresAt)
	if token.Credential != s.Token.Credential || token.ObtainedAt.IsZero() {
		token.ObtainedAt = s.now
	}
	if token.Expired(s.now) {
		return s.conclude(Verdict{Outcome: Refused, Reason: "the credential's configured end has passed"})
	}
	return s.begin(token)
}

func (s settling) begin(token providers.Token) Action {
	s.Phase = Settling
	if !s.serves(token) && !s.mayWrite(1, s.now) {
		return s.overBudget()
	}
	return s.do(Action{Do: Probe, Token: token})
}

// judge decides by the answer of a probe.
func (s settling) judge(token providers.Token) Action {
	s.Phase = Settling
	probe := s.got.Err
	switch {
	case providers.Refused(probe):
		return s.conclude(Verdict{Denied, "the provider does not accept the credential", probe})
	case errors.Is(probe, providers.ErrNotFound) && !s.serves(token) && !s.Token.Credential.Empty() && !s.Token.Expired(s.now):
		return s.conclude(Verdict{Denied, "the provider knows nothing at this address, so what is served stays; check base_url and account", probe})
	case neverSent(probe):
		return s.unusable(probe)
	case probe != nil && s.serves(token):
		return s.fail("the probe gave no clear answer", probe)
	}
	if probe == nil {
		s.Journal.Probed = s.now
	}
	if s.serves(token) {
		return s.conclude(Verdict{Outcome: Probed})
	}
	s.Next.Token = token
	edited := s.TokenVersion != "" && !ours(s.TokenVersion) && !s.Token.Credential.Empty() && s.Journal.Connection == s.ConnectionVersion
	if edited && !s.Token.Expired(s.now) {
		s.Edit.Version = s.TokenVersion
		return s.do(Action{Do: Probe, Token: s.Token})
	}
	return serving(s).begin()
}

// editProbed keeps a token that a person put into the token secret itself, while it
// works and the connection stays the same.
func (s settling) editProbed() Action {
	if providers.Refused(s.got.Err) {
		return serving(s).begin()
	}
	return s.conclude(Verdict{Outcome: Adopted, Reason: "a person's edit of the token secret works and stays"})
}
