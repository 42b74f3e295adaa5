package objectstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"
)

// maxDocument caps what ReadDocument reads.
const maxDocument = 1 << 20

// A Document is a small JSON value under one key that is changed by
// compare-and-swap: a lease, a row, a pointer, a counter. It is what was read;
// Replace makes the next one.
type Document struct {
	Key     string
	Data    json.RawMessage // nil if the key held nothing
	Counter int64           // of replacements, from 1
	ETag    string

	nonce string
}

// envelope is a document's form in the store. The nonce tells the writer's own
// bytes from anybody else's, and the counter orders them.
type envelope struct {
	Nonce   string          `json:"nonce"`
	Counter int64           `json:"counter"`
	Data    json.RawMessage `json:"data"`
}

// Exists reports whether the key held a document when it was read.
func (d Document) Exists() bool { return d.ETag != "" }

// ReadDocument reads the document under key. One that does not exist is no
// error: replace it to create it.
func ReadDocument(ctx context.Context, s Store, key string) (Document, error) {
	info, body, err := s.Get(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return Document{Key: key}, nil
	}
	if err != nil {
		return Document{}, fmt.Errorf("reading %s: %w", key, err)
	}
	defer func() { _ = body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(body, maxDocument))
	if err != nil {
		return Document{}, fmt.Errorf("reading %s: %w", key, err)
	}
	var e envelope
	if err := json.Unmarshal(raw, &e); err != nil || e.Nonce == "" {
		return Document{}, fmt.Errorf("reading %s: not a document of hikyaku's; move the object away", key)
	}
	return Document{Key: key, Data: e.Data, Counter: e.Counter, ETag: info.ETag, nonce: e.Nonce}, nil
}

// Replace writes data in place of d and returns the new document. It is
// ErrConflict if the key no longer holds d, and the document is then the one
// that was found there, or if the store refused the write although nobody has
// written, and the document is then the zero one. After a doubtful answer it
// reads again: finding its own nonce, it succeeded.
func (d Document) Replace(ctx context.Context, s Store, data any) (Document, error) {
	raw, err := json.Marshal(data)
	if err != nil {
		return Document{}, fmt.Errorf("writing %s: %w", d.Key, err)
	}
	next := Document{Key: d.Key, Data: raw, Counter: d.Counter + 1, nonce: uuid.NewString()}
	body, err := json.Marshal(envelope{Nonce: next.nonce, Counter: next.Counter, Data: raw})
	if err != nil {
		return Document{}, fmt.Errorf("writing %s: %w", d.Key, err)
	}
	next.ETag, err = s.Put(ctx, Object{
		Key: d.Key, Body: bytes.NewReader(body), Size: int64(len(body)), ContentType: "application/json",
		Condition: Condition{Absent: !d.Exists(), ETag: d.ETag},
	})
	if err == nil {
		return next, nil
	}
	if errors.Is(err, ErrDenied) {
		return Document{}, fmt.Errorf("writing %s: %w", d.Key, err)
	}
	found, readErr := ReadDocument(ctx, s, d.Key)
	switch {
	case readErr != nil:
		return Document{}, fmt.Errorf("writing %s: outcome unknown: %w", d.Key, errors.Join(err, readErr))
	case found.nonce == next.nonce:
		return found, nil
	case found.ETag != d.ETag:
		return found, fmt.Errorf("writing %s: %w", d.Key, ErrConflict)
	}
	return Document{}, fmt.Errorf("writing %s: %w", d.Key, err)
}

// updateAttempts is how often Update may find that somebody else has written.
const updateAttempts = 20

// Update changes the document under key to what next makes of its data, or leaves
// it alone if next returns false. Where somebody else writes meanwhile, next is
// asked again with what is there then, at most twenty times: after that it is
// ErrConflict. next may meet data that it has changed already, by a write whose
// answer was lost.
//
// It is for documents of which any reader may write the newest state, such as the
// newest run or a time up to which all is done. Where a lost race means something,
// as of a lease, a row, a claim or a decision, Replace once what was read.
func Update[T any](ctx context.Context, s Store, key string, next func(*T) bool) error {
	for attempt := 1; ; attempt++ {
		document, err := ReadDocument(ctx, s, key)
		if err != nil {
			return err
		}
		var data T
		if err := document.Decode(&data); err != nil {
			return err
		}
		if !next(&data) {
			return nil
		}
		_, err = document.Replace(ctx, s, data)
		if !errors.Is(err, ErrConflict) || attempt == updateAttempts {
			return err
		}
	}
}

// Decode reads the document's data into v; a document that does not exist
// leaves v as it is.
func (d Document) Decode(v any) error {
	if !d.Exists() {
		return nil
	}
	if err := json.Unmarshal(d.Data, v); err != nil {
		return fmt.Errorf("reading %s: the document's data has another shape", d.Key)
	}
	return nil
}
