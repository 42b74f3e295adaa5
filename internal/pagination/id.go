package pagination

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"hikyaku/pkg/jsonscan"
)

// maxID is the width of the longest id that is kept as it is: a Position, which
// must fit into a part's metadata, holds a few of them.
const maxID = 128

// digestPrefix begins the ids that are made from a record's bytes.
const digestPrefix = "sha256:"

// RowID returns the id by which a record is known: its own, or a digest of its
// bytes if it has none that a Position could hold.
func RowID(id, record []byte) []byte {
	if id == nil || Width(id) > maxID {
		return digestID(record)
	}
	return id
}

// digestID is an id made of bytes: equal bytes get equal ids.
func digestID(b []byte) []byte {
	sum := sha256.Sum256(b)
	return []byte(digestPrefix + hex.EncodeToString(sum[:8]))
}

// IsDigest reports whether RowID made the id from the record's bytes.
func IsDigest(id []byte) bool { return strings.HasPrefix(string(id), digestPrefix) }

// Width is how many bytes an id takes at most as ASCII JSON. An id that is not
// UTF-8 could not be read back, so it is wider than maxID.
func Width(id []byte) int {
	n := 0
	for _, r := range string(id) {
		switch {
		case r == utf8.RuneError:
			return maxID + 1
		case r > 0xffff:
			n += 12
		case r < ' ' || r > '~':
			n += 6
		case r == '"' || r == '\\':
			n += 2
		default:
			n++
		}
	}
	return n
}

// idOf is RowID of one record of a list.
func idOf(l jsonscan.List, r jsonscan.Record) []byte { return RowID(r.ID, l.Bytes(r)) }
