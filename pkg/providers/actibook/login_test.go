package actibook_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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

// siteUsers returns the sandbox's users, each on a line of its own.
func siteUsers(t *testing.T, s *actibooktest.Server) []string {
	t.Helper()
	var dump bytes.Buffer
	if err := s.Dump(&dump); err != nil {
		t.Fatal(err)
	}
	var all struct {
		SiteUsers []json.RawMessage `json:"site_users"`
	}
	if err := json.Unmarshal(dump.Bytes(), &all); err != nil {
		t.Fatal(err)
	}
	lines := []string{}
	for _, u := range all.SiteUsers {
		var line bytes.Buffer
		if err := json.Compact(&line, u); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line.String())
	}
	return lines
}

func lastUser(t *testing.T, s *actibooktest.Server) string {
	t.Helper()
	all := siteUsers(t, s)
	return all[len(all)-1]
}

func TestLogin(t *testing.T) {
	t.Parallel()
	for name, configure := range map[string]func(*actibooktest.Server){
		"top level":    nil,
		"in an object": func(s *actibooktest.Server) { s.Wrapper = "data" },
		"own site":     func(s *actibooktest.Server) { s.Site = "https://books.example:8443" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, client := newSite(configure)
			parameters := map[string]any{"keyword": "members", "user_id": 1001, "name": "𠮷田 <花子>", "tags": []string{"a"}}
			first, err := client.Login(t.Context(), parameters)
			if err != nil {
				t.Fatal(err)
			}
			second, err := client.Login(t.Context(), parameters)
			if err != nil || first == second {
				t.Fatalf("two logins share a URL, or %v", err)
			}
			if got, want := len(siteUsers(t, s)), 6; got != want { // five invented, one made once
				t.Errorf("%d site users; want %d", got, want)
			}
			if got, want := lastUser(t, s), `{"id":6,"group":"会員","parameters":{"keyword":"members","name":"𠮷田 <花子>","tags":["a"],"user_id":1001}`; !strings.HasPrefix(got, want) {
				t.Errorf("site user %s; want %s", got, want)
			}
			answer := visit(t, s, first.Reveal())
			if answer.StatusCode != http.StatusFound || answer.Header.Get("Location") != "/" || answer.Cookies()[0].Value != "6" {
				t.Errorf("visit: status %d, to %s", answer.StatusCode, answer.Header.Get("Location"))
			}
			if answer := visit(t, s, first.Reveal()); answer.StatusCode != http.StatusForbidden {
				t.Errorf("second visit: status %d; want 403", answer.StatusCode)
			}
		})
	}
}

func TestLoginAndDeepLink(t *testing.T) {
	t.Parallel()
	s, client := newSite(func(s *actibooktest.Server) { s.Reuse = true })
	first, err := client.Login(t.Context(), map[string]any{"keyword": "staff"})
	if err != nil {
		t.Fatal(err)
	}
	content := base + "/content/detail?param=eyJjb250ZW50TnVtIjoyNTk1OTd9&detailFlg=0&pNo=1"
	link, err := actibook.DeepLink(first, content)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if answer := visit(t, s, link.Reveal()); answer.StatusCode != http.StatusFound || answer.Header.Get("Location") != content {
			t.Errorf("status %d, to %s", answer.StatusCode, answer.Header.Get("Location"))
		}
	}
	for _, bad := range []string{"target_uri=" + actibook.TargetURI("http://thief.example/"), "target_uri=%00", "target_uri=" + actibook.TargetURI("http://%zz")} {
		if answer := visit(t, s, first.Reveal()+"?"+bad); answer.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: status %d; want 400", bad, answer.StatusCode)
		}
	}
	if answer := visit(t, s, base+"/sso/login/unknown"); answer.StatusCode != http.StatusForbidden {
		t.Errorf("an unknown URL: status %d; want 403", answer.StatusCode)
	}
}

