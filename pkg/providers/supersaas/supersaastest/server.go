// Package supersaastest is a SuperSaaS for one laptop: an account with
// Japanese and Chinese-speaking customers, three schedules, forms, promotions
// and webhooks. It behaves as the documents say and misbehaves on request. It
// serves every call of the official clients; XML is refused with 501.
//
//	s := supersaastest.New(sandbox.Options{Records: 500})
//	s.AddHook(supersaastest.Hook{Trigger: "M", Target: "https://shop.example/hook/" + secret})
//	id := s.AddUser(map[string]any{"name": "hanako@mail.example", "full_name": "山田 花子"})
//	s.ChangeUser(id, map[string]any{"mobile": "090-0000-0000"})
//
// What people do in the account's pages is done by the methods of Editor,
// which a Server has, and fires webhooks. What Quiet's do fires none, as
// calls of the API without webhook=true.
//
// Set Knobs, BetweenPages and Poster before the first request, or inside Do.
// The methods of Editor must not be called inside Do.
package supersaastest

import (
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

// AccountID is the account's number, which stands as parent_id in answers
// about hooks on the account.
const AccountID = 880001

// allowedRate is how many requests a second the account is allowed, counted in
// a bucket of as many. The provider's limit is not published. Its Python client
// means to keep to four in a second and sends up to five: it notes when a call
// asked to be sent, not when it was. Whatever the provider's limit is, that
// client must fit into it.
const allowedRate = 5

// An Order is how lists of users are sorted.
type Order string

// The orders. The guide's author sees ByName, which is the default.
const (
	ByName   Order = "name"
	ByID     Order = "id"
	Shuffled Order = "shuffled" // by nothing a client can know, but always the same
)

// Knobs are what the documents leave open or differ in, and how webhooks go
// astray. The zero value is the likeliest reading.
type Knobs struct {
	Order       Order
	GoneAsUser  bool // GET of a deleted user or booking answers 200 with deleted, instead of 404
	RefuseLogin bool // no checksum opens a login link, as the guide reports
	RefuseBasic bool // only a key in the query, or a bearer, is accepted
	RefusePing  bool // the account has no ping
	ParentByID  bool // hooks on the account want its number as parent_id
	Tuples      bool // schedules, resources and groups are listed as [id, name]
	BareLists   bool // changes, range, agenda and free answer a bare array
	AllowLocal  bool // hooks may point at this machine; hikyaku sandbox --allow-local-hooks

	ConflictStatus int // of a booking where another is; 0: 422

	Skip      func(id int64) bool // lists of users leave these out
	FailsFrom int                 // lists of users answer 503 from this offset on; 0: never
	Lag       time.Duration       // lists of users show what was true so long ago

	Asynchronous bool    // post webhooks after the change returns, not before
	Duplicate    float64 // chance that a webhook comes twice
	Drop         float64 // chance that it never comes
	HoldBack     float64 // chance that it waits for Release, and so comes out of order
}

// Settings are what a test may set before the first request, or inside Do.
type Settings struct {
	Account string // the account's name
	Knobs   Knobs
	// BetweenPages runs before a list of users is served from an offset
	// above 0, with the number of such pages so far. It may change users.
	BetweenPages func(page int)
	// Poster posts the webhooks; nil means the network.
	Poster http.RoundTripper
}

// A Server is the sandbox. It is safe for concurrent use.
type Server struct {
	*sandbox.Server
	*Editor
	Settings

	seed       uint64
	account    account
	users      users
	bookings   bookings
	forms      forms
	promotions promotions
	hooks      hooks
	post       *mail
	texts      sandbox.Texts
	pages      atomic.Int64
}

// New returns a sandbox with o.Count users and as many bookings.
func New(o sandbox.Options) *Server {
	s := &Server{Server: sandbox.NewServer(providers.SuperSaaS, allowedRate, o), Settings: Settings{Account: "mihon_salon"}}
	seed, records := s.Origin()
	s.seed = seed
	s.Editor = &Editor{server: s, fires: true}
	s.CountInBucket()
	s.users = newUsers(&s.Settings, s.Now, seed, records)
	s.bookings = newBookings(&s.users, s.Now, records)
	s.forms = newForms(&s.users, records)
	s.promotions = templates()
	s.account = account{set: &s.Settings, users: &s.users, seed: seed}
	s.post = newMail(&s.Settings, seed, o.MaxCalls, s.Journal())
	s.hooks = hooks{set: &s.Settings, account: &s.account, post: s.post}
	s.resume()
	if s.account.keys == 0 {
		s.RollKey()
	}
	s.routes()
	return s
}

// ServeHTTP serves a request and posts the webhooks that it fired.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer s.post.flush()
	if s.BetweenPages != nil && strings.HasPrefix(r.URL.Path, "/api/users.") && r.URL.Query().Get("offset") > "0" {
		s.BetweenPages(int(s.pages.Add(1)))
	}
	s.Server.ServeHTTP(w, r)
}

// Client returns an HTTP client that calls the sandbox in-process, whatever
// host a request names.
func (s *Server) Client() *http.Client { return &http.Client{Transport: sandbox.Transport(s)} }

// RollKey replaces the API key, as the account's settings do. The old one
// ends at once.
func (s *Server) RollKey() (key string) {
	s.Do(func() { key = s.account.roll() })
	return key
}

