package export_test

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"

	"hikyaku/internal/export"
	"hikyaku/internal/pagination"
)

// faulty reports whether verify finds fault with the run.
func (b *bench) faulty() bool {
	b.Helper()
	v, err := export.Verify(b.Context(), b.store, b.key("_manifest.json"))
	if err != nil {
		b.Fatal(err)
	}
	return len(v.Faults) > 0
}

// TestVerify_FindsEveryFlippedByte flips each byte of a gzip part, of a plain
// one and of their rejects in turn, and adds what gzip would not mind.
func TestVerify_FindsEveryFlippedByte(t *testing.T) {
	t.Parallel()
	for _, compressed := range []bool{true, false} {
		l := newList(pagination.ByOffset, 4)
		l.timed = true
		l.broken = map[int]bool{3000: true}
		b := newBench(t, l)
		b.set.Gzip = compressed
		m := b.manifest(b.extract(due).Manifest)
		for _, key := range []string{m.Parts[0].Key, m.Parts[0].RejectsKey} {
			info, err := b.store.Head(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			whole := b.object(key)
			for i := range whole {
				for _, flip := range []byte{1 << (i % 8), 0xff} {
					raw := bytes.Clone(whole)
					raw[i] ^= flip
					if b.put(key, raw, info.Metadata); !b.faulty() {
						t.Errorf("%s: byte %d flipped by %02x is not found", key, i, flip)
					}
				}
			}
			var empty bytes.Buffer
			_ = gzip.NewWriter(&empty).Close()
			for _, more := range []string{"\x00", "\n", "{}\n", empty.String()} {
				if b.put(key, append(bytes.Clone(whole), more...), info.Metadata); !b.faulty() {
					t.Errorf("%s: %q after it is not found", key, more)
				}
			}
			if b.put(key, whole, info.Metadata); b.faulty() {
				t.Errorf("%s: untouched, and yet at fault", key)
			}
		}
	}
}

// TestVerify_FindsEveryChangedFigure changes one figure of a checkpoint or of
// the manifest at a time, for which another object answers.
func TestVerify_FindsEveryChangedFigure(t *testing.T) {
	t.Parallel()
	l := newList(pagination.ByOffset, 4)
	l.timed = true
	l.broken = map[int]bool{3000: true}
	b := newBench(t, l)
	part := b.manifest(b.extract(due).Manifest).Parts[0].Key
	info, err := b.store.Head(t.Context(), part)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ from, to string }{
		{`"rows":3`, `"rows":4`},
		{`"bytes":`, `"bytes":1`},
		{`"sha256":"`, `"sha256":"0`},
		{`"crc32c":"`, `"crc32c":"0`},
		{`"first":"r0001000"`, `"first":"r0001001"`},
		{`"last":"r0004000"`, `"last":"r0004001"`},
		{`"rejects":1`, `"rejects":2`},
		{`"rejects_key":"`, `"rejects_key":"x`},
		{`"drift":{`, `"late":1,"drift":{`},
		{`"drift":{`, `"repeats":1,"drift":{`},
		{`"shifts":0`, `"shifts":1`},
	} {
		changed := strings.Replace(info.Metadata["checkpoint"], c.from, c.to, 1)
		b.put(part, b.object(part), map[string]string{"checkpoint": changed})
		if changed == info.Metadata["checkpoint"] || !b.faulty() {
			t.Errorf("checkpoint: %s in place of %s is not found", c.to, c.from)
		}
	}
	b.put(part, b.object(part), info.Metadata)
	whole := string(b.object(b.key("_manifest.json")))
	for _, c := range []struct{ from, to string }{
		{`"run": "2026`, `"run": "2025`},
		{`"dt": "2026-11-22"`, `"dt": "2026-11-23"`},
		{`"dataset": "customers"`, `"dataset": "orders"`},
		{`"scheduled_time": "2026`, `"scheduled_time": "2025`},
		{`"scheduled_time": "2026`, `"scheduled_time": "1926`},
		{`"time_zone": "UTC"`, `"time_zone": "America/New_York"`},
		{`"time_zone": "UTC"`, `"time_zone": "Utopia"`},
		{`"backfill": false`, `"backfill": true`},
		{`"repeats": 0`, `"repeats": 1`},
		{`"repeats_at_end": 0`, `"repeats_at_end": 1`},
		{`"late": 0`, `"late": 1`},
		{`"stored_crc32c": "`, `"stored_crc32c": "0`},
		{`"rejects_key": "shop`, `"rejects_key": "soap`},
	} {
		changed := strings.Replace(whole, c.from, c.to, 1)
		b.put(b.key("_manifest.json"), []byte(changed), nil)
		if changed == whole || !b.faulty() {
			t.Errorf("manifest: %s in place of %s is not found", c.to, c.from)
		}
	}
}
