package shopline_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline"
	"hikyaku/pkg/providers/shopline/shoplinetest"
)

// clock is a time that a test moves.
type clock struct{ now time.Time }

func (c *clock) time() time.Time { return c.now }

func appShop() (*shoplinetest.Server, *clock, providers.Connection, *shopline.Authority) {
	c := &clock{time.Now().Truncate(time.Second)}
	shop := shoplinetest.New(sandbox.Options{Records: 2, Rate: -1, Now: c.time})
	return shop, c, shop.AppConnection(base), shopline.NewAuthority(unhurried(shop))
}

func tokenOf(c providers.Connection, g providers.Grant) providers.Token {
	return providers.Token{
		Provider: c.Provider, Kind: c.Kind, BaseURL: c.BaseURL, Account: c.Account, Credential: g.Access,
		ObtainedAt: g.ObtainedAt, ExpiresAt: g.ExpiresAt, Quirks: c.Quirks,
	}
}

// The life of an app: a code, a pair, a new pair; nothing is accepted twice.
func TestAppTokens(t *testing.T) {
	t.Parallel()
	for _, body := range []shopline.TokenBody{"", shopline.JSONBody, shopline.FormBody} {
		shop, _, c, authority := appShop()
		shop.FormTokens = body == shopline.FormBody
		c.Quirks, _ = json.Marshal(shopline.Quirks{TokenBody: body, Handle: shoplinetest.Handle})
		before := time.Now()
		first, err := authority.Obtain(ctx, c, c.ClientSecrets[0], c.Code, true)
		if err != nil {
			t.Fatalf("%q: exchanging the code: %v", body, err)
		}
		if first.Access.Empty() || first.Refresh.Empty() || first.Account != shoplinetest.MerchantID || first.ObtainedAt.Before(before) {
			t.Errorf("%q: grant %+v", body, first)
		}
		if life := first.ExpiresAt.Sub(first.ObtainedAt); life > 15_778_476*time.Second || life < 15_778_470*time.Second {
			t.Errorf("%q: life %v", body, life)
		}
		if err := authority.Probe(ctx, c, tokenOf(c, first)); err != nil {
			t.Errorf("%q: probing: %v", body, err)
		}
		if _, err := authority.Obtain(ctx, c, c.ClientSecrets[0], c.Code, true); !errors.Is(err, providers.ErrRevoked) {
			t.Errorf("%q: the code again: %v", body, err)
		}
		second, err := authority.Obtain(ctx, c, c.ClientSecrets[0], first.Refresh, false)
		if err != nil || second.Access == first.Access || second.Refresh == first.Refresh {
			t.Fatalf("%q: refreshing: %v", body, err)
		}
		if n := shop.Tokens.Redeemed(); n != 2 {
			t.Errorf("%q: %d redeemed, want 2", body, n)
		}
	}
}

// Two uses of one refresh token end the whole line of tokens.
func TestReuseRevokesFamily(t *testing.T) {
	t.Parallel()
	_, _, c, authority := appShop()
	first, _ := authority.Obtain(ctx, c, c.ClientSecrets[0], c.Code, true)
	second, err := authority.Obtain(ctx, c, c.ClientSecrets[0], first.Refresh, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := authority.Obtain(ctx, c, c.ClientSecrets[0], first.Refresh, false); !errors.Is(err, providers.ErrRevoked) {
		t.Errorf("second use: %v", err)
	}
	if err := authority.Probe(ctx, c, tokenOf(c, second)); !errors.Is(err, providers.ErrUnauthorized) {
		t.Errorf("probing the newest token: %v", err)
	}
	if _, err := authority.Obtain(ctx, c, c.ClientSecrets[0], second.Refresh, false); !errors.Is(err, providers.ErrRevoked) {
		t.Errorf("the newest refresh token: %v", err)
	}
}

// Lives end where the documents say.
func TestAppLives(t *testing.T) {
	t.Parallel()
	const life = 15_778_476 * time.Second
	for name, c := range map[string]struct {
		wait    time.Duration
		access  bool
		refresh bool
	}{
		"just before the end":             {life - time.Second, true, true},
		"at the end":                      {life, false, true},
		"just within the refresh's grace": {life + 24*time.Hour - time.Second, false, true},
		"after the refresh's grace":       {life + 24*time.Hour, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, clock, connection, authority := appShop()
			grant, err := authority.Obtain(ctx, connection, connection.ClientSecrets[0], connection.Code, true)
			if err != nil {
				t.Fatal(err)
			}
			clock.now = clock.now.Add(c.wait)
			if err := authority.Probe(ctx, connection, tokenOf(connection, grant)); (err == nil) != c.access {
				t.Errorf("probe: %v", err)
			}
			_, err = authority.Obtain(ctx, connection, connection.ClientSecrets[0], grant.Refresh, false)
			if (err == nil) != c.refresh || err != nil && !errors.Is(err, providers.ErrRevoked) {
				t.Errorf("refresh: %v", err)
			}
		})
	}
	for wait, works := range map[time.Duration]bool{599 * time.Second: true, 600 * time.Second: false} {
		_, clock, connection, authority := appShop()
		clock.now = clock.now.Add(wait)
		if _, err := authority.Obtain(ctx, connection, connection.ClientSecrets[0], connection.Code, true); (err == nil) != works {
			t.Errorf("a code of age %v: %v", wait, err)
		}
	}
}

