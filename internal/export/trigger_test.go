package export_test

import (
	"context"
	"sync"
	"testing"

	"hikyaku/internal/export"
	"hikyaku/internal/objectstore"
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
	l := newList(export.ByCursor, 30)
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
