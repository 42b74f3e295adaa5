package actibooktest

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"html"
	"net/http"
	"net/url"

	"hikyaku/pkg/providers/actibook"
	"hikyaku/pkg/providers/sandbox"
)

// A ticket is one redirect URL.
type ticket struct {
	User int  `json:"user"` // id
	Used bool `json:"used,omitempty"`
}

// tickets are those so far, by the last part of their path.
type tickets struct {
	byName map[string]*ticket
	kept   *sandbox.Section
}

func (t *tickets) put(name string, one *ticket) {
	t.byName[name] = one
	t.kept.Put(name, one)
}

// login answers the proxy login: it creates the site user, then the URL.
func (s *Server) login(w http.ResponseWriter, r *sandbox.Request) {
	if !s.valid(r.BearerToken()) {
		refuse(w, http.StatusUnauthorized, "invalid_token", "Unauthenticated.")
		return
	}
	parameters, isObject := r.JSON["parameters"].(map[string]any)
	if r.Media != "application/json" || r.Bad != nil || !isObject {
		refuse(w, http.StatusBadRequest, "invalid_request", "The parameters field is required.")
		return
	}
	keyword, _ := parameters[s.keywordParameter()].(string)
	group, tied := s.Groups[keyword]
	if !tied {
		refuse(w, http.StatusUnprocessableEntity, "invalid_keyword", "The keyword is not bound to a group.")
		return
	}
	id := s.userFor(group, parameters)
	if s.Silent {
		sandbox.JSON(w, http.StatusOK, struct{}{})
		return
	}
	n := len(s.tickets.byName) + 1
	name := fmt.Sprintf("%06d%016x", n, s.seed+uint64(n)*15485863)
	s.tickets.put(name, &ticket{User: id})
	site := cmp.Or(s.Site, "http://"+r.Host)
	var answer any = map[string]string{"redirect_url": site + "/sso/login/" + name}
	if s.Wrapper != "" {
		answer = map[string]any{s.Wrapper: answer}
	}
	sandbox.JSON(w, http.StatusOK, answer)
}

func (s *Server) keywordParameter() string { return cmp.Or(s.Quirks.KeywordParameter, "keyword") }

// open is the site: it takes the reader that the URL names to the page asked
// for, if that lies on the site.
func (s *Server) open(w http.ResponseWriter, r *sandbox.Request) {
	name := r.PathValue("ticket")
	t := s.tickets.byName[name]
	if t == nil || t.Used && !s.Reuse {
		page(w, http.StatusForbidden, "このURLは無効です。")
		return
	}
	s.tickets.put(name, &ticket{User: t.User, Used: true})
	target := "/"
	if encoded := r.URL.Query().Get("target_uri"); encoded != "" {
		content, err := base64.StdEncoding.DecodeString(encoded)
		u, parseErr := url.Parse(string(content))
		if err != nil || parseErr != nil || u.Host != r.Host || actibook.TargetURI(string(content)) != url.QueryEscape(encoded) {
			page(w, http.StatusBadRequest, "コンテンツのURLが正しくありません。")
			return
		}
		target = string(content)
	}
	http.SetCookie(w, &http.Cookie{Name: "site_user", Value: fmt.Sprint(t.User), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}) //nolint:gosec // not Secure: the sandbox is served by http
	http.Redirect(w, r.Request, target, http.StatusFound)
}

func page(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<!DOCTYPE html><html lang=\"ja\"><body><p>%s</p></body></html>", html.EscapeString(message))
}