func TestLoginRefused(t *testing.T) {
	t.Parallel()
	s, client := newSite(nil)
	for name, parameters := range map[string]map[string]any{
		"no keyword": {"user_id": "1"}, "unknown keyword": {"keyword": "x"}, "keyword that is no text": {"keyword": 1}, "nothing": nil,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := client.Login(t.Context(), parameters); !errors.Is(err, providers.ErrInvalid) {
				t.Errorf("%v; want ErrInvalid", err)
			}
		})
	}
	if n := len(siteUsers(t, s)); n != 5 {
		t.Errorf("%d site users; a refused login makes none", n)
	}
	s.Tokens.Revoke("")
	if _, err := client.Login(t.Context(), map[string]any{"keyword": "members"}); !errors.Is(err, providers.ErrUnauthorized) {
		t.Errorf("revoked token: %v; want ErrUnauthorized", err)
	}
}

func TestLoginParameters(t *testing.T) {
	t.Parallel()
	transport := &canned.Transport{Body: "{}"}
	client := clientOf(transport, `{"parameters":{"keyword":"k","lang":"ja","n":{"deep":[1]}}}`)
	_, _ = client.Login(t.Context(), map[string]any{"lang": "zh", "user_id": "1"})
	if want := `{"parameters":{"keyword":"k","lang":"zh","n":{"deep":[1]},"user_id":"1"}}`; string(transport.Seen) != want {
		t.Errorf("sent %s; want %s", transport.Seen, want)
	}
	transport.Sent = nil
	for name, c := range map[string]struct {
		client     *actibook.Client
		parameters map[string]any
	}{
		"not JSON":     {clientOf(transport, ""), map[string]any{"a": make(chan int)}},
		"no login_url": {actibook.New(providers.Fixed(providers.Token{}), unpaced(&http.Client{Transport: transport})), nil},
		"bad quirks":   {clientOf(transport, `{"hosts":[]}`), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := c.client.Login(t.Context(), c.parameters); !errors.Is(err, providers.ErrInvalid) || transport.Sent != nil {
				t.Errorf("%v, sent %t", err, transport.Sent != nil)
			}
		})
	}
}

// Only a URL that may carry a log-in is returned.
func TestRedirectURLs(t *testing.T) {
	t.Parallel()
	const good = "https://site001.actibookone.com/sso/login/x"
	for body, quirks := range map[string]string{
		`{"redirect_url":"` + good + `"}`:                                                  "",
		`{"data":{"redirect_url":"` + good + `"}}`:                                         "",
		`{"a":1,"data":{"redirect_url":"` + good + `"},"b":{"redirect_url":null},"c":[]}`:  "",
		`{"redirect_url":"` + good + `","data":{"redirect_url":"https://other.example/"}}`: "",
		`{"redirect_url":"https://SITE001.ActiBookOne.COM/x"}`:                             "",
		`{"redirect_url":"https://books.example/x"}`:                                       `{"redirect_hosts":["Books.Example"]}`,
		`{"redirect_url":"https://a.b.books.example/x"}`:                                   `{"redirect_hosts":["*.books.example"]}`,
		`{"redirect_url":"https://books.example:8443/x"}`:                                  `{"redirect_hosts":["https://books.example:8443"]}`,
		`{"redirect_url":"http://[::1]:8080/x"}`:                                           `{"redirect_hosts":["x.example","http://[::1]:8080"]}`,
		`{"redirect_url":"http://127.0.0.1:8080/x"}`:                                       `{"redirect_hosts":["http://127.0.0.1:8080"]}`,
	} {
		redirect, err := clientOf(&canned.Transport{Body: body}, quirks).Login(t.Context(), nil)
		if err != nil || redirect.Empty() || !strings.Contains(body, `"`+redirect.Reveal()+`"`) {
			t.Errorf("%s with %s: %v", body, quirks, err)
		}
	}
	for body, quirks := range map[string]string{
		`{}`:                                "",
		`{"redirect_url":null}`:             "",
		`{"redirect_url":""}`:               "",
		`{"redirect_url":["` + good + `"]}`: "",
		`{"a":{"b":{"redirect_url":"` + good + `"}}}`:                               "",
		`{"a":{"redirect_url":"` + good + `"},"b":{"redirect_url":"` + good + `"}}`: "",
		`[{"redirect_url":"` + good + `"}]`:                                         "",
		`<html>`:                                                                    "",
		"{\"redirect_url\":\"" + good + "\xff\"}":                                   "",
		`{"redirect_url":"http://site001.actibookone.com/x"}`:                       "",
		`{"redirect_url":"https://site001.actibookone.com:8443/x"}`:                 "",
		`{"redirect_url":"https://u@site001.actibookone.com/x"}`:                    "",
		`{"redirect_url":"https://actibookone.com/x"}`:                              "",
		`{"redirect_url":"https://evilactibookone.com/x"}`:                          "",
		`{"redirect_url":"https://site.actibookone.com.evil.example/x"}`:            "",
		`{"redirect_url":"//site001.actibookone.com/x"}`:                            "",
		`{"redirect_url":"/x"}`:                                                     "",
		`{"redirect_url":"https://%zz/"}`:                                           "",
		`{"redirect_url":"javascript:alert(1)"}`:                                    "",
		`{"redirect_url":"http://books.example/x"}`:                                 `{"redirect_hosts":["books.example"]}`,
		`{"redirect_url":"https://a.books.example/x"}`:                              `{"redirect_hosts":["books.example"]}`,
		`{"redirect_url":"https://books.example/x"}`:                                `{"redirect_hosts":["*.books.example"]}`,
		`{"redirect_url":"https://notbooks.example/x"}`:                             `{"redirect_hosts":["*.books.example"]}`,
		`{"redirect_url":"https://127.0.0.1:8080/x"}`:                               `{"redirect_hosts":["http://127.0.0.1:8080"]}`,
		`{"redirect_url":"http://127.0.0.1:8081/x"}`:                                `{"redirect_hosts":["http://127.0.0.1:8080"]}`,
	} {
		redirect, err := clientOf(&canned.Transport{Body: body}, quirks).Login(t.Context(), nil)
		if !errors.Is(err, providers.ErrInvalid) || !redirect.Empty() {
			t.Errorf("%s with %s: returned %t, %v; want ErrInvalid", body, quirks, !redirect.Empty(), err)
		}
		if err != nil && (strings.Contains(err.Error(), "example") || strings.Contains(err.Error(), "actibookone.com")) {
			t.Errorf("the error shows the answer: %v", err)
		}
	}
}

