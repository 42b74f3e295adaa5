package protocol

import (
	"errors"

	"hikyaku/pkg/providers"
)

// promoting makes a stored version the current one, by a swap from the version that it
// replaces. If a person's edit came first, the edit is tried: it stays unless it is
// definitely bad, and the version that loses is kept under HIKYAKU_KEPT.
type promoting struct{ *step }

func (s promoting) begin() Action {
	s.Phase, s.Edit = Promoting, Edit{}
	return s.promote(s.Next.Base)
}

func (s promoting) promote(from string) Action {
	return s.do(Action{Do: Promote, Part: s.Next.Part, ID: s.Next.ID, From: from})
}

func (s promoting) decide() Action {
	switch s.did.Do {
	case Promote:
		return s.promoted()
	case Unlabel:
		return s.unlabeled()
	case Read, ReadVersion:
		return s.editRead()
	case Probe:
		return s.editProbed()
	case Notify:
		loser := s.Edit.Version
		if s.Edit.Works {
			loser = s.Next.ID
		}
		return s.do(Action{Do: Supersede, Part: s.Next.Part, ID: loser})
	case Supersede:
		if s.Edit.Works && s.got.Err == nil {
			return s.unlabel()
		}
		return s.superseded()
	default:
		return s.after()
	}
}

func (s promoting) promoted() Action {
	first := s.did.From == s.Next.Base
	if s.Next.Part == RefreshSecret && (s.got.Taken || s.got.Err == nil) {
		s.Journal.Renews = !s.Next.Grant.Refresh.Empty()
	}
	switch {
	case s.got.Taken && first:
		return s.do(Action{Do: Read, Part: s.Next.Part, Label: Current})
	case s.got.Err != nil && first:
		return s.fail("promoting a version of the "+string(s.Next.Part)+" secret", s.got.Err)
	case s.got.Err != nil:
		return s.unsettled(s.got.Err)
	case s.Next.Part == TokenSecret:
		s.Token, s.TokenVersion = s.Next.Token, s.Next.ID
		s.Journal.Promoted = &Promotion{From: s.did.From, To: s.Next.ID, At: s.now}
	}
	return s.unlabel()
}

// unlabel takes the label off the new version. Nothing depends on it: the next run that
// acts takes it off.
func (s promoting) unlabel() Action {
	return s.do(Action{Do: Unlabel, Part: s.Next.Part, Label: s.Next.Label, ID: s.Next.ID})
}

func (s promoting) unlabeled() Action {
	switch {
	case s.Edit.Works:
		return s.superseded()
	case s.Edit.Version != "":
		return s.tell()
	}
	return s.done(nil)
}

// editRead tries what a person entered meanwhile.
func (s promoting) editRead() Action {
	theirs, err := s.edit()
	if again, lags := s.lagging(); lags && s.Next.Part == TokenSecret {
		return again
	}
	switch {
	case err != nil:
		return s.unsettled(err)
	case s.Edit.Version == s.Next.Base:
		return s.unsettled(errors.New("it was read as it stood before"))
	case theirs.Credential.Empty() || theirs.Expired(s.now):
		return s.promote(s.Edit.Version)
	}
	return s.do(Action{Do: Probe, Token: theirs})
}

// edit takes in what a person entered, as callers would read it. What cannot be read is
// no credential.
func (s promoting) edit() (providers.Token, error) {
	if s.Next.Part == TokenSecret {
		err := s.tokenTaken()
		s.Edit.Version = s.TokenVersion
		return s.Token, err
	}
	s.Edit.Version = s.got.ID
	grant, err := providers.ParseGrant(s.got.Data)
	if err != nil || s.got.Err != nil {
		return providers.Token{}, s.got.Err
	}
	return s.tokenOf(grant), nil
}

func (s promoting) editProbed() Action {
	if providers.Refused(s.got.Err) {
		return s.promote(s.Edit.Version)
	}
	s.Outcome, s.Edit.Works, s.Next.Token = Adopted, true, s.did.Token
	return s.tell()
}

// tell says that two versions were made at once.
func (s promoting) tell() Action {
	part := string(s.Next.Part)
	return s.do(Action{Do: Notify, Event: Event{
		Type: NeedsHuman, Provider: s.Provider, At: s.now,
		Reason: "a person changed the " + part + " secret while hikyaku replaced it; the credential that works is served, the other is kept under " + Superseded,
		Steps:  "Compare the two versions in Secrets Manager. Change the connection secret, never this one.",
	}})
}

// superseded goes on after the version that lost was labeled. If it could not be, the
// callers' token is served all the same; a refresh secret is settled by the next run.
func (s promoting) superseded() Action {
	if s.got.Err != nil && s.Next.Part == RefreshSecret {
		return s.unsettled(s.got.Err)
	}
	return s.done(s.got.Err)
}

// unsettled leaves an edit to the next run.
func (s promoting) unsettled(err error) Action {
	return s.fail("settling with an edit of the "+string(s.Next.Part)+" secret", err)
}

// done goes on to the callers' token, or ends the run.
func (s promoting) done(err error) Action {
	if s.Next.Part == RefreshSecret {
		if s.Next.Works {
			s.Journal.Probed = s.now
		}
		if !s.serves(s.Next.Token) {
			return serving(s).begin()
		}
	}
	return s.conclude(Verdict{Outcome: s.Outcome, Err: err})
}
