package export_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/pagination"
)

var errKilled = errors.New("killed")

// A mortal store takes no write any more once the process is dead, not even the
// release of a lease.
type mortal struct {
	objectstore.Store

	dead *atomic.Bool
}

func (m mortal) Put(ctx context.Context, o objectstore.Object) (string, error) {
	if m.dead.Load() {
		return "", errKilled
	}
	return m.Store.Put(ctx, o)
}

// TestKilledAgainAndAgain_GetsOn: a process that is killed three seconds after each
// start, long before a part is full, stores what it has from the second start on.
func TestKilledAgainAndAgain_GetsOn(t *testing.T) {
	t.Parallel()
	b := newBench(t, newList(pagination.ByOffset, 400))
	b.set.PartBytes, b.set.InFlight = 0, 1
	var passed, asked atomic.Int64
	var dead atomic.Bool
	b.now = func() time.Time { return due.Add(time.Duration(passed.Load())) }
	memory := b.store
	b.store = mortal{memory, &dead}
	b.list.fail = func(int) error {
		passed.Add(int64(time.Second))
		if asked.Add(1) > 3 {
			dead.Store(true)
			return errKilled
		}
		return nil
	}
	for start := 1; start <= 8; start++ {
		asked.Store(0)
		dead.Store(false)
		if _, err := b.exporter().Extract(t.Context(), b.run(due)); !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		passed.Add(int64(10 * time.Minute)) // past the lease
		parts := 0
		for info, err := range memory.List(t.Context(), b.key("part-"), "") {
			if err != nil {
				t.Fatal(err, info)
			}
			parts++
		}
		if parts < start-1 {
			t.Errorf("after %d starts there are %d parts", start, parts)
		}
	}
}
