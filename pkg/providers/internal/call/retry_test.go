package call_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

var errBroken = errors.New("read tcp 203.0.113.1: https://api.example/?key=canary")

// What is sent again, by method and by what went wrong.
func TestDo_RetryTable(t *testing.T) {
	t.Parallel()
	harmless := []call.Request{{}, {Method: "GET"}, {Method: "PUT"}, {Method: "DELETE"}, {Method: "POST", Repeatable: true}}
	once := []call.Request{{Method: "POST"}}
	for what, c := range map[string]struct {
		reply    reply
		harmless int // calls of what may be sent twice
		once     int // calls of what may not
		kind     error
	}{
		"429":               {reply{status: 429}, 4, 4, providers.ErrRateLimited},
		"500":               {reply{status: 500}, 4, 1, providers.ErrTemporary},
		"502":               {reply{status: 502, body: "<html>"}, 4, 1, providers.ErrTemporary},
		"503":               {reply{status: 503}, 4, 1, providers.ErrTemporary},
		"504":               {reply{status: 504}, 4, 1, providers.ErrTemporary},
		"408":               {reply{status: 408}, 4, 1, providers.ErrTemporary},
		"broken connection": {reply{err: errBroken}, 4, 1, providers.ErrTemporary},
		"half a body":       {reply{body: `{"a":`, cut: true}, 4, 1, providers.ErrTemporary},
		"501":               {reply{status: 501}, 1, 1, providers.ErrInvalid},
		"400":               {reply{status: 400}, 1, 1, providers.ErrInvalid},
		"401":               {reply{status: 401}, 1, 1, providers.ErrUnauthorized},
		"403":               {reply{status: 403}, 1, 1, providers.ErrForbidden},
		"404":               {reply{status: 404}, 1, 1, providers.ErrNotFound},
		"405":               {reply{status: 405}, 1, 1, providers.ErrInvalid},
		"409":               {reply{status: 409}, 1, 1, providers.ErrDuplicate},
		"410":               {reply{status: 410}, 1, 1, providers.ErrGone},
		"422":               {reply{status: 422}, 1, 1, providers.ErrInvalid},
		"302":               {reply{status: 302, header: http.Header{"Location": {"https://other.example/"}}}, 1, 1, providers.ErrInvalid},
		"304":               {reply{status: 304}, 1, 1, providers.ErrInvalid},
		"199":               {reply{status: 199}, 1, 1, providers.ErrInvalid},
		"200":               {reply{}, 1, 1, nil},
		"201":               {reply{status: 201}, 1, 1, nil},
		"299":               {reply{status: 299}, 1, 1, nil},
		"300":               {reply{status: 300}, 1, 1, providers.ErrInvalid},
	} {
		t.Run(what, func(t *testing.T) {
			for calls, requests := range map[*int][]call.Request{&c.harmless: harmless, &c.once: once} {
				for _, r := range requests {
					synctest.Test(t, func(t *testing.T) {
						s := &scripted{replies: []reply{c.reply}}
						response, err := send(t.Context(), client(s), r)
						name := fmt.Sprintf("%s %s (repeatable %v)", what, r.Method, r.Repeatable)
						if !errors.Is(err, c.kind) || s.count() != *calls {
							t.Errorf("%s: %d calls, want %d; %v, want %v", name, s.count(), *calls, err, c.kind)
						}
						if err != nil && (kindOf(err).Provider != "test" || kindOf(err).Op != "things.list" || kindOf(err).Status != response.Status || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "http")) {
							t.Errorf("%s: %v (%+v)", name, err, kindOf(err))
						}
						if c.reply.err == nil && (response.Status != max(c.reply.status, 200) && c.reply.status != 199 || !c.reply.cut && string(response.Body) != c.reply.body) {
							t.Errorf("%s: response %+v", name, response)
						}
						if errors.Is(err, providers.ErrUnsent) {
							t.Errorf("%s: said to be unsent", name)
						}
					})
				}
			}
		})
	}
}

