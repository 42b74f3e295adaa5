// Package dirstore keeps objects as files of a directory, for exports to one's
// own machine:
//
//	store, err := dirstore.Open("exports")
//
// The object under key a/b is the file a/b. What a file cannot hold, its
// metadata and its tags, lies in .hikyaku/ under the object's key and ETag;
// metadata is written before it. Everything is renamed into place, so a process
// that dies leaves no half an object; a lock on .hikyaku/lock, which the system
// takes back from a dead process, makes a condition and its write one step.
// Files that a person copies or deletes are seen as they are: an ETag is
// computed from the bytes at each reading.
//
// The directory must lie on a file system of this machine.
package dirstore

import (
	"context"
	"crypto/md5" //nolint:gosec // S3's ETag of a plain object
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"hikyaku/internal/objectstore"
)

const (
	private = ".hikyaku"
	dirMode = 0o750
)

// A Store is an objectstore.Store of files. It is safe for concurrent use,
// by several processes too.
type Store struct{ root string }

var (
	_ objectstore.Store  = (*Store)(nil)
	_ objectstore.Locker = (*Store)(nil)
)

// Open opens a directory, and makes it if there is none.
func Open(root string) (*Store, error) {
	s := &Store{root: root}
	for _, name := range []string{"new", "metadata", "tags", "odd", "locks"} {
		if err := os.MkdirAll(s.own(name), dirMode); err != nil {
			return nil, fmt.Errorf("opening %s: %w", root, err)
		}
	}
	return s, nil
}

// own is a path of the store's own files.
func (s *Store) own(name ...string) string {
	return filepath.Join(append([]string{s.root, private}, name...)...)
}

// path is an object's file.
func (s *Store) path(key string) (string, error) {
	name := filepath.FromSlash(key)
	if key == "." || !filepath.IsLocal(name) || filepath.ToSlash(filepath.Clean(name)) != key || strings.HasPrefix(key, private) {
		return "", fmt.Errorf("%q cannot be the key of a file", key)
	}
	if odd := s.odd(key); exists(odd) {
		return odd, nil
	}
	return filepath.Join(s.root, name), nil
}

// odd is the file of an object whose key cannot be a path beside the others',
// as a/b cannot beside a.
func (s *Store) odd(key string) string { return s.own("odd", hex.EncodeToString([]byte(key))) }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Get opens an object.
func (s *Store) Get(ctx context.Context, key string) (objectstore.Info, io.ReadCloser, error) {
	unlock, err := s.shared(ctx)
	if err != nil {
		return objectstore.Info{}, nil, err
	}
	defer unlock()
	return s.open(key)
}

// open opens an object under a lock.
func (s *Store) open(key string) (objectstore.Info, *os.File, error) {
	info := objectstore.Info{Key: key}
	path, err := s.path(key)
	if err != nil {
		return info, nil, err
	}
	file, err := os.Open(path) //nolint:gosec // inside the root
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return info, nil, fmt.Errorf("%s: %w", key, objectstore.ErrNotFound)
	}
	if err != nil {
		return info, nil, err
	}
	if err = s.describe(file, &info); err != nil {
		_ = file.Close()
		return info, nil, err
	}
	return info, file, nil
}

// describe reads a file once, and its metadata.
func (s *Store) describe(file *os.File, info *objectstore.Info) error {
	stat, err := file.Stat()
	if err != nil {
		return err
	}
	if stat.IsDir() {
		return fmt.Errorf("%s: %w", info.Key, objectstore.ErrNotFound)
	}
	sum := md5.New() //nolint:gosec // as above
	if info.Size, err = io.Copy(sum, file); err != nil {
		return err
	}
	info.ETag, info.Modified = etag(sum.Sum(nil)), stat.ModTime()
	if info.Metadata, err = s.notes("metadata", info.Key, info.ETag); err != nil {
		return err
	}
	_, err = file.Seek(0, io.SeekStart)
	return err
}

func etag(sum []byte) string { return `"` + hex.EncodeToString(sum) + `"` }

// notePath is the file of an object's "metadata" or "tags".
func (s *Store) notePath(kind, key, etag string) string {
	return s.own(kind, filepath.FromSlash(key)+"@"+strings.Trim(etag, `"`))
}

// notes reads an object's metadata or tags: nil if it has none.
func (s *Store) notes(kind, key, etag string) (values map[string]string, err error) {
	raw, err := os.ReadFile(s.notePath(kind, key, etag))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(raw, &values)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the %s of %s: %w", kind, key, err)
	}
	return values, nil
}

