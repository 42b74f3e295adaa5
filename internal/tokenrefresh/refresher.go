// Package tokenrefresh keeps a working token for every provider in the secret
// store.
//
// A run looks at each credential and replaces those that are due. It is safe
// to run at any time, any number at once, from any driver: one lease per
// credential lets one of them act, and what it does survives a crash at any
// point. The protocol, with the outcome of every crash point, is
// docs/token-protocol.md; in short:
//
//	lease -> read again -> budget -> (one-time: prove the secret writable,
//	journal the intent) -> one call to the token endpoint -> store the whole
//	answer under HIKYAKU_NEXT -> probe -> swap it to AWSCURRENT from the
//	version it was made to replace -> derive the callers' token -> release
//
// Nothing here knows AWS: secrets, objects, events and measurements come in
// through the Deps.
package tokenrefresh

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"hikyaku/internal/lease"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
)

// The labels of ours on versions of a secret.
const (
	Next = "HIKYAKU_NEXT" // stored, to be promoted
	Kept = "HIKYAKU_KEPT" // lost the swap to a person's edit; kept for a person to look at

	proofLabel = "HIKYAKU_PROOF" // showed that the secret can be written
)

// Deps are what a Refresher works with. All are required.
type Deps struct {
	Secrets     secretstore.Store
	Objects     objectstore.Store
	Authorities map[string]providers.Authority
	Notify      func(context.Context, Event) error             // tells people
	Rotate      func(ctx context.Context, secret string) error // starts Secrets Manager's rotation of a secret
	Measure     func(name, unit string, value float64, dimensions map[string]string)
	Log         *slog.Logger
	Now         func() time.Time
	NewID       func() string // a unique version id of 32 to 64 characters
}

// A Refresher keeps the credentials under one prefix. It is safe for
// concurrent use.
type Refresher struct {
	prefix string
	deps   Deps

	mu     sync.Mutex
	memory map[string]memory // by provider
}

// New returns a Refresher of the credentials under prefix.
func New(prefix string, deps Deps) *Refresher {
	return &Refresher{prefix: prefix, deps: deps, memory: map[string]memory{}}
}

// A Request asks for a run. The zero Request is a tick, which looks at every
// provider that this process did not find well within the last minutes.
type Request struct {
	Provider string // only this one
	// RejectedVersion is the version of the token secret to which the
	// provider answered 401: exactly that version is replaced.
	RejectedVersion string
	// Force replaces the credential though it is not due or cools down.
	Force bool
	// ResendInDoubt sends a one-time credential again that may have been spent
	// already: the provider may then revoke all that came of it.
	ResendInDoubt bool
}

const (
	leaseTTL   = 2 * time.Minute // outlives a token call and the writes after it
	waitForNew = 5 * time.Second // how long a loser of the lease waits for the winner's token
	waitStep   = 200 * time.Millisecond
)

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
		group.Go(func() { report.Results[i] = r.one(ctx, name, q) })
	}
	group.Wait()
	return report, nil
}

// An UnknownProviderError names a provider that Hikyaku does not have.
type UnknownProviderError struct{ Provider string }

// Error lists the providers that there are.
func (e *UnknownProviderError) Error() string {
	text := "unknown provider; known are"
	for _, n := range providers.Names() {
		text += " " + n
	}
	return text
}

// one runs the protocol for one provider and reports on it.
func (r *Refresher) one(ctx context.Context, provider string, q Request) Result {
	a := &attempt{Refresher: r, provider: provider, request: q, label: Next, began: r.deps.Now()}
	return a.conclude(ctx, a.run(ctx))
}

func (r *Refresher) measure(x Result) {
	r.deps.Measure("RefreshOutcome", "Count", 1, map[string]string{"provider": x.Provider, "outcome": string(x.Outcome)})
	r.deps.Measure("RefreshSeconds", "Seconds", x.Seconds, map[string]string{"provider": x.Provider})
	if x.Outcome.needsHuman() {
		r.deps.Measure("NeedsHuman", "Count", 1, nil)
	}
	if x.ExpiresAt != nil {
		r.deps.Measure("SecondsToExpiry", "Seconds", x.ExpiresAt.Sub(r.deps.Now()).Seconds(), map[string]string{"provider": x.Provider})
	} else if x.Version != "" && (x.Kind == providers.ClientCredentials || x.Kind == providers.OneTimePair) { // of the others none is promised
		r.deps.Measure("UnknownExpiry", "Count", 1, map[string]string{"provider": x.Provider})
	}
}

// secret names a secret of the provider's.
func (r *Refresher) secret(provider, part string) string {
	return secretstore.Name(r.prefix, provider, part)
}

// leaseKey is where a provider's lease and state lie.
func (r *Refresher) leaseKey(provider string) string {
	return r.prefix + "/state/tokens/" + provider
}

// State returns what the last runs left behind about a credential, without
// touching it, for reports to people.
func (r *Refresher) State(ctx context.Context, provider string) (last Outcome, at time.Time, reason string, err error) {
	s, err := r.peek(ctx, provider)
	return s.Outcome, s.At, s.Reason, err
}

func (r *Refresher) peek(ctx context.Context, provider string) (state, error) {
	journal, err := lease.Peek(ctx, r.deps.Objects, r.leaseKey(provider))
	if err != nil {
		return state{}, err
	}
	return readState(journal)
}