func TestDo_Attempts(t *testing.T) {
	t.Parallel()
	for given, want := range map[int]int{-1: 4, 0: 4, 1: 1, 2: 2, 7: 7} {
		synctest.Test(t, func(t *testing.T) {
			s := &scripted{replies: []reply{{status: 503}}}
			if _, err := send(t.Context(), client(s, attempts(given)), call.Request{}); s.count() != want || err == nil {
				t.Errorf("attempts %d: %d calls, %v", given, s.count(), err)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{replies: []reply{{status: 503}, {err: errBroken}, {status: 429}, {body: "good"}}}
		response, err := send(t.Context(), client(s), call.Request{Method: "PUT", Body: call.Body{ContentType: "text/plain", Bytes: []byte("same")}})
		if err != nil || string(response.Body) != "good" || strings.Join(s.bodies, " ") != "same same same same" {
			t.Errorf("%v %s after %v", err, response.Body, s.bodies)
		}
		for n, gap := range s.gaps() { // half to one and a half of 0.5 s, growing by half
			middle := time.Duration(float64(500*time.Millisecond) * []float64{1, 1.5, 2.25}[n])
			if gap < middle/2 || gap > middle*3/2 {
				t.Errorf("pause %d took %v, want about %v", n, gap, middle)
			}
		}
	})
}

func TestDo_RetryAfter(t *testing.T) {
	t.Parallel()
	date := func(d time.Duration) func() string {
		return func() string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	}
	text := func(s string) func() string { return func() string { return s } }
	for what, c := range map[string]struct {
		header func() string
		asked  time.Duration // what the error says
		waits  bool          // it is waited for here
	}{
		"seconds":             {text("7"), 7 * time.Second, true},
		"a fraction":          {text("2.5"), 2500 * time.Millisecond, true},
		"the longest":         {text("120"), 2 * time.Minute, true},
		"too long":            {text("121"), 121 * time.Second, false},
		"an hour":             {text("3600"), time.Hour, false},
		"an hour and more":    {text("3601"), time.Hour, false},
		"eleven days":         {text("999999"), time.Hour, false},
		"ten digits":          {text("9999999999"), time.Hour, false},
		"400 digits":          {text(strings.Repeat("9", 400)), time.Hour, false},
		"a long fraction":     {text("3600.000000000000000000001"), time.Hour, false},
		"spaces around":       {text(" 7 "), 7 * time.Second, true},
		"a date in ten years": {date(10 * 365 * 24 * time.Hour), time.Hour, false},
		"a date":              {date(9 * time.Second), 9 * time.Second, true},
		"a date far away":     {date(time.Hour), time.Hour, false},
		"a date in the past":  {date(-time.Hour), 0, true},
		"nothing":             {text(""), 0, true},
		"zero":                {text("0"), 0, true},
		"negative":            {text("-5"), 0, true},
		"nonsense":            {text("soon"), 0, true},
		"no number":           {text("NaN"), 0, true},
		"no end":              {text("Inf"), 0, true},
		"an exponent":         {text("1e9"), 0, true},
		"hexadecimal":         {text("0x10"), 0, true},
		"a sign":              {text("+7"), 0, true},
		"a point":             {text("."), 0, true},
		"another date format": {text("2026-11-22"), 0, true},
	} {
		t.Run(what, func(t *testing.T) {
			for _, status := range []int{429, 503} {
				synctest.Test(t, func(t *testing.T) {
					header := http.Header{}
					if value := c.header(); value != "" {
						header.Set("Retry-After", value)
					}
					s := &scripted{replies: []reply{{status: status, header: header}, {}}}
					_, err := send(t.Context(), client(s), call.Request{})
					if c.waits != (err == nil) || c.waits != (s.count() == 2) {
						t.Errorf("%v after %d calls", err, s.count())
					}
					if !c.waits && (providers.RetryAfter(err) != c.asked || time.Since(s.at[0]) != 0) {
						t.Errorf("%v, asked for %v, gave up after %v", err, providers.RetryAfter(err), time.Since(s.at[0]))
					}
					if c.waits && c.asked > time.Second && s.gaps()[0] != c.asked {
						t.Errorf("waited %v, want %v", s.gaps()[0], c.asked)
					}
					if c.waits && c.asked == 0 && (s.gaps()[0] < 250*time.Millisecond || s.gaps()[0] > 750*time.Millisecond) {
						t.Errorf("waited %v", s.gaps()[0])
					}
					header.Set("Retry-After", c.header())
					s = &scripted{replies: []reply{{status: status, header: header}}}
					if _, err := send(t.Context(), client(s, attempts(1)), call.Request{}); providers.RetryAfter(err) != c.asked {
						t.Errorf("the error says %v, want %v", providers.RetryAfter(err), c.asked)
					}
				})
			}
		})
	}
}

// A wait that would outlive the context is not begun.
func TestDo_GivesUpInTime(t *testing.T) {
	t.Parallel()
	after := func(seconds string) http.Header { return http.Header{"Retry-After": {seconds}} }
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		s := &scripted{replies: []reply{{status: 429, header: after("6")}, {}}}
		began := time.Now()
		_, err := send(ctx, client(s), call.Request{})
		if !errors.Is(err, providers.ErrRateLimited) || s.count() != 1 || time.Since(began) != 0 {
			t.Errorf("%v after %d calls and %v", err, s.count(), time.Since(began))
		}
		s = &scripted{replies: []reply{{status: 429, header: after("4")}, {}}}
		if _, err := send(ctx, client(s), call.Request{}); err != nil || s.count() != 2 {
			t.Errorf("what fits in: %v after %d calls", err, s.count())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &scripted{replies: []reply{{status: 503, header: after("60")}, {}}}
		began := time.Now()
		time.AfterFunc(10*time.Second, cancel)
		_, err := send(ctx, client(s), call.Request{})
		if !errors.Is(err, providers.ErrTemporary) || s.count() != 1 || time.Since(began) != 10*time.Second {
			t.Errorf("%v after %d calls and %v", err, s.count(), time.Since(began))
		}
	})
}

// A turning is a source whose tokens are rejected one after another.
type turning struct {
	mu       sync.Mutex
	tokens   []providers.Token
	err      error // of Token
	rejected []string
	failure  error // of Rejected
}

func (s *turning) Token(context.Context) (providers.Token, error) {
	if s.err != nil {
		return providers.Token{}, s.err
	}
	return s.tokens[0], nil
}

func (s *turning) Rejected(_ context.Context, t providers.Token) (providers.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rejected = append(s.rejected, t.Version)
	if s.failure != nil {
		return providers.Token{}, s.failure
	}
	return s.tokens[len(s.rejected)], nil
}

func TestDo_ReplacesARejectedTokenOnce(t *testing.T) {
	t.Parallel()
	outage := fmt.Errorf("store: %w", providers.ErrTemporary)
	for what, c := range map[string]struct {
		replies  []reply
		attempts int
		failure  error
		calls    int
		kind     error
		rejected string
		text     string
	}{
		"replaced":                  {[]reply{{status: 401}, {}}, 1, nil, 2, nil, "first", ""},
		"a try is not used up":      {[]reply{{status: 401}, {status: 503}, {status: 503}, {}}, 3, nil, 4, nil, "first", ""},
		"later":                     {[]reply{{status: 503}, {status: 401}, {}}, 2, nil, 3, nil, "first", ""},
		"the second is no better":   {[]reply{{status: 401}}, 4, nil, 2, providers.ErrUnauthorized, "first", ""},
		"there is no other":         {[]reply{{status: 401}}, 4, providers.ErrUnauthorized, 1, providers.ErrUnauthorized, "first", "things.list: credential not accepted (status 401)"},
		"the store fails":           {[]reply{{status: 401}}, 4, outage, 1, providers.ErrUnsent, "first", "replacing the rejected token"},
		"the store is rate limited": {[]reply{{status: 401}}, 4, providers.ErrRateLimited, 1, providers.ErrUnsent, "first", "replacing the rejected token"},
		"the store refuses":         {[]reply{{status: 401}}, 4, providers.ErrForbidden, 1, providers.ErrForbidden, "first", "replacing the rejected token"},
		"nothing to replace":        {[]reply{{status: 403}}, 4, nil, 1, providers.ErrForbidden, "", ""},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scripted{replies: c.replies}
				source := &turning{tokens: []providers.Token{token("first"), token("second"), token("third")}, failure: c.failure}
				client := call.New(call.Config{Provider: "test", Authorize: call.Bearer}, source,
					&providers.Options{HTTP: &http.Client{Transport: s}, Limiter: noLimit{}, Attempts: c.attempts})
				_, err := send(t.Context(), client, call.Request{Method: "PUT"})
				if !errors.Is(err, c.kind) || s.count() != c.calls || strings.Join(source.rejected, " ") != c.rejected {
					t.Errorf("%v after %d calls, rejected %v", err, s.count(), source.rejected)
				}
				if c.text != "" && !strings.Contains(err.Error(), c.text) {
					t.Errorf("%v", err)
				}
				if errors.Is(c.kind, providers.ErrForbidden) && errors.Is(err, providers.ErrUnsent) {
					t.Errorf("%v is unsent", err)
				}
				bearer := "first"
				for n, r := range s.sent {
					if n > 0 && c.replies[n-1].status == 401 {
						bearer = "second"
					}
					if got := r.Header.Get("Authorization"); got != "Bearer "+bearer {
						t.Errorf("request %d came with %s", n, got)
					}
				}
			})
		})
	}
	source := &turning{err: outage}
	s := &scripted{replies: []reply{{}}}
	_, err := send(t.Context(), call.New(call.Config{Provider: "test"}, source, &providers.Options{HTTP: &http.Client{Transport: s}, Limiter: noLimit{}}), call.Request{})
	if !errors.Is(err, providers.ErrTemporary) || !strings.HasPrefix(err.Error(), "test things.list: reading the token: ") || s.count() != 0 {
		t.Errorf("no token: %v", err)
	}
}

