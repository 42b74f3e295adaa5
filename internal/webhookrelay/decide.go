package webhookrelay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"hikyaku/internal/webhookrelay/queue"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/yappli"
)

// Links is what people decide: whether a member whom the relay did not make is
// a user's. It writes decisions, which functions only read.
type Links struct {
	*Stack

	queue queue.Queue
}

// Links returns the pairs to decide. q is the relay's.
func (s *Stack) Links(q queue.Queue) Links { return Links{Stack: s, queue: q} }

// Waiting returns the pairs that nobody has decided, by user.
func (l Links) Waiting(ctx context.Context) ([]Pair, error) {
	return l.each(ctx, "pairs/", func(ctx context.Context, user int64) (p Pair, waits bool, err error) {
		if _, err = l.readInto(ctx, l.pairKey(user), &p); err != nil {
			return p, false, err
		}
		held, err := l.readRow(ctx, user)
		if err != nil || held.Member != "" {
			return p, false, err
		}
		var d decision
		_, err = l.readInto(ctx, l.decisionKey(user), &d)
		return p, !d.same(p) || d.Approved && d.Decided.Equal(p.Void), err
	})
}

// Before returns who is linked by the identity alone: by an earlier version, or
// while HIKYAKU_LINK was always. They count as approved.
func (l Links) Before(ctx context.Context) ([]Pair, error) {
	return l.each(ctx, "rows/", func(ctx context.Context, user int64) (Pair, bool, error) {
		held, err := l.readRow(ctx, user)
		return Pair{User: user, Member: held.Member, Identity: held.Identity, How: exactly}, held.Member != "" && held.Link == "", err
	})
}

// each reads what lies under a folder of each user, and returns what is wanted.
func (l Links) each(ctx context.Context, folder string, read func(context.Context, int64) (Pair, bool, error)) ([]Pair, error) {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(4 * atOnce)
	found := map[int64]*Pair{}
	var listing error
	for info, err := range l.Objects.List(groupCtx, l.root+folder, "") {
		if listing = err; err != nil {
			break
		}
		user, err := strconv.ParseInt(strings.TrimPrefix(info.Key, l.root+folder), 10, 64)
		if err != nil {
			continue
		}
		place := &Pair{}
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
	var pairs []Pair
	for _, user := range slices.Sorted(maps.Keys(found)) {
		if found[user].User != 0 {
			pairs = append(pairs, *found[user])
		}
	}
	return pairs, nil
}

// A Comparison is a pair with both records, read live. Values are personal data.
type Comparison struct {
	Pair

	UniqueID string            `json:"unique_id"`
	Fields   map[string]string `json:"user"`                   // of SuperSaaS
	Wish     map[string]string `json:"wish"`                   // what the relay would write
	Bearer   map[string]string `json:"bearer"`                 // the member, of Yappli
	Records  string            `json:"token"`                  // digest of both records
	Owner    int64             `json:"owner,omitempty,string"` // the other user who is linked to the member; 0: nobody
}

// ErrNoPair says that there is nothing to link any more.
var ErrNoPair = errors.New("there is nothing to link")

// ErrLinked says that the pair's user or its member is linked already.
var ErrLinked = errors.New("no decision changes that")

// Compare reads a user's pair and both of its records. It is ErrNoPair, with the
// pair, if one of them has gone or bears another identity by now.
func (l Links) Compare(ctx context.Context, user int64) (c Comparison, err error) {
	document, err := l.readInto(ctx, l.pairKey(user), &c.Pair)
	if err != nil {
		return c, err
	}
	if !document.Exists() {
		return c, fmt.Errorf("user %d waits for no decision, see 'hikyaku links list': %w", user, ErrNoPair)
	}
	held, err := l.readRow(ctx, user)
	if err != nil {
		return c, err
	}
	if held.Member != "" {
		return c, fmt.Errorf("user %d is linked to member %s already: %w", user, held.Member, ErrLinked)
	}
	p, err := l.person(ctx, user)
	if err != nil {
		return c, fmt.Errorf("reading user %d: %w", user, err)
	}
	if !p.live || p.unique.folded.String() != c.Identity {
		return c, fmt.Errorf("user %d is gone or has another identity by now: %w", user, ErrNoPair)
	}
	m, err := l.members.User(ctx, c.Member)
	if errors.Is(err, providers.ErrNotFound) || err == nil && !l.pairOf(user, m, m.UniqueID == p.unique.text).same(c.Pair) {
		return c, fmt.Errorf("member %s is gone or bears another identity than user %d by now: %w", c.Member, user, ErrNoPair)
	}
	if err != nil {
		return c, fmt.Errorf("reading member %s: %w", c.Member, err)
	}
	c.UniqueID, c.Fields, c.Bearer, c.Records = p.unique.text, userFields(p.user), memberFields(m), l.recordsDigest(p.user, m)
	if c.Owner, err = l.linkedTo(ctx, m); err != nil {
		return c, err
	}
	c.Wish = map[string]string{}
	for name, v := range p.wish {
		c.Wish[name] = v.Plain(name)
	}
	for _, name := range neverShown {
		delete(c.Wish, name)
	}
	return c, nil
}

// linkedTo returns the user who is linked to a member; 0 if none is known.
func (l Links) linkedTo(ctx context.Context, m yappli.Member) (int64, error) {
	unique := l.spell(m.UniqueID)
	_, known, err := l.readClaims(ctx, unique)
	owner := known.at(unique.mark()).Owner
	if err != nil || owner == 0 {
		return 0, err
	}
	held, err := l.readRow(ctx, owner)
	if held.Member != m.ID {
		owner = 0
	}
	return owner, err
}

// Decide stores a person's decision on what Compare showed, and asks the relay
// to carry it out. What is another user's cannot be approved.
func (l Links) Decide(ctx context.Context, c Comparison, approved bool) error {
	if approved && c.Owner != 0 {
		next := "change the identity of one of them in SuperSaaS"
		if c.How == inAnotherSpelling {
			next = "merge the two in SuperSaaS if they are one person; else reject the pair, and user " + strconv.FormatInt(c.User, 10) + " gets a member of its own"
		}
		return fmt.Errorf("member %s is user %d's: %s: %w", c.Member, c.Owner, next, ErrLinked)
	}
	var before decision
	document, err := l.readInto(ctx, l.decisionKey(c.User), &before)
	if err != nil {
		return err
	}
	d := decision{Pair: c.Pair, Approved: approved, Records: c.Records, Decided: l.Now().UTC()}
	d.Rejected = slices.DeleteFunc(before.rejected(), c.same)
	if _, err := document.Replace(ctx, l.Objects, d); err != nil {
		return err
	}
	m := queue.Message{User: c.User, Event: queue.Reconcile, Force: true, At: c.At}
	if err := l.queue.Send(ctx, m.Envelope(uuid.NewString())); err != nil {
		return fmt.Errorf("the decision is stored, and the next reconcile sends it, as the queue did not take it: %w", err)
	}
	return nil
}
