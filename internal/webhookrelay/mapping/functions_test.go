package mapping_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"hikyaku/internal/webhookrelay/mapping"
	"hikyaku/pkg/providers/yappli"
)

// evaluate returns column01 of a user with the fields, which are JSON.
func evaluate(t *testing.T, expression, fields string) (yappli.Value, bool) {
	t.Helper()
	m, err := mapping.Parse("m.yaml", fmt.Appendf(nil, "options: {zone: Asia/Tokyo}\ncolumn01: %q\n", expression))
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

func TestE164(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ region, number, e164, domestic string }{
		{"JP", "03-1000-0001 内線123", "+81310000001", "0310000001"},
		{"JP", "０３（１０００）０００１　内線１２３", "+81310000001", "0310000001"},
		{"TW", "02-2000-0001#123", "+886220000001", "0220000001"},
		{"TW", "(02)2000-0001 分機 12", "+886220000001", "0220000001"},
		{"TW", "02-2000-0001轉12", "+886220000001", "0220000001"},
		{"CN", "010-1000-0001 分机12", "+861010000001", "01010000001"},
		{"HK", "2000 0001 ext. 12", "+85220000001", "20000001"},
		{"HK", "2000 0001 EXT12", "+85220000001", "20000001"},
		{"HK", "2000 0001 Ｘ12", "+85220000001", "20000001"},
		{"HK", "2000 0001, extension 12", "+85220000001", "20000001"},
		{"HK", "Fax 2000 0001", "+85220000001", "20000001"}, // no x after digits
		{"JP", "内線123", "", ""},

		{"JP", "\u202a+886 900-000-000\u202c", "+886900000000", "+886900000000"},
		{"JP", "\u200e090-0000-0000", "+819000000000", "09000000000"},
		{"JP", "(+886) 900-000-000", "+886900000000", "+886900000000"},
		{"JP", "Tel: ＋886 900-000-000", "+886900000000", "+886900000000"},

		{"JP", "+81 090-0000-0000", "+819000000000", "09000000000"},
		{"JP", "81 090-0000-0000", "+819000000000", "09000000000"},
		{"TW", "+886 0900-000-000", "+886900000000", "0900000000"},
		{"TW", "+886 (0)900-000-000", "+886900000000", "0900000000"},
		{"TW", "(0)900-000-000", "+886900000000", "0900000000"},
		{"JP", "++81+90-0000-0000", "+819000000000", "09000000000"},
		{"JP", "+81 0090-0000-0000", "", ""},
		{"JP", "+090-0000-0000", "", ""},

		{"HK", "13800000000", "", ""},
		{"HK", "0900-000-000", "", ""},
		{"HK", "100 0000", "", ""},
		{"HK", "0000 0001", "", ""},
		{"HK", "+852 200 0000", "", ""},
		{"HK", "852 2000 0001", "+85220000001", "20000001"},
		{"SG", "+65 8000 0001", "+6580000001", "80000001"},
		{"MO", "2800 0001", "+85328000001", "28000001"},
		{"US", "555-0100", "", ""},
		{"US", "+1 (415) 555-0100", "+14155550100", "4155550100"},

		{"CN", "13800000000", "+8613800000000", "13800000000"},
		{"CN", "+86 138 0000 0000", "+8613800000000", "13800000000"},
		{"CN", "8613800000000", "+8613800000000", "13800000000"},
		{"CN", "013800000000", "+8613800000000", "13800000000"},
		{"CN", "0755-2000-0001", "+8675520000001", "075520000001"},
		{"CN", "75520000001", "", ""},

		{"JP", "8100-0001", "", ""},
		{"JP", "9000000000", "", ""}, // a spreadsheet's
		{"JP", "090-0000-000", "+81900000000", "0900000000"},
		{"JP", "090-0000-00", "", ""},
		{"JP", "090-0000-00000", "", ""},
		{"JP", "+81 90 0000 00", "", ""},
		{"TW", "0900-000-0000", "", ""},
		{"TW", "0836-00000", "+88683600000", "083600000"},
		{"KR", "010-0000-0001", "+821000000001", "01000000001"},
		{"KR", "02-300-0001", "+8223000001", "023000001"},
		{"TH", "02-000-0001", "+6620000001", "020000001"},
		{"TH", "081-000-0001", "+66810000001", "0810000001"},
		{"VN", "090 000 00 01", "+84900000001", "0900000001"},
		{"MY", "03-2000 0001", "+60320000001", "0320000001"},
		{"MY", "011-1000 0001", "+601110000001", "01110000001"},

		{"JP", "010 1 415 555 0100", "", ""},
		{"TW", "002 81 3 1000 0001", "", ""},
		{"KR", "001 852 2000 0001", "", ""},
		{"CN", "00 81 3 1000 0001", "+81310000001", "+81310000001"},

		{"JP", "+44 (0)20 7946 0000", "+442079460000", "+442079460000"},
		{"JP", "+44 20790", "", ""},
		{"JP", "+44 207900", "+44207900", "+44207900"},
		{"JP", "+441234567890123456", "", ""},

		{"tw", "0900-000-000", "+886900000000", "0900000000"},
		{"XX", "+886 900-000-000", "+886900000000", "+886900000000"},
		{"XX", "0900-000-000", "", ""},
		{"XX", "886900000000", "", ""},
		{"", "+886 900-000-000", "+886900000000", "+886900000000"},
		{"", "", "", ""}, {"JP", "", "", ""}, {"HK", "+", "", ""}, {"JP", "+81", "", ""}, {"JP", "00", "", ""},
	} {
		fields := `"mobile":` + quoted(t, c.number) + `,"country":` + quoted(t, c.region)
		for function, want := range map[string]string{"e164": c.e164, "domestic": c.domestic} {
			if got, _ := evaluate(t, function+"(mobile, country)", fields); got != yappli.Text(want) {
				t.Errorf("%s(%q, %q) = %+v, want %q", function, c.number, c.region, got, want)
			}
		}
	}
	for _, fields := range []string{`"mobile":"+886 900-000-000","country":null`, `"mobile":"+886 900-000-000"`} {
		if got, _ := evaluate(t, "e164(mobile, country)", fields); got != yappli.Text("+886900000000") {
			t.Errorf("e164 of %s = %+v", fields, got)
		}
	}
	for _, expression := range []string{"e164(mobile, 'jp')", "domestic(e164(mobile, 'jp'), 'us')"} {
		if got, _ := evaluate(t, expression, `"mobile":"090-0000-0000"`); got != yappli.Text("+819000000000") {
			t.Errorf("%s = %+v", expression, got)
		}
	}
	if _, err := mapping.Parse("m.yaml", []byte("options: {region: jp}\ncolumn01: e164(mobile)\n")); err != nil {
		t.Error(err)
	}
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
		{"replace(mobile, '', 'x')", `"mobile":null`, null},
		{"replace(mobile, '-', '', 1)", `"mobile":"1-2-3"`, yappli.Text("12-3")},
		{"split(full_name, ' ')[0]", `"full_name":null`, nothing},
		{"split(full_name, ' ')[0]", `"full_name":"a b c"`, yappli.Text("a")},
		{"split(full_name, ' ', 2)[1]", `"full_name":"a b c"`, yappli.Text("b c")},
		{"full_name | split(' ') | len()", `"full_name":"a b c"`, yappli.Text("3")},
		{"hasPrefix(mobile, '09') ? 'a' : 'b'", `"mobile":null`, yappli.Text("b")},
		{"hasPrefix(mobile, '09') ? 'a' : 'b'", `"mobile":"0900000000"`, yappli.Text("a")},
		{"hasSuffix(mobile, '09') || true", `"mobile":null`, yappli.Text("1")},
		{"indexOf(mobile, '0')", `"mobile":null`, yappli.Text("-1")},
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
