package call_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

func once(ctx context.Context, rt http.RoundTripper, r call.Request) (call.Response, error) {
	return call.Once(ctx, "test", "token.exchange", &providers.Options{HTTP: &http.Client{Transport: rt}, UserAgent: "agent"}, r)
}

var spending = call.Request{Method: "POST", URL: base + "/token", Body: call.Form(url.Values{"code": {"canary-code"}})}

func TestOnce_IsNeverRepeated(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		reply reply
		kind  error
	}{
		"200": {reply{body: "{}"}, nil}, "429": {reply{status: 429, header: http.Header{"Retry-After": {"1"}}}, providers.ErrRateLimited},
		"503": {reply{status: 503}, providers.ErrTemporary}, "broken": {reply{err: errBroken}, providers.ErrTemporary},
		"cut": {reply{body: "{", cut: true}, providers.ErrTemporary}, "401": {reply{status: 401}, providers.ErrUnauthorized},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scripted{replies: []reply{c.reply}}
				began := time.Now()
				response, err := once(t.Context(), s, spending)
				if !errors.Is(err, c.kind) || s.count() != 1 || time.Since(began) != 0 || errors.Is(err, providers.ErrUnsent) {
					t.Errorf("%v after %d requests and %v", err, s.count(), time.Since(began))
				}
				if err != nil && (kindOf(err).Op != "token.exchange" || strings.Contains(err.Error(), "canary") || kindOf(err).Status != response.Status) {
					t.Errorf("%v", err)
				}
				r := s.sent[0]
				if r.GetBody != nil || r.Header.Get("User-Agent") != "agent" || r.Header.Get("Authorization") != "" || s.bodies[0] != "code=canary-code" {
					t.Errorf("%v %s", r.Header, s.bodies[0])
				}
				if string(response.Body) != c.reply.body {
					t.Errorf("the answer is lost: %q", response.Body)
				}
			})
		})
	}
}

func TestOnce_Caps(t *testing.T) {
	t.Parallel()
	s := &scripted{replies: []reply{{body: strings.Repeat("x", 1<<20)}, {body: strings.Repeat("x", 1<<20+1)}}}
	if r, err := once(t.Context(), s, spending); err != nil || len(r.Body) != 1<<20 {
		t.Errorf("at the cap: %v", err)
	}
	if _, err := once(t.Context(), s, spending); !errors.Is(err, providers.ErrInvalid) || kindOf(err).Status != 200 {
		t.Errorf("above the cap: %v", err)
	}
	if _, err := once(t.Context(), s, call.Request{URL: "token"}); !errors.Is(err, providers.ErrInvalid) || kindOf(err).Provider != "test" || s.count() != 2 {
		t.Errorf("no URL: %v", err)
	}
}

// The defaults work: a client of its own, which ends.
func TestOnce_Defaults(t *testing.T) {
	t.Parallel()
	var agent atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		agent.Store(r.UserAgent())
		_, _ = io.WriteString(w, "{}")
	}))
	defer server.Close()
	if _, err := call.Once(t.Context(), "test", "op", nil, call.Request{URL: server.URL}); err != nil || agent.Load() != "hikyaku" {
		t.Errorf("%v, agent %v", err, agent.Load())
	}
	c := call.New(call.Config{Provider: "test", Rate: 1}, providers.Fixed(providers.Token{BaseURL: server.URL}), nil)
	if _, err := send(t.Context(), c, call.Request{}); err != nil {
		t.Error(err)
	}
}

// A traced transport tells the trace how far it came before it failed.
type traced struct{ dialed, connected bool }

func (s traced) RoundTrip(r *http.Request) (*http.Response, error) {
	trace := httptrace.ContextClientTrace(r.Context())
	if s.dialed {
		trace.GetConn("api.example:443")
	}
	if s.connected {
		trace.GotConn(httptrace.GotConnInfo{})
	}
	return nil, errBroken
}

// What certainly never left is told from what may have arrived.
func TestOnce_UnsentOrUnknown(t *testing.T) {
	t.Parallel()
	for transport, unsent := range map[traced]bool{
		{dialed: true, connected: false}: true, {dialed: true, connected: true}: false, {}: false, {connected: true}: false,
	} {
		_, err := once(t.Context(), transport, spending)
		if !errors.Is(err, providers.ErrTemporary) || errors.Is(err, providers.ErrUnsent) != unsent {
			t.Errorf("%+v: %v", transport, err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := once(ended, transport, spending); errors.Is(err, providers.ErrUnsent) || !errors.Is(err, context.Canceled) || !errors.Is(err, providers.ErrTemporary) {
			t.Errorf("%+v after the context's end: %v", transport, err)
		}
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = free.Close()
	r := spending
	r.URL = "http://" + free.Addr().String() + "/token"
	if _, err := once(t.Context(), new(http.Transport), r); !errors.Is(err, providers.ErrUnsent) || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("a port that nobody serves: %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := once(ctx, &scripted{replies: []reply{{after: time.Minute}}}, spending); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, providers.ErrUnsent) {
			t.Errorf("no answer in time: %v", err)
		}
		began := time.Now()
		patient := &providers.Options{HTTP: &http.Client{Transport: &scripted{replies: []reply{{after: time.Minute}}}, Timeout: 3 * time.Second}}
		if _, err := call.Once(t.Context(), "test", "op", patient, spending); !errors.Is(err, providers.ErrTemporary) || errors.Is(err, providers.ErrUnsent) || time.Since(began) != 3*time.Second {
			t.Errorf("the client's own time-out: %v after %v", err, time.Since(began))
		}
	})
}

// A rude server answers the first request of a connection, keeps it open, and
// closes it when the second one comes.
type rude struct {
	net.Listener
	requests atomic.Int32 // that arrived
}

func newRude(t *testing.T) *rude {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s := &rude{Listener: l}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return s
}

func (s *rude) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	in := bufio.NewReader(c)
	for n := 0; ; n++ {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		s.requests.Add(1)
		if n > 0 {
			return
		}
		_, _ = fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
	}
}

// net/http replays a request on a new connection where an idle one was closed
// by the server. A one-time credential must not be sent so, nor be put onto a
// connection that may be dead.
func TestOnce_IsNotReplayedOnAStaleConnection(t *testing.T) {
	t.Parallel()
	s := newRude(t)
	transport := new(http.Transport)
	o := &providers.Options{HTTP: &http.Client{Transport: transport}}
	r := call.Request{Method: "POST", URL: "http://" + s.Addr().String() + "/", Body: spending.Body}
	warm := func() {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := o.HTTP.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
	}
	for range 5 {
		warm() // leaves an idle connection that will not serve again
		before := s.requests.Load()
		_, err := call.Once(t.Context(), "test", "op", o, r)
		if sent := s.requests.Load() - before; err != nil || sent != 1 {
			t.Errorf("%v; the server saw %d requests", err, sent)
		}
	}
}
