package call_test

import (
	"context"
	"errors"
	"net/http"
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
