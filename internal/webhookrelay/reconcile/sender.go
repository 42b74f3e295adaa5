package reconcile

import (
	"context"

	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/internal/webhookrelay/queue"
	"hikyaku/internal/webhookrelay/state"
	"hikyaku/internal/webhookrelay/tenant"

	"github.com/google/uuid"
)

// batch is the most that a queue takes in one request.
const batch = 10

// A sender judges the records, and puts on the queue who differs.
type sender struct{ *run }

// send goes through the records and puts on the queue who differs. It counts
// each record once, however often the run is interrupted.
func (r sender) send(ctx context.Context) error {
	membersComplete, usersComplete := r.membersComplete(), r.usersComplete()
	var pending []queue.Envelope
	counted := r.at.Report
	flush := func(next int) error {
		if len(pending) > 0 {
			if err := r.queue.Send(ctx, pending...); err != nil {
				r.at.Report = counted // these records are judged again
				return err
			}
		}
		r.at.Report.Sent += len(pending)
		r.at.Next, pending, counted = next, nil, r.at.Report
		return r.pause(ctx)
	}
	for i := r.at.Next; i < r.table.len(); i++ {
		rec := r.table.at(i)
		reason, err := r.judge(ctx, rec, usersComplete, membersComplete)
		if err != nil {
			r.at.Report = counted
			return err
		}
		switch {
		case reason == "":
		case r.dry:
			r.found = append(r.found, Difference{User: rec.id, Reason: reason})
		default:
			m := queue.Message{User: rec.id, Event: queue.Reconcile, Force: true, At: r.at.Users.Began, Mapping: r.Mapping.ShortDigest()}
			if reason == outcome.Differing && membersComplete {
				m.Differs = rec.difference
			}
			pending = append(pending, m.Envelope(uuid.NewString()))
		}
		if len(pending) == batch {
			if err := flush(i + 1); err != nil {
				return err
			}
		}
	}
	return flush(r.table.len())
}

// judge says why a record's user is to be put on the queue; "" if it is not.
func (r sender) judge(ctx context.Context, rec *record, usersComplete, membersComplete bool) (outcome.Class, error) {
	c := &r.at.Report
	if rec.is(listed) && rec.is(unreadable) {
		c.UnreadableUsers++
	}
	switch {
	case rec.id == 0, rec.is(spoiled): // neither gone nor absent
	case rec.is(decided) && rec.is(listed) && !rec.is(linked|unresolved):
		return outcome.Decided, nil
	case rec.is(pending) && rec.is(listed) && !rec.is(unresolved):
		return r.judgePending(rec), nil
	case rec.is(matched|pending) && rec.is(unresolved):
		c.Unresolved++ // its member is in the list, and the list too old to be believed
	case rec.is(matched):
		c.Matched++
		if rec.is(resolved) {
			c.Linked++
		}
		// An unusable record cannot be that of this member, which is matched.
		return r.judgeMatched(rec, usersComplete && r.at.Members.Drift == r.at.Members.Unreadable), nil
	case rec.is(unresolved):
		return r.judgeUnresolved(ctx, rec, membersComplete)
	case rec.is(linked) && rec.is(listed):
		c.Lost++
		if rec.is(tombstone) {
			return outcome.Restored, nil // a list may leave out disabled members
		}
		if membersComplete {
			r.name(rec.id, outcome.MemberMissing, nil)
		}
	case rec.is(listed) && rec.is(noIdentity):
		c.NoIdentity++
	case rec.is(listed):
		return r.judgeMissing(rec, membersComplete), nil
	}
	return "", nil
}

// judgeMissing sends all who share an identity that nobody has a member of: any
// of them may hold the claim. The relay finds out.
func (r sender) judgeMissing(rec *record, membersComplete bool) outcome.Class {
	taken, second := r.rivals(rec)
	taken = taken || rec.is(duplicate)
	switch {
	case taken || second:
		r.at.Report.DuplicateIdentity++
	case membersComplete:
		r.at.Report.Missing++
	}
	if taken || !membersComplete {
		return ""
	}
	return outcome.Missing
}

// judgePending sends nobody who waits for a person, but where the log is to tell
// what the relay would do.
func (r sender) judgePending(rec *record) outcome.Class {
	if rec.is(rejected) {
		r.at.Report.LinkRejected++
		return ""
	}
	r.at.Report.AwaitingApproval++
	r.name(rec.id, outcome.AwaitingApproval, nil)
	if r.Settings.Mode == tenant.Observe && !r.dry {
		return outcome.AwaitingApproval
	}
	return ""
}

func (r sender) judgeMatched(rec *record, complete bool) outcome.Class {
	c := &r.at.Report
	switch {
	case rec.is(listed) && rec.is(differ):
		c.Differing++
		return outcome.Differing
	case !rec.is(listed) && rec.is(enabled) && complete:
		c.Gone++
		return outcome.Gone
	case rec.is(listed) && rec.is(left):
		c.Unconverging++
		r.name(rec.id, outcome.Unconverging, nil)
	}
	return ""
}

// judgeUnresolved marks a creation in doubt as absent once a complete list
// without its member allows that.
func (r sender) judgeUnresolved(ctx context.Context, rec *record, membersComplete bool) (outcome.Class, error) {
	if membersComplete && !r.dry && r.Settings.Mode == tenant.Write {
		err := linker(r).resolve(ctx, rec, state.Row{State: state.Idle, Absent: true})
		if err != nil {
			return "", err
		}
	}
	if rec.is(unresolved) { // still, or for now
		r.at.Report.Unresolved++
		return "", nil
	}
	r.at.Report.Absent++
	return outcome.Unresolved, nil
}

// rivals reports whether another user has a member of the record's identity, or
// may have one, listed or not; and whether another is listed before it. Once a person
// has decided that one who spells it otherwise is somebody else, the relay finds out.
func (r sender) rivals(rec *record) (taken, second bool) {
	for _, other := range r.table.bearers(rec.unique) {
		if other != rec {
			passed := len(r.refused[rec.id]) > 0 && other.exact != rec.exact
			taken = taken || other.is(linked|claimed|unresolved) && !passed
			second = second || other.is(listed) && other.id < rec.id
		}
	}
	return taken, second
}
