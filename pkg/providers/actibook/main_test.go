package actibook_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"

	"golang.org/x/time/rate"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/actibook"
	"hikyaku/pkg/providers/actibook/actibooktest"
	"hikyaku/pkg/providers/internal/canned"
	"hikyaku/pkg/providers/internal/seenfile"
	"hikyaku/pkg/providers/sandbox"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := seenfile.Write("actibook"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

const base = "http://127.0.0.1:8080"

// secretToken must appear in no error.
const secretToken = "AT-canary-5e1f"

func unpaced(h *http.Client) *providers.Options {
	return &providers.Options{HTTP: h, Limiter: rate.NewLimiter(rate.Inf, 1), Attempts: 1}
}

func newSite(configure func(*actibooktest.Server)) (*actibooktest.Server, *actibook.Client) {
	s := actibooktest.New(sandbox.Options{Seed: 3, Records: 5, Rate: -1})
	if configure != nil {
		configure(s)
	}
	return s, actibook.New(providers.Fixed(s.Token(base)), unpaced(s.Client()))
}

// clientOf returns a client of a transport that makes its own answers.
func clientOf(transport http.RoundTripper, quirks string) *actibook.Client {
	token := providers.Token{LoginURL: "https://api.test/login", Credential: providers.NewSecret(secretToken), Quirks: []byte(quirks)}
	return actibook.New(providers.Fixed(token), unpaced(&http.Client{Transport: transport}))
}

// replay sends raw bytes, as another program would, to the sandbox.
func replay(t *testing.T, s http.Handler, raw string) *http.Response {
	t.Helper()
	answer, err := canned.Replay(s, raw)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func post(path, header, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n%sContent-Length: %d\r\n\r\n%s", path, header, len(body), body)
}

func bodyOf(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// visit opens a redirect URL as the reader's browser does, once.
func visit(t *testing.T, s *actibooktest.Server, u string) *http.Response {
	t.Helper()
	client := s.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	answer, err := client.Get(u)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}
