package supersaas_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/supersaas"
)

func TestAuthentication(t *testing.T) {
	t.Parallel()
	for _, auth := range []string{"", "basic", "query", "bearer", "checksum"} {
		s, c := account(3, `{"auth":"`+auth+`"}`)
		all := must(collect(c.Users(ctx, supersaas.UsersQuery{})))
		first := all[0]
		for call, err := range map[string]error{
			"ping":   c.Ping(ctx),
			"get":    second(c.GetUser(ctx, supersaas.ID(first.ID).As(first.Name), false)),
			"name":   second(c.GetUser(ctx, supersaas.Name(first.Name), false)),
			"update": second(c.UpdateUser(ctx, supersaas.ID(first.ID).As(first.Name), supersaas.Fields{"full_name": "x"}, supersaas.WriteOptions{})),
			"create": second(c.CreateUser(ctx, "", supersaas.Fields{"name": "new"}, supersaas.WriteOptions{})),
			"fk":     second(c.CreateUser(ctx, "77", supersaas.Fields{"name": "new77"}, supersaas.WriteOptions{})),
			"delete": c.DeleteUser(ctx, supersaas.Name(all[1].Name), supersaas.WriteOptions{}),
		} {
			if err != nil {
				t.Errorf("%s: %s: %v", auth, call, err)
			}
		}
		if found := must(collect(c.Users(ctx, supersaas.UsersQuery{Name: first.Name}))); len(found) != 1 || found[0].ID != first.ID {
			t.Errorf("%s: found %v", auth, found)
		}
		s.RollKey()
		_, err := c.GetUser(ctx, supersaas.Name(first.Name), false)
		wantKind(t, err, providers.ErrUnauthorized, 401)
		wantKind(t, c.Ping(ctx), providers.ErrUnauthorized, 401)
	}
}

func second[T any](_ T, err error) error { return err }

func TestWhereTheCredentialStands(t *testing.T) {
	t.Parallel()
	sum := supersaas.Checksum("mihon salon", providers.NewSecret(keyCanary), "hanako").Reveal()
	for quirks, want := range map[string]struct{ query, header string }{
		``:                    {"", "Basic bWlob24gc2Fsb246U1NLRVktY2FuYXJ5LTc3YWE="},
		`{}`:                  {"", "Basic bWlob24gc2Fsb246U1NLRVktY2FuYXJ5LTc3YWE="},
		`{"auth":"query"}`:    {"account=mihon+salon&api_key=" + keyCanary, ""},
		`{"auth":"bearer"}`:   {"account=mihon+salon", "Bearer " + keyCanary},
		`{"auth":"checksum"}`: {"checksum=" + sum, ""},
	} {
		a := &answering{body: `{"id":1}`}
		must(a.client(quirks).GetUser(ctx, supersaas.ID(1).As("hanako"), false))
		if r := a.sent[0]; r.URL.RawQuery != want.query || r.Header.Get("Authorization") != want.header {
			t.Errorf("%s: query %q, header %q", quirks, r.URL.RawQuery, r.Header.Get("Authorization"))
		}
	}
	a := &answering{body: `[]`}
	must(a.client(`{"auth":"checksum"}`).ReadUsers(ctx, supersaas.UsersQuery{Name: "hanako"}))
	if q := a.sent[0].URL.RawQuery; q != "checksum="+sum {
		t.Errorf("the checksum does not stand for the name: %s", q)
	}
	must(a.client(`{"auth":"checksum"}`).ReadUsers(ctx, supersaas.UsersQuery{}))
	if r := a.sent[1]; r.URL.RawQuery != "" || !strings.HasPrefix(r.Header.Get("Authorization"), "Basic ") {
		t.Error("a call about nobody is not sent with Basic")
	}
}

func TestChecksumHoldsForUserCallsOnly(t *testing.T) {
	t.Parallel()
	s, _ := account(3, "")
	token := s.Token(base)
	name := must(collect(supersaas.New(providers.Fixed(token), unpaced(s.Client())).Users(ctx, supersaas.UsersQuery{})))[1].Name
	sum := "checksum=" + supersaas.Checksum(token.Account, token.Credential, name).Reveal()
	for target, want := range map[string]int{
		"/api/users.json?" + sum: 200, "/api/users.json?checksum=0": 401, "/api/users/" + escaped(name) + ".json?" + sum: 200,
		"/api/users/20450004.json?checksum=0": 401, "/api/schedules.json?" + sum: 403, "/api/hooks?" + sum: 403, "/api/ping?" + sum: 403,
		"/api/users.json": 401, "/api/users.json?account=x&api_key=" + token.Credential.Reveal(): 401,
		"/api/users.json?account=mihon+salon&api_key=" + token.Credential.Reveal(): 200,
	} {
		answer, body := raw(t, s, "GET "+target+" HTTP/1.1\r\nHost: h\r\n\r\n")
		if answer.StatusCode != want {
			t.Errorf("%s: %d %s", target, answer.StatusCode, body)
		}
		if strings.HasPrefix(target, "/api/users.json?checksum=") && want == 200 && (strings.Count(body, `"id"`) != 1 || !strings.Contains(body, name)) {
			t.Errorf("a checksum alone finds %s", body)
		}
	}
	other := must(collect(supersaas.New(providers.Fixed(token), unpaced(s.Client())).Users(ctx, supersaas.UsersQuery{})))[0].Name
	answer, _ := raw(t, s, "GET /api/users/"+escaped(other)+".json?"+sum+" HTTP/1.1\r\nHost: h\r\n\r\n")
	if answer.StatusCode != 401 {
		t.Errorf("one user's checksum opens another: %d", answer.StatusCode)
	}
}

