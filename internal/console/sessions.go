package console

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	enterPath   = "/enter/"
	tokenHeader = "X-CSRF-Token" //nolint:gosec // a header's name

	linkLife    = 15 * time.Minute
	sessionLife = 30 * 24 * time.Hour
	maxSessions = 20 // the oldest goes
)

// sessions are who has entered. A browser enters by a link that works once, and is known
// from then on by a cookie. What is kept is digests, so that the file opens nothing.
type sessions struct {
	cookie string
	file   string
	now    func() time.Time

	mu      sync.Mutex
	links   map[string]time.Time // until when, by digest
	entered []session            // the oldest first
}

type session struct {
	digest string
	until  time.Time
}

func openSessions(file string, port int, now func() time.Time) (*sessions, error) {
	s := &sessions{cookie: fmt.Sprintf("hikyaku-%d", port), file: file, now: now, links: map[string]time.Time{}}
	if file == "" {
		return s, nil
	}
	raw, err := os.ReadFile(file) //nolint:gosec // the caller names the file
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading who has entered the console: %w", err)
	}
	for line := range strings.Lines(string(raw)) {
		until, digest, ok := strings.Cut(strings.TrimSpace(line), " ")
		if at, err := time.Parse(time.RFC3339, until); ok && err == nil {
			s.entered = append(s.entered, session{digest, at})
		}
	}
	return s, nil
}

func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// invite makes the key of a link.
func (s *sessions) invite() (string, error) {
	key := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.links[digest(key)] = s.now().Add(linkLife)
	return key, nil
}

// exchange gives the cookie of a new session for a key that has not been used.
func (s *sessions) exchange(key string) (*http.Cookie, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	until, known := s.links[digest(key)]
	delete(s.links, digest(key))
	if !known || s.now().After(until) {
		return nil, false
	}
	secret := rand.Text()
	s.entered = append(s.entered, session{digest(secret), s.now().Add(sessionLife)})
	s.entered = s.entered[max(0, len(s.entered)-maxSessions):]
	s.save()
	return &http.Cookie{ //nolint:gosec // the console speaks HTTP on the loopback, where Secure would lose the cookie
		Name: s.cookie, Value: secret, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: int(sessionLife.Seconds()),
	}, true
}

// save keeps the digests. One that could not be kept costs its browser another link after
// a restart, and nothing else.
func (s *sessions) save() {
	if s.file == "" {
		return
	}
	var lines strings.Builder
	for _, e := range s.entered {
		_, _ = fmt.Fprintf(&lines, "%s %s\n", e.until.UTC().Format(time.RFC3339), e.digest)
	}
	_ = os.WriteFile(s.file, []byte(lines.String()), 0o600)
}

// of returns the secret of a request's session; empty: it has none.
func (s *sessions) of(r *http.Request) string {
	cookie, err := r.Cookie(s.cookie)
	if err != nil {
		return ""
	}
	asked := digest(cookie.Value)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.entered {
		if hmac.Equal([]byte(e.digest), []byte(asked)) && s.now().Before(e.until) {
			return cookie.Value
		}
	}
	return ""
}

// tokenOf is what a session's pages send with each change: another site's page makes a
// browser send the cookie, and cannot read this.
func tokenOf(secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte("token of changes"))
	return hex.EncodeToString(mac.Sum(nil))
}

type sessionKey struct{}

// only lets those who have entered through, and of the requests that change something
// those that bear the session's token.
func (s *sessions) only(next http.Handler, outside func(http.ResponseWriter, *http.Request)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secret := s.of(r)
		if secret == "" {
			outside(w, r)
			return
		}
		token := tokenOf(secret)
		if r.Method != http.MethodGet && r.Method != http.MethodHead && !hmac.Equal([]byte(token), []byte(r.Header.Get(tokenHeader))) {
			refuse(w, "The page is of an earlier session. Load it again.")
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), sessionKey{}, token)))
	})
}
