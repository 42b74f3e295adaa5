package pagination

import (
	"context"
)

// whole reads a list that comes in one answer, piece after piece.
type whole struct {
	*session

	stream Stream
	passed int // rows of the stream so far
	resume int // rows that an earlier process has read, from the beginning
}

func (w *whole) next(ctx context.Context) (Page, error) {
	if w.stream == nil {
		stream, err := w.source.Stream(ctx, w.forPass(Query{}))
		if err != nil {
			return Page{}, err
		}
		w.stream, w.passed, w.resume = stream, 0, w.at.Rows
	}
	if err := ctx.Err(); err != nil {
		return Page{}, err
	}
	l, err := w.stream.Next()
	if err != nil {
		return Page{}, err
	}
	switch {
	case l.Null:
		return Page{}, errNull
	case l.Undecidable && !w.known.has(l):
		return Page{}, errCharset
	}
	if l.Total >= 0 {
		w.at.Total = l.Total + 1
	}
	// Rows that an earlier process has read are known, which is no sign.
	page := w.take(l, placement{start: w.passed, overlapIndex: min(len(l.Records), w.resume-w.passed) - 1})
	w.passed += len(l.Records)
	w.at.Rows = max(w.passed, w.resume)
	return page, nil
}

func (w *whole) close() {
	if w.stream != nil {
		_ = w.stream.Close()
	}
}
