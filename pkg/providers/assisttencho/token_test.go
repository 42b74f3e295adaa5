package assisttencho_test

import (
	"errors"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/assisttencho"
	"hikyaku/pkg/providers/assisttencho/assisttenchotest"
	"hikyaku/pkg/providers/internal/canned"
	"hikyaku/pkg/providers/sandbox"
)

func TestAuthorizeURL(t *testing.T) {
	t.Parallel()
	full := providers.Connection{BaseURL: "https://asp000.example/shop01/", ClientID: "id", RedirectURI: "https://tool.example/getAuth.php?x=1"}
	for name, c := range map[string]struct {
		quirks, state string
		change        func(*providers.Connection)
		scope         []string // of the URL; nil: refused
	}{
		"default scope":   {state: "s t", scope: []string{"read_sales"}},
		"no scope":        {state: "s t", quirks: `{"scope":""}`, scope: []string{}},
		"another scope":   {state: "s t", quirks: `{"scope":"read_sales write_sales"}`, scope: []string{"read_sales write_sales"}},
		"no state":        {},
		"unknown quirk":   {state: "s", quirks: `{"scopes":""}`},
		"no client":       {state: "s", change: func(c *providers.Connection) { c.ClientID = "" }},
		"no redirect":     {state: "s", change: func(c *providers.Connection) { c.RedirectURI = "" }},
		"no base":         {state: "s", change: func(c *providers.Connection) { c.BaseURL = "shop01" }},
		"unreadable base": {state: "s", change: func(c *providers.Connection) { c.BaseURL = "https://%zz" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connection := full
			connection.Quirks = []byte(c.quirks)
			if c.change != nil {
				c.change(&connection)
			}
			page, err := assisttencho.AuthorizeURL(connection, c.state)
			if c.scope == nil {
				if !errors.Is(err, providers.ErrInvalid) || page != "" {
					t.Errorf("got %q, %v; want ErrInvalid", page, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			u, _ := url.Parse(page)
			want := url.Values{"client_id": {"id"}, "redirect_uri": {full.RedirectURI}, "response_type": {"code"}, "state": {"s t"}}
			if len(c.scope) > 0 {
				want["scope"] = c.scope
			}
			if u.Scheme != "https" || u.Host != "asp000.example" || u.Path != "/shop01/api/oauth/authorize.php" || u.RawQuery != want.Encode() {
				t.Errorf("got %s", page)
			}
		})
	}
}

// approve plays the person at the authorization page and returns where the
// provider sends the browser.
func approve(t *testing.T, s *assisttenchotest.Server, page string, fields url.Values) *http.Response {
	t.Helper()
	u, err := url.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	form := u.Query()
	for name, values := range fields {
		form[name] = values
	}
	u.RawQuery = ""
	client := s.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := client.PostForm(u.String(), form)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestApprovalAndExchange(t *testing.T) {
	t.Parallel()
	s, _ := newShop(3, func(s *assisttenchotest.Server) { s.BasePath = "/shop01" })
	connection := s.Connection(base)
	page, err := assisttencho.AuthorizeURL(connection, "state-1")
	if err != nil {
		t.Fatal(err)
	}
	right := url.Values{"login_id": {s.AdminID}, "password": {s.AdminPassword}, "approve": {"1"}}
	answer := approve(t, s, page, right)
	target, _ := answer.Location()
	if answer.StatusCode != http.StatusFound || target.Query().Get("state") != "state-1" || !strings.HasPrefix(target.String(), s.RedirectURI+"?") {
		t.Fatalf("status %d, to %s", answer.StatusCode, target)
	}
	code := providers.NewSecret(target.Query().Get("code"))
	authority := assisttencho.NewAuthority(unpaced(s.Client()))
	before := time.Now()
	grant, err := authority.Obtain(t.Context(), connection, connection.ClientSecrets[0], code, true)
	if err != nil {
		t.Fatal(err)
	}
	if grant.ObtainedAt.Before(before) || !grant.ExpiresAt.IsZero() || !grant.Refresh.Empty() || grant.Access.Empty() {
		t.Errorf("obtained %s, expires %s", grant.ObtainedAt, grant.ExpiresAt)
	}
	token := s.Token(base)
	token.Credential = grant.Access
	if err := authority.Probe(t.Context(), connection, token); err != nil {
		t.Errorf("the new token does not work: %v", err)
	}
	if _, err := authority.Obtain(t.Context(), connection, connection.ClientSecrets[0], code, true); !errors.Is(err, providers.ErrRevoked) {
		t.Errorf("second exchange of a code: %v; want ErrRevoked", err)
	}
	if n := s.Tokens.Redeemed(); n != 1 {
		t.Errorf("%d redemptions; want 1", n)
	}
}

// At each address that the documents give, the form leads back to the
// application when it is filled in as a browser does.
func TestApprovalFormCanBeFollowed(t *testing.T) {
	t.Parallel()
	s, _ := newShop(0, nil)
	connection := s.Connection(base)
	documented, err := assisttencho.AuthorizeURL(connection, "state-1")
	if err != nil {
		t.Fatal(err)
	}
	hidden := regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)
	for _, page := range []string{documented, strings.Replace(documented, "/api/oauth/", "/oauth/", 1)} {
		u, err := url.Parse(page)
		if err != nil {
			t.Fatal(err)
		}
		shown := bodyOf(t, replay(t, s, "GET "+u.RequestURI()+" HTTP/1.1\r\nHost: a\r\n\r\n"))
		if !strings.Contains(shown, `<form method="post">`) {
			t.Fatalf("%s: the form posts elsewhere: %s", u.Path, shown)
		}
		fields := url.Values{"login_id": {s.AdminID}, "password": {s.AdminPassword}, "approve": {"1"}}
		for _, input := range hidden.FindAllStringSubmatch(shown, -1) {
			fields.Set(input[1], html.UnescapeString(input[2]))
		}
		u.RawQuery = ""
		answer := approve(t, s, u.String(), fields)
		if target, err := answer.Location(); err != nil || answer.StatusCode != http.StatusFound || target.Query().Get("code") == "" || target.Query().Get("state") != "state-1" {
			t.Errorf("%s: status %d, to %v", u.Path, answer.StatusCode, target)
		}
	}
}

func TestApprovalRefusals(t *testing.T) {
	t.Parallel()
	s, _ := newShop(0, nil)
	page, err := assisttencho.AuthorizeURL(s.Connection(base), "state-1")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		fields   url.Values
		status   int
		location string
	}{
		"wrong password": {url.Values{"login_id": {s.AdminID}, "password": {"x"}, "approve": {"1"}}, 200, ""},
		"wrong person":   {url.Values{"login_id": {"x"}, "password": {s.AdminPassword}, "approve": {"1"}}, 200, ""},
		"denied":         {url.Values{"login_id": {s.AdminID}, "password": {s.AdminPassword}, "approve": {"0"}}, 302, s.RedirectURI + "?error=access_denied&state=state-1"},
		"other redirect": {url.Values{"redirect_uri": {"https://thief.example/"}}, 400, ""},
		"other client":   {url.Values{"client_id": {"other"}}, 400, ""},
		"other response": {url.Values{"response_type": {"token"}}, 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := approve(t, s, page, c.fields)
			if answer.StatusCode != c.status || answer.Header.Get("Location") != c.location {
				t.Errorf("status %d, to %q", answer.StatusCode, answer.Header.Get("Location"))
			}
			if c.status == 200 && !strings.Contains(bodyOf(t, answer), `value="state-1"`) {
				t.Error("the form shown again has lost its state")
			}
		})
	}
	if answer := replay(t, s, "GET /api/oauth/authorize.php?client_id=other HTTP/1.1\r\nHost: a\r\n\r\n"); answer.StatusCode != 400 {
		t.Errorf("page for an unknown application: status %d", answer.StatusCode)
	}
}

func TestObtainSendsTheForm(t *testing.T) {
	t.Parallel()
	connection := providers.Connection{BaseURL: base + "/shop01", ClientID: "id", RedirectURI: "https://tool.example/r"}
	for name, c := range map[string]struct {
		change   func(*providers.Connection)
		fromCode bool
		url      string
		form     url.Values
	}{
		"code": {nil, true, base + "/shop01/api/oauth/token.php", url.Values{
			"client_id": {"id"}, "client_secret": {"se&cret"}, "code": {"sp ent"}, "grant_type": {"client_credentials"}, "redirect_uri": {"https://tool.example/r"}}},
		"code without redirect": {func(c *providers.Connection) { c.RedirectURI = "" }, true, base + "/shop01/api/oauth/token.php", url.Values{
			"client_id": {"id"}, "client_secret": {"se&cret"}, "code": {"sp ent"}, "grant_type": {"client_credentials"}}},
		"refresh": {func(c *providers.Connection) {
			c.Quirks = []byte(`{"refresh_grant":true}`)
			c.TokenURL = "https://t.test/x"
		}, false, "https://t.test/x", url.Values{
			"client_id": {"id"}, "client_secret": {"se&cret"}, "refresh_token": {"sp ent"}, "grant_type": {"refresh_token"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transport := &canned.Transport{Body: `{"access_token":"a","expires_in":"3600","refresh_token":"r"}`}
			connection := connection
			if c.change != nil {
				c.change(&connection)
			}
			authority := assisttencho.NewAuthority(unpaced(&http.Client{Transport: transport}))
			grant, err := authority.Obtain(t.Context(), connection, providers.NewSecret("se&cret"), providers.NewSecret("sp ent"), c.fromCode)
			if err != nil {
				t.Fatal(err)
			}
			if transport.Sent.Method != "POST" || transport.Sent.URL.String() != c.url || string(transport.Seen) != c.form.Encode() ||
				transport.Sent.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || transport.Sent.Header.Get("User-Agent") != "hikyaku" {
				t.Errorf("sent %s %s with %s", transport.Sent.Method, transport.Sent.URL, transport.Sent.Header)
			}
			if grant.Refresh.Reveal() != "r" || grant.ExpiresAt.Sub(grant.ObtainedAt) != time.Hour {
				t.Errorf("refresh token %t, life %s", !grant.Refresh.Empty(), grant.ExpiresAt.Sub(grant.ObtainedAt))
			}
		})
	}
}

func TestObtainRefusals(t *testing.T) {
	t.Parallel()
	some := providers.NewSecret("x")
	for name, c := range map[string]struct {
		quirks   string
		spend    providers.Secret
		fromCode bool
		op       string
		kind     error
	}{
		"refresh that is off": {"", some, false, "token.refresh", providers.ErrRevoked},
		"no code":             {"", providers.Secret{}, true, "token.exchange", providers.ErrInvalid},
		"no refresh token":    {`{"refresh_grant":true}`, providers.Secret{}, false, "token.refresh", providers.ErrInvalid},
		"unknown quirk":       {`{"refresh":true}`, some, true, "", providers.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transport := &canned.Transport{}
			authority := assisttencho.NewAuthority(unpaced(&http.Client{Transport: transport}))
			_, err := authority.Obtain(t.Context(), providers.Connection{BaseURL: base, Quirks: []byte(c.quirks)}, some, c.spend, c.fromCode)
			var e *providers.Error
			if !errors.Is(err, c.kind) || c.op != "" && (!errors.As(err, &e) || e.Op != c.op) {
				t.Errorf("got %v; want %v of %s", err, c.kind, c.op)
			}
			if transport.Sent != nil {
				t.Error("a call was made")
			}
		})
	}
}

func TestExchangeErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*assisttenchotest.Server, *providers.Connection)
		kind   error
	}{
		"wrong secret":   {func(s *assisttenchotest.Server, _ *providers.Connection) { s.ClientSecret = "other" }, providers.ErrRevoked},
		"wrong client":   {func(_ *assisttenchotest.Server, c *providers.Connection) { c.ClientID = "other" }, providers.ErrRevoked},
		"wrong redirect": {func(_ *assisttenchotest.Server, c *providers.Connection) { c.RedirectURI = "https://thief.example/" }, providers.ErrRevoked},
		"no redirect":    {func(_ *assisttenchotest.Server, c *providers.Connection) { c.RedirectURI = "" }, nil},
		"other address":  {func(s *assisttenchotest.Server, _ *providers.Connection) { s.AllowedIPs = []string{"192.0.2.1"} }, providers.ErrForbidden},
		"own address":    {func(s *assisttenchotest.Server, _ *providers.Connection) { s.AllowedIPs = []string{"127.0.0.1"} }, nil},
		"error with 200": {func(s *assisttenchotest.Server, c *providers.Connection) { s.ErrorAt200 = true; c.ClientID = "other" }, providers.ErrRevoked},
		"lost": {func(s *assisttenchotest.Server, _ *providers.Connection) {
			s.Inject(sandbox.Fault{Kind: sandbox.Lost})
		}, providers.ErrTemporary},
		"half an answer": {func(s *assisttenchotest.Server, _ *providers.Connection) {
			s.Inject(sandbox.Fault{Kind: sandbox.Reset})
		}, providers.ErrTemporary},
		"unavailable": {func(s *assisttenchotest.Server, _ *providers.Connection) {
			s.Inject(sandbox.Fault{Kind: sandbox.ServerFail})
		}, providers.ErrTemporary},
		"gateway's page": {func(s *assisttenchotest.Server, _ *providers.Connection) {
			s.Inject(sandbox.Fault{Kind: sandbox.BadGateway})
		}, providers.ErrTemporary},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := newShop(0, nil)
			connection := s.Connection(base)
			c.change(s, &connection)
			o := unpaced(s.Client())
			o.Attempts = 4 // of no use here: a token call is never repeated
			_, err := assisttencho.NewAuthority(o).Obtain(t.Context(), connection, connection.ClientSecrets[0], connection.Code, true)
			if !errors.Is(err, c.kind) {
				t.Errorf("got %v; want %v", err, c.kind)
			}
			if n := s.Count("POST /api/oauth/token.php"); n != 1 {
				t.Errorf("%d calls; want exactly one", n)
			}
		})
	}
}

