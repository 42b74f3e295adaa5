package mapping

import (
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"hikyaku/pkg/providers/yappli"
)

// linkIfKey is the line that names the fields which must agree before a user is
// linked to a member who exists.
const linkIfKey = "link_if"

// customerFields are those that a shop may let its customers edit. What reads
// nothing else proves nothing of who somebody is.
var customerFields = []string{"email", "name", "full_name", "address", "phone", "mobile", "country", "timezone", "field_1", "field_2", "form"}

// LinkIf returns the targets whose values must agree, in the order of the file;
// none: each link is pending approval.
func (m *Mapping) LinkIf() []string { return m.linkIf }

// readLinkIf reads the line once all targets are known.
func (f *file) readLinkIf(key, v *yaml.Node) {
	if v.Kind != yaml.SequenceNode || len(v.Content) == 0 {
		f.fault(at(key), linkIfKey, "is not a list of Yappli fields that this file maps; write [column04]")
		return
	}
	for _, item := range v.Content {
		name := item.Value
		i := slices.IndexFunc(f.mapping.targets, func(t target) bool { return t.name == name })
		if i < 0 {
			f.fault(at(item), linkIfKey, "%q is no field that this file maps: name one that is, such as column04", name)
			continue
		}
		reads := f.mapping.targets[i].reads()
		own := func(field string) bool { return slices.Contains(customerFields, field) }
		switch {
		case slices.Contains(f.mapping.linkIf, name):
			f.fault(at(item), linkIfKey, "%s is in it twice: remove one of the two", name)
		case name == "password" || name == "secret_answer":
			f.fault(at(item), linkIfKey, "no answer of Yappli shows a %s, so that it could never agree: name another field", name)
		case len(reads) == 0:
			f.fault(at(item), linkIfKey, "%s is the same for every user, and would agree for everybody: name a field made of something that tells users apart", name)
		case slices.Contains(reads, f.identity):
			f.fault(at(item), linkIfKey, "%s is made of %s, like the identity, and would agree wherever that does: name a field made of another", name, f.identity)
		case !slices.ContainsFunc(reads, func(field string) bool { return !own(field) }):
			f.fault(at(item), linkIfKey, "%s is made of %s alone, which customers may edit, so that they could make it agree: name a field made of something that they cannot, such as super_field", name, strings.Join(reads, ", "))
		}
		f.mapping.linkIf = append(f.mapping.linkIf, name)
	}
}

// linkValues are the values of one user that a member must show. A value that
// comes out whatever the fields say which customers cannot edit is none:
// default(super_field, phone) says nothing of a user without a super_field, nor
// "S-" + super_field.
func (m *Mapping) linkValues(known map[string]value, desired yappli.Fields) (values []string) {
	if len(m.linkIf) == 0 {
		return nil
	}
	typed := maps.Clone(known)
	maps.DeleteFunc(typed, func(field string, _ value) bool { return !slices.Contains(customerFields, field) })
	others := []map[string]value{typed, maps.Clone(known), maps.Clone(known)}
	for field := range known {
		if !slices.Contains(customerFields, field) {
			others[1][field], others[2][field] = value(""), value("hikyaku")
		}
	}
	for _, name := range m.linkIf {
		i := slices.IndexFunc(m.targets, func(t target) bool { return t.name == name })
		sent, there := desired[name]
		if !there || blank(sent.Text) {
			return nil
		}
		for _, other := range others {
			if v, ok := ValueOf(m.targets[i].of(&m.options, other)); ok && v.Text == sent.Text {
				return nil
			}
		}
		values = append(values, sent.Plain(name))
	}
	return values
}
