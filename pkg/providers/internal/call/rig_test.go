package call_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

// A reply is one answer of a scripted provider.
type reply struct {
	status int // 0: 200
	header http.Header
	body   string
	err    error         // instead of an answer
	cut    bool          // the body breaks off after what body holds
	after  time.Duration // until it comes, or until the request's context ends
}

// A scripted is a transport that answers with its replies in turn, the last
// one for ever, and keeps what it was sent.
type scripted struct {
	replies []reply

	mu     sync.Mutex
	sent   []*http.Request
	bodies []string
	at     []time.Time
	now    int // requests being answered
	most   int // of now
}

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	answer := s.replies[min(len(s.sent), len(s.replies)-1)]
	s.sent, s.bodies, s.at = append(s.sent, r), append(s.bodies, string(body)), append(s.at, time.Now())
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.now--
	}()
	if answer.after > 0 {
		select {
		case <-time.After(answer.after):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	if answer.err != nil {
		return nil, answer.err
	}
	var reader io.Reader = strings.NewReader(answer.body)
	if answer.cut {
		reader = io.MultiReader(reader, broken{})
	}
	if answer.status == 0 {
		answer.status = http.StatusOK
	}
	header := answer.header
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: answer.status, Header: header, Body: io.NopCloser(reader), Request: r}, nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// count is how many requests came.
func (s *scripted) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sent)
}

// gaps are the times between the requests.
func (s *scripted) gaps() []time.Duration {
	var gaps []time.Duration
	for n := 1; n < len(s.at); n++ {
		gaps = append(gaps, s.at[n].Sub(s.at[n-1]))
	}
	return gaps
}

// noLimit never waits.
type noLimit struct{}

func (noLimit) Wait(ctx context.Context) error { return ctx.Err() }

const base = "https://api.example/base"

func token(credential string) providers.Token {
	return providers.Token{Provider: "test", BaseURL: base, Credential: providers.NewSecret(credential), Version: credential}
}

// client calls s without a rate limit.
func client(s *scripted, change ...func(*call.Config, *providers.Options)) *call.Client {
	config := call.Config{Provider: "test", Rate: 1, Authorize: call.Bearer}
	o := &providers.Options{HTTP: &http.Client{Transport: s}, Limiter: noLimit{}}
	for _, f := range change {
		f(&config, o)
	}
	return call.New(config, providers.Fixed(token("first")), o)
}

func attempts(n int) func(*call.Config, *providers.Options) {
	return func(_ *call.Config, o *providers.Options) { o.Attempts = n }
}

// send makes one call with a fixed request.
func send(ctx context.Context, c *call.Client, r call.Request) (call.Response, error) {
	return c.Do(ctx, "things.list", func(providers.Token) (call.Request, error) { return r, nil })
}

// kindOf returns the *Error in err, or one without anything.
func kindOf(err error) *providers.Error {
	var e *providers.Error
	if errors.As(err, &e) {
		return e
	}
	return &providers.Error{}
}
