package shoplinetest

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
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
	made    time.Time // zero: by another process
	expires time.Time // zero: never
	paths   []string  // of the APIs that are ticked; empty: all
	allowed []string  // addresses; empty: any
}

// A Staff holds the tokens that people make under API Auth.
type Staff struct {
	set *Settings
	now func() time.Time
	// ended reports whether what was made at a time is refused before its time.
	ended func(made time.Time) bool
	app   *sandbox.Tokens // whose tokens are accepted as well

	kept *sandbox.Section

	mu     sync.Mutex // guards the fields below
	tokens map[string]*staffToken
	newest string
	serial int
}

// GenerateToken makes a staff token, as "Generate" under API Auth does. A zero
// expires means never. paths are the ticked APIs, such as "/v1/orders"; none
// means all.
func (s *Staff) GenerateToken(expires time.Time, paths ...string) string {
	defer s.kept.Commit()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	s.newest = fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "staff token %d", s.serial)))
	s.tokens[s.newest] = &staffToken{made: s.now(), expires: expires, paths: paths}
	s.note(s.newest)
	return s.newest
}

// DeleteToken deletes a staff token and its IP whitelist.
func (s *Staff) DeleteToken(token string) {
	defer s.kept.Commit()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, token)
	s.kept.Delete(token)
}

// AllowIP adds an address to a token's whitelist. Only an existing token has
// one; it holds at most 20 entries, each with a name of at most 20 characters.
func (s *Staff) AllowIP(token, name, address string) error {
	defer s.kept.Commit()
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tokens[token]
	switch {
	case t == nil:
		return errors.New("adding to the IP whitelist: no such token; generate it first")
	case utf8.RuneCountInString(name) > whitelistName:
		return fmt.Errorf("adding to the IP whitelist: a name has at most %d characters", whitelistName)
	case len(t.allowed) == whitelistSize:
		return fmt.Errorf("adding to the IP whitelist: a token has at most %d entries", whitelistSize)
	}
	t.allowed = append(t.allowed, address)
	s.note(token)
	return nil
}

func (s *Staff) newestToken() (token string, expires time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tokens[s.newest]; t != nil {
		expires = t.expires
	}
	return s.newest, expires
}

// authorized runs next only for a caller with a valid token, from an address
// and for an API that the token allows.
func (s *Staff) authorized(next sandbox.Handler) sandbox.Handler {
	return func(w http.ResponseWriter, r *sandbox.Request) {
		if agent := r.UserAgent(); agent == "" || s.set.StrictAgent && agent != Handle {
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

func (s *Staff) check(r *sandbox.Request) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	bearer := r.BearerToken()
	t := s.tokens[bearer]
	switch {
	case t == nil && s.app.Valid(bearer, s.now()):
		return http.StatusOK
	case t == nil || !t.expires.IsZero() && !s.now().Before(t.expires) || s.ended(t.made):
		return http.StatusUnauthorized
	case !t.allows(r.RemoteAddr):
		return cmp.Or(s.set.RefusedStatus, http.StatusUnauthorized)
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

func tokenInfo(w http.ResponseWriter, _ *sandbox.Request) {
	const staffID, userID, email, name = "64aa00000000000000000001", "64aa00000000000000000002", "api@example.test", "API user"
	sandbox.JSON(w, http.StatusOK, map[string]any{
		"staff":    map[string]any{"_id": staffID, "email": email, "locale_code": "zh-hant", "merchant_ids": []string{MerchantID}, "name": name},
		"merchant": map[string]any{"_id": MerchantID, "email": "owner@example.test", "handle": Handle, "name": "範例商店"},
		"user":     map[string]any{"_id": userID, "email": email, "name": name},
	})
}
