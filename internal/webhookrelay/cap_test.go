package webhookrelay_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/webhookrelay/relay"
	"hikyaku/internal/webhookrelay/tenant"
)

// The window ends after exactly an hour, not before.
func TestCap_WindowIsAnHour(t *testing.T) {
	for name, c := range map[string]struct {
		later time.Duration
		want  string
	}{
		"an hour":          {time.Hour, "disabled"},
		"a moment earlier": {time.Hour - 1, "disabling_stopped"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.settings.Cap = 1
				first, second := r.linked("丁"), r.linked("戊")
				now := time.Now()
				config := r.config()
				config.Now = func() time.Time { return now }
				stack, err := tenant.Open(context.Background(), config)
				if err != nil {
					t.Fatal(err)
				}
				disable := func(user int64, want string) {
					t.Helper()
					r.shop.DeleteUser(user)
					r.send(user, "delete")
					batch := r.queue.receive(1)
					r.queue.settle(batch, relay.New(stack, r.dead, r.queue).Work(context.Background(), batch))
					r.wantOutcome(want)
				}
				disable(first, "disabled")
				now = now.Add(c.later)
				disable(second, c.want)
			})
		})
	}
}

// contended refuses the first so many swaps of the cap.
type contended struct {
	objectstore.Store

	refusals, tries int
}

func (c *contended) Put(ctx context.Context, o objectstore.Object) (string, error) {
	if !strings.HasSuffix(o.Key, "/cap") {
		return c.Store.Put(ctx, o)
	}
	c.tries++
	if c.tries <= c.refusals {
		return "", objectstore.ErrConflict
	}
	return c.Store.Put(ctx, o)
}

func TestCap_SwapIsTriedTwentyTimes(t *testing.T) {
	for name, c := range map[string]struct {
		refusals, tries int
		err             error
	}{
		"nobody else":     {0, 1, nil},
		"nineteen others": {19, 20, nil},
		"no end":          {100, 20, objectstore.ErrConflict},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.settings.Cap = 1
				for _, user := range []int64{r.linked("丁"), r.linked("戊")} {
					r.shop.DeleteUser(user)
					r.send(user, "delete")
				}
				r.work()
				if got := r.outcomes(); got["disabling_stopped"] != 1 {
					t.Fatalf("outcomes = %v, want one disabling_stopped", got)
				}
				store := &contended{Store: r.objects, refusals: c.refusals}
				r.objects = store
				if stopped, err := r.stack().State.Disabling.Release(context.Background()); !stopped || !errors.Is(err, c.err) || store.tries != c.tries {
					t.Errorf("Release = %v, %v after %d tries, want %v after %d", stopped, err, store.tries, c.err, c.tries)
				}
			})
		})
	}
}

// A count that stopped nothing is not reset: the next disabling still counts.
func TestCap_ReleaseOfWhatIsNotStoppedChangesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.settings.Cap = 1
		first, second := r.linked("丁"), r.linked("戊")
		disable := func(user int64, want string) {
			t.Helper()
			r.shop.DeleteUser(user)
			r.send(user, "delete")
			r.work()
			r.wantOutcome(want)
		}
		disable(first, "disabled")
		store := &contended{Store: r.objects}
		r.objects = store
		if stopped, err := r.stack().State.Disabling.Release(context.Background()); stopped || err != nil || store.tries != 0 {
			t.Errorf("Release = %v, %v after %d writes, want none", stopped, err, store.tries)
		}
		disable(second, "disabling_stopped")
	})
}
