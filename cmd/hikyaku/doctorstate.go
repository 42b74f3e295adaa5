package main

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"hikyaku/internal/doctor"
	"hikyaku/internal/export"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/lambdafn/exportfn"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/localstack"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/pause"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/internal/webhookrelay/admin"
	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/internal/webhooksecret"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
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
func (g *gatherer) secret(ctx context.Context, name, stage string) (seenSecret, error) {
	s := seenSecret{Secret: doctor.Secret{Name: name}}
	var err error
	s.value, err = g.stored.base.Secrets.Get(ctx, name, stage)
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
}

func (g *gatherer) readSecrets(ctx context.Context) error {
	names := providers.Names()
	read, faults := make([]providersSecrets, len(names)), make([]error, len(names), len(names)+1)
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() { read[i], faults[i] = g.readProvider(ctx, name) })
	}
	group.Wait()
	for i, name := range names {
		g.o.Secrets = append(g.o.Secrets, read[i].secrets...)
		if c := read[i].credential; c != nil {
			g.o.Credentials = append(g.o.Credentials, *c)
			g.stored.connections[name] = read[i].connection
			if c.Served {
				g.stored.tokens[name] = read[i].token
			}
		}
	}
	return errors.Join(append(faults, g.readHashKey(ctx))...)
}

// readHashKey looks for the key of hashed fields, where some are.
func (g *gatherer) readHashKey(ctx context.Context) error {
	if g.environs[localstack.Export].Vars["HIKYAKU_EXPORT_HASH"] == "" {
		return nil
	}
	key, err := g.secret(ctx, g.o.Place.Prefix+"/export/hmac", secretstore.Current)
	g.o.HashKeyMissing = key.State == doctor.Missing
	g.o.Secrets = append(g.o.Secrets, key.Secret)
	return err
}

