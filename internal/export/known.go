package export

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/pagination"
)

// putKnown stores what is known of a part's rows before the part, under a name
// that says what it holds: equal ones are stored once. A later call reads it
// instead of the part, which is some fifty times as large.
func (w *writer) putKnown(ctx context.Context) error {
	sum := sha256.Sum256(w.part.known)
	w.part.point.Known = fmt.Sprintf("%x", sum[:8])
	key := w.keys.known(w.run, w.number, w.part.point.Known)
	return putOnce(ctx, w.seams.Store, key, w.part.known, "application/octet-stream")
}

// putOnce stores what its key names by its content: equal ones are stored once, and no
// writer replaces another's. If the write is refused, the object must be there: the
// refusal alone does not prove it.
func putOnce(ctx context.Context, store objectstore.Store, key string, content []byte, mediaType string) error {
	_, err := store.Put(ctx, objectstore.Object{
		Key: key, Body: bytes.NewReader(content), Size: int64(len(content)), ContentType: mediaType,
		Condition: objectstore.Condition{Absent: true},
	})
	if err == nil {
		return nil
	}
	if info, headErr := store.Head(ctx, key); headErr != nil || info.Size != int64(len(content)) {
		return fmt.Errorf("writing %s: %w", key, err)
	}
	return nil
}

// recall makes the set of known rows from what is stored of the parts: of as
// many of the newest as it remembers.
func (w *writer) recall(ctx context.Context, points []checkpoint, remembered int) error {
	w.known = pagination.NewKnown(remembered)
	first := len(points)
	for rows := 0; first > 0 && (remembered == pagination.Everything || rows < remembered); first-- {
		rows += points[first-1].Rows
	}
	for n := first; n < len(points); n++ {
		if err := w.stayAlive(ctx); err != nil {
			return err
		}
		if err := w.recallPart(ctx, n, points[n]); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) recallPart(ctx context.Context, n int, c checkpoint) error {
	key := w.keys.known(w.run, n, c.Known)
	_, body, err := w.seams.Store.Get(ctx, key)
	if errors.Is(err, objectstore.ErrNotFound) {
		return fmt.Errorf("reading %s: there is no such object, so that the run cannot tell which rows it holds; move the run's folder and %s away to begin it again", key, w.keys.lease(w.run))
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", key, err)
	}
	defer func() { _ = body.Close() }()
	if err := w.known.Restore(bufio.NewReaderSize(body, 1<<16)); err != nil {
		return fmt.Errorf("reading %s: %w", key, err)
	}
	return nil
}
