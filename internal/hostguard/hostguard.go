// Package hostguard keeps web pages away from servers of this machine. A page
// that a person has open can send requests to 127.0.0.1, and can read the
// answers once its own name resolves there; a sandbox would give it records
// and a local AWS its secrets. Neither Host nor Origin can be forged by a
// page, so both are compared with the names by which a server is meant to be
// called. Other people of the machine come to the loopback, too; see Own.
//
//	server := &http.Server{Handler: hostguard.New(handler, "host.docker.internal")}
package hostguard

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// New admits requests to next whose Host is the loopback, the address that the
// connection came to, or one of names; and of those that a browser says come
// from a page, only the ones of a page with such a host. All others are
// answered 403.
func New(next http.Handler, names ...string) http.Handler {
	g := guard{next: next}
	for _, n := range names {
		g.names = append(g.names, normal(n))
	}
	return g
}

type guard struct {
	next  http.Handler
	names []string
}

// ServeHTTP refuses with a sentence that says what to do, since its reader
// is most likely the owner, with a name that was not announced.
func (g guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !g.knows(nameOf(r.Host), local) {
		refuse(w, "Host %q is none of this server's names. Call it at 127.0.0.1, or start it with --allow-host and that name.", r.Host)
		return
	}
	if origin := r.Header.Get("Origin"); origin != "" && !g.knows(originName(origin), local) {
		refuse(w, "Origin %q is a page elsewhere. If the page is yours, start the server with --allow-host and the page's host.", origin)
		return
	}
	// Images, scripts and the like carry no Origin. A person who follows a link
	// navigates, which gives the page with the link nothing.
	if strings.EqualFold(r.Header.Get("Sec-Fetch-Site"), "cross-site") && !strings.EqualFold(r.Header.Get("Sec-Fetch-Mode"), "navigate") && r.Header.Get("Origin") == "" {
		refuse(w, "The request was made by a page elsewhere (Sec-Fetch-Site %s).", "cross-site")
		return
	}
	g.next.ServeHTTP(w, r)
}

func refuse(w http.ResponseWriter, format string, a ...any) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusForbidden)
	_, _ = fmt.Fprintf(w, format+"\n", a...) //nolint:gosec // plain text, which no browser reads as a page
}

func (g guard) knows(name string, local net.Addr) bool {
	if isLoopback(name) || name != "" && slices.Contains(g.names, name) {
		return true
	}
	address, err := netip.ParseAddr(name)
	if err != nil || local == nil {
		return false
	}
	own, err := netip.ParseAddrPort(local.String())
	return err == nil && own.Addr().Unmap().WithZone("") == address.Unmap()
}

// isLoopback is true for names that resolve to the loopback wherever they are
// asked for (RFC 6761, 6.3), and for its addresses.
func isLoopback(name string) bool {
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	address, err := netip.ParseAddr(name)
	return err == nil && address.Unmap().IsLoopback()
}

// IsLoopback reports whether a server at addr, a host with a port, can be
// reached from this machine only. An empty host listens everywhere.
func IsLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && isLoopback(normal(host))
}

func nameOf(hostPort string) string {
	if host, _, err := net.SplitHostPort(hostPort); err == nil {
		return normal(host)
	}
	return normal(strings.TrimSuffix(strings.TrimPrefix(hostPort, "["), "]"))
}

// originName is empty for the origin "null", which any page can have.
func originName(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return ""
	}
	return normal(u.Hostname())
}

func normal(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
