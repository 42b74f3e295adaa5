package spelling_test

import (
	"testing"

	"hikyaku/internal/spelling"
)

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"email", "email", 0}, {"emial", "email", 2}, {"users", "user", 1},
		{"login-id", "login_id", 1}, {"kitten", "sitting", 3},
	} {
		if got, back := spelling.Distance(c.a, c.b), spelling.Distance(c.b, c.a); got != c.want || back != c.want {
			t.Errorf("%q and %q: %d and %d, want %d", c.a, c.b, got, back, c.want)
		}
	}
}

func TestMeant(t *testing.T) {
	t.Parallel()
	known := []string{"tokens", "links", "demo", "dead", "ab"}
	for name, want := range map[string]string{
		"toknes": "tokens", "Tokens": "tokens", "link": "links", "dema": "demo", "deal": "dead",
		"xy": "", "relay": "", "": "", "token-xy": "",
	} {
		if got := spelling.Meant(name, known); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