func TestRefusedBasic(t *testing.T) {
	t.Parallel()
	s, c := account(3, "")
	s.Knobs.RefuseBasic = true
	_, err := c.ReadUsers(ctx, supersaas.UsersQuery{})
	wantKind(t, err, providers.ErrForbidden, 403)
	token := s.Token(base)
	token.Quirks = []byte(`{"auth":"query"}`)
	must(supersaas.New(providers.Fixed(token), unpaced(s.Client())).ReadUsers(ctx, supersaas.UsersQuery{}))
}

func TestQuirksRefused(t *testing.T) {
	t.Parallel()
	for quirks, says := range map[string]string{
		`{"auht":"query"}`: "auht", `{"auth":"digest"}`: `auth must be one of ["basic"`, `{"body":"xml"}`: `body must be one of ["form"`,
		`[]`: "quirks", `{"auth":1}`: "quirks", `{} {}`: "quirks",
	} {
		a := &answering{}
		_, err := a.client(quirks).ReadUsers(ctx, supersaas.UsersQuery{})
		if err == nil || !strings.Contains(err.Error(), says) || len(a.sent) != 0 {
			t.Errorf("%s: %v", quirks, err)
		}
	}
}

func TestLoginURL(t *testing.T) {
	t.Parallel()
	s, c := account(-1, "")
	s.AddUser(map[string]any{"name": "花子 1"})
	open := func(after, user string) (*http.Response, *url.URL) {
		link := must(c.LoginURL(ctx, after, user))
		if link.String() != "[redacted]" {
			t.Error("the link prints itself")
		}
		u := must(url.Parse(link.Reveal()))
		answer, _ := raw(t, s, "GET "+u.RequestURI()+" HTTP/1.1\r\nHost: h\r\n\r\n")
		return answer, u
	}
	answer, u := open("個室 エステ", "花子 1")
	if answer.StatusCode != 302 || answer.Header.Get("Location") != "/schedule/mihon_salon/"+url.PathEscape("個室 エステ") {
		t.Errorf("%d to %s", answer.StatusCode, answer.Header.Get("Location"))
	}
	if u.Scheme != "https" || u.Host != "sandbox.test" || u.Path != "/api/login" || u.Query().Get("account") != s.Account {
		t.Errorf("link to %s", u.Path)
	}
	if _, u := open("", "花子 1"); u.Query().Has("after") {
		t.Error("an empty after is sent")
	}
	if answer, _ := open("", "nobody"); answer.StatusCode != 401 {
		t.Errorf("a stranger: %d", answer.StatusCode)
	}
	s.Knobs.RefuseLogin = true
	if answer, _ := open("", "花子 1"); answer.StatusCode != 401 {
		t.Errorf("refusing mode: %d", answer.StatusCode)
	}
	if _, err := c.LoginURL(ctx, "", ""); err == nil {
		t.Error("a link for nobody")
	}
	_, body := raw(t, s, "POST /api/login HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
	if !strings.Contains(body, `"status":"401"`) {
		t.Errorf("POST without anything: %s", body)
	}
}

func TestLoginURLDefaultsToHTTPS(t *testing.T) {
	t.Parallel()
	token := providers.Token{Account: "a", Credential: providers.NewSecret("k")}
	a := &answering{body: "OK"}
	c := supersaas.New(providers.Fixed(token), unpaced(&http.Client{Transport: a}))
	if link := must(c.LoginURL(ctx, "", "u")).Reveal(); !strings.HasPrefix(link, "https://www.supersaas.com/api/login?account=a&checksum=") {
		t.Error(link)
	}
	if err := c.Ping(ctx); err != nil || a.sent[0].URL.String() != "https://www.supersaas.com/api/ping" {
		t.Errorf("%s, %v", a.sent[0].URL, err)
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	s, _ := account(3, "")
	authority := supersaas.NewAuthority(unpaced(s.Client()))
	probe := func() error { return authority.Probe(ctx, s.Connection(base), s.Token(base)) }
	if err := probe(); err != nil || s.Count("") != 1 {
		t.Errorf("%v after %d calls", err, s.Count(""))
	}
	s.Knobs.RefusePing = true
	if err := probe(); err != nil || s.Count("GET /api/users.json") != 1 {
		t.Errorf("without ping: %v", err)
	}
	old := s.Token(base)
	s.RollKey()
	wantKind(t, authority.Probe(ctx, s.Connection(base), old), providers.ErrUnauthorized, 401)
	s.Inject(sandbox.Fault{Kind: sandbox.TooMany, RetryAfter: "7"})
	before := s.Count("")
	if err := probe(); providers.RetryAfter(err).Seconds() != 7 || s.Count("") != before+1 {
		t.Errorf("rate limited: %v", err)
	}
	for body, fine := range map[string]bool{"<html>log in</html>": false, "pong": false, "[]": true} {
		a := &answering{body: body, status: 200}
		token := s.Token(base)
		err := supersaas.NewAuthority(unpaced(&http.Client{Transport: pingless{a}})).Probe(ctx, providers.Connection{}, token)
		if (err == nil) != fine {
			t.Errorf("%q: %v", body, err)
		}
	}
}

// pingless is an account without ping.
type pingless struct{ users http.RoundTripper }

func (p pingless) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/ping") {
		return (&answering{status: 404}).RoundTrip(r)
	}
	return p.users.RoundTrip(r)
}

func TestObtain(t *testing.T) {
	t.Parallel()
	var authority providers.Authority = supersaas.NewAuthority(nil)
	_, err := authority.Obtain(ctx, providers.Connection{}, providers.Secret{}, providers.Secret{}, false)
	wantKind(t, err, providers.ErrInvalid, 0)
	if err := authority.Probe(ctx, providers.Connection{}, providers.Token{Quirks: []byte("{"), BaseURL: base}); err == nil {
		t.Error("unreadable quirks pass the probe")
	}
}
