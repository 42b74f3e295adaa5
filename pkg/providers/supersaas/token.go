package supersaas

import (
	"context"
	"errors"

	"hikyaku/pkg/providers"
)

// An Authority probes API keys. It is a providers.Authority, safe for
// concurrent use.
type Authority struct{ options *providers.Options }

// NewAuthority returns an authority. A nil o means the defaults.
func NewAuthority(o *providers.Options) *Authority { return &Authority{o} }

// Obtain has nothing to obtain: a person makes the key in the account's
// settings.
func (*Authority) Obtain(context.Context, providers.Connection, providers.Secret, providers.Secret, bool) (providers.Grant, error) {
	return providers.Grant{}, &providers.Error{Provider: providers.SuperSaaS, Op: "token", Kind: providers.ErrInvalid,
		Detail: "an API key is made by a person; paste it with 'hikyaku connect supersaas'"}
}

// Probe pings. An account whose ping says no is asked for one user, whose
// answer counts: ping is known from one official client only.
func (a *Authority) Probe(ctx context.Context, _ providers.Connection, t providers.Token) error {
	c := New(providers.Fixed(t), a.options)
	err := c.Ping(ctx)
	if err == nil || providers.Retryable(err) {
		return err
	}
	if _, ok := errors.AsType[*providers.Error](err); !ok {
		return err
	}
	_, err = c.ReadUsers(ctx, UsersQuery{Limit: 1})
	return err
}
