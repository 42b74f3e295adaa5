package export

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"hikyaku/internal/objectstore"
)

// A Verdict is the result of reading a published run again.
type Verdict struct {
	Manifest Manifest `json:"-"`
	Parts    int      `json:"parts"`
	Rows     int      `json:"rows"`
	Bytes    int64    `json:"bytes"`
	Faults   []string `json:"faults"` // empty: every figure of the manifest is proved
}

// Verify reads every object of the run that the manifest under key describes,
// and compares what is there with every figure in it. Faults are part of the
// verdict; an error means that the verdict could not be reached.
func Verify(ctx context.Context, store objectstore.Store, key string) (Verdict, error) {
	m, err := ReadManifest(ctx, store, key)
	if err != nil {
		return Verdict{}, err
	}
	v := &verifier{store: store, Verdict: Verdict{Manifest: m, Faults: []string{}}}
	d, err := FindDataset(m.Provider + "/" + m.Dataset)
	if err != nil {
		return v.Verdict, err
	}
	v.split = splitter{shape: d.Shape}
	folder := strings.TrimSuffix(key, "_manifest.json")
	extension := extension(m.Compression == "gzip")
	for i, p := range m.Parts {
		if want := fmt.Sprintf("%spart-%05d.%s", folder, i, extension); p.Key != want {
			v.fault("part %d is %s; %s is expected", i, p.Key, want)
		}
		if err := v.part(ctx, p); err != nil {
			return v.Verdict, err
		}
	}
	v.totals()
	return v.Verdict, v.listing(ctx, folder, key)
}

type verifier struct {
	Verdict

	store   objectstore.Store
	split   splitter
	rejects int
	stored  int64
}

func (v *verifier) fault(format string, args ...any) {
	v.Faults = append(v.Faults, fmt.Sprintf(format, args...))
}

// equal notes a figure that is not what was found.
func equal[T comparable](v *verifier, what, figure string, stated, found T) {
	if stated != found {
		v.fault("%s: %s is stated as %v and is %v", what, figure, stated, found)
	}
}

// id compares ids. The digest that stands for a missing id was made before
// fields were dropped or hashed, and cannot be made again from what is left.
func (v *verifier) id(what, figure, stated, found string) {
	if strings.HasPrefix(stated, digestPrefix) && len(v.Manifest.Dropped)+len(v.Manifest.Hashed) > 0 {
		return
	}
	equal(v, what, figure, stated, found)
}

// part proves one part and its rejects.
func (v *verifier) part(ctx context.Context, p Part) error {
	name := path.Base(p.Key)
	info, body, err := v.store.Get(ctx, p.Key)
	if errors.Is(err, objectstore.ErrNotFound) {
		v.fault("%s: there is no such object", name)
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", p.Key, err)
	}
	defer func() { _ = body.Close() }()
	equal(v, name, "stored_bytes", p.StoredBytes, info.Size)
	v.stored += info.Size
	found, err := v.lines(body, name, strings.HasSuffix(p.Key, ".gz"))
	if err != nil {
		v.fault("%s: cannot be read to its end: %v", name, err)
		return nil
	}
	equal(v, name, "rows", p.Rows, found.Rows)
	equal(v, name, "bytes", p.Bytes, found.Bytes)
	equal(v, name, "sha256", p.SHA256, found.SHA256)
	v.id(name, "first_id", p.FirstID, found.First)
	v.id(name, "last_id", p.LastID, found.Last)
	v.Parts++
	v.Rows += found.Rows
	v.Bytes += found.Bytes
	c, err := readCheckpoint(info)
	if err != nil {
		v.fault("%s: no checkpoint in its metadata", name)
		return nil
	}
	equal(v, name, "sha256 in its metadata", c.SHA256, found.SHA256)
	equal(v, name, "rejects", p.Rejects, c.Rejects)
	equal(v, name, "rejects_key", p.RejectsKey, c.RejectsKey)
	return v.rejected(ctx, name, p)
}

// lines reads a part's lines and sums them up.
func (v *verifier) lines(body io.Reader, name string, zipped bool) (checkpoint, error) {
	var c checkpoint
	sum := sha256.New()
	err := eachLine(body, zipped, func(line []byte) error {
		_, _ = sum.Write(line) // never fails
		c.Bytes += int64(len(line))
		c.Rows++
		record, whole := bytes.CutSuffix(line, []byte("\n"))
		if !whole || len(record) == 0 || record[0] != '{' || !jsontext.Value(record).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
			v.fault("%s: line %d is not one JSON object with a newline", name, c.Rows)
			return nil
		}
		id := v.split.rowID(record)
		if c.Rows == 1 {
			c.First = string(id)
		}
		c.Last = string(id)
		return nil
	})
	c.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return c, err
}

// rejected proves the number of a part's rejects.
func (v *verifier) rejected(ctx context.Context, name string, p Part) error {
	v.rejects += p.Rejects
	if p.Rejects == 0 {
		return nil
	}
	_, body, err := v.store.Get(ctx, p.RejectsKey)
	if errors.Is(err, objectstore.ErrNotFound) {
		v.fault("%s: its rejects are not at %s", name, p.RejectsKey)
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", p.RejectsKey, err)
	}
	defer func() { _ = body.Close() }()
	n := 0
	if err := eachLine(body, false, func([]byte) error { n++; return nil }); err != nil {
		return fmt.Errorf("reading %s: %w", p.RejectsKey, err)
	}
	equal(v, name, "rejects", p.Rejects, n)
	return nil
}

func (v *verifier) totals() {
	equal(v, "manifest", "rows", v.Manifest.Rows, v.Rows)
	equal(v, "manifest", "bytes", v.Manifest.Bytes, v.Bytes)
	equal(v, "manifest", "stored_bytes", v.Manifest.StoredBytes, v.stored)
	equal(v, "manifest", "rejects", v.Manifest.Rejects, v.rejects)
}

// listing proves that the run's folder holds what the manifest names, and
// nothing else.
func (v *verifier) listing(ctx context.Context, folder, manifest string) error {
	named := map[string]bool{manifest: true}
	for _, p := range v.Manifest.Parts {
		named[p.Key] = true
	}
	for info, err := range v.store.List(ctx, folder, "") {
		if err != nil {
			return fmt.Errorf("listing %s: %w", folder, err)
		}
		if !named[info.Key] {
			v.fault("%s: the manifest does not name this object", path.Base(info.Key))
		}
	}
	return nil
}
