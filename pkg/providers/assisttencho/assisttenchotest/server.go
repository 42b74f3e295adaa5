// Package assisttenchotest is a sandbox of アシスト店長: the page on which a
// person approves an application, the exchange of the one-time code, and the
// orders.
//
//	s := assisttenchotest.New(sandbox.Options{Records: 500})
//	client := assisttencho.New(providers.Fixed(s.Token("http://sandbox.test")), &providers.Options{HTTP: s.Client()})
//
// It refuses what the provider's documents do not allow: a body with any byte
// beyond ASCII, a second exchange of a code, another redirect URL than the
// registered one, more than one request per second or two at once. What the
// documents leave open is a field of Settings, to be set before the first
// request or within Do.
package assisttenchotest

import (
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/assisttencho"
	"hikyaku/pkg/providers/sandbox"
)

const (
	requestsPerSecond = 1
	pageSize          = 50 // so that the usual 120 records need three pages
)

// Settings are how this shop settles what the documents leave open, and what its
// operator has registered. Set them before the first request, or inside Do.
type Settings struct {
	// Quirks are how this shop settles what the documents leave open. With
	// ListParameters a list without them is refused; with RefreshGrant
	// there are refresh tokens. Connection and Token carry them.
	Quirks assisttencho.Quirks

	BasePath               string         // "/shop01"; empty: none
	ClientID, ClientSecret string         // of the registered application
	RedirectURI            string         // registered; another one is refused
	AdminID, AdminPassword string         // of the person who approves
	AllowedIPs             []string       // the application's IP restriction; empty: none
	LoginPage              bool           // answer a bad token with the HTML login page and status 200
	ErrorAt200             bool           // answer errors of the API with status 200
	NotFound               bool           // answer 404 for an order that does not exist, not an empty list
	Bare                   bool           // answer one order as a bare object, not as a list of one
	IgnorePaging           bool           // answer the first page whatever is asked for
	BetweenPages           func(page int) // called before every page of a list but the first
}

// A Server is one shop. Its routes are those of the documents; base URLs that
// carry a path are served with BasePath.
type Server struct {
	*sandbox.Server
	Settings

	Tokens sandbox.Tokens // issue, revoke; a Life makes expires_in a number

	app     application
	orders  orders
	serial  bool // refuse a request that comes while another is answered
	running atomic.Int32
}

// New returns a sandbox with invented orders.
func New(o sandbox.Options) *Server {
	s := &Server{
		Server: sandbox.NewServer(providers.AssistTencho, requestsPerSecond, o),
		Settings: Settings{
			Quirks:   assisttencho.Quirks{Paging: assisttencho.Paging{Style: assisttencho.PagingOffset, Size: pageSize}, Envelope: "orders"},
			ClientID: "assist-client", ClientSecret: "assist-client-secret-0000",
			RedirectURI: "https://tool.example/getAuth.php", AdminID: "admin", AdminPassword: "sandbox-password",
		},
		serial: o.Rate >= 0,
	}
	seed, records := s.Origin()
	s.orders = newOrders(seed, records)
	s.app = application{set: &s.Settings, now: s.Now, tokens: &s.Tokens, seed: seed}
	s.resume()
	s.routes()
	_ = s.Journal().Commit() // Err says it
	return s
}

func (s *Server) routes() {
	for _, path := range []string{"/api/oauth/authorize.php", "/oauth/authorize.php"} { // the second as one example has it
		s.HandleUnlimited("GET "+path, s.app.page)
		s.HandleUnlimited("POST "+path, s.app.approve) // the page's form has no address of its own
	}
	s.HandleUnlimited("POST /api/oauth/token.php", s.app.token)
	calls := orderCalls{set: &s.Settings, orders: &s.orders, server: s.Server}
	s.Handle("GET /api/v1/orders.php", s.authorized(calls.list))
	s.Handle("POST /api/v1/orders.php", s.authorized(calls.written(calls.create)))
	s.Handle("PUT /api/v1/orders.php", s.authorized(calls.written(calls.update)))
	s.Handle("DELETE /api/v1/orders.php", s.authorized(calls.remove))
	s.Lists("GET /api/v1/orders.php")
	s.Expiring(&s.Tokens)
}

