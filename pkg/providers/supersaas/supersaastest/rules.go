package supersaastest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"hikyaku/pkg/providers/sandbox"
)

// writable are the fields that a call may send.
var writable = []string{
	"name", "email", "password", "full_name", "address", "phone", "mobile", "country", "timezone",
	"field_1", "field_2", "super_field", "credit", "role", "group",
}

// reserved login names, from the official WordPress plug-in.
var reserved = []string{"administrator", "supervise", "supervisor", "superuser", "user", "admin", "supersaas"}

// userFields reads user[name]=... from the query and the form, and
// {"user":{...}} from a JSON body. A password is accepted and never shown.
func userFields(r *sandbox.Request) (object, error) {
	o, err := attributes(r, "user", "User", writable)
	if err != nil {
		return nil, err
	}
	o.store()
	return o, nil
}

// store brings the fields of a user into the form in which answers show them, and takes
// out what they never show.
func (o object) store() {
	for name, raw := range o {
		o[name] = stored(name, raw)
	}
	delete(o, "password")
}

// attributes reads NAME[field]=... and {"NAME":{...}} of the fields that a
// kind of record has.
func attributes(r *sandbox.Request, name, kind string, writable []string) (object, error) {
	o := object{}
	for _, values := range []map[string][]string{r.URL.Query(), r.Fields} {
		for parameter, v := range values {
			if inner, ok := strings.CutPrefix(parameter, name+"["); ok && strings.HasSuffix(inner, "]") {
				o.set(strings.TrimSuffix(inner, "]"), v[0])
			}
		}
	}
	if record, ok := r.JSON[name].(map[string]any); ok {
		for field, v := range record {
			o.set(field, v)
		}
	} else if r.JSON[name] != nil {
		return nil, fmt.Errorf("%s is not an object", name)
	}
	for field, raw := range o {
		if !slices.Contains(writable, field) {
			return nil, fmt.Errorf("unknown attribute '%s' for %s", field, kind)
		}
		if raw[0] == '{' || raw[0] == '[' {
			return nil, fmt.Errorf("attribute '%s' is not a text", field)
		}
	}
	return o, nil
}

// stored brings a value into the form in which answers show it: numbers for
// role and group, text for all else.
func stored(name string, raw json.RawMessage) json.RawMessage {
	text := textOf(raw)
	if string(raw) == "null" {
		return raw
	}
	if n, err := strconv.Atoi(text); err == nil && (name == "role" || name == "group") {
		return json.RawMessage(strconv.Itoa(n))
	}
	o := object{}
	o.set(name, text)
	return o[name]
}

// check returns the field and the complaint of the first rule that fields
// break. u is the user to change, nil for a new one.
func (t *users) check(u *user, fields object) (field, complaint string) {
	name, sent := fields["name"]
	login := textOf(name)
	switch {
	case sent && string(name) == "null", sent && login == "", !sent && u == nil:
		return "name", "can't be blank"
	case utf8.RuneCountInString(login) > 50:
		return "name", "is too long (maximum is 50 characters)"
	case slices.Contains(reserved, strings.ToLower(login)):
		return "name", "is reserved"
	case sent && t.byName[login] != nil && t.byName[login] != u:
		return "name", "has already been taken"
	}
	for field, valid := range map[string]func(string) bool{
		"country":  func(v string) bool { return len(v) == 2 && strings.ToUpper(v) == v },
		"timezone": func(v string) bool { return strings.Contains(v, "/") || v == "UTC" },
		"role":     func(v string) bool { return slices.Contains([]string{"3", "4", "-1"}, v) },
		"credit": func(v string) bool {
			_, err := strconv.ParseFloat(v, 64)
			return v == "-" || err == nil
		},
	} {
		if raw, ok := fields[field]; ok && string(raw) != "null" && textOf(raw) != "" && !valid(textOf(raw)) {
			return field, "is invalid"
		}
	}
	return "", ""
}