// A shop that hands out refresh tokens: the grant is spent once.
func TestRefreshGrant(t *testing.T) {
	t.Parallel()
	s, _ := newShop(0, func(s *assisttenchotest.Server) { s.Quirks.RefreshGrant, s.Tokens.Life = true, time.Hour })
	connection := s.Connection(base)
	authority := assisttencho.NewAuthority(unpaced(s.Client()))
	first, err := authority.Obtain(t.Context(), connection, connection.ClientSecrets[0], connection.Code, true)
	if err != nil || first.ExpiresAt.Sub(first.ObtainedAt) != time.Hour {
		t.Fatalf("life %s, %v", first.ExpiresAt.Sub(first.ObtainedAt), err)
	}
	second, err := authority.Obtain(t.Context(), connection, connection.ClientSecrets[0], first.Refresh, false)
	if err != nil || second.Access == first.Access || second.Refresh.Empty() {
		t.Fatalf("refreshing: %v", err)
	}
	if _, err := authority.Obtain(t.Context(), connection, connection.ClientSecrets[0], first.Refresh, false); !errors.Is(err, providers.ErrRevoked) {
		t.Errorf("spending a refresh token twice: %v", err)
	}
	token := s.Token(base)
	if left := token.ExpiresAt.Sub(token.ObtainedAt); left != time.Hour {
		t.Errorf("a token of the sandbox lives %s", left)
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*assisttenchotest.Server, *providers.Connection, *providers.Token)
		kind   error // nil: alive
		calls  int
	}{
		"found":            {nil, nil, 1},
		"not found, empty": {func(_ *assisttenchotest.Server, c *providers.Connection, _ *providers.Token) { c.ProbeOrder = "99" }, nil, 1},
		"not found, 404": {func(s *assisttenchotest.Server, c *providers.Connection, _ *providers.Token) {
			s.NotFound, c.ProbeOrder = true, "99"
		}, nil, 1},
		"404 page": {func(s *assisttenchotest.Server, _ *providers.Connection, t *providers.Token) {
			s.BasePath = "/elsewhere"
		}, providers.ErrNotFound, 0},
		"revoked": {func(s *assisttenchotest.Server, _ *providers.Connection, t *providers.Token) { s.Tokens.Revoke("") }, providers.ErrUnauthorized, 1},
		"login page": {func(s *assisttenchotest.Server, _ *providers.Connection, t *providers.Token) {
			s.LoginPage = true
			s.Tokens.Revoke("")
		}, providers.ErrUnauthorized, 1},
		"error with 200": {func(s *assisttenchotest.Server, _ *providers.Connection, t *providers.Token) {
			s.ErrorAt200 = true
			s.Tokens.Revoke("")
		}, providers.ErrUnauthorized, 1},
		"address": {func(s *assisttenchotest.Server, _ *providers.Connection, t *providers.Token) {
			s.AllowedIPs = []string{"192.0.2.1"}
		}, providers.ErrForbidden, 1},
		"address, 200": {func(s *assisttenchotest.Server, _ *providers.Connection, t *providers.Token) {
			s.ErrorAt200, s.AllowedIPs = true, []string{"192.0.2.1"}
		}, providers.ErrForbidden, 1},
		"unavailable": {func(s *assisttenchotest.Server, _ *providers.Connection, t *providers.Token) {
			s.Inject(sandbox.Fault{Kind: sandbox.ServerFail})
		}, providers.ErrTemporary, 1},
		"garbage": {func(s *assisttenchotest.Server, _ *providers.Connection, t *providers.Token) {
			s.Inject(sandbox.Fault{Kind: sandbox.Garbage})
		}, providers.ErrInvalid, 1},
		"expired, not asked": {func(_ *assisttenchotest.Server, _ *providers.Connection, t *providers.Token) {
			t.ExpiresAt = time.Now()
		}, providers.ErrUnauthorized, 0},
		"absent, not asked": {func(_ *assisttenchotest.Server, _ *providers.Connection, t *providers.Token) {
			t.Credential = providers.Secret{}
		}, providers.ErrUnauthorized, 0},
		"no order to ask for": {func(_ *assisttenchotest.Server, c *providers.Connection, _ *providers.Token) { c.ProbeOrder = "" }, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := newShop(3, nil)
			connection, token := s.Connection(base), s.Token(base)
			if c.change != nil {
				c.change(s, &connection, &token)
			}
			err := assisttencho.NewAuthority(unpaced(s.Client())).Probe(t.Context(), connection, token)
			if !errors.Is(err, c.kind) {
				t.Errorf("got %v; want %v", err, c.kind)
			}
			if n := s.Count(""); n != c.calls {
				t.Errorf("%d calls; want %d", n, c.calls)
			}
		})
	}
}

// The exchange and the probe right after it fit into one request per second,
// with the default limiter and the sandbox's own limit.
func TestObtainAndProbeKeepTheRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := assisttenchotest.New(sandbox.Options{})
		connection := s.Connection(base)
		authority := assisttencho.NewAuthority(&providers.Options{HTTP: s.Client()})
		grant, err := authority.Obtain(t.Context(), connection, connection.ClientSecrets[0], connection.Code, true)
		if err != nil {
			t.Fatal(err)
		}
		token := providers.Token{BaseURL: connection.BaseURL, Credential: grant.Access, Quirks: connection.Quirks}
		for range 3 {
			if err := authority.Probe(t.Context(), connection, token); err != nil {
				t.Error(err)
			}
		}
	})
}
