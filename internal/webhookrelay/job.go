package webhookrelay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
)

// How often an attempt starts again because the user changed between live and
// gone under it.
const restarts = 3

// A person is a user as one read showed it.
type person struct {
	live   bool
	user   supersaas.User
	wish   yappli.Fields // what the mapping makes of a live user
	unread []string      // fields of which it makes nothing that can be read: what Yappli holds stays
	unique spelling      // the unique_id of a live user
	match  []string      // what a member must show in the link_if fields; nil: no member can
	hash   string
	since  time.Time // the user has been so, as SuperSaaS says, to the second
}

// do runs a job. The steps are numbered as in docs/relay-protocol.md.
func (r *Relay) do(ctx context.Context, j *job) outcome.Outcome {
	if held := max(r.Limiters.SuperSaaS.Held(), r.Limiters.Yappli.Held()); held > 0 {
		return outcome.Later(outcome.ProviderResting, nil).AtLeast(held)
	}
	if r.Settings.Mode == Write && r.quirks.Update == yappli.UpdateUnknown {
		return outcome.Later(outcome.UpdateRuleUnknown, errUpdateUnknown)
	}
	for range restarts {
		first, err := r.person(ctx, j.user) // 1
		if err != nil {
			return outcome.FaultOf(err)
		}
		if len(first.unread) > 0 {
			r.Metrics.Add("UnreadableFields", "Count", float64(len(first.unread)), nil)
			r.Log.WarnContext(ctx, "fields cannot be read and stay as they are", "user_id", j.user, "fields", first.unread)
		}
		held, err := r.readRow(ctx, j.user) // 2
		if err != nil {
			return outcome.FaultOf(err)
		}
		if r.Settings.Mode == Observe {
			return r.observe(ctx, j, first, held.row)
		}
		a := attempt{Relay: r, job: j, held: &held, before: held.row}
		if o, again := a.run(ctx, first); !again {
			return o
		}
	}
	return outcome.Later(outcome.Restless, nil)
}

var errUpdateUnknown = errors.New("whether an update keeps omitted fields is not known; run 'hikyaku mapping check FILE --user ID --write' or set the quirk update")

// person reads a user and says whether it is live or gone. Anything doubtful
// is an error.
func (s *Stack) person(ctx context.Context, user int64) (person, error) {
	u, err := s.users.GetUser(ctx, supersaas.ID(user), s.Mapping.UsesForm())
	switch {
	case errors.Is(err, providers.ErrNotFound):
		err = s.accountAlive(ctx)
		return person{hash: s.goneHash()}, err
	case err != nil:
		return person{}, err
	case u.Deleted:
		return person{hash: s.goneHash()}, nil
	}
	return s.livePerson(u), nil
}

func (s *Stack) livePerson(u supersaas.User) person {
	wish := s.Mapping.Wish(u)
	if slices.Contains(u.Odd(), s.Identity.By) {
		wish.Unreadable = append(wish.Unreadable, "unique_id")
	}
	return person{
		live: true, user: u, wish: wish.Fields, unread: wish.Unreadable, match: wish.LinkIf, unique: s.spellingOf(u),
		hash: s.wishHash(wish.Fields), since: later(u.CreatedOn, u.UpdatedOn),
	}
}

func (s *Stack) goneHash() string { return s.digest("gone").String() }

// errNobody: a 404 is believed only where the account still shows somebody. A
// wrong account, a wrong address and an emptied account all answer 404.
var errNobody = fmt.Errorf("%w: the account shows no user at all, so a missing one proves nothing", providers.ErrUnsent)

func (s *Stack) accountAlive(ctx context.Context) error {
	list, err := s.users.ReadUsers(ctx, supersaas.UsersQuery{Limit: 1})
	if err == nil && !slices.ContainsFunc(list.Records, func(r jsonscan.Record) bool { return r.Fault == "" }) {
		err = errNobody
	}
	return err
}

// An attempt is one pass through the protocol for one job.
type attempt struct {
	*Relay
	job    *job
	held   *heldRow
	before row      // as it was read
	differ uint32   // what a complete list shows to differ after the last write; 0: nothing that may be left
	sent   []string // names of the fields written
}

// run does steps 2 to 8. again means that the user changed between live and
// gone, or before a creation the identity, and that nothing was written.
func (a *attempt) run(ctx context.Context, first person) (o outcome.Outcome, again bool) {
	if o, ends := a.endsEarly(ctx, first); ends {
		return o, false
	}
	if a.differ = a.shownAgain(first); a.differ != 0 && a.differ == a.before.Differs {
		if o, ends := a.leave(ctx, first); ends {
			return o, false
		}
	}
	disabling := false
	if !first.live {
		var o outcome.Outcome
		var ends bool
		if disabling, o, ends = a.mustDisable(ctx); ends {
			return o, false
		}
	}
	a.held.began(Event{At: a.Now().UTC().Truncate(time.Second), Cause: a.job.cause(), Request: a.RequestID(ctx)})
	if err := a.acquire(ctx, a.held, first.unique, disabling); err != nil { // 5
		return outcome.FaultOf(err), false
	}
	ctx, cancel := context.WithTimeout(ctx, a.held.Until.Sub(a.Now())-a.Settings.hold()/9) // however long the swap took
	defer cancel()
	second, err := a.person(ctx, a.job.user) // 6
	if err != nil {
		return a.giveUp(ctx, outcome.FaultOf(err)), false
	}
	if second.live != first.live || a.held.Member == "" && second.unique != first.unique {
		return a.giveUp(ctx, outcome.Later(outcome.Restless, nil)), true
	}
	if !second.live {
		return a.disable(ctx, second, disabling), false
	}
	return a.upsert(ctx, second), false
}