// The request is built again for each attempt, with the token of its time.
func TestDo_Builds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{replies: []reply{{status: 401}, {status: 503}, {}}}
		source := &turning{tokens: []providers.Token{token("first"), token("second")}}
		var built []string
		c := call.New(call.Config{Provider: "test"}, source, &providers.Options{HTTP: &http.Client{Transport: s}, Limiter: noLimit{}})
		_, err := c.Do(t.Context(), "op", func(t providers.Token) (call.Request, error) {
			built = append(built, t.Version)
			return call.Request{Path: "/" + t.Version}, nil
		})
		if err != nil || strings.Join(built, " ") != "first second second" || s.sent[2].URL.Path != "/base/second" {
			t.Errorf("%v: built %v", err, built)
		}
		if s.sent[0].Header.Get("Authorization") != "" {
			t.Error("authorized without being asked to")
		}
		refusal := errors.New("no such field")
		_, err = c.Do(t.Context(), "op", func(providers.Token) (call.Request, error) { return call.Request{}, refusal })
		if !errors.Is(err, refusal) || !strings.HasPrefix(err.Error(), "test op: ") || s.count() != 3 {
			t.Errorf("a refused build: %v", err)
		}
	})
}

// An error in an answer of status 200 is an error.
func TestDo_Inspect(t *testing.T) {
	t.Parallel()
	inspect := func(c *call.Config, _ *providers.Options) {
		c.Inspect = func(r call.Response) (error, string) { //nolint:staticcheck // as Config has it
			if strings.Contains(string(r.Body), "login") {
				return providers.ErrUnauthorized, "a login page"
			}
			return nil, ""
		}
	}
	s := &scripted{replies: []reply{{body: "<form>login</form>"}}}
	response, err := send(t.Context(), client(s, inspect), call.Request{})
	if e := kindOf(err); !errors.Is(err, providers.ErrUnauthorized) || e.Detail != "a login page" || e.Status != 200 || e.Provider != "test" || e.Op != "things.list" || response.Status != 200 || s.count() != 1 {
		t.Errorf("%v %+v", err, response)
	}
	s = &scripted{replies: []reply{{status: 400, body: "login"}}}
	if _, err := send(t.Context(), client(s, inspect), call.Request{}); !errors.Is(err, providers.ErrInvalid) {
		t.Errorf("a refusal was inspected: %v", err)
	}
	s = &scripted{replies: []reply{{body: "good"}}}
	if _, err := send(t.Context(), client(s, inspect), call.Request{}); err != nil {
		t.Error(err)
	}
}