// An answer's created_at shortens the life, never lengthens or ends it.
func TestExpiryCountsFromCreation(t *testing.T) {
	t.Parallel()
	_, _, c, _ := appShop()
	for name, want := range map[string]struct {
		created string
		life    time.Duration
	}{
		"an hour ago":      {fmt.Sprint(time.Now().Add(-time.Hour).Unix()), 100000*time.Second - time.Hour},
		"as a text":        {fmt.Sprintf("%q", fmt.Sprint(time.Now().Add(-time.Hour).Unix())), 100000*time.Second - time.Hour},
		"in the future":    {fmt.Sprint(time.Now().Add(time.Hour).Unix()), 100000 * time.Second},
		"absurdly old":     {"5", 100000 * time.Second},
		"zero":             {"0", 100000 * time.Second},
		"null":             {"null", 100000 * time.Second},
		"of another shape": {"{}", 100000 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			o := &providers.Options{HTTP: answering(200, `{"access_token":"a","refresh_token":"r","expires_in":100000,"created_at":`+want.created+`}`)}
			grant, err := shopline.NewAuthority(o).Obtain(ctx, c, c.ClientSecrets[0], c.Code, true)
			if err != nil {
				t.Fatalf("%v", err)
			}
			if life := grant.ExpiresAt.Sub(grant.ObtainedAt); (life - want.life).Abs() > 2*time.Second {
				t.Errorf("life %v, want %v", life, want.life)
			}
		})
	}
	o := &providers.Options{HTTP: answering(200, `{"access_token":"a","expires_in":null,"created_at":5}`)}
	if grant, err := shopline.NewAuthority(o).Obtain(ctx, c, c.ClientSecrets[0], c.Code, true); err != nil || !grant.ExpiresAt.IsZero() || !grant.Refresh.Empty() {
		t.Errorf("without a life: %+v, %v", grant, err)
	}
}

// What the token endpoint refuses, and what never reaches it.
func TestObtainFailures(t *testing.T) {
	t.Parallel()
	other := providers.NewSecret("other")
	for name, c := range map[string]struct {
		change func(*providers.Connection)
		secret providers.Secret
		spend  providers.Secret
		want   error
		calls  int
	}{
		"staff token":     {func(c *providers.Connection) { c.Kind = providers.Static }, providers.Secret{}, other, providers.ErrInvalid, 0},
		"nothing":         {nil, providers.Secret{}, providers.Secret{}, providers.ErrInvalid, 0},
		"unknown quirk":   {func(c *providers.Connection) { c.Quirks = []byte(`{"x":1}`) }, providers.Secret{}, other, providers.ErrInvalid, 0},
		"wrong secret":    {nil, other, other, providers.ErrRevoked, 1},
		"unknown token":   {nil, providers.Secret{}, other, providers.ErrRevoked, 1},
		"unknown client":  {func(c *providers.Connection) { c.ClientID = "x" }, providers.Secret{}, other, providers.ErrRevoked, 1},
		"form for JSON":   {func(c *providers.Connection) { c.Quirks = []byte(`{"token_body":"form"}`) }, providers.Secret{}, other, providers.ErrInvalid, 1},
		"no absolute URL": {func(c *providers.Connection) { c.TokenURL = "/token" }, providers.Secret{}, other, providers.ErrInvalid, 0},
	} {
		t.Run(name, func(t *testing.T) {
			shop, _, connection, authority := appShop()
			secret := connection.ClientSecrets[0]
			if !c.secret.Empty() {
				secret = c.secret
			}
			if c.change != nil {
				c.change(&connection)
			}
			if _, err := authority.Obtain(ctx, connection, secret, c.spend, false); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if n := shop.Count(""); n != c.calls {
				t.Errorf("%d calls, want %d", n, c.calls)
			}
		})
	}
	shop, _, connection, authority := appShop()
	grant, err := authority.Obtain(ctx, connection, connection.ClientSecrets[0], connection.Code, true)
	if err != nil {
		t.Fatal(err)
	}
	connection.RedirectURI += "/x"
	if _, err := authority.Obtain(ctx, connection, connection.ClientSecrets[0], grant.Refresh, false); !errors.Is(err, providers.ErrRevoked) {
		t.Errorf("a refresh token of another redirect: %v", err)
	}
	connection.Code = shop.AppConnection(base).Code
	if _, err := authority.Obtain(ctx, connection, connection.ClientSecrets[0], connection.Code, true); !errors.Is(err, providers.ErrRevoked) {
		t.Errorf("a code of another redirect: %v", err)
	}
	shop.Inject(sandbox.Fault{Kind: "lost"})
	connection = shop.AppConnection(base)
	if _, err := authority.Obtain(ctx, connection, connection.ClientSecrets[0], connection.Code, true); !errors.Is(err, providers.ErrTemporary) {
		t.Errorf("a lost answer: %v", err)
	}
	if n := shop.Count(""); n != 4 {
		t.Errorf("%d calls, want no repetition", n)
	}
}

