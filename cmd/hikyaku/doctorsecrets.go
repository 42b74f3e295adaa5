package main

import (
	"context"
	"errors"
	"slices"
	"sync"

	"hikyaku/internal/doctor"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/lambdafn/exportfn"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/localstack"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/internal/webhooksecret"
	"hikyaku/pkg/providers"
)

// stored is what doctor knows of secrets and bucket when it goes on to what lies behind
// them.
type stored struct {
	base        *lambdafn.Base
	core        *tokenrefresh.Refresher
	window      protocol.Window
	connections map[string]providers.Connection
	tokens      map[string]providers.Token // that are served
	webhook     []providers.Secret         // the webhook's, of which the first counts

	mapping *mapping.Mapping // that counts; nil: none was published, or it cannot be read
}

// openStored opens secrets and bucket with the settings of the token refresher.
func (g *gatherer) openStored(ctx context.Context) error {
	e, err := g.environ(localstack.TokenRefresh)
	if err != nil {
		return err
	}
	g.o.Place.Prefix = e.Vars["HIKYAKU_PREFIX"]
	function, err := refreshfn.New(ctx, e)
	if err != nil {
		return err
	}
	if g.stored.base, err = clibase.Open(e); err != nil {
		return err
	}
	g.stored.window, err = protocol.ParseWindow(e.Vars["HIKYAKU_REFRESH_WINDOW"])
	g.stored.core, g.stored.connections, g.stored.tokens = function.Refresher(), map[string]providers.Connection{}, map[string]providers.Token{}
	return err
}

// A seenSecret is a secret as it was read.
type seenSecret struct {
	doctor.Secret

	value secretstore.Value
}

// secret reads a secret, and says how it is not there. An outage is an error.
func (g secretReader) secret(ctx context.Context, name string) (seenSecret, error) {
	s := seenSecret{Secret: doctor.Secret{Name: name}}
	var err error
	s.value, err = g.stored.base.Secrets.Get(ctx, name, secretstore.Current)
	switch {
	case err == nil:
	case errors.Is(err, secretstore.ErrNotFound):
		s.State = doctor.Missing
	case errors.Is(err, secretstore.ErrDenied):
		s.State = doctor.Denied
	case errors.Is(err, secretstore.ErrInvalid):
		s.State = doctor.Deleted
	default:
		return s, err
	}
	return s, nil
}

// A providersSecrets is what is read of one provider.
type providersSecrets struct {
	secrets    []doctor.Secret
	credential *doctor.Credential // nil: it is not connected
	connection providers.Connection
	token      providers.Token

	unconnected, left bool // there is no connection, and a token is served all the same
}

func (g secretReader) readSecrets(ctx context.Context) error {
	names := providers.Names()
	read, faults := make([]providersSecrets, len(names)), make([]error, len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() { read[i], faults[i] = g.readProvider(ctx, name) })
	}
	group.Wait()
	for i, name := range names {
		g.o.Secrets = append(g.o.Secrets, read[i].secrets...)
		if read[i].unconnected {
			g.o.Unconnected = append(g.o.Unconnected, name)
		}
		if read[i].left {
			g.o.Left = append(g.o.Left, name)
		}
		if c := read[i].credential; c != nil {
			g.o.Credentials = append(g.o.Credentials, *c)
			g.stored.connections[name] = read[i].connection
			if c.Served {
				g.stored.tokens[name] = read[i].token
			}
		}
	}
	if err := g.readHashKey(ctx); err != nil {
		g.unread(doctor.FromSecrets.Of("export"), err)
	}
	return g.unreadOf(doctor.FromSecrets, names, faults)
}

// readHashKey looks for the key of hashed fields, where some are.
func (g secretReader) readHashKey(ctx context.Context) error {
	if g.environs[localstack.Export].Vars["HIKYAKU_EXPORT_HASH"] == "" {
		return nil
	}
	key, err := g.secret(ctx, g.o.Place.Prefix+"/export/hmac")
	g.o.HashKeyMissing = key.State == doctor.Missing
	if _, wrong := exportfn.ParseHashKey(key.value.Data); key.State == "" && err == nil && wrong != nil {
		key.State, key.Why = doctor.Broken, wrong.Error()+". Another key would change every hash: bring the version back that was right."
		key.Remedy = "aws secretsmanager list-secret-version-ids --secret-id " + key.Name + " {aws}"
	}
	g.o.Secrets = append(g.o.Secrets, key.Secret)
	return err
}

