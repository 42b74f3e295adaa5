package mapping_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
)

func user(t testing.TB, raw string) supersaas.User {
	t.Helper()
	var u supersaas.User
	if err := json.Unmarshal([]byte(raw), &u); err != nil {
		t.Fatal(err)
	}
	return u
}

func TestMapping_Evaluates(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		expression string
		fields     string
		want       yappli.Value
		absent     bool
	}{
		"field":                      {"full_name", `"full_name":"山田 花子"`, yappli.Text("山田 花子"), false},
		"field that is null":         {"full_name", `"full_name":null`, yappli.Null(), false},
		"field that is empty":        {"full_name", `"full_name":""`, yappli.Text(""), false},
		"field that is absent":       {"full_name", ``, yappli.Value{}, true},
		"number":                     {"id", ``, yappli.Text("7"), false},
		"expression of a number":     {"id + 1", ``, yappli.Text("8"), false},
		"fraction":                   {"id / 2", ``, yappli.Text("3.5"), false},
		"longer fraction":            {"id / 8", ``, yappli.Text("0.875"), false},
		"large number":               {"group", `"group":123456789012345678901`, yappli.Text("123456789012345678901"), false},
		"boolean":                    {"role == 4", `"role":4`, yappli.Text("1"), false},
		"false":                      {"role == 4", `"role":3`, yappli.Text("0"), false},
		"expression of null":         {"trim(full_name)", `"full_name":null`, yappli.Null(), false},
		"expression of absent":       {"trim(full_name)", ``, yappli.Value{}, true},
		"one of two absent":          {"default(mobile, phone)", `"phone":"1"`, yappli.Text("1"), false},
		"constant":                   {"'VIP'", ``, yappli.Text("VIP"), false},
		"form":                       {"form.skin", `"form":{"skin":"乾燥"}`, yappli.Text("乾燥"), false},
		"form's number":              {"form.list[0] + 1", `"form":{"list":[2]}`, yappli.Text("3"), false},
		"fold":                       {"fold(full_name)", `"full_name":"ＡＢ１　ﾊﾅｺﾞ"`, yappli.Text("AB1 ハナゴ"), false},
		"katakana":                   {"katakana(full_name)", `"full_name":"はなこ ぁゖ ﾊﾞｼﾞｰ 漢字"`, yappli.Text("ハナコ ァヶ バジー 漢字"), false},
		"hiragana":                   {"hiragana(full_name)", `"full_name":"ハナコ ァヶー ﾊﾞ"`, yappli.Text("はなこ ぁゖー ば"), false},
		"upper":                      {"upper(name)", `"name":"ab"`, yappli.Text("AB"), false},
		"lower":                      {"lower(name)", `"name":"AB"`, yappli.Text("ab"), false},
		"number to text":             {"upper(role)", `"role":3`, yappli.Text("3"), false},
		"join skips the empty":       {"join('-', full_name, '', mobile, role)", `"full_name":"a","mobile":null,"role":3`, yappli.Text("a-3"), false},
		"default of nothing":         {"default(mobile, phone)", `"mobile":""`, yappli.Text(""), false},
		"default of a number":        {"default(mobile, role)", `"role":3`, yappli.Text("3"), false},
		"region of a field":          {"e164(mobile, country)", `"mobile":"0900-000-000","country":"TW"`, yappli.Text("+886900000000"), false},
		"region of an odd field":     {"e164(mobile, country)", `"mobile":"0900-000-000","country":"Atlantis"`, unreadable, false},
		"region of no field":         {"domestic(mobile, country)", `"mobile":"0900-000-000","country":null`, unreadable, false},
		"region with a default":      {"e164(mobile, default(country, 'TW'))", `"mobile":"0900-000-000","country":""`, yappli.Text("+886900000000"), false},
		"odd region with a default":  {"e164(mobile, default(country, 'TW'))", `"mobile":"0900-000-000","country":"XX"`, unreadable, false},
		"zone of a field":            {"date(created_on, timezone)", `"created_on":"2026-03-02T15:00:00Z","timezone":"Asia/Hong_Kong"`, yappli.Text("2026-03-02 23:00:00"), false},
		"zone of an odd field":       {"date(created_on, timezone)", `"created_on":"2026-03-02T15:00:00Z","timezone":"Mars"`, unreadable, false},
		"zone of an empty field":     {"date(created_on, timezone)", `"created_on":"2026-03-02T15:00:00Z","timezone":""`, unreadable, false},
		"zone of no field":           {"date(created_on, timezone)", `"created_on":"2026-03-02T15:00:00Z"`, unreadable, false},
		"date in the zone":           {"date(created_on)", `"created_on":"2026-03-02T15:00:00Z"`, yappli.Text("2026-03-03 00:00:00"), false},
		"date in another zone":       {"date(created_on, 'Asia/Hong_Kong')", `"created_on":"2026-03-02T15:59:59+00:00"`, yappli.Text("2026-03-02 23:59:59"), false},
		"date without a zone is UTC": {"date(created_on)", `"created_on":"2026-03-02T15:04"`, yappli.Text("2026-03-03 00:04:00"), false},
		"date with seconds":          {"date(created_on)", `"created_on":"2026-03-02 15:04:05"`, yappli.Text("2026-03-03 00:04:05"), false},
		"bare date keeps its day":    {"date(field_1)", `"field_1":"2026-03-02"`, yappli.Text("2026-03-02 00:00:00"), false},
		"no date":                    {"date(field_1)", `"field_1":"tomorrow"`, unreadable, false},
		"language's own":             {"replace(full_name, ' ', '')", `"full_name":"a b"`, yappli.Text("ab"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := mapping.Parse("m.yaml", fmt.Appendf(nil, "options: {zone: Asia/Tokyo, region: JP}\ncolumn01: %q\n", c.expression))
			if err != nil {
				t.Fatal(err)
			}
			raw := `{"id":7}`
			if c.fields != "" {
				raw = `{"id":7,` + c.fields + `}`
			}
			wish := m.Apply(user(t, raw))
			got, there := wish.Fields["column01"]
			if len(wish.Unreadable) > 0 {
				got, there = unreadable, !c.absent
			}
			if got != c.want || there == c.absent {
				t.Errorf("%s = %+v (there: %v), want %+v (absent: %v)", c.expression, got, there, c.want, c.absent)
			}
			if want := strings.HasPrefix(c.expression, "form"); m.UsesForm() != want {
				t.Errorf("UsesForm = %v, want %v", m.UsesForm(), want)
			}
		})
	}
}

