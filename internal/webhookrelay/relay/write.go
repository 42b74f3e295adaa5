package relay

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/internal/webhookrelay/plan"
	"hikyaku/internal/webhookrelay/state"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/yappli"
)

// upsert is step 7 for a live user: link or create where there is no member
// yet, else update.
func (a *attempt) upsert(ctx context.Context, p tenant.Person) outcome.Outcome {
	if a.held.Member != "" {
		class := outcome.Updated
		if a.held.OfAnother(p.Unique) {
			a.Metrics.Add("IdentityChanged", "Count", 1, nil)
			a.Log.WarnContext(ctx, "identity changed: the link stays", "user_id", a.job.user)
		}
		if a.held.Disabled {
			class = outcome.Restored
		}
		return a.update(ctx, p, class)
	}
	b, mark, err := claimer{a.Plan, a.job.user, p, a.held.Row, a.before}.claim(ctx)
	switch {
	case errors.Is(err, plan.ErrOtherOwner):
		return a.giveUp(ctx, outcome.Done(outcome.DuplicateIdentity))
	case errors.Is(err, plan.ErrAwaiting):
		return a.giveUp(ctx, outcome.Done(outcome.AwaitingApproval))
	case errors.Is(err, plan.ErrRejected):
		return a.giveUp(ctx, outcome.Done(outcome.LinkRejected))
	case errors.Is(err, errOldList):
		return a.giveUp(ctx, a.askReconcile(ctx, outcome.AwaitingList))
	case errors.Is(err, errInDoubt):
		return a.unresolved(ctx, err)
	case err != nil:
		return a.giveUp(ctx, outcome.FaultOf(err))
	}
	a.before.Identity, a.before.Alias = a.held.Identity, mark // claimed: to stay in the row, whatever comes of it
	if b.Member == "" {
		return a.create(ctx, p)
	}
	r := a.held.Row
	r.Member, r.Link, r.Alias = b.Member, b.Link, mark
	if err := a.State.Rows.Swap(ctx, a.held, r); err != nil {
		return outcome.FaultOf(err)
	}
	return a.update(ctx, p, outcome.Linked)
}

// create posts a new member. An outcome that is not certain leaves the row
// inflight without a member, which only a reconcile resolves.
func (a *attempt) create(ctx context.Context, p tenant.Person) outcome.Outcome {
	fields := maps.Clone(p.Desired)
	fields["unique_id"], fields["enabled"] = yappli.Text(p.Unique.Text), yappli.Bool(true)
	if a.MappingChanged() {
		return a.giveUp(ctx, outcome.Later(outcome.MappingChanged, nil))
	}
	m, err := a.Members.CreateUser(ctx, fields)
	if a.sent = slices.Sorted(maps.Keys(fields)); err == nil {
		a.held.Member, a.held.Link = m.ID, state.Made // stored by the swap that concludes
		return a.conclude(ctx, p, outcome.Created)
	}
	var e *providers.Error
	switch effect := outcome.EffectOf(err); {
	case effect == outcome.NoEffect:
		return a.giveUp(ctx, outcome.FaultOf(err))
	case effect == outcome.RefusedEffect && (a.held.Absent || errors.As(err, &e) && e.Status == 0):
		return a.giveUp(ctx, outcome.Dead(outcome.Refused, err))
	case effect == outcome.RefusedEffect: // perhaps because somebody else's member bears the identity
		err = errors.Join(err, a.State.Claims.ForgetSent(context.WithoutCancel(ctx), p.Unique, a.job.user))
	}
	return a.unresolved(ctx, err)
}

// unresolved leaves the row inflight, for a list begun after that to resolve.
func (a *attempt) unresolved(ctx context.Context, err error) outcome.Outcome {
	return a.askReconcile(ctx, outcome.Unresolved).AtLeast(a.held.Until.Sub(a.Now())).With(err)
}

