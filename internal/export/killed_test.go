package export_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"hikyaku/internal/crash"
	"hikyaku/internal/pagination"
)

// TestKilledAgainAndAgain_GetsOn: a process that is killed three seconds after each
// start, long before a part is full, stores what it has from the second start on.
func TestKilledAgainAndAgain_GetsOn(t *testing.T) {
	t.Parallel()
	b := newBench(t, newList(pagination.ByOffset, 400))
	b.set.PartBytes, b.set.InFlight = 0, 1
	var passed, asked atomic.Int64
	b.now = func() time.Time { return due.Add(time.Duration(passed.Load())) }
	memory := b.store
	var kill atomic.Pointer[context.CancelFunc]
	b.list.fail = func(int) error {
		passed.Add(int64(time.Second))
		if asked.Add(1) > 3 {
			(*kill.Load())()
			return crash.ErrCrashed
		}
		return nil
	}
	for start := 1; start <= 8; start++ {
		asked.Store(0)
		life, end := context.WithCancel(t.Context())
		kill.Store(&end)
		b.store = crash.Mortal{Store: memory, Life: life}
		if _, err := b.exporter().Extract(t.Context(), b.run(due)); !errors.Is(err, crash.ErrCrashed) {
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
