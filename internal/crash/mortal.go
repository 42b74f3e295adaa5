package crash

import (
	"context"

	"hikyaku/internal/objectstore"
)

// A Mortal is a store whose process dies at a moment, not at a call: it takes no
// write any more once its life has ended, not even the release of a lease.
type Mortal struct {
	objectstore.Store

	Life context.Context //nolint:containedctx // it is the process's
}

// Put writes while there is life.
func (m Mortal) Put(ctx context.Context, o objectstore.Object) (string, error) {
	if m.Life.Err() != nil {
		return "", ErrCrashed
	}
	return m.Store.Put(ctx, o)
}
