package dirstore_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/objectstore/dirstore"
	"hikyaku/internal/objectstore/objectstoretest"
)

func open(t *testing.T) *dirstore.Store {
	t.Helper()
	s, err := dirstore.Open(filepath.Join(t.TempDir(), "lake"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	objectstoretest.Run(t, func(t *testing.T) objectstore.Store { return open(t) })
}

func TestKeys_ThatLeaveTheDirectoryAreRefused(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, key := range []string{"", "/a", "../a", "a/../../b", "a//b", "a/", ".", ".hikyaku/lock"} {
		if _, err := s.Put(t.Context(), objectstore.Object{Key: key, Body: strings.NewReader("")}); err == nil {
			t.Errorf("%q was written", key)
		}
		if _, err := s.Head(t.Context(), key); err == nil {
			t.Errorf("%q was read", key)
		}
		if err := s.Delete(t.Context(), key); err == nil {
			t.Errorf("%q was deleted", key)
		}
	}
}

// A file that a person put there is an object; one that was changed by hand
// has another ETag, and nobody else's metadata.
func TestFiles_AreSeenAsTheyAre(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s, err := dirstore.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := s.Put(t.Context(), objectstore.Object{Key: "a/b", Body: strings.NewReader("one"), Size: 3, Metadata: map[string]string{"rows": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "a", "b"), []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := s.Head(t.Context(), "a/b")
	if err != nil || info.ETag == tag || info.Metadata != nil || info.Size != 3 {
		t.Errorf("got %+v, %v", info, err)
	}
	if left, err := os.ReadDir(filepath.Join(root, ".hikyaku", "new")); err != nil || len(left) > 0 {
		t.Errorf("%d files are left over, %v", len(left), err)
	}
}

// Tags lie on the disk beside the object, and end with it, whoever removed it.
func TestTags_OutliveTheProcessAndEndWithTheObject(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	reopen := func() *dirstore.Store {
		t.Helper()
		s, err := dirstore.Open(root)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	put := func() {
		t.Helper()
		if _, err := reopen().Put(t.Context(), objectstore.Object{Key: "a/b", Body: strings.NewReader("one"), Size: 3}); err != nil {
			t.Fatal(err)
		}
	}
	tags := func(want int) {
		t.Helper()
		if got, err := reopen().GetTags(t.Context(), "a/b"); err != nil || len(got) != want {
			t.Errorf("tags %v, %v, want %d", got, err, want)
		}
	}
	put()
	if err := reopen().SetTags(t.Context(), "a/b", map[string]string{"hikyaku": "doubt"}); err != nil {
		t.Fatal(err)
	}
	tags(1)
	for info, err := range reopen().List(t.Context(), "", "") {
		if err != nil || info.Key != "a/b" {
			t.Errorf("list yields %+v, %v", info, err)
		}
	}
	if err := os.Remove(filepath.Join(root, "a", "b")); err != nil {
		t.Fatal(err)
	}
	put() // equal bytes by another hand
	tags(0)
	if err := reopen().SetTags(t.Context(), "a/b", map[string]string{"hikyaku": "doubt"}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "a", "b"), []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	tags(0)
	if err := reopen().Delete(t.Context(), "a/b"); err != nil {
		t.Fatal(err)
	}
}

// Locks are of keys, not of objects, and of one store among several of the same
// directory.
func TestTryLock_ExcludesEveryOtherStore(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	a, err := dirstore.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	b, err := dirstore.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := a.TryLock(t.Context(), "state/a")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dirstore.Store{a, b} {
		if _, err := s.TryLock(t.Context(), "state/a"); !errors.Is(err, objectstore.ErrLocked) {
			t.Errorf("TryLock = %v, want ErrLocked", err)
		}
	}
	for _, key := range []string{"state", "state/a/b", strings.Repeat("k/", 400)} {
		other, err := b.TryLock(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if err := other(); err != nil {
			t.Error(err)
		}
	}
	if _, err := b.Put(t.Context(), objectstore.Object{Key: "state/a", Body: strings.NewReader("")}); err != nil {
		t.Errorf("an object under a locked key: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if unlock, err = b.TryLock(t.Context(), "state/a"); err != nil || unlock() != nil {
		t.Errorf("TryLock after the unlock = %v", err)
	}
	for info, err := range a.List(t.Context(), "", "") {
		if err != nil || info.Key != "state/a" {
			t.Errorf("list yields %+v, %v", info, err)
		}
	}
}