func TestMapping_ReportsEveryFaultWithItsLine(t *testing.T) {
	t.Parallel()
	_, err := mapping.Parse("m.yaml", []byte(`options: {zone: Asia/Nowhere, region: XX, password: always}
column01: full_nam
column02: full_name
column02: email
column51: email
unique_id: id
enabled: role
point: credit
password: name
column03: [email]
column04:
column05: e164(mobile, "ZZ")
column06: date(created_on, "Mars")
column07: now()
column08: trim()
column09: form
`))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"the mapping has 17 faults",
		`m.yaml:1: options.zone: "Asia/Nowhere" is not an IANA time zone`, `m.yaml:1: options.region: "XX" is not`, `m.yaml:1: options.password: "always" is not never or on_create`,
		"m.yaml:2: column01: unknown name full_nam (did you mean full_name?)", "known fields: id, fk, name", "m.yaml:4: column02: mapped twice",
		"m.yaml:5: column51: no such field", "m.yaml:6: unique_id: cannot be mapped", "m.yaml:7: enabled: cannot be mapped",
		"m.yaml:8: point: cannot be mapped", "m.yaml:9: password: needs the explicit policy", "m.yaml:10: column03: a field name",
		"m.yaml:11: column04: a field name", "m.yaml:12: column05: region ZZ is not", "m.yaml:13: column06: zone Mars is not",
		"m.yaml:14: column07: now is off", "m.yaml:15: column08: wrong number of arguments: write trim(text)", "m.yaml:16: column09: a whole form",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q:\n%v", want, err)
		}
	}
}

func TestMapping_RefusesToStartWithNothing(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]string{
		"empty": "", "comment": "# nothing\n", "list": "- column01\n", "not YAML": "a: b: c",
		"options alone": "options: {region: JP}\n", "password alone": "options: {password: on_create}\npassword: name\n",
		"no region":      "column01: e164(mobile)\n",
		"unknown option": "options: {color: red}\ncolumn01: name\n", "options that are no mapping": "options: 5\ncolumn01: name\n",
	} {
		if m, err := mapping.Parse("m.yaml", []byte(source)); err == nil {
			t.Errorf("%s: mapping %v, want an error", name, m.Targets())
		}
	}
}

