package sandbox

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// A FaultKind is one way to misbehave.
type FaultKind string

// The kinds of fault.
const (
	TooMany    FaultKind = "429"      // refuse with 429, with Retry-After if set
	ServerFail FaultKind = "5xx"      // refuse with 503 before any effect
	BadGateway FaultKind = "502-html" // refuse with a gateway's HTML page
	Dropped    FaultKind = "dropped"  // cut the connection before any effect
	Lost       FaultKind = "lost"     // take effect, then cut the connection without an answer
	Reset      FaultKind = "reset"    // take effect, then cut the connection half-way through the answer
	Denied     FaultKind = "401"      // refuse the credential
	Slow       FaultKind = "slow"     // answer correctly after Fault.Delay
	Garbage    FaultKind = "garbage"  // take effect, answer 200 with bytes that are not JSON
	None       FaultKind = ""         // behave

	errorAt200 FaultKind = ErrorAt200 // refuse, but with status 200
	pageAt200  FaultKind = HTMLPage   // answer a page of HTML instead
)

func (k FaultKind) cuts() bool { return k == Dropped || k == Lost || k == Reset }

// A Fault is one misbehavior, asked for with Inject.
type Fault struct {
	Kind       FaultKind
	Route      string        // prefix of the route it applies to, or of a service's operation; empty: any
	After      int           // calls of that route to leave alone first
	Times      int           // how often; 0: once, negative: for ever
	RetryAfter string        // of a 429 or 503: seconds or an HTTP date
	Delay      time.Duration // before the answer or the cut
}

func (f Fault) happensFirst() bool {
	switch f.Kind {
	case TooMany, ServerFail, BadGateway, Dropped, Denied, errorAt200, pageAt200:
		return true
	default:
		return false
	}
}

func (f Fault) refuse(w *httptest.ResponseRecorder, r *Request, refusal Refusal) {
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	switch f.Kind {
	case TooMany:
		refusal(w, r, http.StatusTooManyRequests, "rate_limited")
	case Denied:
		refusal(w, r, http.StatusUnauthorized, "invalid_token")
	case errorAt200:
		refusal(w, r, http.StatusServiceUnavailable, "unavailable")
		w.Code = http.StatusOK
	case pageAt200:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!DOCTYPE html><html><body><h1>Under maintenance</h1></body></html>")
	case BadGateway:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html><body><h1>502 Bad Gateway</h1></body></html>")
	default:
		refusal(w, r, http.StatusServiceUnavailable, "unavailable")
	}
}

// garbage is an answer that claims to be JSON.
func garbage() *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	answer.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(answer, "\x00{garbage]")
	return answer
}

// Faults are chances, from 0 to 1, of random misbehavior of each request, and
// a latency.
type Faults struct {
	TooMany, ServerFail, Dropped, Lost, Reset float64

	RetryAfter string        // of the random 429 and 503
	Latency    time.Duration // of every request
	Jitter     time.Duration // added to it, uniformly
}

// An Injector keeps the faults that were asked for until the calls come that they
// are for. The zero Injector is ready for use, by several goroutines too.
type Injector struct {
	mu     sync.Mutex
	queued []*Fault
}

// Inject asks for faults.
func (i *Injector) Inject(faults ...Fault) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, f := range faults {
		f.Times = cmp.Or(f.Times, 1)
		i.queued = append(i.queued, &f)
	}
}

// Clear takes back all faults.
func (i *Injector) Clear() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.queued = nil
}

// Next returns the fault of a call: of those that match its route, the first.
func (i *Injector) Next(route string) (f Fault, found bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, f := range i.queued {
		if f.Times == 0 || !strings.HasPrefix(route, f.Route) {
			continue
		}
		if f.After > 0 {
			f.After--
			continue
		}
		if f.Times > 0 {
			f.Times--
		}
		return *f, true
	}
	return Fault{}, false
}

// Inject asks for faults. They queue: the first that matches a request is used.
func (s *Server) Inject(faults ...Fault) { s.injected.Inject(faults...) }

// SetFaults replaces the random misbehavior, and drops what was injected.
func (s *Server) SetFaults(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f
	s.injected.Clear()
}

// admit counts the request against the rate limit and decides its fault.
func (s *Server) admit(route string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.unlimited[route] && !s.limiter.allow(s.now()) {
		return Fault{Kind: TooMany, RetryAfter: s.faults.RetryAfter}
	}
	if f, found := s.injected.Next(route); found {
		return f
	}
	return s.roll()
}

func (s *Server) roll() Fault {
	x := s.random.Float64()
	for _, c := range []struct {
		chance float64
		kind   FaultKind
	}{
		{s.faults.TooMany, TooMany}, {s.faults.ServerFail, ServerFail}, {s.faults.Dropped, Dropped},
		{s.faults.Lost, Lost}, {s.faults.Reset, Reset},
	} {
		if x < c.chance {
			return Fault{Kind: c.kind, RetryAfter: s.faults.RetryAfter}
		}
		x -= c.chance
	}
	return Fault{}
}

func (s *Server) delay(f Fault) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.faults.Latency
	if s.faults.Jitter > 0 {
		d += time.Duration(s.random.Int64N(int64(s.faults.Jitter)))
	}
	return d + f.Delay
}

// Pause waits for d and reports whether ctx is still alive.
func Pause(ctx context.Context, d time.Duration) bool {
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
	}
	return ctx.Err() == nil
}

// cut ends a connection as a failing network would. Both net/http and
// Transport understand the panic.
func cut(w http.ResponseWriter, answer *httptest.ResponseRecorder, kind FaultKind) {
	if kind == Reset {
		body := answer.Body.Bytes()
		answer.Body.Truncate(len(body) / 2)
		send(w, answer)
		_ = http.NewResponseController(w).Flush()
	}
	panic(http.ErrAbortHandler)
}
