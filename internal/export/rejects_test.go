package export_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/pagination"
)

// TestRejects_EndAPart exports records that are not UTF-8, of 100 KB each.
func TestRejects_EndAPart(t *testing.T) {
	t.Parallel()
	const most = 4 << 20
	l := newList(pagination.ByCursor, 140)
	l.render = func(n int) string {
		if n/1000%2 == 0 { // where no neighbor is good, the answer is to blame
			return record(n)
		}
		return fmt.Sprintf(`{"id":%q,"x":"%s`+"\xff"+`"}`, id(n), strings.Repeat("x", 100_000))
	}
	b := newBench(t, l)
	b.set.PartBytes = 0
	m := b.manifest(b.extract(due).Manifest)
	if len(m.Parts) != 3 || m.Rejects != 70 {
		t.Errorf("%d rejects in %d parts", m.Rejects, len(m.Parts))
	}
	for _, p := range m.Parts {
		if n := len(b.object(p.RejectsKey)); n > most+150_000 {
			t.Errorf("%s has %d bytes", p.RejectsKey, n)
		}
	}
	b.verify(b.key("_manifest.json"))
}

// A racingStore answers a write of rejects as S3 does to one that raced
// another, and leaves there what the other wrote.
type racingStore struct {
	objectstore.Store

	other func([]byte) []byte // nil: it failed
}

func (s racingStore) Put(ctx context.Context, o objectstore.Object) (string, error) {
	if !strings.Contains(o.Key, "/rejects/") {
		return s.Store.Put(ctx, o)
	}
	if s.other != nil {
		var raw bytes.Buffer
		if _, err := raw.ReadFrom(o.Body); err != nil {
			return "", err
		}
		body := s.other(raw.Bytes())
		o.Body, o.Size = bytes.NewReader(body), int64(len(body))
		if _, err := s.Store.Put(ctx, o); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("%s: %w", o.Key, objectstore.ErrConflict)
}

func TestRejects_ARefusedWriteProvesNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		other func([]byte) []byte
		fails bool
	}{
		"nothing there":    {nil, true},
		"the same there":   {bytes.Clone, false},
		"another there":    {func(raw []byte) []byte { return raw[1:] }, true},
		"an empty one too": {func([]byte) []byte { return nil }, true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newList(pagination.ByCursor, 5)
			l.timed = true
			l.broken = map[int]bool{2000: true}
			b := newBench(t, l)
			memory := b.store
			b.store = racingStore{memory, c.other}
			_, err := b.exporter().Extract(t.Context(), b.run(due))
			if errors.Is(err, objectstore.ErrConflict) != c.fails {
				t.Errorf("%v", err)
			}
			if c.fails {
				for info, err := range memory.List(t.Context(), "shop/exports/", "") {
					t.Errorf("%s is stored (%v), and its rejects are not", info.Key, err)
				}
				return
			}
			b.verify(b.key("_manifest.json"))
		})
	}
}
