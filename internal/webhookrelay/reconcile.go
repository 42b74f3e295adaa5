package webhookrelay

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/lease"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/pagination"
	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/internal/webhookrelay/queue"
)

const (
	reconcileTTL = 3 * time.Minute  // of the lease
	reserve      = 25 * time.Second // of an invocation, to save what was learned; at most a quarter of it
	stale        = 12 * time.Hour   // a run that began longer ago starts over
	fewUsers     = 20               // of fewer, the share who cannot be read says nothing of the mapping
)

// A Reconciler compares both sides and puts the users that differ on the
// queue. It never writes to Yappli.
type Reconciler struct {
	*Stack

	queue   queue.Queue
	dry     bool
	found   []Difference // of a dry run
	doubts  []spelling   // identities of a page's members who cannot be used
	lease   *lease.Lease // nil in a dry run
	stop    time.Time    // when this invocation ends its work; zero: never
	state   cursor
	table   *table
	refused map[int64][]Pair // of which a person has decided that the member is not the user's; nil: not read yet
}

// Reconciler returns a reconciler of one run or a part of one. q is the
// relay's.
func (s *Stack) Reconciler(q queue.Queue) *Reconciler { return &Reconciler{Stack: s, queue: q} }

// The steps of a run.
type phase string

const (
	phaseUsers      phase = "users"
	phaseRows       phase = "rows"
	phaseIdentities phase = "identities"
	phaseMembers    phase = "members"
	phaseSend       phase = "send"
	phaseDone       phase = "done"
)

// cursorVersion is of what a cursor and its table mean. A run that another
// version began starts over.
const cursorVersion = 6

// A cursor is where a run stands: the lease's journal between invocations.
type cursor struct {
	Version int       `json:"version"`
	Run     string    `json:"run"`
	Began   time.Time `json:"began"`
	Phase   phase     `json:"phase"`
	Users   listing   `json:"users"`
	Members listing   `json:"members"`
	After   string    `json:"after,omitempty"` // key reached in rows or identities
	Known   int       `json:"known,omitempty"` // members in the last complete list
	Next    int       `json:"next,omitempty"`  // record reached in send
	Saves   int       `json:"saves"`
	Records int       `json:"records"` // in the saved table
	Report  Report    `json:"report"`
}

// A Report counts what a run found.
type Report struct {
	Users             int `json:"users"`              // listed by SuperSaaS
	Members           int `json:"members"`            // listed by Yappli
	Matched           int `json:"matched"`            // members of a user
	Unclaimed         int `json:"unclaimed"`          // members that no user claims: left alone
	Differing         int `json:"differing"`          // users whose member shows other values
	Missing           int `json:"missing"`            // users without a member: to be created
	Gone              int `json:"gone"`               // members of users who are gone: to be read singly
	Lost              int `json:"lost"`               // users whose linked member is in no list
	NoIdentity        int `json:"no_identity"`        // users without the identity field: not written
	DuplicateIdentity int `json:"duplicate_identity"` // users whose identity another user has: not written
	AwaitingApproval  int `json:"awaiting_approval"`  // users whose identity a member bears whom the relay did not make: a person decides
	LinkRejected      int `json:"link_rejected"`      // users of whom a person decided that such a member is not theirs
	IdentityChanged   int `json:"identity_changed"`   // users whose identity changed after the link: the link stays
	UnreadableUsers   int `json:"unreadable_users"`   // users with fields that cannot be read: what Yappli holds of these stays
	OddUsers          int `json:"odd_users"`          // users with fields of an unexpected type, whether the mapping uses them or not
	Unconverging      int `json:"unconverging"`       // members who keep showing other values than were written: left as they are
	Linked            int `json:"linked"`             // rows that this run linked
	Absent            int `json:"absent"`             // creations in doubt that this run found to be absent
	Unresolved        int `json:"unresolved"`         // creations that stay in doubt
	Drift             int `json:"drift"`              // signs that the lists leave somebody out
	Unreadable        int `json:"unreadable"`         // records of the lists that cannot be used; such a sign if one may be anybody's
	Sent              int `json:"sent"`               // users put on the queue

	Check *Check       `json:"check,omitempty"` // nil: the account could not be asked
	Named []Difference `json:"named,omitempty"` // of a dry run: who the unreadable, odd, unconverging and awaiting users are
}

// A Result is the answer of one invocation.
type Result struct {
	Status string    `json:"status"`          // done, continue or busy; off where a provider is not connected
	Until  time.Time `json:"until,omitzero"`  // of busy: when to call again, at the end of the holder's lease
	Cause  string    `json:"cause,omitempty"` // of busy: what the run itself waits for; empty if another holds the lease
	Report *Report   `json:"report,omitzero"` // of done; nil if there was nothing to do
}

