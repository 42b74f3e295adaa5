package record_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/internal/console"
	"hikyaku/internal/dev/record"
	"hikyaku/pkg/providers/sandbox"
)

// A fullShelf takes nothing while it is full.
type fullShelf struct {
	shelf

	full bool // read and written while nothing else runs
}

func (s *fullShelf) Commit(changes ...sandbox.Change) error {
	if s.full {
		return errors.New("no space left on the device")
	}
	return s.shelf.Commit(changes...)
}

func TestRecorder_GoesOnWhereEventsCannotBeKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := &fullShelf{shelf: shelf{kept: map[string][]byte{}}, full: true}
		r, err := record.New(record.Options{Now: time.Now, Keeper: kept})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		told := 0
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.Run(ctx, func(error) { told++ })
		}()
		for range 3 {
			changed := r.Changed()
			r.Add(console.Event{Kind: console.Edited})
			<-changed // the pages still move
			time.Sleep(1100 * time.Millisecond)
		}
		synctest.Wait()
		if told != 1 {
			t.Errorf("that nothing is kept was told %d times", told)
		}
		kept.full = false
		r.Add(console.Event{Kind: console.Edited, User: "7"})
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		cancel()
		<-done
		again, err := record.New(record.Options{Now: time.Now, Keeper: &kept.shelf})
		if err != nil {
			t.Fatal(err)
		}
		if events := again.Events(console.Filter{}); len(events) == 0 || events[0].User != "7" {
			t.Errorf("after there was space again, %d events are kept", len(events))
		}
	})
}
