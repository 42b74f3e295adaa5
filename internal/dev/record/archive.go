package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"

	"hikyaku/internal/console"
	"hikyaku/pkg/providers/sandbox"
)

const (
	section  = "dev/events"
	mostKept = 10_000 // events in the keeper
	mostNew  = 2_000  // of one batch: of a flood only the end is kept

	mostKeptBody = 16 << 10 // of a webhook
	mostBodies   = 4 << 20  // of one batch; what comes after that is kept without its body
)

// An archive keeps the events that have come since the last batch.
type archive struct {
	keeper sandbox.Keeper
	fresh  []entry // in the recorder's lock, as last
	last   uint64  // number of the last batch
	bodies int     // bytes of those of fresh

	mu      sync.Mutex // held while a batch is stored
	batches []batch    // that the keeper has, the oldest first
	total   int
}

// An entry is an event as it is kept.
type entry struct {
	Event *console.Event  `json:"event,omitempty"`
	Body  json.RawMessage `json:"body,omitempty"`  // of a webhook
	Ended string          `json:"ended,omitempty"` // id of a message that has left the queue
}

// taken are entries on their way to the keeper.
type taken struct {
	batch

	document []byte
}

type batch struct {
	key string
	n   int
}

func (a *archive) add(e entry) {
	if a.keeper == nil {
		return
	}
	if len(e.Body) > mostKeptBody || a.bodies+len(e.Body) > mostBodies || !json.Valid(e.Body) {
		e.Body = nil
	}
	a.bodies += len(e.Body)
	if len(a.fresh) >= 2*mostNew {
		a.fresh = append(a.fresh[:0], a.fresh[len(a.fresh)-mostNew:]...)
	}
	a.fresh = append(a.fresh, e)
}

// take returns what is new as one document, while the recorder's lock is held, for
// events still change.
func (a *archive) take() (t taken) {
	if len(a.fresh) > mostNew {
		a.fresh = a.fresh[len(a.fresh)-mostNew:]
	}
	if len(a.fresh) == 0 {
		return t
	}
	var document bytes.Buffer
	encoder := json.NewEncoder(&document)
	for _, e := range a.fresh {
		_ = encoder.Encode(e) // of texts and numbers alone
	}
	a.last++
	t = taken{batch{fmt.Sprintf("%012d", a.last), len(a.fresh)}, document.Bytes()}
	clear(a.fresh)
	a.fresh, a.bodies = a.fresh[:0], 0
	return t
}

// store commits a batch, and deletes the oldest ones.
func (a *archive) store(t taken) error {
	if t.n == 0 {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	changes := []sandbox.Change{{Section: section, Key: t.key, Value: t.document}}
	a.batches, a.total = append(a.batches, t.batch), a.total+t.n
	for a.total-a.batches[0].n >= mostKept {
		changes = append(changes, sandbox.Change{Section: section, Key: a.batches[0].key})
		a.total -= a.batches[0].n
		a.batches = a.batches[1:]
	}
	return a.keeper.Commit(changes...)
}

// load calls f with everything that is kept, the oldest first.
func (a *archive) load(f func(entry)) error {
	if a.keeper == nil {
		return nil
	}
	err := a.keeper.Load(section, func(key string, value []byte) error {
		n := 0
		for decoder := json.NewDecoder(bytes.NewReader(value)); decoder.More(); n++ {
			var e entry
			if err := decoder.Decode(&e); err != nil {
				return fmt.Errorf("what is kept under %s is none of hikyaku's events", key)
			}
			f(e)
		}
		a.batches, a.total, a.last = append(a.batches, batch{key, n}), a.total+n, number(key)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading what has happened: %w", err)
	}
	return nil
}
