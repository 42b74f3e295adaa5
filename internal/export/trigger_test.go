package export_test

import (
	"context"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/pagination"
)

// meeting lets the triggers of a run write only when all of them have read.
type meeting struct {
	countingStore

	once sync.Once
	all  *sync.WaitGroup
}

func (m *meeting) Put(ctx context.Context, o objectstore.Object) (string, error) {
	m.once.Do(func() {
		m.all.Done()
		m.all.Wait()
	})
	return m.countingStore.Put(ctx, o)
}

// TestExtract_TriggersAtTheSameMoment: two triggers read the lease before
// either writes it. One has the run; the other costs two reads and a refused
// write.
func TestExtract_TriggersAtTheSameMoment(t *testing.T) {
	t.Parallel()
	l := newList(pagination.ByCursor, 30)
	shared, refused := newBench(t, l), make(chan struct{})
	l.edit = func(_ *list, request int) {
		if request == 0 {
			<-refused
		}
	}
	var both sync.WaitGroup
	both.Add(2)
	done := make(chan export.Status, 2)
	for range 2 {
		counted := &meeting{countingStore: countingStore{Store: shared.store}, all: &both}
		b := newBench(t, l)
		b.store = counted
		go func() {
			a, err := b.exporter().Extract(context.Background(), b.run(due))
			if err != nil {
				t.Error(err)
			}
			if a.Status == export.Busy {
				if counted.reads > 2 || counted.writes > 1 || b.opened.Load() > 0 || a.Until == nil || a.Until.IsZero() {
					t.Errorf("the one that came second: %d reads, %d writes, source opened %d times, busy until %v", counted.reads, counted.writes, b.opened.Load(), a.Until)
				}
				close(refused)
			}
			done <- a.Status
		}()
	}
	if first, second := <-done, <-done; first != export.Busy || second != export.Done {
		t.Errorf("got %s and %s, want busy and done", first, second)
	}
}

// A pausing source lets one request wait, as for a Retry-After.
type pausing struct {
	*list

	at    int64
	pause time.Duration
	count atomic.Int64
}

func (p *pausing) Page(ctx context.Context, q pagination.Query) ([]byte, error) {
	if p.count.Add(1) == p.at {
		select {
		case <-time.After(p.pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return p.list.Page(ctx, q)
}

// TestLease_IsKeptWhileAPageIsAwaited: a page takes five minutes, a lease three.
func TestLease_IsKeptWhileAPageIsAwaited(t *testing.T) {
	t.Parallel()
	for _, paging := range []pagination.Paging{pagination.ByOffset, pagination.ByFixedPage, pagination.ByCursor} {
		writes := map[time.Duration]int{}
		for _, pause := range []time.Duration{0, 5 * time.Minute} {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, newList(paging, 60))
				b.serve(&pausing{list: b.list, at: 3, pause: pause})
				rival, counting := newBench(t, b.list), &countingStore{Store: b.store}
				rival.store, b.store = b.store, counting
				var triggers sync.WaitGroup
				if pause > 0 {
					triggers.Go(func() {
						time.Sleep(4 * time.Minute)
						if a, err := rival.exporter().Extract(t.Context(), rival.run(due)); err != nil || a.Status != export.Busy {
							t.Errorf("%s: the duplicate got %s, %v; want busy", paging, a.Status, err)
						}
					})
				}
				b.extract(due)
				triggers.Wait()
				writes[pause] = counting.writes
				b.expectAll(string(paging))
			})
		}
		if more := writes[5*time.Minute] - writes[0]; more < 1 || more > 4 {
			t.Errorf("%s: %d writes more while a page was awaited, want one each half of a lease", paging, more)
		}
	}
}

// A slowStore takes a minute to hand out what is known of a part's rows.
type slowStore struct{ objectstore.Store }

func (s slowStore) Get(ctx context.Context, key string) (objectstore.Info, io.ReadCloser, error) {
	if strings.Contains(key, "/known/") {
		time.Sleep(time.Minute)
	}
	return s.Store.Get(ctx, key)
}

// TestLease_IsKeptWhileRowsAreRecalled, by a call that goes on with a run.
func TestLease_IsKeptWhileRowsAreRecalled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, newList(pagination.ByOffset, 80))
		b.stopAfter(due, 8)
		plain := b.store
		b.store = slowStore{plain}
		done := make(chan struct{})
		go func() {
			defer close(done)
			b.extract(due)
		}()
		busy := 0
		for ; ; busy++ {
			select {
			case <-done:
			case <-time.After(time.Minute - time.Second):
				if a, err := b.exporter().Extract(t.Context(), b.run(due)); err != nil || a.Status != export.Busy {
					t.Fatalf("the duplicate got %s, %v after %d minutes; want busy", a.Status, err, busy)
				}
				continue
			}
			break
		}
		if busy < 3 {
			t.Errorf("the rows were recalled within %d minutes", busy)
		}
		b.store = plain
		b.expectAll("recalled slowly")
	})
}
