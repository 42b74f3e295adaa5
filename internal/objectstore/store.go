// Package objectstore is the seam to S3: objects with conditional writes, free
// of AWS. Memory is its fake; package s3store implements it on the service;
// package objectstoretest is the suite that both, and any endpoint, must pass.
//
// Equal bytes give equal ETags, and an SDK's own retry may answer ErrConflict
// to a write that succeeded. Every body that is swapped therefore carries a
// nonce, and the writer reads again after any doubtful answer: see Document.Replace.
package objectstore

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// Errors of a Store. Anything else is an outage, after which the outcome of a
// write is unknown.
var (
	// ErrNotFound: no object under that key. A missing permission is never
	// reported so.
	ErrNotFound = errors.New("object not found")
	// ErrConflict: the condition of a write did not hold, or the write
	// raced another (412, 409, or 404 to an If-Match).
	ErrConflict = errors.New("object changed meanwhile")
	// ErrDenied: the role lacks a permission. It never means absent.
	ErrDenied = errors.New("object access denied: check the function's role and the bucket's policy")
	// ErrLocked: a living process, perhaps this one, has the lock of a key.
	ErrLocked = errors.New("object is locked by a running process")
)

// Info describes an object without its body.
type Info struct {
	Key      string
	ETag     string
	Size     int64
	Modified time.Time
	Metadata map[string]string // keys in lower case; nil from List
}

// A Condition guards a write. The zero Condition writes always.
type Condition struct {
	Absent bool   // only if the key holds nothing (If-None-Match: *)
	ETag   string // only if the object has this ETag (If-Match)
}

// An Object is what Put writes.
type Object struct {
	Key             string
	Body            io.ReadSeeker
	Size            int64
	ContentType     string
	ContentEncoding string
	Metadata        map[string]string // keys in lower case, ASCII values
	Condition       Condition
	SHA256          string // of Body in hex, where the writer knows it: it need not be read twice
}

// A Store keeps objects.
//
// Implementations are safe for concurrent use and honor ctx. Reads see the
// last write that returned nil.
type Store interface {
	// Get opens an object; the caller closes the body.
	Get(ctx context.Context, key string) (Info, io.ReadCloser, error)
	// Head reads an object's Info with its metadata.
	Head(ctx context.Context, key string) (Info, error)
	// Put writes an object in one request and returns its ETag.
	Put(ctx context.Context, o Object) (etag string, err error)
	// Delete removes an object; a missing one is no error.
	Delete(ctx context.Context, key string) error
	// SetTags replaces all tags of an object; none removes them. Neither
	// the ETag nor anything else of the object changes. A Put over it drops
	// its tags.
	SetTags(ctx context.Context, key string, tags map[string]string) error
	// GetTags reads an object's tags.
	GetTags(ctx context.Context, key string) (map[string]string, error)
	// List yields the objects under a prefix in the order of their keys,
	// those after a key only, if that is not empty.
	List(ctx context.Context, prefix, after string) iter.Seq2[Info, error]
}

// A Locker is a Store whose keys the operating system can lock, apart from the
// objects there. The system takes a lock back from a process that ends, however
// it ends: a lock that can be taken proves that its holder is gone or has
// given it back.
type Locker interface {
	// TryLock takes the lock of a key, whether or not an object is there,
	// and returns how to give it back. It never waits: ErrLocked if the
	// lock is taken, errors.ErrUnsupported if the system has no locks.
	TryLock(ctx context.Context, key string) (unlock func() error, err error)
}