// A host that other programs may read otherwise is not trusted, wherever it
// ends.
func TestRedirectURLs_OddHosts(t *testing.T) {
	t.Parallel()
	const quirks = `{"redirect_hosts":["*.books.example"]}`
	for _, name := range []string{
		"a_b", "evil.example,x", "evil.example;x", "evil.example!x", "evil.example$x", "a(b)", "a'b", "a*b", "a+b", "a=b", "a~b", `a\"b`, "a%20b", "a%25b", "a%2fb",
		"evil.example&x", "書籍", "ａ", "", "a..b", "-a", "a-", "a.-b", "-", strings.Repeat("a", 64), strings.Repeat("a.", 120) + "a",
	} {
		for _, parent := range []string{"actibookone.com", "books.example"} {
			body := `{"redirect_url":"https://` + name + "." + parent + `/x"}`
			redirect, err := clientOf(&canned.Transport{Body: body}, quirks).Login(t.Context(), nil)
			if !errors.Is(err, providers.ErrInvalid) || !redirect.Empty() {
				t.Errorf("%s: returned %t, %v; want ErrInvalid", body, !redirect.Empty(), err)
			}
		}
	}
	for _, name := range []string{"a", "0", "a-b", "a--b", "xn--p8j9a0d9c9a", "a.b-c.d1", strings.Repeat("a", 63)} {
		if _, err := clientOf(&canned.Transport{Body: `{"redirect_url":"https://` + name + `.actibookone.com/x"}`}, "").Login(t.Context(), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseQuirks(t *testing.T) {
	t.Parallel()
	if q, err := actibook.ParseQuirks(nil); err != nil || q.KeywordParameter != "keyword" || q.RedirectHosts != nil || q.Parameters != nil {
		t.Errorf("defaults %+v, %v", q, err)
	}
	if q, err := actibook.ParseQuirks([]byte(`{"keyword_parameter":"kw"}`)); err != nil || q.KeywordParameter != "kw" {
		t.Errorf("given %+v, %v", q, err)
	}
	for _, bad := range []string{"", "*", "*.", ".x", "x.", "a/b", "a:80", "u@a", "a b", `a\\b`, "a?b", "a#b", "**.x", "x.*", "ftp://a", "https://", "https://:80", "https://a/", "https://a/b", "https://a?b", "https://u@a", "://", "a_b", "*.a_b", "-a", "a..b", "書籍.example", "https://a_b", "https://a,b", "http://[fe80::1%25x]", "a%20b"} {
		if _, err := actibook.ParseQuirks(fmt.Appendf(nil, `{"redirect_hosts":["ok.example","%s"]}`, bad)); !errors.Is(err, providers.ErrInvalid) {
			t.Errorf("host %q: %v; want ErrInvalid", bad, err)
		}
	}
}

func TestDeepLink(t *testing.T) {
	t.Parallel()
	const page = "https://site001.actibookone.com/c?param=eQ=="
	target := "target_uri=" + actibook.TargetURI(page)
	for from, want := range map[string]string{
		"https://site001.actibookone.com/l":      "https://site001.actibookone.com/l?" + target,
		"https://site001.actibookone.com/l?":     "https://site001.actibookone.com/l?" + target,
		"https://site001.actibookone.com/l?a=1":  "https://site001.actibookone.com/l?a=1&" + target,
		"https://site001.actibookone.com/l?a=1&": "https://site001.actibookone.com/l?a=1&" + target,
		"https://site001.actibookone.com/l#f?":   "https://site001.actibookone.com/l?" + target + "#f?",
		"https://SITE001.actibookone.com:443/l":  "https://SITE001.actibookone.com:443/l?" + target,
		"https://site001.actibookone.com:8443/l": "", "http://site001.actibookone.com/l": "", "https://site002.actibookone.com/l": "",
		"https://actibookone.com/l": "", "https://u:p@site001.actibookone.com/l": "", "": "", "/l": "", "https://%zz": "",
	} {
		link, err := actibook.DeepLink(redirect(from), page)
		if link.Reveal() != want || (want == "") != errors.Is(err, providers.ErrInvalid) {
			t.Errorf("%s: %s, %v; want %s", from, link.Reveal(), err, want)
		}
	}
	for _, content := range []string{
		"", "/c", "//site001.actibookone.com/c", "https://site001.actibookone.com@thief.example/", `https://site001.actibookone.com\@thief.example/`,
		"https://u@site001.actibookone.com/", "javascript:alert(1)", "https://site001.actibookone.com.thief.example/", "http://site001.actibookone.com/",
	} {
		if link, err := actibook.DeepLink(redirect(siteRedirect), content); !errors.Is(err, providers.ErrInvalid) || !link.Empty() {
			t.Errorf("page %q: %v; want ErrInvalid", content, err)
		}
	}
	if link, err := actibook.DeepLink(redirect("http://127.0.0.1:80/l"), "http://127.0.0.1/c"); err != nil || link.Empty() {
		t.Errorf("the same port in two spellings: %v", err)
	}
}

// A URL that logs somebody in cannot be printed by accident.
func TestRedirectIsSecret(t *testing.T) {
	t.Parallel()
	r := redirect(siteRedirect)
	encoded, err := json.Marshal(map[string]any{"r": r})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(r), fmt.Sprintf("%#v %+v %s %q", r, r, r, r), string(encoded)} {
		if strings.Contains(text, "site001") || !strings.Contains(text, "[redacted]") {
			t.Errorf("printed %s", text)
		}
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		cut    error
		kind   error
	}{
		"401": {401, nil, providers.ErrUnauthorized}, "403": {403, nil, providers.ErrForbidden}, "404": {404, nil, providers.ErrNotFound},
		"422": {422, nil, providers.ErrInvalid}, "429": {429, nil, providers.ErrRateLimited}, "500": {500, nil, providers.ErrTemporary},
		"302": {302, nil, providers.ErrInvalid}, "200": {200, nil, providers.ErrInvalid}, "cut": {0, errors.New("canary"), providers.ErrTemporary},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := clientOf(&canned.Transport{Status: c.status, Body: "canary <html>", Err: c.cut}, "").Login(t.Context(), nil)
			var e *providers.Error
			if !errors.Is(err, c.kind) || !errors.As(err, &e) || e.Provider != "actibook" || e.Op != "login" || e.Status != c.status {
				t.Errorf("%v; want %v", err, c.kind)
			}
			for _, canary := range []string{"canary", secretToken, "api.test"} {
				if strings.Contains(err.Error(), canary) {
					t.Errorf("the error shows %q: %v", canary, err)
				}
			}
		})
	}
	s, _ := newSite(nil)
	o := unpaced(s.Client())
	o.MaxObject = 10
	if _, err := actibook.New(providers.Fixed(s.Token(base)), o).Login(t.Context(), map[string]any{"keyword": "members"}); !errors.Is(err, providers.ErrInvalid) {
		t.Errorf("oversized: %v; want ErrInvalid", err)
	}
}

