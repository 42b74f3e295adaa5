package mapping_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/expr-lang/expr/builtin"

	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/pkg/providers/yappli"
)

// parseOne reads a mapping of one expression.
func parseOne(expression string) (*mapping.Mapping, error) {
	return mapping.Parse("m.yaml", fmt.Appendf(nil, "options: {zone: Asia/Tokyo, region: JP}\ncolumn01: '%s'\n", strings.ReplaceAll(expression, "'", "''")))
}

// characterwise are those of the language's own functions that mappings may call,
// with what each gives of 山田花子. A new version's function is in no table: it has
// to be refused, or to be judged here.
var characterwise = map[string]map[string]string{
	"len":       {"len(full_name)": "4"},
	"trim":      {"trim(full_name)": "山田花子"},
	"upper":     {"upper(full_name)": "山田花子"},
	"lower":     {"lower(full_name)": "山田花子"},
	"split":     {"split(full_name, '花')[0]": "山田"},
	"replace":   {"replace(full_name, '田', '本')": "山本花子"},
	"join":      {"join('・', full_name, full_name)": "山田花子・山田花子"},
	"hasPrefix": {"hasPrefix(full_name, '山')": "1"},
	"hasSuffix": {"hasSuffix(full_name, '子')": "1"},
	"int":       {"int('３')": "3"},
	"string":    {"string(full_name)": "山田花子"},
	"date":      {"date('令和元年7月27日')": "2019-07-27 00:00:00"}, // ours, under the language's name
	"find":      {"find(full_name, '花')": "3"},                // the same
	"all":       {"all(split(full_name, '田'), # != '')": "1"}, // of lists alone, as the next
	"any":       {"any(split(full_name, '田'), # == '山')": "1"},
	"count":     {"count(split(full_name, '田'), # == '山')": "1"},
	"filter":    {"join('', filter(split(full_name, '田'), # == '山'))": "山"},
	"map":       {"join('', map(split(full_name, '田'), # + '!'))": "山!花子!"},
	"none":      {"none(split(full_name, '田'), # == '川')": "1"},
	"one":       {"one(split(full_name, '田'), # == '山')": "1"},
}

// ofLists take texts apart, and are refused for them.
var ofLists = []string{"all", "any", "count", "filter", "map", "none", "one"}

func TestBuiltins_WorkOnCharactersOrAreRefused(t *testing.T) {
	t.Parallel()
	u := user(t, `{"id":7,"full_name":"山田花子","form":{"name":"山田花子"}}`)
	for _, b := range builtin.Builtins {
		examples, known := characterwise[b.Name]
		for expression, want := range examples {
			m, err := parseOne(expression)
			if err != nil {
				t.Errorf("%s: %v", expression, err)
				continue
			}
			if got := m.Apply(u).Fields["column01"]; got != yappli.Text(want) {
				t.Errorf("%s = %+v, want %s", expression, got, want)
			}
		}
		if known && !slices.Contains(ofLists, b.Name) {
			continue
		}
		calls := []string{"(%s)", "(%s, 1)", "(%s, '花')", "(%s, 1, 2)"}
		if b.Predicate {
			calls = []string{"(%s, # == '花')"}
		}
		for _, call := range calls {
			m, err := parseOne(b.Name + fmt.Sprintf(call, "full_name"))
			if err == nil {
				t.Errorf("%s%s is allowed for a text: %+v", b.Name, call, m.Apply(u))
			} else if !strings.Contains(err.Error(), "left(text, count)") || !strings.Contains(err.Error(), "find(text, part)") {
				t.Errorf("%s: %v, want it to name what to use", b.Name, err)
			}
			if m, err := parseOne(b.Name + fmt.Sprintf(call, "form.name")); err == nil && len(m.Apply(u).Unreadable) != 1 {
				t.Errorf("%s%s of a form's text: %+v, want it unreadable", b.Name, call, m.Apply(u))
			}
		}
	}
	for _, expression := range []string{
		"full_name[0]", "full_name[0:3]", "full_name[:1]", "full_name[1:]", "trim(full_name)[0]", "(full_name + 'x')[0:4]", "'山田'[0]", "let n = full_name; n[0:1]",
		"'花' in full_name", "(role == 4 ? full_name : name)[0]",
	} {
		if _, err := parseOne(expression); err == nil || !strings.Contains(err.Error(), "mid(") && !strings.Contains(err.Error(), "contains") {
			t.Errorf("%s: %v, want it refused, and what to use", expression, err)
		}
	}
	for _, expression := range []string{"form.name[0]", "join('', form.name[0:1])", "default(form.name, full_name)[0]"} {
		if m, err := parseOne(expression); err != nil || len(m.Apply(u).Unreadable) != 1 {
			t.Errorf("%s: %v, want it unreadable", expression, err)
		}
	}
}

