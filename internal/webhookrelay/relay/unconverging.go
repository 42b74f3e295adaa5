package relay

import (
	"context"
	"errors"

	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/internal/webhookrelay/plan"
	"hikyaku/internal/webhookrelay/state"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers"
)

// shownAgain returns the difference for whose sake alone the job was sent, if the
// list that shows it began a lag after the last write and neither the user nor
// the relay has changed anything since: while a restore, a disabling or an answer
// that no list shows is due, the row has another hash.
func (a *attempt) shownAgain(first tenant.Person) uint32 {
	r := a.before
	if r.State != state.Clean || r.Hash != first.Hash || !first.Live {
		return 0
	}
	if !r.Left && a.job.other.Before(r.Written().Add(a.Settings.LagTime())) {
		return 0
	}
	return a.job.differs
}

// leave ends a job whose difference was written once more after a list had shown
// it, and is there again: Yappli keeps another form of what it is sent. The member
// is read, so that what changed since the list is written.
func (a *attempt) leave(ctx context.Context, first tenant.Person) (o outcome.Outcome, ends bool) {
	m, err := a.Members.User(ctx, a.before.Member)
	switch {
	case err != nil && !errors.Is(err, providers.ErrNotFound):
		return outcome.FaultOf(err), true
	case err != nil, a.DifferenceOf(first, m) != a.differ:
		return o, false
	}
	fields := plan.Changes(m, first.Desired)
	r := a.before
	r.Left = true
	r.Began(state.Event{Cause: a.job.cause(), Request: a.RequestID(ctx), Mapping: a.Mapping.ShortDigest()})
	r.Ended(a.Now(), outcome.Unconverging, fields)
	if err := a.State.Rows.Swap(ctx, a.held, r); err != nil {
		return outcome.FaultOf(err), true
	}
	a.Log.WarnContext(ctx, "member does not keep what it is sent", "user_id", a.job.user, "fields", fields)
	return outcome.Done(outcome.Unconverging), true
}
