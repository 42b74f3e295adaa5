package export

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/pagination"
)

// checkpointKey names the metadata of a part that holds its checkpoint.
const checkpointKey = "checkpoint"

// A checkpoint is what a part's metadata says of it, and how a run goes on
// after it. With two ids, a rejects key and a position whose ids are bounded,
// the whole stays under the 2 KB of metadata that S3 allows.
type checkpoint struct {
	Rows    int    `json:"rows"`
	Bytes   int64  `json:"bytes"`  // of the uncompressed lines
	SHA256  string `json:"sha256"` // of the uncompressed lines
	CRC32C  string `json:"crc32c"` // of the stored bytes
	First   string `json:"first"`  // id of the first row
	Last    string `json:"last"`
	Rejects int    `json:"rejects,omitempty"`
	// Owed are those of them that were met in windows which earlier runs owe.
	Owed int `json:"owed,omitempty"`
	// RejectsKey is the object that holds them.
	RejectsKey string `json:"rejects_key,omitempty"`
	// Known ends the key of the object that holds the ids of the part's rows.
	Known   string `json:"known,omitempty"`
	Repeats int    `json:"repeats,omitempty"` // rows left out because an earlier pass delivered them
	// Late are rows that only a further look at the list showed.
	Late int `json:"late,omitempty"`
	// Redacted says which paths of the redaction the part's records had, a bit
	// each; empty: nothing is redacted.
	Redacted string              `json:"redacted,omitempty"`
	Drift    pagination.Drift    `json:"drift"` // of the run, up to here
	Next     pagination.Position `json:"next"`

	key    string // of a stored part
	stored int64  // its bytes there
}

// samePart reports whether two checkpoints describe the same part.
func samePart(c, d checkpoint) bool {
	return c.SHA256 == d.SHA256 && c.Rows == d.Rows && c.RejectsKey == d.RejectsKey &&
		c.Next.Pass == d.Next.Pass && c.Next.Look == d.Next.Look && c.Next.Rows == d.Next.Rows && slices.Equal(c.Next.Last, d.Next.Last)
}

// metadataOf renders the checkpoint for a part. Only ASCII may stand there.
func metadataOf(c checkpoint) (map[string]string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(c); err != nil {
		return nil, err
	}
	return map[string]string{checkpointKey: ascii(strings.TrimSpace(b.String()))}, nil
}

// partOf is what a manifest says of a stored part.
func partOf(c checkpoint) Part {
	return Part{
		Key: c.key, Rows: c.Rows, Bytes: c.Bytes, StoredBytes: c.stored, StoredCRC32C: c.CRC32C, SHA256: c.SHA256,
		FirstID: c.First, LastID: c.Last, Rejects: c.Rejects, RejectsKey: c.RejectsKey,
	}
}

// ascii writes all characters of a JSON text that no header can carry as \uNNNN.
func ascii(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r <= '~':
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// readCheckpoint reads a stored part's metadata.
func readCheckpoint(info objectstore.Info) (checkpoint, error) {
	var c checkpoint
	if err := json.Unmarshal([]byte(info.Metadata[checkpointKey]), &c); err != nil || c.SHA256 == "" {
		return c, fmt.Errorf("reading %s: no checkpoint in its metadata; a copy by hand loses it: move the run's folder away", info.Key)
	}
	return c, nil
}