// A login creates a site user, so it is not repeated when its outcome is
// unknown, but after a refusal it is.
func TestLoginRepeats(t *testing.T) {
	t.Parallel()
	for kind, c := range map[sandbox.FaultKind]struct {
		calls int
		want  error
		waits time.Duration
	}{
		sandbox.Lost: {1, providers.ErrTemporary, 0}, sandbox.Reset: {1, providers.ErrTemporary, 0},
		sandbox.Dropped: {1, providers.ErrTemporary, 0}, sandbox.ServerFail: {1, providers.ErrTemporary, 0},
		sandbox.BadGateway: {1, providers.ErrTemporary, 0}, sandbox.Garbage: {1, providers.ErrInvalid, 0},
		sandbox.Denied:  {1, providers.ErrUnauthorized, 0},
		sandbox.TooMany: {2, nil, 7 * time.Second}, sandbox.Slow: {1, nil, 3 * time.Second},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, _ := newSite(nil)
				client := actibook.New(providers.Fixed(s.Token(base)), &providers.Options{HTTP: s.Client()})
				slow := map[bool]time.Duration{true: c.waits}[kind == sandbox.Slow]
				for _, retryAfter := range []string{"7", time.Now().Add(27 * time.Second).UTC().Format(http.TimeFormat)} {
					calls, start := s.Count(""), time.Now()
					s.Inject(sandbox.Fault{Kind: kind, RetryAfter: retryAfter, Delay: slow})
					_, err := client.Login(t.Context(), map[string]any{"keyword": "members"})
					if !errors.Is(err, c.want) || s.Count("")-calls != c.calls || time.Since(start) != c.waits {
						t.Errorf("%d calls in %s, %v; want %d in %s, %v", s.Count("")-calls, time.Since(start), err, c.calls, c.waits, c.want)
					}
					time.Sleep(20*time.Second - time.Since(start))
				}
			})
		})
	}
}

