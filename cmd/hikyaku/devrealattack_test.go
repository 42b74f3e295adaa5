package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
)

// A realDoor is a provider that notes whatever reaches it.
type realDoor struct {
	*httptest.Server

	mu   sync.Mutex
	seen []string
}

func newRealDoor(t *testing.T) *realDoor {
	t.Helper()
	d := &realDoor{}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		d.seen = append(d.seen, r.Method+" "+r.URL.String()+" "+string(body))
		for name := range r.Header {
			if strings.Contains(strings.ToLower(name), "method") || name == "Cookie" || name == "Upgrade" {
				d.seen = append(d.seen, "header "+name)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "[]")
	}))
	t.Cleanup(d.Close)
	return d
}

// strangers are the requests that came and are none of those that begin so.
func (d *realDoor) strangers(allowed ...string) (seen []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.seen {
		if !slices.ContainsFunc(allowed, func(beginning string) bool { return strings.HasPrefix(s, beginning) }) {
			seen = append(seen, s)
		}
	}
	return seen
}

// real writes a connection document and lets the next stack take it.
func (h *devHome) real(t *testing.T, c providers.Connection) {
	t.Helper()
	file := filepath.Join(h.state, c.Provider+".json")
	if err := os.WriteFile(file, c.Document(), 0o600); err != nil {
		t.Fatal(err)
	}
	h.env = append(h.env, "HIKYAKU_REAL_"+strings.ToUpper(c.Provider)+"="+file)
}

// connection is what a stack's functions hold of a provider.
func (d *devRun) connection(t *testing.T, provider string) providers.Connection {
	t.Helper()
	body, err := json.Marshal(map[string]string{"SecretId": secretstore.Name("hikyaku", provider, secretstore.ConnectionPart)})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.service("aws").URL, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "secretsmanager.GetSecretValue")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+d.Vars["AWS_ACCESS_KEY_ID"]+"/20260101/us-east-1/secretsmanager/aws4_request, SignedHeaders=host, Signature=0")
	_, raw, err := sendDev(r)
	if err != nil {
		t.Fatal(err)
	}
	var secret struct{ SecretString string }
	if err := json.Unmarshal(raw, &secret); err != nil {
		t.Fatal(err, string(raw))
	}
	c, err := providers.ParseConnection([]byte(secret.SecretString))
	if err != nil {
		t.Fatal(err, string(raw))
	}
	return c
}

// A real provider sees no request that changes anything or uses up what works once, however
// it is written.
func TestDevStack_KeepsARealProviderFromHarm(t *testing.T) {
	t.Parallel()
	home := newDevHome(t)
	at := map[string]*realDoor{}
	for _, c := range []providers.Connection{
		{Provider: providers.Yappli, Kind: providers.ClientCredentials, ClientID: "client", ClientSecrets: []providers.Secret{providers.NewSecret("secret")}},
		{Provider: providers.SHOPLINE, Kind: providers.OneTimePair, ClientID: "client", ClientSecrets: []providers.Secret{providers.NewSecret("secret")}},
		{Provider: providers.AssistTencho, Kind: providers.OneTimeCode, ClientID: "client", ClientSecrets: []providers.Secret{providers.NewSecret("secret")}},
	} {
		at[c.Provider] = newRealDoor(t)
		c.BaseURL = at[c.Provider].URL
		home.real(t, c)
	}
	d := home.start(t, "--real", "yappli,shopline,assisttencho")
	const form = "application/x-www-form-urlencoded"
	for _, c := range []struct{ provider, method, path, body, header string }{
		{"yappli", "POST", "/api/ext/users", "x=1", ""},
		{"yappli", "PUT", "/api/ext/users/1", "x=1", ""},
		{"yappli", "DELETE", "/api/ext/users/1", "", ""},
		{"yappli", "PATCH", "/api/ext/users/1", "x=1", ""},
		{"yappli", "OPTIONS", "/api/ext/users", "", ""},
		{"yappli", "QUERY", "/api/ext/users", "", ""},
		{"yappli", "GET", "/api/ext/users", "_method=DELETE", ""},
		{"yappli", "GET", "/api/ext/users?_method=DELETE", "", ""},
		{"yappli", "GET", "/api/ext/users?_METHOD=DELETE", "", ""},
		{"yappli", "GET", "/api/ext/users?a=1;_method=DELETE", "", ""},
		{"yappli", "GET", "/api/ext/users", "", "X-HTTP-Method-Override: DELETE"},
		{"yappli", "GET", "/api/ext/users", "", "X-HTTP-Method: DELETE"},
		{"yappli", "GET", "/api/ext/users", "", "X-Method-Override: DELETE"},
		{"yappli", "GET", "/api/ext/check/handover?id=1", "", ""},
		{"yappli", "HEAD", "/api/ext/check/handover?id=1", "", ""},
		{"yappli", "GET", "/API/ext/CHECK/handover", "", ""},
		{"yappli", "GET", "/api/ext/users/../check/handover", "", ""},
		{"yappli", "GET", "/api/ext/users/%2e%2e/check/handover", "", ""},
		{"yappli", "GET", "/api/ext/users/%252e%252e/check/handover", "", ""},
		{"yappli", "GET", "/api/ext/users%2F..%2Fcheck%2Fhandover", "", ""},
		{"yappli", "GET", "/api/ext/users/..", "", ""},
		{"yappli", "GET", "/elsewhere", "", ""},
		{"yappli", "GET", "/api/ext/token", "", ""},
		{"yappli", "POST", "/api/ext/token", "grant_type=refresh_token&refresh_token=once", ""},
		{"yappli", "POST", "/api/ext/token", "grant_type=client_credentials&client_id=client&client_secret=secret&code=once", ""},
		{"yappli", "POST", "/api/ext/token", `{"grant_type":"client_credentials","refresh_token":"once"}`, ""},
		{"yappli", "POST", "/api/ext/token?code=once", "grant_type=client_credentials", ""},
		{"assisttencho", "POST", "/api/oauth/token.php", "grant_type=client_credentials&code=once", ""},
		{"assisttencho", "POST", "/API/OAuth/token.php/", "grant_type=client_credentials&code=once", ""},
		{"assisttencho", "GET", "/api/oauth/authorize.php", "", ""},
		{"assisttencho", "PUT", "/api/v1/orders.php?order_id=1", "{}", ""},
		{"shopline", "POST", "/orders", "{}", ""},
		{"shopline", "GET", "/oauth/token?grant_type=refresh_token", "", ""},
	} {
		status := d.send(t, c.method, d.connection(t, c.provider).BaseURL+c.path, c.body, form, c.header)
		if status != http.StatusForbidden && status != http.StatusBadRequest {
			t.Errorf("%s %s %s %s is answered %d", c.method, c.path, c.body, c.header, status)
		}
	}
	for _, c := range []struct{ provider, method, path, body string }{
		{"yappli", "GET", "/api/ext/users?limit=1", ""},
		{"yappli", "POST", "/api/ext/token", "grant_type=client_credentials&client_id=client&client_secret=secret"},
		{"assisttencho", "GET", "/api/v1/orders.php?order_id=1", ""},
		{"shopline", "GET", "/token/info", ""},
	} {
		if status := d.send(t, c.method, d.connection(t, c.provider).BaseURL+c.path, c.body, form, "Cookie: a=b"); status != http.StatusOK {
			t.Errorf("%s %s is answered %d", c.method, c.path, status)
		}
	}
	for provider, allowed := range map[string][]string{
		"yappli":       {"GET /api/ext/users?limit=", "POST /api/ext/token client_id=client&client_secret=secret&grant_type=client_credentials", "POST /api/ext/token grant_type=client_credentials&client_id=client&client_secret=secret"},
		"shopline":     {"GET /token/info ", "GET /orders?", "GET /customers?"},
		"assisttencho": {"GET /api/v1/orders.php"},
	} {
		for _, seen := range at[provider].strangers(allowed...) {
			t.Errorf("%s sees %s", provider, seen)
		}
	}
	if token := d.connection(t, "shopline").TokenURL; !strings.HasPrefix(token, "http://127.0.0.1:") {
		t.Errorf("a refresh token would be sent to %q, past the door", token)
	}
}

