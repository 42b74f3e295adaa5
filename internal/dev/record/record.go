// Package record remembers what happens in a development stack, as the console shows it:
// events, samples of each second, and the way of each message from its webhook to its
// end. It is told by what stands before the gateway and the sandboxes, by the queue, and
// by the functions' logs.
//
//	r, err := record.New(record.Options{Now: clock.Now, Keeper: keeper, Depth: depth})
//	gateway = r.Webhooks(gateway)
//	sandbox = r.Calls("yappli", sandbox)
//	go r.Run(ctx)
//
// All of it is bounded: of each kind the newest events are kept, and of the ways as many
// as a budget of bytes allows. Events outlive the process but for those of the last
// second before a kill.
package record

import (
	"context"
	"fmt"
	"sync"
	"time"

	"hikyaku/internal/console"
	"hikyaku/pkg/providers/sandbox"
)

// Options configure a Recorder.
type Options struct {
	Now    func() time.Time // the stack's clock
	Keeper sandbox.Keeper   // nil: nothing outlives the process
	// Depth says how many messages the queue and the dead-letter queue have; nil: none.
	Depth func() (queue console.Depth, dead int)
	// Called is told of each call to a provider that an invocation has made, before it has
	// the answer; nil: nobody is.
	Called func(invocation string)
}

// A Recorder is safe for concurrent use.
type Recorder struct {
	now   func() time.Time
	depth func() (console.Depth, int)
	heard func(invocation string)

	mu     sync.Mutex
	last   uint64 // number of the last event
	events *events
	ways   *ways
	calls  invocations
	over   []string // ids of those calls that are over, the oldest first
	keep   archive
	series series
	tally  console.Tally

	dirty   bool
	changed chan struct{} // closed at the next change that is told
}

// New returns a recorder that knows what the keeper does.
func New(o Options) (*Recorder, error) {
	r := &Recorder{
		now: o.Now, depth: o.Depth, heard: o.Called, events: newEvents(), ways: newWays(), calls: invocations{},
		keep: archive{keeper: o.Keeper}, changed: make(chan struct{}),
	}
	if r.depth == nil {
		r.depth = func() (console.Depth, int) { return console.Depth{}, 0 }
	}
	err := r.keep.load(func(e entry) {
		if e.Event == nil {
			r.ways.note(e.Ended, func(m *message) { m.ended = true })
			return
		}
		r.last = max(r.last, number(e.Event.ID))
		r.events.add(e.Event)
		r.ways.replay(e.Event, e.Body)
	})
	return r, err
}

// tellEvery is how often a change is told at most.
const tellEvery = 100 * time.Millisecond

// Run takes samples, tells of changes and keeps events until ctx ends. Events that cannot
// be kept are lost at the next start, which failed is told once, until some can be again.
func (r *Recorder) Run(ctx context.Context, failed func(error)) {
	failing := false
	tell, second := time.NewTicker(tellEvery), time.NewTicker(time.Second)
	defer tell.Stop()
	defer second.Stop()
	for {
		select {
		case <-tell.C:
			r.tell()
		case at := <-second.C:
			r.sample(at)
			err := r.flush()
			if err != nil && !failing {
				failed(err)
			}
			failing = err != nil
		case <-ctx.Done():
			if err := r.flush(); err != nil {
				failed(err)
			}
			return
		}
	}
}

// Changed returns a channel that is closed at the next change.
func (r *Recorder) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// Touch says that something has changed that is no event.
func (r *Recorder) Touch() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dirty = true
}

func (r *Recorder) tell() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dirty {
		close(r.changed)
		r.changed, r.dirty = make(chan struct{}), false
	}
}

func (r *Recorder) flush() error {
	r.mu.Lock()
	batch := r.keep.take()
	r.mu.Unlock()
	if err := r.keep.store(batch); err != nil {
		return fmt.Errorf("keeping what has happened: %w", err)
	}
	return nil
}

// Add records an event, and gives it its id and, if it has none, its time.
func (r *Recorder) Add(e console.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(e, nil)
}

// add records an event while the lock is held. It may be changed through what add
// returns until it is kept.
func (r *Recorder) add(e console.Event, body []byte) *console.Event {
	r.last++
	e.ID = fmt.Sprintf("%012d", r.last)
	if e.At.IsZero() {
		e.At = r.now()
	}
	kept := &e
	r.events.add(kept)
	r.ways.step(kept)
	r.keep.add(entry{Event: kept, Body: body})
	r.dirty = true
	return kept
}

// Events returns what has happened, the newest first.
func (r *Recorder) Events(f console.Filter) []console.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events.choose(f)
}

// Way tells a message's whole way, by the id of its webhook or its own.
func (r *Recorder) Way(id string) (console.Way, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.ways.find(id)
	if w == nil {
		return console.Way{}, false
	}
	return w.shown(), true
}

// Waiting are the ids of a way's messages that are in the queue.
func (r *Recorder) Waiting(id string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.ways.find(id)
	if w == nil {
		return nil
	}
	var waiting []string
	for _, m := range w.messages {
		if !m.ended {
			waiting = append(waiting, m.id)
		}
	}
	return waiting
}
