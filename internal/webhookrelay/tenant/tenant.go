// Package tenant binds one SuperSaaS account to one Yappli tenant: their clients, the
// mapping and the settings between them, and the state that belongs to both. It
// reads users, and writes nothing but the state's key.
package tenant

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"hikyaku/internal/webhookrelay/state"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
)

// A Tenant is one SuperSaaS account bound to one Yappli tenant. It is safe for
// concurrent use.
type Tenant struct {
	Config

	Users   *supersaas.Client
	Members *yappli.Client
	Quirks  yappli.Quirks
	State   state.State
	Key     state.Key // of every digest in the state

	bound [2]providers.Token // what the state belongs to
}

// Open reads both tokens and binds the tenant to what they belong to. Its
// clients refuse to work with a token of another account, tenant or set of
// quirks: see Current.
func Open(ctx context.Context, c Config) (*Tenant, error) {
	t := &Tenant{Config: c}
	if c.RequestID == nil {
		t.RequestID = func(context.Context) string { return "" }
	}
	for i, source := range []providers.TokenSource{c.SuperSaaS, c.Yappli} {
		token, err := source.Token(ctx)
		if err != nil {
			return nil, err
		}
		t.bound[i] = token
	}
	var err error
	if t.Quirks, err = yappli.ParseQuirks(t.bound[1].Quirks); err != nil {
		return nil, err
	}
	if t.Key, err = state.ReadKey(ctx, t.Objects, t.Prefix); err != nil {
		return nil, err
	}
	t.State = state.New(t.Objects, t.Prefix+"/state/relay/"+t.fingerprint()+"/")
	options := func(g *providers.Breaker) *providers.Options {
		o := c.Options
		o.Limiter = g
		return &o
	}
	t.Users = supersaas.New(pinned{c.SuperSaaS, t.bound[0]}, options(c.Limiters.SuperSaaS))
	t.Members = yappli.New(pinned{c.Yappli, t.bound[1]}, options(c.Limiters.Yappli))
	return t, nil
}

// Current reports whether the tokens still belong to what the tenant is bound
// to, and its mapping counts. If not, open another.
func (t *Tenant) Current(ctx context.Context) (bool, error) {
	if t.MappingChanged() {
		return false, nil
	}
	for i, source := range []providers.TokenSource{t.SuperSaaS, t.Yappli} {
		token, err := source.Token(ctx)
		if err != nil {
			return false, err
		}
		if !samePlace(token, t.bound[i]) {
			return false, nil
		}
	}
	return true, nil
}

// MappingChanged reports, from memory, that another mapping counts by now. What
// the tenant's own makes of a user is then not to be written.
func (t *Tenant) MappingChanged() bool {
	return t.Mappings != nil && t.Mappings.Held().Digest() != t.Mapping.Digest()
}

// fingerprint tells this pair's state from that of any other.
func (t *Tenant) fingerprint() string {
	return t.Key.Digest("fingerprint", t.bound[0].Account, strings.TrimRight(t.bound[0].BaseURL, "/"),
		strings.TrimRight(t.bound[1].BaseURL, "/"), t.Identity.By, t.Identity.Prefix, t.Prefix).String()
}

// desiredHash hashes the fields of an update: all but password, which is sent on
// creation only. Null and "" differ.
func (t *Tenant) desiredHash(fields yappli.Fields) string {
	parts := []string{}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if v := fields[name]; name != "password" {
			parts = append(parts, name, v.Text, fmt.Sprint(v.Null))
		}
	}
	return t.Key.Digest("wish", parts...).String()
}

// errOtherPlace is temporary: the function opens another tenant.
var errOtherPlace = fmt.Errorf("%w: the token belongs to another account now", providers.ErrUnsent)

// pinned hands out tokens of one place only.
type pinned struct {
	source providers.TokenSource
	place  providers.Token
}

// Token implements providers.TokenSource.
func (p pinned) Token(ctx context.Context) (providers.Token, error) {
	return p.check(p.source.Token(ctx))
}

// Rejected implements providers.TokenSource.
func (p pinned) Rejected(ctx context.Context, t providers.Token) (providers.Token, error) {
	return p.check(p.source.Rejected(ctx, t))
}

func (p pinned) check(t providers.Token, err error) (providers.Token, error) {
	if err == nil && !samePlace(t, p.place) {
		return providers.Token{}, errOtherPlace
	}
	return t, err
}

func samePlace(a, b providers.Token) bool {
	return a.Account == b.Account && a.BaseURL == b.BaseURL && bytes.Equal(a.Quirks, b.Quirks)
}
