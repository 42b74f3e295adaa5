// Package boltkeeper keeps the state of a development stack in one file.
//
//	keeper, err := boltkeeper.Open(filepath.Join(dir, "state.bolt"))
//	...
//	defer keeper.Close()
//
// What Commit has acknowledged outlives the process, however that ends. It need not
// outlive the machine: nothing waits for the disk, so that a commit costs microseconds,
// and a power failure may spoil the file.
package boltkeeper

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"hikyaku/pkg/providers/sandbox"
)

// A Keeper keeps state in a file that no other process can open meanwhile. It is safe
// for concurrent use.
type Keeper struct {
	path string
	db   *bbolt.DB

	mu      sync.Mutex
	waiting []*commit // in the order in which they came
	writing bool      // somebody writes, and will write what waits too
}

var _ sandbox.Keeper = (*Keeper)(nil)

// A commit is one caller's changes.
type commit struct {
	changes []sandbox.Change
	done    chan error
}

// lockPatience is how long Open waits for a process that is just ending.
const lockPatience = 500 * time.Millisecond

// options: nothing is synced, see the package's comment, and the list of free pages is
// found again at the next start rather than written with every commit.
func options() *bbolt.Options {
	return &bbolt.Options{
		Timeout: lockPatience, NoSync: true, NoGrowSync: true, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
		NoStatistics: true, InitialMmapSize: initialMmap,
	}
}

// initialMmap is how much of the address space the file may fill before it has to be
// mapped anew, for which every reader is waited for.
const initialMmap = 256 << 20

// Open opens the file at path, and makes it, and its directory, if they are not there.
func Open(path string) (*Keeper, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("keeping state in %s: %w", path, err)
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if err := makeFile(path); err != nil {
			return nil, fmt.Errorf("keeping state in %s: %w", path, err)
		}
	}
	db, err := openWhole(path)
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("%s is in use: another process keeps its state in this directory; end that one, or name another directory", filepath.Dir(path))
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch), errors.Is(err, errNotWhole):
		return nil, fmt.Errorf("%s cannot be read (%w): it is damaged, or another program's; move it away to begin anew, or name another directory", path, err)
	case err != nil:
		return nil, fmt.Errorf("keeping state in %s: %w", path, err)
	}
	leftovers, _ := filepath.Glob(path + unfinished + "*")
	for _, name := range leftovers {
		_ = os.Remove(name)
	}
	return &Keeper{path: path, db: db}, nil
}

// openWhole opens a file that is whole. It is looked at while nobody may write it; keys out
// of order, which only bbolt looks at, it answers with a panic.
func openWhole(path string) (db *bbolt.DB, err error) {
	defer func() {
		if damage := recover(); damage != nil {
			db, err = nil, fmt.Errorf("%w: %v", errNotWhole, damage)
		}
	}()
	if info, err := os.Stat(path); err == nil && info.Size() > 0 {
		reading := options()
		reading.ReadOnly = true
		db, err := bbolt.Open(path, 0o600, reading)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(whole(path), db.Close()); err != nil {
			return nil, err
		}
	}
	return bbolt.Open(path, 0o600, options())
}

const unfinished = ".new-"

// makeFile makes an empty state under a name of its own first: a process that is killed
// meanwhile leaves no half of one behind. Of several that do so at a time, one wins.
func makeFile(path string) error {
	made, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+unfinished)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(made.Name()) }()
	if err := made.Close(); err != nil {
		return err
	}
	db, err := bbolt.Open(made.Name(), 0o600, options())
	if err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	if err := os.Link(made.Name(), path); err == nil || errors.Is(err, os.ErrExist) {
		return nil
	}
	return os.Rename(made.Name(), path) // a file system without links
}

// Close ends the use of the file. Commits that have not returned may fail.
func (k *Keeper) Close() error {
	if err := k.db.Close(); err != nil {
		return fmt.Errorf("closing %s: %w", k.path, err)
	}
	return nil
}

// Commit keeps all the changes or none of them. Those that come while others are
// written are written together, one after the other.
func (k *Keeper) Commit(changes ...sandbox.Change) error {
	if len(changes) == 0 {
		return nil
	}
	for _, c := range changes {
		if c.Section == "" || c.Key == "" || len(c.Section) > bbolt.MaxKeySize || len(c.Key) > bbolt.MaxKeySize {
			return fmt.Errorf("keeping %.40q of %.40q: a key and a section have 1 to %d bytes", c.Key, c.Section, bbolt.MaxKeySize)
		}
	}
	own := &commit{changes: changes, done: make(chan error, 1)}
	k.mu.Lock()
	k.waiting = append(k.waiting, own)
	if k.writing {
		k.mu.Unlock()
		return <-own.done
	}
	k.writing = true
	for len(k.waiting) > 0 {
		group := k.waiting
		k.waiting = nil
		k.mu.Unlock()
		k.write(group)
		k.mu.Lock()
	}
	k.writing = false
	k.mu.Unlock()
	return <-own.done
}

// write writes a group of commits at once. If that fails, it writes each alone, so that
// a caller hears only of what is wrong with its own.
func (k *Keeper) write(group []*commit) {
	err := k.update(group...)
	for _, c := range group {
		if err != nil && len(group) > 1 {
			c.done <- k.update(c)
			continue
		}
		c.done <- err
	}
}

func (k *Keeper) update(group ...*commit) error {
	err := k.db.Update(func(tx *bbolt.Tx) error {
		for _, c := range group {
			for _, change := range c.changes {
				if err := apply(tx, change); err != nil {
					return fmt.Errorf("%.40q of %s: %w", change.Key, change.Section, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("keeping state in %s: %w", k.path, err)
	}
	return nil
}

func apply(tx *bbolt.Tx, c sandbox.Change) error {
	if c.Value == nil {
		section := tx.Bucket([]byte(c.Section))
		if section == nil {
			return nil
		}
		return section.Delete([]byte(c.Key))
	}
	section, err := tx.CreateBucketIfNotExists([]byte(c.Section))
	if err != nil {
		return err
	}
	return section.Put([]byte(c.Key), c.Value)
}

// loadChunk is how much Load reads at a time.
const loadChunk = 1 << 20 // bytes

// Load calls f with everything that a section holds, in the order of the keys. f may
// commit; whether it then sees its own changes further on is open.
func (k *Keeper) Load(section string, f func(key string, value []byte) error) error {
	type pair struct {
		key   string
		value []byte
	}
	for after, more := "", true; more; {
		var chunk []pair
		err := k.db.View(func(tx *bbolt.Tx) error {
			more = false
			bucket := tx.Bucket([]byte(section))
			if bucket == nil {
				return nil
			}
			cursor := bucket.Cursor()
			key, value := cursor.Seek([]byte(after))
			if after != "" && string(key) == after {
				key, value = cursor.Next()
			}
			for size := 0; key != nil; key, value = cursor.Next() {
				if size > loadChunk {
					more = true
					return nil
				}
				size += len(key) + len(value)
				chunk = append(chunk, pair{string(key), append([]byte{}, value...)})
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("reading %s from %s: %w", section, k.path, err)
		}
		for _, p := range chunk {
			if err := f(p.key, p.value); err != nil {
				return err
			}
			after = p.key
		}
	}
	return nil
}
