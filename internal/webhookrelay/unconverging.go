package webhookrelay

import (
	"context"
	"errors"

	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/yappli"
)

// shownAgain returns the difference for whose sake alone the job was sent, if the
// list that shows it began a lag after the last write and neither the user nor
// the relay has changed anything since: while a restore, a disabling or an answer
// that no list shows is due, the row has another hash.
func (a *attempt) shownAgain(first person) uint32 {
	r := a.before
	if r.State != rowClean || r.Hash != first.hash || !first.live {
		return 0
	}
	if !r.Left && a.job.other.Before(r.written().Add(a.Settings.lag())) {
		return 0
	}
	return a.job.differs
}

// leave ends a job whose difference was written once more after a list had shown
// it, and is there again: Yappli keeps another form of what it is sent. The member
// is read, so that what changed since the list is written.
func (a *attempt) leave(ctx context.Context, first person) (o outcome.Outcome, ends bool) {
	m, err := a.members.User(ctx, a.before.Member)
	switch {
	case err != nil && !errors.Is(err, providers.ErrNotFound):
		return outcome.FaultOf(err), true
	case err != nil, a.differenceOf(first, m) != a.differ:
		return o, false
	}
	fields := changes(m, first.wish)
	r := a.before
	r.Left = true
	r.began(Event{Cause: a.job.cause(), Request: a.RequestID(ctx)})
	r.ended(a.Now(), outcome.Unconverging, fields)
	if err := a.swap(ctx, a.held, r); err != nil {
		return outcome.FaultOf(err), true
	}
	a.Log.WarnContext(ctx, "member does not keep what it is sent", "user_id", a.job.user, "fields", fields)
	return outcome.Done(outcome.Unconverging), true
}

// differenceOf is the difference that a list with this member would show.
func (s *Stack) differenceOf(p person, m yappli.Member) uint32 {
	mask, wish := s.compared(p)
	return s.difference(m, mask, wish)
}
