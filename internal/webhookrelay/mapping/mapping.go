// Package mapping is the language in which a shop says what each field of a
// Yappli member is made of: a YAML file of expressions over the fields of a
// SuperSaaS user. See docs/mapping.md.
//
//	m, err := mapping.Parse("mapping.yaml", source)
//	desired := m.Apply(user)
package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/expr-lang/expr/ast"

	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
)

// SourceFields are the fields of a SuperSaaS user that a mapping may use.
// "form" is the custom form's object, read only if a mapping names it.
func SourceFields() []string {
	return []string{
		"id", "fk", "name", "email", "full_name", "address", "phone", "mobile", "country", "timezone",
		"field_1", "field_2", "super_field", "credit", "role", "group", "created_on", "updated_on", "last_login", "form",
	}
}

// A Mapping says which field of a Yappli member is made of what:
//
//	options:
//	  zone: Asia/Tokyo       # of date(); default UTC
//	  region: JP             # of e164() and domestic(); no default
//	  password: on_create    # allows a target "password"; default never
//	  empty: keep            # what is empty at the source changes nothing; default send
//	login_id: email
//	column01: full_name
//	column02: e164(default(mobile, phone))
//	column03: date(created_on)
//	column04: super_field
//	link_if: [column04]      # must agree before a member who exists is linked; see LinkIf
//
// A plain field keeps three states apart: one that the user does not have is
// not sent at all, null is sent as null, "" as "". An expression is not sent
// if none of the fields that it uses is there, and is null if it gives nil.
// Members of a form that is no object, as an empty one may be, are nil.
//
// A Mapping is safe for concurrent use.
type Mapping struct {
	digest  string
	targets []target
	options options
	linkIf  []string // targets
}

type options struct {
	zone     *time.Location
	region   string // empty: none
	password bool   // "password" may be a target
	keep     bool   // what is empty at the source changes nothing
}

type target struct {
	name   string
	source string   // as the file has it
	field  string   // a plain field; else node
	node   ast.Node // an expression
	uses   []string // fields that node names
	broken bool     // the expression has faults
}

// DigestOf names the bytes of a mapping's file: their SHA-256, in hex.
func DigestOf(source []byte) string {
	sum := sha256.Sum256(source)
	return hex.EncodeToString(sum[:])
}

// Digest is DigestOf the file that the mapping was read from.
func (m *Mapping) Digest() string { return m.digest }

// ShortDigest is as much of the digest as tells mappings apart in a line.
func (m *Mapping) ShortDigest() string { return m.digest[:min(12, len(m.digest))] }

// UsesForm reports whether users must be read with their custom form.
func (m *Mapping) UsesForm() bool { return slices.Contains(m.Uses(), "form") }

// Uses returns the SuperSaaS fields that the mapping reads, sorted.
func (m *Mapping) Uses() []string {
	var names []string
	for _, t := range m.targets {
		names = append(names, t.reads()...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Targets returns the Yappli fields that the mapping sets, sorted.
func (m *Mapping) Targets() []string {
	names := make([]string, len(m.targets))
	for i, t := range m.targets {
		names[i] = t.name
	}
	return names
}

// Desired is what the mapping makes of one user.
type Desired struct {
	Fields     yappli.Fields
	Unreadable []string // targets whose value cannot be read, sorted: what Yappli holds of them is to stay
	LinkIf     []string // values of the mapping's LinkIf, in its order; nil if one is empty, unreadable or the customer's own
}

// Apply evaluates the mapping for one user.
func (m *Mapping) Apply(u supersaas.User) Desired {
	r := m.read(u)
	desired := Desired{Fields: yappli.Fields{}}
	for _, t := range m.targets {
		switch sent, state := r.make(t); state {
		case Sent:
			desired.Fields[t.name] = sent
		case Unreadable:
			desired.Unreadable = append(desired.Unreadable, t.name)
		case Absent, Kept: // changes nothing
		}
	}
	desired.LinkIf = m.linkValues(r.known, desired.Fields)
	return desired
}

// of is the target's value for a user.
func (t target) of(o *options, known map[string]value) value {
	if t.field != "" {
		return known[t.field]
	}
	return run(o, t.node, known)
}

// reads are the source fields of the target.
func (t target) reads() []string {
	if t.field != "" {
		return []string{t.field}
	}
	return t.uses
}

// ValueOf is the request value of what a field holds or an expression gives: a
// text, number or boolean, or null for nil. Nothing else has one.
func ValueOf(v any) (sent yappli.Value, ok bool) {
	if v = valueOf(v); v == nil {
		return yappli.Null(), true
	}
	text, ok := textOf(v)
	return yappli.Text(text), ok
}
