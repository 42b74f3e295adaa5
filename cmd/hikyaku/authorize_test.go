package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/assisttencho/assisttenchotest"
	"hikyaku/pkg/providers/shopline/shoplinetest"
)

// A session is one run of 'hikyaku authorize' as a process.
type session struct {
	t       *testing.T
	stack   *localstack.Stack
	command *exec.Cmd
	in      io.WriteCloser
	lines   *bufio.Reader // of standard error
	out     bytes.Buffer
	said    strings.Builder // what was read of standard error
	page    string          // the approval page
}

// begin starts the command and reads up to the approval page.
func begin(t *testing.T, s *localstack.Stack, a ...string) *session {
	t.Helper()
	x := start(t, s, a...)
	for x.page == "" {
		line, err := x.lines.ReadString('\n')
		x.said.WriteString(line)
		if err != nil {
			t.Fatalf("no page was shown: %s", &x.said)
		}
		if address := strings.TrimSpace(line); strings.HasPrefix(address, "http://127.0.0.1:") {
			x.page = address
		}
	}
	return x
}

func start(t *testing.T, s *localstack.Stack, a ...string) *session {
	t.Helper()
	x := &session{t: t, stack: s, command: program(t.Context(), append([]string{"authorize"}, a...)...)}
	x.command.Env = os.Environ()
	for name, value := range s.Vars(localstack.TokenRefresh) {
		x.command.Env = append(x.command.Env, name+"="+value)
	}
	var err error
	if x.in, err = x.command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	notes, err := x.command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	x.lines = bufio.NewReader(notes)
	x.command.Stdout = &x.out
	if err := x.command.Start(); err != nil {
		t.Fatal(err)
	}
	return x
}

// end waits for the exit code and for texts in what was said, and proves that
// no secret is in it.
func (x *session) end(code int, texts ...string) {
	x.t.Helper()
	rest, _ := io.ReadAll(x.lines)
	x.said.Write(rest)
	_ = x.command.Wait()
	said := x.said.String() + x.out.String()
	if got := x.command.ProcessState.ExitCode(); got != code {
		x.t.Errorf("exit code %d, want %d: %s", got, code, said)
	}
	for _, text := range texts {
		if !strings.Contains(said, text) {
			x.t.Errorf("nothing says %q: %s", text, said)
		}
	}
	if found := leak(said, secretDocuments(x.stack)); found != "" {
		x.t.Errorf("a secret was shown: %s...", found[:4])
	}
}

func (x *session) paste(address string) {
	x.t.Helper()
	if _, err := fmt.Fprintln(x.in, address); err != nil {
		x.t.Fatal(err)
	}
}

// state is the one of this run.
func (x *session) state() string {
	u, err := url.Parse(x.page)
	if err != nil {
		x.t.Fatal(err)
	}
	return u.Query().Get("state")
}

// approve answers アシスト店長's page as its administrator, and returns where
// the browser is sent.
func (x *session) approve(yes bool) string {
	x.t.Helper()
	shop := x.stack.Sandboxes[providers.AssistTencho].(*assisttenchotest.Server)
	u, err := url.Parse(x.page)
	if err != nil {
		x.t.Fatal(err)
	}
	form := u.Query()
	form.Set("login_id", shop.AdminID)
	form.Set("password", shop.AdminPassword)
	form.Set("approve", map[bool]string{true: "1", false: "0"}[yes])
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.PostForm(strings.SplitN(x.page, "?", 2)[0], form)
	if err != nil {
		x.t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.Header.Get("Location")
}

func visit(t *testing.T, method, address string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = answer.Body.Close() }()
	text, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text)
}

// appStack is a stack whose SHOPLINE connection is an app's, without a code,
// with a redirect URL on a free port of this machine.
func appStack(t *testing.T) (*localstack.Stack, *shoplinetest.Server) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	s, _, err := newStack(ctx)
	if err != nil {
		t.Fatal(err)
	}
	shop := s.Sandboxes[providers.SHOPLINE].(*shoplinetest.Server)
	free, err := listenSomewhere()
	if err != nil {
		t.Fatal(err)
	}
	shop.RedirectURI = "http://" + free.Addr().String() + "/callback"
	_ = free.Close()
	c := shop.AppConnection(s.URLs[providers.SHOPLINE])
	c.Code = providers.Secret{}
	putConnection(t, s, c)
	return s, shop
}

