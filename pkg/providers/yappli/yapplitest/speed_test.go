package yapplitest_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/sandbox/keepertest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// With as many members as a shop has, one of them is read or changed in well under a
// millisecond, what is kept of it included.
func TestServer_Speed(t *testing.T) {
	t.Parallel()
	s := yapplitest.New(sandbox.Options{Records: 4000, Rate: -1, Keeper: new(keepertest.Memory)})
	s.Generation = 3
	s.Tokens.Accept(pasted, time.Time{})
	for _, c := range [][3]string{{"GET", "/api/ext/users/%d", ""}, {"PUT", "/api/ext/users/%d", `{"column03":"x"}`}, {"POST", "/api/ext/users?%d", `{"unique_id":"x"}`}} {
		times := make([]time.Duration, 101)
		for i := range times {
			began := time.Now()
			if got := keepertest.Ask(s, pasted, c[0], fmt.Sprintf(c[1], 1001+37*i), c[2]); got[:3] != "200" {
				t.Fatal(got)
			}
			times[i] = time.Since(began)
		}
		if slices.Sort(times); times[50] > time.Millisecond {
			t.Errorf("%s takes %v", c[0], times[50])
		}
	}
}

func BenchmarkServer(b *testing.B) {
	s := yapplitest.New(sandbox.Options{Records: 4000, Rate: -1, MaxCalls: 100, Keeper: new(keepertest.Memory)})
	s.Generation, s.Lookup = 3, true
	s.Tokens.Accept(pasted, time.Time{})
	i := 0
	for _, c := range []struct{ name, method, path, body string }{
		{"get", "GET", "/api/ext/users/%d", ""}, {"update", "PUT", "/api/ext/users/%d", `{"column03":"x"}`},
		{"lookup", "GET", "/api/ext/users/unique_id/shop-000%d", ""}, {"list of 50", "GET", "/api/ext/users?page=7&per_page=50&x=%d", ""}, {"list of 1000", "GET", "/api/ext/users?page=2&per_page=1000&x=%d", ""},
		{"create", "POST", "/api/ext/users", `{"unique_id":"made%d"}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				i++
				path, body := c.path, c.body
				if c.name == "create" {
					body = fmt.Sprintf(body, i)
				} else {
					path = fmt.Sprintf(path, 1001+i*7%3999)
				}
				if got := keepertest.Ask(s, pasted, c.method, path, body); got[:3] != "200" && c.name != "lookup" {
					b.Fatal(got)
				}
			}
		})
	}
	e := s.ByHand()
	for _, search := range []string{"", "花子", "nobody at all"} {
		b.Run("editor "+search, func(b *testing.B) {
			for b.Loop() {
				_, _, _ = e.List("members", sandbox.RecordQuery{Search: search})
			}
		})
	}
}