// A Difference is one user whom a dry run would put on the queue, or of whom it
// tells something else.
type Difference struct {
	User   int64         `json:"user_id,string"`
	Reason outcome.Class `json:"reason"`           // differing, missing, gone, unresolved, restored, decided; else unreadable, odd, unconverging, awaiting_approval
	Fields []string      `json:"fields,omitempty"` // that cannot be read, or are odd
}

// Run does as much of a run as ctx's deadline allows. It answers continue if
// some is left, busy if somebody else is at it. With onlyIfWanted it does
// nothing unless the relay asked for a reconcile, or one is under way.
func (r *Reconciler) Run(ctx context.Context, onlyIfWanted bool) (Result, error) {
	l, err := lease.Acquire(ctx, r.Objects, r.root+"reconcile-lease", uuid.NewString(), reconcileTTL, r.Now)
	var held *lease.HeldError
	if errors.As(err, &held) {
		return Result{Status: "busy", Until: held.Until}, nil
	}
	if err != nil {
		return Result{}, err
	}
	r.lease = l
	resumed, err := r.resume(ctx)
	if err == nil && !resumed {
		var due bool
		if due, err = r.due(ctx, onlyIfWanted); err == nil && !due {
			return Result{Status: "done"}, l.Release(ctx, nil)
		}
		r.begin()
	}
	if err != nil {
		return Result{}, errors.Join(err, l.Release(context.WithoutCancel(ctx), l.Journal))
	}
	err = r.phases(ctx)
	if err == nil {
		return Result{Status: "done", Report: &r.state.Report}, r.finish(ctx)
	}
	if errors.Is(err, pagination.ErrLoop) {
		return Result{}, errors.Join(err, l.Release(context.WithoutCancel(ctx), nil)) // the next run starts over
	}
	if errors.Is(err, lease.ErrLost) {
		return Result{}, err // what was saved is another invocation's now
	}
	saveErr := r.save(context.WithoutCancel(ctx))
	var later *pagination.WaitError
	switch {
	case saveErr != nil:
	case errors.Is(err, errPause):
		return Result{Status: "continue"}, nil
	case errors.As(err, &later):
		return Result{Status: "busy", Until: later.Until, Cause: later.Error()}, nil
	}
	return Result{}, errors.Join(err, saveErr)
}

// DryRun compares and returns what a run would put on the queue. It changes
// nothing, and takes no lease.
func (r *Reconciler) DryRun(ctx context.Context) (Report, []Difference, error) {
	r.dry = true
	r.begin()
	err := r.phases(ctx)
	slices.SortStableFunc(r.state.Report.Named, func(a, b Difference) int { return cmp.Compare(a.User, b.User) })
	if errors.Is(err, errPause) {
		err = fmt.Errorf("dry run: %w", context.DeadlineExceeded)
	}
	return r.state.Report, r.found, err
}

// name keeps what a dry run is to tell of a user.
func (r *Reconciler) name(user int64, reason outcome.Class, fields []string) {
	if r.dry {
		r.state.Report.Named = append(r.state.Report.Named, Difference{user, reason, fields})
	}
}

func (r *Reconciler) begin() {
	now := r.Now().UTC()
	r.state = cursor{Version: cursorVersion, Run: uuid.NewString(), Began: now, Phase: phaseUsers, Users: listing{Began: now}}
	r.table = &table{}
}

// due reports whether there is anything to do.
func (r *Reconciler) due(ctx context.Context, onlyIfWanted bool) (bool, error) {
	if !onlyIfWanted {
		return true, nil
	}
	var w wanted
	_, err := r.readInto(ctx, r.root+"wanted", &w)
	return !w.Since.IsZero(), err
}

// resume takes up a run that an earlier invocation left. One that is too old
// is left where it is, and one that cannot be continued begins again.
func (r *Reconciler) resume(ctx context.Context) (bool, error) {
	if len(r.lease.Journal) == 0 {
		return false, nil
	}
	if json.Unmarshal(r.lease.Journal, &r.state) != nil || r.state.Version != cursorVersion {
		return r.startOver(ctx, "another version of Hikyaku began it")
	}
	if r.Now().Sub(r.state.Began) > stale {
		return false, nil
	}
	var err error
	r.table, err = loadTable(ctx, r.Objects, r.tablePrefix(), r.state.Records)
	if errors.Is(err, objectstore.ErrNotFound) || errors.Is(err, io.ErrUnexpectedEOF) {
		return r.startOver(ctx, "its tables are gone")
	}
	return err == nil, err
}

func (r *Reconciler) startOver(ctx context.Context, cause string) (bool, error) {
	r.begin()
	r.Log.InfoContext(ctx, "reconcile starts over", "run", r.state.Run, "cause", cause)
	return true, nil
}

// tablePrefix has the version in it: a version that knows none finds no tables
// where it looks for them, and starts over.
func (r *Reconciler) tablePrefix() string {
	return fmt.Sprintf("%sreconcile/%s/v%d/%d/", r.root, r.state.Run, cursorVersion, r.state.Saves)
}

