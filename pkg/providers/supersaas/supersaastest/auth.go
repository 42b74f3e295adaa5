package supersaastest

import (
	"cmp"
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

// An account knows who may call it.
type account struct {
	set   *Settings
	users *users
	seed  uint64 // of its keys
	keys  int    // so far
	key   string

	counts *sandbox.Section
}

// roll replaces the key.
func (a *account) roll() string {
	a.keys++
	a.counts.Put(keysSoFar, a.keys)
	return a.useKey()
}

func (a *account) useKey() string {
	a.key = fmt.Sprintf("SSKEY%06d-%016x", a.keys, a.seed*2654435761+uint64(a.keys)*7919)
	return a.key
}

// guard registers a route whose caller has to prove who it is, and whose
// parameters have to be readable.
func (s *Server) guard(route string, kind scope, h sandbox.Handler) {
	s.Handle(route, func(w http.ResponseWriter, r *sandbox.Request) {
		switch status := s.account.authorize(r, kind); {
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
func (a *account) authorize(r *sandbox.Request, kind scope) int {
	if sum, ok := r.Lookup("checksum"); ok {
		if kind != userCall {
			return http.StatusForbidden
		}
		return verdict(a.checksumUser(r, sum) != "")
	}
	if account, key, ok := r.BasicAuth(); ok {
		if a.set.Knobs.RefuseBasic {
			return http.StatusForbidden
		}
		return verdict(a.sameAccount(account) && a.sameKey(key))
	}
	key := cmp.Or(r.BearerToken(), r.Param("api_key"))
	return verdict(a.sameAccount(r.Param("account")) && a.sameKey(key))
}

func verdict(ok bool) int {
	if ok {
		return http.StatusOK
	}
	return http.StatusUnauthorized
}

func (a *account) sameAccount(name string) bool {
	return strings.ReplaceAll(name, " ", "_") == strings.ReplaceAll(a.set.Account, " ", "_")
}

func (a *account) sameKey(key string) bool {
	return subtle.ConstantTimeCompare([]byte(key), []byte(a.key)) == 1
}

// checksumUser returns the login name for which sum was made: the one that
// the call names, or else whichever of the account's it fits.
func (a *account) checksumUser(r *sandbox.Request, sum string) string {
	fits := func(name string) bool {
		want := supersaas.Checksum(a.set.Account, providers.NewSecret(a.key), name).Reveal()
		return name != "" && subtle.ConstantTimeCompare([]byte(sum), []byte(want)) == 1
	}
	if u := a.users.find(keyOf(r)); u != nil {
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
	for _, u := range a.users.ordered(ByName) {
		if fits(u.name) {
			return u.name
		}
	}
	return ""
}

// login sends the user's browser on to the schedule.
func (a *account) login(w http.ResponseWriter, r *sandbox.Request) {
	name := r.Param("user[name]")
	want := supersaas.Checksum(a.set.Account, providers.NewSecret(a.key), name).Reveal()
	ok := name != "" && a.sameAccount(r.Param("account")) && subtle.ConstantTimeCompare([]byte(r.Param("checksum")), []byte(want)) == 1
	if !ok || a.set.Knobs.RefuseLogin || a.users.byName[name] == nil {
		fail(w, http.StatusUnauthorized, "Not authorized")
		return
	}
	w.Header().Set("Location", "/schedule/"+url.PathEscape(a.set.Account)+"/"+url.PathEscape(r.Param("after")))
	w.WriteHeader(http.StatusFound)
}

func (a *account) ping(w http.ResponseWriter, _ *sandbox.Request) {
	if a.set.Knobs.RefusePing {
		fail(w, http.StatusNotFound, "Not found")
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("OK"))
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
