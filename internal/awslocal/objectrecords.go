package awslocal

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"hikyaku/pkg/providers/sandbox"
)

// Sections of the keeper that hold the objects. Multipart uploads are in none: who was
// interrupted finds no upload, and begins again.
const (
	bucketSection = "aws.buckets"
	objectSection = "aws.objects" // by bucket and key
)

type bucketRecord struct{ Created time.Time }

// objectRecord is an object; a small body stands behind it.
type objectRecord struct {
	ETag     string
	Modified time.Time
	Headers  map[string][][]byte // as bytes: not every header is text
	Checksum map[string][][]byte
	Tags     map[string]string `json:",omitempty"`
	Size     int64
	File     string `json:",omitempty"` // of a large body
}

// smallBody is the largest body that the keeper holds. Larger ones are files with names
// of their own, written before the object is kept, and never written again.
const smallBody = 32 << 10

// bodyFolder of Options.Dir holds the files of kept objects, and nothing else.
const bodyFolder = "bodies"

func (b *bucket) record(name string) sandbox.Change {
	return record(bucketSection, name, bucketRecord{b.created}, nil)
}

func (o *object) record(at place) sandbox.Change {
	r := objectRecord{ETag: o.etag, Modified: o.modified, Headers: rawHeaders(o.headers), Checksum: rawHeaders(o.checksum), Tags: o.tags, Size: o.size}
	if o.path != "" {
		r.File = filepath.Base(o.path)
	}
	return record(objectSection, at.bucket+"/"+at.key, r, o.data)
}

func rawHeaders(h http.Header) map[string][][]byte {
	raw := make(map[string][][]byte, len(h))
	for name, values := range h {
		for _, v := range values {
			raw[name] = append(raw[name], []byte(v))
		}
	}
	return raw
}

func headersOf(raw map[string][][]byte) http.Header {
	h := make(http.Header, len(raw))
	for name, values := range raw {
		for _, v := range values {
			h[name] = append(h[name], string(v))
		}
	}
	return h
}

// keeps says whether objects outlive the process.
func (o *objects) keeps() bool { return o.ledger.keeper != nil }

// settle keeps what was changed, and then takes away the bodies that nothing needs any
// more. If it fails, they stay until the next start.
func (o *objects) settle(unneeded ...blob) error {
	if err := o.ledger.settle(); err != nil {
		return err
	}
	for _, b := range unneeded {
		b.remove()
	}
	return nil
}

// spoolKept keeps what is read, in memory if it is small.
func (o *objects) spoolKept(r io.Reader) (blob, error) {
	head, err := io.ReadAll(io.LimitReader(r, smallBody+1))
	if err != nil || len(head) <= smallBody {
		return blob{size: int64(len(head)), data: head}, err
	}
	r = io.MultiReader(bytes.NewReader(head), r)
	if o.dir == "" {
		data, err := io.ReadAll(r)
		return blob{size: int64(len(data)), data: data}, err
	}
	return writeBlob(o.path(bodyFolder, uuid.NewString()), r)
}

// restore reads the objects of an earlier process, and takes away the files of its that
// are no object's.
func (o *objects) restore() error {
	if o.dir != "" {
		if err := os.MkdirAll(o.path(bodyFolder), 0o750); err != nil {
			return fmt.Errorf("keeping objects in %s: %w", o.dir, err)
		}
	}
	if err := load(o.ledger.keeper, bucketSection, func(name string, r bucketRecord, _ []byte) error {
		o.buckets[name] = newBucket(r.Created)
		return nil
	}); err != nil {
		return err
	}
	files := map[string]bool{}
	if err := load(o.ledger.keeper, objectSection, func(key string, r objectRecord, body []byte) error {
		if r.File != "" {
			files[r.File] = true
		}
		return o.readd(key, r, body)
	}); err != nil {
		return err
	}
	if o.buckets[Bucket] == nil {
		b := newBucket(o.now())
		o.buckets[Bucket] = b
		o.ledger.note(b.record(Bucket))
	}
	if o.dir == "" {
		return nil
	}
	found, err := os.ReadDir(o.path(bodyFolder))
	for _, f := range found {
		if !files[f.Name()] {
			_ = os.Remove(o.path(bodyFolder, f.Name()))
		}
	}
	return err
}

// readd puts an object back.
func (o *objects) readd(key string, r objectRecord, body []byte) error {
	at := placeIn(key)
	b, ok := o.buckets[at.bucket]
	if !ok {
		return errNoSuchBucket
	}
	made := &object{etag: r.ETag, modified: r.Modified, headers: headersOf(r.Headers), checksum: headersOf(r.Checksum), tags: r.Tags, blob: blob{size: r.Size, data: body}}
	if r.File != "" {
		made.data, made.path = nil, o.path(bodyFolder, filepath.Base(r.File))
		info, err := os.Stat(made.path)
		if err != nil || info.Size() != r.Size {
			return fmt.Errorf("its body should be %d bytes in %s; put the file back, or begin anew in another directory", r.Size, made.path)
		}
	}
	b.objects[at.key] = made
	b.fresh = append(b.fresh, at.key)
	return nil
}
