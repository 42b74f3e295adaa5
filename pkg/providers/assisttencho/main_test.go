package assisttencho_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"testing"

	"golang.org/x/time/rate"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/assisttencho"
	"hikyaku/pkg/providers/assisttencho/assisttenchotest"
	"hikyaku/pkg/providers/internal/canned"
	"hikyaku/pkg/providers/internal/seenfile"
	"hikyaku/pkg/providers/sandbox"
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // the tests make much garbage and keep little
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
	s := assisttenchotest.New(sandbox.Options{Seed: 7, Records: records, Rate: -1})
	if configure != nil {
		configure(s)
	}
	return s, assisttencho.New(providers.Fixed(s.Token(base)), unpaced(s.Client()))
}

// clientOf returns a client of a transport that makes its own answers.
func clientOf(transport http.RoundTripper, quirks string) *assisttencho.Client {
	token := providers.Token{BaseURL: base, Credential: providers.NewSecret(secretToken), Quirks: []byte(quirks)}
	return assisttencho.New(providers.Fixed(token), unpaced(&http.Client{Transport: transport}))
}

// secretToken must appear in no error.
const secretToken = "AT-canary-5e1f"

// replay sends raw bytes, as another program would, to the sandbox.
func replay(t *testing.T, s http.Handler, raw string) *http.Response {
	t.Helper()
	answer, err := canned.Replay(s, raw)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func bodyOf(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
