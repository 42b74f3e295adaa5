package proveexport

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/internal/crash"
	"hikyaku/internal/export"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/pagination"
)

const (
	stopRow  = len(`{"id":"r0000001"}`) + 1
	stopPage = 100             // rows
	stopPart = 7 * stopPage    // rows, at most
	stopTime = 4 * time.Minute // until the lease of a dead holder has ended
)

// A stopped run is continued until it is done.
type stopped struct {
	rows            []string
	parts, requests int
	uncut           int // parts that no other row would fit into
}

// interrupted exports a list whose answers take 0.1 s. life is how long each
// call gets: it stops ahead of its deadline, or, where it is to die, loses its
// memory and all it has not stored.
func interrupted(t *testing.T, store *objectstore.Memory, rows int, dies bool, life func() time.Duration) (s stopped, calls int) {
	t.Helper()
	list := &slowList{rows: rows, paging: pagination.ByOffset, after: func(int) time.Duration { return 100 * time.Millisecond }}
	feed := feedOf(list, pagination.ByOffset, stopPage)
	run := runOf(t, "yappli/users", export.Trigger{Scheduled: at(1)})
	var a export.Answer
	for calls = 1; a.Status != export.Done; calls++ {
		ctx, cancel := context.WithCancel(t.Context())
		to := objectstore.Store(store)
		if d := life(); dies {
			to = crash.Mortal{Store: store, Life: ctx}
			time.AfterFunc(d, cancel)
		} else if d > 0 {
			cancel()
			ctx, cancel = context.WithTimeout(t.Context(), d)
		}
		e := exporterTo(to, feed, export.Settings{Prefix: "p", Bucket: "b", InFlight: 2, PartBytes: int64(stopPart * stopRow)})
		var err error
		a, err = e.Extract(ctx, run)
		cancel()
		if err != nil && !dies || calls > 500 {
			t.Fatal(calls, err)
		}
		if err != nil {
			time.Sleep(stopTime)
		}
	}
	r := &rig{TB: t, store: store}
	m := r.verified(a.Manifest)
	s = stopped{rows: r.rows(m), parts: len(m.Parts), requests: list.asked}
	for _, p := range m.Parts {
		if p.Rows == stopPart {
			s.uncut++
		}
	}
	return s, calls - 1
}

// TestStops ends calls at random times, with a deadline and without warning.
func TestStops(t *testing.T) {
	rows := sized(1_000_000, 50_000)
	for _, dies := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			chance := random(6)
			whole, _ := interrupted(t, &objectstore.Memory{}, rows, false, func() time.Duration { return 0 })
			some, calls := interrupted(t, &objectstore.Memory{}, rows, dies, func() time.Duration {
				return 2*time.Second + time.Duration(chance.Int64N(int64(4*time.Second)))
			})
			again := some.requests - whole.requests
			const part, ahead = stopPart/stopPage + 1, 5 // pages
			if dies {
				figure(t, slices.Equal(some.rows, whole.rows) && some.parts == whole.parts && again <= (calls-1)*(part+ahead),
					"deaths at random times", "the same parts, and at most one part's work repeated for each, with what is read ahead",
					"%d deaths, %d parts, %d of %d requests repeated", calls-1, some.parts, again, whole.requests)
				return
			}
			cut := some.parts - some.uncut
			figure(t, slices.Equal(some.rows, whole.rows) && cut <= calls && again <= (calls-1)*ahead,
				"stops before random deadlines", "the same rows, and one part cut for each", "%d stops, %d of %d parts cut, the last included, %d of %d requests repeated",
				calls-1, cut, some.parts, again, whole.requests)
		})
	}
}
