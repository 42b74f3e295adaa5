package providers

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// A Connection is what an operator configures for one provider: the document
// in the secret {prefix}/{provider}/connection. Only the token refresher
// reads it. A provider without one is off.
type Connection struct {
	Provider      string
	Kind          Kind
	BaseURL       string // API base, may carry a path
	TokenURL      string // full URL of the token endpoint; required for ActiBookOne, else derived from BaseURL when empty
	LoginURL      string // full URL of ActiBookOne's proxy login
	Account       string // SuperSaaS account name; SHOPLINE merchant id or handle that the token must belong to
	ClientID      string
	ClientSecrets []Secret  // tried in order, so that a rotation has no gap
	APIKey        Secret    // a static credential: SuperSaaS API key, SHOPLINE staff token
	Code          Secret    // a one-time authorization code that a person obtained
	RedirectURI   string    // the one registered with the provider
	ExpiresAt     time.Time // of a static credential, as the person set it; zero: not known
	ProbeOrder    string    // Assist Tencho: the order number that the probe asks for
	ProbeKeyword  string    // ActiBookOne: a test keyword; empty: no probe
	Quirks        json.RawMessage
}

type connectionDocument struct {
	Provider      string          `json:"provider"`
	Kind          Kind            `json:"kind"`
	BaseURL       string          `json:"base_url"`
	TokenURL      string          `json:"token_url,omitempty"`
	LoginURL      string          `json:"login_url,omitempty"`
	Account       string          `json:"account,omitempty"`
	ClientID      string          `json:"client_id,omitempty"`
	ClientSecrets []string        `json:"client_secrets,omitempty"`
	APIKey        string          `json:"api_key,omitempty"`
	Code          string          `json:"code,omitempty"`
	RedirectURI   string          `json:"redirect_uri,omitempty"`
	ExpiresAt     *string         `json:"expires_at,omitempty"`
	ProbeOrder    string          `json:"probe_order,omitempty"`
	ProbeKeyword  string          `json:"probe_keyword,omitempty"`
	Quirks        json.RawMessage `json:"quirks,omitempty"`

	Placeholder string `json:"placeholder,omitempty"` // of a secret that holds no connection yet
}

// Document returns the connection's document with its secrets in the clear,
// for the secret store alone.
func (c Connection) Document() []byte {
	d := connectionDocument{
		Provider: c.Provider, Kind: c.Kind, BaseURL: c.BaseURL, TokenURL: c.TokenURL, LoginURL: c.LoginURL,
		Account: c.Account, ClientID: c.ClientID, APIKey: c.APIKey.Reveal(), Code: c.Code.Reveal(),
		RedirectURI: c.RedirectURI, ProbeOrder: c.ProbeOrder, ProbeKeyword: c.ProbeKeyword, Quirks: c.Quirks,
	}
	for _, s := range c.ClientSecrets {
		d.ClientSecrets = append(d.ClientSecrets, s.Reveal())
	}
	if !c.ExpiresAt.IsZero() {
		s := c.ExpiresAt.Format(time.RFC3339)
		d.ExpiresAt = &s
	}
	return mustJSON(d)
}

// ParseConnection reads a connection document, without what a paste leaves around
// its values. expires_at must be RFC 3339
// with an offset: a bare date would end at a different instant in every zone,
// and is refused. A placeholder is an ErrNotFound: there is no connection yet.
func ParseConnection(doc []byte) (Connection, error) {
	var d connectionDocument
	if err := json.Unmarshal(doc, &d); err != nil {
		return Connection{}, fmt.Errorf("connection document: %w: not JSON of the documented schema; write it with 'hikyaku connect'", ErrInvalid)
	}
	if d.Placeholder != "" && d.Provider == "" {
		return Connection{}, fmt.Errorf("connection document: %w: no connection yet", ErrNotFound)
	}
	c := Connection{
		Provider: d.Provider, Kind: d.Kind, BaseURL: d.BaseURL, TokenURL: d.TokenURL, LoginURL: d.LoginURL,
		Account: d.Account, ClientID: d.ClientID, APIKey: NewSecret(d.APIKey), Code: NewSecret(d.Code),
		RedirectURI: d.RedirectURI, ProbeOrder: d.ProbeOrder, ProbeKeyword: d.ProbeKeyword, Quirks: normalized(d.Quirks),
	}
	for _, s := range d.ClientSecrets {
		c.ClientSecrets = append(c.ClientSecrets, NewSecret(s))
	}
	if d.ExpiresAt != nil {
		t, err := time.Parse(time.RFC3339, *d.ExpiresAt)
		if err != nil {
			return Connection{}, fmt.Errorf("connection document: %w: expires_at must be RFC 3339 with an offset, such as 2027-03-31T23:59:59+09:00", ErrInvalid)
		}
		c.ExpiresAt = t
	}
	c.trim()
	return c, nil
}

