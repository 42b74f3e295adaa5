package export_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"hikyaku/internal/export"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/pagination"
)

// TestVerify_FindsEveryTampering changes one thing of a published run at a
// time.
func TestVerify_FindsEveryTampering(t *testing.T) {
	t.Parallel()
	rewrite := func(b *bench, key string, change func([]byte) []byte, meta func(map[string]string)) {
		b.Helper()
		info, err := b.store.Head(b.Context(), key)
		if err != nil {
			b.Fatal(err)
		}
		raw := change(b.object(key))
		if meta != nil {
			meta(info.Metadata)
		}
		b.put(key, raw, info.Metadata)
	}
	keep := func(raw []byte) []byte { return raw }
	manifest := func(change func(m *export.Manifest)) func(*bench) {
		return func(b *bench) {
			rewrite(b, b.key("_manifest.json"), func(raw []byte) []byte {
				var m export.Manifest
				if err := json.Unmarshal(raw, &m); err != nil {
					b.Fatal(err)
				}
				change(&m)
				raw, _ = json.Marshal(m)
				return raw
			}, nil)
		}
	}
	part := func(change func([]byte) []byte) func(*bench) {
		return func(b *bench) { rewrite(b, b.key("part-00001.jsonl"), change, nil) }
	}
	for name, c := range map[string]struct {
		tamper func(*bench)
		want   string
	}{
		"nothing":             {func(*bench) {}, ""},
		"one byte":            {part(func(raw []byte) []byte { raw = bytes.Clone(raw); raw[20] ^= 1; return raw }), "part-00001.jsonl: sha256 is stated as"},
		"a missing row":       {part(func(raw []byte) []byte { return raw[bytes.IndexByte(raw, '\n')+1:] }), "part-00001.jsonl: rows is stated as"},
		"a doubled row":       {part(func(raw []byte) []byte { return append(bytes.Clone(raw), raw[:bytes.IndexByte(raw, '\n')+1]...) }), "part-00001.jsonl: rows is stated as"},
		"a torn line":         {part(func(raw []byte) []byte { return raw[:len(raw)-1] }), "is not one JSON object with a newline"},
		"a line that is none": {part(func(raw []byte) []byte { return append(bytes.Clone(raw), "[1]\n"...) }), "is not one JSON object with a newline"},
		"a broken line":       {part(func(raw []byte) []byte { return append(bytes.Clone(raw), "{\"a\":}\n"...) }), "is not one JSON object with a newline"},
		"an empty line":       {part(func(raw []byte) []byte { return append(bytes.Clone(raw), '\n') }), "is not one JSON object with a newline"},
		"a missing part":      {func(b *bench) { b.remove(b.key("part-00001.jsonl")) }, "part-00001.jsonl: there is no such object"},
		"an extra part":       {func(b *bench) { b.put(b.key("part-00099.jsonl"), []byte("{}\n"), nil) }, "part-00099.jsonl: the manifest does not name this object"},
		"lost metadata": {func(b *bench) {
			rewrite(b, b.key("part-00000.jsonl"), keep, func(m map[string]string) { clear(m) })
		}, "part-00000.jsonl: no checkpoint"},
		"missing rejects":     {func(b *bench) { b.remove(b.manifest(b.key("_manifest.json")).Parts[0].RejectsKey) }, "its rejects are not at"},
		"fewer rejects":       {func(b *bench) { b.put(b.manifest(b.key("_manifest.json")).Parts[0].RejectsKey, nil, nil) }, "rejects is stated as 1 and is 0"},
		"rows in total":       {manifest(func(m *export.Manifest) { m.Rows++ }), "manifest: rows is stated as"},
		"bytes in total":      {manifest(func(m *export.Manifest) { m.Bytes-- }), "manifest: bytes is stated as"},
		"stored in total":     {manifest(func(m *export.Manifest) { m.StoredBytes++ }), "manifest: stored_bytes is stated as"},
		"rejects in total":    {manifest(func(m *export.Manifest) { m.Rejects = 0 }), "manifest: rejects is stated as 0 and is 1"},
		"a part's bytes":      {manifest(func(m *export.Manifest) { m.Parts[0].Bytes++ }), "part-00000.jsonl: bytes is stated as"},
		"a part's size":       {manifest(func(m *export.Manifest) { m.Parts[0].StoredBytes++ }), "part-00000.jsonl: stored_bytes is stated as"},
		"a first id":          {manifest(func(m *export.Manifest) { m.Parts[1].FirstID = "r0000000" }), "part-00001.jsonl: first_id is stated as r0000000"},
		"a last id":           {manifest(func(m *export.Manifest) { m.Parts[1].LastID = "r0000000" }), "part-00001.jsonl: last_id is stated as r0000000"},
		"a part's rejects":    {manifest(func(m *export.Manifest) { m.Parts[0].Rejects = 2 }), "part-00000.jsonl: rejects is stated as 2 and is 1"},
		"a part's place":      {manifest(func(m *export.Manifest) { m.Parts[0], m.Parts[1] = m.Parts[1], m.Parts[0] }), "part 0 is"},
		"a part left unnamed": {manifest(func(m *export.Manifest) { m.Parts = m.Parts[:2] }), "the manifest does not name this object"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newList(pagination.ByOffset, 40)
			l.timed = true
			l.broken = map[int]bool{3000: true}
			b := newBench(t, l)
			b.set.Gzip = false
			b.extract(due)
			c.tamper(b)
			v, err := export.Verify(t.Context(), b.store, b.key("_manifest.json"))
			if err != nil {
				t.Errorf("%v", err)
				return
			}
			faults := strings.Join(v.Faults, "\n")
			if c.want == "" && faults != "" || !strings.Contains(faults, c.want) {
				t.Errorf("faults %q, want %q", faults, c.want)
			}
			if c.want == "" && (v.Parts < 3 || v.Rows != 39 || v.Bytes != v.Manifest.Bytes) {
				t.Errorf("verdict %+v", v)
			}
		})
	}
}

