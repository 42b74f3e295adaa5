// Package tokenrefresh keeps a working token for every provider in the secret
// store.
//
// A run looks at each credential and replaces those that are due. It is safe
// to run at any time, any number at once, from any driver: one lease per
// credential lets one of them act, and what it does survives a crash at any
// point. docs/token-protocol.md describes the protocol, with the outcome of every
// crash point. Three packages share the work:
//
//	protocol  decides what is done next, from values alone
//	execute   does it, and judges nothing
//	rotation  lets Secrets Manager drive the same protocol
//
// Nothing here knows AWS: secrets, objects, events and measurements come in
// through the Deps.
package tokenrefresh

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"hikyaku/internal/tokenrefresh/execute"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/internal/tokenrefresh/rotation"
	"hikyaku/pkg/providers"
)

// What callers hand over and get back.
type (
	// Deps are what a Refresher works with.
	Deps = execute.Deps
	// A Request asks for a run.
	Request = protocol.Request
	// A Result is what a run did about one credential.
	Result = execute.Result
	// An Event tells people about a credential.
	Event = protocol.Event
)

// A Refresher keeps the credentials under one prefix. It is safe for
// concurrent use.
type Refresher struct {
	prefix   string
	deps     Deps
	executor *execute.Executor
}

// New returns a Refresher of the credentials under prefix.
func New(prefix string, deps Deps) *Refresher {
	return &Refresher{prefix: prefix, deps: deps, executor: execute.New(prefix, deps)}
}

// A Report lists the results of a run, in the order of providers.Names.
type Report struct {
	Results []Result `json:"results"`
}

// Retry lists the providers whose next run may succeed.
func (r Report) Retry() []string {
	var names []string
	for _, x := range r.Results {
		if x.Status == protocol.Fault {
			names = append(names, x.Provider)
		}
	}
	return names
}

// Run looks at the credentials that q names. It returns an error only for a
// request that makes no sense; what went wrong with a credential is in its
// Result. Providers are looked at side by side, so that one that does not
// answer holds up nobody else.
func (r *Refresher) Run(ctx context.Context, q Request) (Report, error) {
	names := providers.Names()
	if q.Provider != "" {
		if !slices.Contains(names, q.Provider) {
			return Report{}, &UnknownProviderError{Provider: q.Provider}
		}
		names = []string{q.Provider}
	} else if q.RejectedVersion != "" {
		return Report{}, errors.New("rejected_version without provider: name the provider whose token was rejected")
	}
	report := Report{Results: make([]Result, len(names))}
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() { report.Results[i] = r.keep(ctx, name, q) })
	}
	group.Wait()
	return report, nil
}

// keep runs the protocol for one provider. What it met is in the result and in the log.
func (r *Refresher) keep(ctx context.Context, provider string, q Request) Result {
	result, _ := r.executor.Run(ctx, protocol.Task{Provider: provider, Goal: protocol.Keep, Request: q})
	return result
}

// Rotation does one step of Secrets Manager's rotation of a secret.
func (r *Refresher) Rotation(ctx context.Context, secret, version, step string) error {
	return rotation.Step(ctx, r.executor, r.prefix, secret, version, step)
}

// State returns what the last runs left about a credential, without
// touching it, for reports to people.
func (r *Refresher) State(ctx context.Context, provider string) (last protocol.Outcome, at time.Time, reason string, err error) {
	j, err := r.executor.Journal(ctx, provider)
	return j.Outcome, j.At, j.Reason, err
}

// Journal returns all that the last runs left about a credential, without touching it.
func (r *Refresher) Journal(ctx context.Context, provider string) (protocol.Journal, error) {
	return r.executor.Journal(ctx, provider)
}

// An UnknownProviderError names a provider that Hikyaku does not have.
type UnknownProviderError struct{ Provider string }

// Error lists the providers that there are.
func (e *UnknownProviderError) Error() string {
	return "unknown provider; known are " + strings.Join(providers.Names(), " ")
}
