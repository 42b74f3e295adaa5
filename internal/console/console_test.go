package console_test

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/console"
)

// A browser is a client that has entered, or not.
type browser struct {
	t     *testing.T
	base  string
	http  *http.Client
	token string
}

// open starts a console whose commands answer what printed says, by their first words.
func open(t *testing.T, printed map[string]string, change ...func(*console.Options)) (*console.Server, *browser) {
	t.Helper()
	o := console.Options{Stack: "shop", Run: func(_ context.Context, _ []byte, args ...string) (json.RawMessage, error) {
		line := strings.Join(args, " ")
		best := ""
		for begin := range printed {
			if strings.HasPrefix(line, begin) && len(begin) > len(best) {
				best = begin
			}
		}
		if best != "" {
			return json.RawMessage(printed[best]), nil
		}
		return json.RawMessage(`{"error":{"kind":"usage","message":"no such command: ` + line + `"}}`), nil
	}}
	for _, c := range change {
		c(&o)
	}
	s, err := console.Start(t.Context(), "127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	jar, _ := cookiejar.New(nil)
	return s, &browser{t: t, base: s.URL, http: &http.Client{Jar: jar}}
}

// healthy is what the commands of the overview print of a stack that is well.
var healthy = map[string]string{
	"doctor":  `{"findings":[]}`,
	"metrics": `{"rows":[{"at":"2026-11-29T00:00:00Z","webhooks":12,"runs":7,"lag":2.5,"waiting":3,"dead":0}]}`,
	"tokens":  `{"tokens":[{"provider":"yappli","kind":"client_credentials","state":"valid","obtained_at":"2026-11-29T00:00:00Z","expires_at":"2026-11-30T00:00:00Z"}]}`,
}

func (b *browser) enter(s *console.Server) {
	b.t.Helper()
	link, err := s.Link()
	if err != nil {
		b.t.Fatal(err)
	}
	if status, _ := b.get(strings.TrimPrefix(link, s.URL)); status != http.StatusOK {
		b.t.Fatalf("the link answered %d", status)
	}
	_, page := b.get("/")
	if m := regexp.MustCompile(`name="csrf-token" content="([0-9a-f]+)"`).FindStringSubmatch(page); m != nil {
		b.token = m[1]
	}
}

func (b *browser) get(path string) (int, string) {
	b.t.Helper()
	status, _, body := b.do(http.MethodGet, path, "", nil)
	return status, body
}

// do makes a request as the console's own pages do, but for the headers that are given.
func (b *browser) do(method, path, body string, headers map[string]string) (int, http.Header, string) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if method != http.MethodGet {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", b.base)
		r.Header.Set("X-CSRF-Token", b.token)
	}
	for name, value := range headers {
		if r.Header.Set(name, value); value == "" {
			r.Header.Del(name)
		}
		if name == "Host" {
			r.Host = value
		}
	}
	answer, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(raw)
}

func TestConsole_ShowsHowEachSystemIs(t *testing.T) {
	printed := map[string]string{
		"tokens": healthy["tokens"],
		"doctor": `{"findings":[{"id":"token.expired","severity":"Critical","subject":"yappli","message":"The token of yappli has <expired>.","next":"hikyaku tokens refresh yappli"}]}`,
	}
	s, b := open(t, printed)
	b.enter(s)
	status, page := b.get("/")
	if status != http.StatusOK {
		t.Fatalf("answered %d: %s", status, page)
	}
	for _, want := range []string{"The token of yappli has &lt;expired&gt;.", "hikyaku tokens refresh yappli", "Yappli CRM"} {
		if !strings.Contains(page, want) {
			t.Errorf("the overview lacks %q", want)
		}
	}
	if strings.Contains(page, "<script>") || strings.Contains(page, "style=") || regexp.MustCompile(` on[a-z]+=`).MatchString(page) {
		t.Error("the page has a script or a style of its own, which its policy forbids")
	}
}