// endsEarly are steps 2 to 4: what needs no write, or may not be written yet.
func (a *attempt) endsEarly(ctx context.Context, first person) (outcome.Outcome, bool) {
	r := a.before
	switch {
	case r.State == rowClean && r.Hash == first.hash && !a.job.force:
		return outcome.Done(outcome.Unchanged), true
	case r.State == rowInflight && a.Now().Before(r.Until):
		return outcome.Later(outcome.InFlight, nil).AtLeast(r.Until.Sub(a.Now())), true
	case r.unresolved():
		return a.askReconcile(ctx, outcome.Unresolved), true
	case r.Member != "":
		return outcome.Outcome{}, false
	case !first.live:
		return outcome.Done(outcome.GoneUnlinked), true
	case first.unique.text == "":
		return outcome.Done(outcome.NoIdentity), true
	}
	ready, err := a.mayCreate(ctx, first, a.job.at())
	switch {
	case err != nil:
		return outcome.FaultOf(err), true
	case !ready:
		return a.askReconcile(ctx, outcome.AwaitingList), true
	}
	return outcome.Outcome{}, false
}

// An index is the document that says that identities are complete. The zero
// index says that they are not.
type index struct {
	Began   time.Time `json:"began"`             // of the newest complete list
	Members int       `json:"members"`           // in it
	Users   time.Time `json:"users,omitzero"`    // when the list of users of the same run began
	Folding string    `json:"folding,omitempty"` // the rules by which the identities are named
}

func (s *Stack) readIndex(ctx context.Context) (i index, err error) {
	_, err = s.readInto(ctx, s.root+"index", &i)
	return i, err
}

// mayCreate reports whether absence can be read from the identities, after an
// event at a time. The user may have come to the identity later.
func (s *Stack) mayCreate(ctx context.Context, p person, at time.Time) (bool, error) {
	i, err := s.readIndex(ctx)
	if err != nil || i.Began.IsZero() || i.Folding != s.Mapping.Folding() {
		return false, err
	}
	if p.since.Before(s.Now()) {
		at = later(at, p.since.Add(time.Second))
	}
	return !s.createsAfterList() || !i.Began.Before(at.Add(s.Settings.lag())), nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// createsAfterList reports whether a creation needs a list that began a lag
// after its event.
func (s *Stack) createsAfterList() bool {
	return s.Settings.CreateAfterList && s.Identity.By != "id"
}

// wanted is the document by which the relay asks for a reconcile.
type wanted struct {
	Since time.Time `json:"since"` // zero: nobody asks
}

// askReconcile leaves a note for the next scheduled reconcile; the message
// waits. A note that cannot be left is left by the next try.
func (a *attempt) askReconcile(ctx context.Context, class outcome.Class) outcome.Outcome {
	var w wanted
	document, err := a.readInto(ctx, a.root+"wanted", &w)
	if err != nil {
		return outcome.FaultOf(err)
	}
	if w.Since.IsZero() {
		_, err = document.Replace(ctx, a.Objects, wanted{Since: a.Now().UTC()})
	}
	return outcome.Later(class, err).AtLeast(time.Minute)
}

// giveUp releases the row after an attempt that certainly wrote nothing. What
// the row said of disabled before stands again, and of the identity unless it
// was claimed. If it fails, the row only stays inflight until its end.
func (a *attempt) giveUp(ctx context.Context, o outcome.Outcome) outcome.Outcome {
	r := a.held.row
	r.ended(a.Now(), o.Class, a.sent)
	r.State, r.Owner, r.Until = rowIdle, "", time.Time{}
	r.Disabled, r.Identity, r.Spelling = a.before.Disabled, a.before.Identity, a.before.Spelling
	_ = a.swap(context.WithoutCancel(ctx), a.held, r)
	return o
}

// conclude is step 8.
func (a *attempt) conclude(ctx context.Context, p person, class outcome.Class) outcome.Outcome {
	r := a.held.row
	r.State, r.Owner, r.Until, r.Hash = rowClean, "", time.Time{}, p.hash
	r.Tombstone, r.Absent, r.Differs = !p.live, false, a.differ
	r.ended(a.Now(), class, a.sent)
	if p.live {
		r.Disabled = false
	}
	if err := a.swap(ctx, a.held, r); err != nil {
		return outcome.FaultOf(err)
	}
	return outcome.Done(class)
}
