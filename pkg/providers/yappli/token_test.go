package yappli_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/yappli"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// script answers every request alike.
type script struct {
	status int
	header http.Header
	body   string
}

func (s script) RoundTrip(r *http.Request) (*http.Response, error) {
	header := s.header
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: s.status, Header: header, Body: io.NopCloser(strings.NewReader(s.body)), Request: r}, nil
}

// scripted returns a client whose every request is answered alike.
func scripted(t *testing.T, quirks string, status int, body string) *yappli.Client {
	t.Helper()
	token := providers.Token{Provider: providers.Yappli, BaseURL: base, Credential: providers.NewSecret("AT-secret"), Quirks: []byte(quirks)}
	return yappli.New(providers.Fixed(token), &providers.Options{
		HTTP: &http.Client{Transport: script{status: status, body: body}}, Limiter: noLimit{}, Attempts: 1,
	})
}

func obtain(t *testing.T, o *providers.Options, c providers.Connection) (providers.Grant, error) {
	t.Helper()
	return yappli.NewAuthority(o).Obtain(t.Context(), c, c.ClientSecrets[0], providers.Secret{}, false)
}

func TestObtainAndProbe(t *testing.T) {
	t.Parallel()
	for generation := 1; generation <= 3; generation++ {
		synctest.Test(t, func(t *testing.T) {
			s := quick(2)
			s.Generation = generation
			o := &providers.Options{HTTP: s.Client()}
			c := s.Connection(base + "/")
			sent := time.Now()
			s.Inject(sandbox.Fault{Kind: sandbox.Slow, Delay: 5 * time.Second})
			g, err := obtain(t, o, c)
			if err != nil {
				t.Fatal(err)
			}
			if !g.Refresh.Empty() || !g.ObtainedAt.Equal(sent) || !g.ExpiresAt.Equal(sent.Add(24*time.Hour)) {
				t.Errorf("grant obtained %v, expires %v, sent %v, refresh token %v", g.ObtainedAt, g.ExpiresAt, sent, !g.Refresh.Empty())
			}
			token := providers.Token{Provider: providers.Yappli, BaseURL: base, Credential: g.Access, Quirks: c.Quirks}
			a := yappli.NewAuthority(o)
			if err := a.Probe(t.Context(), c, token); err != nil {
				t.Errorf("generation %d: probe %v", generation, err)
			}
			time.Sleep(24*time.Hour - 6*time.Second)
			if err := a.Probe(t.Context(), c, token); err != nil {
				t.Errorf("probe a second before the end: %v", err)
			}
			time.Sleep(6 * time.Second) // the answer was slow, so the token lives longer than its grant says
			if err := a.Probe(t.Context(), c, token); !errors.Is(err, providers.ErrUnauthorized) {
				t.Errorf("probe after a day: %v", err)
			}
			if n := s.Count("POST /api/ext/token"); n != 1 {
				t.Errorf("%d token requests", n)
			}
		})
	}
}

func TestObtainUsesTheConfiguredTokenURL(t *testing.T) {
	t.Parallel()
	s := quick(0)
	c := s.Connection("http://elsewhere.example")
	c.TokenURL = base + "/api/ext/token"
	var asked string
	o := &providers.Options{HTTP: &http.Client{Transport: tap{s.Client().Transport, func(r *http.Request, _ string) { asked = r.URL.String() }}}}
	if _, err := obtain(t, o, c); err != nil || asked != c.TokenURL {
		t.Errorf("asked %s, %v", asked, err)
	}
}

