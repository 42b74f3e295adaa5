package execute

import (
	"context"
	"errors"
	"time"

	"hikyaku/internal/lease"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/tokenrefresh/protocol"
)

// leaseTTL outlives a token call and the writes after it.
const leaseTTL = 2 * time.Minute

// A journal lies in the lease of a credential.
type journal struct {
	objects objectstore.Store
	key     string
	newID   func() string
	now     func() time.Time

	held *lease.Lease
}

// read reads it without the lease.
func (j *journal) read(ctx context.Context) (protocol.Journal, error) {
	document, err := lease.Peek(ctx, j.objects, j.key)
	if err != nil {
		return protocol.Journal{}, err
	}
	return protocol.ParseJournal(document)
}

// lease takes the lease and inherits the journal. A journal that cannot be read is left
// alone, under a lease that ends by itself: releasing it would write another.
func (j *journal) lease(ctx context.Context) protocol.Got {
	l, err := lease.Acquire(ctx, j.objects, j.key, j.newID(), leaseTTL, j.now)
	var held *lease.HeldError
	if err != nil {
		return protocol.Got{Err: err, Taken: errors.As(err, &held)}
	}
	inherited, err := protocol.ParseJournal(l.Journal)
	if err == nil {
		j.held = l
	}
	return protocol.Got{Journal: inherited, Err: err}
}

// write replaces the journal and extends the lease.
func (j *journal) write(ctx context.Context, next protocol.Journal) protocol.Got {
	err := j.held.Keep(ctx, leaseTTL, next.Document())
	return protocol.Got{Err: err, Taken: errors.Is(err, lease.ErrLost)}
}

// release ends the lease and leaves the journal to its next holder.
func (j *journal) release(ctx context.Context, last protocol.Journal) error {
	return j.held.Release(ctx, last.Document())
}
