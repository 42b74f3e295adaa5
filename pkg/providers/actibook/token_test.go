package actibook_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/actibook"
	"hikyaku/pkg/providers/actibook/actibooktest"
	"hikyaku/pkg/providers/internal/canned"
	"hikyaku/pkg/providers/sandbox"
)

func TestObtain(t *testing.T) {
	t.Parallel()
	s, _ := newSite(nil)
	connection := s.Connection(base)
	before := time.Now()
	grant, err := actibook.NewAuthority(unpaced(s.Client())).Obtain(t.Context(), connection, connection.ClientSecrets[0], providers.Secret{}, false)
	if err != nil {
		t.Fatal(err)
	}
	if grant.ObtainedAt.Before(before) || grant.ExpiresAt.Sub(grant.ObtainedAt) != 30*time.Minute || !grant.Refresh.Empty() {
		t.Errorf("obtained %s, expires %s", grant.ObtainedAt, grant.ExpiresAt)
	}
	token := s.Token(base)
	token.Credential = grant.Access
	client := actibook.New(providers.Fixed(token), unpaced(s.Client()))
	if _, err := client.Login(t.Context(), map[string]any{"keyword": "members"}); err != nil {
		t.Errorf("the new token does not work: %v", err)
	}
	if n := s.Tokens.Issued(); n != 3 { // newSite's, this one, and Token's
		t.Errorf("%d tokens issued; want 3", n)
	}
}

func TestObtainSendsJSON(t *testing.T) {
	t.Parallel()
	transport := &canned.Transport{Body: `{"access_token":"a","expires_in":"1800"}`}
	authority := actibook.NewAuthority(unpaced(&http.Client{Transport: transport}))
	connection := providers.Connection{TokenURL: "https://api.test/t?x=1", ClientID: "i<d"}
	if _, err := authority.Obtain(t.Context(), connection, providers.NewSecret("se&cret"), providers.Secret{}, false); err != nil {
		t.Fatal(err)
	}
	if want := `{"grant_type":"client_credentials","client_id":"i<d","client_secret":"se&cret"}`; string(transport.Seen) != want {
		t.Errorf("sent %s; want %s", transport.Seen, want)
	}
	if transport.Sent.Method != "POST" || transport.Sent.URL.String() != connection.TokenURL || transport.Sent.Header.Get("Content-Type") != "application/json" {
		t.Errorf("sent %s %s", transport.Sent.Method, transport.Sent.URL)
	}
}

func TestObtainErrors(t *testing.T) {
	t.Parallel()
	inject := func(kind sandbox.FaultKind) func(*actibooktest.Server, *providers.Connection) {
		return func(s *actibooktest.Server, _ *providers.Connection) { s.Inject(sandbox.Fault{Kind: kind}) }
	}
	for name, c := range map[string]struct {
		change func(*actibooktest.Server, *providers.Connection)
		kind   error
		calls  int
	}{
		"wrong secret": {func(s *actibooktest.Server, _ *providers.Connection) { s.ClientSecret = "other" }, providers.ErrRevoked, 1},
		"wrong client": {func(_ *actibooktest.Server, c *providers.Connection) { c.ClientID = "other" }, providers.ErrRevoked, 1},
		"no token_url": {func(_ *actibooktest.Server, c *providers.Connection) { c.TokenURL = "" }, providers.ErrInvalid, 0},
		"rate limit":   {inject(sandbox.TooMany), providers.ErrRateLimited, 1},
		"unavailable":  {inject(sandbox.ServerFail), providers.ErrTemporary, 1},
		"gateway":      {inject(sandbox.BadGateway), providers.ErrTemporary, 1},
		"lost":         {inject(sandbox.Lost), providers.ErrTemporary, 1},
		"half":         {inject(sandbox.Reset), providers.ErrTemporary, 1},
		"garbage":      {inject(sandbox.Garbage), providers.ErrInvalid, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := newSite(nil)
			connection := s.Connection(base)
			c.change(s, &connection)
			o := unpaced(s.Client())
			o.Attempts = 4 // of no use here: a token call is never repeated
			_, err := actibook.NewAuthority(o).Obtain(t.Context(), connection, connection.ClientSecrets[0], providers.Secret{}, false)
			if !errors.Is(err, c.kind) {
				t.Errorf("got %v; want %v", err, c.kind)
			}
			if n := s.Count(""); n != c.calls {
				t.Errorf("%d calls; want %d", n, c.calls)
			}
		})
	}
}

