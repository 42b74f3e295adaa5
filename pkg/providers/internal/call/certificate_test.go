package call_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

// secure starts a server with a certificate of its own making, and returns its
// address and the certificate.
func secure(t *testing.T, c x509.Certificate) (string, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber, c.IsCA, c.BasicConstraintsValid = big.NewInt(1), true, true
	der, err := x509.CreateCertificate(rand.Reader, &c, &c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return server.URL, parsed
}

// A certificate that is not accepted is named, with its host, and is not asked
// for again; nothing was sent.
func TestDo_NamesTheCertificate(t *testing.T) {
	t.Parallel()
	now := time.Now()
	here := []net.IP{net.IPv4(127, 0, 0, 1)}
	for want, c := range map[string]struct {
		certificate x509.Certificate
		trusted     bool
	}{
		"is for another host name":             {x509.Certificate{NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), DNSNames: []string{"other.example"}}, true},
		"is issued by an unknown authority":    {x509.Certificate{NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IPAddresses: here}, false},
		"has expired":                          {x509.Certificate{NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour), IPAddresses: here}, true},
		"is not valid yet; compare the clocks": {x509.Certificate{NotBefore: now.Add(time.Hour), NotAfter: now.Add(2 * time.Hour), IPAddresses: here}, true},
		"is not valid for this use":            {x509.Certificate{NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IPAddresses: here, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}}, true},
		"":                                     {x509.Certificate{NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IPAddresses: here}, true},
	} {
		url, certificate := secure(t, c.certificate)
		pool := x509.NewCertPool()
		if c.trusted {
			pool.AddCert(certificate)
		}
		tries := 0
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
		t.Cleanup(transport.CloseIdleConnections)
		counted := roundTrip(func(r *http.Request) (*http.Response, error) {
			tries++
			return transport.RoundTrip(r)
		})
		o := &providers.Options{HTTP: &http.Client{Transport: counted}, Limiter: noLimit{}}
		client := call.New(call.Config{Provider: "test"}, providers.Fixed(providers.Token{BaseURL: url}), o)
		_, err := send(t.Context(), client, call.Request{})
		_, onceErr := call.Once(t.Context(), "test", "token", o, call.Request{Method: http.MethodPost, URL: url})
		if want == "" {
			if err != nil || onceErr != nil {
				t.Errorf("a good one: %v, %v", err, onceErr)
			}
			continue
		}
		if tries != 2 {
			t.Errorf("%s: %d tries", want, tries)
		}
		for _, err := range []error{err, onceErr} {
			if !errors.Is(err, providers.ErrCertificate) || !errors.Is(err, providers.ErrUnsent) || !strings.HasSuffix(err.Error(), "certificate not accepted: the certificate of 127.0.0.1 "+want) {
				t.Errorf("%s: %v", want, err)
			}
		}
	}
	// A refused connection is another fault.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	client := call.New(call.Config{Provider: "test"}, providers.Fixed(providers.Token{BaseURL: "https://" + listener.Addr().String()}), &providers.Options{Limiter: noLimit{}, Attempts: 1})
	if _, err := send(t.Context(), client, call.Request{}); !errors.Is(err, providers.ErrUnsent) || errors.Is(err, providers.ErrCertificate) || !strings.HasSuffix(err.Error(), "nothing was sent: no connection") {
		t.Error(err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
