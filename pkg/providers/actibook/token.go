package actibook

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

// An Authority obtains and probes tokens. It is safe for concurrent use.
type Authority struct {
	options *providers.Options
}

var _ providers.Authority = (*Authority)(nil)

// NewAuthority returns an authority. A nil o means the defaults.
func NewAuthority(o *providers.Options) *Authority { return &Authority{options: o} }

// Obtain asks the connection's TokenURL for a token. Nothing is spent: spend
// and fromCode are ignored.
func (a *Authority) Obtain(ctx context.Context, c providers.Connection, secret, _ providers.Secret, _ bool) (providers.Grant, error) {
	const op = "token.issue"
	if c.TokenURL == "" {
		return providers.Grant{}, refuse(op, 0, providers.ErrInvalid, "the connection has no token_url")
	}
	body, err := call.JSON(struct {
		GrantType    string `json:"grant_type"`
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
	}{"client_credentials", c.ClientID, secret.Reveal()})
	if err != nil {
		return providers.Grant{}, refuse(op, 0, providers.ErrInvalid, "the request cannot be encoded")
	}
	sent := call.Now(a.options)
	answer, err := call.Once(ctx, providers.ActiBook, op, a.options, call.Request{Method: http.MethodPost, URL: c.TokenURL, Body: body})
	grant, err := call.ParseGrant(providers.ActiBook, op, answer, sent, err)
	if life := jwtLife(grant.Access); err == nil && grant.ExpiresAt.IsZero() && life > 0 {
		grant.ExpiresAt = sent.Add(life)
	}
	return grant, err
}

// jwtLife returns the life that a JWT states, 0 if the token is none. It is a
// difference of two times of the provider's, so that no clock needs to agree
// with another. The signature is the provider's business.
func jwtLife(token providers.Secret) time.Duration {
	parts := strings.Split(token.Reveal(), ".")
	if len(parts) != 3 {
		return 0
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		IssuedAt float64 `json:"iat"` // Unix seconds with a fraction
		Expires  float64 `json:"exp"`
	}
	if err != nil || json.Unmarshal(payload, &claims) != nil || claims.IssuedAt <= 0 {
		return 0
	}
	const longest = 366 * 24 * 60 * 60
	if life := claims.Expires - claims.IssuedAt; life > 0 && life <= longest {
		return time.Duration(life * float64(time.Second))
	}
	return 0
}

// Probe looks at the token's shape and expiry only: the provider's one call
// creates a site user. If the connection has a ProbeKeyword, made for this
// purpose, Probe logs in with it.
func (a *Authority) Probe(ctx context.Context, c providers.Connection, t providers.Token) error {
	const op = "token.probe"
	if !wellFormed(t.Credential.Reveal()) || t.Expired(call.Now(a.options)) {
		return refuse(op, 0, providers.ErrUnauthorized, "the token is malformed or has expired")
	}
	if _, err := ParseQuirks(c.Quirks); err != nil { // or no log-in could be made with the token
		return refuse(op, 0, providers.ErrInvalid, err.Error())
	}
	if c.ProbeKeyword == "" {
		return nil
	}
	_, err := New(providers.Fixed(t), a.options).login(ctx, op, func(q Quirks) map[string]any {
		return map[string]any{q.KeywordParameter: c.ProbeKeyword}
	})
	return err
}

// wellFormed reports whether token can stand in an Authorization header (RFC
// 6750, b64token).
func wellFormed(token string) bool {
	const b64token = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/="
	return token != "" && strings.Trim(token, b64token) == ""
}