// A life that the answer does not state is read from the JWT, if it is one.
func TestLifeFromJWT(t *testing.T) {
	t.Parallel()
	jwt := func(payload string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
	}
	for token, life := range map[string]time.Duration{
		jwt(`{"iat":1000.5,"exp":1002}`):         1500 * time.Millisecond,
		jwt(`{"iat":1,"exp":31622401}`):          366 * 24 * time.Hour,
		jwt(`{"iat":1,"exp":31622402}`):          0, // absurd reads as unknown
		jwt(`{"iat":1000,"exp":1000}`):           0,
		jwt(`{"iat":1000,"exp":999}`):            0,
		jwt(`{"exp":1000}`):                      0,
		jwt(`{"iat":-5,"exp":1000}`):             0,
		jwt(`{"iat":"x"}`):                       0,
		jwt(`[]`):                                0,
		"e30.###.c2ln":                           0,
		"opaque":                                 0,
		jwt(`{"iat":1000,"exp":2000}`) + ".more": 0,
	} {
		transport := &canned.Transport{Body: `{"access_token":"` + token + `"}`}
		grant, err := actibook.NewAuthority(unpaced(&http.Client{Transport: transport})).
			Obtain(t.Context(), providers.Connection{TokenURL: "https://api.test/t"}, providers.NewSecret("s"), providers.Secret{}, false)
		got := time.Duration(0)
		if !grant.ExpiresAt.IsZero() {
			got = grant.ExpiresAt.Sub(grant.ObtainedAt)
		}
		if err != nil || got != life {
			t.Errorf("%s: life %s, %v; want %s", token, got, err, life)
		}
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	keyword := func(c *providers.Connection, _ *providers.Token) { c.ProbeKeyword = "members" }
	for name, c := range map[string]struct {
		change func(*providers.Connection, *providers.Token)
		server func(*actibooktest.Server)
		kind   error // nil: alive
		calls  int
	}{
		"shape and expiry only":  {nil, nil, nil, 0},
		"revoked, but not asked": {nil, func(s *actibooktest.Server) { s.Tokens.Revoke("") }, nil, 0},
		"expired":                {func(_ *providers.Connection, t *providers.Token) { t.ExpiresAt = time.Now() }, nil, providers.ErrUnauthorized, 0},
		"unknown expiry":         {func(_ *providers.Connection, t *providers.Token) { t.ExpiresAt = time.Time{} }, nil, nil, 0},
		"absent":                 {func(_ *providers.Connection, t *providers.Token) { t.Credential = providers.Secret{} }, nil, providers.ErrUnauthorized, 0},
		"not a token":            {func(_ *providers.Connection, t *providers.Token) { t.Credential = providers.NewSecret("<html>") }, nil, providers.ErrUnauthorized, 0},
		"keyword":                {keyword, nil, nil, 1},
		"keyword, revoked":       {keyword, func(s *actibooktest.Server) { s.Tokens.Revoke("") }, providers.ErrUnauthorized, 1},
		"keyword, not tied":      {keyword, func(s *actibooktest.Server) { s.Groups = nil }, providers.ErrInvalid, 1},
		"keyword, {}":            {keyword, func(s *actibooktest.Server) { s.Silent = true }, providers.ErrInvalid, 1},
		"keyword, unavailable":   {keyword, func(s *actibooktest.Server) { s.Inject(sandbox.Fault{Kind: sandbox.ServerFail}) }, providers.ErrTemporary, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := newSite(nil)
			connection, token := s.Connection(base), s.Token(base)
			if c.change != nil {
				c.change(&connection, &token)
			}
			if c.server != nil {
				c.server(s)
			}
			if err := actibook.NewAuthority(unpaced(s.Client())).Probe(t.Context(), connection, token); !errors.Is(err, c.kind) {
				t.Errorf("got %v; want %v", err, c.kind)
			}
			if n := s.Count("POST /api/sso/login"); n != c.calls || s.Count("") != n {
				t.Errorf("%d calls; want %d", n, c.calls)
			}
		})
	}
}

// The characters of RFC 6750's b64token, and no other.
func TestProbeShape(t *testing.T) {
	t.Parallel()
	authority := actibook.NewAuthority(nil)
	for c := rune(1); c < 0x100; c++ {
		token := providers.Token{Credential: providers.NewSecret("x" + string(c))}
		want := strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/=", c)
		if err := authority.Probe(t.Context(), providers.Connection{}, token); want != (err == nil) {
			t.Errorf("%q: %v", c, err)
		}
	}
}

func TestProbeParameterName(t *testing.T) {
	t.Parallel()
	s, _ := newSite(func(s *actibooktest.Server) {
		s.Quirks = actibook.Quirks{KeywordParameter: "kw", Parameters: map[string]any{"user_id": "probe"}}
	})
	connection := s.Connection(base)
	connection.ProbeKeyword = "staff"
	if err := actibook.NewAuthority(unpaced(s.Client())).Probe(t.Context(), connection, s.Token(base)); err != nil {
		t.Fatal(err)
	}
	if got, want := lastUser(t, s), `"group":"スタッフ","parameters":{"kw":"staff","user_id":"probe"}`; !strings.Contains(got, want) {
		t.Errorf("site user %s; want %s", got, want)
	}
}

// Tokens end after 1800 seconds, on the second.
func TestTokenLife(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, client := newSite(nil)
		time.Sleep(30*time.Minute - time.Nanosecond)
		if _, err := client.Login(t.Context(), map[string]any{"keyword": "members"}); err != nil {
			t.Errorf("a nanosecond before: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if _, err := client.Login(t.Context(), map[string]any{"keyword": "members"}); !errors.Is(err, providers.ErrUnauthorized) {
			t.Errorf("at the end: %v; want ErrUnauthorized", err)
		}
		if !s.Token(base).Expired(time.Now().Add(30*time.Minute)) || s.Token(base).Expired(time.Now().Add(30*time.Minute-1)) {
			t.Error("the token's own expiry differs")
		}
	})
}
