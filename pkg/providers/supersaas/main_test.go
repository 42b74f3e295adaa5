package supersaas_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/time/rate"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/seenfile"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/supersaas/supersaastest"
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // the tests make much garbage and keep little
	code := m.Run()
	if err := seenfile.Write("supersaas"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

const (
	base      = "https://sandbox.test"
	keyCanary = "SSKEY-canary-77aa"
)

// unpaced are options for tests of everything but pace.
func unpaced(h *http.Client) *providers.Options {
	return &providers.Options{HTTP: h, Limiter: rate.NewLimiter(rate.Inf, 1), Attempts: 1}
}

// account returns a sandbox without a rate limit and a client of it.
func account(records int, quirks string) (*supersaastest.Server, *supersaas.Client) {
	s := supersaastest.New(sandbox.Options{Seed: 11, Records: records, Rate: -1})
	t := s.Token(base)
	t.Quirks = []byte(quirks)
	return s, supersaas.New(providers.Fixed(t), unpaced(s.Client()))
}

// answering gives every request the same answer and keeps the requests.
type answering struct {
	status int
	header http.Header
	body   string
	sent   []*http.Request
	bodies []string
}

func (a *answering) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	a.sent, a.bodies = append(a.sent, r), append(a.bodies, string(body))
	w := httptest.NewRecorder()
	for name, values := range a.header {
		w.Header()[name] = values
	}
	w.WriteHeader(max(a.status, 200))
	_, _ = w.WriteString(a.body)
	return w.Result(), nil
}

func (a *answering) client(quirks string) *supersaas.Client {
	t := providers.Token{BaseURL: base, Account: "mihon salon", Credential: providers.NewSecret(keyCanary), Quirks: []byte(quirks)}
	return supersaas.New(providers.Fixed(t), unpaced(&http.Client{Transport: a}))
}

func collect[T any](seq iter.Seq2[T, error]) ([]T, error) {
	var all []T
	for v, err := range seq {
		if err != nil {
			return all, err
		}
		all = append(all, v)
	}
	return all, nil
}

// raw sends bytes, as another program would, to the sandbox.
func raw(t *testing.T, s http.Handler, request string) (*http.Response, string) {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request)))
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr, r.TLS = "127.0.0.1:9", &tls.ConnectionState{} // the provider's own host is reached by https alone
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	answer := w.Result()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

// must returns v. An error ends the run: what is wrapped so cannot fail unless
// everything else does.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// wantKind fails unless err is of a kind and a status, and holds no secret.
func wantKind(t *testing.T, err, kind error, status int) {
	t.Helper()
	var e *providers.Error
	if !errors.Is(err, kind) || !errors.As(err, &e) || e.Status != status {
		t.Fatalf("error %v, want %v with status %d", err, kind, status)
	}
	for _, secret := range []string{keyCanary, "SSKEY", "checksum", "sandbox.test", "山田"} {
		if strings.Contains(err.Error(), secret) {
			t.Fatalf("error shows %q: %v", secret, err)
		}
	}
}

var ctx = context.Background()

func escaped(s string) string { return url.QueryEscape(s) }

func text(id int64) string { return strconv.FormatInt(id, 10) }

// handlerFunc answers 200 after it was given the body.
type handlerFunc func(body string)

func (f handlerFunc) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		f(string(body))
	}
}
