package export

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"
)

// Fields names what must not leave as it is, by path: names joined by dots,
// through arrays, matched after undoing escapes, every occurrence.
type Fields struct {
	Drop []string `json:"drop,omitempty"` // the member vanishes, name and value
	Hash []string `json:"hash,omitempty"` // the value becomes "hmac-sha256:..."
}

// none reports that nothing is dropped or hashed.
func (f Fields) none() bool { return len(f.Drop)+len(f.Hash) == 0 }

// Faults returns what is wrong with the paths for a dataset.
func (f Fields) Faults(d Dataset) []error {
	var faults []error
	for _, path := range slices.Concat(f.Drop, f.Hash) {
		switch {
		case path == "" || slices.Contains(strings.Split(path, "."), ""):
			faults = append(faults, fmt.Errorf("%s: %q is not a path such as \"customer.email\"", d, path))
		case d.needs(path):
			faults = append(faults, fmt.Errorf("%s: %s cannot be dropped or hashed: the export finds its place by it", d, path))
		case slices.Contains(f.Drop, path) && slices.Contains(f.Hash, path):
			faults = append(faults, fmt.Errorf("%s: %s is both dropped and hashed", d, path))
		}
	}
	return faults
}

// A redactor rewrites records. It is not safe for concurrent use.
type redactor struct {
	root *redactNode
	mac  hash.Hash
	out  []byte
}

// redactNode is one step of the paths.
type redactNode struct {
	names      []string
	children   []*redactNode
	drop, hash bool
}

// newRedactor returns nil if there is nothing to do.
func newRedactor(f Fields, key []byte) *redactor {
	if f.none() {
		return nil
	}
	r := &redactor{root: &redactNode{}, mac: hmac.New(sha256.New, key)}
	for _, path := range f.Drop {
		r.root.at(path).drop = true
	}
	for _, path := range f.Hash {
		r.root.at(path).hash = true
	}
	return r
}

func (n *redactNode) at(path string) *redactNode {
	for name := range strings.SplitSeq(path, ".") {
		child := n.child([]byte(name))
		if child == nil {
			child = &redactNode{}
			n.names, n.children = append(n.names, name), append(n.children, child)
		}
		n = child
	}
	return n
}

func (n *redactNode) child(raw []byte) *redactNode {
	for i, name := range n.names {
		if nameIs(raw, name) {
			return n.children[i]
		}
	}
	return nil
}

// apply returns the compact line without what must not leave, until the next
// call.
func (r *redactor) apply(line []byte) []byte {
	r.out = r.out[:0]
	end := skipValue(line, 0)
	r.value(line[:end], 0, r.root)
	r.out = append(r.out, line[end:]...)
	return r.out
}

// value copies the value at b[i] and returns the index behind it.
func (r *redactor) value(b []byte, i int, n *redactNode) int {
	end := skipValue(b, i)
	switch {
	case n == nil || len(n.children) == 0 && !n.hash:
		r.out = append(r.out, b[i:end]...)
	case n.hash:
		r.hash(b[i:end])
	case b[i] == '[':
		r.elements(b, i, end, n)
	case b[i] == '{':
		r.object(b, i, n)
	default:
		r.out = append(r.out, b[i:end]...)
	}
	return end
}

func (r *redactor) elements(b []byte, i, end int, n *redactNode) {
	r.out = append(r.out, '[')
	for i++; i < end-1; {
		i = r.value(b, i, n)
		if b[i] == ',' {
			r.out = append(r.out, ',')
			i++
		}
	}
	r.out = append(r.out, ']')
}

func (r *redactor) object(b []byte, i int, n *redactNode) {
	r.out = append(r.out, '{')
	first := true
	members(b, i, func(m member) bool {
		child := n.child(m.name)
		if child != nil && child.drop {
			return true
		}
		if !first {
			r.out = append(r.out, ',')
		}
		first = false
		r.out = append(r.out, b[m.begin:m.value]...)
		r.value(b, m.value, child)
		return true
	})
	r.out = append(r.out, '}')
}

// hash writes the keyed hash of a value: of a string's content, so that the
// same text gives the same hash however it is escaped, else of its bytes.
// Null stays, since it is no value.
func (r *redactor) hash(value []byte) {
	if string(value) == "null" {
		r.out = append(r.out, value...)
		return
	}
	plain := value
	if value[0] == '"' {
		if s, ok := unquote(value[1 : len(value)-1]); ok {
			plain = s
		}
	}
	r.mac.Reset()
	_, _ = r.mac.Write(plain)
	r.out = append(r.out, `"hmac-sha256:`...)
	r.out = hex.AppendEncode(r.out, r.mac.Sum(nil))
	r.out = append(r.out, '"')
}
