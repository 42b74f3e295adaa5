package webhookrelay_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"hikyaku/internal/webhookrelay"
	"hikyaku/pkg/providers/yappli"
)

// evaluate returns column01 of a user with the fields, which are JSON.
func evaluate(t *testing.T, expression, fields string) (yappli.Value, bool) {
	t.Helper()
	m, err := webhookrelay.ParseMapping("m.yaml", fmt.Appendf(nil, "options: {zone: Asia/Tokyo}\ncolumn01: %q\n", expression))
	if err != nil {
		t.Fatal(err)
	}
	wish, err := m.Wish(user(t, `{"id":7,`+fields+`}`))
	if err != nil {
		t.Fatalf("%s of %s: %v", expression, fields, err)
	}
	v, there := wish["column01"]
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

func TestDate(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		" 2026-03-14 ":                  "2026-03-14 00:00:00",
		"２０２６－０３－１４　":                   "2026-03-14 00:00:00",
		"1990/01/02":                    "1990-01-02 00:00:00",
		"2026-3-1":                      "2026-03-01 00:00:00",
		"2026/3/1 9:05":                 "2026-03-01 18:05:00",
		"2026-03-14 09:00":              "2026-03-14 18:00:00",
		"2026-03-14T09:00+09:00":        "2026-03-14 09:00:00",
		"2026-03-14T09:00Z":             "2026-03-14 18:00:00",
		"2026-03-14T09:00:01.5+09:00":   "2026-03-14 09:00:01",
		"2026-03-14T09:00:01.25":        "2026-03-14 18:00:01",
		"2026-03-14T09:00:01":           "2026-03-14 18:00:01",
		"2026/03/14 09:00:01 and later": "", "2026-02-30": "", "14/03/2026": "", "2026-13-01": "", "03-14": "", "": "",
	} {
		if got, _ := evaluate(t, "date(field_1)", `"field_1":`+quoted(t, in)); got != yappli.Text(want) {
			t.Errorf("date(%q) = %+v, want %q", in, got, want)
		}
	}
}
