package mapping

import (
	"slices"

	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
)

// A State says what became of one field of one user.
type State string

// The states.
const (
	Sent       State = "sent"       // it has a value, perhaps null
	Absent     State = "absent"     // SuperSaaS sends none of the fields that it is made of
	Kept       State = "kept"       // it is empty, and the option empty: keep leaves what Yappli holds
	Unreadable State = "unreadable" // its value cannot be read, and what Yappli holds stays
)

// A Made is what a mapping makes of one field of one user.
type Made struct {
	Field  string   // of Yappli
	Source string   // field or expression, as the file has it
	Uses   []string // fields of SuperSaaS
	State  State
	Value  yappli.Value // of Sent
}

// Explain says of every field of the mapping what it makes of one user, by name. Apply
// gives the same values.
func (m *Mapping) Explain(u supersaas.User) []Made {
	r := m.read(u)
	made := make([]Made, len(m.targets))
	for i, t := range m.targets {
		made[i] = Made{Field: t.name, Source: t.source, Uses: t.reads()}
		made[i].Value, made[i].State = r.make(t)
	}
	return made
}

// Lines returns the mapping without a user: every field with its source.
func (m *Mapping) Lines() []Made {
	made := make([]Made, len(m.targets))
	for i, t := range m.targets {
		made[i] = Made{Field: t.name, Source: t.source, Uses: t.reads()}
	}
	return made
}

// A reading is one user as the expressions see it.
type reading struct {
	options *options
	fields  map[string]any
	known   map[string]value
}

func (m *Mapping) read(u supersaas.User) reading {
	r := reading{options: &m.options, fields: u.Fields()}
	r.known = make(map[string]value, len(r.fields))
	for name, v := range r.fields {
		r.known[name] = valueOf(v)
	}
	if _, ok := r.known["form"].(map[string]any); !ok {
		r.known["form"] = map[string]any{} // null, [] or absent: it has no member
	}
	return r
}

// make evaluates one target.
func (r reading) make(t target) (yappli.Value, State) {
	there := func(field string) bool { _, ok := r.fields[field]; return ok }
	if reads := t.reads(); len(reads) > 0 && !slices.ContainsFunc(reads, there) {
		return yappli.Value{}, Absent
	}
	sent, ok := ValueOf(t.of(r.options, r.known))
	switch {
	case !ok || yappli.Fields{t.name: sent}.Check() != nil:
		return yappli.Value{}, Unreadable
	case r.options.keep && blank(sent.Text):
		return yappli.Value{}, Kept
	}
	return sent, Sent
}