func TestObtainFailures(t *testing.T) {
	t.Parallel()
	s := quick(0)
	for name, c := range map[string]struct {
		change func(*providers.Connection)
		fault  sandbox.FaultKind
		want   error
		sent   int
	}{
		"wrong secret":   {func(c *providers.Connection) { c.ClientSecrets[0] = providers.NewSecret("old") }, "", providers.ErrRevoked, 1},
		"wrong id":       {func(c *providers.Connection) { c.ClientID = "other" }, "", providers.ErrRevoked, 1},
		"no id":          {func(c *providers.Connection) { c.ClientID = "" }, "", providers.ErrInvalid, 1},
		"JSON":           {func(c *providers.Connection) { c.Quirks = []byte(`{"token":"json"}`) }, "", providers.ErrInvalid, 1},
		"unknown quirk":  {func(c *providers.Connection) { c.Quirks = []byte(`{"tokens":"json"}`) }, "", providers.ErrInvalid, 0},
		"relative URL":   {func(c *providers.Connection) { c.BaseURL = "yappli.example" }, "", providers.ErrInvalid, 0},
		"429":            {nil, sandbox.TooMany, providers.ErrRateLimited, 1},
		"5xx":            {nil, sandbox.ServerFail, providers.ErrTemporary, 1},
		"gateway":        {nil, sandbox.BadGateway, providers.ErrTemporary, 1},
		"dropped":        {nil, sandbox.Dropped, providers.ErrTemporary, 1},
		"lost":           {nil, sandbox.Lost, providers.ErrTemporary, 1},
		"cut half-way":   {nil, sandbox.Reset, providers.ErrTemporary, 1},
		"not JSON":       {nil, sandbox.Garbage, providers.ErrInvalid, 1},
		"unknown client": {nil, sandbox.Denied, providers.ErrUnauthorized, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s.SetFaults(sandbox.Faults{})
			if c.fault != "" {
				s.Inject(sandbox.Fault{Kind: c.fault})
			}
			connection := s.Connection(base)
			if c.change != nil {
				c.change(&connection)
			}
			before := s.Count("")
			g, err := obtain(t, &providers.Options{HTTP: s.Client()}, connection)
			if !errors.Is(err, c.want) || !g.Access.Empty() || !g.Refresh.Empty() {
				t.Errorf("%v", err)
			}
			if n := s.Count("") - before; n != c.sent {
				t.Errorf("%d requests", n)
			}
			if err != nil && (strings.Contains(err.Error(), yapplitest.ClientSecret) || strings.Contains(err.Error(), "example")) {
				t.Errorf("the error shows too much: %v", err)
			}
		})
	}
}

// TestTokenAnswers decodes the documents' example (アクセストークンの取得) and its variants.
func TestTokenAnswers(t *testing.T) {
	t.Parallel()
	printed := `{
  "access_token": "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXX",
  "token_type": "bearer",
  "refresh_token": "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXX",
  "expires_in": 86400,
  "scope": null
}`
	c := quick(0).Connection(base)
	for name, v := range map[string]struct {
		body string
		life time.Duration
		want error
	}{
		"as printed":       {printed, 24 * time.Hour, nil},
		"life as text":     {strings.Replace(printed, "86400", `"86400"`, 1), 24 * time.Hour, nil},
		"life not given":   {`{"access_token":"A"}`, 0, nil},
		"no token":         {`{"token_type":"bearer","expires_in":86400}`, 0, providers.ErrInvalid},
		"error as success": {`{"error":"invalid_client","error_description":"x"}`, 0, providers.ErrRevoked},
		"login page":       {"<!doctype html><title>ログイン</title>", 0, providers.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			g, err := obtain(t, &providers.Options{HTTP: &http.Client{Transport: script{status: 200, body: v.body}}}, c)
			if !errors.Is(err, v.want) || (err == nil) == g.Access.Empty() || !g.Refresh.Empty() {
				t.Errorf("%v", err)
			}
			if v.life == 0 && !g.ExpiresAt.IsZero() || v.life != 0 && g.ExpiresAt.Sub(g.ObtainedAt) != v.life {
				t.Errorf("lives %v", g.ExpiresAt.Sub(g.ObtainedAt))
			}
		})
	}
}

func TestProbeDoubts(t *testing.T) {
	t.Parallel()
	token := providers.Token{Provider: providers.Yappli, BaseURL: base, Credential: providers.NewSecret("AT")}
	for name, c := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"empty tenant":  {200, `{"members":[]}`, nil},
		"login page":    {200, "<html></html>", providers.ErrMalformed},
		"no list":       {200, `{"status":true}`, providers.ErrMalformed},
		"denied":        {401, `{"error":"invalid_token"}`, providers.ErrUnauthorized},
		"wrong address": {403, "", providers.ErrForbidden},
		"broken":        {500, "", providers.ErrTemporary},
	} {
		t.Run(name, func(t *testing.T) {
			a := yappli.NewAuthority(&providers.Options{HTTP: &http.Client{Transport: script{status: c.status, body: c.body}}, Attempts: 9})
			if err := a.Probe(t.Context(), providers.Connection{}, token); !errors.Is(err, c.want) {
				t.Errorf("%v", err)
			}
		})
	}
	// A probe asks for one user, once.
	s := quick(3)
	var asked []string
	o := &providers.Options{HTTP: &http.Client{Transport: tap{s.Client().Transport, func(r *http.Request, _ string) { asked = append(asked, r.URL.RequestURI()) }}}}
	s.Inject(sandbox.Fault{Kind: sandbox.ServerFail})
	_ = yappli.NewAuthority(o).Probe(t.Context(), providers.Connection{}, s.Token(base))
	if len(asked) != 1 || asked[0] != "/api/ext/users?limit=1&offset=0" {
		t.Errorf("asked %q", asked)
	}
}