func TestCharacters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ expression, text, want string }{
		{"left(full_name, 1)", "か\u3099い", "か\u3099"},                      // a mark of its own
		{"left(full_name, 1)", "ﾊﾞﾅﾅ", "ﾊﾞ"},                               // half-width
		{"left(full_name, 1)", "葛\U000E0100城", "葛\U000E0100"},              // a variant of an ideograph
		{"right(full_name, 1)", "山👩‍👧", "👩‍👧"},                             // joined
		{"len(full_name)", "🇯🇵🇹🇼👍🏽", "3"},                                  // flags, a colored hand
		{"mid(full_name, 2, 1)", "𠮷田", "田"},                                // outside of the first plane
		{"find(full_name, '田')", "𠮷田", "2"},                                //
		{"left(full_name, 9)", "山田", "山田"},                                 //
		{"left(full_name, -1)", "山田", "unreadable"},                        //
		{"mid(full_name, 0, 1)", "山田", "unreadable"},                       //
		{"left(full_name, 1.5)", "山田", "unreadable"},                       //
		{"hiragana(full_name)", "スヾメ ヽ ヾ 々 〻", "すゞめ ゝ ゞ 々 〻"},              //
		{"katakana(full_name)", "みすゞ ゝ 佐々木", "ミスヾ ヽ 佐々木"},                  //
		{"trim(full_name)", "\u3000\u00a0山田\u2003", "山田"},                  //
		{"default(full_name, 'x')", "\u3000\u200b\u2060\ufeff\u00ad", "x"}, // nothing to be seen
	} {
		got, _ := evaluate(t, c.expression, `"full_name":`+quoted(t, c.text))
		want := yappli.Text(c.want)
		if c.want == "unreadable" {
			want = unreadable
		}
		if got != want {
			t.Errorf("%s of %+q = %+q, want %+q", c.expression, c.text, got.Text, c.want)
		}
	}
}

// No mapping and no value takes time or memory without bound.
func TestBounds(t *testing.T) {
	t.Parallel()
	for name, expression := range map[string]string{
		"brackets": strings.Repeat("(", 5000) + "id" + strings.Repeat(")", 5000), "few but deep": strings.Repeat("(", 51) + "id" + strings.Repeat(")", 51),
		"lists": strings.Repeat("[", 60) + strings.Repeat("]", 60), "long": strings.Repeat("id + ", 2000) + "id", "a range": "len(1..100000000)",
	} {
		if _, err := parseOne(expression); err == nil || len(err.Error()) > 1000 {
			t.Errorf("%s: %.100v, want it refused in few words", name, err)
		}
	}
	if _, err := mapping.Parse("m.yaml", []byte("column01: name\n"+strings.Repeat("# \n", 1<<17))); err == nil {
		t.Error("a large file was read")
	}
	long := quoted(t, strings.Repeat("あ", 20_000))
	for _, expression := range []string{
		"replace(replace(replace(full_name, 'あ', name), 'あ', name), 'あ', name)", "full_name + full_name", "join('', full_name, full_name)",
		"count(split(full_name, 'ああ'), all(split(full_name, 'あ'), # == ''))", "count(split(full_name, 'あ'), fold(name) == '')",
	} {
		if got, _ := evaluate(t, expression, `"name":`+long+`,"full_name":`+long); got != unreadable {
			t.Errorf("%s: %d bytes, want it unreadable", expression, len(got.Text))
		}
	}
	if got, _ := evaluate(t, "full_name", `"full_name":`+long); len(got.Text) != 60_000 {
		t.Error("a plain field was cut")
	}
}