// note replaces an object's metadata or tags.
func (s *Store) note(kind, key, etag string, values map[string]string) error {
	path := s.notePath(kind, key, etag)
	if len(values) == 0 {
		if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	raw, err := json.Marshal(values)
	if err != nil {
		return err
	}
	fresh, _, err := s.spool(strings.NewReader(string(raw)))
	if err != nil {
		return err
	}
	return into(fresh, path)
}

// Head describes an object.
func (s *Store) Head(ctx context.Context, key string) (objectstore.Info, error) {
	info, body, err := s.Get(ctx, key)
	if err == nil {
		err = body.Close()
	}
	return info, err
}

// Put writes an object if its condition holds.
func (s *Store) Put(ctx context.Context, o objectstore.Object) (string, error) {
	path, err := s.path(o.Key)
	if err != nil {
		return "", err
	}
	sum := md5.New() //nolint:gosec // as above
	fresh, n, err := s.spool(io.TeeReader(o.Body, sum))
	defer func() { _ = os.Remove(fresh) }()
	if err != nil {
		return "", fmt.Errorf("writing %s: %w", o.Key, err)
	}
	if n != o.Size {
		return "", fmt.Errorf("%s: body has %d bytes where %d were declared", o.Key, n, o.Size)
	}
	unlock, err := s.alone(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	there, err := s.holds(o.Key, o.Condition)
	if err != nil {
		return "", err
	}
	tag := etag(sum.Sum(nil))
	// What an earlier object of equal bytes left is replaced too.
	err = errors.Join(s.note("metadata", o.Key, tag, o.Metadata), s.note("tags", o.Key, tag, nil))
	if err != nil {
		return "", err
	}
	err = into(fresh, path)
	if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EISDIR) || errors.Is(err, fs.ErrExist) {
		err = into(fresh, s.odd(o.Key))
	}
	if err != nil {
		return "", err
	}
	if there != "" && there != tag { // what is left misleads nobody
		_ = errors.Join(s.note("metadata", o.Key, there, nil), s.note("tags", o.Key, there, nil))
	}
	return tag, nil
}

// holds checks a condition under a lock, and returns the ETag of what is there.
func (s *Store) holds(key string, c objectstore.Condition) (string, error) {
	info, file, err := s.open(key)
	if err == nil {
		err = file.Close()
	}
	if err != nil && !errors.Is(err, objectstore.ErrNotFound) {
		return "", err
	}
	if c.Absent && info.ETag != "" || c.ETag != "" && c.ETag != info.ETag {
		return "", fmt.Errorf("%s: %w", key, objectstore.ErrConflict)
	}
	return info.ETag, nil
}

// spool writes a new file that has no name of its own yet, safely on the disk.
func (s *Store) spool(body io.Reader) (path string, n int64, err error) {
	file, err := os.CreateTemp(s.own("new"), "object-")
	if err != nil {
		return "", 0, err
	}
	n, err = io.Copy(file, body)
	if err == nil {
		err = file.Sync()
	}
	return file.Name(), n, errors.Join(err, file.Close())
}

// into gives a file its name.
func into(fresh, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}

// Delete removes an object. Directories stay.
func (s *Store) Delete(ctx context.Context, key string) error {
	path, err := s.path(key)
	if err != nil {
		return err
	}
	unlock, err := s.alone(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	tag, err := s.holds(key, objectstore.Condition{})
	if err != nil || tag == "" {
		return err
	}
	err = errors.Join(s.note("metadata", key, tag, nil), s.note("tags", key, tag, nil))
	return errors.Join(err, os.Remove(path))
}

// SetTags replaces an object's tags.
func (s *Store) SetTags(ctx context.Context, key string, tags map[string]string) error {
	unlock, err := s.alone(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	info, file, err := s.open(key)
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), s.note("tags", key, info.ETag, tags))
}

// GetTags reads an object's tags.
func (s *Store) GetTags(ctx context.Context, key string) (map[string]string, error) {
	unlock, err := s.shared(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	info, file, err := s.open(key)
	if err != nil {
		return nil, err
	}
	tags, err := s.notes("tags", key, info.ETag)
	return tags, errors.Join(file.Close(), err)
}

// List yields the objects as they were when it began.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		keys, err := s.keys(prefix, after)
		for _, key := range keys {
			var info objectstore.Info
			if info, err = s.Head(ctx, key); errors.Is(err, objectstore.ErrNotFound) {
				err = nil // deleted meanwhile
				continue
			}
			info.Metadata = nil
			if !yield(info, err) || err != nil {
				return
			}
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			yield(objectstore.Info{}, err)
		}
	}
}

// keys lists the names of all objects under a prefix, in order.
func (s *Store) keys(prefix, after string) ([]string, error) {
	var keys []string
	folder := filepath.Join(s.root, filepath.FromSlash(prefix[:strings.LastIndex(prefix, "/")+1]))
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return nil
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(s.root, path)
		key := filepath.ToSlash(name)
		switch {
		case err != nil:
			return err
		case d.IsDir() && key == private:
			return fs.SkipDir
		case !d.IsDir() && strings.HasPrefix(key, prefix) && key > after:
			keys = append(keys, key)
		}
		return nil
	})
	odd, oddErr := os.ReadDir(s.own("odd"))
	for _, d := range odd {
		if key, err := hex.DecodeString(d.Name()); err == nil && strings.HasPrefix(string(key), prefix) && string(key) > after {
			keys = append(keys, string(key))
		}
	}
	slices.Sort(keys)
	return keys, errors.Join(err, oddErr)
}