func TestVerify_BrokenGzipAndBrokenManifest(t *testing.T) {
	t.Parallel()
	b := newBench(t, newList(pagination.ByOffset, 40))
	b.extract(due)
	key := b.key("part-00001.jsonl.gz")
	info, err := b.store.Head(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw := b.object(key)
	b.put(key, raw[:len(raw)-4], info.Metadata)
	v, err := export.Verify(t.Context(), b.store, b.key("_manifest.json"))
	if err != nil || !strings.Contains(strings.Join(v.Faults, "\n"), "part-00001.jsonl.gz: cannot be read to its end") {
		t.Errorf("faults %v, %v", v.Faults, err)
	}
	for _, broken := range []string{"", "[]", `{"format":"hikyaku-export/2"}`} {
		b.put("m", []byte(broken), nil)
		if _, err := export.Verify(t.Context(), b.store, "m"); err == nil || !strings.Contains(err.Error(), "not a manifest of format hikyaku-export/1") {
			t.Errorf("manifest %q: %v", broken, err)
		}
	}
	if _, err := export.Verify(t.Context(), b.store, "none"); err == nil {
		t.Error("no manifest: want an error")
	}
}

func TestParts_AreTheSameBytesEveryTime(t *testing.T) {
	t.Parallel()
	one, two := newBench(t, newList(pagination.ByCursor, 50)), newBench(t, newList(pagination.ByCursor, 50))
	two.set.InFlight, two.feed.PageSize = 1, 7
	m := one.manifest(one.extract(due).Manifest)
	two.extract(due)
	for _, p := range m.Parts {
		if !bytes.Equal(one.object(p.Key), two.object(p.Key)) {
			t.Errorf("%s differs with another page size", p.Key)
		}
		z, err := gzip.NewReader(bytes.NewReader(one.object(p.Key)))
		if err != nil || !z.ModTime.IsZero() || z.Name != "" {
			t.Errorf("%s: gzip header %+v, %v", p.Key, z.Header, err)
		}
		if p.Bytes > one.set.PartBytes || p.Rows < 1 {
			t.Errorf("%s has %d bytes in %d rows", p.Key, p.Bytes, p.Rows)
		}
	}
}

func (b *bench) put(key string, raw []byte, metadata map[string]string) {
	b.Helper()
	object := objectstore.Object{Key: key, Body: bytes.NewReader(raw), Size: int64(len(raw)), Metadata: maps.Clone(metadata)}
	if _, err := b.store.Put(b.Context(), object); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) remove(key string) {
	b.Helper()
	if err := b.store.Delete(b.Context(), key); err != nil {
		b.Fatal(err)
	}
}
