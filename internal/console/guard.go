package console

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
)

// guarded lets only this console's own pages ask next for anything. A page of another
// site that a person has open can send requests to this machine, and reads the answers
// once its name resolves here, but can forge neither Host nor Origin.
func guarded(next http.Handler, address string) http.Handler {
	own, _ := url.Parse(address)
	hosts := map[string]bool{own.Host: true, "localhost:" + own.Port(): true}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		origin, mode := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Mode")
		changing := r.Method != http.MethodGet && r.Method != http.MethodHead
		switch {
		case !hosts[strings.ToLower(r.Host)]:
			refuse(w, "This console is called by "+address+" alone.")
		case (origin != "" || changing) && origin != "http://"+strings.ToLower(r.Host):
			refuse(w, "The request was not made by a page of this console.")
		case !ownFetch(r.Header.Get("Sec-Fetch-Site")) && (mode != "navigate" || changing):
			refuse(w, "The request was made by a page elsewhere.")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// ownFetch reports whether a browser says that a request is this page's or a person's.
// Other clients than browsers say nothing.
func ownFetch(site string) bool {
	return site == "" || strings.EqualFold(site, "same-origin") || strings.EqualFold(site, "none")
}

func refuse(w http.ResponseWriter, why string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusForbidden)
	_, _ = w.Write([]byte(why + "\n"))
}

const policy = "default-src 'none'; script-src 'self'; style-src 'self'%; img-src 'self'; font-src 'none'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// secure says what a browser may do with any answer: run no script but the console's own,
// show it in no frame, keep no copy.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", strings.Replace(policy, "%", "", 1))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("Cache-Control", "no-store")
}

// allowStyle lets one style element, which bears the nonce, count on this page.
func allowStyle(h http.Header) (nonce string) {
	nonce = rand.Text()
	h.Set("Content-Security-Policy", strings.Replace(policy, "%", " 'nonce-"+nonce+"'", 1))
	return nonce
}