// The sandbox's page sends the merchant back with a code and the state.
func TestAuthorize(t *testing.T) {
	t.Parallel()
	shop, _, c, authority := appShop()
	c.Quirks = []byte(`{"scopes":["orders","customers"],"handle":"example-shop"}`)
	address, err := shopline.AuthorizeURL(c, "a state&")
	if err != nil {
		t.Fatal(err)
	}
	const want = base + "/developers/oauth/authorize?client_id=sandbox-app&merchant_id=64aa0000000000000000000a" +
		"&redirect_uri=http%3A%2F%2F127.0.0.1%3A8910%2Fcallback&response_type=code&scope=orders+customers&state=a+state%26"
	if address != want {
		t.Errorf("URL %s", address)
	}
	browser := shop.Client()
	browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := browser.Get(address)
	if err != nil || answer.StatusCode != http.StatusFound {
		t.Fatalf("page: %v, %v", answer, err)
	}
	back, _ := url.Parse(answer.Header.Get("Location"))
	if !strings.HasPrefix(back.String(), shop.RedirectURI+"?") || back.Query().Get("state") != "a state&" {
		t.Errorf("redirect to %s", back)
	}
	if _, err := authority.Obtain(ctx, c, c.ClientSecrets[0], providers.NewSecret(back.Query().Get("code")), true); err != nil {
		t.Errorf("exchanging the page's code: %v", err)
	}
	for _, bad := range []string{
		strings.Replace(address, "sandbox-app", "x", 1), strings.Replace(address, "8910", "1", 1),
		strings.Replace(address, "response_type=code", "response_type=token", 1), strings.Replace(address, "merchant_id=64", "merchant_id=65", 1),
	} {
		if answer, err := browser.Get(bad); err != nil || answer.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %v, %v", bad, answer, err)
		}
	}
	c.Account, c.TokenURL, c.Quirks = shoplinetest.Handle, "", nil
	const plain = "https://developers.shoplineapp.com/oauth/authorize?client_id=sandbox-app&redirect_uri=http%3A%2F%2F127.0.0.1%3A8910%2Fcallback&response_type=code&state=s"
	if address, err := shopline.AuthorizeURL(c, "s"); err != nil || address != plain {
		t.Errorf("published URL: %s, %v", address, err)
	}
}

