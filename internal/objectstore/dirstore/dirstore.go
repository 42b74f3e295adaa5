// Package dirstore keeps objects as files of a directory, for exports to one's
// own machine:
//
//	store := dirstore.New("exports")
//
// The object under key a/b is the file a/b. What a file cannot hold, its
// metadata and its tags, lies in .hikyaku/ under the object's key and ETag;
// metadata is written before it. Everything is renamed into place, so a process
// that dies leaves no half an object; a lock on .hikyaku/lock, which the system
// takes back from a dead process, makes a condition and its write one step.
// Files that a person copies or deletes are seen as they are: an ETag is
// computed from the bytes at each reading.
//
// Reading writes nothing: the directory and .hikyaku are made by the first
// write. A symbolic link inside that leads out of the directory is refused, for
// reading and for writing; the directory itself may be one.
//
// The directory must lie on a file system of this machine.
package dirstore

import (
	"context"
	"crypto/md5" //nolint:gosec // S3's ETag of a plain object
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"syscall"

	"hikyaku/internal/objectstore"
)

const (
	private  = ".hikyaku"
	dirMode  = 0o750
	fileMode = 0o600
)

// A Store is an objectstore.Store of files. It is safe for concurrent use,
// by several processes too.
type Store struct{ dir string }

var (
	_ objectstore.Store  = (*Store)(nil)
	_ objectstore.Locker = (*Store)(nil)
)

// New returns the store of a directory, which the first write makes if there is
// none.
func New(dir string) *Store { return &Store{dir} }

// Get opens an object.
func (s *Store) Get(ctx context.Context, key string) (objectstore.Info, io.ReadCloser, error) {
	t, err := s.shared(ctx)
	if err != nil {
		return objectstore.Info{}, nil, err
	}
	defer func() { _ = t.Close() }()
	return t.object(key)
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
	t, err := s.made()
	if err != nil {
		return "", err
	}
	defer func() { _ = t.Close() }()
	sum := md5.New() //nolint:gosec // as above
	fresh, n, err := t.spool(io.TeeReader(o.Body, sum))
	defer func() { _ = t.Remove(fresh) }()
	if err != nil {
		return "", fmt.Errorf("writing %s: %w", o.Key, err)
	}
	if n != o.Size {
		return "", fmt.Errorf("%s: body has %d bytes where %d were declared", o.Key, n, o.Size)
	}
	if err := t.write(ctx); err != nil {
		return "", err
	}
	path, err := t.path(o.Key)
	if err != nil {
		return "", err
	}
	there, err := t.holds(o.Key, o.Condition)
	if err != nil {
		return "", err
	}
	tag := etag(sum.Sum(nil))
	// What an earlier object of equal bytes left is replaced too.
	err = errors.Join(t.note("metadata", o.Key, tag, o.Metadata), t.note("tags", o.Key, tag, nil))
	if err != nil {
		return "", err
	}
	err = t.into(fresh, path)
	if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EISDIR) || errors.Is(err, fs.ErrExist) {
		err = t.into(fresh, odd(o.Key))
	}
	if err != nil {
		return "", err
	}
	if there != "" && there != tag { // what is left misleads nobody
		_ = errors.Join(t.note("metadata", o.Key, there, nil), t.note("tags", o.Key, there, nil))
	}
	return tag, nil
}

// Delete removes an object. Directories stay.
func (s *Store) Delete(ctx context.Context, key string) error {
	t, err := s.alone(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = t.Close() }()
	path, err := t.path(key)
	if err != nil {
		return err
	}
	tag, err := t.holds(key, objectstore.Condition{})
	if err != nil || tag == "" {
		return err
	}
	err = errors.Join(t.note("metadata", key, tag, nil), t.note("tags", key, tag, nil))
	return errors.Join(err, t.Remove(path))
}

// SetTags replaces an object's tags.
func (s *Store) SetTags(ctx context.Context, key string, tags map[string]string) error {
	t, err := s.alone(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = t.Close() }()
	info, file, err := t.object(key)
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), t.note("tags", key, info.ETag, tags))
}

// GetTags reads an object's tags.
func (s *Store) GetTags(ctx context.Context, key string) (map[string]string, error) {
	t, err := s.shared(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = t.Close() }()
	info, file, err := t.object(key)
	if err != nil {
		return nil, err
	}
	tags, err := t.notes("tags", key, info.ETag)
	return tags, errors.Join(file.Close(), err)
}

// List yields the objects as they were when it began.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		keys, err := s.keys(ctx, prefix, after)
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
func (s *Store) keys(ctx context.Context, prefix, after string) ([]string, error) {
	t, err := s.shared(ctx)
	if errors.Is(err, objectstore.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = t.Close() }()
	var keys []string
	add := func(key string) {
		if strings.HasPrefix(key, prefix) && key > after {
			keys = append(keys, key)
		}
	}
	err = fs.WalkDir(t.FS(), path.Dir(prefix+"*"), func(key string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		case errors.Is(err, fs.ErrInvalid): // a prefix that no key can have
		case err != nil:
			return err
		case d.IsDir() && key == private:
			return fs.SkipDir
		case !d.IsDir():
			add(key)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	names, err := fs.ReadDir(t.FS(), path.Join(private, "odd"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, d := range names {
		if key, err := hex.DecodeString(d.Name()); err == nil {
			add(string(key))
		}
	}
	slices.Sort(keys)
	return keys, nil
}
