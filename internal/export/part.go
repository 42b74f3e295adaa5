package export

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"hikyaku/internal/objectstore"
)

// A part is the file being filled. It is reused from part to part.
type part struct {
	spool spool
	zip   *gzip.Writer // nil: stored as it is
	out   io.Writer
	sum   hash.Hash
	point checkpoint

	rejects rejects
	known   []byte // what Known.Restore needs of the part's rows and rejects
	lastRow []byte // id of the part's last row
}

// maxPartRows ends a part, because what is known of its rows is held in memory
// until it is stored.
const maxPartRows = 250_000

func newPart(s spool, compressed bool) *part {
	p := &part{spool: s, sum: sha256.New()}
	p.out = &p.spool
	if compressed {
		p.zip, _ = gzip.NewWriterLevel(&p.spool, gzip.BestSpeed) // a valid level
		p.out = p.zip
	}
	return p
}

// reset begins the next part of the run, keeping what spans parts.
func (p *part) reset() {
	p.spool.reset()
	p.sum.Reset()
	p.rejects.reset()
	p.known = p.known[:0]
	p.point = checkpoint{Drift: p.point.Drift, Next: p.point.Next}
	if p.zip != nil {
		p.zip.Reset(&p.spool)
	}
}

// empty reports that the part holds nothing worth an object.
func (p *part) empty() bool { return p.point.Rows == 0 && p.point.Rejects == 0 }

// fits reports whether another n bytes may go into the part. The first row
// always may.
func (p *part) fits(n int, limit int64) bool {
	return p.empty() || p.rejects.size() < maxRejects && p.point.Rows < maxPartRows && p.point.Bytes+p.rejects.size()+int64(n) <= limit
}

// write adds consecutive lines.
func (p *part) write(lines []byte) error {
	if len(lines) == 0 {
		return nil
	}
	_, _ = p.sum.Write(lines) // never fails
	p.point.Bytes += int64(len(lines))
	if _, err := p.out.Write(lines); err != nil {
		return fmt.Errorf("compressing a part: %w", err)
	}
	return nil
}

// countRow counts a row that write has added or will add.
func (p *part) countRow(id []byte) {
	if p.point.Rows == 0 {
		p.point.First = string(id)
	}
	p.point.Rows++
	p.lastRow = append(p.lastRow[:0], id...)
}

// seal completes the part's bytes and its checkpoint.
func (p *part) seal() error {
	if p.zip != nil {
		if err := p.zip.Close(); err != nil {
			return fmt.Errorf("compressing a part: %w", err)
		}
	}
	p.point.SHA256 = hex.EncodeToString(p.sum.Sum(nil))
	p.point.CRC32C = fmt.Sprintf("%08x", p.spool.crc)
	if p.point.Rows > 0 {
		p.point.Last = string(p.lastRow)
	}
	return nil
}

// put stores the sealed part under key unless there is one already, and
// returns the checkpoint of the one that is there now.
func (p *part) put(ctx context.Context, store objectstore.Store, key string) (checkpoint, error) {
	metadata, err := metadataOf(p.point)
	if err != nil {
		return checkpoint{}, err
	}
	object := objectstore.Object{
		Key: key, Body: p.spool.reader(), Size: p.spool.size, ContentType: "application/x-ndjson",
		Metadata: metadata, Condition: objectstore.Condition{Absent: true},
	}
	if p.zip == nil {
		object.SHA256 = p.point.SHA256
	} else {
		// Not a content encoding: the object is a gzip file, and a client
		// that unpacked it on the way would break its size and its name.
		object.ContentType = "application/gzip"
	}
	_, err = store.Put(ctx, object)
	if err == nil {
		return p.point, nil
	}
	if errors.Is(err, objectstore.ErrDenied) {
		return checkpoint{}, fmt.Errorf("writing %s: %w", key, err)
	}
	info, headErr := store.Head(ctx, key) // mine after a lost answer, or another's
	if headErr != nil {
		return checkpoint{}, fmt.Errorf("writing %s: %w", key, errors.Join(err, headErr))
	}
	return readCheckpoint(info)
}
