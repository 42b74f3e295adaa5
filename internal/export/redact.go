package export

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"

	"hikyaku/pkg/jsonscan"
)

// Fields names what must not leave as it is, by path: names joined by dots,
// through arrays, matched after undoing escapes, every occurrence. A path that
// ends in a question mark is rare by nature: no run is refused because it has
// not been met.
type Fields struct {
	Drop []string `json:"drop,omitempty"` // the member vanishes, name and value
	Hash []string `json:"hash,omitempty"` // the value becomes "hmac-sha256:..."
}

// FieldsSyntax shows how paths are written.
const FieldsSyntax = `dataset:field,field; dataset:field, a field inside another being names joined by dots, with a question mark after one that is rare by nature, such as "shopline/customers:email,phones; shopline/orders:delivery_address.recipient_name; yappli/users:login_id,column07?"`

// maxPaths bounds the paths of a dataset, so that what they matched fits into
// a checkpoint.
const maxPaths = 200

// none reports that nothing is dropped or hashed.
func (f Fields) none() bool { return len(f.Drop)+len(f.Hash) == 0 }

// A redactPath is one path of Fields.
type redactPath struct {
	path string // without the question mark
	hash bool
	rare bool
}

// paths returns all paths in an order that does not depend on how the settings
// are written down.
func (f Fields) paths() []redactPath {
	all := make([]redactPath, 0, len(f.Drop)+len(f.Hash))
	add := func(list []string, hash bool) {
		for _, text := range slices.Sorted(slices.Values(list)) {
			path, rare := strings.CutSuffix(text, "?")
			all = append(all, redactPath{path: path, hash: hash, rare: rare})
		}
	}
	add(f.Drop, false)
	add(f.Hash, true)
	return all
}

// plainPaths returns paths without their question marks; never nil.
func plainPaths(list []string) []string {
	plain := make([]string, len(list))
	for i, text := range list {
		plain[i] = strings.TrimSuffix(text, "?")
	}
	return plain
}

// Faults returns what is wrong with the paths for a dataset.
func (f Fields) Faults(d Dataset) []error {
	var faults []error
	drop, hash := plainPaths(f.Drop), plainPaths(f.Hash)
	all := slices.Concat(drop, hash)
	if len(all) > maxPaths {
		faults = append(faults, fmt.Errorf("%s: %d paths are more than the %d that are possible", d, len(all), maxPaths))
	}
	for i, path := range all {
		outer := slices.IndexFunc(all, func(other string) bool { return strings.HasPrefix(path, other+".") })
		switch {
		case path == "" || slices.Contains(strings.Split(path, "."), "") || strings.Contains(path, "?"):
			faults = append(faults, fmt.Errorf("%s: %q is not a path such as \"customer.email\"", d, clip(path)))
		case d.needs(path):
			faults = append(faults, fmt.Errorf("%s: %s cannot be dropped or hashed: the export finds its place by it", d, path))
		case slices.Contains(drop, path) && slices.Contains(hash, path):
			faults = append(faults, fmt.Errorf("%s: %s is both dropped and hashed", d, path))
		case slices.Index(all, path) < i:
			faults = append(faults, fmt.Errorf("%s: %s is named twice", d, path))
		case outer >= 0:
			faults = append(faults, fmt.Errorf("%s: %s is inside %s, which is dropped or hashed as a whole", d, path, all[outer]))
		}
	}
	return faults
}

// A redactor rewrites records, and counts what it finds in them. It is not safe
// for concurrent use.
type redactor struct {
	root   *redactNode
	paths  []redactPath
	hits   []int // by path, since the part began
	judged bool  // every path that must be met has been
	// refusal: one has not, and nothing may be stored.
	refusal error
	mac     hash.Hash
	out     []byte
}

// redactNode is one step of the paths.
type redactNode struct {
	names      []string
	children   []*redactNode
	drop, hash bool
	path       int // where drop or hash: index of the path

	met map[string]bool // names of the objects here, while nothing is judged
}

// newRedactor returns nil if there is nothing to do.
func newRedactor(f Fields, key []byte) *redactor {
	if f.none() {
		return nil
	}
	r := &redactor{root: &redactNode{}, paths: f.paths(), mac: hmac.New(sha256.New, key)}
	r.hits = make([]int, len(r.paths))
	for i, p := range r.paths {
		n := r.root.at(p.path)
		n.drop, n.hash, n.path = !p.hash, p.hash, i
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
		if jsonscan.NameIs(raw, name) {
			return n.children[i]
		}
	}
	return nil
}

// apply returns the compact line without what must not leave, until the next
// call.
func (r *redactor) apply(line []byte) []byte {
	r.out = r.out[:0]
	end := jsonscan.SkipValue(line, 0)
	r.value(line[:end], 0, r.root)
	r.out = append(r.out, line[end:]...)
	return r.out
}

// value copies the value at b[i] and returns the index after it.
func (r *redactor) value(b []byte, i int, n *redactNode) int {
	end := jsonscan.SkipValue(b, i)
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
	jsonscan.Members(b, i, func(m jsonscan.Member) bool {
		child := n.child(m.Name)
		if !r.judged {
			n.meet(m.Name)
		}
		if child != nil && (child.drop || child.hash) {
			r.hits[child.path]++
		}
		if child != nil && child.drop {
			return true
		}
		if !first {
			r.out = append(r.out, ',')
		}
		first = false
		r.out = append(r.out, b[m.Begin:m.Value]...)
		r.value(b, m.Value, child)
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
		if s, ok := jsonscan.Unquote(value[1 : len(value)-1]); ok {
			plain = s
		}
	}
	r.mac.Reset()
	_, _ = r.mac.Write(plain)
	r.out = append(r.out, `"hmac-sha256:`...)
	r.out = hex.AppendEncode(r.out, r.mac.Sum(nil))
	r.out = append(r.out, '"')
}