// Connection returns what an operator configures who has just approved the
// application: a fresh one-time code is part of it.
func (s *Server) Connection(base string) providers.Connection {
	return providers.Connection{
		Provider: providers.AssistTencho, Kind: providers.OneTimeCode, BaseURL: base + s.BasePath,
		ClientID: s.ClientID, ClientSecrets: []providers.Secret{providers.NewSecret(s.ClientSecret)},
		Code: providers.NewSecret(s.Authorize()), RedirectURI: s.RedirectURI, ProbeOrder: "1", Quirks: s.rawQuirks(),
	}
}

// Token returns a valid token without the detour of a code.
func (s *Server) Token(base string) providers.Token {
	now := s.Now()
	access, _ := s.Tokens.Issue(now)
	t := providers.Token{
		Provider: providers.AssistTencho, Kind: providers.OneTimeCode, BaseURL: base + s.BasePath,
		Credential: providers.NewSecret(access), ObtainedAt: now, Quirks: s.rawQuirks(),
	}
	if life := s.Tokens.LifeNow(); life > 0 {
		t.ExpiresAt = now.Add(life)
	}
	return t
}

func (s *Settings) rawQuirks() json.RawMessage {
	raw, _ := json.Marshal(s.Quirks) // a struct of texts and numbers
	return raw
}

// Client returns an HTTP client that calls the sandbox in-process.
func (s *Server) Client() *http.Client { return &http.Client{Transport: sandbox.Transport(s)} }

// ServeHTTP answers as the provider would, or misbehaves as asked.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.BasePath != "" && !strings.HasPrefix(r.URL.Path, s.BasePath+"/") {
		writePage(w, http.StatusNotFound, "<h1>404 Not Found</h1>")
		return
	}
	if strings.Contains(r.URL.Path, "/api/v1/") {
		if running := s.running.Add(1); s.serial && running > 1 {
			s.running.Add(-1)
			sandbox.JSON(w, http.StatusTooManyRequests, map[string]string{"error": "parallel_request"})
			return
		}
		defer s.running.Add(-1)
		s.announce(r)
	}
	http.StripPrefix(s.BasePath, s.Server).ServeHTTP(w, r)
}

// announce calls BetweenPages before a page that is not a list's first.
func (s *Server) announce(r *http.Request) {
	quirks, err := assisttencho.ParseQuirks(s.rawQuirks())
	if s.BetweenPages == nil || err != nil || r.Method != http.MethodGet || r.URL.Query().Has("serial_order_id") {
		return
	}
	request := &sandbox.Request{Request: r}
	size := request.Int(quirks.Paging.SizeParameter, quirks.Paging.Size)
	if first := pageStart(quirks.Paging, request, size); first > 0 && size > 0 {
		s.BetweenPages(1 + (first+size-1)/size)
	}
}

// authorized checks address and token before h.
func (s *Server) authorized(h sandbox.Handler) sandbox.Handler {
	return func(w http.ResponseWriter, r *sandbox.Request) {
		switch {
		case !s.allows(r):
			s.refuse(w, http.StatusForbidden, "access_denied")
		case s.Tokens.Valid(r.BearerToken(), s.Now()):
			h(w, r)
		case s.LoginPage:
			writePage(w, http.StatusOK, loginForm)
		default:
			s.refuse(w, http.StatusUnauthorized, "invalid_token")
		}
	}
}

func (s *Settings) allows(r *sandbox.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	return len(s.AllowedIPs) == 0 || err == nil && slices.Contains(s.AllowedIPs, host)
}

// refuse answers an error of the API. Its shape is unverified, as that of the errors
// that sandbox.Server answers itself: the documents show none.
func (s *Settings) refuse(w http.ResponseWriter, status int, code string) {
	if s.ErrorAt200 {
		status = http.StatusOK
	}
	sandbox.JSON(w, status, map[string]string{"error": code})
}

func writePage(w http.ResponseWriter, status int, content string) {
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte("<!DOCTYPE html><html lang=\"ja\"><head><title>アシスト店長</title></head><body>" + content + "</body></html>"))
}
