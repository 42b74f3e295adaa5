// Package reconcile lists both sides, compares each user with its member, and puts on
// the queue who differs. It links what the relay made, and proposes what a person is
// to decide; it never writes to Yappli.
//
//	result, err := reconcile.New(tenant, queue).Run(ctx, false)
//
// A run has phases, in the order of the files: reader.go (users, rows, claims), members.go
// and matcher.go (whose each member is), linker.go (what that writes), sender.go (who
// is sent). It keeps a record of fixed size a user, see table.go, and may stop after
// each page to go on in another invocation.
package reconcile

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"hikyaku/internal/lease"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/pagination"
	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/internal/webhookrelay/plan"
	"hikyaku/internal/webhookrelay/queue"
	"hikyaku/internal/webhookrelay/state"
	"hikyaku/internal/webhookrelay/tenant"

	"github.com/google/uuid"
)

const (
	reconcileTTL = 3 * time.Minute  // of the lease
	reserve      = 25 * time.Second // of an invocation, to save what was learned; at most a quarter of it
	stale        = 12 * time.Hour   // a run that began longer ago starts over
	fewUsers     = 20               // of fewer, the share who cannot be read says nothing of the mapping
)

// A Reconciler makes runs. It is safe for concurrent use.
type Reconciler struct {
	tenant *tenant.Tenant
	queue  queue.Queue
	tell   func(Progress)
}

// A Progress is how far a run has come.
type Progress struct {
	Users, Members int  // listed so far
	Compared       bool // both lists are read: who differs is put on the queue
}

// New returns a reconciler of a tenant. q is the relay's.
func New(t *tenant.Tenant, q queue.Queue) *Reconciler { return &Reconciler{t, q, func(Progress) {}} }

// Telling returns a reconciler that tells how far it has come, now and then.
func (r *Reconciler) Telling(tell func(Progress)) *Reconciler {
	return &Reconciler{r.tenant, r.queue, tell}
}

// A run is one run, or what an invocation does of it.
type run struct {
	plan.Plan

	queue   queue.Queue
	tell    func(Progress)
	dry     bool
	found   []Difference           // of a dry run
	refused map[int64][]state.Pair // of which a person has decided that the member is not the user's; nil: not read yet
	lease   *lease.Lease           // nil in a dry run
	stop    time.Time              // when this invocation ends its work; zero: never
	at      cursor
	table   *table
}

func (r *Reconciler) run(dry bool) *run {
	return &run{Plan: plan.Of(r.tenant), queue: r.queue, tell: r.tell, dry: dry}
}

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
	Mapping string    `json:"mapping"` // its digest
	Phase   phase     `json:"phase"`
	Users   listing   `json:"users"`
	Members listing   `json:"members"`
	After   string    `json:"after,omitempty"`   // key reached in rows or identities
	Known   int       `json:"known,omitempty"`   // members in the last complete list
	Refolds bool      `json:"refolds,omitempty"` // claims are named by other rules than those of the run before
	Noted   int       `json:"noted,omitempty"`   // record reached in noting what no list shows
	Next    int       `json:"next,omitempty"`    // record reached in send
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
	AwaitingApproval  int `json:"awaiting_approval"`  // users whose identity a member bears that the relay did not make: pending approval
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

	Check *tenant.Check `json:"check,omitempty"` // nil: the account could not be asked
	Named []Difference  `json:"named,omitempty"` // of a dry run: who the lost, unreadable, odd, unconverging and awaiting users are
}

// A Result is the answer of one invocation.
type Result struct {
	Status string    `json:"status"`          // done, continue or busy; off where a provider is not connected
	Until  time.Time `json:"until,omitzero"`  // of busy: when to call again, at the end of the holder's lease
	Cause  string    `json:"cause,omitempty"` // of busy: what the run itself waits for; empty if another holds the lease
	Report *Report   `json:"report,omitzero"` // of done; nil if there was nothing to do
}

// A Difference is one user that a dry run would put on the queue, or of whom it
// tells something else.
type Difference struct {
	User   int64         `json:"user_id,string"`
	Reason outcome.Class `json:"reason"`           // differing, missing, gone, unresolved, restored, decided; else member_missing, unreadable, odd, unconverging, awaiting_approval
	Fields []string      `json:"fields,omitempty"` // that cannot be read, or are odd
}

