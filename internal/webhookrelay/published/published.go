// Package published keeps the mappings that a shop has published in its bucket,
// so that a mapping changes without a deployment: each under the digest of its
// bytes, and one document that says which of them counts.
//
//	{prefix}/config/mapping/{sha256}.yaml
//	{prefix}/config/mapping/pointer
//
// Functions read it through a Reader; the command line writes it through a Store.
package published

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/webhookrelay/mapping"
)

const (
	folder   = "/config/mapping/"
	file     = ".yaml"
	mostFile = 1 << 20 // a mapping is refused by its parser from a quarter of that
	mostLog  = 500     // entries that the pointer keeps
	mostWhy  = 200     // characters of a reason: the pointer with all its entries stays readable
)

// ErrNothingBefore says that an undo has nothing to go back to.
var ErrNothingBefore = errors.New("there is nothing to go back to: no mapping was published before the one that counts; publish the file that you want with 'hikyaku mapping put FILE'")

// An Entry says that a mapping counted from then on.
type Entry struct {
	Digest string    `json:"digest"` // SHA-256 of the file, in hex
	At     time.Time `json:"at"`
	By     string    `json:"by,omitempty"`
	Why    string    `json:"why,omitempty"`
	Undo   bool      `json:"undo,omitempty"` // it counted before, and the one after it was taken back
}

// Short is enough of a digest to tell mappings apart in a line.
func (e Entry) Short() string { return e.Digest[:min(12, len(e.Digest))] }

// A Log is what the pointer says, as it was read.
type Log struct {
	Entries []Entry // oldest first; the last one counts

	document objectstore.Document
}

// data is what the pointer's document holds.
type data struct {
	Entries []Entry `json:"entries"`
}

// Current is the entry that counts. ok is false where nothing was published yet.
func (l Log) Current() (e Entry, ok bool) {
	if len(l.Entries) == 0 {
		return e, false
	}
	return l.Entries[len(l.Entries)-1], true
}

// Before is the entry that an undo brings back.
func (l Log) Before() (e Entry, ok bool) {
	var put []Entry // those not taken back
	for _, e := range l.Entries {
		if e.Undo {
			put = put[:max(0, len(put)-1)]
		}
		// What an undo went back to may be no longer among the entries that are kept.
		if !e.Undo || len(put) == 0 || put[len(put)-1].Digest != e.Digest {
			put = append(put, e)
		}
	}
	if len(put) < 2 {
		return e, false
	}
	return put[len(put)-2], true
}

// A Store is where a stack's mappings lie.
type Store struct {
	Objects objectstore.Store
	Prefix  string // of the stack
}

func (s Store) key(digest string) string { return s.Prefix + folder + digest + file }

// Log reads the pointer.
func (s Store) Log(ctx context.Context) (Log, error) {
	document, err := objectstore.ReadDocument(ctx, s.Objects, s.Prefix+folder+"pointer")
	if err != nil {
		return Log{}, err
	}
	var d data
	if err := document.Decode(&d); err != nil {
		return Log{}, err
	}
	// One that names no mapping is only the first, which Put makes before any entry.
	foreign := func(e Entry) bool { return !digests.MatchString(e.Digest) }
	if len(d.Entries) == 0 && document.Counter > 1 || slices.ContainsFunc(d.Entries, foreign) {
		return Log{}, fmt.Errorf("reading %s: it names no mapping as hikyaku does; move the object away, and publish the right mapping with 'hikyaku mapping put FILE'", document.Key)
	}
	return Log{d.Entries, document}, nil
}

// digests are those that mapping.DigestOf makes.
var digests = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Source reads the file of a mapping, and refuses one that is not what its name
// says.
func (s Store) Source(ctx context.Context, digest string) ([]byte, error) {
	source, _, err := s.source(ctx, digest)
	return source, err
}

// errContent: a file is not the one that its name says.
var errContent = errors.New("its content has another digest than its name; publish the mapping again with 'hikyaku mapping put FILE'")