// update puts the desired fields to the linked member. enabled goes along only to undo
// the relay's own 0.
func (a *attempt) update(ctx context.Context, p tenant.Person, class outcome.Class) outcome.Outcome {
	fields := maps.Clone(p.Desired)
	delete(fields, "password")
	if a.held.Disabled {
		fields["enabled"] = yappli.Bool(true)
	}
	switch {
	case len(fields) == 0:
		return a.conclude(ctx, p, outcome.Unchanged)
	case a.Quirks.Update == yappli.UpdateReplace && slices.Contains(p.Unread, plan.SecretAnswer) && !a.held.Disabled:
		return a.giveUp(ctx, outcome.Done(outcome.UnreadableAnswer)) // the update would reset what nobody can read to carry it back
	}
	return a.put(ctx, p, fields, class)
}

// mustDisable is step 4 for a user who is gone: whether an enabled=0 is to be
// sent, or how the job ends without.
func (a *attempt) mustDisable(ctx context.Context) (disabling bool, o outcome.Outcome, ends bool) {
	m, err := a.Members.User(ctx, a.before.Member)
	if errors.Is(err, providers.ErrNotFound) {
		return false, outcome.Dead(outcome.MemberMissing, err), true
	}
	if err != nil {
		return false, outcome.FaultOf(err), true
	}
	if !m.Enabled {
		return false, outcome.Outcome{}, false
	}
	allowed, err := a.State.Disabling.Allow(ctx, a.job.user, a.Settings.MostDisabled(), a.Now())
	if err != nil {
		return false, outcome.FaultOf(err), true
	}
	if !allowed {
		return false, outcome.Later(outcome.DisablingStopped, nil).AtLeast(outcome.LongestPause), true
	}
	return true, outcome.Outcome{}, false
}

// disable is step 7 for a user who is gone.
func (a *attempt) disable(ctx context.Context, p tenant.Person, disabling bool) outcome.Outcome {
	if !disabling {
		return a.conclude(ctx, p, outcome.AlreadyDisabled)
	}
	return a.put(ctx, p, yappli.Fields{"enabled": yappli.Bool(false)}, "disabled")
}

// put updates the linked member and concludes.
func (a *attempt) put(ctx context.Context, p tenant.Person, fields yappli.Fields, class outcome.Class) outcome.Outcome {
	names := slices.Sorted(maps.Keys(fields))
	err := a.carryBack(ctx, fields)
	if errors.Is(err, providers.ErrNotFound) {
		return a.refused(ctx, class, err)
	}
	if err != nil {
		return a.giveUp(ctx, outcome.FaultOf(err))
	}
	if a.MappingChanged() {
		return a.giveUp(ctx, outcome.Later(outcome.MappingChanged, nil))
	}
	a.sent = names
	_, err = a.Members.UpdateUser(ctx, a.held.Member, fields)
	if err == nil {
		return a.conclude(ctx, p, class)
	}
	switch outcome.EffectOf(err) {
	case outcome.NoEffect:
		return a.giveUp(ctx, outcome.FaultOf(err))
	case outcome.RefusedEffect:
		return a.refused(ctx, class, err)
	default:
		return outcome.FaultOf(err).AtLeast(a.held.Until.Sub(a.Now()) + time.Second)
	}
}

// refused ends an update whose content or member Yappli does not accept. The
// tombstone of a live user goes, or each reconcile would send the user again.
func (a *attempt) refused(ctx context.Context, class outcome.Class, err error) outcome.Outcome {
	a.held.Tombstone = a.held.Tombstone && class == outcome.Disabled
	if errors.Is(err, providers.ErrNotFound) {
		return a.giveUp(ctx, outcome.Dead(outcome.MemberMissing, err))
	}
	return a.giveUp(ctx, outcome.Dead(outcome.Refused, err))
}

// carryBack adds every request field that the member shows and fields does not
// set, on a tenant whose updates reset what they omit.
func (a *attempt) carryBack(ctx context.Context, fields yappli.Fields) error {
	if a.Quirks.Update != yappli.UpdateReplace {
		return nil
	}
	m, err := a.Members.User(ctx, a.held.Member)
	if err != nil {
		return err
	}
	for name, value := range m.Shown() {
		if _, set := fields[name]; !set && name != "unique_id" {
			fields[name] = yappli.Text(value)
		}
	}
	return nil
}
