package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

const answered = `{"answer":"0123456789"}` + "\n"

// shop is a server with two routes that count their effects.
type shop struct {
	*sandbox.Server

	effects int
}

func newShop(rate float64, o sandbox.Options) *shop {
	s := &shop{Server: sandbox.NewServer("test", rate, o)}
	answer := func(w http.ResponseWriter, _ *sandbox.Request) {
		s.effects++
		sandbox.JSON(w, http.StatusOK, map[string]string{"answer": "0123456789"})
	}
	s.Handle("GET /things", answer)
	s.Handle("POST /things", answer)
	s.HandleUnlimited("POST /token", answer)
	return s
}

// get sends a request and returns status and body. A broken connection is
// status 0, a broken body has its error.
func (s *shop) get(ctx context.Context, method, path string) (status int, body string, err error) {
	return fetch(ctx, s.Client(), method, "http://sandbox.test"+path)
}

func fetch(ctx context.Context, c *http.Client, method, url string) (status int, body string, err error) {
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return 0, "", err
	}
	answer, err := c.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(b), err
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for kind, c := range map[sandbox.FaultKind]struct {
		status  int // 0: no answer
		body    string
		broken  bool // an error while reading the body
		effects int
	}{
		sandbox.None:       {200, answered, false, 1},
		sandbox.Slow:       {200, answered, false, 1},
		sandbox.TooMany:    {429, "rate_limited", false, 0},
		sandbox.ServerFail: {503, "unavailable", false, 0},
		sandbox.BadGateway: {502, "<html>", false, 0},
		sandbox.Denied:     {401, "invalid_token", false, 0},
		sandbox.Dropped:    {0, "", true, 0},
		sandbox.Lost:       {0, "", true, 1},
		sandbox.Reset:      {200, answered[:len(answered)/2], true, 1},
		sandbox.Garbage:    {200, "\x00{garbage]", false, 1},
	} {
		for _, over := range []string{"in-process", "socket"} {
			s := newShop(-1, sandbox.Options{})
			client, base := s.Client(), "http://sandbox.test"
			if over == "socket" {
				server := httptest.NewServer(s)
				defer server.Close()
				client, base = server.Client(), server.URL
			}
			s.Inject(sandbox.Fault{Kind: kind, RetryAfter: "7"})
			// A POST, because net/http repeats a GET on a connection that broke.
			status, body, err := fetch(t.Context(), client, "POST", base+"/things")
			effects := 0
			s.Do(func() { effects = s.effects })
			if status != c.status || !strings.Contains(body, c.body) || (err != nil) != c.broken || effects != c.effects {
				t.Errorf("%s %q: %d %q %v, %d effects", over, kind, status, body, err, effects)
			}
			calls := s.Calls()
			want := c.status
			if kind == sandbox.Reset {
				want = 0
			}
			if len(calls) != 1 || calls[0].Route != "POST /things" || calls[0].Path != "/things" || calls[0].Status != want || calls[0].Fault != kind || calls[0].Time.IsZero() {
				t.Errorf("%s %q: remembered %+v", over, kind, calls)
			}
			if status, body, err := fetch(t.Context(), client, "POST", base+"/things"); status != 200 || body != answered || err != nil {
				t.Errorf("%s after %q: %d %q %v", over, kind, status, body, err)
			}
		}
	}
}

func TestFaults_RetryAfter(t *testing.T) {
	t.Parallel()
	for kind, want := range map[sandbox.FaultKind]string{sandbox.TooMany: "7", sandbox.ServerFail: "7", sandbox.Garbage: "", sandbox.None: ""} {
		s := newShop(-1, sandbox.Options{})
		s.Inject(sandbox.Fault{Kind: kind, RetryAfter: "7"})
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://sandbox.test/things", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if got := answer.Header.Get("Retry-After"); got != want {
			t.Errorf("%q: Retry-After %q", kind, got)
		}
	}
}

// Faults queue; each waits for its route and for the requests that it leaves
// alone.
func TestInject(t *testing.T) {
	t.Parallel()
	s := newShop(-1, sandbox.Options{})
	s.Inject(sandbox.Fault{Kind: sandbox.ServerFail, Route: "POST", After: 1, Times: 2})
	s.Inject(sandbox.Fault{Kind: sandbox.TooMany, Route: "GET /things"})
	s.Inject(sandbox.Fault{Kind: sandbox.Denied, Route: "GET /things", Times: -1})
	var got []string
	for _, c := range []string{"GET", "POST", "GET", "POST", "POST", "POST", "GET"} {
		status, _, _ := s.get(t.Context(), c, "/things")
		got = append(got, fmt.Sprint(c, status))
	}
	if want := "GET429 POST200 GET401 POST503 POST503 POST200 GET401"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
	s.SetFaults(sandbox.Faults{})
	if status, _, _ := s.get(t.Context(), "GET", "/things"); status != 200 {
		t.Errorf("after SetFaults: %d", status)
	}
	if s.Count("GET /things") != 4 || s.Count("POST /things") != 4 || s.Count("") != 8 || s.Count("GET /other") != 0 {
		t.Errorf("counts %d %d %d", s.Count("GET /things"), s.Count("POST /things"), s.Count(""))
	}
}

