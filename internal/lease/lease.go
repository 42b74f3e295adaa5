// Package lease gives one holder at a time the right to work on something,
// over objectstore's compare-and-swap.
//
// A lease is a document: owner, end, and a journal that its holder writes
// before it does what cannot be undone. A new holder inherits the journal, so
// it learns what the last one may have done when it died. Holding a lease is
// no proof that nobody else works: a holder that was suspended past Until may
// wake. Whatever a lease guards must itself be a compare-and-swap from what
// was read under the lease, or end before Until.
//
// Where the store is an objectstore.Locker, the holder has the key's lock too.
// Then a holder that died is known at once: its lock can be taken, and its Until
// no longer counts. The lock only shortens the wait: a lease past its Until can
// be taken although the lock is held, by a process that hangs.
//
// Acquire never blocks. After it, check again whether the work is still to be
// done.
package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"hikyaku/internal/objectstore"
)

// ErrLost says that another holder has the lease now: what it guards must be
// left alone.
var ErrLost = errors.New("lease lost")

// pollAfter is how soon a lease is worth another try whose holder is seen to
// live: it may end at any time.
const pollAfter = time.Second

// A HeldError says who holds a lease, and when to try again: at its end, or
// sooner where the store shows at once that the holder has ended.
type HeldError struct {
	Key   string
	Owner string
	Until time.Time
}

// Error names the holder and the end.
func (e *HeldError) Error() string {
	return fmt.Sprintf("lease %s is held by %s until %s", e.Key, e.Owner, e.Until.UTC().Format(time.RFC3339))
}

// record is a lease's data in its document.
type record struct {
	Owner   string          `json:"owner"`
	Until   time.Time       `json:"until"`            // zero: released
	Locked  bool            `json:"locked,omitempty"` // by the store too: a process that can lock the key has outlived the holder
	Journal json.RawMessage `json:"journal,omitempty"`
}

// A Lease is held by its owner until Until, or until Release. It is not safe
// for concurrent use.
type Lease struct {
	Owner   string
	Until   time.Time
	Journal json.RawMessage // the last holder's, until Keep writes another

	store    objectstore.Store
	document objectstore.Document
	now      func() time.Time
	unlock   func() error // nil: without the store's lock
}

// Acquire takes the lease under key for ttl, or returns a *HeldError. owner
// must be unique to the caller, such as a UUID: the same owner acquires its
// own lease again.
func Acquire(ctx context.Context, store objectstore.Store, key, owner string, ttl time.Duration, now func() time.Time) (*Lease, error) {
	v, err := Read(ctx, store, key)
	if err != nil {
		return nil, err
	}
	return v.Acquire(ctx, owner, ttl, now)
}

// Peek reads the journal of the last holder without acquiring the lease.
func Peek(ctx context.Context, store objectstore.Store, key string) (json.RawMessage, error) {
	v, err := Read(ctx, store, key)
	return v.Journal, err
}

// A View is a lease as it was read, for callers that decide by its journal
// whether they want to have it.
type View struct {
	Journal json.RawMessage // the last holder's

	held     record
	store    objectstore.Store
	document objectstore.Document
}

// Read reads the lease under key.
func Read(ctx context.Context, store objectstore.Store, key string) (View, error) {
	document, err := objectstore.ReadDocument(ctx, store, key)
	if err != nil {
		return View{}, err
	}
	return view(store, document)
}

func view(store objectstore.Store, document objectstore.Document) (View, error) {
	v := View{store: store, document: document}
	err := document.Decode(&v.held)
	v.Journal = v.held.Journal
	return v, err
}

// Acquire is like the function, by a swap from what v has read.
func (v View) Acquire(ctx context.Context, owner string, ttl time.Duration, now func() time.Time) (*Lease, error) {
	unlock, err := tryLock(ctx, v.store, v.document.Key)
	running := v.held.Owner != owner && now().Before(v.held.Until)
	switch {
	case errors.Is(err, objectstore.ErrLocked):
		if running || v.held.Until.IsZero() { // zero: the holder is about to write, or about to unlock
			return nil, v.refusal(now().Add(pollAfter))
		}
	case err != nil:
		return nil, err
	case running && (unlock == nil || !v.held.Locked):
		return nil, errors.Join(v.refusal(v.held.Until), free(unlock))
	}
	l := &Lease{Owner: owner, store: v.store, document: v.document, now: now, unlock: unlock}
	found, err := l.write(ctx, record{Owner: owner, Until: now().Add(ttl), Journal: v.Journal})
	if err == nil {
		return l, nil
	}
	err = errors.Join(err, l.free())
	if !errors.Is(err, ErrLost) || found.Key == "" {
		return nil, err
	}
	winner, err := view(v.store, found) // the swap has read who was first
	if err != nil {
		return nil, err
	}
	if unlock != nil && winner.held.Locked {
		return nil, winner.refusal(now().Add(pollAfter))
	}
	return nil, winner.refusal(winner.held.Until)
}

// tryLock takes the store's lock of a key; nil without an error if the store
// has none.
func tryLock(ctx context.Context, store objectstore.Store, key string) (unlock func() error, err error) {
	locker, ok := store.(objectstore.Locker)
	if !ok {
		return nil, nil
	}
	unlock, err = locker.TryLock(ctx, key)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil, nil
	}
	return unlock, err
}

func free(unlock func() error) error {
	if unlock == nil {
		return nil
	}
	return unlock()
}

// free gives the store's lock back.
func (l *Lease) free() error {
	unlock := l.unlock
	l.unlock = nil
	return free(unlock)
}

func (v View) refusal(until time.Time) error {
	return &HeldError{Key: v.document.Key, Owner: v.held.Owner, Until: until}
}

// Keep extends the lease to ttl from now and replaces its journal, in one
// swap. ErrLost if another holder has it.
func (l *Lease) Keep(ctx context.Context, ttl time.Duration, journal json.RawMessage) error {
	_, err := l.write(ctx, record{Owner: l.Owner, Until: l.now().Add(ttl), Journal: journal})
	return err
}

// Release ends the lease and leaves journal to the next holder; nil leaves
// none.
func (l *Lease) Release(ctx context.Context, journal json.RawMessage) error {
	_, err := l.write(ctx, record{Owner: l.Owner, Journal: journal})
	return errors.Join(err, l.free())
}

// write returns the document that is there, if it is known.
func (l *Lease) write(ctx context.Context, r record) (objectstore.Document, error) {
	r.Locked = l.unlock != nil && !r.Until.IsZero()
	document, err := l.document.Replace(ctx, l.store, r)
	if errors.Is(err, objectstore.ErrConflict) {
		return document, errors.Join(fmt.Errorf("%w: %s: %w", ErrLost, l.document.Key, err), l.free())
	}
	if err != nil {
		return document, err
	}
	l.document, l.Until, l.Journal = document, r.Until, r.Journal
	return document, nil
}
