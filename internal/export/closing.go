package export

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
)

// knownIDs is the set of the rows that a run has stored, as 64-bit hashes. It
// is held only for a source without order or with fixed pages: it is listed a second
// time, and rows that the first list did not show are taken then.
type knownIDs struct {
	seed maphash.Seed
	set  map[uint64]struct{}
}

func (k *knownIDs) add(id []byte) { k.set[maphash.Bytes(k.seed, id)] = struct{}{} }

func (k *knownIDs) has(id []byte) bool {
	_, ok := k.set[maphash.Bytes(k.seed, id)]
	return ok
}

// openClosing stores the part being filled, so that all rows can be read
// back, and notes their ids.
func (x *extraction) openClosing(ctx context.Context) error {
	if !x.part.empty() {
		if err := x.store(ctx); err != nil {
			return err
		}
	}
	k := &knownIDs{seed: maphash.MakeSeed(), set: map[uint64]struct{}{}}
	_, points, err := x.stored(ctx)
	if err != nil {
		return err
	}
	for _, c := range points {
		if err := x.stayAlive(ctx); err != nil {
			return err
		}
		err := x.eachLine(ctx, c.key, x.set.Gzip, func(line []byte) error {
			k.add(x.ids.rowID(bytes.TrimSuffix(line, []byte("\n"))))
			return nil
		})
		if err == nil && c.RejectsKey != "" {
			err = x.eachLine(ctx, c.RejectsKey, false, func(line []byte) error {
				var bad reject
				err := json.Unmarshal(line, &bad)
				k.add([]byte(bad.ID))
				return err
			})
		}
		if err != nil {
			return fmt.Errorf("reading back %s: %w", c.key, err)
		}
	}
	x.known = k
	return nil
}

// eachLine yields the lines of a stored object, with their newlines.
func (j *job) eachLine(ctx context.Context, key string, zipped bool, yield func([]byte) error) error {
	_, body, err := j.seams.Store.Get(ctx, key)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	return eachLine(body, zipped, yield)
}

func eachLine(body io.Reader, zipped bool, yield func([]byte) error) error {
	if zipped {
		z, err := gzip.NewReader(body)
		if err != nil {
			return err
		}
		body = z
	}
	lines := bufio.NewReaderSize(body, 1<<16)
	var long []byte
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, line...)
			continue
		}
		if len(long) > 0 {
			long = append(long, line...)
			line = long
		}
		if len(line) > 0 {
			if yieldErr := yield(line); yieldErr != nil {
				return yieldErr
			}
		}
		long = long[:0]
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