func putConnection(t *testing.T, s *localstack.Stack, c providers.Connection) {
	t.Helper()
	name := secretstore.Name(localstack.Prefix, c.Provider, secretstore.ConnectionPart)
	if err := s.AWS.Secrets.Put(t.Context(), name, uuid.NewString(), c.Document(), secretstore.Current); err != nil {
		t.Fatal(err)
	}
}

func connectionOf(t *testing.T, s *localstack.Stack, provider string) (providers.Connection, string) {
	t.Helper()
	value, err := s.AWS.Secrets.Get(t.Context(), secretstore.Name(localstack.Prefix, provider, secretstore.ConnectionPart), secretstore.Current)
	if err != nil {
		t.Fatal(err)
	}
	c, err := providers.ParseConnection(value.Data)
	if err != nil {
		t.Fatal(err)
	}
	return c, value.ID
}

func served(t *testing.T, s *localstack.Stack, provider string) (providers.Token, error) {
	t.Helper()
	value, err := s.AWS.Secrets.Get(t.Context(), secretstore.Name(localstack.Prefix, provider, secretstore.TokenPart), secretstore.Current)
	if err != nil {
		return providers.Token{}, err
	}
	return providers.ParseToken(value.Data)
}

// The browser is redirected to this machine; strangers' redirects and
// repetitions change nothing; one code is exchanged once.
func TestAuthorizeOverARedirect(t *testing.T) {
	t.Parallel()
	s, shop := appStack(t)
	x := begin(t, s, "shopline")
	strangers := map[string]struct {
		method, address string
		status          int
	}{
		"another state":   {"GET", shop.RedirectURI + "?code=stolen&state=" + strings.Repeat("A", len(x.state())), 400},
		"no state":        {"GET", shop.RedirectURI + "?code=stolen", 400},
		"two states":      {"GET", shop.RedirectURI + "?code=stolen&state=" + x.state() + "&state=x", 400},
		"no code":         {"GET", shop.RedirectURI + "?state=" + x.state(), 400},
		"two codes":       {"GET", shop.RedirectURI + "?code=a&code=b&state=" + x.state(), 400},
		"another path":    {"GET", strings.TrimSuffix(shop.RedirectURI, "/callback") + "/favicon.ico", 404},
		"another method":  {"POST", shop.RedirectURI + "?code=stolen&state=" + x.state(), 405},
		"a guessed error": {"GET", shop.RedirectURI + "?error=access_denied&state=guessed", 400},
	}
	refused := 0
	for what, c := range strangers {
		if status, body := visit(t, c.method, c.address); status != c.status || strings.Contains(body, "stolen") {
			t.Errorf("%s: %d %s", what, status, body)
		} else {
			refused++
		}
	}
	prove.Figure(t, refused == len(strangers) && shop.Tokens.Redeemed() == 0, "authorize, redirects of strangers: wrong, no or two states, no or two codes, another path or method", "all refused, 0 codes spent",
		"%d of %d, %d", refused, len(strangers), shop.Tokens.Redeemed())
	status, body := visit(t, "GET", x.page) // the sandbox approves, and the client follows
	if status != 200 || !strings.Contains(body, "Received") {
		t.Errorf("%d %s", status, body)
	}
	x.end(0, "Received.", "refreshed", "does not belong to this run", "holds no code")
	if shop.Tokens.Redeemed() != 1 {
		t.Errorf("%d redemptions", shop.Tokens.Redeemed())
	}
	token, err := served(t, s, providers.SHOPLINE)
	if err != nil || !shop.Tokens.Valid(token.Credential.Reveal(), time.Now()) {
		t.Errorf("the token served does not work: %v", err)
	}
	if status, _ := visit(t, "GET", shop.RedirectURI); status != 0 {
		t.Error("the port is still open")
	}
	c, _ := connectionOf(t, s, providers.SHOPLINE)
	if c.Code.Empty() {
		t.Error("the code was not persisted")
	}

	// The same code again, with the right state: it is refused unsent.
	again := begin(t, s, "shopline", "--json")
	again.paste(shop.RedirectURI + "?state=" + again.state() + "&code=" + url.QueryEscape(c.Code.Reveal()))
	again.end(1, "used before", "the code was not sent")
	prove.Figure(t, shop.Tokens.Redeemed() == 1 && shop.Count("POST /developers/oauth/token") == 1, "authorize, a code and then its replay with the right state", "1 redemption, 1 call of the token endpoint",
		"%d, %d", shop.Tokens.Redeemed(), shop.Count("POST /developers/oauth/token"))

	// The state is what stopped the strangers: one who knew it would not be.
	leaked := begin(t, s, "shopline")
	visit(t, "GET", shop.RedirectURI+"?state="+leaked.state()+"&code="+url.QueryEscape(shop.AppConnection("").Code.Reveal()))
	leaked.end(0, "refreshed")
	prove.Figure(t, shop.Tokens.Redeemed() == 2, "guard removed: a stranger who knows the state, codes spent", "must be one more", "%d", shop.Tokens.Redeemed())
}

