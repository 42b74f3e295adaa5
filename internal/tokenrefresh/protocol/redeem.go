package protocol

import (
	"errors"

	"hikyaku/pkg/providers"
)

// redeeming keeps a credential whose renewal uses up what it is renewed with: a
// one-time code, or a refresh token. The refresh secret is its record; the callers'
// token is derived from it.
type redeeming struct{ *step }

func (s redeeming) begin() Action {
	s.Phase = Redeeming
	return s.do(Action{Do: Open, Part: RefreshSecret})
}

func (s redeeming) decide() Action {
	switch s.did.Do {
	case Open:
		if s.got.Err != nil {
			return s.fail(unreadRecord, s.got.Err)
		}
		s.Record = Record{Version: s.got.ID, Data: s.got.Data}
		s.Record.Grant, _ = providers.ParseGrant(s.got.Data) // a placeholder is no grant
		return s.do(Action{Do: Read, Part: RefreshSecret, Label: Next})
	case Read:
		if s.did.Label == Current {
			return s.readAgain()
		}
		return s.labelRead()
	case Unlabel:
		return s.unlabeled()
	case Probe:
		return s.probed()
	case Store:
		return s.stored()
	case WriteJournal:
		return s.journaled()
	case Obtain:
		return s.obtained()
	default:
		return s.after()
	}
}

// redeemVersions are the proof, the grant and the callers' token.
const redeemVersions = 3

const (
	unreadRecord = "reading the refresh secret"
	// unanswered is one reason for all that leaves a credential in doubt, so that
	// a person is told once.
	unanswered = "a one-time credential was sent, or may have been, and no answer is stored"
)

// labelRead looks for a grant that an earlier run stored and did not promote. One that
// the other driver left under its own label is found too, if it is for the version that
// is current. One that is current already only loses our label; the pending label is the
// service's to take off.
func (s redeeming) labelRead() Action {
	if s.got.Err != nil && !s.got.Missing {
		return s.fail(unreadRecord, s.got.Err)
	}
	grant, err := providers.ParseGrant(s.got.Data)
	switch {
	case s.got.Missing:
	case s.got.ID == s.Record.Version:
		if s.did.Label == Next {
			return s.do(Action{Do: Unlabel, Part: RefreshSecret, Label: Next, ID: s.got.ID})
		}
	case err == nil && (s.did.Label == s.label() || grant.Base == s.Record.Version):
		return s.found(grant)
	}
	return s.readOther()
}

// readOther goes on to the other driver's label, and then to what is to be done.
func (s redeeming) readOther() Action {
	if s.did.Label == Next {
		return s.do(Action{Do: Read, Part: RefreshSecret, Label: Pending})
	}
	return s.choose()
}

// unlabeled goes on after a label was taken off: of the current version, or of a
// grant that was handed over to the pending version.
func (s redeeming) unlabeled() Action {
	switch {
	case s.did.ID != s.Record.Version:
		return s.made()
	case s.got.Err != nil:
		return s.fail(unreadRecord, s.got.Err)
	}
	return s.readOther()
}

// found promotes the grant that was stored, unless a person has entered a newer code.
func (s redeeming) found(grant providers.Grant) Action {
	if s.newCode(grant, s.Record.Grant) {
		return s.choose()
	}
	next := Replacement{Part: RefreshSecret, ID: s.got.ID, Label: s.did.Label, Base: grant.Base, Grant: grant, Token: s.tokenOf(grant)}
	if s.Goal == CreatePending {
		if grant.Base != s.Record.Version {
			return s.choose()
		}
		s.Next = next
		return s.store(RefreshSecret, Pending, s.Version, grant.Document())
	}
	s.Next, s.Outcome = next, Promoted
	return s.probe()
}

// probe tries the grant that is stored.
func (s redeeming) probe() Action {
	s.Phase = Redeeming
	return s.do(Action{Do: Probe, Token: s.Next.Token})
}

// credential is what is to be spent: a code that a person has entered, or else the
// refresh token.
func (s redeeming) credential() (credential providers.Secret, fromCode bool) {
	if s.newCode(s.Record.Grant) {
		return s.Connection.Code, true
	}
	return s.Record.Grant.Refresh, false
}

// forced: the credential is replaced though it is not due. When Secrets Manager rotates,
// it decides when; a doubt it does not decide.
func (s redeeming) forced() bool {
	return s.Request.Force || s.Goal == CreatePending && s.Journal.Intent == nil
}

// choose decides what to do about the record: nothing while it is in doubt, spend what
// renews it, or settle with what there is.
func (s redeeming) choose() Action {
	credential, fromCode := s.credential()
	if !credential.Empty() && s.inDoubt(credential) && !s.Request.ResendInDoubt {
		return s.conclude(Verdict{Outcome: InDoubt, Reason: unanswered})
	}
	s.Journal.Renews = !s.Record.Grant.Refresh.Empty()
	token := s.tokenOf(s.Record.Grant)
	switch {
	case fromCode:
		return s.redeem()
	case s.Record.Grant.Access.Empty():
		return s.conclude(Verdict{Outcome: Unconfigured, Reason: "nobody has authorized yet"})
	case credential.Empty():
		return settling(s).begin(token)
	case s.forced() || s.aged(token, s.now):
		return s.redeem()
	case !s.serves(token) && !s.mayWrite(1, s.now):
		return s.overBudget()
	}
	return s.do(Action{Do: Probe, Token: token})
}

// inDoubt: the journal says that credential may have been spent from this
// version, and no answer is stored.
func (s redeeming) inDoubt(credential providers.Secret) bool {
	i := s.Journal.Intent
	return i != nil && i.Base == s.Record.Version && i.Key == fingerprint(credential)
}

