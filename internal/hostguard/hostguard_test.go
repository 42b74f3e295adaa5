package hostguard_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"hikyaku/internal/hostguard"
)

// served returns the status and body of a request with a Host and headers to a
// server on the loopback, given as name, value, name, value.
func served(t *testing.T, host string, header ...string) (int, string) {
	t.Helper()
	server := httptest.NewServer(hostguard.New(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "secret")
	}), "Host.Docker.Internal", ""))
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func TestHosts(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"127.0.0.1", "127.0.0.1:8080", "127.1.2.3:1", "localhost", "LOCALHOST:99", "localhost.", "127.0.0.1.", "bucket.localhost:4566", "[::1]:80", "[::1]",
		"[::ffff:127.0.0.1]:80", "host.docker.internal:3000", "host.docker.internal.",
	} {
		if status, body := served(t, host); status != http.StatusOK || body != "secret" {
			t.Errorf("%s: %d %s", host, status, body)
		}
	}
	for _, host := range []string{
		"evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", "evillocalhost", "10.0.0.1", "192.0.2.7:80",
		"[fe80::1]:80", "0.0.0.0", "[::]", "2130706433", "x.host.docker.internal", "127.0.0.1@evil.example",
	} {
		status, body := served(t, host)
		if strings.Contains(body, "secret") || status != http.StatusForbidden && status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", host, status, body)
		}
		if status == http.StatusForbidden && !strings.Contains(body, "--allow-host") {
			t.Errorf("%s: the answer does not say what to do: %s", host, body)
		}
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	for origin, want := range map[string]int{
		"http://127.0.0.1:9999": 200, "http://localhost:3000": 200, "https://app.localhost": 200, "http://[::1]": 200, "https://host.docker.internal": 200,
		"null": 403, "https://evil.example": 403, "http://localhost.evil.example": 403, "http://127.0.0.1.evil.example:80": 403, "%zz": 403, "127.0.0.1": 403,
		"file://": 403, "chrome-extension://abc": 403,
	} {
		if status, body := served(t, "127.0.0.1", "Origin", origin); status != want {
			t.Errorf("%s: %d %s", origin, status, body)
		}
	}
	for _, c := range []struct {
		site, mode string
		want       int
	}{
		{"cross-site", "no-cors", 403}, {"cross-site", "cors", 403}, {"cross-site", "", 403}, {"Cross-Site", "No-Cors", 403}, {"cross-site", "navigate", 200},
		{"same-site", "no-cors", 200}, {"same-origin", "cors", 200}, {"none", "navigate", 200},
	} {
		if status, body := served(t, "127.0.0.1", "Sec-Fetch-Site", c.site, "Sec-Fetch-Mode", c.mode); status != c.want {
			t.Errorf("%+v: %d %s", c, status, body)
		}
	}
	// The owner's own page on a listed host is another site to the browser.
	if status, body := served(t, "127.0.0.1", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors", "Origin", "https://host.docker.internal"); status != 200 {
		t.Errorf("a listed page: %d %s", status, body)
	}
	// A form that a page elsewhere sends navigates, and has that page's Origin.
	if status, _ := served(t, "127.0.0.1", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Origin", "https://evil.example"); status != 403 {
		t.Errorf("a form from elsewhere: %d", status)
	}
}

// A server that listens at an address of a network is called by it.
func TestOwnAddress(t *testing.T) {
	t.Parallel()
	h := hostguard.New(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for host, want := range map[string]int{"172.17.0.1:80": 200, "[::ffff:172.17.0.1]:80": 200, "172.17.0.2:80": 403, "evil.example": 403} {
		w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Host = host
		h.ServeHTTP(w, r.WithContext(withLocal(t.Context(), "172.17.0.1:8080")))
		if w.Code != want {
			t.Errorf("%s: %d", host, w.Code)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]bool{
		"127.0.0.1:0": true, "127.9.9.9:1": true, "localhost:0": true, "[::1]:8080": true, "app.localhost:1": true, "[::ffff:127.0.0.1]:1": true,
		":0": false, "0.0.0.0:0": false, "[::]:1": false, "192.168.1.2:1": false, "example.com:1": false, "localhost": false, "": false,
	} {
		if hostguard.IsLoopback(addr) != want {
			t.Errorf("%q: %v", addr, !want)
		}
	}
}

func withLocal(ctx context.Context, address string) context.Context {
	return context.WithValue(ctx, http.LocalAddrContextKey, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address)))
}
