package dev

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode"

	"hikyaku/pkg/providers"
)

// Reasons to refuse a request to a real provider.
const (
	oneTime  = "it would use up a credential that works once"
	changing = "it may change something there; --write allows it"
	hook     = "it registers or removes a hook"
	strange  = "it is not in its plain form"
	unknown  = "it is no read of the provider's documents"
)

// once are parts of paths whose requests use up what works once: a code, a refresh token, a
// hand-over token or a log-in, whatever their method.
var once = []string{"/api/ext/check/", "/api/login", "/oauth/", "/oauth2/", "/sso/"}

// refuses says why a request is not sent; empty: it is.
func (d *door) refuses(r *http.Request) string {
	at := folded(r.URL.Path)
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	givesTokens := slices.Contains(d.tokens, at) || d.provider == providers.Yappli && strings.HasSuffix(at, "/api/ext/token")
	switch {
	case !plain(r) || reads && r.ContentLength != 0:
		return strange
	case givesTokens && d.kind == providers.ClientCredentials && r.Method == http.MethodPost && asksForClient(r):
		return ""
	case givesTokens, slices.ContainsFunc(once, func(part string) bool { return strings.Contains(at+"/", part) }):
		return oneTime
	case reads && slices.ContainsFunc(d.reads, func(beginning string) bool { return strings.HasPrefix(r.URL.Path, beginning) }):
		return ""
	case reads:
		return unknown
	case strings.Contains(at+"/", "/hooks/"):
		return hook
	case !d.doors.options.Write:
		return changing
	}
	return ""
}

// plain reports whether a provider reads a request as it is read here: its path has one
// meaning, and nothing in it names another method.
func plain(r *http.Request) bool {
	at := r.URL.Path
	if at != "" && at != "/" && strings.TrimSuffix(at, "/") != path.Clean(at) || strings.ContainsAny(at, `\;%`) || strings.ContainsFunc(at, unicode.IsControl) {
		return false
	}
	escaped := strings.ToLower(r.URL.EscapedPath())
	if strings.Contains(escaped, "%2f") || strings.Contains(escaped, "%2e") {
		return false
	}
	for name := range r.Header {
		if namesMethod(name) {
			return false
		}
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	for name := range query {
		if namesMethod(name) {
			return false
		}
	}
	return err == nil
}

// namesMethod reports whether servers take a method from a header or parameter of that name.
func namesMethod(name string) bool {
	letters := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
	return slices.Contains([]string{"method", "httpmethod", "xhttpmethod", "methodoverride", "httpmethodoverride", "xhttpmethodoverride", "xmethodoverride"}, letters)
}

// mostTokenRequest bounds what is read of a request for a token.
const mostTokenRequest = 64 << 10

// asksForClient reports whether a request for a token has nothing but the client's own id and
// secret: what works once is never sent. It leaves the body as it was.
func asksForClient(r *http.Request) bool {
	body, err := io.ReadAll(io.LimitReader(r.Body, mostTokenRequest+1))
	r.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil || len(body) > mostTokenRequest || r.URL.RawQuery != "" {
		return false
	}
	fields := map[string]any{}
	if json.Unmarshal(body, &fields) != nil {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return false
		}
		clear(fields)
		for name, values := range form {
			if len(values) != 1 {
				return false
			}
			fields[name] = values[0]
		}
	}
	for name := range fields {
		if !slices.Contains([]string{"grant_type", "client_id", "client_secret", "scope"}, name) {
			return false
		}
	}
	return fields["grant_type"] == "client_credentials"
}
