package providers_test

import (
	"encoding/json"
	"errors"
	"strconv"
	"testing"

	"hikyaku/pkg/providers"
)

func TestText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`"abc"`: "abc", `""`: "", `null`: "", `5`: "5", `5.50`: "5.50", `-1`: "-1", `12345678901234567890123`: "12345678901234567890123", `1e3`: "1e3",
		`true`: "true", `false`: "false", `"日本\u8a9e"`: "日本語", `"null"`: "null",
	} {
		got := providers.Text("before")
		if err := json.Unmarshal([]byte(in), &got); err != nil || string(got) != want {
			t.Errorf("%s: %q %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{`{}`, `[]`, `["a"]`, `{"a":1}`} {
		var got providers.Text
		if err := json.Unmarshal([]byte(in), &got); !errors.Is(err, providers.ErrInvalid) {
			t.Errorf("%s: %q %v", in, got, err)
		}
	}
	var direct providers.Text
	if err := direct.UnmarshalJSON([]byte(`"\q"`)); err == nil {
		t.Error("a broken escape was read")
	}
	if err := direct.UnmarshalJSON(nil); err != nil || direct != "" {
		t.Errorf("nothing: %q %v", direct, err)
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{
		`5`: 5, `"5"`: 5, `5.0`: 5, `"5.9"`: 5, `-5.9`: -5, `null`: 0, `""`: 0, `9007199254740993`: 9007199254740993, `"86400"`: 86400, `1e3`: 1000,
		`9223372036854775807`: 9223372036854775807, `-9223372036854775808`: -9223372036854775808, `4611686018427387904.0`: 1 << 62, `-4611686018427387904.0`: -(1 << 62),
	} {
		got := providers.Number(77)
		if err := json.Unmarshal([]byte(in), &got); err != nil || int64(got) != want {
			t.Errorf("%s: %d %v, want %d", in, got, err, want)
		}
	}
	for _, in := range []string{`"abc"`, `true`, `{}`, `[1]`, `"NaN"`, `"Inf"`, `"-Inf"`, `1e300`, `-1e300`, `"5 "`, `9223372036854775808`, `-9223372036854775809`} {
		var got providers.Number
		if err := json.Unmarshal([]byte(in), &got); !errors.Is(err, providers.ErrInvalid) || got != 0 {
			t.Errorf("%s: %d %v", in, got, err)
		}
	}
}

func TestFlag(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{
		`true`: true, `1`: true, `"1"`: true, `"true"`: true,
		`false`: false, `0`: false, `"0"`: false, `"false"`: false, `null`: false, `""`: false, `2`: false, `"yes"`: false, `"TRUE"`: false,
	} {
		got := providers.Flag(!want)
		if err := json.Unmarshal([]byte(in), &got); err != nil || bool(got) != want {
			t.Errorf("%s: %v %v", in, got, err)
		}
	}
	var got providers.Flag
	if err := json.Unmarshal([]byte(`{}`), &got); !errors.Is(err, providers.ErrInvalid) {
		t.Errorf("an object: %v %v", got, err)
	}
}

// Whatever JSON stands there, decoding ends without a panic, and what was read
// as a number or a text is what encoding/json reads.
func FuzzLenient(f *testing.F) {
	for _, s := range []string{`5`, `"5"`, `null`, `{}`, `[]`, `true`, `1e400`, `"\ud800"`, `-0`, `"5.5"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var text providers.Text
		var number providers.Number
		var flag providers.Flag
		textErr := json.Unmarshal(in, &text)
		numberErr := json.Unmarshal(in, &number)
		flagErr := json.Unmarshal(in, &flag)
		if !json.Valid(in) {
			if textErr == nil || numberErr == nil || flagErr == nil {
				t.Fatalf("%q is no JSON and was read", in)
			}
			return
		}
		if (textErr == nil) != (flagErr == nil) {
			t.Errorf("%q: text %v, flag %v", in, textErr, flagErr)
		}
		var plain string
		if json.Unmarshal(in, &plain) == nil && textErr == nil && string(text) != plain {
			t.Errorf("%q: text %q, want %q", in, text, plain)
		}
		var exact int64
		if json.Unmarshal(in, &exact) == nil && (numberErr != nil || int64(number) != exact) {
			t.Errorf("%q: number %d %v, want %d", in, number, numberErr, exact)
		}
		if i, err := strconv.ParseInt(string(text), 10, 64); err == nil && numberErr == nil && int64(number) != i {
			t.Errorf("%q: number %d, want %d", in, number, i)
		}
	})
}
