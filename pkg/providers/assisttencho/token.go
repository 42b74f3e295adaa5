package assisttencho

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

// An Authority exchanges authorization codes and probes tokens. It is safe for
// concurrent use.
type Authority struct {
	options *providers.Options
}

var _ providers.Authority = (*Authority)(nil)

// NewAuthority returns an authority. A nil o means the defaults.
func NewAuthority(o *providers.Options) *Authority { return &Authority{options: o} }

// Obtain exchanges spend, a one-time code, if fromCode. The provider takes a
// code once only, so an answer that is lost is a token lost: a person must
// authorize again.
//
// Without fromCode spend is a refresh token. That grant is not documented; it
// is sent only if the quirk refresh_grant allows it, else ErrRevoked says
// without a call that a person must authorize again.
func (a *Authority) Obtain(ctx context.Context, c providers.Connection, secret, spend providers.Secret, fromCode bool) (providers.Grant, error) {
	op := "token.exchange"
	if !fromCode {
		op = "token.refresh"
	}
	q, err := ParseQuirks(c.Quirks)
	switch {
	case err != nil:
		return providers.Grant{}, err
	case !fromCode && !q.RefreshGrant:
		return providers.Grant{}, refuse(op, providers.ErrRevoked, "no refresh call is documented and the quirk refresh_grant is off; authorize again")
	case spend.Empty():
		return providers.Grant{}, refuse(op, providers.ErrInvalid, nothingToSpend)
	}
	form := url.Values{"client_id": {c.ClientID}, "client_secret": {secret.Reveal()}}
	if fromCode {
		form.Set("grant_type", "client_credentials")
		form.Set("code", spend.Reveal())
		if c.RedirectURI != "" {
			form.Set("redirect_uri", c.RedirectURI)
		}
	} else {
		form.Set("grant_type", "refresh_token")
		form.Set("refresh_token", spend.Reveal())
	}
	endpoint := cmp.Or(c.TokenURL, strings.TrimRight(c.BaseURL, "/")+tokenPath)
	sent := call.Now(a.options)
	answer, err := call.Once(ctx, providers.AssistTencho, op, a.options, call.Request{Method: http.MethodPost, URL: endpoint, Body: call.Form(form)})
	return call.ParseGrant(providers.AssistTencho, op, answer, sent, err)
}

// Probe asks for the connection's ProbeOrder: any JSON answer but an error,
// the order found or not, shows that the token lives. A connection without
// ProbeOrder has nothing harmless to ask for, so only the token's known expiry
// is looked at.
func (a *Authority) Probe(ctx context.Context, c providers.Connection, t providers.Token) error {
	const op = "token.probe"
	if t.Credential.Empty() || t.Expired(call.Now(a.options)) {
		return refuse(op, providers.ErrUnauthorized, "the token is absent or has expired")
	}
	if _, err := ParseQuirks(c.Quirks); err != nil { // or no order could be read with the token
		return refuse(op, providers.ErrInvalid, err.Error())
	}
	if c.ProbeOrder == "" {
		return nil
	}
	answer, _, err := New(providers.Fixed(t), a.options).do(ctx, op, func(Quirks) (call.Request, error) {
		return oneOrder(http.MethodGet, c.ProbeOrder), nil
	})
	if errors.Is(err, providers.ErrNotFound) && json.Valid(answer.Body) {
		return nil
	}
	if err == nil && !json.Valid(answer.Body) {
		return call.Malformed(providers.AssistTencho, op, answer, notJSON)
	}
	return err
}

// refuse reports a call that was not made.
func refuse(op string, kind error, detail string) error {
	return &providers.Error{Provider: providers.AssistTencho, Op: op, Kind: kind, Detail: detail}
}