// A redirect URL on another machine: the person pastes what the browser shows.
func TestAuthorizeByPasting(t *testing.T) {
	t.Parallel()
	s, _ := appStack(t)
	shop := s.Sandboxes[providers.AssistTencho].(*assisttenchotest.Server)
	x := begin(t, s, "assisttencho", "--json")
	redirect := x.approve(true)
	x.paste("")
	x.paste("what?")
	x.paste(x.page)
	x.paste(strings.Replace(redirect, "state=", "state=x", 1))
	x.paste(redirect)
	x.paste(redirect)
	x.end(0, `"provider":"assisttencho","kind":"one_time_code","status":"ok","outcome":"refreshed"`, "holds no code", "does not belong to this run")
	if n := shop.Tokens.Redeemed(); n != 1 {
		t.Errorf("%d redemptions", n)
	}
	if strings.Count(x.out.String(), "\n") != 1 {
		t.Errorf("standard output: %s", &x.out)
	}
	token, err := served(t, s, providers.AssistTencho)
	if err != nil || !shop.Tokens.Valid(token.Credential.Reveal(), time.Now()) {
		t.Errorf("the token served does not work: %v", err)
	}

	// A code that somebody else has exchanged already.
	x = begin(t, s, "assisttencho")
	spent := shop.Authorize()
	shop.Tokens.Exchange(spent, time.Now())
	x.paste("https://tool.example/getAuth.php?state=" + x.state() + "&code=" + spent)
	x.end(1, "refused", "hikyaku authorize assisttencho")
}

// Nothing is stored and nothing spent if no code comes.
func TestAuthorizeWithoutACode(t *testing.T) {
	t.Parallel()
	s, shop := appStack(t)
	assist := s.Sandboxes[providers.AssistTencho].(*assisttenchotest.Server)
	_, shopVersion := connectionOf(t, s, providers.SHOPLINE)
	_, assistVersion := connectionOf(t, s, providers.AssistTencho)

	x := begin(t, s, "assisttencho")
	x.paste(x.approve(false))
	x.end(1, "access_denied", "nothing was spent", "approve the application")

	x = begin(t, s, "shopline")
	if status, body := visit(t, "GET", shop.RedirectURI+"?error=%3Cb%3Eevil&state="+x.state()); status != 400 || strings.Contains(body, "evil") {
		t.Errorf("%d %s", status, body)
	}
	x.end(1, "sent no code but an error")

	x = begin(t, s, "shopline", "--timeout", "300ms")
	x.end(1, "no redirect came in time")

	x = begin(t, s, "shopline", "--paste")
	_ = x.in.Close()
	x.end(1, "the input ended")

	x = begin(t, s, "assisttencho")
	x.paste("https://tool.example/getAuth.php?code=stolen&state=other")
	_ = x.in.Close()
	x.end(1, "does not belong to this run")

	x = begin(t, s, "shopline")
	_ = x.in.Close() // the redirect may still come, so it waits on
	if err := x.command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	x.end(1, "stopped before a redirect came")

	if _, v := connectionOf(t, s, providers.SHOPLINE); v != shopVersion || shop.Tokens.Redeemed() != 0 {
		t.Error("SHOPLINE's connection changed")
	}
	if _, v := connectionOf(t, s, providers.AssistTencho); v != assistVersion || assist.Tokens.Redeemed() != 0 {
		t.Error("アシスト店長's connection changed")
	}
}