// source is Source, and also says which version of the object it has read.
func (s Store) source(ctx context.Context, digest string) (source []byte, etag string, err error) {
	info, body, err := s.Objects.Get(ctx, s.key(digest))
	if err != nil {
		return nil, "", fmt.Errorf("reading %s: %w", s.key(digest), err)
	}
	defer func() { _ = body.Close() }()
	if source, err = io.ReadAll(io.LimitReader(body, mostFile)); err != nil {
		return nil, "", fmt.Errorf("reading %s: %w", s.key(digest), err)
	}
	if mapping.DigestOf(source) != digest {
		return nil, info.ETag, fmt.Errorf("reading %s: %w", s.key(digest), errContent)
	}
	return source, info.ETag, nil
}

// everPublished reports whether a mapping lies in the folder: then a pointer that
// is missing was there.
func (s Store) everPublished(ctx context.Context) (bool, error) {
	for info, err := range s.Objects.List(ctx, s.Prefix+folder, "") {
		if err != nil {
			return false, err
		}
		if strings.HasSuffix(info.Key, file) {
			return true, nil
		}
	}
	return false, nil
}

// Lost reports whether a mapping was published whose pointer is gone. Nobody knows
// then which counted.
func (s Store) Lost(ctx context.Context, l Log) (bool, error) {
	if l.document.Exists() {
		return false, nil
	}
	return s.everPublished(ctx)
}

// Put publishes a mapping, if the log is still as it was read. Its file is stored
// before the pointer names it, and after a pointer exists. Where the pointer was
// lost, it is made with the entry: an empty one would say that the packaged
// mapping counts again.
func (s Store) Put(ctx context.Context, from Log, source []byte, e Entry) error {
	if err := e.check(); err != nil {
		return err
	}
	lost, err := s.Lost(ctx, from)
	if err != nil {
		return err
	}
	if !lost && !from.document.Exists() {
		if from.document, err = from.document.Replace(ctx, s.Objects, data{}); err != nil {
			return changed(err)
		}
	}
	e.Digest = mapping.DigestOf(source)
	if err := s.store(ctx, e.Digest, source); err != nil {
		return err
	}
	return s.append(ctx, from, e)
}

// store makes the file of a mapping, or makes it good.
func (s Store) store(ctx context.Context, digest string, source []byte) error {
	object := objectstore.Object{
		Key: s.key(digest), Size: int64(len(source)), ContentType: "application/yaml",
		Condition: objectstore.Condition{Absent: true}, SHA256: digest,
	}
	object.Body = bytes.NewReader(source)
	_, err := s.Objects.Put(ctx, object)
	if !errors.Is(err, objectstore.ErrConflict) {
		return err
	}
	_, etag, err := s.source(ctx, digest) // it is there already
	if !errors.Is(err, errContent) {
		return err
	}
	object.Body, object.Condition = bytes.NewReader(source), objectstore.Condition{ETag: etag}
	_, err = s.Objects.Put(ctx, object)
	return err
}

// check refuses an entry with which the pointer could grow until nobody reads it.
func (e Entry) check() error {
	if utf8.RuneCountInString(e.Why) > mostWhy {
		return fmt.Errorf("the reason has more than %d characters", mostWhy)
	}
	return nil
}

// Undo lets the mapping count again that counted before the current one.
func (s Store) Undo(ctx context.Context, from Log, e Entry) (Entry, error) {
	if err := e.check(); err != nil {
		return e, err
	}
	before, ok := from.Before()
	if !ok {
		return e, ErrNothingBefore
	}
	if _, err := s.Source(ctx, before.Digest); err != nil {
		return e, err
	}
	e.Digest, e.Undo = before.Digest, true
	return e, s.append(ctx, from, e)
}

func (s Store) append(ctx context.Context, from Log, e Entry) error {
	entries := append(slices.Clone(from.Entries), e)
	_, err := from.document.Replace(ctx, s.Objects, data{entries[max(0, len(entries)-mostLog):]})
	return changed(err)
}

func changed(err error) error {
	if errors.Is(err, objectstore.ErrConflict) {
		return fmt.Errorf("somebody else has published a mapping meanwhile; see 'hikyaku mapping log', and try again: %w", err)
	}
	return err
}
