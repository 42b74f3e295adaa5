package providers

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// The providers' names, as they stand in secret names, S3 keys, logs and
// commands.
const (
	AssistTencho = "assisttencho"
	Yappli       = "yappli"
	SHOPLINE     = "shopline"
	ActiBook     = "actibook"
	SuperSaaS    = "supersaas"
)

// Names lists the providers in the order in which they are shown.
func Names() []string { return []string{AssistTencho, Yappli, SHOPLINE, ActiBook, SuperSaaS} }

// A Kind says how a credential lives.
type Kind string

// The kinds of credential.
const (
	// ClientCredentials: a new token can be asked for at any time.
	ClientCredentials Kind = "client_credentials"
	// OneTimePair: an access token with a refresh token that is spent by
	// its use (SHOPLINE app).
	OneTimePair Kind = "one_time_pair"
	// OneTimeCode: a code that a person obtained is exchanged once; the
	// token it gives has no known life (Assist Tencho).
	OneTimeCode Kind = "one_time_code"
	// Static: a person makes and pastes it; it can only be probed (SHOPLINE
	// staff token, SuperSaaS API key).
	Static Kind = "static"
)

// A Token is everything a caller needs to call one provider, and nothing
// more. It is the document in the secret {prefix}/{provider}/token, which the
// callers read; only the token refresher writes it.
type Token struct {
	Provider   string
	Kind       Kind
	BaseURL    string // where API paths are appended; may itself carry a path
	LoginURL   string // ActiBookOne's proxy login, which is a full URL; else empty
	Account    string // SuperSaaS account name, SHOPLINE merchant handle; else empty
	Credential Secret // access token or API key
	ObtainedAt time.Time
	ExpiresAt  time.Time       // zero: unknown, which is a state of its own and never "for ever"
	Quirks     json.RawMessage // the provider package's Quirks; empty: its defaults
	Base       string          // version id of the document that this one was made to replace

	// Version is the secret store's version id of this document. It is not
	// part of the document; a caller whose token was rejected names it.
	Version string
}

// tokenDocument is Token's form in the secret store.
type tokenDocument struct {
	Provider   string          `json:"provider"`
	Kind       Kind            `json:"kind"`
	BaseURL    string          `json:"base_url"`
	LoginURL   string          `json:"login_url,omitempty"`
	Account    string          `json:"account,omitempty"`
	Credential string          `json:"credential"`
	ObtainedAt time.Time       `json:"obtained_at"`
	ExpiresAt  *time.Time      `json:"expires_at"`
	Quirks     json.RawMessage `json:"quirks,omitempty"`
	Base       string          `json:"base,omitempty"`
}

// Expired reports whether the token's known life has ended at now.
func (t Token) Expired(now time.Time) bool {
	return !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt)
}

// Document returns the token's document with the credential in the clear, for
// the secret store alone.
func (t Token) Document() []byte {
	d := tokenDocument{
		Provider: t.Provider, Kind: t.Kind, BaseURL: t.BaseURL, LoginURL: t.LoginURL, Account: t.Account,
		Credential: t.Credential.Reveal(), ObtainedAt: t.ObtainedAt.UTC(), ExpiresAt: timeOrNil(t.ExpiresAt), Quirks: t.Quirks,
		Base: t.Base,
	}
	return mustJSON(d)
}

// ParseToken reads a document written by Token.Document. A placeholder, or
// anything without a credential, is an ErrNotFound: no token is there yet.
func ParseToken(doc []byte) (Token, error) {
	var d tokenDocument
	if err := json.Unmarshal(doc, &d); err != nil {
		return Token{}, fmt.Errorf("token document: %w: not the JSON that hikyaku writes", ErrInvalid)
	}
	if d.Credential == "" {
		return Token{}, fmt.Errorf("token document: %w: no credential yet", ErrNotFound)
	}
	t := Token{
		Provider: d.Provider, Kind: d.Kind, BaseURL: d.BaseURL, LoginURL: d.LoginURL, Account: d.Account,
		Credential: NewSecret(d.Credential), ObtainedAt: d.ObtainedAt, Quirks: normalized(d.Quirks), Base: d.Base,
	}
	if d.ExpiresAt != nil {
		t.ExpiresAt = *d.ExpiresAt
	}
	return t, nil
}

// A TokenSource hands a client the token for its next request.
//
// Both methods are safe for concurrent use and honor ctx.
type TokenSource interface {
	// Token returns the current token, from a cache if that is fresh.
	Token(ctx context.Context) (Token, error)
	// Rejected reports that the provider answered 401 to t, and returns
	// another token to try once; ErrUnauthorized if there is none.
	Rejected(ctx context.Context, t Token) (Token, error)
}

// Fixed is a TokenSource of one token that is never replaced.
func Fixed(t Token) TokenSource { return fixed{t} }

type fixed struct{ token Token }

func (f fixed) Token(context.Context) (Token, error) { return f.token, nil }

func (f fixed) Rejected(context.Context, Token) (Token, error) { return Token{}, ErrUnauthorized }

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// normalized is raw as a document that is written holds it, so that quirks
// which a person typed with white space equal those that were copied.
func normalized(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return nil
	}
	return mustJSON(raw)
}

// mustJSON marshals documents that consist of strings, times and valid raw
// JSON; the last can be broken only by a caller's bug.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("providers: " + err.Error())
	}
	return b
}
