package main

import "testing"

func TestVisible(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                      "",
		"山田 花子, Ünïcode 🙂":      "山田 花子, Ünïcode 🙂",
		`a\nb`:                  `a\nb`,
		"a\nb\tc\rd\x00":        `a\nb\tc\u000dd\u0000`,
		"\x1b[31mred\x1b[0m":    `\u001b[31mred\u001b[0m`,
		"\u009b2J":              `\u009b2J`,
		"abc\u202e321":          `abc\u202e321`,
		"\u2066x\u2069\u200f":   `\u2066x\u2069\u200f`,
		"pass\u200bword\ufeff":  `pass\u200bword\ufeff`,
		"a\u2028b\u2029":        `a\u2028b\u2029`,
		"\u00ad\u2060\u3164":    `\u00ad\u2060\u3164`,
		"\U000e0041":            `\U000e0041`,
		"broken \xff\xfe bytes": `broken \xff\xfe bytes`,
		"replaced \ufffd":       `replaced \ufffd`,
	} {
		if got := visible(text); got != want {
			t.Errorf("%q is shown as %s, want %s", text, got, want)
		}
	}
	if got := visibleLines("two\nlines\u202e"); got != "two\n"+`lines\u202e` {
		t.Errorf("got %q", got)
	}
}
