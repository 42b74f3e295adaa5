package call_test

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

// Without a limiter of the caller's the provider's own rate is kept, one
// request at a time.
func TestDo_KeepsTheProvidersRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{replies: []reply{{}}}
		c := call.New(call.Config{Provider: "test", Rate: 4}, providers.Fixed(token("a")), &providers.Options{HTTP: &http.Client{Transport: s}})
		for range 5 {
			if _, err := send(t.Context(), c, call.Request{}); err != nil {
				t.Fatal(err)
			}
		}
		for _, gap := range s.gaps() {
			if gap != 250*time.Millisecond {
				t.Errorf("gaps %v", s.gaps())
			}
		}
	})
}

// A counting limiter counts, and fails from the given count on.
type counting struct {
	mu    sync.Mutex
	count int
	fails int
}

func (l *counting) Wait(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count++
	if l.fails > 0 && l.count >= l.fails {
		return errors.New("would exceed the deadline")
	}
	return nil
}

func TestDo_EachAttemptWaitsForTheLimiter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limiter := &counting{}
		s := &scripted{replies: []reply{{status: 503}, {status: 503}, {}}}
		limited := func(_ *call.Config, o *providers.Options) { o.Limiter = limiter }
		if _, err := send(t.Context(), client(s, limited), call.Request{}); err != nil || limiter.count != 3 {
			t.Errorf("%v, %d waits", err, limiter.count)
		}
		limiter.fails = 1
		if _, err := send(t.Context(), client(s, limited, attempts(1)), call.Request{Method: "POST"}); !errors.Is(err, providers.ErrUnsent) || kindOf(err).Status != 0 || s.count() != 3 {
			t.Errorf("a limiter that fails: %v, %d requests", err, s.count())
		}
	})
}

func TestDo_EndedContextSendsNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := &scripted{replies: []reply{{}}}
	_, err := send(ctx, client(s), call.Request{})
	if !errors.Is(err, providers.ErrUnsent) || !errors.Is(err, context.Canceled) || s.count() != 0 {
		t.Errorf("%v after %d requests", err, s.count())
	}
}

func TestDo_InFlight(t *testing.T) {
	t.Parallel()
	two := func(c *call.Config, _ *providers.Options) { c.InFlight = 2 }
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{replies: []reply{{after: time.Second}}}
		c := client(s, two)
		began := time.Now()
		var group sync.WaitGroup
		for range 6 {
			group.Go(func() {
				if _, err := send(t.Context(), c, call.Request{}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		waiting, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := send(waiting, c, call.Request{})
		if !errors.Is(err, providers.ErrUnsent) || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 100*time.Millisecond {
			t.Errorf("a waiting call whose time ended: %v after %v", err, time.Since(began))
		}
		group.Wait()
		if s.most != 2 || time.Since(began) != 3*time.Second || s.count() != 6 {
			t.Errorf("at most %d at once, %d in all, in %v", s.most, s.count(), time.Since(began))
		}
	})
	synctest.Test(t, func(t *testing.T) { // slots come back from failures, too
		s := &scripted{replies: []reply{{err: errBroken}, {status: 400}, {status: 200, cut: true}, {}}}
		c := client(s, two, attempts(1))
		for range 12 {
			_, _ = send(t.Context(), c, call.Request{})
		}
		if s.count() != 12 {
			t.Errorf("%d requests", s.count())
		}
	})
	synctest.Test(t, func(t *testing.T) { // no bound unless asked for
		s := &scripted{replies: []reply{{after: time.Second}}}
		c := client(s)
		var group sync.WaitGroup
		for range 20 {
			group.Go(func() { _, _ = send(t.Context(), c, call.Request{}) })
		}
		group.Wait()
		if s.most != 20 {
			t.Errorf("at most %d at once", s.most)
		}
	})
}

// One 429 that asks for ten years holds all requests for an hour. A call that
// ends before that says so at once; later ones are sent.
func TestDo_HeldBackByARefusal(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"date", "seconds", "digits"} {
		synctest.Test(t, func(t *testing.T) {
			after := map[string]string{
				"date": time.Now().AddDate(10, 0, 0).UTC().Format(http.TimeFormat), "seconds": "9999999999", "digits": strings.Repeat("9", 30),
			}[form]
			s := &scripted{replies: []reply{{status: 429, header: http.Header{"Retry-After": {after}}}, {body: "{}"}}}
			c := call.New(call.Config{Provider: "test", Rate: 4}, providers.Fixed(token("a")), &providers.Options{HTTP: &http.Client{Transport: s}})
			until := time.Now().Add(time.Hour)
			for try := range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
				began := time.Now()
				_, err := send(ctx, c, call.Request{})
				left := time.Until(until)
				if e := kindOf(err); !errors.Is(err, providers.ErrRateLimited) || errors.Is(err, providers.ErrUnsent) || e.Status != 429 || e.RetryAfter != left || e.Provider != "test" ||
					!strings.Contains(err.Error(), "test things.list: rate limited (status 429): nothing is sent before "+until.UTC().Format("2006-01-02T15:04")) || time.Since(began) != 0 || s.count() != 1 {
					t.Errorf("%s, try %d: %v after %v and %d requests, retry after %v", form, try, err, time.Since(began), s.count(), providers.RetryAfter(err))
				}
				cancel()
				time.Sleep(10 * time.Minute)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			if _, err := send(ctx, c, call.Request{}); err != nil || !time.Now().Equal(until) {
				t.Errorf("%s: %v at %v, want %v", form, err, time.Now(), until)
			}
		})
	}
}

// What a page costs is bounded by its cap, however much more is sent.
func TestList_MemoryOfAnAnswerAboveTheCap(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := io.Writer(w)
		if r.URL.Query().Get("packed") != "" {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			defer func() { _ = z.Close() }()
			out = z
		}
		block := []byte(strings.Repeat(" ", 1<<20))
		for range 64 {
			if _, err := out.Write(block); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	for _, packed := range []string{"", "1"} {
		c := call.New(call.Config{Provider: "test"}, providers.Fixed(providers.Token{BaseURL: server.URL}), &providers.Options{Limiter: noLimit{}})
		for size, read := range map[uint64]func() error{
			8 << 20: func() error {
				_, err := c.List(t.Context(), "things.list", func(providers.Token) (call.ListRequest, error) {
					return call.ListRequest{Request: call.Request{Query: url.Values{"packed": {packed}}}}, nil
				})
				return err
			},
			1 << 20: func() error {
				_, err := send(t.Context(), c, call.Request{Query: url.Values{"packed": {packed}}})
				return err
			},
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := read()
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, providers.ErrTooLarge) || n > 2*size+4<<20 { // with what the server takes
				t.Errorf("cap of %d, packed %q: %v with %d bytes allocated", size, packed, err, n)
			}
		}
	}
}