// readProvider reads a provider's connection and token, and what the last run left.
func (g secretReader) readProvider(ctx context.Context, provider string) (p providersSecrets, err error) {
	name := func(part string) string { return secretstore.Name(g.o.Place.Prefix, provider, part) }
	connection, err := g.secret(ctx, name(secretstore.ConnectionPart))
	if err != nil {
		return p, err
	}
	if _, none := providers.ParseConnection(connection.value.Data); connection.State == "" && errors.Is(none, providers.ErrNotFound) {
		connection.State = doctor.Missing // 'connect --remote' has left a placeholder
	}
	if connection.State != "" {
		p.secrets = append(p.secrets, connection.Secret)
		if connection.State == doctor.Missing {
			p.unconnected = true
			p.left, err = g.tokenLeft(ctx, name(secretstore.TokenPart))
		}
		return p, err
	}
	c := &doctor.Credential{Provider: provider, Unknown: providers.UnknownFields(connection.value.Data)}
	var faults providers.Faults
	p.connection, faults = refreshfn.CheckConnection(connection.value.Data, g.o.Now)
	for _, fault := range faults {
		if !slices.Contains(c.Unknown, fault.Field) {
			c.Faults = append(c.Faults, visible(fault.String()))
		}
	}
	c.Kind, p.credential = p.connection.Kind, c
	token, err := g.secret(ctx, name(secretstore.TokenPart))
	if err != nil {
		return p, err
	}
	if token.State == "" {
		p.token, err = providers.ParseToken(token.value.Data)
		switch {
		case errors.Is(err, providers.ErrNotFound):
		case err != nil:
			token.State, token.Why, token.Remedy = doctor.Broken, err.Error(), "hikyaku tokens refresh "+provider+" --force {hikyaku}"
		default:
			c.Served, c.ObtainedAt, c.Expires, c.DueAt = true, p.token.ObtainedAt, p.token.ExpiresAt, protocol.DueAt(p.token, g.stored.window)
		}
	}
	p.secrets = append(p.secrets, token.Secret)
	if c.Kind == providers.OneTimePair {
		grant, err := g.secret(ctx, name(secretstore.RefreshPart))
		if err != nil {
			return p, err
		}
		held, wrong := providers.ParseGrant(grant.value.Data)
		c.NoRefresh = grant.State == doctor.Missing || grant.State == "" && (errors.Is(wrong, providers.ErrNotFound) || wrong == nil && held.Refresh.Empty())
		if grant.State == "" && wrong != nil && !errors.Is(wrong, providers.ErrNotFound) {
			grant.State, grant.Why, grant.Remedy = doctor.Broken, wrong.Error(), "hikyaku authorize "+provider+" {hikyaku}"
		}
		p.secrets = append(p.secrets, grant.Secret)
	}
	journal, err := g.stored.core.Journal(ctx, provider)
	c.Outcome, c.Reason, c.Spent = journal.Outcome, visible(journal.Reason), journal.Exhausted(g.o.Now)
	c.Unserved = token.State
	return p, err
}

// tokenLeft reports whether a token is served.
func (g secretReader) tokenLeft(ctx context.Context, name string) (bool, error) {
	token, err := g.secret(ctx, name)
	if err != nil || token.State != "" {
		return false, err
	}
	_, none := providers.ParseToken(token.value.Data)
	return none == nil, nil
}

// probe asks each provider whether the token that is served works, by a call that
// changes nothing.
func (g secretReader) probe(ctx context.Context) error {
	authorities := refreshfn.Authorities(g.stored.base.Options())
	var group sync.WaitGroup
	for i := range g.o.Credentials {
		c := &g.o.Credentials[i]
		token, served := g.stored.tokens[c.Provider]
		if !served || token.Expired(g.o.Now) || len(c.Faults) > 0 {
			continue
		}
		group.Go(func() {
			err := authorities[c.Provider].Probe(ctx, g.stored.connections[c.Provider], token)
			switch {
			case err == nil:
				c.Probe = doctor.Works
			case errors.Is(err, providers.ErrForbidden):
				c.Probe, c.Answer = doctor.Forbidden, visible(err.Error())
			case providers.Refused(err):
				c.Probe, c.Answer = doctor.Refused, visible(err.Error())
			default:
				c.Probe, c.Answer = doctor.Unclear, visible(err.Error())
			}
		})
	}
	group.Wait()
	return nil
}

// works reports whether a provider accepted the token that is served.
func (g *gatherer) works(provider string) bool {
	return slices.ContainsFunc(g.o.Credentials, func(c doctor.Credential) bool { return c.Provider == provider && c.Probe == doctor.Works })
}

// readWebhookSecret reads the secrets that end the webhook's address: the current one's,
// and while it rotates the one's before.
func (g secretReader) readWebhookSecret(ctx context.Context) error {
	w, name := &g.o.Webhook, webhooksecret.Name(g.o.Place.Prefix)
	current, _, err := webhooksecret.Read(ctx, g.stored.base.Secrets, name, secretstore.Current)
	switch {
	case errors.Is(err, secretstore.ErrNotFound):
		return nil
	case errors.Is(err, secretstore.ErrDenied), errors.Is(err, secretstore.ErrInvalid), errors.Is(err, providers.ErrInvalid):
		return g.brokenWebhook(name, err)
	case err != nil:
		return err
	}
	w.Secret = true
	if err := webhooksecret.Check(current.Current.Reveal()); err != nil {
		w.Weak = err.Error() + "."
	}
	before, _, err := webhooksecret.Read(ctx, g.stored.base.Secrets, name, secretstore.Previous)
	if err != nil && !errors.Is(err, secretstore.ErrNotFound) {
		return err
	}
	g.stored.webhook = []providers.Secret{current.Current, current.Previous, before.Current, before.Previous}
	return nil
}

// brokenWebhook adds the webhook's secret to those that are not as they should be. The
// relay refuses every webhook then.
func (g secretReader) brokenWebhook(name string, err error) error {
	s := doctor.Secret{Name: name, State: doctor.Broken, Why: err.Error(), Remedy: "hikyaku connect webhook {hikyaku}"}
	switch {
	case errors.Is(err, secretstore.ErrDenied):
		s.State = doctor.Denied
	case errors.Is(err, secretstore.ErrInvalid):
		s.State = doctor.Deleted
	}
	g.o.WebhookSecret = &s
	return errExplained
}
