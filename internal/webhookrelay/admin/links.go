package admin

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"time"

	"hikyaku/internal/webhookrelay/plan"
	"hikyaku/internal/webhookrelay/queue"
	"hikyaku/internal/webhookrelay/state"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// Links are the pairs that are pending approval: whether a member that the relay did
// not make is a user's. It writes decisions, which functions only read.
type Links struct {
	plan.Plan

	queue queue.Queue
}

// NewLinks returns the pairs of a tenant to decide. q is the relay's.
func NewLinks(t *tenant.Tenant, q queue.Queue) Links {
	return Links{Plan: plan.Of(t), queue: q}
}

// Waiting returns the pairs that nobody has decided, by user.
func (l Links) Waiting(ctx context.Context) ([]state.Pair, error) {
	return each(ctx, l.State.Pairs.Users(ctx), func(ctx context.Context, user int64) (p state.Pair, waits bool, err error) {
		if p, err = l.State.Pairs.Read(ctx, user); err != nil {
			return p, false, err
		}
		held, err := l.State.Rows.Read(ctx, user)
		if err != nil || held.Member != "" {
			return p, false, err
		}
		d, err := l.State.Decisions.Read(ctx, user)
		return p, !d.Same(p) || d.Approved && d.Decided.Equal(p.Void), err
	})
}

// Before returns the users that are linked by the identity alone: by an earlier version, or
// while HIKYAKU_LINK was always. They count as approved.
func (l Links) Before(ctx context.Context) ([]state.Pair, error) {
	return each(ctx, l.State.Rows.Users(ctx, ""), func(ctx context.Context, user int64) (state.Pair, bool, error) {
		held, err := l.State.Rows.Read(ctx, user)
		return state.Pair{User: user, Member: held.Member, Identity: held.Identity, How: state.Exactly}, held.Member != "" && held.Link == "", err
	})
}

// Undone returns the pairs that a person approved before a time, and that no job has
// linked yet.
func (l Links) Undone(ctx context.Context, before time.Time) ([]state.Pair, error) {
	return each(ctx, l.State.Decisions.Users(ctx), func(ctx context.Context, user int64) (state.Pair, bool, error) {
		d, err := l.State.Decisions.Read(ctx, user)
		if err != nil || !d.Approved || !d.Decided.Before(before) {
			return d.Pair, false, err
		}
		held, err := l.State.Rows.Read(ctx, user)
		if err != nil || held.Member != "" {
			return d.Pair, false, err
		}
		p, err := l.State.Pairs.Read(ctx, user)
		return d.Pair, !d.Decided.Equal(p.Void), err
	})
}

// readers is how many documents are read at once.
const readers = 64

// each reads what there is of each user, and returns what is wanted.
func each(ctx context.Context, users iter.Seq2[int64, error], read func(context.Context, int64) (state.Pair, bool, error)) ([]state.Pair, error) {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	found := map[int64]*state.Pair{}
	var listing error
	for user, err := range users {
		if listing = err; err != nil {
			break
		}
		place := &state.Pair{}
		found[user] = place
		group.Go(func() error {
			p, wanted, err := read(groupCtx, user)
			if wanted {
				*place = p
			}
			return err
		})
	}
	if err := errors.Join(group.Wait(), listing); err != nil {
		return nil, err
	}
	var pairs []state.Pair
	for _, user := range slices.Sorted(maps.Keys(found)) {
		if found[user].User != 0 {
			pairs = append(pairs, *found[user])
		}
	}
	return pairs, nil
}

// A Comparison is a pair with both records, read live. Values are personal data.
type Comparison struct {
	state.Pair

	UniqueID string            `json:"unique_id"`
	Fields   map[string]string `json:"user"`                   // of SuperSaaS
	Desired  map[string]string `json:"wish"`                   // what the relay would write
	Bearer   map[string]string `json:"bearer"`                 // the member, of Yappli
	Records  string            `json:"token"`                  // digest of both records
	Owner    int64             `json:"owner,omitempty,string"` // the other user who is linked to the member; 0: nobody
}

// ErrNoPair says that there is nothing to link any more.
var ErrNoPair = errors.New("there is nothing to link")

// ErrLinked says that the pair's user or its member is linked already.
var ErrLinked = errors.New("no decision changes that")

// Compare reads a user's pair and both of its records. It is ErrNoPair, with the
// pair, if one of them has gone or has another identity now.
func (l Links) Compare(ctx context.Context, user int64) (c Comparison, err error) {
	if c.Pair, err = l.State.Pairs.Read(ctx, user); err != nil {
		return c, err
	}
	if c.User == 0 {
		return c, fmt.Errorf("user %d waits for no decision, see 'hikyaku links list': %w", user, ErrNoPair)
	}
	held, err := l.State.Rows.Read(ctx, user)
	if err != nil {
		return c, err
	}
	if held.Member != "" {
		return c, fmt.Errorf("user %d is linked to member %s already: %w", user, held.Member, ErrLinked)
	}
	p, err := l.Person(ctx, user)
	if err != nil {
		return c, fmt.Errorf("reading user %d: %w", user, err)
	}
	if !p.Live {
		return c, fmt.Errorf("user %d is gone: %w", user, ErrNoPair)
	}
	m, err := l.Members.User(ctx, c.Member)
	unique := l.Alias(m.UniqueID)
	still := unique.Folded == p.Unique.Folded && l.PairOf(user, m, unique.Is(p.Unique)).Same(c.Pair)
	if errors.Is(err, providers.ErrNotFound) || err == nil && !still {
		return c, fmt.Errorf("member %s is gone, or has another identity than user %d now: %w", c.Member, user, ErrNoPair)
	}
	if err != nil {
		return c, fmt.Errorf("reading member %s: %w", c.Member, err)
	}
	c.UniqueID, c.Fields, c.Bearer, c.Records = p.Unique.Text, plan.UserFields(p.User), plan.MemberFields(m), l.RecordsDigest(p.User, m)
	claim, err := l.State.Claims.Read(ctx, unique)
	if err == nil {
		c.Owner, err = l.TakenBy(ctx, user, claim, unique, m.ID)
	}
	if err != nil {
		return c, err
	}
	c.Desired = map[string]string{}
	for name, v := range p.Desired {
		c.Desired[name] = v.Plain(name)
	}
	for _, name := range plan.NeverShown {
		delete(c.Desired, name)
	}
	return c, nil
}

// Decide stores a person's decision on what Compare showed, and asks the relay
// to carry it out. What is another user's cannot be approved.
func (l Links) Decide(ctx context.Context, c Comparison, approved bool) error {
	if approved && c.Owner != 0 {
		next := "change the identity of one of them in SuperSaaS"
		if c.How == state.Folded {
			next = "merge the two in SuperSaaS if they are one person; else reject the pair, and user " + strconv.FormatInt(c.User, 10) + " gets a member of its own"
		}
		return fmt.Errorf("member %s is user %d's: %s: %w", c.Member, c.Owner, next, ErrLinked)
	}
	d := state.Decision{Pair: c.Pair, Approved: approved, Records: c.Records, Decided: l.Now().UTC()}
	if err := l.State.Decisions.Decide(ctx, d); err != nil {
		return err
	}
	m := queue.Message{User: c.User, Event: queue.Reconcile, Force: true, At: c.At}
	if err := l.queue.Send(ctx, m.Envelope(uuid.NewString())); err != nil {
		return fmt.Errorf("the decision is stored, and the next reconcile sends it, as the queue did not take it: %w", err)
	}
	return nil
}
