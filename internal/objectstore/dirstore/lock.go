package dirstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/gofrs/flock"

	"hikyaku/internal/objectstore"
)

// read and write wait for the store's own lock, which makes a condition and its
// write one step. Where nothing was ever written, there is none to read under.
func (t *tree) read(ctx context.Context) error {
	return t.wait(ctx, os.O_RDONLY, (*flock.Flock).RLock)
}

func (t *tree) write(ctx context.Context) error {
	return t.wait(ctx, writable, (*flock.Flock).Lock)
}

func (t *tree) wait(ctx context.Context, flags int, how func(*flock.Flock) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	file, err := t.lockFile(own("lock"), flags)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syscall.EINTR
	}
	for errors.Is(err, syscall.EINTR) {
		err = how(file)
	}
	if err != nil {
		return fmt.Errorf("locking %s: %w", t.Name(), err)
	}
	t.lock = file
	return nil
}

// TryLock takes the lock of a key. Each is an empty file that stays: were it
// removed, one process could lock the old file and another a new one.
func (s *Store) TryLock(ctx context.Context, key string) (unlock func() error, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t, err := s.made()
	if err != nil {
		return nil, err
	}
	defer func() { _ = t.Close() }()
	digest := sha256.Sum256([]byte(key))
	err = t.MkdirAll(own("locks"), dirMode)
	if err != nil {
		return nil, err
	}
	file, err := t.lockFile(own("locks", hex.EncodeToString(digest[:])), writable)
	if err != nil {
		return nil, err
	}
	switch taken, err := file.TryLock(); {
	case err != nil:
		return nil, fmt.Errorf("locking %s: %w", key, err)
	case !taken:
		return nil, fmt.Errorf("%s: %w", key, objectstore.ErrLocked)
	}
	return file.Close, nil
}

// writable is how a file is opened for a lock that is not shared: file systems
// of a network refuse one on a file that is open for reading only.
const writable = os.O_CREATE | os.O_RDWR

// lockFile prepares the lock of a file. The library opens it by its path and
// would follow a link out of the directory, so it is looked up first.
func (t *tree) lockFile(name string, flags int) (*flock.Flock, error) {
	_, err := t.Stat(name)
	if errors.Is(err, fs.ErrNotExist) && flags&os.O_CREATE != 0 {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return flock.New(filepath.Join(t.Name(), name), flock.SetFlag(flags)), nil
}
