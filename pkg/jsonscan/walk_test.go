package jsonscan_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"hikyaku/pkg/jsonscan"
)

func TestLookupAndText(t *testing.T) {
	t.Parallel()
	record := []byte(` { "a" : { "\u0062" : "x\"y" , "c" : 1.50 } , "a" : 2 , "n" : null, "e":"", "t":true, "l":[1], "u":"\ud83d\ude00\ud800" } `)
	for path, want := range map[string]string{
		"a.b": `x"y`, "a.c": "1.50", "u": "😀\ufffd", "a": "-", "a.d": "-", "b": "-", "n": "-", "e": "-", "t": "-", "l": "-", "n.x": "-", "l.x": "-", "": "-",
	} {
		var names []string
		if path != "" {
			names = strings.Split(path, ".")
		}
		value, ok := jsonscan.Lookup(record, names)
		got := "-"
		if ok {
			if text, ok := jsonscan.Text(value); ok {
				got = string(text)
			}
		}
		if got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestMembersAndElements(t *testing.T) {
	t.Parallel()
	object := []byte(`{ "a" : [1 , {"x":"}"} ] ,"b":"\"", "c":-1e5}`)
	var got []string
	jsonscan.Members(object, 0, func(m jsonscan.Member) bool {
		got = append(got, string(m.Name)+"="+string(object[m.Value:m.End]))
		return true
	})
	if want := `a=[1 , {"x":"}"} ]|b="\""|c=-1e5`; strings.Join(got, "|") != want {
		t.Errorf("members %s", strings.Join(got, "|"))
	}
	array := []byte(`[ 1 , "]" ,[ ] , {"a":[1]},null ]`)
	got = nil
	jsonscan.Elements(array, 0, func(start, end int) bool {
		got = append(got, string(array[start:end]))
		return len(got) < 4
	})
	if want := `1|"]"|[ ]|{"a":[1]}`; strings.Join(got, "|") != want {
		t.Errorf("elements %s", strings.Join(got, "|"))
	}
}

// On valid strings Unquote agrees with encoding/json; nothing makes the walkers
// panic or leave the slice.
func FuzzWalk(f *testing.F) {
	for _, c := range corpus(f) {
		f.Add([]byte(c))
	}
	for _, s := range []string{`"\u00e9\ud83d\ude00\ud800x\udc00"`, `"\q"`, `"\u12"`, `{"a`, `[1,`, `{"a":`, `"`, `\`, `{"a"`, `{"a":1,`, `[[`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1 && b[0] == '"' && b[len(b)-1] == '"' && utf8.Valid(b) {
			var want string
			if json.Unmarshal(b, &want) == nil {
				if got, ok := jsonscan.Unquote(b[1 : len(b)-1]); !ok || string(got) != want {
					t.Errorf("%s: %q, %v, want %q", b, got, ok, want)
				}
			}
		}
		for i := range b {
			if end := jsonscan.SkipValue(b, i); end < i || end > len(b) {
				t.Fatalf("%q: a value at %d ends at %d", b, i, end)
			}
		}
		if len(b) == 0 {
			return
		}
		jsonscan.Members(b, 0, func(m jsonscan.Member) bool {
			_ = b[m.Value:m.End]
			_, _ = jsonscan.Unquote(m.Name)
			return true
		})
		jsonscan.Elements(b, 0, func(start, end int) bool { return start < end && end <= len(b) })
		if value, ok := jsonscan.Lookup(b, []string{"a", "b"}); ok {
			_, _ = jsonscan.Text(value)
		}
	})
}

func TestCountObjects(t *testing.T) {
	for body, want := range map[string]int{
		``: 0, `{}`: 0, `[]`: 0, `[{}]`: 1, `[{"a":[{},{}]},{}]`: 2, `{"members":[{"member":{"id":1}} {"member":{"id":2}},]}`: 2,
		`{"pages":{"n":1},"items":[{"s":"[{\"},{"},{},`: 2, "[{\"s\":\"\n\"},{\"s": 2, `]{[{`: 1, `x`: 0,
	} {
		if n := jsonscan.CountObjects([]byte(body)); n != want {
			t.Errorf("%q: %d objects, want %d", body, n, want)
		}
	}
}