// The faults of the field's cases, each with its line, its key and what to write.
func TestFaults(t *testing.T) {
	t.Parallel()
	_, err := mapping.Parse("m.yaml", []byte(`options:
  zone: Asia/Tokio
  region: JPN
  passwd: never
  empty: perhaps
  zone: Asia/Tokyo
login_id: 12
column01: "'same for all'"
rank: nosuch + another + e164(full_nam)
column02: full_name ? 1 : 2
column03: split(name, " ")
column04: name.first
column05: "name matches '('"
column06: left(name)
column07: true
columm08: name
column09: [a, b]
column10: "1 / 0"
column11: "name +"
column12: date(created_on, "Tokyo")
column13: let name = 1; name
column14: replace(name, "", "x")
secret_answer: "full_name ? 1 : 2"
---
column15: name
`))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`m.yaml:2: options.zone: "Asia/Tokio" is not an IANA time zone`, "write Asia/Tokyo", `m.yaml:3: options.region: "JPN" is not two letters`, "write JP",
		"m.yaml:4: options.passwd: no such option (did you mean password?)", `m.yaml:5: options.empty: "perhaps" is not send or keep`, "m.yaml:6: options.zone: is set twice",
		`m.yaml:7: login_id: 12 is no field and no expression; for the same text on every member write '"12"'`,
		"m.yaml:9: rank: unknown name nosuch", "m.yaml:9: rank: unknown name another", "m.yaml:9: rank: unknown name full_nam (did you mean full_name?)",
		"m.yaml:10: not YAML: mapping values are not allowed", "single quotes", "m.yaml:11: column03: the result is a list", `write join(", ", ...)`,
		"m.yaml:12: column04: name has no field first", "m.yaml:13: column05: \"(\" is no regular expression", "m.yaml:14: column06: wrong number of arguments: write left(text, count)",
		"m.yaml:15: column07: true is no field", "m.yaml:16: columm08: no such field", "m.yaml:17: column09: a field name or an expression is expected",
		"m.yaml:18: column10: 1 / 0 can never be read", "m.yaml:19: column11: not an expression", "m.yaml:20: column12: zone Tokyo is not", "m.yaml:21: column13: let name: the name is taken",
		"m.yaml:22: column14: replace looks for a text that is empty", "m.yaml:23: secret_answer: a condition must be", "m.yaml:24: ---: a second document",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(err)
	}
	for source, want := range map[string]string{
		"login_id: \"'x'\"\ncolumn01: name\n": "m.yaml:1: login_id: every member would get the same one",
		"a: b: c\n":                           "m.yaml:1: not YAML",
		"column01: name\n---\n":               "m.yaml:2: ---: a second document",
		"column01: name\n---\n\ta: [\n":       "m.yaml:",
		"<<: {a: b}\ncolumn01: name\n":        "m.yaml:1: <<: no such field",
		"column01: &a name\ncolumn02: *a\n":   "m.yaml:2: column02: a field name or an expression is expected",
		"- a\n":                               "no mapping",
	} {
		if _, err := mapping.Parse("m.yaml", []byte(source)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", source, err, want)
		}
	}
}

// What is empty at the source empties a column, unless the mapping says that
// nothing does.
func TestEmpty(t *testing.T) {
	t.Parallel()
	source := "column01: full_name\ncolumn02: trim(full_name)\ncolumn03: mobile\ncolumn04: name\n"
	u := user(t, `{"id":7,"full_name":" ","mobile":null,"name":"a"}`)
	for options, want := range map[string]int{"": 4, "options: {empty: send}\n": 4, "options: {empty: keep}\n": 1} {
		m, err := mapping.Parse("m.yaml", []byte(options+source))
		if err != nil {
			t.Fatal(err)
		}
		if wish := m.Apply(u); len(wish.Fields) != want || len(wish.Unreadable) != 0 {
			t.Errorf("%q: %+v, want %d fields", options, wish, want)
		}
	}
}

// Whatever a file says, it is a mapping or has faults, and every user has a wish.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"default(e164(mobile), form.a[0])", "let n = name; n + 1", "any(form.a, # == 1) ? left(name, 2) : nil", `{"a": 1}[name] ?? "b"`, "-(1 ** 2) % 3",
		"name matches '^(' || !(role in [1, 2])", "form?.a.b | trim() | split('x', 2)",
	} {
		f.Add(seed, "山田　03-1000-0001")
	}
	f.Fuzz(func(t *testing.T, expression, text string) {
		m, err := parseOne(expression)
		if err != nil {
			return
		}
		wish := m.Apply(user(t, `{"id":7,"name":`+quoted(t, text)+`,"mobile":`+quoted(t, text)+`,"role":3,"form":{"a":[1,"b",null]}}`))
		if err := wish.Fields.Check(); err != nil || len(wish.Fields["column01"].Text) > 1<<17 {
			t.Errorf("%s of %q: %v", expression, text, err)
		}
	})
}
