package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"hikyaku/internal/doctor"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/lambdafn/exportfn"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
)

const (
	// sourceTime is how long one source may take. One that does not answer is a finding.
	sourceTime  = 30 * time.Second
	atOnce      = 8 // sources
	topicOutput = "PeopleTopicArn"
)

// A gatherer reads what doctor looks at, and writes nothing. It knows the stack, and what
// of it cannot be read; what each kind of source tells, its readers know.
type gatherer struct {
	opened  clibase.Opened
	stack   *clibase.Stack
	now     func() time.Time
	version string // of this command

	environs map[string]lambdafn.Environ // of the functions, by their names here
	stored   stored

	mu  sync.Mutex // of o.Unread
	o   doctor.Observations
	sem chan struct{}
}

// An accountReader reads what AWS tells of the stack: functions' calls, queues, alarms.
type accountReader struct{ *gatherer }

// A secretReader reads the secrets, and asks the providers whether they work.
type secretReader struct{ *gatherer }

// A stateReader reads what the functions have stored, and what the booking page is told.
type stateReader struct{ *gatherer }

func newGatherer(opened clibase.Opened, place clibase.Place) *gatherer {
	s := opened.Stack
	at := doctor.Place{Stack: s.Name, Prefix: s.Parameters["Prefix"], Hikyaku: "--stack " + doctor.Word(s.Name), AWS: "--region " + doctor.Word(s.Region)}
	if place.Region != "" {
		at.Account = " --region " + doctor.Word(place.Region)
	}
	if place.Profile != "" {
		profile := " --profile " + doctor.Word(place.Profile)
		at.Account += profile
		at.AWS += profile
	}
	at.Hikyaku += at.Account
	at.Account = strings.TrimSpace(at.Account)
	return &gatherer{
		opened: opened, stack: s, now: time.Now, version: readBuild().Version, environs: map[string]lambdafn.Environ{}, sem: make(chan struct{}, atOnce),
		o: doctor.Observations{Place: at, Unread: map[doctor.Source]string{}, Skipped: map[doctor.Source]bool{}, Status: s.Status, Parameters: s.Parameters, Skew: s.Skew},
	}
}

// A reading is how one source is read.
type reading struct {
	source doctor.Source
	read   func(context.Context) error
}

// observe reads every source: those first that the others need.
func (g *gatherer) observe(ctx context.Context) doctor.Observations {
	account, secrets, state := accountReader{g}, secretReader{g}, stateReader{g}
	g.o.Now, g.o.Version, g.o.StackVersion = g.now(), g.version, g.stack.Outputs["Version"]
	g.all(ctx,
		reading{doctor.FromFunctions, g.readFunctions}, reading{doctor.FromStack, account.readStacks}, reading{doctor.FromAccount, account.readAccount},
		reading{doctor.FromQueues, account.readDeadLetters}, reading{doctor.FromMetrics, account.readMetrics}, reading{doctor.FromExecutions, account.readExecutions},
		reading{doctor.FromAlarms, account.readAlarms}, reading{doctor.FromTopic, account.readTopic}, reading{doctor.FromSchedules, account.readTriggers})
	behind := []reading{
		{doctor.FromFields, state.readFields}, {doctor.FromHooks, state.readHooks}, {doctor.FromRelay, state.readRelay}, {doctor.FromExports, state.readExports},
	}
	first := []reading{
		{doctor.FromSecrets, secrets.readSecrets}, {doctor.FromWebhook, secrets.readWebhookSecret}, {doctor.FromMapping, state.readMapping}, {doctor.FromPauses, state.readPauses},
	}
	if err := g.openStored(ctx); err != nil {
		for _, r := range append(first, append(behind, reading{source: doctor.FromProviders})...) {
			g.unread(r.source, err)
		}
		return g.o
	}
	g.all(ctx, first...)
	g.all(ctx, reading{doctor.FromProviders, secrets.probe})
	g.all(ctx, behind...)
	return g.o
}

// all reads several sources at once.
func (g *gatherer) all(ctx context.Context, readings ...reading) {
	var group sync.WaitGroup
	for _, r := range readings {
		group.Go(func() {
			g.sem <- struct{}{}
			defer func() { <-g.sem }()
			ctx, cancel := context.WithTimeout(ctx, sourceTime)
			defer cancel()
			if err := r.read(ctx); err != nil {
				g.unread(r.source, err)
			}
		})
	}
	group.Wait()
}

func (g *gatherer) unread(source doctor.Source, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if errors.Is(err, errExplained) {
		g.o.Skipped[source] = true
		return
	}
	g.o.Unread[source] = clibase.Plain(err).Error()
}

// unreadOf says which of several things of a source could not be read, and hides none of
// the others. Where none could be, it is the source's fault.
func (g *gatherer) unreadOf(source doctor.Source, names []string, faults []error) error {
	if !slices.Contains(faults, nil) {
		return errors.Join(faults...)
	}
	for i, err := range faults {
		if err != nil {
			g.unread(source.Of(names[i]), err)
		}
	}
	return nil
}

// readFunctions reads how each function is set, and whether it would start with that.
func (g *gatherer) readFunctions(ctx context.Context) error {
	type read struct {
		function doctor.Function
		environ  lambdafn.Environ
		err      error
	}
	names := localstack.Functions()
	all := make([]read, len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() {
			vars, err := g.stack.Settings(ctx, localstack.Resource(name))
			if err != nil {
				all[i].err = err
				return
			}
			e := g.opened.Of(vars)
			all[i].function = doctor.Function{Vars: vars, Faults: faultsOf(name, e)}
			e.Vars["HIKYAKU_TOKENREFRESH_FUNCTION"] = "" // a rejected token is not replaced: that would write
			e.Out = io.Discard
			all[i].environ = e
		})
	}
	group.Wait()
	g.o.Functions = map[string]doctor.Function{}
	var faults []error
	for i, name := range names {
		if all[i].err != nil {
			faults = append(faults, all[i].err)
			continue
		}
		g.o.Functions[localstack.Resource(name)], g.environs[name] = all[i].function, all[i].environ
	}
	return errors.Join(faults...)
}

// faultsOf says why a function does not start with its settings.
func faultsOf(function string, e lambdafn.Environ) (faults []string) {
	var err error
	switch function {
	case localstack.TokenRefresh:
		_, err = lambdafn.Load[refreshfn.Settings](e)
	case localstack.Export:
		_, err = lambdafn.Load[exportfn.Settings](e)
	default:
		_, err = lambdafn.Load[relayfn.Settings](e)
	}
	if err == nil {
		return nil
	}
	lines := strings.Split(err.Error(), "\n")[1:] // the first counts them
	for _, line := range lines {
		faults = append(faults, strings.TrimSpace(line))
	}
	return faults
}

// errExplained: a source is not read, as another finding says why that would fail.
var errExplained = locale.Errorf("another finding explains it")

// environ is that of a function, which asks no other for a token. One that does not start
// is explained.
func (g *gatherer) environ(function string) (lambdafn.Environ, error) {
	e, read := g.environs[function]
	if !read || len(g.o.Functions[localstack.Resource(function)].Faults) > 0 {
		return e, errExplained
	}
	return e, nil
}
