package fold_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"hikyaku/internal/fold"
)

func TestString(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{"ABC-1 x", "ａｂｃ－１ x", "abc-1　X"},
		{"ガギグパ ー", "ｶﾞｷﾞｸﾞﾊﾟ ｰ"},
		{"ÉCOLE", "école", "e\u0301cole"},
		{"ΣΑΣ", "σας"},
		{"見本", "見本"},
		{"한국", "한국"},
		{"", ""},
	} {
		for _, other := range same[1:] {
			if a, b := fold.String(same[0]), fold.String(other); a != b {
				t.Errorf("%q is folded to %q, and %q to %q", same[0], a, other, b)
			}
		}
	}
	for _, other := range [][2]string{{"か", "が"}, {"見本", "見木"}, {"a", "b"}, {"は", "ハ"}} {
		if fold.String(other[0]) == fold.String(other[1]) {
			t.Errorf("%q and %q are folded to one", other[0], other[1])
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"090-1234-5678": "09012345678", "０９０（１２３４）５６７８": "09012345678", "abc": ""} {
		if got := fold.Digits(text); got != want {
			t.Errorf("the digits of %q are %q", text, got)
		}
	}
	for text, want := range map[string]bool{"090-1234": true, "＋８１ ９０": true, "123": false, "a1234": false, "1234@": false, "": false} {
		if fold.IsNumber(text, 4) != want {
			t.Errorf("that %q is a number is %v", text, !want)
		}
	}
}

// Folding twice changes nothing, and pieces fold as the whole does.
func FuzzAppend(f *testing.F) {
	f.Add("ｶﾞ ABC", "é\xff")
	f.Add("ǅ", "\u3099")
	f.Fuzz(func(t *testing.T, a, b string) {
		once := fold.String(a)
		if again := fold.String(once); again != once && utf8.ValidString(a) {
			t.Errorf("%q is folded to %q, then %q", a, once, again)
		}
		if whole := fold.String(a + "|" + b); whole != once+"|"+fold.String(b) {
			t.Errorf("%q is folded to %q", a+"|"+b, whole)
		}
		if !strings.Contains(string(fold.Append([]byte("before "), []byte(a))), "before ") {
			t.Error("what was there before is gone")
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	text := []byte(strings.Repeat("hanako@mail.example 見本 花子 ミホン ハナコ 東京都千代田区 ", 20))
	b.SetBytes(int64(len(text)))
	var dst []byte
	for b.Loop() {
		dst = fold.Append(dst[:0], text)
	}
}
