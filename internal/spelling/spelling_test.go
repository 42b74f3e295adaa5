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
