package relay

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/internal/webhookrelay/state"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers/yappli"
)

// How often an attempt starts again because the user changed between live and
// gone under it.
const restarts = 3

// do runs a job. The steps are numbered as in docs/relay-protocol.md.
func (r *Relay) do(ctx context.Context, j *job) outcome.Outcome {
	if held := max(r.Limiters.SuperSaaS.Held(), r.Limiters.Yappli.Held()); held > 0 {
		return outcome.Later(outcome.ProviderResting, nil).AtLeast(held)
	}
	if r.Settings.Mode == tenant.Write && r.Quirks.Update == yappli.UpdateUnknown {
		return outcome.Later(outcome.UpdateRuleUnknown, errUpdateUnknown)
	}
	if r.Mappings != nil {
		if _, err := r.Mappings.Current(ctx, j.mapping); err != nil {
			return outcome.FaultOf(err)
		}
	}
	if r.MappingChanged() {
		return outcome.Later(outcome.MappingChanged, nil)
	}
	for range restarts {
		first, err := r.Person(ctx, j.user) // 1
		if err != nil {
			return outcome.FaultOf(err)
		}
		if len(first.Unread) > 0 {
			r.Metrics.Add("UnreadableFields", "Count", float64(len(first.Unread)), nil)
			r.Log.WarnContext(ctx, "fields cannot be read and stay as they are", "user_id", j.user, "fields", first.Unread)
		}
		held, err := r.State.Rows.Read(ctx, j.user) // 2
		if err != nil {
			return outcome.FaultOf(err)
		}
		if r.Settings.Mode == tenant.Observe {
			return r.observe(ctx, j, first, held.Row)
		}
		a := attempt{Relay: r, job: j, held: &held, before: held.Row}
		if o, again := a.run(ctx, first); !again {
			return o
		}
	}
	return outcome.Later(outcome.Restless, nil)
}

var errUpdateUnknown = errors.New("whether an update keeps omitted fields is not known; run 'hikyaku mapping check FILE --user ID --write' or set the quirk update")

// An attempt is one pass through the protocol for one job.
type attempt struct {
	*Relay
	job    *job
	held   *state.HeldRow
	before state.Row // as it was read
	differ uint32    // what a complete list shows to differ after the last write; 0: nothing that may be left
	sent   []string  // names of the fields written
}

// run does steps 2 to 8. again means that the user changed between live and
// gone, or before a creation the identity, and that nothing was written.
func (a *attempt) run(ctx context.Context, first tenant.Person) (o outcome.Outcome, again bool) {
	if o, ends := a.endsEarly(ctx, first); ends {
		return o, false
	}
	if a.differ = a.shownAgain(first); a.differ != 0 && a.differ == a.before.Differs {
		if o, ends := a.leave(ctx, first); ends {
			return o, false
		}
	}
	disabling := false
	if !first.Live {
		var o outcome.Outcome
		var ends bool
		if disabling, o, ends = a.mustDisable(ctx); ends {
			return o, false
		}
	}
	a.held.Began(state.Event{At: a.Now().UTC().Truncate(time.Second), Cause: a.job.cause(), Request: a.RequestID(ctx), Mapping: a.Mapping.ShortDigest()})
	taken := a.held.Acquired(first.Unique, disabling, a.Now().Add(a.Settings.HoldTime()))
	if err := a.State.Rows.Swap(ctx, a.held, taken); err != nil { // 5
		return outcome.FaultOf(err), false
	}
	ctx, cancel := context.WithTimeout(ctx, a.held.Until.Sub(a.Now())-a.Settings.HoldTime()/9) // however long the swap took
	defer cancel()
	second, err := a.Person(ctx, a.job.user) // 6
	if err != nil {
		return a.giveUp(ctx, outcome.FaultOf(err)), false
	}
	if second.Live != first.Live || a.held.Member == "" && second.Unique != first.Unique {
		return a.giveUp(ctx, outcome.Later(outcome.Restless, nil)), true
	}
	if !second.Live {
		return a.disable(ctx, second, disabling), false
	}
	return a.upsert(ctx, second), false
}

// endsEarly are steps 2 to 4: what needs no write, or may not be written yet.
func (a *attempt) endsEarly(ctx context.Context, first tenant.Person) (outcome.Outcome, bool) {
	r := a.before
	switch {
	case r.State == state.Clean && r.Hash == first.Hash && !a.job.force:
		return outcome.Done(outcome.Unchanged), true
	case r.State == state.Inflight && a.Now().Before(r.Until):
		return outcome.Later(outcome.InFlight, nil).AtLeast(r.Until.Sub(a.Now())), true
	case r.Unresolved():
		return a.askReconcile(ctx, outcome.Unresolved), true
	case r.Member != "":
		return outcome.Outcome{}, false
	case !first.Live:
		return outcome.Done(outcome.GoneUnlinked), true
	case first.Unique.Text == "":
		return outcome.Done(outcome.NoIdentity), true
	}
	ready, err := a.MayCreate(ctx, first, a.job.at())
	switch {
	case err != nil:
		return outcome.FaultOf(err), true
	case !ready:
		return a.askReconcile(ctx, outcome.AwaitingList), true
	}
	return outcome.Outcome{}, false
}

// askReconcile leaves a note for the next scheduled reconcile; the message
// waits. A note that cannot be left is left by the next try.
func (a *attempt) askReconcile(ctx context.Context, class outcome.Class) outcome.Outcome {
	return outcome.Later(class, a.State.Wanted.Ask(ctx, a.Now())).AtLeast(time.Minute)
}

// giveUp releases the row after an attempt that certainly wrote nothing. What
// the row said of disabled before stands again, and of the identity unless it
// was claimed. If it fails, the row only stays inflight until its end.
func (a *attempt) giveUp(ctx context.Context, o outcome.Outcome) outcome.Outcome {
	r := a.held.Row
	r.Ended(a.Now(), o.Class, a.sent)
	r.State, r.Owner, r.Until = state.Idle, "", time.Time{}
	r.Disabled, r.Identity, r.Alias = a.before.Disabled, a.before.Identity, a.before.Alias
	_ = a.State.Rows.Swap(context.WithoutCancel(ctx), a.held, r)
	return o
}

// conclude is step 8.
func (a *attempt) conclude(ctx context.Context, p tenant.Person, class outcome.Class) outcome.Outcome {
	r := a.held.Row
	r.State, r.Owner, r.Until, r.Hash = state.Clean, "", time.Time{}, p.Hash
	r.Tombstone, r.Absent, r.Differs = !p.Live, false, a.differ
	r.Ended(a.Now(), class, a.sent)
	if p.Live {
		r.Disabled = false
	}
	if err := a.State.Rows.Swap(ctx, a.held, r); err != nil {
		return outcome.FaultOf(err)
	}
	return outcome.Done(class)
}

// observe reports what a job would do, and does nothing.
func (r *Relay) observe(ctx context.Context, j *job, p tenant.Person, row state.Row) outcome.Outcome {
	b, err := r.MemberOf(ctx, j.user, p, row)
	if err != nil {
		return outcome.FaultOf(err)
	}
	would, err := r.Would(ctx, j.user, p, row, b, r.State.Pairs.Propose)
	if err != nil {
		return outcome.FaultOf(err)
	}
	level := slog.LevelWarn // what people deploy observe to read
	if would.Class == outcome.Unchanged {
		level = slog.LevelDebug
	}
	r.Log.Log(ctx, level, "observed", "user_id", j.user, "outcome", would.Class, "fields", would.Fields, "mapping", r.Mapping.ShortDigest(), "says", would.Class.Sentence())
	return outcome.Done(would.Class)
}
