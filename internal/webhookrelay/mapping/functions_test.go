package mapping_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/pkg/providers/yappli"
)

// unreadable stands for what is not sent because it cannot be read.
var unreadable = yappli.Text("\x00 unreadable")

// evaluate returns column01 of a user with the fields, which are JSON, and
// whether it is sent.
func evaluate(t *testing.T, expression, fields string) (yappli.Value, bool) {
	t.Helper()
	m, err := mapping.Parse("m.yaml", fmt.Appendf(nil, "options: {zone: Asia/Tokyo}\ncolumn01: %q\n", expression))
	if err != nil {
		t.Fatal(err)
	}
	wish := m.Apply(user(t, `{"id":7,`+fields+`}`))
	if len(wish.Unreadable) > 0 {
		return unreadable, false
	}
	v, there := wish.Fields["column01"]
	return v, there
}

func quoted(t *testing.T, text string) string {
	t.Helper()
	raw, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// A name's compatibility ideograph is how its owner writes it.
func TestFold_KeepsNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ function, in, want string }{
		{"fold", "\ufa10本 ﾊﾞﾊﾟｳﾞ ＡＢ", "\ufa10本 バパヴ AB"},
		{"fold", "か\u3099は\u309aカ\u3099ワ\u3099", "がぱガヷ"},
		{"fold", "e\u0301 \u212b か゛ あ\u3099 \u3099", "e\u0301 \u212b か゛ あ\u3099 \u3099"},
		{"katakana", "\ufa10か\u3099", "\ufa10ガ"},
		{"hiragana", "\ufa10ｶﾞ", "\ufa10が"},
	} {
		if got, _ := evaluate(t, c.function+"(full_name)", `"full_name":`+quoted(t, c.in)); got != yappli.Text(c.want) {
			t.Errorf("%s(%+q) = %+q, want %+q", c.function, c.in, got.Text, c.want)
		}
	}
}

func TestFunctions_OfNothing(t *testing.T) {
	t.Parallel()
	null, nothing := yappli.Null(), yappli.Text("")
	for _, c := range []struct {
		expression, fields string
		want               yappli.Value
	}{
		{"form.skin", `"form":null`, null},
		{"form.skin", `"form":[]`, null},
		{"form.skin", `"form":["a"]`, null},
		{"form.skin", `"form":""`, null},
		{"form.skin", `"form":{}`, null},
		{"form.list?.[0]", `"form":null`, null},
		{"default(form.skin, field_1)", `"form":[],"field_1":"a"`, yappli.Text("a")},
		{"default(form.skin, field_1)", `"field_1":"a"`, yappli.Text("a")},
		{"default(form.skin, field_1)", `"form":null`, null},

		{"replace(mobile, '-', '')", `"mobile":null`, null},
		{"replace(mobile, '-', '', 1)", `"mobile":"1-2-3"`, yappli.Text("12-3")},
		{"split(full_name, ' ')[0]", `"full_name":null`, nothing},
		{"split(full_name, ' ')[0]", `"full_name":"a b c"`, yappli.Text("a")},
		{"split(full_name, ' ', 2)[1]", `"full_name":"a b c"`, yappli.Text("b c")},
		{"full_name | split(' ') | len()", `"full_name":"a b c"`, yappli.Text("3")},
		{"hasPrefix(mobile, '09') ? 'a' : 'b'", `"mobile":null`, yappli.Text("b")},
		{"hasPrefix(mobile, '09') ? 'a' : 'b'", `"mobile":"0900000000"`, yappli.Text("a")},
		{"hasSuffix(mobile, '09') || true", `"mobile":null`, yappli.Text("1")},
		{"find(mobile, '0')", `"mobile":null`, yappli.Text("0")},
		{"len(mobile)", `"mobile":null`, yappli.Text("0")},
		{"len(form.list)", `"form":{"list":[1,2]}`, yappli.Text("2")},
		{"int(field_1)", `"field_1":null`, null},
		{"int(field_1) + 1", `"field_1":"3"`, yappli.Text("4")},
		{"string(field_1)", `"field_1":null`, null},
		{"string(role == 4)", `"role":4`, yappli.Text("true")},
		{"trim(upper(lower(mobile)))", `"mobile":null`, null},

		{"default('', '')", `"name":"a"`, nothing},
		{"default(mobile, phone)", `"mobile":null,"phone":""`, nothing},
		{"default(mobile, phone)", `"mobile":"","phone":null`, nothing},
		{"default(mobile, phone)", `"mobile":null,"phone":null`, null},
		{"default(mobile, '')", `"mobile":null`, nothing},
		{"join('-', mobile, phone)", `"mobile":null`, null},
		{"join('-', mobile, phone)", `"mobile":null,"phone":""`, nothing},
	} {
		if got, there := evaluate(t, c.expression, c.fields); got != c.want || !there {
			t.Errorf("%s of %s = %+v (there: %v), want %+v", c.expression, c.fields, got, there, c.want)
		}
	}
	for _, expression := range []string{"form.skin", "replace(mobile, '-', '')", "default(mobile, form.skin)"} {
		if got, there := evaluate(t, expression, `"name":"a"`); there {
			t.Errorf("%s without its fields = %+v, want it left out", expression, got)
		}
	}
}