func TestPalette_FindsPlacesByTheirNames(t *testing.T) {
	dev, _ := watched()
	s, b := open(t, healthy, dev.on)
	b.enter(s)
	for words, want := range map[string][]string{
		"yappli": {`"/tokens/yappli"`, `"/sandboxes/yappli/users"`, `"/exports#dataset-yappli-users"`}, "bookings": {`"/exports#dataset-supersaas-appointments"`}, "chaos": {`"/chaos"`},
	} {
		_, _, found := b.do(http.MethodPost, "/palette", "words="+words, nil)
		for _, address := range want {
			if !strings.Contains(found, address) {
				t.Errorf("%s finds %s", words, found)
			}
		}
	}
	if _, _, found := b.do(http.MethodPost, "/palette", "words=nosuchplace", nil); strings.Contains(found, "href") {
		t.Errorf("nonsense finds %s", found)
	}
}

func TestConsole_OpensToNobodyWithoutALink(t *testing.T) {
	s, b := open(t, healthy)
	for _, path := range []string{"/", "/licenses", "/stream/", "/routes.json"} {
		if status, body := b.get(path); status != http.StatusUnauthorized || strings.Contains(body, "Yappli") {
			t.Errorf("%s without a link answered %d", path, status)
		}
	}
	link, err := s.Link()
	if err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(link, s.URL)
	if status, _ := b.get("/enter/stale"); status != http.StatusUnauthorized {
		t.Errorf("an invented link answered %d", status)
	}
	status, headers, _ := b.do(http.MethodGet, path, "", nil)
	cookie := headers.Get("Set-Cookie")
	if status != http.StatusOK || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") {
		t.Errorf("the link answered %d, cookie %s", status, regexp.MustCompile("=[^;]*").ReplaceAllString(cookie, ""))
	}
	if status, _ := b.get("/"); status != http.StatusOK {
		t.Errorf("after the link / answered %d", status)
	}
	stolen := &browser{t: t, base: s.URL, http: &http.Client{}}
	if status, _ := stolen.get(path); status != http.StatusUnauthorized {
		t.Errorf("a link that was used answered %d", status)
	}
}

func TestConsole_RefusesRequestsOfOtherPages(t *testing.T) {
	s, b := open(t, healthy)
	b.enter(s)
	const form = "language=ja"
	if status, _, _ := b.do(http.MethodPost, "/choose", form, nil); status != http.StatusNoContent {
		t.Fatalf("the page's own request answered %d", status)
	}
	for name, headers := range map[string]map[string]string{
		"another origin":      {"Origin": "http://evil.test"},
		"no origin":           {"Origin": ""},
		"null origin":         {"Origin": "null"},
		"another port":        {"Origin": "http://127.0.0.1:1"},
		"rebound name":        {"Host": "evil.test", "Origin": "http://evil.test"},
		"no token":            {"X-CSRF-Token": ""},
		"another's token":     {"X-CSRF-Token": strings.Repeat("0", 64)},
		"cross-site":          {"Sec-Fetch-Site": "cross-site"},
		"same-site, not same": {"Sec-Fetch-Site": "same-site"},
	} {
		t.Run(name, func(t *testing.T) {
			if status, _, body := b.do(http.MethodPost, "/choose", form, headers); status != http.StatusForbidden {
				t.Errorf("answered %d: %s", status, body)
			}
		})
	}
	for name, headers := range map[string]map[string]string{
		"rebound name":   {"Host": "evil.test"},
		"another origin": {"Origin": "http://evil.test"},
		"null origin":    {"Origin": "null"},
		"image":          {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
	} {
		t.Run("reading, "+name, func(t *testing.T) {
			if status, _, body := b.do(http.MethodGet, "/", "", headers); status != http.StatusForbidden {
				t.Errorf("answered %d: %s", status, body)
			}
		})
	}
}

func TestConsole_SaysWhatABrowserMayDo(t *testing.T) {
	s, b := open(t, healthy)
	b.enter(s)
	_, headers, _ := b.do(http.MethodGet, "/", "", nil)
	policy := headers.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self';", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy lacks %q: %s", want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("the policy allows something unsafe: %s", policy)
	}
	if headers.Get("Cache-Control") != "no-store" || headers.Get("X-Frame-Options") != "DENY" {
		t.Errorf("a page may be kept or framed: %v", headers)
	}
}

