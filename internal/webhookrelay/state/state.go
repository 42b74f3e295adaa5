// Package state keeps what the relay knows of one SuperSaaS account and one Yappli
// tenant: documents in the object store, each of them changed by compare-and-swap.
// docs/relay-protocol.md says what each is for, and in which order they are written.
//
// Names of people and their values are in it as HMACs only.
package state

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"hikyaku/internal/objectstore"
)

// A State is all documents of one account and one tenant.
type State struct {
	Root string // leads every key

	Rows      Rows
	Claims    Claims
	Index     Index
	Wanted    Wanted
	Disabling Disabling
	Pairs     Pairs
	Decisions Decisions
}

// New returns the state below a root, which ends in a slash.
func New(objects objectstore.Store, root string) State {
	folder := func(name string) documents { return documents{objects, root + name} }
	return State{
		Root: root,
		Rows: Rows{folder("rows/")}, Claims: Claims{folder("identities/")}, Pairs: Pairs{byUser[Pair]{folder("pairs/")}}, Decisions: Decisions{byUser[Decision]{folder("decisions/")}},
		Index: Index{folder("index")}, Wanted: Wanted{folder("wanted")}, Disabling: Disabling{folder("cap")},
	}
}

// swapAttempts bounds the tries of a swap that many workers contend for.
const swapAttempts = 20

// documents are those whose keys begin alike.
type documents struct {
	objects objectstore.Store
	prefix  string
}

// read reads a document, into v unless there is none.
func (d documents) read(ctx context.Context, name string, v any) (objectstore.Document, error) {
	document, err := objectstore.ReadDocument(ctx, d.objects, d.prefix+name)
	if err == nil {
		err = document.Decode(v)
	}
	return document, err
}

// names lists the documents after one of them.
func (d documents) names(ctx context.Context, after string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if after != "" {
			after = d.prefix + after
		}
		for info, err := range d.objects.List(ctx, d.prefix, after) {
			if !yield(strings.TrimPrefix(info.Key, d.prefix), err) || err != nil {
				return
			}
		}
	}
}

// users lists the users of whom there is a document.
func (d documents) users(ctx context.Context, after string) iter.Seq2[int64, error] {
	return func(yield func(int64, error) bool) {
		for name, err := range d.names(ctx, after) {
			user, malformed := strconv.ParseInt(name, 10, 64)
			if err == nil && malformed != nil {
				continue
			}
			if !yield(user, err) {
				return
			}
		}
	}
}

// byUser are documents of which a user has one, or none.
type byUser[T any] struct{ documents documents }

// Read returns a user's; the zero one if there is none.
func (s byUser[T]) Read(ctx context.Context, user int64) (found T, err error) {
	_, err = s.documents.read(ctx, strconv.FormatInt(user, 10), &found)
	return found, err
}

// Users lists the users who have one.
func (s byUser[T]) Users(ctx context.Context) iter.Seq2[int64, error] {
	return s.documents.users(ctx, "")
}

// A Key is the random key under which names and values are hashed. Who may read
// the bucket can compute the hashes; the names of its objects alone are not enough.
type Key []byte

// ReadKey reads the key below a prefix, or makes it.
func ReadKey(ctx context.Context, objects objectstore.Store, prefix string) (Key, error) {
	document, err := objectstore.ReadDocument(ctx, objects, prefix+"/state/relay/key")
	if err != nil {
		return nil, err
	}
	if !document.Exists() {
		fresh := make([]byte, sha256.Size)
		_, _ = rand.Read(fresh) // never fails
		switch next, err := document.Replace(ctx, objects, fresh); {
		case err == nil:
			document = next
		case !errors.Is(err, objectstore.ErrConflict):
			return nil, err
		default:
			return ReadKey(ctx, objects, prefix) // somebody else made it
		}
	}
	var key Key
	if err := document.Decode(&key); err != nil || len(key) != sha256.Size {
		return nil, fmt.Errorf("reading %s: not a key; move the object away, then run a reconcile", document.Key)
	}
	return key, nil
}

// A Digest is an HMAC under the key, cut to 128 bits.
type Digest [16]byte

// String returns lower-case hex.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Word is the first half.
func (d Digest) Word() uint64 { return binary.LittleEndian.Uint64(d[:8]) }

// ParseDigest reads what String wrote.
func ParseDigest(s string) (d Digest, ok bool) {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != len(d) {
		return d, false
	}
	return Digest(raw), true
}

// Digest hashes parts of a kind, so that no two kinds and no two divisions of
// the same text collide.
func (k Key) Digest(kind string, parts ...string) Digest {
	mac := hmac.New(sha256.New, k)
	mac.Write([]byte(kind))
	for _, p := range parts {
		_, _ = fmt.Fprintf(mac, "\x00%d\x00%s", len(p), p)
	}
	return Digest(mac.Sum(nil)[:16])
}