// Chances come out in their share, and equal seeds give equal faults.
func TestRandomFaults(t *testing.T) {
	t.Parallel()
	faults := sandbox.Faults{TooMany: 0.1, ServerFail: 0.1, Dropped: 0.1, Lost: 0.1, Reset: 0.1, RetryAfter: "3"}
	run := func(seed uint64) (kinds []sandbox.FaultKind) {
		s := newShop(-1, sandbox.Options{Seed: seed, Faults: faults})
		for range 2000 {
			_, _, _ = s.get(t.Context(), "GET", "/things")
		}
		for _, c := range s.Calls() {
			kinds = append(kinds, c.Fault)
		}
		return kinds
	}
	first := run(1)
	if fmt.Sprint(first) != fmt.Sprint(run(1)) {
		t.Error("equal seeds, other faults")
	}
	if fmt.Sprint(first) == fmt.Sprint(run(2)) {
		t.Error("other seeds, equal faults")
	}
	shares := map[sandbox.FaultKind]int{}
	for _, k := range first {
		shares[k]++
	}
	for _, k := range []sandbox.FaultKind{sandbox.TooMany, sandbox.ServerFail, sandbox.Dropped, sandbox.Lost, sandbox.Reset} {
		if shares[k] < 140 || shares[k] > 260 {
			t.Errorf("%s came %d times in 2000 where 200 are expected", k, shares[k])
		}
	}
	for kind, f := range map[sandbox.FaultKind]sandbox.Faults{
		sandbox.TooMany: {TooMany: 1}, sandbox.ServerFail: {ServerFail: 1}, sandbox.Dropped: {Dropped: 1}, sandbox.Lost: {Lost: 1}, sandbox.Reset: {Reset: 1},
	} {
		s := newShop(-1, sandbox.Options{Faults: f})
		_, _, _ = s.get(t.Context(), "GET", "/things")
		if got := s.Calls()[0].Fault; got != kind {
			t.Errorf("certain %s: %s", kind, got)
		}
	}
}

// The account's limit counts any sliding second. What was refused does not
// count, nor do routes without a limit.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop(2, sandbox.Options{Faults: sandbox.Faults{RetryAfter: "1"}})
		var got []string
		step := func(wait time.Duration, method, path string) {
			time.Sleep(wait)
			status, _, err := s.get(t.Context(), method, path)
			if err != nil {
				t.Error(err)
			}
			got = append(got, fmt.Sprint(status))
		}
		step(0, "GET", "/things")
		step(500*time.Millisecond, "GET", "/things")
		step(499*time.Millisecond, "GET", "/things") // the third within 0.999 s
		step(0, "POST", "/token")
		step(0, "POST", "/token")
		step(time.Millisecond, "GET", "/things") // the first is a second old
		step(0, "GET", "/things")
		step(499*time.Millisecond, "GET", "/things")
		step(time.Millisecond, "GET", "/things")
		if want := "200 200 429 200 200 200 429 429 200"; strings.Join(got, " ") != want {
			t.Errorf("%v, want %s", got, want)
		}
	})
	for _, c := range []struct {
		own, asked float64
		allowed    int
	}{{3, 0, 3}, {3, 5, 5}, {3, -1, 10}, {-1, 0, 10}, {0.5, 0, 1}, {2.5, 0, 2}} {
		synctest.Test(t, func(t *testing.T) {
			s := newShop(c.own, sandbox.Options{Rate: c.asked})
			for range 10 {
				_, _, _ = s.get(t.Context(), "GET", "/things")
			}
			if s.effects != c.allowed {
				t.Errorf("limit %v, asked for %v: %d of 10 were allowed, want %d", c.own, c.asked, s.effects, c.allowed)
			}
		})
	}
}

