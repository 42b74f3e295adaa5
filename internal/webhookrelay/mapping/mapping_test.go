package mapping_test

import (
	"encoding/json"
	"errors"
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
		"e164":                       {"e164(mobile)", `"mobile":"090-0000-0000"`, yappli.Text("+819000000000"), false},
		"e164 of full width":         {"e164(mobile)", `"mobile":"０９０ー００００ー００００"`, yappli.Text("+819000000000"), false},
		"e164 with a plus":           {"e164(mobile)", `"mobile":"+886 900-000-000"`, yappli.Text("+886900000000"), false},
		"e164 with (0)":              {"e164(mobile)", `"mobile":"+81 (0)90 0000 0000"`, yappli.Text("+819000000000"), false},
		"e164 with 00":               {"e164(mobile)", `"mobile":"00886900000000"`, yappli.Text("+886900000000"), false},
		"e164 without the plus":      {"e164(mobile)", `"mobile":"819000000000"`, yappli.Text("+819000000000"), false},
		"e164 of another region":     {"e164(mobile, 'TW')", `"mobile":"0900-000-000"`, yappli.Text("+886900000000"), false},
		"e164 without a trunk":       {"e164(mobile, 'HK')", `"mobile":"5000 0001"`, yappli.Text("+85250000001"), false},
		"e164 of HK without a plus":  {"e164(mobile, 'HK')", `"mobile":"85250000001"`, yappli.Text("+85250000001"), false},
		"e164 of HK like its code":   {"e164(mobile, 'HK')", `"mobile":"8525 0001"`, yappli.Text("+85285250001"), false},
		"e164 of MO without a plus":  {"e164(mobile, 'MO')", `"mobile":"853 6000 0001"`, yappli.Text("+85360000001"), false},
		"e164 of SG without a plus":  {"e164(mobile, 'SG')", `"mobile":"6580000001"`, yappli.Text("+6580000001"), false},
		"e164 of SG like its code":   {"e164(mobile, 'SG')", `"mobile":"6500 0001"`, yappli.Text("+6565000001"), false},
		"e164 of US without a plus":  {"e164(mobile, 'US')", `"mobile":"1-415-555-0100"`, yappli.Text("+14155550100"), false},
		"e164 of US":                 {"e164(mobile, 'US')", `"mobile":"(415) 555-0100"`, yappli.Text("+14155550100"), false},
		"domestic of HK":             {"domestic(mobile, 'HK')", `"mobile":"85250000001"`, yappli.Text("50000001"), false},
		"region of a field":          {"e164(mobile, country)", `"mobile":"0900-000-000","country":"TW"`, yappli.Text("+886900000000"), false},
		"region of an odd field":     {"e164(mobile, country)", `"mobile":"0900-000-000","country":"Atlantis"`, yappli.Text(""), false},
		"region of no field":         {"domestic(mobile, country)", `"mobile":"0900-000-000","country":null`, yappli.Text(""), false},
		"region with a default":      {"e164(mobile, default(country, 'TW'))", `"mobile":"0900-000-000","country":""`, yappli.Text("+886900000000"), false},
		"odd region with a default":  {"e164(mobile, default(country, 'TW'))", `"mobile":"0900-000-000","country":"XX"`, yappli.Text(""), false},
		"zone of a field":            {"date(created_on, timezone)", `"created_on":"2026-03-02T15:00:00Z","timezone":"Asia/Hong_Kong"`, yappli.Text("2026-03-02 23:00:00"), false},
		"zone of an odd field":       {"date(created_on, timezone)", `"created_on":"2026-03-02T15:00:00Z","timezone":"Mars"`, yappli.Text(""), false},
		"zone of an empty field":     {"date(created_on, timezone)", `"created_on":"2026-03-02T15:00:00Z","timezone":""`, yappli.Text(""), false},
		"zone of no field":           {"date(created_on, timezone)", `"created_on":"2026-03-02T15:00:00Z"`, yappli.Text(""), false},
		"e164 of no number":          {"e164(mobile)", `"mobile":"なし"`, yappli.Text(""), false},
		"e164 too short":             {"e164(mobile)", `"mobile":"0123456"`, yappli.Text(""), false},
		"e164 at the longest":        {"e164(mobile)", `"mobile":"+423456789012345"`, yappli.Text("+423456789012345"), false},
		"e164 too long":              {"e164(mobile)", `"mobile":"+4234567890123456"`, yappli.Text(""), false},
		"e164 of null":               {"e164(mobile)", `"mobile":null`, yappli.Null(), false},
		"domestic":                   {"domestic(mobile)", `"mobile":"+81 90-0000-0000"`, yappli.Text("09000000000"), false},
		"domestic of a foreign one":  {"domestic(mobile)", `"mobile":"+886900000000"`, yappli.Text("+886900000000"), false},
		"domestic without a trunk":   {"domestic(mobile, 'SG')", `"mobile":"+65 8000 0000"`, yappli.Text("80000000"), false},
		"date in the zone":           {"date(created_on)", `"created_on":"2026-03-02T15:00:00Z"`, yappli.Text("2026-03-03 00:00:00"), false},
		"date in another zone":       {"date(created_on, 'Asia/Hong_Kong')", `"created_on":"2026-03-02T15:59:59+00:00"`, yappli.Text("2026-03-02 23:59:59"), false},
		"date without a zone is UTC": {"date(created_on)", `"created_on":"2026-03-02T15:04"`, yappli.Text("2026-03-03 00:04:00"), false},
		"date with seconds":          {"date(created_on)", `"created_on":"2026-03-02 15:04:05"`, yappli.Text("2026-03-03 00:04:05"), false},
		"bare date keeps its day":    {"date(field_1)", `"field_1":"2026-03-02"`, yappli.Text("2026-03-02 00:00:00"), false},
		"no date":                    {"date(field_1)", `"field_1":"tomorrow"`, yappli.Text(""), false},
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
			wish, err := m.Wish(user(t, raw))
			if err != nil {
				t.Fatal(err)
			}
			got, there := wish["column01"]
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
		`m.yaml:1: options: zone "Asia/Nowhere"`, `m.yaml:1: options: region "XX"`, "m.yaml:1: options: password must be",
		"m.yaml:2: column01: unknown name full_nam", "known fields: id, fk, name", "m.yaml:4: column02: mapped twice",
		"m.yaml:5: column51: no such field", "m.yaml:6: unique_id: cannot be mapped", "m.yaml:7: enabled: cannot be mapped",
		"m.yaml:8: point: cannot be mapped", "m.yaml:9: password: needs the explicit policy", "m.yaml:10: column03: a field name",
		"m.yaml:11: column04: a field name", "m.yaml:12: column05: wrong argument: the region", "m.yaml:13: column06: wrong argument: the zone",
		"m.yaml:14: column07: ", "m.yaml:15: column08: not enough arguments", "m.yaml:16: column09: a whole form",
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

func TestMapping_FailsForOneUserWithoutTellingValues(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ source, user string }{
		"nil in an operator":  {"column01: full_name + name\n", `{"id":7,"name":"ひみつ","full_name":null}`},
		"text as a number":    {"column01: int(name)\n", `{"id":7,"name":"ひみつ"}`},
		"an object":           {"column01: default(form)\n", `{"id":7,"form":{"ひみつ":1}}`},
		"a list to a text":    {"column01: trim(form)\n", `{"id":7,"form":["ひみつ"]}`},
		"rank is no integer":  {"rank: name\n", `{"id":7,"name":"ひみつ"}`},
		"logined is no 0 / 1": {"logined: name\n", `{"id":7,"name":"ひみつ"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := mapping.Parse("m.yaml", []byte(c.source))
			if err != nil {
				t.Fatal(err)
			}
			_, err = m.Wish(user(t, c.user))
			if !errors.Is(err, mapping.ErrMapping) || strings.Contains(err.Error(), "ひみつ") {
				t.Errorf("err = %v, want an ErrMapping without the value", err)
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
	wish, err := m.Wish(user(t, `{"id":7,"name":"a"}`))
	if err != nil || !maps.Equal(wish, yappli.Fields{"password": yappli.Text("a"), "column01": yappli.Text("a")}) {
		t.Errorf("wish = %v, %v", wish, err)
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
	if _, err := m.Wish(user(t, `{"id":7}`)); err != nil {
		t.Errorf("a user with nothing but an id: %v", err)
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
		wish, err := m.Wish(user(t, string(raw)))
		if err != nil {
			if !errors.Is(err, mapping.ErrMapping) {
				t.Errorf("err = %v, want an ErrMapping", err)
			}
			return
		}
		if err := wish.Check(); err != nil {
			t.Error(err)
		}
		if p := wish["column02"].Text; p != "" && (p[0] != '+' || len(p) < 9 || len(p) > 16) {
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
	_ = json.Unmarshal([]byte(`{"id":20450117,"full_name":"山田 花子","mobile":"090-0000-0000","created_on":"2026-03-02T01:15:09Z"}`), &u)
	wish, err := m.Wish(u)
	fmt.Println(wish["column01"].Text, wish["column02"].Text, wish["column03"].Text, err)
	// Output: 山田 花子 +819000000000 2026-03-02 10:15:09 <nil>
}
