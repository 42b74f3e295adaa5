package yappli_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/yappli"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// TestErrorsHoldNothingOfTheAnswer sends every kind of bad answer to every
// call and wants a typed error without a trace of body, URL or token.
func TestErrorsHoldNothingOfTheAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"400":         {400, `{"error":"invalid_request","error_description":"yamada@mail.example"}`, providers.ErrInvalid},
		"401":         {401, `{"error":"AT-secret","error_description":"AT-secret"}`, providers.ErrUnauthorized},
		"403":         {403, `AT-secret`, providers.ErrForbidden},
		"404":         {404, `yamada@mail.example`, providers.ErrNotFound},
		"409":         {409, `{}`, providers.ErrDuplicate},
		"422":         {422, `{"errors":{"unique_id":["yamada@mail.example"]}}`, providers.ErrInvalid},
		"429":         {429, ``, providers.ErrRateLimited},
		"500":         {500, `<html>yamada@mail.example</html>`, providers.ErrTemporary},
		"redirect":    {302, ``, providers.ErrInvalid},
		"login page":  {200, `<html>yamada@mail.example</html>`, providers.ErrInvalid},
		"truncated":   {200, `{"member":{"id":"8","login_id":"yamada@mail.ex`, providers.ErrInvalid},
		"not UTF-8":   {200, "{\"member\":\"\xff\xfeyamada@mail.example\"}", providers.ErrInvalid},
		"garbage":     {200, "\x00\x01yamada@mail.example", providers.ErrInvalid},
		"empty":       {200, ``, providers.ErrInvalid},
		"another API": {200, `{"yamada@mail.example":"AT-secret"}`, providers.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			client := scripted(t, `{"lookup":"unique_id"}`, c.status, c.body)
			for op, call := range map[string]func() error{
				"users.get":          func() error { _, err := client.User(t.Context(), "8"); return err },
				"users.by_unique_id": func() error { _, err := client.UserByUniqueID(t.Context(), "u"); return err },
				"users.create": func() error {
					_, err := client.CreateUser(t.Context(), yappli.Fields{"unique_id": yappli.Text("u"), "password": yappli.Text("pass-secret")})
					return err
				},
				"users.update": func() error {
					_, err := client.UpdateUser(t.Context(), "8", yappli.Fields{"password": yappli.Text("pass-secret")})
					return err
				},
				"users.list": func() error { _, err := all(t, client); return err },
				"handover.check": func() error {
					_, err := client.CheckHandover(t.Context(), providers.NewSecret("HO-secret"), "8")
					return err
				},
			} {
				err := call()
				want := c.want
				if op == "users.list" && c.status == http.StatusOK { // a list is read more strictly, and asked for again
					want = providers.ErrMalformed
				}
				var e *providers.Error
				if !errors.Is(err, want) || !errors.As(err, &e) || e.Op != op || e.Status != c.status || e.Provider != "yappli" {
					t.Errorf("%s, %s: %+v", name, op, err)
					continue
				}
				for _, leak := range []string{"secret", "yamada", "example", "http"} {
					if strings.Contains(err.Error(), leak) {
						t.Errorf("%s, %s: %q is in %v", name, op, leak, err)
					}
				}
			}
		})
	}
}

func TestOversizedAnswer(t *testing.T) {
	t.Parallel()
	s := quick(50)
	page := answer(t, s, "/api/ext/users")
	for limit, want := range map[int64]error{int64(len(page)): nil, int64(len(page)) - 1: providers.ErrInvalid} {
		c := yappli.New(providers.Fixed(s.Token(base)), &providers.Options{HTTP: s.Client(), Limiter: noLimit{}, MaxBody: limit})
		if _, err := c.ReadUsers(t.Context(), yappli.UsersQuery{}); !errors.Is(err, want) {
			t.Errorf("cap %d for %d bytes: %v", limit, len(page), err)
		}
	}
}

