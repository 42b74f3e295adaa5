package protocol

import "hikyaku/pkg/providers"

// serving makes Next.Token what callers read, by a labeled version and its promotion.
// A version that an earlier run stored for the same purpose is used again.
type serving struct{ *step }

func (s serving) begin() Action {
	s.Phase = Serving
	return s.do(Action{Do: Open, Part: TokenSecret})
}

func (s serving) decide() Action {
	if s.got.Err != nil && !s.got.Missing {
		return s.fail("deriving the token", s.got.Err)
	}
	switch s.did.Do {
	case Open:
		s.TokenVersion = s.got.ID
		token := s.Next.Token
		token.Base = s.got.ID
		s.Next = Replacement{Part: TokenSecret, Label: Next, Base: token.Base, Token: token}
		return s.do(Action{Do: Read, Part: TokenSecret, Label: Next})
	case Read:
		return s.storedRead()
	case Unlabel:
		return s.storeNext()
	case Store:
		return s.promote(s.got.ID)
	default:
		return s.after()
	}
}

func (s serving) storedRead() Action {
	if s.got.ID == s.Next.Base && !s.got.Missing {
		return s.do(Action{Do: Unlabel, Part: TokenSecret, Label: Next, ID: s.got.ID})
	}
	token, err := providers.ParseToken(s.got.Data)
	if err == nil && token.Base == s.Next.Base && sameToken(token, s.Next.Token) {
		return s.promote(s.got.ID)
	}
	return s.storeNext()
}

func (s serving) storeNext() Action {
	return s.store(TokenSecret, Next, "", s.Next.Token.Document())
}

func (s serving) promote(id string) Action {
	s.Next.ID = id
	return promoting(s).begin()
}
