// Package objectstoretest is the conformance suite of objectstore.Store, which
// the fake, the local AWS, moto and S3 pass alike:
//
//	objectstoretest.Run(t, func(*testing.T) objectstore.Store {
//		return new(objectstore.Memory)
//	})
//
// It writes under a random prefix hikyaku-conformance/... and deletes what it
// wrote.
package objectstoretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/prove"
)

// Run runs the suite against the stores that open returns. Each must be
// usable by several goroutines. The heavy cases are left to .ci/run prove, for a
// store that answers them as another one does.
func Run(t *testing.T, open func(*testing.T) objectstore.Store, heavy ...string) {
	t.Helper()
	cases := map[string]func(*testing.T, *fixture){
		"missing":             missing,
		"put and read":        putAndRead,
		"overwrite":           overwrite,
		"equal bytes":         equalBytes,
		"create only":         createOnly,
		"swap":                swap,
		"swap a missing":      swapMissing,
		"swap after a delete": swapAfterDelete,
		"short body":          shortBody,
		"delete":              deleted,
		"tags":                tags,
		"tags of a missing":   tagsOfMissing,
		"tags are replaced":   tagsReplaced,
		"tags and writes":     tagsAndWrites,
		"list":                list,
		"list many":           listMany,
		"create raced":        createRaced,
		"swap raced":          swapRaced,
		"document":            document,
		"cancelled":           cancelled,
	}
	for name, run := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if slices.Contains(heavy, name) {
				prove.Heavy(t)
			}
			f := &fixture{Store: open(t), prefix: "hikyaku-conformance/" + uuid.NewString() + "/"}
			t.Cleanup(func() { f.clear(t) })
			run(t, f)
		})
	}
}

// A fixture is one test's store and prefix.
type fixture struct {
	objectstore.Store

	prefix string
}

// clear deletes what the test wrote, after the test's own context has ended.
func (f *fixture) clear(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	for info, err := range f.List(ctx, f.prefix, "") {
		want(t, "list", err, nil)
		want(t, "delete", f.Delete(ctx, info.Key), nil)
	}
}

// write puts a text under prefix + name.
func (f *fixture) write(t *testing.T, name, text string, condition objectstore.Condition) (string, error) {
	t.Helper()
	return f.Put(t.Context(), objectstore.Object{
		Key: f.prefix + name, Body: strings.NewReader(text), Size: int64(len(text)), ContentType: "text/plain", Condition: condition,
	})
}

func (f *fixture) written(t *testing.T, name, text string) string {
	t.Helper()
	etag, err := f.write(t, name, text, objectstore.Condition{})
	want(t, "put "+name, err, nil)
	return etag
}

// holds checks an object's body and its ETag, by Get and by Head.
func (f *fixture) holds(t *testing.T, name, text, etag string) objectstore.Info {
	t.Helper()
	info, body, err := f.Get(t.Context(), f.prefix+name)
	want(t, "get "+name, err, nil)
	defer func() { _ = body.Close() }()
	got, err := io.ReadAll(body)
	want(t, "read "+name, err, nil)
	head, err := f.Head(t.Context(), f.prefix+name)
	want(t, "head "+name, err, nil)
	if string(got) != text {
		t.Errorf("%s holds %q, want %q", name, got, text)
	}
	for _, i := range []objectstore.Info{info, head} {
		if i.Key != f.prefix+name || i.ETag != etag || i.Size != int64(len(text)) || i.Modified.IsZero() {
			t.Errorf("%s is %+v, want ETag %s and %d bytes", name, i, etag, len(text))
		}
	}
	if !maps.Equal(info.Metadata, head.Metadata) {
		t.Errorf("metadata by Get %v differs from Head's %v", info.Metadata, head.Metadata)
	}
	return head
}

func want(t *testing.T, doing string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("%s: error %v, want %v", doing, err, kind)
	}
}

func missing(t *testing.T, f *fixture) {
	_, _, err := f.Get(t.Context(), f.prefix+"none")
	want(t, "get", err, objectstore.ErrNotFound)
	_, err = f.Head(t.Context(), f.prefix+"none")
	want(t, "head", err, objectstore.ErrNotFound)
	want(t, "delete", f.Delete(t.Context(), f.prefix+"none"), nil)
	for info, err := range f.List(t.Context(), f.prefix, "") {
		t.Errorf("list yields %v, %v", info, err)
	}
}