// probed goes on by what was tried: the grant that is on its way, whose old half is
// spent, so that only a definite no stops it; or the record, which is replaced before
// its time if it is dead.
func (s redeeming) probed() Action {
	dead := errors.Is(s.got.Err, providers.ErrUnauthorized)
	switch {
	case s.Next.ID == "" && dead:
		return s.redeem()
	case s.Next.ID == "":
		return settling(s).judge(s.did.Token)
	case !dead:
		s.Next.Works = s.got.Err == nil
		return promoting(s).begin()
	case s.Outcome == Promoted && s.Request.Force && !s.Next.Grant.Refresh.Empty():
		// Its access token is defective. Its refresh token is unspent, and the one
		// before it is not.
		s.Record.Grant, s.Next, s.Outcome = s.Next.Grant, Replacement{}, Refreshed
		return s.choose()
	}
	return s.conclude(Verdict{Denied, "the new token does not work", s.got.Err})
}

// redeem begins to spend the credential: first the secret is proven writable.
func (s redeeming) redeem() Action {
	credential, fromCode := s.credential()
	switch spent := s.Journal.Spent; {
	case spent == nil:
	case !fromCode && spent.Base == s.Record.Version && s.now.Sub(spent.At) < lag:
		return s.fail("the refresh secret was read as it stood before the last grant", nil)
	case spent.Key == fingerprint(credential) && !s.forced():
		return s.conclude(Verdict{Outcome: Refused, Reason: "what the refresh secret holds was spent before; authorize again"})
	}
	if !s.mayWrite(redeemVersions, s.now) {
		return s.overBudget()
	}
	return s.store(RefreshSecret, Proof, "", s.Record.Data)
}

// stored goes on by what was stored: the proof, after which the intent is journaled;
// the answer; or a grant that was found, which makes the pending version.
func (s redeeming) stored() Action {
	err := s.got.Err
	switch {
	case s.did.Label == Proof && err != nil:
		return s.fail("the refresh secret cannot be written; the provider was not asked", err)
	case s.did.Label == Proof:
		credential, _ := s.credential()
		s.Before, s.Journal.Intent = s.Journal.Intent, &Intent{Base: s.Record.Version, Key: fingerprint(credential), At: s.now}
		return s.do(Action{Do: WriteJournal})
	case s.Next.ID != "" && err != nil:
		return s.fail("storing a grant that was found", err)
	case s.Next.ID != "":
		return s.do(Action{Do: Unlabel, Part: RefreshSecret, Label: s.Next.Label, ID: s.Next.ID})
	case err != nil:
		return s.conclude(Verdict{InDoubt, unanswered, err})
	case s.Goal == CreatePending:
		return s.made()
	}
	s.Next.ID = s.got.ID
	return s.probe()
}

// journaled makes the one call that uses up the credential.
func (s redeeming) journaled() Action {
	err := s.got.Err
	if s.got.Taken {
		return s.conclude(Verdict{Waiting, "another run took the lease", err})
	}
	if err == nil && s.hurried() {
		err = errors.New("too little time is left")
	}
	if err != nil {
		s.Journal.Intent = s.Before
		return s.fail("the intent cannot be journaled in time; the provider was not asked", err)
	}
	return s.exchange(s.credential())
}

// obtained stores the complete answer before anything else.
func (s redeeming) obtained() Action {
	if next, another := s.refusedClient(); another {
		return next
	}
	if s.got.Err != nil {
		return s.notObtained(s.got.Err)
	}
	grant, x, spent := s.believable(), s.did.Exchange, s.Journal.Intent
	if grant.Refresh.Empty() && !x.FromCode {
		grant.Refresh = x.Credential // RFC 6749, section 6: no new one means keep the old
	} else {
		s.Journal.Spent = spent
	}
	grant.Base, grant.Origin = s.Record.Version, s.Record.Grant.Origin
	if x.FromCode {
		grant.Origin, s.Journal.Code = spent.Key, spent.Key
	}
	s.Next = Replacement{Part: RefreshSecret, Label: s.label(), Base: grant.Base, Grant: grant, Token: s.tokenOf(grant)}
	return s.store(RefreshSecret, s.label(), s.Version, grant.Document())
}

// notObtained judges an error of the one call: nothing was spent, the provider refuses,
// or nobody knows.
func (s redeeming) notObtained(err error) Action {
	var e *providers.Error
	refused := errors.Is(err, providers.ErrRevoked) ||
		errors.As(err, &e) && e.Status >= 400 && e.Status < 500 && !errors.Is(err, providers.ErrTemporary)
	switch {
	case errors.Is(err, providers.ErrUnsent), errors.Is(err, providers.ErrRateLimited):
		s.Journal.Intent = s.Before
		return s.fail("the token endpoint did not take the request", err)
	case neverSent(err):
		s.Journal.Intent = s.Before
		return s.unusable(err)
	case !refused:
		return s.conclude(Verdict{InDoubt, unanswered, err})
	}
	s.Journal.Intent = nil // whatever came of an earlier attempt: this answer is clear
	s.Verdict.Err = err
	return s.do(Action{Do: Read, Part: RefreshSecret, Label: Current})
}

// readAgain believes a refusal only if the secret has not changed meanwhile.
func (s redeeming) readAgain() Action {
	refusal := s.Verdict.Err
	switch {
	case s.got.Err != nil:
		return s.fail("the provider refused the grant; reading the refresh secret again", errors.Join(refusal, s.got.Err))
	case s.got.ID != s.Record.Version:
		return s.fail("the refresh secret changed meanwhile", refusal)
	}
	return s.conclude(Verdict{Refused, "the provider refuses the grant for good", refusal})
}