func TestConsole_ListensOnTheLoopbackOnly(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0", "localhost.evil.test:0"} {
		if _, err := console.Start(t.Context(), addr, console.Options{}); err == nil {
			t.Errorf("a console started at %s", addr)
		}
	}
}

func TestConsole_KnowsABrowserAfterARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sessions")
	first, end := context.WithCancel(t.Context())
	run := func(context.Context, []byte, ...string) (json.RawMessage, error) { return json.RawMessage(`{}`), nil }
	s, err := console.Start(first, "127.0.0.1:0", console.Options{Stack: "shop", Sessions: file, Run: run})
	if err != nil {
		t.Fatal(err)
	}
	jar, _ := cookiejar.New(nil)
	b := &browser{t: t, base: s.URL, http: &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}}
	b.enter(s)
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range jar.Cookies(address) {
		if strings.Contains(string(raw), c.Value) {
			t.Error("the file of those who entered would let somebody enter")
		}
	}
	restart := func(sessions string) int {
		ctx, end := context.WithCancel(t.Context())
		defer end()
		var again *console.Server
		for range 100 { // until the address is free
			if again, err = console.Start(ctx, address.Host, console.Options{Stack: "shop", Sessions: sessions, Run: run}); err == nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer again.Wait()
		defer end()
		status, _ := b.get("/licenses")
		return status
	}
	end()
	s.Wait()
	if status := restart(file); status != http.StatusOK {
		t.Errorf("after a restart the browser is answered %d", status)
	}
	if status := restart(filepath.Join(t.TempDir(), "another")); status != http.StatusUnauthorized {
		t.Errorf("a console that knows nobody answers %d", status)
	}
}

// A tab that finds no connection free for a stream asks once, again and again, and must not hold
// one meanwhile.
func TestConsole_AnswersAtOnceWhoAsksOnce(t *testing.T) {
	s, b := open(t, healthy)
	b.enter(s)
	id := ""
	for range 2 {
		begun := time.Now()
		_, _, body := b.do(http.MethodGet, "/stream/", "", map[string]string{"Hikyaku-Once": "true", "Last-Event-Id": id})
		if took := time.Since(begun); took > time.Second {
			t.Errorf("answered after %v", took)
		}
		m := regexp.MustCompile(`id: (\w+)`).FindStringSubmatch(body)
		switch {
		case id == "" && m == nil:
			t.Fatalf("the first answer is no update: %q", body)
		case id != "" && m != nil:
			t.Errorf("nothing is new, yet the answer is %q", body)
		case m != nil:
			id = m[1]
		}
	}
}

func TestConsole_ShowsLicenses(t *testing.T) {
	s, b := open(t, healthy)
	b.enter(s)
	if status, page := b.get("/licenses"); status != http.StatusOK || !strings.Contains(page, "htmx.org") {
		t.Errorf("answered %d: %.200s", status, page)
	}
}

func TestOverview_ShowsWhatWasMeasuredOfADeployedStack(t *testing.T) {
	s, b := open(t, healthy)
	b.enter(s)
	_, page := b.get("/")
	for _, want := range []string{"<td>12</td><td>7</td><td>3</td>", "<td>2.50</td>", "hikyaku metrics --last 3h", "hikyaku tail --since 15m"} {
		if !strings.Contains(page, want) {
			t.Errorf("the overview lacks %q", want)
		}
	}
	printed := maps.Clone(healthy)
	printed["metrics"] = `{"error":{"kind":"failed","message":"your role may not read metrics"}}`
	s, b = open(t, printed)
	b.enter(s)
	if status, page := b.get("/"); status != http.StatusOK || !strings.Contains(page, "your role may not read metrics") || !strings.Contains(page, "Yappli CRM") {
		t.Errorf("without metrics the overview answers %d and does not say why", status)
	}
}
