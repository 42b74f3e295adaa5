package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
		"\U000e0041":            `\udb40\udc41`,
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

// What passes a visibleWriter piece by piece is shown as in one, and JSON stays
// the same JSON.
func TestVisibleWriter(t *testing.T) {
	t.Parallel()
	document, err := json.Marshal(map[string]string{"山田\u202e花子\\\u200b": "\x1b[31m\U000e0041\u0085\u2028\ufffd\n\t\x7f"})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		string(document):                  "",
		"a line\tof ours\nand\u200bone\n": "a line\tof ours\nand\\u200bone\n",
		"broken \xe5\xb1 and \xff\n":      `broken \xe5\xb1 and \xff` + "\n",
	} {
		for size := 1; size <= len(text); size++ {
			out, err := os.Create(filepath.Join(t.TempDir(), "out"))
			if err != nil {
				t.Fatal(err)
			}
			w := &visibleWriter{to: out}
			for at := 0; at < len(text); at += size {
				if n, err := w.Write([]byte(text[at:min(at+size, len(text))])); err != nil || n == 0 {
					t.Fatal(n, err)
				}
			}
			raw, err := os.ReadFile(out.Name())
			if err != nil || out.Close() != nil {
				t.Fatal(err)
			}
			got := string(raw)
			if want != "" && got != want || strings.ContainsFunc(got, func(r rune) bool { return hidden(r) && r != '\n' && r != '\t' }) {
				t.Errorf("by %d: %q, want %q", size, got, want)
			}
			var before, after map[string]string
			if want == "" && (json.Unmarshal(raw, &after) != nil || json.Unmarshal(document, &before) != nil || len(after) != 1) {
				t.Errorf("by %d: %s is no JSON any more", size, got)
			}
			for name, value := range before {
				if after[name] != value {
					t.Errorf("by %d: %q became %q", size, value, after[name])
				}
			}
		}
	}
}