// A renewed source gives another token each time it is asked, and none in the end.
type renewed struct{ tokens []string }

func (r *renewed) Token(context.Context) (providers.Token, error) {
	if len(r.tokens) == 0 {
		return providers.Token{}, providers.ErrUnsent
	}
	first := r.tokens[0]
	r.tokens = r.tokens[1:]
	return token(first), nil
}

func (r *renewed) Rejected(ctx context.Context, _ providers.Token) (providers.Token, error) {
	return r.Token(ctx)
}

// Each try carries the token that is served at its time; without one, the call ends
// with what the try before it met.
func TestDo_EachTryCarriesTheTokenOfItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{replies: []reply{{status: 503}}}
		c := call.New(call.Config{Provider: "test", Rate: 1, Authorize: call.Bearer}, &renewed{[]string{"one", "two", "three"}},
			&providers.Options{HTTP: &http.Client{Transport: s}, Limiter: noLimit{}, Attempts: 5})
		if _, err := send(t.Context(), c, call.Request{}); !errors.Is(err, providers.ErrTemporary) || errors.Is(err, providers.ErrUnsent) {
			t.Errorf("ended with %v, want what the third try met", err)
		}
		var carried []string
		for _, r := range s.sent {
			carried = append(carried, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		}
		if got := strings.Join(carried, " "); got != "one two three" {
			t.Errorf("carried %q", got)
		}
	})
}
