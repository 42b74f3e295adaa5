package dirstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/gofrs/flock"

	"hikyaku/internal/objectstore"
)

// shared and alone wait for the store's own lock, which makes a condition and
// its write one step.
func (s *Store) shared(ctx context.Context) (unlock func(), err error) {
	return s.lock(ctx, (*flock.Flock).RLock)
}

func (s *Store) alone(ctx context.Context) (unlock func(), err error) {
	return s.lock(ctx, (*flock.Flock).Lock)
}

func (s *Store) lock(ctx context.Context, how func(*flock.Flock) error) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	file := lockFile(s.own("lock"))
	for err = syscall.EINTR; errors.Is(err, syscall.EINTR); {
		err = how(file)
	}
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", s.root, err)
	}
	return func() { _ = file.Close() }, nil
}

// TryLock takes the lock of a key. Each is an empty file that stays: were it
// removed, one process could lock the old file and another a new one.
func (s *Store) TryLock(ctx context.Context, key string) (unlock func() error, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	digest := sha256.Sum256([]byte(key))
	file := lockFile(s.own("locks", hex.EncodeToString(digest[:])))
	switch taken, err := file.TryLock(); {
	case err != nil:
		return nil, fmt.Errorf("locking %s: %w", key, err)
	case !taken:
		return nil, fmt.Errorf("%s: %w", key, objectstore.ErrLocked)
	}
	return file.Close, nil
}

// lockFile is open for writing too: file systems of a network ask for that.
func lockFile(path string) *flock.Flock {
	return flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR))
}
