// Package execute does what package protocol decides: it reads, asks, writes and
// tells, and hands back what that gave. It judges nothing.
package execute

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
)

// Deps are what runs work with. All but Window are required.
type Deps struct {
	Secrets     secretstore.Store
	Objects     objectstore.Store
	Authorities map[string]providers.Authority
	Notify      func(context.Context, protocol.Event) error             // tells people
	Rotate      func(ctx context.Context, secret, version string) error // starts Secrets Manager's rotation of a secret; an empty version is the service's to name
	Measure     func(name, unit string, value float64, dimensions map[string]string)
	Log         *slog.Logger
	Now         func() time.Time
	NewID       func() string   // a unique version id of 32 to 64 characters
	Window      protocol.Window // in which credentials are replaced for their age
}

// An Executor runs the protocol for the credentials under one prefix. It is safe for
// concurrent use.
type Executor struct {
	prefix string
	deps   Deps

	mu     sync.Mutex
	memory map[string]protocol.Memory // by provider
}

// New returns an Executor of the credentials under prefix.
func New(prefix string, deps Deps) *Executor {
	return &Executor{prefix: prefix, deps: deps, memory: map[string]protocol.Memory{}}
}

// Run runs the protocol for one credential, measures and logs it. The error is what the
// run met, with whatever outcome; a run without an outcome refused to look.
func (x *Executor) Run(ctx context.Context, task protocol.Task) (Result, error) {
	task.Window, task.Began, task.Memory = x.deps.Window, x.deps.Now(), x.recall(task.Provider)
	r := newEffects(x.prefix, task.Provider, x.deps)
	act := protocol.Start(task)
	for act.Do != protocol.Finish {
		got := r.do(ctx, act)
		act = protocol.Decide(protocol.Observation{Now: x.deps.Now(), Left: left(ctx), Did: act, Got: got})
		if w := act.Warning; w != nil {
			x.deps.Log.WarnContext(ctx, "read with doubt", "provider", task.Provider, "what", w.Text, "fields", w.Fields)
		}
		x.deps.Log.DebugContext(ctx, "next", "provider", task.Provider, "phase", act.Run.Phase, "do", act.Do, "part", act.Part, "label", act.Label)
	}
	return x.conclude(ctx, &act.Run)
}

// left is how long the process may still work.
func left(ctx context.Context) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	if deadline, ok := ctx.Deadline(); ok {
		return max(0, time.Until(deadline))
	}
	return protocol.NoEnd
}

// conclude makes the result of a run, measures and logs it, and keeps what the next ticks
// may take its word for.
func (x *Executor) conclude(ctx context.Context, run *protocol.Run) (Result, error) {
	v := run.Verdict
	if v.Outcome == "" {
		return Result{}, v.Err
	}
	result := resultOf(run, x.deps.Now())
	if v.Outcome == protocol.Resting {
		return result, v.Err
	}
	x.memorize(run)
	if v.Outcome != protocol.Off {
		x.measure(result)
	}
	level := slog.LevelInfo
	if status := result.Status; status == protocol.Fault || status == protocol.Human {
		level = slog.LevelError
	}
	x.deps.Log.Log(ctx, level, "credential looked at", "provider", result.Provider, "outcome", result.Outcome,
		"status", result.Status, "reason", result.Reason, "elapsed", result.Seconds, "err", v.Err)
	return result, v.Err
}

func (x *Executor) recall(provider string) *protocol.Memory {
	x.mu.Lock()
	defer x.mu.Unlock()
	if m, known := x.memory[provider]; known {
		return &m
	}
	return nil
}

func (x *Executor) memorize(run *protocol.Run) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.memory, run.Provider)
	if m, well := run.Remember(); well {
		m.At = m.At.Round(0) // without its monotonic reading, which may stand still while the process is frozen
		x.memory[run.Provider] = m
	}
}

// Journal reads what the last runs left about a credential.
func (x *Executor) Journal(ctx context.Context, provider string) (protocol.Journal, error) {
	return newEffects(x.prefix, provider, x.deps).journal.read(ctx)
}
