package dirstore_test

import (
	"errors"
	"io"
	"io/fs"
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
	return dirstore.New(filepath.Join(t.TempDir(), "lake"))
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
	s := dirstore.New(root)
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
	reopen := func() *dirstore.Store { return dirstore.New(root) }
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
	a, b := dirstore.New(root), dirstore.New(root)
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

// A link that leads out of the directory is followed by no operation, wherever it
// lies: in the place of an object, of a folder, or of the store's own files.
func TestLinks_OutOfTheDirectoryAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ link, key string }{
		{"a", "a"}, {"exports", "exports/a"}, {"exports/deep", "exports/deep/a"},
		{".hikyaku", "a"}, {".hikyaku/new", "a"}, {".hikyaku/lock", "a"}, {".hikyaku/metadata", "a"}, {".hikyaku/tags", "a"}, {".hikyaku/locks", "a"},
	} {
		t.Run(c.link, func(t *testing.T) {
			t.Parallel()
			root, outside := t.TempDir(), t.TempDir()
			if err := os.WriteFile(filepath.Join(outside, "a"), []byte("private"), 0o600); err != nil {
				t.Fatal(err)
			}
			target := outside
			switch c.link {
			case "a":
				target = filepath.Join(outside, "a")
			case ".hikyaku/lock":
				target = filepath.Join(outside, "made by opening it")
			}
			link := filepath.Join(root, filepath.FromSlash(c.link))
			if err := errors.Join(os.MkdirAll(filepath.Dir(link), 0o750), os.Symlink(target, link)); err != nil {
				t.Fatal(err)
			}
			useEverything(t, dirstore.New(root), c.key)
			if files := tree(t, outside); len(files) != 1 || files["a"] != "private" {
				t.Errorf("outside there is %q", files)
			}
		})
	}
}

// useEverything calls every method, which may fail, and checks that none reads
// what lies outside.
func useEverything(t *testing.T, s *dirstore.Store, key string) {
	t.Helper()
	read := func() {
		t.Helper()
		if _, body, err := s.Get(t.Context(), key); err == nil {
			if text, _ := io.ReadAll(body); string(text) == "private" {
				t.Errorf("%s shows what is outside", key)
			}
			_ = body.Close()
		}
		_, _ = s.Head(t.Context(), key)
		_, _ = s.GetTags(t.Context(), key)
		for info, err := range s.List(t.Context(), "", "") {
			if err == nil && info.Size == int64(len("private")) {
				t.Errorf("the list shows %s, which is outside", info.Key)
			}
		}
	}
	read()
	_ = s.SetTags(t.Context(), key, map[string]string{"a": "b"})
	_ = s.Delete(t.Context(), key)
	_, _ = s.Put(t.Context(), objectstore.Object{Key: key, Body: strings.NewReader("mine"), Size: 4, Metadata: map[string]string{"rows": "1"}})
	_ = s.SetTags(t.Context(), key, map[string]string{"a": "b"})
	read()
	if unlock, err := s.TryLock(t.Context(), key); err == nil {
		_ = unlock()
	}
	_ = s.Delete(t.Context(), key)
}

// tree reads every file below a directory.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, path)
		text := "(directory)"
		if !d.IsDir() {
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text = string(raw)
		}
		if name != "." {
			files[name] = text
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// A link to the directory, and one within it, lead nowhere else.
func TestLinks_WithinTheDirectoryAreFollowed(t *testing.T) {
	t.Parallel()
	real, name := t.TempDir(), filepath.Join(t.TempDir(), "link")
	err := errors.Join(
		os.Symlink(real, name),
		os.MkdirAll(filepath.Join(real, "2026"), 0o750),
		os.WriteFile(filepath.Join(real, "2026", "a"), []byte("one"), 0o600),
		os.Symlink("2026", filepath.Join(real, "latest")),
	)
	if err != nil {
		t.Fatal(err)
	}
	info, err := dirstore.New(name).Head(t.Context(), "latest/a")
	if err != nil || info.Size != 3 {
		t.Errorf("got %+v, %v", info, err)
	}
}

// Reading leaves a directory as it was: another's, which knows nothing of this
// store, and one that is not there.
func TestReading_WritesNothing(t *testing.T) {
	t.Parallel()
	other, none := t.TempDir(), filepath.Join(t.TempDir(), "none")
	if err := os.WriteFile(filepath.Join(other, "a"), []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{other, none} {
		s := dirstore.New(dir)
		want := map[bool]error{true: objectstore.ErrNotFound}[dir == none]
		_, body, err := s.Get(t.Context(), "a")
		if !errors.Is(err, want) {
			t.Errorf("Get = %v, want %v", err, want)
		}
		if err == nil {
			_ = body.Close()
		}
		if _, err := s.GetTags(t.Context(), "a"); !errors.Is(err, want) {
			t.Errorf("GetTags = %v, want %v", err, want)
		}
		for info, err := range s.List(t.Context(), "", "") {
			if err != nil || info.Key != "a" {
				t.Errorf("list yields %+v, %v", info, err)
			}
		}
	}
	if files := tree(t, other); len(files) != 1 {
		t.Errorf("reading left %q", files)
	}
	if _, err := os.Stat(none); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading made the directory: %v", err)
	}
}