// A Grant is the complete answer of a token endpoint. The document in the
// secret {prefix}/{provider}/refresh is a Grant.
type Grant struct {
	Access     Secret
	Refresh    Secret    // empty if the provider sent none
	ObtainedAt time.Time // when the request was sent, so that a slow answer never lengthens a life
	ExpiresAt  time.Time // zero: unknown
	Account    string    // whom the provider says the token belongs to, if it says so
	Origin     string    // fingerprint of the authorization code that began this line of tokens
	Base       string    // version id of the document that this one was made to replace
}

type grantDocument struct {
	Access     string     `json:"access_token"`
	Refresh    string     `json:"refresh_token,omitempty"`
	ObtainedAt time.Time  `json:"obtained_at"`
	ExpiresAt  *time.Time `json:"expires_at"`
	Account    string     `json:"account,omitempty"`
	Origin     string     `json:"origin,omitempty"`
	Base       string     `json:"base,omitempty"`
}

// Document returns the grant's document with its secrets in the clear, for
// the secret store alone.
func (g Grant) Document() []byte {
	return mustJSON(grantDocument{
		Access: g.Access.Reveal(), Refresh: g.Refresh.Reveal(), ObtainedAt: g.ObtainedAt.UTC(),
		ExpiresAt: timeOrNil(g.ExpiresAt), Account: g.Account, Origin: g.Origin, Base: g.Base,
	})
}

// ParseGrant reads a document written by Grant.Document. A placeholder is an
// ErrNotFound.
func ParseGrant(doc []byte) (Grant, error) {
	var d grantDocument
	if err := json.Unmarshal(doc, &d); err != nil {
		return Grant{}, fmt.Errorf("refresh document: %w: not the JSON that hikyaku writes", ErrInvalid)
	}
	if d.Access == "" {
		return Grant{}, fmt.Errorf("refresh document: %w: no grant yet", ErrNotFound)
	}
	g := Grant{
		Access: NewSecret(d.Access), Refresh: NewSecret(d.Refresh), ObtainedAt: d.ObtainedAt,
		Account: d.Account, Origin: d.Origin, Base: d.Base,
	}
	if d.ExpiresAt != nil {
		g.ExpiresAt = *d.ExpiresAt
	}
	return g, nil
}

// An Authority obtains and probes the credential of one provider. Each
// provider package has one, made by its NewAuthority.
//
// Methods are safe for concurrent use. Errors are *Error of the vocabulary.
type Authority interface {
	// Obtain makes exactly one call to the token endpoint and never
	// repeats it: for a one-time credential a second call would burn the
	// first one's answer. secret is the one of c.ClientSecrets to use. For
	// a OneTimePair or OneTimeCode, spend is the refresh token, or the
	// code if fromCode. ErrTemporary means that the outcome is unknown;
	// ErrRevoked that the provider will never accept these inputs.
	Obtain(ctx context.Context, c Connection, secret Secret, spend Secret, fromCode bool) (Grant, error)
	// Probe asks the provider, without side effects, whether t works: nil,
	// ErrUnauthorized or ErrForbidden for a definite no, else doubt. A
	// provider that has no such call answers nil for a well-formed token
	// that has not expired.
	Probe(ctx context.Context, c Connection, t Token) error
}
