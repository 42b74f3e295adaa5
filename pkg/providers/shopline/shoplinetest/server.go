// Package shoplinetest is a sandbox of SHOPLINE's Open API and of the
// Developer Center's OAuth, for tests, the demo and other people's clients.
//
//	shop := shoplinetest.New(sandbox.Options{Seed: 1, Records: 500})
//	server := httptest.NewServer(shop)
//	connection := shop.Connection(server.URL)
//
// It serves, under /v1, token/info, customers, customers/search, orders,
// orders/search, orders/archived_orders, and the single customer, by id or by
// LINE id, and order; and under /developers, as if that were another
// host, oauth/authorize and oauth/token. Lists are in order of id, which
// begins with the time of creation, as an ObjectId does.
//
// Like the original it ignores parameters that it does not know, takes both
// ends of a time range as included, answers 410 for an archived order and for
// whatever is no order id, and leaves updated_at alone when a delivery
// changes. It refuses a caller without a User-Agent: the documents call the
// header a must, and name no error, so that 400 is ours. They also want the
// shop's handle in it, but clients report that any text is served: StrictAgent
// says which. What the documents leave open is a field of Settings.
package shoplinetest

import (
	"net/http"
	"strings"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

// What identifies the sandbox's shop and app.
const (
	Handle       = "example-shop"             // the shop's handle, and the User-Agent that StrictAgent expects
	MerchantID   = "64aa0000000000000000000a" // the shop's id
	ClientID     = "sandbox-app"              // the app's client id
	ClientSecret = "sandbox-app-secret"       //nolint:gosec // opens the sandbox only: the first of Server.ClientSecrets
)

// documentedRate is the Open API's limit in requests per second.
const documentedRate = 20

// The documented lives of the app's credentials.
const (
	accessLife   = 15_778_476 * time.Second
	refreshGrace = 24 * time.Hour // of the refresh token, after its access token
	codeLife     = 600 * time.Second
)

// Settings are what a test may change before the shop serves, or inside Do.
type Settings struct {
	ClientSecrets []string          // all are accepted, as during a rotation
	RedirectURI   string            // the one registered
	StrictAgent   bool              // refuse every User-Agent but Handle, as the documents' "must" reads
	FormTokens    bool              // the token endpoint reads a form and no JSON
	RefusedStatus int               // for an address outside the IP whitelist; 0: 401
	ClampPerPage  int               // lower per_page to this without a word; 0: never
	InfoArrays    bool              // customer_info of some orders is an array, as one reading of the schema has it
	AllowLocal    bool              // callbacks may point at this machine, and need no TLS
	SearchWindow  int               // rows that a search by page reaches; 0: all
	BetweenPages  func(page int)    // called before a list's second and later pages are read
	Poster        http.RoundTripper // posts the callbacks of reports; nil: the network
}

// A Server is one shop. All methods are safe for concurrent use, also from
// BetweenPages.
type Server struct {
	*sandbox.Server
	*Records
	*Staff
	Settings
	Tokens *sandbox.Tokens // of the app; it counts and revokes them

	app     app
	reports reports
}

// New returns a shop with customers and as many orders, and a staff token
// that never expires.
func New(o sandbox.Options) *Server {
	s := &Server{
		Server:   sandbox.NewServer(providers.SHOPLINE, documentedRate, o),
		Tokens:   &sandbox.Tokens{Life: accessLife, RefreshGrace: refreshGrace},
		Settings: Settings{ClientSecrets: []string{ClientSecret}, RedirectURI: "http://127.0.0.1:8910/callback"},
	}
	s.Records = newRecords(&s.Settings, s.Server)
	s.Staff = &Staff{set: &s.Settings, now: s.Now, ended: s.Ended, app: s.Tokens, tokens: map[string]*staffToken{}}
	s.app = app{set: &s.Settings, now: s.Now, tokens: s.Tokens, codes: map[string]code{}}
	s.reports = reports{set: &s.Settings, records: s.Records, files: map[string][]byte{}}
	s.reports.most = o.MaxCalls
	s.resume()
	if s.serial == 0 {
		s.GenerateToken(time.Time{})
	}
	s.routes()
	_ = s.Journal().Commit() // Err says it
	return s
}

func (s *Server) routes() {
	s.Handle("GET /v1/token/info", s.authorized(tokenInfo))
	s.Handle("GET /v1/customers", s.authorized(s.list(&listing{table: &s.customers, times: timeNames[:2]})))
	s.Handle("GET /v1/customers/search", s.authorized(s.list(&listing{table: &s.customers, tests: customerTests})))
	s.Handle("GET /v1/customers/line/{line}", s.authorized(s.customerByLine))
	s.Handle("POST /v1/orders/archived_orders", s.authorized(s.reports.request))
	s.HandleUnlimited("GET "+archivePath+"{file}", s.reports.download)
	s.Handle("GET /v1/customers/{id}", s.authorized(s.single(&s.customers, http.StatusNotFound)))
	s.Handle("GET /v1/orders", s.authorized(s.list(&listing{table: &s.orders, times: timeNames[:2], filters: listFilters})))
	s.Handle("GET /v1/orders/search", s.authorized(s.list(&listing{table: &s.orders, times: timeNames, filters: searchFilters, search: true})))
	s.Handle("GET /v1/orders/{id}", s.authorized(s.single(&s.orders, http.StatusGone)))
	s.Lists("GET /v1/customers", "GET /v1/customers/search", "GET /v1/orders", "GET /v1/orders/search")
	s.ListsHave(true, true)
	s.Expiring(s.Tokens)
	s.RefuseWith(func(w http.ResponseWriter, _ *sandbox.Request, status int, _ string) {
		if status == http.StatusTooManyRequests { // "OpenAPI Request Example", the one error that is documented word by word
			sandbox.JSON(w, status, map[string]string{
				"error": "Rate limit exceeded for attempts to access Open API. please try again later", "code": "RateLimitExceeded",
			})
			return
		}
		text := http.StatusText(status) // unverified, as its code: only the fields are known
		refuse(w, status, strings.ReplaceAll(text, " ", ""), text)
	})
	s.HandleUnlimited("GET /developers/oauth/authorize", s.app.authorize)
	s.HandleUnlimited("POST /developers/oauth/token", s.app.token)
}

// Connection returns what an operator would configure for this shop, served
// at base, with its newest staff token.
func (s *Server) Connection(base string) providers.Connection {
	token, expires := s.newestToken()
	return providers.Connection{
		Provider: providers.SHOPLINE, Kind: providers.Static, BaseURL: strings.TrimRight(base, "/") + "/v1",
		Account: Handle, APIKey: providers.NewSecret(token), ExpiresAt: expires,
	}
}

// AppConnection returns the connection of an app that a merchant has just
// approved: it holds a code, which lives 600 s.
func (s *Server) AppConnection(base string) providers.Connection {
	base = strings.TrimRight(base, "/")
	return providers.Connection{
		Provider: providers.SHOPLINE, Kind: providers.OneTimePair, BaseURL: base + "/v1",
		TokenURL: base + "/developers/oauth/token", Account: MerchantID, ClientID: ClientID,
		ClientSecrets: []providers.Secret{providers.NewSecret(s.ClientSecrets[0])},
		RedirectURI:   s.RedirectURI, Code: providers.NewSecret(s.app.newCode(s.RedirectURI)),
		Quirks: []byte(`{"handle":"` + Handle + `"}`),
	}
}

// Token returns the newest staff token in the form that callers read.
func (s *Server) Token(base string) providers.Token {
	c := s.Connection(base)
	return providers.Token{
		Provider: c.Provider, Kind: c.Kind, BaseURL: c.BaseURL, Account: c.Account,
		Credential: c.APIKey, ObtainedAt: s.Now(), ExpiresAt: c.ExpiresAt,
	}
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	sandbox.JSON(w, status, map[string]string{"message": message, "code": code})
}