func TestAuthorizeURLFaults(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*providers.Connection){
		"token endpoint elsewhere": func(c *providers.Connection) { c.TokenURL = base + "/oauth/issue" },
		"no client":                func(c *providers.Connection) { c.ClientID = "" },
		"no redirect":              func(c *providers.Connection) { c.RedirectURI = "" },
		"redirect with a query":    func(c *providers.Connection) { c.RedirectURI += "?a=b" },
		"unknown quirk":            func(c *providers.Connection) { c.Quirks = []byte(`{"scope":"orders"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			_, _, c, _ := appShop()
			change(&c)
			if address, err := shopline.AuthorizeURL(c, "s"); !errors.Is(err, providers.ErrInvalid) || address != "" {
				t.Errorf("%q, %v", address, err)
			}
		})
	}
}

// A staff token lives as the person who made it has said.
func TestStaffToken(t *testing.T) {
	t.Parallel()
	c := &clock{at("2026-11-22T00:00:00Z")}
	shop := shoplinetest.New(sandbox.Options{Records: 1, Rate: -1, Now: c.time})
	authority := shopline.NewAuthority(unhurried(shop))
	endless := shop.Connection(base)
	if endless.Kind != providers.Static || !endless.ExpiresAt.IsZero() {
		t.Errorf("connection %+v", endless)
	}
	end := c.now.Add(48 * time.Hour)
	shop.GenerateToken(end)
	limited := shop.Connection(base)
	if !limited.ExpiresAt.Equal(end) || limited.APIKey == endless.APIKey {
		t.Errorf("connection %+v", limited)
	}
	probe := func(connection providers.Connection) error {
		return authority.Probe(ctx, connection, tokenOf(connection, providers.Grant{Access: connection.APIKey}))
	}
	c.now = end.Add(-time.Nanosecond)
	if err := probe(limited); err != nil {
		t.Errorf("before the expiry: %v", err)
	}
	c.now = end
	err := probe(limited)
	if !errors.Is(err, providers.ErrUnauthorized) || !strings.Contains(err.Error(), "the token is wrong or expired, or this address is not in its IP whitelist") {
		t.Errorf("at the expiry: %v", err)
	}
	c.now = end.AddDate(20, 0, 0)
	if err := probe(endless); err != nil {
		t.Errorf("without an expiry: %v", err)
	}
	shop.DeleteToken(endless.APIKey.Reveal())
	if err := probe(endless); !errors.Is(err, providers.ErrUnauthorized) {
		t.Errorf("deleted: %v", err)
	}
}

// A token calls the APIs that were ticked for it.
func TestTickedAPIs(t *testing.T) {
	t.Parallel()
	shop, _ := open(1)
	shop.GenerateToken(time.Time{}, "/v1/token", "/v1/customers")
	client := shopline.New(providers.Fixed(shop.Token(base)), unhurried(shop))
	if _, err := client.TokenInfo(ctx); err != nil {
		t.Error(err)
	}
	collect(t, client.Customers(ctx, shopline.CustomersQuery{}))
	_, err := client.ReadOrders(ctx, shopline.OrdersQuery{})
	if !errors.Is(err, providers.ErrForbidden) || !strings.Contains(err.Error(), "tick this API for the token under API Auth") {
		t.Errorf("orders: %v", err)
	}
}

// A whitelist holds 20 entries, exists with its token only, and keeps others
// out.
func TestIPWhitelist(t *testing.T) {
	t.Parallel()
	shop, client := open(1)
	token := shop.Token(base).Credential.Reveal()
	if err := shop.AllowIP("none", "office", "192.0.2.1"); err == nil {
		t.Error("a token that was not generated has a whitelist")
	}
	if err := shop.AllowIP(token, strings.Repeat("名", 21), "192.0.2.1"); err == nil {
		t.Error("a name of 21 characters was accepted")
	}
	for i := range 20 {
		if err := shop.AllowIP(token, strings.Repeat("名", 20), fmt.Sprintf("192.0.2.%d", i+1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := shop.AllowIP(token, "office", "127.0.0.1"); err == nil {
		t.Error("a 21st entry was accepted")
	}
	if _, err := client.TokenInfo(ctx); !errors.Is(err, providers.ErrUnauthorized) {
		t.Errorf("from an address that is not listed: %v", err)
	}
	shop.RefusedStatus = http.StatusForbidden
	if _, err := client.TokenInfo(ctx); !errors.Is(err, providers.ErrForbidden) {
		t.Errorf("with the other reading: %v", err)
	}
	shop.DeleteToken(token)
	next := shop.GenerateToken(time.Time{})
	client = shopline.New(providers.Fixed(shop.Token(base)), unhurried(shop))
	if _, err := client.TokenInfo(ctx); err != nil {
		t.Errorf("a new token begins without a list: %v", err)
	}
	if err := shop.AllowIP(next, "here", "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	if _, err := client.TokenInfo(ctx); err != nil {
		t.Errorf("from a listed address: %v", err)
	}
}

// A probe compares the shop, so that another shop's token is not taken.
func TestProbeComparesMerchant(t *testing.T) {
	t.Parallel()
	const merchant = `{"_id":"64aa0000000000000000000a","handle":"example-shop"}`
	for name, c := range map[string]struct {
		account, answer string
		want            error
	}{
		"by id":                {"64aa0000000000000000000a", `{"merchant":` + merchant + `}`, nil},
		"by handle":            {"example-shop", `{"merchant":` + merchant + `}`, nil},
		"no account":           {"", `{}`, nil},
		"another id":           {"64aa0000000000000000000b", `{"merchant":` + merchant + `}`, providers.ErrUnauthorized},
		"another handle":       {"other-shop", `{"merchant":` + merchant + `}`, providers.ErrUnauthorized},
		"a handle alone":       {"64aa0000000000000000000a", `{"merchant":{"handle":"x"}}`, providers.ErrUnauthorized},
		"by the staff":         {"64aa0000000000000000000a", `{"staff":{"merchant_ids":["1","64aa0000000000000000000a"]}}`, nil},
		"another by the staff": {"64aa0000000000000000000a", `{"staff":{"merchant_ids":["1"]}}`, providers.ErrUnauthorized},
		"handle, staff only":   {"example-shop", `{"staff":{"merchant_ids":["1"]}}`, providers.ErrInvalid},
		"nothing to compare":   {"example-shop", `{"user":{"_id":"1"}}`, providers.ErrInvalid},
		"not JSON":             {"example-shop", `<html>`, providers.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			connection := providers.Connection{Provider: providers.SHOPLINE, Kind: providers.Static, BaseURL: base, Account: c.account}
			o := &providers.Options{HTTP: answering(200, c.answer)}
			err := shopline.NewAuthority(o).Probe(ctx, connection, tokenOf(connection, providers.Grant{Access: providers.NewSecret("t")}))
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Errorf("%v, want %v", err, c.want)
			}
			var e *providers.Error
			if err != nil && (!errors.As(err, &e) || e.Op != "token.info" || e.Detail == "" || e.Status != 200) {
				t.Errorf("%#v", err)
			}
		})
	}
}

// The User-Agent is the handle, wherever it is configured.
func TestHandle(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		account, quirks, agent, want string
	}{
		"the quirk first":        {"example-shop", `{"handle":"group"}`, "mine", "group"},
		"then the account":       {"example-shop", ``, "mine", "example-shop"},
		"but no merchant id":     {"64aa0000000000000000000a", `{}`, "mine", "mine"},
		"nothing":                {"", ``, "", "hikyaku"},
		"the quirk with no user": {"64aa0000000000000000000a", `{"handle":"group"}`, "", "group"},
	} {
		t.Run(name, func(t *testing.T) {
			var agents []string
			transport := agent{answering(200, `{"access_token":"a"}`).Transport, &agents}
			o := &providers.Options{HTTP: &http.Client{Transport: transport}, UserAgent: c.agent}
			connection := providers.Connection{Kind: providers.OneTimePair, BaseURL: base, TokenURL: base, Account: c.account, Quirks: []byte(c.quirks)}
			authority := shopline.NewAuthority(o)
			if _, err := authority.Obtain(ctx, connection, providers.Secret{}, providers.NewSecret("r"), false); err != nil {
				t.Errorf("%v", err)
			}
			connection.Account = ""
			token := tokenOf(connection, providers.Grant{})
			token.Account = c.account
			if err := authority.Probe(ctx, connection, token); err != nil {
				t.Errorf("%v", err)
			}
			if fmt.Sprint(agents) != fmt.Sprint([]string{c.want, c.want}) {
				t.Errorf("agents %q, want %q", agents, c.want)
			}
		})
	}
}

// Quirks that mean nothing are refused by name.
func TestQuirks(t *testing.T) {
	t.Parallel()
	shop, _ := open(2)
	for quirks, want := range map[string]string{
		`{"page_size":10}`:      `unknown field "page_size"`,
		`{"token_body":"xml"}`:  "token_body must be json or form",
		`{"per_page":1000}`:     "per_page must be 1 to 999",
		`{"per_page":-1}`:       "per_page must be 1 to 999",
		`[]`:                    "quirks of shopline",
		`{"handle":"a\nb"}`:     "handle must be printable",
		`{"per_page":999}`:      "",
		`{"token_body":"json"}`: "",
	} {
		token := shop.Token(base)
		token.Quirks = []byte(quirks)
		_, err := shopline.New(providers.Fixed(token), unhurried(shop)).ReadCustomers(ctx, shopline.CustomersQuery{})
		if want == "" && err != nil || want != "" && (!errors.Is(err, providers.ErrInvalid) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", quirks, err, want)
		}
	}
	token := shop.Token(base)
	token.Quirks = []byte(`{"per_page":1}`)
	body, err := shopline.New(providers.Fixed(token), unhurried(shop)).ReadOrders(ctx, shopline.OrdersQuery{})
	if err != nil || len(body.Records) != 1 {
		t.Errorf("per_page of the quirks: %+v, %v", body, err)
	}
}