// Run does as much of a run as ctx's deadline allows. It answers continue if
// some is left, busy if somebody else is at it. With onlyIfWanted it does
// nothing unless the relay asked for a reconcile, or one is under way.
func (r *Reconciler) Run(ctx context.Context, onlyIfWanted bool) (Result, error) {
	t := r.tenant
	l, err := lease.Acquire(ctx, t.Objects, t.State.Root+"reconcile-lease", uuid.NewString(), reconcileTTL, t.Now)
	if held, ok := errors.AsType[*lease.HeldError](err); ok {
		return Result{Status: "busy", Until: held.Until}, nil
	}
	if err != nil {
		return Result{}, err
	}
	run := r.run(false)
	run.lease = l
	return run.goOn(ctx, onlyIfWanted)
}

// DryRun compares and returns what a run would put on the queue. It changes
// nothing, and takes no lease.
func (r *Reconciler) DryRun(ctx context.Context) (Report, []Difference, error) {
	run := r.run(true)
	run.begin()
	err := run.phases(ctx)
	slices.SortStableFunc(run.at.Report.Named, func(a, b Difference) int { return cmp.Compare(a.User, b.User) })
	if errors.Is(err, errPause) {
		err = fmt.Errorf("dry run: %w", context.DeadlineExceeded)
	}
	return run.at.Report, run.found, err
}