// A stack whose time ran faster takes no real provider, whose tokens would seem to have ended.
func TestDevStack_TakesNoRealProviderAheadOfTime(t *testing.T) {
	t.Parallel()
	home := newDevHome(t)
	home.real(t, providers.Connection{Provider: providers.Yappli, Kind: providers.ClientCredentials, BaseURL: "https://yappli.invalid", ClientID: "client"})
	if err := os.MkdirAll(home.dir(), 0o700); err != nil {
		t.Fatal(err)
	}
	ahead := binary.LittleEndian.AppendUint64(nil, uint64(time.Hour))
	if err := os.WriteFile(filepath.Join(home.dir(), "clock"), ahead, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := home.run(t, "dev", "--no-open", "--real", "yappli"); code != 1 || !strings.Contains(out, "a directory of its own") {
		t.Errorf("it exits with %d: %s", code, out)
	}
}

// send sends a request as it stands, without cleaning its path.
func (d *devRun) send(t *testing.T, method, address, body, contentType, header string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if name, value, ok := strings.Cut(header, ": "); ok {
		r.Header.Set(name, value)
	}
	client := http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	got, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = got.Body.Close()
	return got.StatusCode
}

// A connection that leads elsewhere does not take a development stack past its doors: a
// command of it asks this machine alone, as its functions do.
func TestDevStack_AsksThisMachineAlone(t *testing.T) {
	t.Parallel()
	home := newDevHome(t)
	d := home.start(t, "--records", "2")
	d.settled(t)
	c := providers.Connection{
		Provider: providers.SuperSaaS, Kind: providers.Static, Account: "shop", BaseURL: "https://booking.invalid", APIKey: providers.NewSecret("invented-key-of-nobody"),
	}
	connect := program(t.Context(), "connect", "supersaas", "--unchecked", "--dev", "--json")
	connect.Env, connect.Stdin = home.env, bytes.NewReader(c.Document())
	if out, err := connect.CombinedOutput(); err != nil {
		t.Fatalf("connect: %v: %s", err, out)
	}
	if out, code := home.run(t, "tokens", "refresh", "supersaas", "--dev"); code != 0 {
		t.Fatalf("tokens refresh exits with %d: %s", code, out)
	}
	if out, code := home.run(t, "users", "list", "supersaas", "--limit", "1", "--dev"); code == 0 || !strings.Contains(out, "asks this machine alone") {
		t.Errorf("users exits with %d: %s", code, out)
	}
}
