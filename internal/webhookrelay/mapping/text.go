package mapping

import (
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

// nothing reports a character that shows nothing: white space of every kind,
// and what is made to be invisible.
func nothing(r rune) bool {
	return unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf) || strings.ContainsRune("\u115f\u1160\u2800\u3164\uffa0", r)
}

// blank reports a text that shows nothing. It is no value.
func blank(s string) bool { return strings.TrimFunc(s, nothing) == "" }

func trim(s string) string {
	if blank(s) {
		return ""
	}
	return strings.TrimSpace(s)
}

var voiced = regexp.MustCompile(`[ぁ-ヿ][\x{3099}\x{309A}]`)

// fold also composes: a half-width kana carries its voicing mark apart. Nothing
// else is, as NFC would write some people's names with another ideograph.
func fold(s string) string { return voiced.ReplaceAllStringFunc(width.Fold.String(s), norm.NFC.String) }

// kanaDistance is from each hiragana to its katakana, iteration marks included.
const kanaDistance = 'ァ' - 'ぁ'

func katakana(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'ぁ' && r <= 'ゖ' || r == 'ゝ' || r == 'ゞ' {
			return r + kanaDistance
		}
		return r
	}, fold(s))
}

func hiragana(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'ァ' && r <= 'ヶ' || r == 'ヽ' || r == 'ヾ' {
			return r - kanaDistance
		}
		return r
	}, fold(s))
}

// characters divides a text into what a person takes for one character: a
// letter with its marks, voicing and variants of ideographs among them, an emoji
// of several parts, a flag.
func characters(s string) []string {
	var all []string
	start, joined, flags := 0, false, 0
	for at, r := range s {
		flag := r >= 0x1f1e6 && r <= 0x1f1ff
		if at > 0 && !joined && !continues(r) && (!flag || flags%2 == 0) {
			all = append(all, s[start:at])
			start, flags = at, 0
		}
		if flag {
			flags++
		}
		joined = r == '\u200d'
	}
	if s == "" {
		return nil
	}
	return append(all, s[start:])
}

// continues reports a rune that belongs to the character before it.
func continues(r rune) bool {
	return unicode.Is(unicode.M, r) || r == '\u200d' || r == 'ﾞ' || r == 'ﾟ' || r >= 0x1f3fb && r <= 0x1f3ff
}
