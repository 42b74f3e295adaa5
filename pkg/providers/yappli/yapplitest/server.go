// Package yapplitest is a sandbox of the Yappli CRM Open API: an HTTP handler
// that behaves as the provider's documents say, refuses what they do not
// allow, and misbehaves on request.
//
//	s := yapplitest.New(sandbox.Options{Records: 300})
//	s.Generation, s.Lookup = 3, true
//	client := yappli.New(providers.Fixed(s.Token("http://yappli.example")), &providers.Options{HTTP: s.Client()})
//
// Where the documents are silent or contradict themselves, a field of Knobs
// says what this tenant does; the zero value of each is the documents' reading.
// Set knobs before the first request, or inside Do. Records are read and
// changed by hand with Members, Put, Delete and FindUnique, at any time and
// from any goroutine.
//
// Stricter than any document, so that a client's fault shows here first: a
// body in another encoding than the tenant's, an update that names point (or,
// before generation 3, unique_id), and values that are not of their type are
// refused with 400. Names that no document knows are ignored, because the
// provider's own examples send one (顧客登録).
package yapplitest

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

// A Duplicate says what a creation with a unique_id that exists does.
type Duplicate string

// The rules for duplicates; no document states one.
const (
	SecondUser Duplicate = ""          // makes a second member
	Refuse     Duplicate = "400"       // is refused with 400
	Overwrite  Duplicate = "overwrite" // updates the member that exists
)

// The credentials that the sandbox accepts.
const (
	ClientID     = "yappli-client"
	ClientSecret = "yappli-client-secret" //nolint:gosec // of a sandbox
)

const (
	tokenLife   = 24 * time.Hour // (アクセストークンの再発行)
	defaultRate = 2              // a guess: no limit is published
	defaultPage = 50
	largestPage = 1000
)

// Knobs say what a tenant does. Set them before the first request, or inside Do.
type Knobs struct {
	// Generation is 1 (also if 0), 2 (a User-Agent is required) or 3
	// (page and per_page with totals, JSON bodies, 404 for an unknown id).
	Generation int
	// Lookup says that GET /api/ext/users/unique_id/{unique_id} exists.
	Lookup bool
	// Duplicate is the rule for a creation with a unique_id that exists.
	Duplicate Duplicate
	// Replace says that an update resets the fields that it omits, as does
	// an overwriting creation: to null, rank and logined to 0, and enabled
	// to 1. password and secret_answer, which no answer shows, are kept.
	Replace bool
	// Trim says that a creation or update drops the white space around each
	// value, that of unique_id, too. Members made with Put keep theirs.
	Trim bool
	// Body is the encoding that creations and updates must have:
	// "multipart", "json" or "form". Empty: multipart, from generation 3
	// on json.
	Body string
	// Wrapper is the form of answers: "table" (also if empty, members >
	// member > fields), "flat" ({"members":[{...}]} and {"member":{...}}),
	// "inner" ({"members":{"member":[...]}} and {"member":[{...}]}) or
	// "bare" (a list as for flat, a single member without a wrapper).
	Wrapper string
	// MissingStatus is the answer for an id that no member has. 0: 400,
	// the only one documented, from generation 3 on 404.
	MissingStatus int
	// MaxPage is the most members on a page, whatever was asked for. 0:
	// 1000.
	MaxPage int
	// Lag makes each list show the members as they were at some instant
	// within this time, drawn again for each page.
	Lag time.Duration
	// Skip leaves members out of lists, and nowhere else.
	Skip func(id string) bool
	// BetweenPages runs before page 2, 3, ... of a list is made, counted
	// from the last request for a first page. It may change members.
	BetweenPages func(page int)
	// HandoverMember adds the member to the answer of a hand-over check,
	// as the documents' prose has it.
	HandoverMember bool
}

// A Server is the sandbox of one tenant.
type Server struct {
	*sandbox.Server
	*Records
	Knobs

	// Tokens issues and checks access tokens; its NewRevokesOld makes a
	// new token end the earlier ones.
	Tokens *sandbox.Tokens

	pages     int // of the list under way; used by handlers only
	handovers handovers
}

