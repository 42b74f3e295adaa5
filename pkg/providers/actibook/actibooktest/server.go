// Package actibooktest is a sandbox of ActiBookOne's single sign-on: the token
// call, the proxy login, and the site that the login's URL opens.
//
//	s := actibooktest.New(sandbox.Options{})
//	client := actibook.New(providers.Fixed(s.Token("http://127.0.0.1:8080")), &providers.Options{HTTP: s.Client()})
//
// Tokens live 1800 seconds and look like the documents' own: a JWT whose times
// have fractions. A login needs a keyword that is tied to a group, creates the
// site user, and answers a URL that works once. What the documents leave open
// is a field of Server, to be set before the first request or within Do.
package actibooktest

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/actibook"
	"hikyaku/pkg/providers/sandbox"
)

const (
	requestsPerSecond = 1                  // not documented: what our client keeps to
	tokenPath         = "/api/oauth/token" //nolint:gosec // a path, no credential
	loginPath         = "/api/sso/login"
)

// A Server is one account with its site. No copy of the documents shows the
// addresses of the calls; those here are made up.
type Server struct {
	*sandbox.Server

	Tokens                 sandbox.Tokens // issue, revoke
	ClientID, ClientSecret string
	// Quirks are carried by Connection and Token, which add the sandbox's
	// own address to the trusted hosts. KeywordParameter is the one that a
	// login must bring.
	Quirks  actibook.Quirks
	Groups  map[string]string // keyword to group; a keyword that is not tied is refused
	Site    string            // origin of the redirect URLs; empty: the one that the request came to
	Wrapper string            // name of an object around redirect_url; empty: none
	Silent  bool              // answer {} to a login, as the documents' sample does
	Reuse   bool              // redirect URLs work more than once

	seed    uint64
	users   siteUsers
	tickets tickets
}

// New returns a sandbox with invented site users.
func New(o sandbox.Options) *Server {
	s := &Server{
		Server:   sandbox.NewServer(providers.ActiBook, requestsPerSecond, o),
		Tokens:   sandbox.Tokens{Life: 30 * time.Minute},
		ClientID: "actibook-client", ClientSecret: "actibook-client-secret-0000",
		Groups: map[string]string{"members": "会員", "staff": "スタッフ"},
	}
	s.resume()
	s.HandleUnlimited("POST "+tokenPath, s.token)
	s.Handle("POST "+loginPath, s.login)
	s.HandleUnlimited("GET /sso/login/{ticket}", s.open)
	s.Expiring(&s.Tokens)
	s.RefuseWith(func(w http.ResponseWriter, _ *sandbox.Request, status int, code string) {
		refuse(w, status, code, http.StatusText(status))
	})
	_ = s.Journal().Commit() // Err says it
	return s
}

// Connection returns what an operator configures. It has no ProbeKeyword,
// because a probe would create a site user.
func (s *Server) Connection(base string) providers.Connection {
	return providers.Connection{
		Provider: providers.ActiBook, Kind: providers.ClientCredentials, BaseURL: base,
		TokenURL: base + tokenPath, LoginURL: base + loginPath, ClientID: s.ClientID,
		ClientSecrets: []providers.Secret{providers.NewSecret(s.ClientSecret)}, Quirks: s.rawQuirks(base),
	}
}

// Token returns a valid token.
func (s *Server) Token(base string) providers.Token {
	now := s.Now()
	return providers.Token{
		Provider: providers.ActiBook, Kind: providers.ClientCredentials, BaseURL: base, LoginURL: base + loginPath,
		Credential: providers.NewSecret(s.issue(now)), ObtainedAt: now, ExpiresAt: now.Add(s.Tokens.LifeNow()), Quirks: s.rawQuirks(base),
	}
}

// rawQuirks are the sandbox's quirks with base among the trusted hosts: it is
// neither https nor under actibookone.com.
func (s *Server) rawQuirks(base string) json.RawMessage {
	q := s.Quirks
	q.RedirectHosts = append([]string{strings.TrimRight(base, "/")}, q.RedirectHosts...)
	if s.Site != "" {
		q.RedirectHosts = append(q.RedirectHosts, s.Site)
	}
	raw, _ := json.Marshal(q) // texts, and what a test put into parameters
	return raw
}

// refuse answers an error in the manner of Laravel Passport, unverified: the documents
// show no error.
func refuse(w http.ResponseWriter, status int, code, message string) {
	sandbox.JSON(w, status, map[string]string{"error": code, "message": message})
}
