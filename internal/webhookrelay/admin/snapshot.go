package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"runtime"
	"sync"
	"time"

	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/internal/webhookrelay/tenant"
	"hikyaku/pkg/providers/supersaas"
)

// MostInSnapshot is how many users a Snapshot holds: a kilobyte each.
const MostInSnapshot = 20_000

// A Snapshot holds the shop's users as one reading showed them, so that mapping after
// mapping can be tried on them while somebody writes one. It is safe for concurrent use.
// It holds personal data: drop it once nobody looks.
type Snapshot struct {
	Taken time.Time
	Form  bool // each user's form was read too
	Whole bool // false: the shop has more users than it holds

	raw  []json.RawMessage
	byID map[int64]int
}

// TakeSnapshot reads the users who live, with their forms if a mapping needs them. told,
// if not nil, hears how many have been read.
func TakeSnapshot(ctx context.Context, t *tenant.Tenant, form bool, told func(users int)) (*Snapshot, error) {
	s := &Snapshot{Taken: t.Now(), Form: form, Whole: true, byID: map[int64]int{}}
	for u, err := range livingUsers(ctx, t, form) {
		switch {
		case err != nil:
			return nil, err
		case len(s.raw) == MostInSnapshot:
			s.Whole = false
			return s, nil
		}
		s.byID[u.ID] = len(s.raw)
		s.raw = append(s.raw, u.Raw())
		if told != nil {
			told(len(s.raw))
		}
	}
	return s, nil
}

// livingUsers yields each user who lives once: a list that moves may show somebody twice.
func livingUsers(ctx context.Context, t *tenant.Tenant, form bool) iter.Seq2[supersaas.User, error] {
	return func(yield func(supersaas.User, error) bool) {
		seen := map[int64]bool{}
		for u, err := range t.Users.Users(ctx, supersaas.UsersQuery{Form: form}) {
			if err != nil {
				yield(u, fmt.Errorf("reading the users: %w", err))
				return
			}
			if u.Deleted || seen[u.ID] {
				continue
			}
			seen[u.ID] = true
			if !yield(u, nil) {
				return
			}
		}
	}
}

// Users is how many users it holds.
func (s *Snapshot) Users() int { return len(s.raw) }

// User returns a user that it holds.
func (s *Snapshot) User(id int64) (u supersaas.User, ok bool) {
	i, ok := s.byID[id]
	if ok {
		ok = json.Unmarshal(s.raw[i], &u) == nil // it was read from this
	}
	return u, ok
}

// Each yields every user that it holds, in the order of the list.
func (s *Snapshot) Each() iter.Seq[supersaas.User] { return s.part(0, len(s.raw)) }

func (s *Snapshot) part(from, to int) iter.Seq[supersaas.User] {
	return func(yield func(supersaas.User) bool) {
		for _, raw := range s.raw[from:to] {
			var u supersaas.User
			if json.Unmarshal(raw, &u) == nil && !yield(u) {
				return
			}
		}
	}
}

// Count says of how many of its users a mapping makes something else than another; nil:
// than nothing. The processors share the work.
func (s *Snapshot) Count(ctx context.Context, now, old *mapping.Mapping) (MappingChange, error) {
	workers := max(1, min(runtime.GOMAXPROCS(0), len(s.raw)/256))
	parts := make([]MappingChange, workers)
	var group sync.WaitGroup
	for n := range workers {
		parts[n] = newMappingChange(now, old)
		group.Go(func() {
			for u := range s.part(n*len(s.raw)/workers, (n+1)*len(s.raw)/workers) {
				if ctx.Err() != nil {
					return
				}
				parts[n].count(now, old, u)
			}
		})
	}
	group.Wait()
	sum := parts[0]
	for _, p := range parts[1:] {
		sum.add(p)
	}
	sum.Partial = !s.Whole
	return sum, ctx.Err()
}