// save keeps the run for the next invocation, and gives the lease back.
func (r *Reconciler) save(ctx context.Context) error {
	if !r.Now().Before(r.lease.Until) { // another may have gone on with the run, and saved its tables under the same names
		if err := r.lease.Keep(ctx, reconcileTTL, r.lease.Journal); err != nil {
			return err
		}
	}
	before := r.tablePrefix()
	r.state.Saves++
	r.state.Records = r.table.len()
	if err := r.table.save(ctx, r.Objects, r.tablePrefix()); err != nil {
		return errors.Join(err, r.lease.Release(ctx, r.lease.Journal))
	}
	journal, err := json.Marshal(r.state)
	if err != nil {
		return err
	}
	if err := r.lease.Release(ctx, journal); err != nil {
		return err
	}
	return r.clear(ctx, before)
}

// clear removes saved tables.
func (r *Reconciler) clear(ctx context.Context, prefix string) error {
	for info, err := range r.Objects.List(ctx, prefix, "") {
		if err != nil {
			return err
		}
		if err := r.Objects.Delete(ctx, info.Key); err != nil {
			return err
		}
	}
	return nil
}

// errPause: the invocation's time is over.
var errPause = errors.New("out of time")

// pause is called between two pages: it keeps the lease and ends the
// invocation in time.
func (r *Reconciler) pause(ctx context.Context) error {
	if !r.stop.IsZero() && !time.Now().Before(r.stop) {
		return errPause
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.lease == nil || r.lease.Until.Sub(r.Now()) > reconcileTTL/2 {
		return nil
	}
	return r.lease.Keep(ctx, reconcileTTL, r.lease.Journal)
}

func (r *Reconciler) phases(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok {
		r.stop = deadline.Add(-min(reserve, time.Until(deadline)/4))
	}
	for _, step := range []struct {
		name phase
		next phase
		work func(context.Context) error
	}{
		{phaseUsers, phaseRows, r.listUsers},
		{phaseRows, phaseIdentities, r.readRows},
		{phaseIdentities, phaseMembers, r.listIdentities},
		{phaseMembers, phaseSend, r.listMembers},
		{phaseSend, phaseDone, r.send},
	} {
		if r.state.Phase != step.name {
			continue
		}
		if step.name == phaseMembers || step.name == phaseSend {
			if err := r.readDecisions(ctx); err != nil {
				return err
			}
		}
		if err := step.work(ctx); err != nil {
			return err
		}
		r.state.Phase, r.state.After = step.next, ""
	}
	return nil
}

// finish ends the run: what the relay asked for before it began is answered.
func (r *Reconciler) finish(ctx context.Context) error {
	var w wanted
	document, err := r.readInto(ctx, r.root+"wanted", &w)
	if err != nil {
		return err
	}
	if !w.Since.IsZero() && w.Since.Before(r.state.Began) {
		if _, err := document.Replace(ctx, r.Objects, wanted{}); err != nil && !errors.Is(err, objectstore.ErrConflict) {
			return err
		}
	}
	if err := r.lease.Release(ctx, nil); err != nil {
		return err
	}
	r.measure(ctx)
	return r.clear(ctx, r.root+"reconcile/") // also what runs that were given up left
}

func (r *Reconciler) measure(ctx context.Context) {
	c := &r.state.Report
	for kind, n := range map[string]int{"differing": c.Differing, "missing": c.Missing, "gone": c.Gone, "unresolved": c.Unresolved, string(outcome.AwaitingApproval): c.AwaitingApproval} {
		r.Metrics.Add("ReconcileDifferences", "Count", float64(n), map[string]string{"kind": kind})
	}
	r.Metrics.Add("ReconcileDrift", "Count", float64(c.Drift), nil)
	if c.Users >= fewUsers {
		r.Metrics.Add("UnreadableShare", "Percent", 100*float64(c.UnreadableUsers)/float64(c.Users), nil)
	}
	r.Metrics.Add("ReconcileSeconds", "Seconds", r.Now().Sub(r.state.Began).Seconds(), nil)
	check, err := r.Check(ctx)
	if err != nil {
		r.Log.WarnContext(ctx, "webhook and fields not checked", "run", r.state.Run, "err", err)
	} else {
		c.Check = &check
		if len(check.Unknown) > 0 {
			r.Log.WarnContext(ctx, "the mapping uses fields that the account does not have", "run", r.state.Run, "fields", check.Unknown)
		}
		if check.Webhooks >= 0 {
			r.Metrics.Add("WebhooksRegistered", "Count", float64(check.Webhooks), nil)
		}
	}
	r.Log.InfoContext(ctx, "reconciled", "run", r.state.Run, "rows", c.Users, "report", *c)
}