// With the defaults the client keeps to the sandbox's limit by itself.
func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := actibooktest.New(sandbox.Options{})
		client := actibook.New(providers.Fixed(s.Token(base)), &providers.Options{HTTP: s.Client(), Attempts: 1})
		start := time.Now()
		for range 3 {
			if _, err := client.Login(t.Context(), map[string]any{"keyword": "members"}); err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("three logins took %s; want 2s", took)
		}
		if _, err := actibook.New(providers.Fixed(s.Token(base)), unpaced(s.Client())).Login(t.Context(), nil); !errors.Is(err, providers.ErrRateLimited) {
			t.Errorf("a fourth at once: %v; want ErrRateLimited", err)
		}
	})
}

func FuzzLoginAnswer(f *testing.F) {
	for _, seed := range []string{`{}`, `{"redirect_url":"https://site001.actibookone.com/x"}`, `{"d":{"redirect_url":"https://a.actibookone.com"}}`, `[]`, `null`, `{"redirect_url":1}`, "\xef\xbb\xbf{}", "\xff", `{"redirect_url":"https://@a.actibookone.com"}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		redirect, err := clientOf(&canned.Transport{Body: body}, "").Login(t.Context(), nil)
		if err == nil && (!strings.HasPrefix(strings.ToLower(redirect.Reveal()), "https://") || !strings.Contains(strings.ToLower(redirect.Reveal()), ".actibookone.com")) {
			t.Errorf("trusted %q", redirect.Reveal())
		}
		var e *providers.Error
		if err != nil && !errors.As(err, &e) {
			t.Errorf("an error outside the vocabulary: %v", err)
		}
	})
}