// goOn takes up a run, or begins one, and keeps what is left of it.
func (r *run) goOn(ctx context.Context, onlyIfWanted bool) (Result, error) {
	resumed, err := r.resume(ctx)
	if err == nil && !resumed {
		var due bool
		if due, err = r.due(ctx, onlyIfWanted); err == nil && !due {
			return Result{Status: "done"}, r.lease.Release(ctx, nil)
		}
		r.begin()
	}
	if err != nil {
		return Result{}, errors.Join(err, r.lease.Release(context.WithoutCancel(ctx), r.lease.Journal))
	}
	err = r.phases(ctx)
	if err == nil {
		return Result{Status: "done", Report: &r.at.Report}, r.finish(ctx)
	}
	if errors.Is(err, pagination.ErrLoop) {
		return Result{}, errors.Join(err, r.lease.Release(context.WithoutCancel(ctx), nil)) // the next run starts over
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

// name keeps what a dry run is to tell of a user.
func (r *run) name(user int64, reason outcome.Class, fields []string) {
	if r.dry {
		r.at.Report.Named = append(r.at.Report.Named, Difference{user, reason, fields})
	}
}

func (r *run) begin() {
	now := r.Now().UTC()
	r.at = cursor{Version: cursorVersion, Run: uuid.NewString(), Began: now, Mapping: r.Mapping.Digest(), Phase: phaseUsers, Users: listing{Began: now}}
	r.table = &table{}
}

// due reports whether there is anything to do.
func (r *run) due(ctx context.Context, onlyIfWanted bool) (bool, error) {
	if !onlyIfWanted {
		return true, nil
	}
	since, err := r.State.Wanted.Since(ctx)
	return !since.IsZero(), err
}

// resume takes up a run that an earlier invocation left. One that is too old
// is left where it is, and one that cannot be continued begins again.
func (r *run) resume(ctx context.Context) (bool, error) {
	if len(r.lease.Journal) == 0 {
		return false, nil
	}
	if json.Unmarshal(r.lease.Journal, &r.at) != nil || r.at.Version != cursorVersion {
		return r.startOver(ctx, "another version of Hikyaku began it")
	}
	if r.Now().Sub(r.at.Began) > stale {
		return false, nil
	}
	if r.at.Mapping != r.Mapping.Digest() {
		return r.startOver(ctx, "another mapping was published")
	}
	var err error
	r.table, err = loadTable(ctx, r.Objects, r.tablePrefix(), r.at.Records)
	if errors.Is(err, objectstore.ErrNotFound) || errors.Is(err, io.ErrUnexpectedEOF) {
		return r.startOver(ctx, "its tables are gone")
	}
	return err == nil, err
}

func (r *run) startOver(ctx context.Context, cause string) (bool, error) {
	r.begin()
	r.Log.InfoContext(ctx, "reconcile starts over", "run", r.at.Run, "cause", cause)
	return true, nil
}

// tablePrefix has the version in it: a version that knows none finds no tables
// where it looks for them, and starts over.
func (r *run) tablePrefix() string {
	return fmt.Sprintf("%sreconcile/%s/v%d/%d/", r.State.Root, r.at.Run, cursorVersion, r.at.Saves)
}

// save keeps the run for the next invocation, and gives the lease back.
func (r *run) save(ctx context.Context) error {
	if !r.Now().Before(r.lease.Until) { // another may have gone on with the run, and saved its tables under the same names
		if err := r.lease.Keep(ctx, reconcileTTL, r.lease.Journal); err != nil {
			return err
		}
	}
	before := r.tablePrefix()
	r.at.Saves++
	r.at.Records = r.table.len()
	if err := r.table.save(ctx, r.Objects, r.tablePrefix()); err != nil {
		return errors.Join(err, r.lease.Release(ctx, r.lease.Journal))
	}
	journal, err := json.Marshal(r.at)
	if err != nil {
		return err
	}
	if err := r.lease.Release(ctx, journal); err != nil {
		return err
	}
	return r.clear(ctx, before)
}

// clear removes saved tables.
func (r *run) clear(ctx context.Context, prefix string) error {
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
func (r *run) pause(ctx context.Context) error {
	r.tell(Progress{Users: r.at.Users.At.Rows, Members: r.at.Members.At.Rows, Compared: r.at.Phase == phaseSend})
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

func (r *run) phases(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok {
		r.stop = deadline.Add(-min(reserve, time.Until(deadline)/4))
	}
	for _, step := range []struct {
		name phase
		next phase
		work func(context.Context) error
	}{
		{phaseUsers, phaseRows, reader{r}.listUsers},
		{phaseRows, phaseIdentities, reader{r}.readRows},
		{phaseIdentities, phaseMembers, reader{r}.listIdentities},
		{phaseMembers, phaseSend, (&members{run: r, match: matcher{r}, links: linker{r}}).listMembers},
		{phaseSend, phaseDone, sender{r}.send},
	} {
		if r.at.Phase != step.name {
			continue
		}
		if step.name == phaseMembers || step.name == phaseSend {
			if err := (reader{r}).readDecisions(ctx); err != nil {
				return err
			}
		}
		if err := step.work(ctx); err != nil {
			return err
		}
		r.at.Phase, r.at.After = step.next, ""
	}
	return nil
}

// finish ends the run: what the relay asked for before it began is answered.
func (r *run) finish(ctx context.Context) error {
	if err := r.State.Wanted.Answer(ctx, r.at.Began, r.Now()); err != nil {
		return err
	}
	if err := r.lease.Release(ctx, nil); err != nil {
		return err
	}
	r.measure(ctx)
	return r.clear(ctx, r.State.Root+"reconcile/") // also what runs that were given up left
}

func (r *run) measure(ctx context.Context) {
	c := &r.at.Report
	for kind, n := range map[string]int{"differing": c.Differing, "missing": c.Missing, "gone": c.Gone, "unresolved": c.Unresolved, string(outcome.AwaitingApproval): c.AwaitingApproval} {
		r.Metrics.Add("ReconcileDifferences", "Count", float64(n), map[string]string{"kind": kind})
	}
	r.Metrics.Add("ReconcileDrift", "Count", float64(c.Drift), nil)
	if c.Users >= fewUsers {
		r.Metrics.Add("UnreadableShare", "Percent", 100*float64(c.UnreadableUsers)/float64(c.Users), nil)
	}
	r.Metrics.Add("ReconcileSeconds", "Seconds", r.Now().Sub(r.at.Began).Seconds(), nil)
	check, err := r.Check(ctx)
	if err != nil {
		r.Log.WarnContext(ctx, "webhook and fields not checked", "run", r.at.Run, "err", err)
	} else {
		c.Check = &check
		if len(check.Unknown) > 0 {
			r.Log.WarnContext(ctx, "the mapping uses fields that the account does not have", "run", r.at.Run, "fields", check.Unknown)
		}
		if check.Webhooks >= 0 {
			r.Metrics.Add("WebhooksRegistered", "Count", float64(check.Webhooks), nil)
		}
	}
	r.Log.InfoContext(ctx, "reconciled", "run", r.at.Run, "rows", c.Users, "mapping", r.Mapping.ShortDigest(), "report", *c)
}

// membersComplete reports whether absence may be read from the list of
// members. An empty list, where members are known, is a fault of the tenant or
// of its address.
func (r *run) membersComplete() bool {
	return r.at.Members.Drift == 0 && (r.at.Members.At.Rows > 0 || r.at.Known == 0 && len(r.table.byMember) == 0)
}

// usersComplete reports whether absence may be read from the list of users.
func (r *run) usersComplete() bool {
	return r.at.Users.Drift == 0 && r.at.Report.Users > 0
}
