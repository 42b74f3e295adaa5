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
	"hikyaku/internal/lambdafn/exportfn"
	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/pause"
	"hikyaku/internal/webhookrelay/admin"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
)

func (g stateReader) readPauses(ctx context.Context) (err error) {
	g.o.Pauses, err = pause.Read(ctx, g.stored.base.Objects, g.o.Place.Prefix)
	g.o.BrokenPauses, err = g.broken(ctx, g.o.Place.Prefix+"/state/pause", err)
	return err
}

// relayFunction composes reconcile, which reads both sides.
func (g stateReader) relayFunction(ctx context.Context) (*relayfn.Function, error) {
	e, err := g.environ(localstack.Reconcile)
	if err != nil {
		return nil, err
	}
	return relayfn.New(ctx, e)
}

// readMapping reads the mapping that counts, as a function does that starts now.
func (g stateReader) readMapping(ctx context.Context) error {
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
func (g stateReader) broken(ctx context.Context, key string, err error) (why string, outage error) {
	if err == nil {
		return "", nil
	}
	_, body, asked := g.stored.base.Objects.Get(ctx, key)
	switch {
	case asked == nil:
		_ = body.Close()
	case !errors.Is(asked, objectstore.ErrNotFound):
		return "", asked
	}
	return visible(err.Error()), nil
}

// readFields compares the fields that the mapping uses with those of the account.
func (g stateReader) readFields(ctx context.Context) error {
	if g.stored.mapping == nil || !g.works(providers.SuperSaaS) {
		return errExplained
	}
	unknown, err := (&tenant.Tenant{Config: tenant.Config{Mapping: g.stored.mapping}, Users: g.account()}).Check(ctx)
	g.o.Unknown = unknown.Unknown
	return err
}

// account is the SuperSaaS client with the token that is served.
func (g stateReader) account() *supersaas.Client {
	return supersaas.New(providers.Fixed(g.stored.tokens[providers.SuperSaaS]), g.stored.base.Options())
}

// readHooks reads where the account's webhooks for changed users point.
func (g stateReader) readHooks(ctx context.Context) error {
	e, err := g.environ(localstack.Reconcile)
	address := asFolder(e.Vars["HIKYAKU_WEBHOOK_URL"])
	if err == nil && address == "" {
		err = locale.Errorf("the functions do not know the address of the webhook: the stack is older than this command")
	}
	if err != nil || !g.works(providers.SuperSaaS) {
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
func (g stateReader) readRelay(ctx context.Context) error {
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
func (g stateReader) readExports(ctx context.Context) error {
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
	names := make([]string, len(enabled))
	for i, d := range enabled {
		names[i] = d.String()
		if faults[i] == nil {
			g.o.Datasets = append(g.o.Datasets, read[i])
		}
	}
	return g.unreadOf(doctor.FromExports, names, faults)
}

func (g stateReader) readDataset(ctx context.Context, core *export.Exporter, d export.Dataset) (doctor.Dataset, error) {
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
