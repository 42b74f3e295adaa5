// Package relay takes users off the queue and brings Yappli to what SuperSaaS says:
// it reads the user, plans, and creates, updates, disables or restores the member,
// under the row protocol of docs/relay-protocol.md. Nothing else writes to Yappli.
//
//	unfinished := relay.New(tenant, dead, inbox).Work(ctx, deliveries)
//
// Read attempt.go (the steps of a job), claim.go (who may create or be linked), then
// write.go.
package relay

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/internal/webhookrelay/plan"
	"hikyaku/internal/webhookrelay/queue"
	"hikyaku/internal/webhookrelay/tenant"
)

// leastTime is what must be left of an invocation for another job to start.
const leastTime = 10 * time.Second

// A Relay takes messages off the queue and brings Yappli to what SuperSaaS
// says. It is safe for concurrent use, in any number of processes.
type Relay struct {
	plan.Plan

	dead  queue.Queue
	inbox queue.Inbox
}

// New returns the relay of a tenant. dead is the dead-letter queue.
func New(t *tenant.Tenant, dead queue.Queue, inbox queue.Inbox) *Relay {
	return &Relay{Plan: plan.Of(t), dead: dead, inbox: inbox}
}

// A job is everything a batch says about one user.
type job struct {
	user       int64
	force      bool
	differs    uint32    // of all messages that force: the difference that is their reason; 0: there are others
	mapping    string    // that the newest reconcile compared by; empty: none did
	newest     time.Time // of the messages that a webhook sent; zero: there is none
	oldest     time.Time // of the same
	other      time.Time // the oldest of those that none sent
	deliveries []queue.Delivery
	messages   []queue.Message
}

// Work handles one batch and returns the ids of the deliveries that are to
// stay in the queue: those that failed, and those that no time was left for.
// Every delivery not named is durable: in Yappli, found to need nothing, or in
// the dead-letter queue.
func (r *Relay) Work(ctx context.Context, batch []queue.Delivery) (unfinished []string) {
	jobs, poison := jobsOf(batch)
	for _, d := range poison {
		if !r.bury(ctx, queue.Message{User: 0, At: r.Now().UTC(), Class: string(outcome.Malformed)}, d) {
			unfinished = append(unfinished, d.ID)
		}
	}
	for _, j := range jobs {
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < leastTime || ctx.Err() != nil {
			unfinished = append(unfinished, ids(j.deliveries)...)
			continue
		}
		unfinished = append(unfinished, r.settle(ctx, j, r.do(ctx, j))...)
	}
	return unfinished
}

// jobsOf groups a batch by user, in the order in which they first appear.
func jobsOf(batch []queue.Delivery) (jobs []*job, poison []queue.Delivery) {
	byUser := map[int64]*job{}
	for _, d := range batch {
		m, err := queue.ParseMessage(d.Body)
		if err != nil {
			poison = append(poison, d)
			continue
		}
		j := byUser[m.User]
		if j == nil {
			j = &job{user: m.User}
			byUser[m.User] = j
			jobs = append(jobs, j)
		}
		j.deliveries, j.messages = append(j.deliveries, d), append(j.messages, m)
		if m.Force && j.force && j.differs != m.Differs {
			j.differs = 0
		} else if m.Force && !j.force {
			j.differs = m.Differs
		}
		j.force = j.force || m.Force
		j.mapping = cmp.Or(m.Mapping, j.mapping)
		j.heard(m)
	}
	return jobs, poison
}

// heard notes when a message's event was.
func (j *job) heard(m queue.Message) {
	earliest := &j.other
	if m.FromWebhook() {
		earliest = &j.oldest
		j.newest = later(j.newest, m.At)
	}
	if earliest.IsZero() || m.At.Before(*earliest) {
		*earliest = m.At
	}
}

// at is when the newest event was. Each reconcile may tell of the same, so of
// its messages the oldest counts.
func (j *job) at() time.Time { return cmp.Or(j.newest, j.other) }

// cause is the event of the newest message.
func (j *job) cause() string { return j.messages[len(j.messages)-1].Event }

func ids(deliveries []queue.Delivery) []string {
	list := make([]string, len(deliveries))
	for i, d := range deliveries {
		list[i] = d.ID
	}
	return list
}

// settle does with a job's messages what its outcome says.
func (r *Relay) settle(ctx context.Context, j *job, o outcome.Outcome) (unfinished []string) {
	ended := map[string]string{"outcome": string(o.Class)}
	if o.Action == outcome.Finish && !j.oldest.IsZero() {
		r.Metrics.AddTimed("RelayOutcome", ended, "RelayLag", r.Now().Sub(j.oldest))
	} else {
		r.Metrics.Add("RelayOutcome", "Count", 1, ended)
	}
	level := slog.LevelDebug
	switch o.Action {
	case outcome.Finish:
		if slices.Contains([]outcome.Class{outcome.NoIdentity, outcome.DuplicateIdentity, outcome.AwaitingApproval, outcome.LinkRejected}, o.Class) {
			level = slog.LevelWarn // these are listed: nothing else names users that are never written
		}
	case outcome.Retry:
		level = slog.LevelWarn
		var postponeErr error
		unfinished, postponeErr = postpone(ctx, r.inbox, j.deliveries, o, j.user)
		o.Err = errors.Join(o.Err, postponeErr)
	case outcome.Bury:
		level = slog.LevelError
		for i, d := range j.deliveries {
			m := j.messages[i]
			m.Class = string(o.Class)
			if !r.bury(ctx, m, d) {
				unfinished = append(unfinished, d.ID)
			}
		}
	}
	r.Log.Log(ctx, level, "user handled", "user_id", j.user, "outcome", o.Class, "err", o.Err, "mapping", r.Mapping.ShortDigest(), "says", o.Class.Sentence())
	return unfinished
}

// Defer sends a whole batch back to the queue, because there is no tenant to
// work with. Each message comes back later than the time before, so that days
// without a credential do not use up its receipts. A message that cannot be
// postponed comes back after the queue's own visibility time-out.
func Defer(ctx context.Context, inbox queue.Inbox, batch []queue.Delivery, cause error) (unfinished []string, err error) {
	return postpone(ctx, inbox, batch, outcome.FaultOf(cause), 0)
}

func postpone(ctx context.Context, inbox queue.Inbox, deliveries []queue.Delivery, o outcome.Outcome, user int64) (unfinished []string, err error) {
	for _, d := range deliveries {
		unfinished = append(unfinished, d.ID)
		err = errors.Join(err, inbox.Postpone(context.WithoutCancel(ctx), d.Receipt, o.Pause(d.Receives, user)))
	}
	return unfinished, err
}

// bury puts a message on the dead-letter queue and reports whether it lies
// there. A body that is no message stays out of it: nobody knows what it holds.
func (r *Relay) bury(ctx context.Context, m queue.Message, d queue.Delivery) bool {
	if err := r.dead.Send(context.WithoutCancel(ctx), m.Envelope(uuid.NewString())); err != nil {
		r.Log.ErrorContext(ctx, "dead letter not stored", "user_id", m.User, "message_id", d.ID, "err", err)
		return false
	}
	r.Metrics.Add("DeadLetters", "Count", 1, map[string]string{"class": m.Class})
	if m.Class == string(outcome.Malformed) {
		r.Log.ErrorContext(ctx, "message given up: it is none of hikyaku's", "message_id", d.ID)
	}
	return true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