// What makes an authorization impossible is said before anybody opens a page.
func TestAuthorizeIsRefused(t *testing.T) {
	t.Parallel()
	s, shop := appStack(t)
	for _, c := range []struct {
		code int
		text string
		args []string
	}{
		{2, "exclude each other", []string{"shopline", "--listen", "127.0.0.1:0", "--paste"}},
		{2, "expected a loopback HOST:PORT", []string{"shopline", "--listen", "0.0.0.0:8910"}},
		{2, "expected a loopback HOST:PORT", []string{"shopline", "--listen", "8910"}},
		{2, "is not on this machine", []string{"assisttencho", "--listen", "127.0.0.1:8910"}},
		{1, "there is no secret nobody/shopline/connection: run 'hikyaku connect shopline'", []string{"shopline", "--prefix", "nobody"}},
	} {
		start(t, s, c.args...).end(c.code, c.text)
	}
	address := strings.TrimSuffix(strings.TrimPrefix(shop.RedirectURI, "http://"), "/callback")
	taken, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	start(t, s, "shopline").end(1, "address already in use; free that port, or use --paste")
	_ = taken.Close()

	// Behind a forwarded port.
	x := begin(t, s, "shopline", "--listen", "localhost:0")
	x.paste(shop.RedirectURI + "?code=unknown-code&state=" + x.state())
	x.end(1, "refused", "hikyaku authorize shopline")

	// The connection is replaced while the person is away.
	x = begin(t, s, "shopline")
	c := shop.AppConnection(s.URLs[providers.SHOPLINE])
	c.ClientID = "another-app"
	putConnection(t, s, c)
	x.paste(shop.RedirectURI + "?code=unknown-code&state=" + x.state())
	x.end(1, "the connection changed", "the code was not sent")
	if shop.Tokens.Redeemed() != 0 {
		t.Errorf("%d redemptions", shop.Tokens.Redeemed())
	}
	putConnection(t, s, shop.Connection(s.URLs[providers.SHOPLINE]))
	start(t, s, "shopline").end(1, `is of kind "static", which nobody authorizes`)
	incomplete := shop.AppConnection(s.URLs[providers.SHOPLINE])
	incomplete.ClientID = ""
	putConnection(t, s, incomplete)
	start(t, s, "shopline").end(1, "client_id and redirect_uri", "hikyaku connect shopline")
}

func TestLoopback(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"localhost": "127.0.0.1", "127.0.0.1": "127.0.0.1", "127.9.9.9": "127.9.9.9", "::1": "::1",
		"": "", "0.0.0.0": "", "tool.example": "", "10.0.0.1": "", "localhost.example": "", "::": "",
	} {
		if got := loopback(host); got != want {
			t.Errorf("%q: %q, want %q", host, got, want)
		}
	}
	for redirect, want := range map[string]string{
		"http://127.0.0.1:8910/callback": "127.0.0.1:8910", "http://localhost/": "127.0.0.1:80", "http://[::1]:9/": "[::1]:9",
		"https://127.0.0.1:8910/": "", "https://tool.example/": "", "": "", "://": "",
	} {
		if got, err := (authorizeFlags{}).address(redirect); got != want || err != nil {
			t.Errorf("%q: %q %v, want %q", redirect, got, err, want)
		}
	}
}