// New returns a sandbox with invented members.
func New(o sandbox.Options) *Server {
	s := &Server{Server: sandbox.NewServer(providers.Yappli, defaultRate, o), Tokens: &sandbox.Tokens{Life: tokenLife}}
	seed, records := s.Origin()
	s.Records = &Records{
		knobs: &s.Knobs, now: s.Now, disown: s.Disown, seed: seed, table: newTable(seed, records),
		random: rand.New(rand.NewPCG(seed, 0x6c6167)), // invented data and lags need no secrecy
	}
	s.resume(s.Journal())
	s.Tokens.KeepIn(s.Journal().Section("tokens"))
	s.handovers.resume(s.Journal())
	s.HandleUnlimited("POST /api/ext/token", s.token)
	s.Handle("GET /api/ext/users", s.guarded(s.list))
	s.Handle("POST /api/ext/users", s.guarded(s.create))
	s.Handle("GET /api/ext/users/{id}", s.guarded(s.get))
	s.Handle("PUT /api/ext/users/{id}", s.guarded(s.update))
	s.Handle("GET /api/ext/users/unique_id/{unique_id}", s.guarded(s.lookup))
	s.Handle("GET /api/ext/check/{token}", s.guarded(s.check))
	s.Lists("GET /api/ext/users")
	s.ListsHave(true, false)
	s.Expiring(s.Tokens)
	s.RefuseWith(func(w http.ResponseWriter, _ *sandbox.Request, status int, code string) {
		fail(w, status, code, http.StatusText(status)) // unverified for 404, 429 and 503: documented are 400 and 401
	})
	_ = s.Journal().Commit() // Err says it
	return s
}

// Connection returns what an operator configures for this tenant, whose
// address is base, with the quirks that its knobs call for.
func (s *Server) Connection(base string) providers.Connection {
	return providers.Connection{
		Provider: providers.Yappli, Kind: providers.ClientCredentials, BaseURL: base, ClientID: ClientID,
		ClientSecrets: []providers.Secret{providers.NewSecret(ClientSecret)}, Quirks: s.quirks(),
	}
}

// Token issues a token for base, as the refresher would have stored it.
func (s *Server) Token(base string) providers.Token {
	now := s.Now()
	access, _ := s.Tokens.Issue(now)
	return providers.Token{
		Provider: providers.Yappli, Kind: providers.ClientCredentials, BaseURL: base, Credential: providers.NewSecret(access),
		ObtainedAt: now, ExpiresAt: now.Add(s.Tokens.LifeNow()), Quirks: s.quirks(),
	}
}

// quirks are those of a connection to the tenant.
func (k *Knobs) quirks() json.RawMessage {
	q := map[string]string{"body": k.encoding(), "update": "partial"}
	if k.Replace {
		q["update"] = "replace"
	}
	if k.Lookup {
		q["lookup"] = "unique_id"
	}
	if k.Generation >= 3 {
		q["paging"], q["token"] = "page", "json"
	}
	b, _ := json.Marshal(q) // a map of strings has no way to fail
	return b
}

func (k *Knobs) encoding() string {
	switch {
	case k.Body != "":
		return k.Body
	case k.Generation >= 3:
		return "json"
	}
	return "multipart"
}

// IssueHandover makes a hand-over token for the member with Yappli's id, as
// the app does when it sends its user to another service.
func (s *Server) IssueHandover(id string) string { return s.handovers.issue(id) }

// fail answers with the documented error document.
func fail(w http.ResponseWriter, status int, code, description string) {
	sandbox.JSON(w, status, map[string]string{"error": code, "error_description": description})
}

func bad(w http.ResponseWriter, description string) {
	fail(w, http.StatusBadRequest, "invalid_request", description)
}

// guarded admits requests with a valid token and, from generation 2 on, a
// User-Agent.
func (s *Server) guarded(h sandbox.Handler) sandbox.Handler {
	return func(w http.ResponseWriter, r *sandbox.Request) {
		switch {
		case s.Generation >= 2 && r.UserAgent() == "":
			bad(w, "the User-Agent header is required")
		case !s.Tokens.Valid(r.BearerToken(), s.Now()):
			fail(w, http.StatusUnauthorized, "invalid_token", "the access token is unknown or has expired")
		case r.Bad != nil:
			bad(w, "the body cannot be read")
		default:
			h(w, r)
		}
	}
}

func (s *Server) token(w http.ResponseWriter, r *sandbox.Request) {
	media := "application/x-www-form-urlencoded"
	if s.Generation >= 3 {
		media = "application/json"
	}
	switch {
	case s.Generation >= 2 && r.UserAgent() == "":
		bad(w, "the User-Agent header is required")
	case r.Media != media || r.Bad != nil:
		bad(w, "the body must be "+media)
	case r.Param("grant_type") == "" || r.Param("client_id") == "" || r.Param("client_secret") == "":
		bad(w, "grant_type, client_id and client_secret are required")
	case r.Param("grant_type") != "client_credentials":
		fail(w, http.StatusBadRequest, "unsupported_grant_type", "only client_credentials is supported")
	case r.Param("client_id") != ClientID || r.Param("client_secret") != ClientSecret:
		fail(w, http.StatusUnauthorized, "invalid_client", "client authentication failed")
	default:
		access, refresh := s.Tokens.Issue(s.Now())
		sandbox.JSON(w, http.StatusOK, map[string]any{
			"access_token": access, "token_type": "bearer", "refresh_token": refresh,
			"expires_in": int(s.Tokens.LifeNow() / time.Second), "scope": nil,
		})
	}
}