// What cannot be read concerns that field alone, and is no error of the user.
func TestMapping_NamesWhatIsUnreadable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ source, user string }{
		"nil in an operator":      {"column01: full_name + name\n", `{"id":7,"name":"a","full_name":null}`},
		"text as a number":        {"column01: int(name)\n", `{"id":7,"name":"a"}`},
		"an object":               {"column01: default(form.a)\n", `{"id":7,"form":{"a":{"b":1}}}`},
		"a list as a text":        {"column01: trim(form.a)\n", `{"id":7,"form":{"a":["b"]}}`},
		"rank is no integer":      {"rank: name\n", `{"id":7,"name":"a"}`},
		"logined is no 0 or 1":    {"logined: name\n", `{"id":7,"name":"a"}`},
		"a condition":             {"column01: \"credit > 100 ? 'a' : 'b'\"\n", `{"id":7,"credit":"-"}`},
		"division by nothing":     {"column01: 1 / credit\n", `{"id":7,"credit":0}`},
		"a number too large":      {"column01: id * credit\n", `{"id":7,"credit":9007199254740992}`},
		"an element that is none": {"column01: split(name, ' ')[1]\n", `{"id":7,"name":"a"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := mapping.Parse("m.yaml", []byte(c.source+"column02: name\n"))
			if err != nil {
				t.Fatal(err)
			}
			u := user(t, strings.TrimSuffix(c.user, "}")+`,"role":3}`)
			target, _, _ := strings.Cut(c.source, ":")
			wish := m.Apply(u)
			if _, sent := wish.Fields[target]; sent || strings.Join(wish.Unreadable, " ") != target {
				t.Errorf("wish = %+v, want %s unreadable", wish, target)
			}
			if want, there := u.Fields()["name"]; there && wish.Fields["column02"] != yappli.Text(want.(string)) {
				t.Errorf("wish = %+v, want column02 all the same", wish)
			}
		})
	}
}

func TestMapping_PasswordByPolicyOnly(t *testing.T) {
	t.Parallel()
	m, err := mapping.Parse("m.yaml", []byte("options: {password: on_create}\npassword: name\ncolumn01: name\n"))
	if err != nil {
		t.Fatal(err)
	}
	wish := m.Apply(user(t, `{"id":7,"name":"a"}`))
	if !maps.Equal(wish.Fields, yappli.Fields{"password": yappli.Text("a"), "column01": yappli.Text("a")}) {
		t.Errorf("wish = %+v", wish)
	}
	if got := m.Targets(); strings.Join(got, " ") != "column01 password" {
		t.Errorf("Targets = %v", got)
	}
	if got := m.Uses(); strings.Join(got, " ") != "name" {
		t.Errorf("Uses = %v", got)
	}
}

func TestMapping_PackagedOneCompiles(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../../../config/mapping.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m, err := mapping.Parse("mapping.yaml", source)
	if err != nil {
		t.Fatal(err)
	}
	if wish := m.Apply(user(t, `{"id":7}`)); len(wish.Unreadable) > 0 {
		t.Errorf("a user with nothing but an id: %v", wish.Unreadable)
	}
}

func FuzzMapping(f *testing.F) {
	m, err := mapping.Parse("m.yaml", []byte(`
options: {zone: Asia/Tokyo, region: JP}
login_id: email
column01: full_name
column02: e164(default(mobile, phone))
column03: katakana(full_name)
column04: hiragana(fold(full_name))
column05: date(created_on)
column06: join("/", full_name, mobile, form.skin)
column07: domestic(mobile, "TW")
`))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("山田", "090-0000-0000", "2026-03-02T01:15:09Z")
	f.Add("ﾊﾞ\x00", "+81 (0)", "9999-12-31")
	f.Fuzz(func(t *testing.T, name, phone, at string) {
		raw, err := json.Marshal(map[string]any{"id": 7, "full_name": name, "mobile": phone, "created_on": at, "email": name})
		if err != nil {
			return
		}
		wish := m.Apply(user(t, string(raw)))
		if err := wish.Fields.Check(); err != nil {
			t.Error(err)
		}
		if p := wish.Fields["column02"].Text; p != "" && (p[0] != '+' || len(p) < 9 || len(p) > 16) {
			t.Errorf("e164 = %q", p)
		}
	})
}

func ExampleParse() {
	m, err := mapping.Parse("mapping.yaml", []byte(`
options: {zone: Asia/Tokyo, region: JP}
column01: full_name
column02: e164(mobile)
column03: date(created_on)
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	var u supersaas.User
	_ = json.Unmarshal([]byte(`{"id":20450117,"full_name":"山田 花子","mobile":"03-1000-0001 (内)5","created_on":"tomorrow"}`), &u)
	wish := m.Apply(u)
	fmt.Println(wish.Fields["column01"].Text, wish.Fields["column02"].Text, wish.Unreadable)
	// Output: 山田 花子 +81310000001 [column03]
}
