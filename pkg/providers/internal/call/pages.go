package call

import (
	"context"
	"fmt"
	"iter"

	"hikyaku/pkg/providers"
)

// A Position is where the next page starts, in the terms of every kind of
// paging.
type Position struct {
	Index  int    // pages read so far
	Offset int    // items read so far
	LastID string // id of the last item read, empty at the start
}

// Pages yields the items of page after page. It ends at an empty page only:
// a short page may come from a limit that the server lowered silently. A page
// that begins as the one before it did is an error, because a server that
// ignores its paging parameters would otherwise be read for ever. The first
// error is yielded once and ends the sequence.
func Pages[T any](ctx context.Context, fetch func(context.Context, Position) ([]T, error), id func(T) string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var at Position
		first := ""
		for {
			items, err := fetch(ctx, at)
			if err == nil && len(items) > 0 && at.Index > 0 && id(items[0]) == first {
				err = fmt.Errorf("%w: page %d begins as the page before it; the server ignores the paging parameters", providers.ErrInvalid, at.Index+1)
			}
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			if len(items) == 0 {
				return
			}
			first = id(items[0])
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			at = Position{Index: at.Index + 1, Offset: at.Offset + len(items), LastID: id(items[len(items)-1])}
		}
	}
}
