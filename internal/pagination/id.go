package pagination

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"hikyaku/pkg/jsonscan"
)

// maxID is the width of the longest id that a Position can hold a few of.
const maxID = 128

// digestPrefix begins the ids that are none of the provider's.
const digestPrefix = "sha256:"

// RowID returns the id by which a record is known: its own, or a digest of its
// bytes if it has none that a Position could hold.
func RowID(id, record []byte) []byte {
	if id == nil || Width(id) > maxID {
		return digestID(record)
	}
	return id
}

// digestID stands for an id: equal bytes get equal ones.
func digestID(b []byte) []byte {
	sum := sha256.Sum256(b)
	return []byte(digestPrefix + hex.EncodeToString(sum[:8]))
}

// IsDigest reports whether RowID made the id of the record's bytes.
func IsDigest(id []byte) bool { return strings.HasPrefix(string(id), digestPrefix) }

// Width is how many bytes an id takes as ASCII JSON at most. One that is not
// UTF-8 would come back as another, so it is too wide for any.
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
