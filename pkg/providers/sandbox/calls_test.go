package sandbox_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// Of many calls the newest are remembered, and all are counted, whatever number of them
// is remembered.
func TestServer_MaxCalls(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ most, calls, first, kept int }{
		{0, 7, 0, 7}, {3, 2, 0, 2}, {3, 3, 0, 3}, {3, 4, 1, 3}, {3, 7, 4, 3}, {1, 5, 4, 1},
	} {
		s := sandbox.NewServer("test", -1, sandbox.Options{MaxCalls: c.most})
		s.Handle("GET /things/{id}", func(w http.ResponseWriter, _ *sandbox.Request) { sandbox.JSON(w, http.StatusOK, 1) })
		var want []string
		for i := range c.calls {
			path := fmt.Sprintf("/things/%d", i)
			if status, _, err := fetch(t.Context(), s.Client(), "GET", "http://sandbox.test"+path); status != 200 || err != nil {
				t.Fatal(status, err)
			}
			if i >= c.first {
				want = append(want, path)
			}
		}
		var got []string
		for _, call := range s.Calls() {
			got = append(got, call.Path)
		}
		if !slices.Equal(got, want) || len(got) != c.kept {
			t.Errorf("%d calls, of which %d are remembered: %v, want %v", c.calls, c.most, got, want)
		}
		if s.Count("") != c.calls || s.Count("GET /things/{id}") != c.calls || s.Count("GET /other") != 0 {
			t.Errorf("counted %d and %d of %d calls", s.Count(""), s.Count("GET /things/{id}"), c.calls)
		}
	}
}

// Who observes hears of each call, answered or cut, by the time the client has the
// answer, and how long it took.
func TestServer_Observe(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var heard []sandbox.Call
	s := newShop(-1, sandbox.Options{Observe: func(c sandbox.Call) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, c)
	}})
	for i, c := range []struct {
		fault  sandbox.Fault
		status int
	}{
		{sandbox.Fault{}, 200},
		{sandbox.Fault{Kind: sandbox.TooMany}, 429},
		{sandbox.Fault{Kind: sandbox.Lost}, 0},
		{sandbox.Fault{Kind: sandbox.Slow, Delay: 20 * time.Millisecond}, 200},
	} {
		s.Inject(c.fault)
		_, _, _ = s.get(t.Context(), "POST", "/things")
		mu.Lock()
		last, n := heard[len(heard)-1], len(heard)
		mu.Unlock()
		if n != i+1 || last.Route != "POST /things" || last.Path != "/things" || last.Status != c.status || last.Fault != c.fault.Kind {
			t.Errorf("after %d calls %d were heard of, the last %+v", i+1, n, last)
		}
		if last.Elapsed <= 0 || last.Elapsed < c.fault.Delay {
			t.Errorf("fault %q: it took %v", c.fault.Kind, last.Elapsed)
		}
	}
	if !slices.Equal(s.Calls(), heard) {
		t.Errorf("remembered %+v, heard of %+v", s.Calls(), heard)
	}
}