// A bucket lets a second's worth through at once and refills evenly, so that a
// caller who keeps the rate is never refused because two requests arrived
// closer together than they left.
func TestRateLimit_Bucket(t *testing.T) {
	t.Parallel()
	statuses := func(s *shop, pauses ...time.Duration) (all string) {
		for _, p := range pauses {
			time.Sleep(p)
			status, _, err := s.get(t.Context(), "GET", "/things")
			if err != nil {
				t.Error(err)
			}
			all += fmt.Sprint(status, " ")
		}
		return all
	}
	const ms = time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		s := newShop(4, sandbox.Options{})
		s.CountInBucket()
		if got := statuses(s, 0, 0, 0, 0, 0, 249*ms, ms, 0, time.Hour, 0, 0, 0, 0); got != "200 200 200 200 429 429 200 429 200 200 200 200 429 " {
			t.Error(got)
		}
		// Four in a second by the caller's clock, the first of them delayed.
		time.Sleep(time.Hour)
		if got := statuses(s, 900*ms, 0, 0, 0, 990*ms, 0, 0); got != "200 200 200 200 200 200 200 " {
			t.Error(got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := newShop(4, sandbox.Options{Window: 2 * time.Second})
		s.CountInBucket()
		if got := statuses(s, 0, 0, 0, 0, 0, 0, 0, 0, time.Second); !strings.HasSuffix(got, "429 ") {
			t.Errorf("a window was asked for: %s", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		for _, rate := range []float64{0.5, -1} {
			s := newShop(rate, sandbox.Options{})
			s.CountInBucket()
			got := statuses(s, 0, 0, 2*time.Second)
			if want := map[bool]string{true: "200 429 200 ", false: "200 200 200 "}[rate > 0]; got != want {
				t.Errorf("rate %v: %s", rate, got)
			}
		}
	})
}

func TestLatency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop(-1, sandbox.Options{Faults: sandbox.Faults{Latency: time.Second, Jitter: time.Second}})
		spread := map[time.Duration]bool{}
		for range 20 {
			began := time.Now()
			_, _, _ = s.get(t.Context(), "GET", "/things")
			took := time.Since(began)
			if took < time.Second || took >= 2*time.Second {
				t.Errorf("took %v", took)
			}
			spread[took] = true
		}
		if len(spread) < 10 {
			t.Errorf("only %d different latencies", len(spread))
		}
		s.SetFaults(sandbox.Faults{})
		s.Inject(sandbox.Fault{Kind: sandbox.Slow, Delay: 3 * time.Second})
		began := time.Now()
		if _, _, err := s.get(t.Context(), "GET", "/things"); err != nil || time.Since(began) != 3*time.Second {
			t.Errorf("slow: %v after %v", err, time.Since(began))
		}

		// A caller who leaves is not kept; the request may have taken effect.
		s.Inject(sandbox.Fault{Kind: sandbox.Slow, Delay: time.Hour})
		began = time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		before := s.effects
		if _, _, err := s.get(ctx, "GET", "/things"); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second || s.effects != before+1 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		ctx, cancel = context.WithCancel(t.Context())
		cancel()
		if _, _, err := s.get(ctx, "GET", "/things"); !errors.Is(err, context.Canceled) || s.effects != before+1 {
			t.Errorf("a request after the context's end: %v", err)
		}
	})
}

// A caller that times out on one slow request does not block the others.
func TestSlowRequestsOverlap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newShop(-1, sandbox.Options{Faults: sandbox.Faults{Latency: time.Second}})
		began := time.Now()
		var group sync.WaitGroup
		for range 10 {
			group.Go(func() { _, _, _ = s.get(t.Context(), "GET", "/things") })
		}
		group.Wait()
		if time.Since(began) != time.Second || s.effects != 10 {
			t.Errorf("%d effects after %v", s.effects, time.Since(began))
		}
	})
}

// A handler's own panic is no fault of the network.
func TestTransport_PassesPanicsOn(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() != "a bug" {
			t.Error("the panic was swallowed")
		}
	}()
	transport := sandbox.Transport(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a bug") }))
	_, _, _ = fetch(t.Context(), &http.Client{Transport: transport}, "GET", "http://x.test/")
}

func TestTransport_LooksLikeAServer(t *testing.T) {
	t.Parallel()
	transport := sandbox.Transport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", fmt.Sprintf("%s %s %s %s %v %v", r.Host, r.RequestURI, r.RemoteAddr, body, err, r.URL.Query()))
		w.WriteHeader(http.StatusTeapot)
	}))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://x.test/a%2Fb?c=d", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if got := answer.Header.Get("X-Seen"); got != "x.test /a%2Fb?c=d 127.0.0.1:1 body <nil> map[c:[d]]" || answer.StatusCode != http.StatusTeapot || answer.Request != r {
		t.Errorf("%d %s", answer.StatusCode, got)
	}
	r.Body = nil
	if answer, err = transport.RoundTrip(r); err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
}

func TestTransport_WritesHeadersAsASocketsClientDoes(t *testing.T) {
	t.Parallel()
	client := &http.Client{Transport: sandbox.Transport(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["x-own-name"] = []string{"1"}
	}))}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.Header.Get("X-Own-Name") != "1" {
		t.Errorf("headers %v", answer.Header)
	}
}
