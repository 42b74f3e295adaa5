// Package exportfn composes the export function: its settings, its wiring,
// and the handler that turns events into core calls.
package exportfn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/export"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/secretstore"
)

// minHashKey is the shortest key in bytes that hashes a field.
const minHashKey = 32

// A Function handles the events of export. It is safe for concurrent use.
type Function struct {
	base     *lambdafn.Base
	core     *export.Exporter
	datasets []export.Dataset
	tokens   map[string]*secretstore.Tokens

	keyRead sync.Mutex
	key     []byte // of hashed fields
	keyAt   time.Time
}

// New checks the settings and wires the function, without network.
func New(_ context.Context, e lambdafn.Environ) (*Function, error) {
	s, err := lambdafn.Load[Settings](e)
	if err != nil {
		return nil, err
	}
	return compose(lambdafn.Open(e, s.Common), s)
}

// compose wires the function over a base.
func compose(base *lambdafn.Base, s Settings) (*Function, error) {
	zone, err := export.LoadZone(s.TimeZone)
	if err != nil {
		return nil, err
	}
	fields, _ := s.fields() // checked by Load
	feeds := newFeeds(base, s, zone)
	f := &Function{base: base, datasets: s.datasets(), tokens: feeds.tokens}
	f.core = export.New(export.Settings{
		Prefix: s.Prefix, Bucket: s.Bucket, Zone: zone, Gzip: s.Compression == useGzip, PartBytes: s.PartMiB << 20,
		InFlight: s.InFlight, MaxRecord: s.RecordMiB << 20, MaxBody: s.BodyMiB << 20,
		LookBack: s.LookBack, StopAhead: s.StopAhead, MaxShrink: s.MaxShrink, MaxRejects: s.MaxRejects, Fields: fields,
	}, export.Seams{
		Store: base.Objects, Open: feeds.open, HashKey: f.hashKey, Now: base.Now, NewID: uuid.NewString,
	})
	return f, nil
}

// hashKey reads the key of hashed fields: {"key": "..."} in the secret
// {prefix}/export/hmac. It must never change, or equal values no longer have
// equal hashes. A warm process reads it once in five minutes.
func (f *Function) hashKey(ctx context.Context) ([]byte, error) {
	f.keyRead.Lock()
	defer f.keyRead.Unlock()
	if f.key != nil && f.base.Now().Sub(f.keyAt) < 5*time.Minute {
		return f.key, nil
	}
	name := secretstore.Name(f.base.Common.Prefix, "export", "hmac")
	value, err := f.base.Secrets.Get(ctx, name, secretstore.Current)
	if err != nil {
		return nil, fmt.Errorf("reading the hashing key in %s: %w", name, err)
	}
	key, err := ParseHashKey(value.Data)
	if err != nil {
		return nil, fmt.Errorf("reading the hashing key in %s: %w", name, err)
	}
	f.key, f.keyAt = key, f.base.Now()
	return f.key, nil
}

// ParseHashKey returns the key of hashed fields that a secret's document holds.
func ParseHashKey(document []byte) ([]byte, error) {
	var secret struct {
		Key string `json:"key"`
	}
	if json.Unmarshal(document, &secret) != nil || len(secret.Key) < minHashKey {
		return nil, fmt.Errorf(`{"key": "..."} with at least %d bytes is expected`, minHashKey)
	}
	return []byte(secret.Key), nil
}

// dataset finds an enabled dataset by name.
func (f *Function) dataset(name string) (export.Dataset, error) {
	known, err := export.FindDataset(name)
	if err != nil {
		return known, err
	}
	for _, d := range f.datasets {
		if d.String() == name {
			return d, nil
		}
	}
	return known, errors.New("dataset " + name + " is not among HIKYAKU_EXPORT_DATASETS")
}
