package shoplinetest

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"hikyaku/pkg/providers/sandbox"
)

// The documented bounds of a token's IP whitelist.
const (
	whitelistSize = 20
	whitelistName = 20 // characters
)

type staffToken struct {
	expires time.Time // zero: never
	paths   []string  // of the APIs that are ticked; empty: all
	allowed []string  // addresses; empty: any
}

type code struct {
	made     time.Time
	redirect string
}

// GenerateToken makes a staff token, as "Generate" under API Auth does. A zero
// expires means never. paths are the ticked APIs, such as "/v1/orders"; none
// means all.
func (s *Server) GenerateToken(expires time.Time, paths ...string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	s.newest = fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "staff token %d", s.serial)))
	s.staff[s.newest] = &staffToken{expires: expires, paths: paths}
	return s.newest
}

// DeleteToken deletes a staff token and its IP whitelist.
func (s *Server) DeleteToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.staff, token)
}

// AllowIP adds an address to a token's whitelist. Only an existing token has
// one; it holds at most 20 entries, each with a name of at most 20 characters.
func (s *Server) AllowIP(token, name, address string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.staff[token]
	switch {
	case t == nil:
		return errors.New("adding to the IP whitelist: no such token; generate it first")
	case utf8.RuneCountInString(name) > whitelistName:
		return fmt.Errorf("adding to the IP whitelist: a name has at most %d characters", whitelistName)
	case len(t.allowed) == whitelistSize:
		return fmt.Errorf("adding to the IP whitelist: a token has at most %d entries", whitelistSize)
	}
	t.allowed = append(t.allowed, address)
	return nil
}

func (s *Server) newestToken() (token string, expires time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.staff[s.newest]; t != nil {
		expires = t.expires
	}
	return s.newest, expires
}

// authorized runs next only for a caller with a valid token, from an address
// and for an API that the token allows.
func (s *Server) authorized(next sandbox.Handler) sandbox.Handler {
	return func(w http.ResponseWriter, r *sandbox.Request) {
		if agent := r.UserAgent(); agent == "" || s.StrictAgent && agent != Handle {
			sandbox.JSON(w, http.StatusBadRequest, map[string]string{"error": "User-Agent must be the handle code", "code": "BadRequest"})
			return
		}
		switch status := s.check(r); status {
		case http.StatusOK:
			next(w, r)
		case http.StatusForbidden:
			refuse(w, status, "Forbidden", "You do not have permission to perform this action")
		default:
			refuse(w, status, "Unauthorized", "Unauthorized")
		}
	}
}

func (s *Server) check(r *sandbox.Request) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	bearer := r.BearerToken()
	t := s.staff[bearer]
	switch {
	case t == nil && s.Tokens.Valid(bearer, s.Now()):
		return http.StatusOK
	case t == nil || !t.expires.IsZero() && !s.Now().Before(t.expires):
		return http.StatusUnauthorized
	case !t.allows(r.RemoteAddr):
		return cmp.Or(s.RefusedStatus, http.StatusUnauthorized)
	case !t.ticked(r.URL.Path):
		return http.StatusForbidden
	}
	return http.StatusOK
}

func (t *staffToken) allows(remote string) bool {
	host, _, _ := net.SplitHostPort(remote)
	return len(t.allowed) == 0 || slices.Contains(t.allowed, host)
}

func (t *staffToken) ticked(path string) bool {
	return len(t.paths) == 0 || slices.ContainsFunc(t.paths, func(p string) bool { return strings.HasPrefix(path, p) })
}

func (s *Server) tokenInfo(w http.ResponseWriter, _ *sandbox.Request) {
	const staffID, userID, email, name = "64aa00000000000000000001", "64aa00000000000000000002", "api@example.test", "API user"
	sandbox.JSON(w, http.StatusOK, map[string]any{
		"staff":    map[string]any{"_id": staffID, "email": email, "locale_code": "zh-hant", "merchant_ids": []string{MerchantID}, "name": name},
		"merchant": map[string]any{"_id": MerchantID, "email": "owner@example.test", "handle": Handle, "name": "範例商店"},
		"user":     map[string]any{"_id": userID, "email": email, "name": name},
	})
}

// authorizePage approves at once, as if the merchant had logged in.
func (s *Server) authorizePage(w http.ResponseWriter, r *sandbox.Request) {
	q := r.URL.Query()
	merchant := q.Get("merchant_id")
	target, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || q.Get("client_id") != ClientID || q.Get("redirect_uri") != s.RedirectURI ||
		q.Get("response_type") != "code" || merchant != "" && merchant != MerchantID {
		oauthError(w, http.StatusBadRequest, "invalid_request")
		return
	}
	answer := url.Values{"code": {s.newCode(s.RedirectURI)}}
	if q.Has("state") {
		answer.Set("state", q.Get("state"))
	}
	target.RawQuery = answer.Encode()
	http.Redirect(w, r.Request, target.String(), http.StatusFound)
}

func (s *Server) newCode(redirect string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	value := fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "code %d", s.serial)))
	s.codes[value] = code{made: s.Now(), redirect: redirect}
	s.Tokens.AddCode(value)
	return value
}

// tokenEndpoint exchanges a code or spends a refresh token. The documents show
// the first as JSON and the second as a query string; both are read.
func (s *Server) tokenEndpoint(w http.ResponseWriter, r *sandbox.Request) {
	wanted := "application/json"
	if s.FormTokens {
		wanted = "application/x-www-form-urlencoded"
	}
	switch {
	case r.Bad != nil || r.Media != wanted && len(r.Raw) > 0 || s.FormTokens && r.URL.RawQuery != "":
		oauthError(w, http.StatusBadRequest, "invalid_request")
		return
	case r.Param("client_id") != ClientID || !slices.Contains(s.ClientSecrets, r.Param("client_secret")):
		oauthError(w, http.StatusUnauthorized, "invalid_client")
		return
	}
	var access, refresh string
	var ok bool
	now := s.Now()
	switch r.Param("grant_type") {
	case "authorization_code":
		if s.usableCode(r.Param("code"), r.Param("redirect_uri")) {
			access, refresh, ok = s.Tokens.Exchange(r.Param("code"), now)
		}
	case "refresh_token":
		if r.Param("redirect_uri") == s.RedirectURI {
			access, refresh, ok = s.Tokens.Redeem(r.Param("refresh_token"), now)
		}
	default:
		oauthError(w, http.StatusBadRequest, "unsupported_grant_type")
		return
	}
	if !ok {
		oauthError(w, http.StatusBadRequest, "invalid_grant")
		return
	}
	sandbox.JSON(w, http.StatusOK, map[string]any{
		"access_token": access, "token_type": "Bearer", "expires_in": int64(s.Tokens.Life / time.Second),
		"refresh_token": refresh, "scope": "customers orders", "created_at": now.Unix(), "resource_owner_id": MerchantID,
	})
}

// usableCode reports whether a code is young enough and was made for redirect.
func (s *Server) usableCode(value, redirect string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, found := s.codes[value]
	return found && c.redirect == redirect && s.Now().Sub(c.made) < codeLife
}

func oauthError(w http.ResponseWriter, status int, code string) {
	sandbox.JSON(w, status, map[string]string{"error": code, "error_description": "the request was refused"})
}
