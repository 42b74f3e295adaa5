package supersaastest_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/sandbox/keepertest"
	"hikyaku/pkg/providers/supersaas/supersaastest"
)

// With as many people as a shop has, one of them is read or changed in well under a
// millisecond, what is kept of it included.
func TestServer_Speed(t *testing.T) {
	t.Parallel()
	s := supersaastest.New(sandbox.Options{Records: 4000, Rate: -1, Keeper: new(keepertest.Memory)})
	for _, c := range [][3]string{{"GET", "/api/users/%d.json", ""}, {"PUT", "/api/users/%d.json", `{"user":{"mobile":"x"}}`}, {"DELETE", "/api/users/%d.json", ""}} {
		times := make([]time.Duration, 101)
		for i := range times {
			began := time.Now()
			if got := ask(s, c[0], fmt.Sprintf(c[1], 20450001+3*37*i), c[2]); got[:3] != "200" {
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
	s := supersaastest.New(sandbox.Options{Records: 4000, Rate: -1, MaxCalls: 100, Keeper: new(keepertest.Memory)})
	i := 0
	for _, c := range []struct{ name, method, path, body string }{
		{"get", "GET", "/api/users/%d.json", ""}, {"update", "PUT", "/api/users/%d.json", `{"user":{"mobile":"x"}}`},
		{"list of 100", "GET", "/api/users.json?limit=100&offset=500&x=%d", ""}, {"list of 1000", "GET", "/api/users.json?limit=1000&offset=500&x=%d", ""},
		{"range of 100", "GET", "/api/range/555001.json?limit=100&offset=500&from=2020-01-01&x=%d", ""}, {"booking", "GET", "/api/bookings/90210%03d.json?", ""},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				i++
				n := 20450001 + i*7%3999*3
				if c.name == "booking" {
					n = 1 + i%18
				}
				if got := ask(s, c.method, fmt.Sprintf(c.path, n), c.body); got[:3] != "200" {
					b.Fatal(got)
				}
			}
		})
	}
	e := s.ByHand()
	for _, kind := range []string{"users", "appointments"} {
		for _, search := range []string{"", "花子", "nobody at all"} {
			b.Run("editor "+kind+" "+search, func(b *testing.B) {
				for b.Loop() {
					_, _, _ = e.List(kind, sandbox.RecordQuery{Search: search})
				}
			})
		}
	}
}