// Connection returns what an operator would configure for a sandbox at base.
func (s *Server) Connection(base string) providers.Connection {
	c := providers.Connection{Provider: providers.SuperSaaS, Kind: providers.Static, BaseURL: base, Account: s.Account}
	s.Do(func() { c.APIKey = providers.NewSecret(s.account.key) })
	return c
}

// Token returns a working token for a sandbox at base.
func (s *Server) Token(base string) providers.Token {
	c := s.Connection(base)
	return providers.Token{Provider: c.Provider, Kind: c.Kind, BaseURL: c.BaseURL, Account: c.Account, Credential: c.APIKey, ObtainedAt: s.Now()}
}

func (s *Server) routes() {
	users := userCalls{set: &s.Settings, account: &s.account, users: &s.users, hooks: &s.hooks, server: s.Server}
	for _, list := range []string{"/api/users.json", "/api/users", "/api/users/{$}"} {
		s.guard("GET "+list, userCall, users.list)
		s.guard("POST "+list, userCall, users.write)
		s.guard("PUT "+list, userCall, users.write)
		s.guard("DELETE "+list, userCall, users.delete)
	}
	s.guard("GET /api/users/{key}", userCall, users.get)
	s.guard("POST /api/users/{key}", userCall, users.write)
	s.guard("PUT /api/users/{key}", userCall, users.write)
	s.guard("DELETE /api/users/{key}", userCall, users.delete)
	s.guard("GET /api/users.xml", userCall, noXML)
	s.HandleUnlimited("GET /api/login", s.account.login) // a person's browser
	s.HandleUnlimited("POST /api/login", s.account.login)
	s.guard("GET /api/ping", accountCall, s.account.ping)
	s.guard("GET /api/hooks", accountCall, s.hooks.answerList)
	s.guard("POST /api/hooks", accountCall, s.hooks.create)
	s.guard("DELETE /api/hooks", accountCall, s.hooks.delete)
	s.bookingRoutes()
	named := names{set: &s.Settings}
	s.guard("GET /api/field_list.json", accountCall, fieldList)
	s.guard("GET /api/schedules.json", accountCall, named.schedules)
	s.guard("GET /api/resources.json", accountCall, named.resources)
	s.guard("GET /api/groups.json", accountCall, named.groups)
	s.guard("GET /api/super_forms.json", accountCall, superFormList)
	s.guard("GET /api/forms.json", accountCall, s.forms.answerList)
	s.Lists("GET /api/users.json", "GET /api/users", "GET /api/users/{$}", "GET /api/changes/{schedule}", "GET /api/range/{schedule}",
		"GET /api/agenda/{schedule}", "GET /api/bookings.json", "GET /api/bookings", "GET /api/forms.json", "GET /api/promotions.json")
	s.guard("GET /api/promotions.json", accountCall, s.promotions.answerList)
	s.guard("POST /api/promotions.json", accountCall, s.promotions.duplicate)
	s.RefuseWith(func(w http.ResponseWriter, r *sandbox.Request, status int, _ string) {
		if status == http.StatusNotFound && strings.HasSuffix(r.URL.Path, ".xml") {
			noXML(w, r)
			return
		}
		text := http.StatusText(status)
		fail(w, status, text[:1]+strings.ToLower(text[1:])) // unverified for 429 and 503, which no document mentions
	})
}

func (s *Server) bookingRoutes() {
	calls := bookingCalls{set: &s.Settings, now: s.Now, users: &s.users, bookings: &s.bookings, hooks: &s.hooks, server: s.Server}
	s.guard("GET /api/changes/{schedule}", accountCall, calls.changes)
	s.guard("GET /api/range/{schedule}", accountCall, calls.span)
	s.guard("GET /api/agenda/{schedule}", accountCall, calls.agenda)
	s.guard("GET /api/free/{schedule}", accountCall, calls.free)
	for _, list := range []string{"/api/bookings.json", "/api/bookings"} {
		s.guard("GET "+list, accountCall, calls.list)
		s.guard("POST "+list, accountCall, calls.create)
	}
	s.guard("GET /api/bookings/{id}", accountCall, calls.get)
	s.guard("PUT /api/bookings/{id}", accountCall, calls.update)
	s.guard("DELETE /api/bookings/{id}", accountCall, calls.delete)
}

func noXML(w http.ResponseWriter, _ *sandbox.Request) {
	fail(w, http.StatusNotImplemented, "this sandbox answers JSON only")
}

// fail answers in the shape that the official clients' papers show.
func fail(w http.ResponseWriter, status int, title string) {
	type entry struct {
		Status string `json:"status"`
		Title  string `json:"title"`
	}
	sandbox.JSON(w, status, map[string][]entry{"errors": {{Status: itoa(int64(status)), Title: title}}})
}

// invalid answers in the other shape: a map from field to complaints.
func invalid(w http.ResponseWriter, field, complaint string) {
	complain(w, http.StatusUnprocessableEntity, field, complaint)
}

func complain(w http.ResponseWriter, status int, field, complaint string) {
	sandbox.JSON(w, status, map[string]map[string][]string{"errors": {field: {complaint}}})
}

// created answers that there is something new at a path, with an address that
// a client can follow.
func created(w http.ResponseWriter, r *sandbox.Request, path string) {
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	w.Header().Set("Location", scheme+r.Host+path)
	w.WriteHeader(http.StatusCreated)
}
