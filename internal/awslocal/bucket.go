package awslocal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// objects are all buckets.
type objects struct {
	dir    string // empty: in memory
	now    func() time.Time
	ledger *ledger

	mu      sync.Mutex
	buckets map[string]*bucket
	spooled int // names the files in the making
}

// A bucket's keys are sorted only when they are listed, so that writing a
// million of them costs no sorting.
type bucket struct {
	created time.Time
	objects map[string]*object
	uploads map[string]*upload // that are neither completed nor aborted, by id
	sorted  []string
	fresh   []string // keys not in sorted yet
}

// An object is immutable; a write replaces it.
type object struct {
	blob

	etag     string
	modified time.Time
	headers  http.Header // what Get answers: type, encoding, metadata
	checksum http.Header // what it adds if asked
	tags     map[string]string
}

// A blob is bytes in memory or in a file.
type blob struct {
	size int64
	data []byte
	path string // empty: in memory
}

func newObjects(dir string, now func() time.Time, l *ledger) (*objects, error) {
	o := &objects{dir: dir, now: now, ledger: l, buckets: map[string]*bucket{}}
	if o.keeps() {
		return o, o.restore()
	}
	if dir != "" {
		if files, err := os.ReadDir(dir); err == nil && len(files) > 0 {
			return nil, fmt.Errorf("keeping objects in %s: it is not empty, and objects of an earlier start would look like new ones; name another directory", dir)
		}
		for _, d := range []string{o.path(".spool"), o.path(".odd"), o.path(Bucket)} {
			if err := os.MkdirAll(d, 0o750); err != nil {
				return nil, fmt.Errorf("keeping objects in %s: %w", dir, err)
			}
		}
	}
	o.buckets[Bucket] = newBucket(now())
	return o, nil
}

func newBucket(now time.Time) *bucket {
	return &bucket{created: now, objects: map[string]*object{}, uploads: map[string]*upload{}}
}

func (o *objects) path(parts ...string) string {
	return filepath.Join(append([]string{o.dir}, parts...)...)
}

// receive keeps what a client sends, if it is what its checksums say.
func (o *objects) receive(p *payload) (blob, error) {
	body, err := o.spool(p)
	if err != nil {
		return blob{}, err
	}
	if err := p.check(); err != nil {
		body.remove()
		return blob{}, err
	}
	return body, nil
}

// spool keeps what is read, under no key yet.
func (o *objects) spool(r io.Reader) (blob, error) {
	if o.keeps() {
		return o.spoolKept(r)
	}
	if o.dir == "" {
		data, err := io.ReadAll(r)
		return blob{size: int64(len(data)), data: data}, err
	}
	o.mu.Lock()
	o.spooled++
	path := o.path(".spool", strconv.Itoa(o.spooled))
	o.mu.Unlock()
	return writeBlob(path, r)
}

func writeBlob(path string, r io.Reader) (blob, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // our own name
	if err != nil {
		return blob{}, err
	}
	size, err := io.Copy(file, r)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		_ = os.Remove(path)
	}
	return blob{size: size, path: path}, err
}

func (b blob) open() (io.ReadSeekCloser, error) {
	if b.path == "" {
		return struct {
			io.ReadSeeker
			io.Closer
		}{bytes.NewReader(b.data), io.NopCloser(nil)}, nil
	}
	return os.Open(b.path)
}

func (b blob) remove() {
	if b.path != "" {
		_ = os.Remove(b.path)
	}
}

// find returns an object as it is now, opened under the lock: its path is its
// key's, so that a file opened later might be another version's or gone. One
// that is replaced while it is read stays what it was.
func (o *objects) find(at place) (*object, io.ReadSeekCloser, error) {
	found, body, err := o.open(at)
	if err == nil {
		if err = o.settle(); err != nil {
			_ = body.Close()
		}
	}
	return found, body, err
}

func (o *objects) open(at place) (*object, io.ReadSeekCloser, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b, ok := o.buckets[at.bucket]
	if !ok {
		return nil, nil, errNoSuchBucket
	}
	found, ok := b.objects[at.key]
	if !ok {
		return nil, nil, errNoSuchKey
	}
	body, err := found.open()
	return found, body, err
}

