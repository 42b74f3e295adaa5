package providers_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/pkg/providers"
)

// pass lets n requests go and returns how long that took.
func pass(t *testing.T, p *providers.Pace, n int, err error) time.Duration {
	t.Helper()
	began := time.Now()
	for range n {
		if err := p.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.Learn(time.Now(), err)
	}
	return time.Since(began)
}

func TestPace_SpacesRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := providers.NewPace(4)
		if took := pass(t, p, 9, nil); took != 2*time.Second {
			t.Errorf("9 requests took %v", took)
		}
		time.Sleep(time.Minute) // saves nothing up
		if took := pass(t, p, 3, nil); took != 500*time.Millisecond {
			t.Errorf("3 requests after a pause took %v", took)
		}
	})
}

func TestPace_AllowsAPair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := providers.NewPace(1)
		p.AllowPair()
		pass(t, p, 1, nil)
		time.Sleep(time.Minute) // saves one up
		for i, want := range []time.Duration{0, 0, time.Second, time.Second} {
			if took := pass(t, p, 1, nil); took != want {
				t.Errorf("request %d waited %v, want %v", i, took, want)
			}
		}
	})
}

func TestPace_EndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := providers.NewPace(1)
		pass(t, p, 1, nil)
		soon, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		began := time.Now()
		if err := p.Wait(soon); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		first := make(chan error, 1)
		go func() { first <- p.Wait(t.Context()) }()
		synctest.Wait()
		if err := p.Wait(soon); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 500*time.Millisecond {
			t.Errorf("in a queue: %v after %v", err, time.Since(began))
		}
		if err := <-first; err != nil || time.Since(began) != time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestPace_Learns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tooMany := &providers.Error{Kind: providers.ErrRateLimited, RetryAfter: 3 * time.Second}
		p := providers.NewPace(20)
		pass(t, p, 10, nil)
		pass(t, p, 1, tooMany)
		near := func(what string, want float64) {
			t.Helper()
			if math.Abs(p.Rate()-want) > 1e-6 {
				t.Errorf("%s: %v requests/s, want %v", what, p.Rate(), want)
			}
		}
		near("half of it was allowed", 0.96*10)
		p.Learn(time.Now(), tooMany)
		near("refused again before anything was sent", 0.96*10)
		if took := pass(t, p, 1, nil); took != 3*time.Second {
			t.Errorf("a request after Retry-After of 3 s waited %v", took)
		}
		pass(t, p, 399, nil)
		near("a first probe", 0.96*10*1.005)
		pass(t, p, 1, tooMany)
		near("a refused probe", 0.98*0.96*10)
		pass(t, p, 400*12, nil)
		near("never above what it was given", 20)
	})
}

// A provider that asks for years is left alone for an hour, and a caller
// that cannot wait so long is told of the refusal.
func TestPace_HoldsForAnHourAtMost(t *testing.T) {
	for _, asked := range []time.Duration{time.Hour, 2 * time.Hour, 10 * 365 * 24 * time.Hour, math.MaxInt64} {
		synctest.Test(t, func(t *testing.T) {
			p := providers.NewPace(4)
			pass(t, p, 1, &providers.Error{Kind: providers.ErrRateLimited, RetryAfter: asked})
			until := time.Now().Add(time.Hour)
			soon, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
			defer cancel()
			began := time.Now()
			var held *providers.HeldError
			if err := p.Wait(soon); !errors.As(err, &held) || !held.Until.Equal(until) || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 0 {
				t.Errorf("asked for %v: %v after %v", asked, err, time.Since(began))
			}
			queue := make(chan error, 1)
			go func() { queue <- p.Wait(t.Context()) }()
			synctest.Wait()
			if err := p.Wait(soon); !errors.As(err, &held) || time.Since(began) != 0 {
				t.Errorf("asked for %v, in a queue: %v after %v", asked, err, time.Since(began))
			}
			if err := <-queue; err != nil || time.Since(began) != time.Hour {
				t.Errorf("asked for %v: %v after %v", asked, err, time.Since(began))
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // the refusal comes while others wait
		p := providers.NewPace(4)
		soon, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		pass(t, p, 1, nil)
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { first <- p.Wait(soon) }()
		go func() { second <- p.Wait(soon) }()
		synctest.Wait()
		p.Learn(time.Now(), &providers.Error{Kind: providers.ErrRateLimited, RetryAfter: time.Hour})
		for _, c := range []chan error{first, second} {
			var held *providers.HeldError
			if err := <-c; !errors.As(err, &held) {
				t.Error(err)
			}
		}
		stopped, stop := context.WithCancel(t.Context())
		stop()
		if err := p.Wait(stopped); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that was stopped: %v", err)
		}
	})
}