// readProvider reads a provider's connection and token, and what the last run left.
func (g *gatherer) readProvider(ctx context.Context, provider string) (p providersSecrets, err error) {
	name := func(part string) string { return secretstore.Name(g.o.Place.Prefix, provider, part) }
	connection, err := g.secret(ctx, name(secretstore.ConnectionPart), secretstore.Current)
	if err != nil || connection.State != "" {
		p.secrets = append(p.secrets, connection.Secret)
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
	token, err := g.secret(ctx, name(secretstore.TokenPart), secretstore.Current)
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
	journal, err := g.stored.core.Journal(ctx, provider)
	c.Outcome, c.Reason, c.Spent = journal.Outcome, visible(journal.Reason), journal.Exhausted(g.o.Now)
	c.Unserved = token.State
	return p, err
}

// probe asks each provider whether the token that is served works, by a call that
// changes nothing.
func (g *gatherer) probe(ctx context.Context) error {
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

func (g *gatherer) readPauses(ctx context.Context) (err error) {
	g.o.Pauses, err = pause.Read(ctx, g.stored.base.Objects, g.o.Place.Prefix)
	return err
}

// relayFunction composes reconcile, which reads both sides.
func (g *gatherer) relayFunction(ctx context.Context) (*relayfn.Function, error) {
	e, err := g.environ(localstack.Reconcile)
	if err != nil {
		return nil, err
	}
	return relayfn.New(ctx, e)
}

// readMapping reads the mapping that counts, as a function does that starts now.
func (g *gatherer) readMapping(ctx context.Context) error {
	function, err := g.relayFunction(ctx)
	if err != nil {
		return err
	}
	store, m := function.Published(), &g.o.Mapping
	folder := g.o.Place.Prefix + "/config/mapping/"
	log, err := store.Log(ctx)
	if m.Pointer, err = g.broken(ctx, folder+"pointer", err); err != nil || m.Pointer != "" {
		return err
	}
	if m.Lost, err = store.Lost(ctx, log); err != nil {
		return err
	}
	entry, has := log.Current()
	if m.Published = has; !has {
		return nil
	}
	source, err := store.Source(ctx, entry.Digest)
	if m.File, err = g.broken(ctx, folder+entry.Digest+".yaml", err); err != nil || m.File != "" {
		return err
	}
	if g.stored.mapping, err = function.Parse(entry.Short(), source); err != nil {
		m.Refused = visible(err.Error())
	}
	return nil
}

// broken says why an object could not be read, if its content is at fault or it is
// missing. Of an outage, or where it may not be read, nothing is known of the object.
func (g *gatherer) broken(ctx context.Context, key string, err error) (why string, outage error) {
	if err == nil {
		return "", nil
	}
	if _, asked := g.stored.base.Objects.Head(ctx, key); asked != nil && !errors.Is(asked, objectstore.ErrNotFound) {
		return "", asked
	}
	return visible(err.Error()), nil
}

// readFields compares the fields that the mapping uses with those of the account.
func (g *gatherer) readFields(ctx context.Context) error {
	if g.stored.mapping == nil || !g.works(providers.SuperSaaS) {
		return errExplained
	}
	unknown, err := (&tenant.Tenant{Config: tenant.Config{Mapping: g.stored.mapping}, Users: g.account()}).Check(ctx)
	g.o.Unknown = unknown.Unknown
	return err
}

// account is the SuperSaaS client with the token that is served.
func (g *gatherer) account() *supersaas.Client {
	return supersaas.New(providers.Fixed(g.stored.tokens[providers.SuperSaaS]), g.stored.base.Options())
}

// readWebhookSecret reads the secrets that end the webhook's address: the current one's,
// and while it rotates the one's before.
func (g *gatherer) readWebhookSecret(ctx context.Context) error {
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
func (g *gatherer) brokenWebhook(name string, err error) error {
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

// readHooks reads where the account's webhooks for changed users point.
func (g *gatherer) readHooks(ctx context.Context) error {
	e, err := g.environ(localstack.Reconcile)
	address := asFolder(e.Vars["HIKYAKU_WEBHOOK_URL"])
	if err != nil || address == "" || !g.works(providers.SuperSaaS) {
		return cmp.Or(err, errExplained)
	}
	hooks, err := g.account().Hooks(ctx)
	if err != nil {
		return err
	}
	w, ours := &g.o.Webhook, admin.Hooks{URL: address}
	for _, h := range hooks {
		target := h.Target.Reveal()
		if !ours.Ours(h) && h.Trigger == supersaas.ChangedUser {
			host := "an address that is none"
			if u, err := url.Parse(target); err == nil && u.Host != "" {
				host = visible(u.Host)
			}
			w.Elsewhere = append(w.Elsewhere, host)
		}
		if !ours.Ours(h) {
			continue
		}
		w.Ours++
		switch at := slices.IndexFunc(g.stored.webhook, func(s providers.Secret) bool { return !s.Empty() && address+s.Reveal() == target }); {
		case at == 0:
			w.Right++
		case at > 0:
			w.Before++
		}
	}
	return nil
}

// approvedFor is how long an approval may wait to be carried out.
const approvedFor = time.Hour

// readRelay reads the state of both sides. Without the key of its names there is none,
// and nothing makes it here.
func (g *gatherer) readRelay(ctx context.Context) error {
	bound, served := g.stored.tokens[providers.Yappli]
	if _, both := g.stored.tokens[providers.SuperSaaS]; !served || !both {
		return errExplained
	}
	if doctor.Unconfirmed(g.environs[localstack.Relay].Vars) != "" {
		return errExplained // the relay refuses to work
	}
	function, err := g.relayFunction(ctx)
	if err != nil {
		return err
	}
	quirks, err := yappli.ParseQuirks(bound.Quirks)
	if err != nil {
		return err
	}
	r := &g.o.Relay
	r.Mode, r.Update = g.environs[localstack.Relay].Vars["HIKYAKU_RELAY"], quirks.Update != yappli.UpdateUnknown
	if _, err := g.stored.base.Objects.Head(ctx, g.o.Place.Prefix+"/state/relay/key"); err != nil {
		if errors.Is(err, objectstore.ErrNotFound) {
			return nil
		}
		return err
	}
	function.Try(g.stored.mapping) // the state is the same with each
	t, err := function.Tenant(ctx)
	if err != nil {
		return err
	}
	list, listErr := t.State.Index.Read(ctx)
	wanted, wantedErr := t.State.Wanted.Since(ctx)
	stopped, stoppedErr := t.State.Disabling.Stopped(ctx)
	links := admin.NewLinks(t, nil)
	pairs, pairsErr := links.Waiting(ctx)
	undone, undoneErr := links.Undone(ctx, g.o.Now.Add(-approvedFor))
	r.List, r.Wanted, r.Stopped, r.Pairs, r.Undone = list.Began, wanted, stopped, len(pairs), len(undone)
	return errors.Join(listErr, wantedErr, stoppedErr, pairsErr, undoneErr)
}

const (
	recentRuns   = 3 * 24 * time.Hour
	takesTooLong = 24 * time.Hour // for one run
)

// readExports reads how the newest runs of each dataset ended.
func (g *gatherer) readExports(ctx context.Context) error {
	e, err := g.environ(localstack.Export)
	if err != nil || slices.ContainsFunc(g.o.Secrets, func(s doctor.Secret) bool { return s.State == doctor.Denied }) {
		return cmp.Or(err, errExplained) // who may not see what is connected cannot say what is missing
	}
	direct, err := exportfn.Open(e, nil)
	if err != nil {
		return err
	}
	var enabled []export.Dataset
	for _, name := range export.DatasetNames() {
		d, off := direct.Dataset(name)
		if _, connected := g.stored.connections[d.Provider]; off == nil && connected {
			enabled = append(enabled, d)
		}
	}
	read, faults := make([]doctor.Dataset, len(enabled)), make([]error, len(enabled))
	var group sync.WaitGroup
	for i, d := range enabled {
		group.Go(func() { read[i], faults[i] = g.readDataset(ctx, direct.Core, d) })
	}
	group.Wait()
	g.o.Datasets = read
	return errors.Join(faults...)
}

func (g *gatherer) readDataset(ctx context.Context, core *export.Exporter, d export.Dataset) (doctor.Dataset, error) {
	seen := doctor.Dataset{Name: d.String()}
	runs, err := core.RunsSince(ctx, d, g.o.Now.Add(-recentRuns))
	if err != nil {
		return seen, err
	}
	runs = slices.DeleteFunc(runs, func(a export.Answer) bool { return strings.Contains(a.Run, "_") }) // a person's, of a range
	if len(runs) > 0 {
		switch last := runs[len(runs)-1]; {
		case last.Doubt != "" && last.Manifest == "":
			seen.Doubt = "s3://" + g.stored.base.Common.Bucket + "/" + last.Doubt
		case last.Status == export.Planned && last.Run < g.o.Now.Add(-takesTooLong).UTC().Format("20060102T150405Z"): // as runs are named
			seen.Unfinished = last.Run
		}
	}
	if seen.Covered, err = core.CoveredUntil(ctx, d); err != nil {
		return seen, err
	}
	newest, err := core.Newest(ctx, d)
	if err != nil {
		return seen, err
	}
	if seen.Gone = newest == nil && !seen.Covered.IsZero(); newest != nil {
		seen.Rejects, seen.Unresolved, seen.Owed = newest.Rejects, newest.Drift.Unresolved, len(newest.Owed)
	}
	return seen, nil
}
