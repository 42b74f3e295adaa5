package yappli

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

// An Authority obtains Yappli's tokens, of kind providers.ClientCredentials.
type Authority struct{ options providers.Options }

// NewAuthority returns an Authority. A nil o means the defaults.
func NewAuthority(o *providers.Options) *Authority {
	a := &Authority{}
	if o != nil {
		a.options = *o
	}
	a.options.Attempts = 1
	return a
}

// Obtain asks for a new token with the client's id and secret. The refresh
// token in the answer is dropped: nothing documents a use of it. spend and
// fromCode mean nothing here.
func (a *Authority) Obtain(ctx context.Context, c providers.Connection, secret, _ providers.Secret, _ bool) (providers.Grant, error) {
	const op = "token"
	quirks, err := ParseQuirks(c.Quirks)
	if err != nil {
		return providers.Grant{}, err
	}
	request := call.Request{Method: http.MethodPost, URL: cmp.Or(c.TokenURL, strings.TrimRight(c.BaseURL, "/")+root+"/token")}
	if quirks.Token == JSON {
		request.Body, err = call.JSON(map[string]string{
			"grant_type": "client_credentials", "client_id": c.ClientID, "client_secret": secret.Reveal(),
		})
		if err != nil {
			return providers.Grant{}, err
		}
	} else {
		request.Body = call.Form(url.Values{
			"grant_type": {"client_credentials"}, "client_id": {c.ClientID}, "client_secret": {secret.Reveal()},
		})
	}
	sent := call.Now(&a.options)
	answer, err := call.Once(ctx, providers.Yappli, op, &a.options, request)
	grant, err := call.ParseGrant(providers.Yappli, op, answer, sent, err)
	grant.Refresh = providers.Secret{}
	return grant, err
}

// Probe lists one user with t. Any list, an empty one too, is a yes.
func (a *Authority) Probe(ctx context.Context, _ providers.Connection, t providers.Token) error {
	_, err := New(providers.Fixed(t), &a.options).ReadUsers(ctx, UsersQuery{Limit: 1})
	return err
}
