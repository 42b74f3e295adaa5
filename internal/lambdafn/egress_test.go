package lambdafn

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/yappli"
)

// blocked are addresses that no provider lives at, each with why.
var blocked = map[string]string{
	"10.0.0.1":               "RFC 1918",
	"172.16.0.1":             "RFC 1918",
	"172.31.255.255":         "RFC 1918",
	"192.168.1.1":            "RFC 1918",
	"127.0.0.1":              "loopback",
	"127.255.255.254":        "loopback",
	"0.0.0.0":                "this host",
	"0.1.2.3":                "this network",
	"169.254.169.254":        "instance metadata",
	"169.254.170.2":          "container credentials",
	"169.254.0.1":            "link-local",
	"100.64.0.1":             "shared address space",
	"100.127.255.255":        "shared address space",
	"192.0.0.8":              "IETF protocol assignments",
	"192.0.2.1":              "documentation",
	"198.51.100.7":           "documentation",
	"203.0.113.9":            "documentation",
	"192.88.99.1":            "6to4 relay",
	"198.18.0.1":             "benchmarking",
	"198.19.255.255":         "benchmarking",
	"224.0.0.1":              "multicast",
	"239.255.255.255":        "multicast",
	"240.0.0.1":              "class E",
	"255.255.255.255":        "broadcast",
	"::":                     "unspecified",
	"::1":                    "loopback",
	"fd00:ec2::254":          "instance metadata",
	"fc00::1":                "unique local",
	"fdff::1":                "unique local",
	"fe80::1":                "link-local",
	"fe80::a9fe:a9fe%eth0":   "link-local with a zone",
	"ff02::1":                "multicast",
	"::ffff:10.0.0.1":        "IPv4-mapped RFC 1918",
	"::ffff:169.254.169.254": "IPv4-mapped metadata",
	"::ffff:7f00:1":          "IPv4-mapped loopback",
	"::7f00:1":               "IPv4-compatible loopback",
	"::ffff:0:7f00:1":        "IPv4-translated loopback",
	"::ffff:0:a9fe:a9fe":     "IPv4-translated metadata",
	"fec0::1":                "site-local",
	"feff::a00:1":            "site-local",
	"2001:2::1":              "benchmarking",
	"2001:20::1":             "hashes of keys (ORCHID)",
	"3fff::1":                "documentation",
	"5f00::1":                "segment routing",
	"100:0:0:1::1":           "dummy prefix",
	"64:ff9b::a9fe:a9fe":     "NAT64 of the metadata",
	"64:ff9b:1::a00:1":       "local NAT64",
	"2002:a9fe:a9fe::1":      "6to4 of the metadata",
	"2002:7f00:1::":          "6to4 of loopback",
	"2001:0:1234::1":         "Teredo",
	"2001:db8::1":            "documentation",
	"100::1":                 "discard",
}

func TestGuard_BlocksAddressesThatAreNoProviders(t *testing.T) {
	t.Parallel()
	for ip, why := range blocked {
		if err := checkAddress(net.JoinHostPort(ip, "443")); !errors.Is(err, errPrivate) {
			t.Errorf("%s (%s): %v", ip, why, err)
		}
	}
	for _, address := range []string{"", "example.com:443", "8.8.8.8", "0x7f000001:443", "2130706433:443", "0177.0.0.1:443", "8.8.8.8:70000"} {
		if err := checkAddress(address); !errors.Is(err, errPrivate) {
			t.Errorf("%q, which is no address: %v", address, err)
		}
	}
	for _, ip := range []string{
		"8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "169.253.1.1", "198.17.255.255", "198.20.0.1",
		"192.0.1.1", "223.255.255.254", "2606:4700::1111", "2001:4860:4860::8888", "2400::1", "64:ff9c::1", "2003::1", "101::1",
	} {
		if err := checkAddress(net.JoinHostPort(ip, "443")); err != nil {
			t.Errorf("%s: %v", ip, err)
		}
	}
}

// fetch sends one request through a guarded transport.
func fetch(t *testing.T, transport http.RoundTripper, url string) (string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	return string(body), err
}

func TestGuard_ChecksWhereTheNameLeads(t *testing.T) {
	t.Parallel()
	asked := 0
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer server.Close()
	port := server.Listener.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // a TCP listener
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"} {
		_, err := fetch(t, guardedTransport(nil), "https://"+host+":"+strconv.Itoa(port)+"/?key=canary")
		if err == nil || !errors.Is(err, errPrivate) && host != "localhost" || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", host, err)
		}
	}
	if asked != 0 {
		t.Errorf("%d requests arrived", asked)
	}
}

func TestGuard_RefusesPlainHTTP(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") }))
	defer server.Close()
	if _, err := fetch(t, guardedTransport(nil), server.URL); !errors.Is(err, errPlainHTTP) {
		t.Errorf("plain http: %v", err)
	}
	if _, err := fetch(t, guardedTransport([]string{"localhost"}), server.URL); !errors.Is(err, errPlainHTTP) {
		t.Errorf("another host is allowed: %v", err)
	}
	if body, err := fetch(t, guardedTransport([]string{"localhost", "127.0.0.1"}), server.URL); err != nil || body != "here" {
		t.Errorf("the host is allowed: %q, %v", body, err)
	}
}

// What the guard stops was never sent: a one-time credential is not in doubt.
func TestGuard_WhatItStopsIsUnsent(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]error{"http://127.0.0.1:9": errPlainHTTP, "https://127.0.0.1:9": errPrivate} {
		base := Open(Environ{Out: io.Discard}, Common{Region: "x", LogLevel: "INFO"})
		c := providers.Connection{Provider: providers.Yappli, Kind: providers.ClientCredentials, BaseURL: target}
		_, err := yappli.NewAuthority(base.Options()).Obtain(t.Context(), c, providers.NewSecret("canary"), providers.Secret{}, false)
		if !errors.Is(err, providers.ErrUnsent) || !errors.Is(err, want) || strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("%s: %v", target, err)
		}
	}
}

// A proxy in the environment would resolve names where nobody can check them.
func TestGuard_UsesNoProxy(t *testing.T) {
	t.Parallel()
	transport, ok := guardedTransport(nil).(egress)
	if !ok || transport.next.Proxy != nil {
		t.Error("a proxy is used")
	}
}

// Where a token endpoint redirects to is not asked: the request holds a
// secret.
func TestGuard_RedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	asked := 0
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer inner.Close()
	outer := httptest.NewServer(http.RedirectHandler(inner.URL, http.StatusTemporaryRedirect))
	defer outer.Close()
	base := Open(Environ{Out: io.Discard}, Common{AllowHosts: []string{"127.0.0.1"}, Endpoint: "http://127.0.0.1:9", Region: "x", LogLevel: "INFO"})
	c := providers.Connection{Provider: providers.Yappli, Kind: providers.ClientCredentials, BaseURL: outer.URL}
	_, err := yappli.NewAuthority(base.Options()).Obtain(t.Context(), c, providers.NewSecret("canary"), providers.Secret{}, false)
	if !errors.Is(err, providers.ErrInvalid) || !strings.Contains(err.Error(), "redirected") || strings.Contains(err.Error(), "canary") || asked != 0 {
		t.Errorf("error %v, %d requests at the target", err, asked)
	}
}