func putAndRead(t *testing.T, f *fixture) {
	body := bytes.Repeat([]byte("飛脚\x00\xff"), 1000)
	metadata := map[string]string{"nonce": "n-1", "rows": "25", "sha256": "abc/+="}
	etag, err := f.Put(t.Context(), objectstore.Object{
		Key: f.prefix + "a b+c/ü=1.jsonl.gz", Body: bytes.NewReader(body), Size: int64(len(body)),
		ContentType: "application/x-ndjson", ContentEncoding: "gzip", Metadata: metadata,
	})
	want(t, "put", err, nil)
	info := f.holds(t, "a b+c/ü=1.jsonl.gz", string(body), etag)
	if !maps.Equal(info.Metadata, metadata) {
		t.Errorf("metadata = %v, want %v", info.Metadata, metadata)
	}
	empty := f.written(t, "empty", "")
	f.holds(t, "empty", "", empty)
}

func overwrite(t *testing.T, f *fixture) {
	first := f.written(t, "x", "one")
	second := f.written(t, "x", "two")
	if first == second {
		t.Error("other bytes give an equal ETag")
	}
	f.holds(t, "x", "two", second)
}

// equalBytes is why every body that is swapped carries a nonce.
func equalBytes(t *testing.T, f *fixture) {
	if a, b := f.written(t, "a", "same"), f.written(t, "b", "same"); a != b {
		t.Errorf("equal bytes give ETags %s and %s", a, b)
	}
}

func shortBody(t *testing.T, f *fixture) {
	_, err := f.Put(t.Context(), objectstore.Object{Key: f.prefix + "x", Body: strings.NewReader("four"), Size: 5})
	if err == nil {
		t.Error("a body shorter than its size was accepted")
	}
	_, err = f.Head(t.Context(), f.prefix+"x")
	want(t, "head", err, objectstore.ErrNotFound)
}

func deleted(t *testing.T, f *fixture) {
	f.written(t, "x", "one")
	want(t, "delete", f.Delete(t.Context(), f.prefix+"x"), nil)
	want(t, "delete again", f.Delete(t.Context(), f.prefix+"x"), nil)
	_, err := f.Head(t.Context(), f.prefix+"x")
	want(t, "head", err, objectstore.ErrNotFound)
}

// keys lists the names under prefix + under, after prefix + after.
func (f *fixture) keys(t *testing.T, under, after string) []string {
	t.Helper()
	if after != "" {
		after = f.prefix + after
	}
	var names []string
	for info, err := range f.List(t.Context(), f.prefix+under, after) {
		want(t, "list", err, nil)
		if info.ETag == "" || info.Size != 3 || info.Modified.IsZero() {
			t.Errorf("list yields %+v, want ETag, 3 bytes and a time", info)
		}
		names = append(names, strings.TrimPrefix(info.Key, f.prefix))
	}
	return names
}

func list(t *testing.T, f *fixture) {
	for _, name := range []string{"b/2", "a/10", "a/2", "a", "b/1", "a-1"} {
		f.written(t, name, "abc")
	}
	for _, c := range []struct {
		under, after string
		want         []string
	}{
		{"", "", []string{"a", "a-1", "a/10", "a/2", "b/1", "b/2"}},
		{"a/", "", []string{"a/10", "a/2"}},
		{"", "a/10", []string{"a/2", "b/1", "b/2"}},
		{"b/", "b/1", []string{"b/2"}},
		{"b/", "a", []string{"b/1", "b/2"}},
		{"", "b/2", nil},
		{"c", "", nil},
	} {
		if got := f.keys(t, c.under, c.after); !slices.Equal(got, c.want) {
			t.Errorf("list %q after %q = %v, want %v", c.under, c.after, got, c.want)
		}
	}
	for _, err := range f.List(t.Context(), f.prefix, "") {
		want(t, "list", err, nil)
		break // a caller may stop
	}
}

// listMany needs more than one page of the service.
func listMany(t *testing.T, f *fixture) {
	const many = 1003
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := worker; i < many; i += 8 {
				if _, err := f.write(t, fmt.Sprintf("%04d", i), "abc", objectstore.Condition{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	names := f.keys(t, "", "0001")
	if len(names) != many-2 || names[0] != "0002" || names[len(names)-1] != "1002" || !slices.IsSorted(names) {
		t.Errorf("list yields %d names, want 1001 from 0002 to 1002", len(names))
	}
}

func cancelled(t *testing.T, f *fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := f.Put(ctx, objectstore.Object{Key: f.prefix + "x", Body: strings.NewReader("a"), Size: 1})
	want(t, "put", err, context.Canceled)
	_, err = f.Head(ctx, f.prefix+"x")
	want(t, "head", err, context.Canceled)
	for _, err := range f.List(ctx, f.prefix, "") {
		want(t, "list", err, context.Canceled)
	}
	_, err = f.Head(t.Context(), f.prefix+"x")
	want(t, "head", err, objectstore.ErrNotFound)
}
