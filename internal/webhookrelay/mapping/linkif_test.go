package mapping_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/pkg/providers/supersaas"
)

// What a customer could make agree is no proof, and neither is what agrees for
// everybody: each is refused with its line and key.
func TestLinkIf_RefusesWhatProvesNothing(t *testing.T) {
	t.Parallel()
	columns := "options: {password: on_create, region: JP}\npassword: super_field\nsecret_answer: super_field\ncolumn01: '\"member\"'\n"
	for name, c := range map[string]struct{ identity, expression, list, want string }{
		"a constant":                     {"email", `'"x"'`, "[column09]", "m.yaml:6: link_if: column09 is the same for every user"},
		"the other constant":             {"email", "super_field", "[column01]", "column01 is the same for every user"},
		"the password":                   {"email", "super_field", "[password]", "no answer of Yappli shows a password"},
		"a secret answer":                {"email", "super_field", "[secret_answer]", "no answer of Yappli shows a secret_answer"},
		"the identity's field":           {"super_field", "super_field", "[column09]", "column09 is made of super_field, like the identity"},
		"the identity's field in others": {"fk", `'fk + "-" + super_field'`, "[column09]", "column09 is made of fk, like the identity"},
		"not mapped":                     {"email", "super_field", "[column10]", `"column10" is no field that this file maps`},
		"twice":                          {"email", "super_field", "[column09, column09]", "is in it twice"},
		"no list":                        {"email", "super_field", "column09", "is not a list"},
		"an empty list":                  {"email", "super_field", "[]", "is not a list"},
		"the second of two":              {"email", "super_field", "[column09, column01]", "m.yaml:6: link_if: column01 is the same"},
	} {
		source := columns + "column09: " + c.expression + "\nlink_if: " + c.list + "\n"
		if _, err := mapping.ParseFor(c.identity, "m.yaml", []byte(source)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for _, field := range []string{"email", "name", "full_name", "address", "phone", "mobile", "country", "timezone", "field_1", "field_2", "form.skin"} {
		for _, expression := range []string{field, "upper(default(" + field + ", full_name))"} {
			source := columns + "column09: " + expression + "\nlink_if: [column09]\n"
			if _, err := mapping.ParseFor("fk", "m.yaml", []byte(source)); err == nil || !strings.Contains(err.Error(), "which customers may edit") {
				t.Errorf("%s: %v, want it refused", expression, err)
			}
		}
	}
	for _, field := range []string{"super_field", "fk", "id", "group", "role"} {
		m, err := mapping.ParseFor("email", "m.yaml", []byte(columns+"link_if: [column09]\ncolumn09: "+field+"\n"))
		if err != nil || !slices.Equal(m.LinkIf(), []string{"column09"}) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// Only a value that is there, readable, and not what the customer typed is one
// to compare.
func TestLinkIf_ValuesOfAUser(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ expression, user, want string }{
		{"super_field", `{"super_field":"S-1"}`, "S-1"},
		{"super_field", `{"super_field":" 　"}`, ""},
		{"super_field", `{"super_field":null}`, ""},
		{"super_field", `{}`, ""},
		{"date(super_field)", `{"super_field":"whenever"}`, ""},
		{"default(super_field, phone)", `{"super_field":"","phone":"090"}`, ""},
		{"default(super_field, phone)", `{"super_field":"S-1","phone":"090"}`, "S-1"},
		{"super_field + phone", `{"super_field":"S-1","phone":"090"}`, "S-1090"},
	} {
		m, err := mapping.Parse("m.yaml", []byte("column09: "+c.expression+"\nlink_if: [column09]\n"))
		if err != nil {
			t.Fatal(err)
		}
		var u supersaas.User
		if err := json.Unmarshal([]byte(`{"id":7,`+strings.TrimPrefix(c.user, "{")), &u); err != nil && c.user != "{}" {
			t.Fatal(err)
		} else if c.user == "{}" {
			_ = json.Unmarshal([]byte(`{"id":7}`), &u)
		}
		got := strings.Join(m.Apply(u).LinkIf, "|")
		if got != c.want {
			t.Errorf("%s of %s = %q, want %q", c.expression, c.user, got, c.want)
		}
	}
}
