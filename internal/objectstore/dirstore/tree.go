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
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/gofrs/flock"
	"github.com/google/uuid"

	"hikyaku/internal/objectstore"
)

// A tree is the directory while an operation uses it. Nothing outside can be
// reached through it.
type tree struct {
	*os.Root

	lock *flock.Flock // the store's own; nil: not taken
}

// Close gives back the lock, too.
func (t *tree) Close() error {
	var err error
	if t.lock != nil {
		err = t.lock.Close()
	}
	return errors.Join(err, t.Root.Close())
}

// shared opens the directory for reading, under a lock.
func (s *Store) shared(ctx context.Context) (*tree, error) {
	root, err := os.OpenRoot(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", s.dir, objectstore.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	t := &tree{Root: root}
	if err := t.read(ctx); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// made opens the directory for writing, and makes what is missing of it.
func (s *Store) made() (*tree, error) {
	if err := os.MkdirAll(s.dir, dirMode); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, err
	}
	if err := root.MkdirAll(own("new"), dirMode); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return &tree{Root: root}, nil
}

// alone opens the directory for writing, under a lock that nobody shares.
func (s *Store) alone(ctx context.Context) (*tree, error) {
	t, err := s.made()
	if err != nil {
		return nil, err
	}
	if err := t.write(ctx); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// own is a path of the store's own files.
func own(name ...string) string {
	return filepath.Join(append([]string{private}, name...)...)
}

// path is an object's file.
func (t *tree) path(key string) (string, error) {
	name := filepath.FromSlash(key)
	if key == "." || !filepath.IsLocal(name) || filepath.ToSlash(filepath.Clean(name)) != key || strings.HasPrefix(key, private) {
		return "", fmt.Errorf("%q cannot be the key of a file", key)
	}
	if _, err := t.Lstat(odd(key)); err == nil {
		return odd(key), nil
	}
	return name, nil
}

// odd is the file of an object whose key cannot be a path beside the others',
// as a/b cannot beside a.
func odd(key string) string { return own("odd", hex.EncodeToString([]byte(key))) }

// object opens an object under a lock.
func (t *tree) object(key string) (objectstore.Info, *os.File, error) {
	info := objectstore.Info{Key: key}
	path, err := t.path(key)
	if err != nil {
		return info, nil, err
	}
	file, err := t.Open(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return info, nil, fmt.Errorf("%s: %w", key, objectstore.ErrNotFound)
	}
	if err != nil {
		return info, nil, err
	}
	if err = t.describe(file, &info); err != nil {
		_ = file.Close()
		return info, nil, err
	}
	return info, file, nil
}

// describe reads a file once, and its metadata.
func (t *tree) describe(file *os.File, info *objectstore.Info) error {
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
	if info.Metadata, err = t.notes("metadata", info.Key, info.ETag); err != nil {
		return err
	}
	_, err = file.Seek(0, io.SeekStart)
	return err
}

func etag(sum []byte) string { return `"` + hex.EncodeToString(sum) + `"` }

// notePath is the file of an object's "metadata" or "tags".
func notePath(kind, key, etag string) string {
	return own(kind, filepath.FromSlash(key)+"@"+strings.Trim(etag, `"`))
}

// notes reads an object's metadata or tags: nil if it has none.
func (t *tree) notes(kind, key, etag string) (values map[string]string, err error) {
	raw, err := t.ReadFile(notePath(kind, key, etag))
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
func (t *tree) note(kind, key, etag string, values map[string]string) error {
	path := notePath(kind, key, etag)
	if len(values) == 0 {
		if err := t.Remove(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	raw, err := json.Marshal(values)
	if err != nil {
		return err
	}
	fresh, _, err := t.spool(strings.NewReader(string(raw)))
	if err != nil {
		return err
	}
	return t.into(fresh, path)
}

// holds checks a condition under a lock, and returns the ETag of what is there.
func (t *tree) holds(key string, c objectstore.Condition) (string, error) {
	info, file, err := t.object(key)
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

// spool writes a new file that has no key yet, safely on the disk.
func (t *tree) spool(body io.Reader) (path string, n int64, err error) {
	path = own("new", "object-"+uuid.NewString())
	file, err := t.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if err != nil {
		return path, 0, err
	}
	n, err = io.Copy(file, body)
	if err == nil {
		err = file.Sync()
	}
	return path, n, errors.Join(err, file.Close())
}

// into gives a file its name.
func (t *tree) into(fresh, path string) error {
	if err := t.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return err
	}
	return t.Rename(fresh, path)
}
