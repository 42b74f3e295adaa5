package assisttencho_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"golang.org/x/time/rate"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/assisttencho"
	"hikyaku/pkg/providers/assisttencho/assisttenchotest"
	"hikyaku/pkg/providers/internal/sandbox/seenfile"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := seenfile.Write("assisttencho"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

const base = "https://sandbox.test"

// unpaced are options for tests of everything but pace.
func unpaced(h *http.Client) *providers.Options {
	return &providers.Options{HTTP: h, Limiter: rate.NewLimiter(rate.Inf, 1), Attempts: 1}
}

// newShop returns a sandbox without a rate limit and a client of it. The shop
// is configured before the client takes its token.
func newShop(records int, configure func(*assisttenchotest.Server)) (*assisttenchotest.Server, *assisttencho.Client) {
	s := assisttenchotest.New(assisttenchotest.Options{Seed: 7, Records: records, Rate: -1})
	if configure != nil {
		configure(s)
	}
	return s, assisttencho.New(providers.Fixed(s.Token(base)), unpaced(s.Client()))
}

// answering is a transport that gives every request the same answer and keeps
// the last request.
type answering struct {
	status int
	body   string
	sent   *http.Request
	seen   []byte
	err    error
}

func (a *answering) RoundTrip(r *http.Request) (*http.Response, error) {
	a.sent = r
	a.seen, _ = io.ReadAll(r.Body)
	if a.err != nil {
		return nil, a.err
	}
	recorder := httptest.NewRecorder()
	if a.status != 0 {
		recorder.Code = a.status
	}
	recorder.Body.WriteString(a.body)
	return recorder.Result(), nil
}

func (a *answering) client(quirks string) *assisttencho.Client {
	token := providers.Token{BaseURL: base, Credential: providers.NewSecret(secretToken), Quirks: []byte(quirks)}
	return assisttencho.New(providers.Fixed(token), unpaced(&http.Client{Transport: a}))
}

// secretToken must appear in no error.
const secretToken = "AT-canary-5e1f"

// replay sends raw bytes, as another program would, to the sandbox.
func replay(t *testing.T, s http.Handler, raw string) *http.Response {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "127.0.0.1:9"
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result()
}

func bodyOf(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
