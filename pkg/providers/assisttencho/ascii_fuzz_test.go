package assisttencho_test

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"hikyaku/pkg/providers/internal/canned"
)

// Any text arrives as it was, in ASCII.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{"", "山田 花子", "𠮷😀", "<>&\"\\\n\u2028", "\x00\x7f\u0080\uffff\U0010ffff", "\xff", "\\ud842"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		transport := &canned.Transport{Body: "{}"}
		if _, err := clientOf(transport, "").CreateOrder(t.Context(), map[string]string{"t": text}); err != nil {
			t.Fatal(err)
		}
		for _, b := range transport.Seen {
			if b >= 0x80 {
				t.Fatalf("byte %x", b)
			}
		}
		var got map[string]string
		if err := json.Unmarshal(transport.Seen, &got); err != nil {
			t.Fatal(err)
		}
		if utf8.ValidString(text) && got["t"] != text {
			t.Errorf("sent %q for %q", got["t"], text)
		}
	})
}