// TestFaultsOfEachCall counts, for every fault, how often a read, an update
// and a creation are sent, and what stays in the tenant.
func TestFaultsOfEachCall(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind                 sandbox.FaultKind
		reads, puts, posts   int // requests
		readErr, putErr, err error
		made                 int // members that a creation leaves
	}{
		{sandbox.TooMany, 2, 2, 2, nil, nil, nil, 1},
		{sandbox.ServerFail, 2, 2, 1, nil, nil, providers.ErrTemporary, 0},
		{sandbox.BadGateway, 2, 2, 1, nil, nil, providers.ErrTemporary, 0},
		{sandbox.Dropped, 2, 2, 1, nil, nil, providers.ErrTemporary, 0},
		{sandbox.Lost, 2, 2, 1, nil, nil, providers.ErrTemporary, 1},
		{sandbox.Reset, 2, 2, 1, nil, nil, providers.ErrTemporary, 1},
		{sandbox.Garbage, 1, 1, 1, providers.ErrInvalid, providers.ErrInvalid, providers.ErrInvalid, 1},
		{sandbox.Denied, 1, 1, 1, providers.ErrUnauthorized, providers.ErrUnauthorized, providers.ErrUnauthorized, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := quick(1)
			client, ctx := connect(s), t.Context()
			for op, try := range map[string]struct {
				want int
				err  error
				call func() error
			}{
				"GET": {c.reads, c.readErr, func() error { _, err := client.User(ctx, "1001"); return err }},
				"PUT": {c.puts, c.putErr, func() error {
					_, err := client.UpdateUser(ctx, "1001", yappli.Fields{"column09": yappli.Text("x")})
					return err
				}},
				"POST": {c.posts, c.err, func() error {
					_, err := client.CreateUser(ctx, yappli.Fields{"unique_id": yappli.Text("u")})
					return err
				}},
			} {
				s.Inject(sandbox.Fault{Kind: c.kind, Route: op})
				before := s.Count("")
				err := try.call()
				if n := s.Count("") - before; n != try.want || !errors.Is(err, try.err) {
					t.Errorf("%s, %s: %d requests, %v", c.kind, op, n, err)
				}
			}
			if n := len(s.FindUnique("u")); n != c.made {
				t.Errorf("%s: %d members made", c.kind, n)
			}
		})
	}
}

// TestRetryAfter waits as long as a 429 asks for, in both forms of the header.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"seconds", "date"} {
		synctest.Test(t, func(t *testing.T) {
			s := quick(1)
			value := "7"
			if form == "date" {
				value = time.Now().Add(7 * time.Second).UTC().Format(http.TimeFormat)
			}
			s.Inject(sandbox.Fault{Kind: sandbox.TooMany, RetryAfter: value})
			start := time.Now()
			if _, err := connect(s).User(t.Context(), "1001"); err != nil {
				t.Fatal(err)
			}
			if waited := time.Since(start); waited != 7*time.Second {
				t.Errorf("%s: waited %v", form, waited)
			}
			s.Inject(sandbox.Fault{Kind: sandbox.TooMany, RetryAfter: "3600"})
			_, err := connect(s).User(t.Context(), "1001")
			if !errors.Is(err, providers.ErrRateLimited) || providers.RetryAfter(err) != time.Hour {
				t.Errorf("an hour's wait is the caller's to schedule: %v", err)
			}
		})
	}
}

// TestDefaultRate keeps below the sandbox's two requests in any second.
func TestDefaultRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := yapplitest.New(sandbox.Options{Records: 1})
		c := yappli.New(providers.Fixed(s.Token(base)), &providers.Options{HTTP: s.Client()})
		start := time.Now()
		for range 9 {
			if _, err := c.User(t.Context(), "1001"); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took != 4*time.Second || s.Count("") != 9 {
			t.Errorf("9 requests took %v and %d tries", took, s.Count(""))
		}
	})
}

// TestUserAgent is always sent: newer generations require one.
func TestUserAgent(t *testing.T) {
	t.Parallel()
	s := quick(1)
	s.Generation = 2
	if _, err := connect(s).User(t.Context(), "1001"); err != nil {
		t.Fatal(err)
	}
	for generation, want := range map[int]int{1: 200, 2: 400, 3: 400} {
		s.Generation = generation
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/ext/users", nil)
		r.Header.Set("Authorization", "Bearer "+s.Token(base).Credential.Reveal())
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("generation %d without User-Agent: %d", generation, w.Code)
		}
	}
}

// TestFaultsOverASocket makes the cuts that a network makes.
func TestFaultsOverASocket(t *testing.T) {
	t.Parallel()
	s := quick(30)
	server := httptest.NewServer(s)
	defer server.Close()
	c := yappli.New(providers.Fixed(s.Token(server.URL)), &providers.Options{Limiter: noLimit{}, Attempts: 1})
	for _, kind := range []sandbox.FaultKind{sandbox.Dropped, sandbox.Lost, sandbox.Reset} {
		s.Inject(sandbox.Fault{Kind: kind, Times: 2}) // net/http itself repeats a GET on a connection that was cut
		if _, err := c.ReadUsers(t.Context(), yappli.UsersQuery{}); !errors.Is(err, providers.ErrTemporary) {
			t.Errorf("%s: %v", kind, err)
		}
		s.SetFaults(sandbox.Faults{})
	}
	if page, err := c.ReadUsers(t.Context(), yappli.UsersQuery{}); err != nil || string(page.Records[29].ID) != fmt.Sprint(1030) {
		t.Errorf("after the faults: %v", err)
	}
}

// answer is what the sandbox answers to a GET.
func answer(t *testing.T, s *yapplitest.Server, path string) []byte {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	r.Header.Set("Authorization", "Bearer "+s.Token(base).Credential.Reveal())
	r.Header.Set("User-Agent", "test")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Body.Bytes()
}
