// Package fold brings texts into one form, in which what people type is found whatever way
// it was written: without the difference of capitals, and of wide and narrow letters.
// ＡＢＣ, abc and ABC are one, ｶﾞ and ガ are one, and so are a wide and a narrow space.
//
//	needle := fold.String("ﾐﾎﾝ")
//	found := strings.Contains(fold.String("ミホン シコ"), needle)
//
// What comes out is for comparing, and not for showing.
package fold

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// String folds a text.
func String(s string) string { return string(Append(nil, []byte(s))) }

// Append adds a folded text to dst. It takes some nanoseconds a character, and no memory
// but what dst needs.
func Append(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, size := utf8.DecodeRune(s[i:])
		if r == utf8.RuneError || same(r) {
			dst = append(dst, s[i:i+size]...)
		} else {
			dst = append(dst, folded(r)...)
		}
		i += size
	}
	return dst
}

// same reports a character of the large blocks in which nothing has another form: Han, and
// the syllables of Korean.
func same(r rune) bool { return 0x3400 <= r && r <= 0x9fff || 0xac00 <= r && r <= 0xd7a3 }

// folded is the form of one character. Its parts stay apart, as a letter and its mark, so
// that it does not depend on what stands beside it.
func folded(r rune) string {
	if r < most {
		return table()[r]
	}
	return fold(r)
}

// most ends the table: characters above are rare.
const most = 0x10000

var table = sync.OnceValue(func() *[most]string {
	t := &[most]string{}
	for r := rune(0); r < most; r++ {
		if !same(r) && utf8.ValidRune(r) {
			t[r] = fold(r)
		}
	}
	return t
})

func fold(r rune) string {
	return strings.Map(func(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }, norm.NFKD.String(string(r)))
}

// Digits returns the digits of a text, narrow: what is left of a telephone number whose
// writers put spaces, hyphens and brackets where they liked.
func Digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, String(s))
}

// IsNumber reports whether a text is nothing but digits and what stands between those of a
// telephone number, with so many digits at least.
func IsNumber(s string, digits int) bool {
	n := 0
	for _, r := range String(s) {
		switch {
		case '0' <= r && r <= '9':
			n++
		case !strings.ContainsRune(" -+().‐‑–—−ー", r):
			return false
		}
	}
	return n >= digits
}
