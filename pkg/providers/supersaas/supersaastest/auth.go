package supersaastest

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/supersaas"
)

// scope says whether a call is about one user, so that a checksum can open it.
type scope bool

const (
	userCall    scope = true
	accountCall scope = false
)

func apiKey(seed uint64, n int) string {
	return fmt.Sprintf("SSKEY%06d-%016x", n, seed*2654435761+uint64(n)*7919)
}

// guard registers a route whose caller has to prove who it is, and whose
// parameters have to be readable.
func (s *Server) guard(route string, kind scope, h sandbox.Handler) {
	s.Handle(route, func(w http.ResponseWriter, r *sandbox.Request) {
		switch status := s.authorize(r, kind); {
		case status == http.StatusUnauthorized:
			fail(w, status, "Not authorized")
		case status == http.StatusForbidden:
			fail(w, status, "Unauthorized, check your credentials")
		case r.Bad != nil:
			fail(w, http.StatusBadRequest, "Bad request: unreadable body")
		case strings.HasSuffix(r.URL.Path, ".xml"):
			noXML(w, r)
		default:
			h(w, r)
		}
	})
}

// authorize returns 200, 401 for a wrong key or none, or 403 for a way to
// authenticate that is not allowed here.
func (s *Server) authorize(r *sandbox.Request, kind scope) int {
	if sum, ok := r.Lookup("checksum"); ok {
		if kind != userCall {
			return http.StatusForbidden
		}
		return verdict(s.checksumUser(r, sum) != "")
	}
	if account, key, ok := r.BasicAuth(); ok {
		if s.Knobs.RefuseBasic {
			return http.StatusForbidden
		}
		return verdict(s.sameAccount(account) && s.sameKey(key))
	}
	key := r.BearerToken()
	if key == "" {
		key = r.Param("api_key")
	}
	return verdict(s.sameAccount(r.Param("account")) && s.sameKey(key))
}

func verdict(ok bool) int {
	if ok {
		return http.StatusOK
	}
	return http.StatusUnauthorized
}

func (s *Server) sameAccount(name string) bool {
	return strings.ReplaceAll(name, " ", "_") == strings.ReplaceAll(s.Account, " ", "_")
}

func (s *Server) sameKey(key string) bool {
	return subtle.ConstantTimeCompare([]byte(key), []byte(s.key)) == 1
}

// checksumUser returns the login name for which sum was made: the one that
// the call names, or else whichever of the account's it fits.
func (s *Server) checksumUser(r *sandbox.Request, sum string) string {
	fits := func(name string) bool {
		want := supersaas.Checksum(s.Account, providers.NewSecret(s.key), name).Reveal()
		return name != "" && subtle.ConstantTimeCompare([]byte(sum), []byte(want)) == 1
	}
	if u := s.users.find(keyOf(r)); u != nil {
		if fits(u.name) {
			return u.name
		}
		return ""
	}
	if fields, err := userFields(r); err == nil {
		var name string
		if v, ok := fields["name"]; ok {
			name = textOf(v)
		}
		if fits(name) {
			return name
		}
	}
	if keyOf(r) != "" {
		return ""
	}
	for _, u := range s.users.ordered(ByName) {
		if fits(u.name) {
			return u.name
		}
	}
	return ""
}

// login sends the user's browser on to the schedule.
func (s *Server) login(w http.ResponseWriter, r *sandbox.Request) {
	name := r.Param("user[name]")
	want := supersaas.Checksum(s.Account, providers.NewSecret(s.key), name).Reveal()
	ok := name != "" && s.sameAccount(r.Param("account")) && subtle.ConstantTimeCompare([]byte(r.Param("checksum")), []byte(want)) == 1
	if !ok || s.Knobs.RefuseLogin || s.users.byName[name] == nil {
		fail(w, http.StatusUnauthorized, "Not authorized")
		return
	}
	w.Header().Set("Location", "/schedule/"+url.PathEscape(s.Account)+"/"+url.PathEscape(r.Param("after")))
	w.WriteHeader(http.StatusFound)
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