// store puts an object under its key if the request's conditions hold. The caller
// settles, with the body that it returns.
func (o *objects) store(at place, made *object, h http.Header) (unneeded blob, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b, old, err := o.writable(at, h)
	if err != nil {
		return blob{}, err
	}
	if o.dir != "" && !o.keeps() {
		if err := o.name(at, &made.blob); err != nil {
			return blob{}, err
		}
	}
	made.modified = o.now()
	o.ledger.note(made.record(at))
	b.objects[at.key] = made
	if old == nil {
		b.fresh = append(b.fresh, at.key)
		return blob{}, nil
	}
	return o.replaced(old.blob, made.path), nil
}

// replaced is a body that is no object's any more. Where nothing is kept, it is taken
// away while the lock is held, before another object has its path.
func (o *objects) replaced(old blob, path string) (unneeded blob) {
	if o.keeps() {
		return old
	}
	if old.path != path {
		old.remove()
	}
	return blob{}
}

// name moves a spooled file to its key's place. Keys that cannot be a path
// here ("a" beside "a/b", "..", very long ones) go to .odd under their digest.
func (o *objects) name(at place, b *blob) error {
	ok := !strings.Contains(at.key, "\\")
	for part := range strings.SplitSeq(at.key, "/") {
		ok = ok && part != "" && part != "." && part != ".."
	}
	path := o.path(at.bucket, filepath.FromSlash(at.key))
	if !ok || os.MkdirAll(filepath.Dir(path), 0o750) != nil || os.Rename(b.path, path) != nil {
		digest := sha256.Sum256([]byte(at.bucket + "/" + at.key))
		path = o.path(".odd", hex.EncodeToString(digest[:]))
		if err := os.Rename(b.path, path); err != nil {
			return err
		}
	}
	b.path = path
	return nil
}

// writable returns a key's bucket and what it holds, nil if nothing, once
// If-Match and If-None-Match allow a write. o.mu is held.
func (o *objects) writable(at place, h http.Header) (b *bucket, old *object, err error) {
	match, none := h.Get("If-Match"), h.Get("If-None-Match")
	b = o.buckets[at.bucket]
	if b != nil {
		old = b.objects[at.key]
	}
	switch {
	case b == nil:
		err = errNoSuchBucket
	case none != "" && none != "*":
		err = &refusal{Status: 501, Code: "NotImplemented", Message: "If-None-Match of a write takes only *"}
	case match != "" && old == nil:
		err = errNoSuchKey
	case none != "" && old != nil, match != "" && !matches(match, old.etag):
		err = errPrecondition
	}
	return b, old, err
}

// matches compares a condition with an ETag; clients may leave the quotes out.
func matches(condition, etag string) bool {
	return condition == "*" || strings.Trim(condition, `"`) == strings.Trim(etag, `"`)
}

// erase takes an object away if the request's condition holds. Without one, a
// missing object is no error. The caller settles, with the body that it returns.
func (o *objects) erase(at place, h http.Header) (unneeded blob, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b, old, err := o.writable(at, h)
	if err != nil || old == nil {
		return blob{}, err
	}
	b.sort()
	if i, ok := slices.BinarySearch(b.sorted, at.key); ok {
		b.sorted = slices.Delete(b.sorted, i, i+1)
	}
	delete(b.objects, at.key)
	o.ledger.note(erasure(objectSection, at.bucket+"/"+at.key))
	return o.replaced(old.blob, ""), nil
}

// sort merges the fresh keys into the sorted ones.
func (b *bucket) sort() {
	if len(b.fresh) == 0 {
		return
	}
	slices.Sort(b.fresh)
	merged := make([]string, 0, len(b.sorted)+len(b.fresh))
	i := 0
	for _, key := range b.fresh {
		for ; i < len(b.sorted) && b.sorted[i] < key; i++ {
			merged = append(merged, b.sorted[i])
		}
		merged = append(merged, key)
	}
	b.sorted, b.fresh = append(merged, b.sorted[i:]...), nil
}
