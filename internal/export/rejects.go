package export

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/pagination"
)

// maxRejects is how many bytes of rejects end a part: they are held in memory.
const maxRejects = 4 << 20

// rejects collects the records that a part leaves out.
type rejects struct{ lines bytes.Buffer }

// A reject is one line of a rejects object.
type reject struct {
	Pass   string `json:"pass,omitempty"`
	Place  int    `json:"place"` // row of the pass, from 1, in the source's order
	ID     string `json:"id"`
	Reason string `json:"reason"`
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"`
	// Data is the record as it came, in base64. It is absent where fields
	// are dropped or hashed, because they cannot be told in a record that
	// is broken.
	Data []byte `json:"data,omitempty"`
}

func (r *rejects) size() int64 { return int64(r.lines.Len()) }

func (r *rejects) reset() {
	r.lines.Reset()
	if r.lines.Cap() > 2*maxRejects { // of one huge record
		r.lines = bytes.Buffer{}
	}
}

// add notes one record.
func (r *rejects) add(pass string, bad pagination.Row, data []byte, withData bool) error {
	sum := sha256.Sum256(data)
	line := reject{
		Pass: pass, Place: bad.Place, ID: string(bad.ID), Reason: bad.Fault,
		Bytes: len(data), SHA256: hex.EncodeToString(sum[:]),
	}
	if withData {
		line.Data = data
	}
	raw, err := json.Marshal(line) //nolint:gosec // Pass is a pass of the feed, no password
	if err != nil {
		return err
	}
	r.lines.Write(append(raw, '\n'))
	return nil
}

// put stores the rejects of a part and returns their key.
func (r *rejects) put(ctx context.Context, store objectstore.Store, stem string) (string, error) {
	sum := sha256.Sum256(r.lines.Bytes())
	key := rejectsKey(stem, sum[:])
	return key, putOnce(ctx, store, key, r.lines.Bytes(), "application/x-ndjson")
}

func rejectsKey(stem string, sum []byte) string { return fmt.Sprintf("%s-%x.jsonl", stem, sum[:8]) }
