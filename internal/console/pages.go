package console

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A page is one of the console's.
type page struct {
	Name  string // of its template, and of its texts: page.NAME
	Path  string // in the form of http.ServeMux
	Main  bool   // it stands in the navigation
	Under string // name of the page of the navigation that it belongs to; empty: itself
	Plots bool   // it has plots

	// load reads what the page shows. Words that a person has searched for never stand in
	// an address: they come by an action.
	load  func(ctx context.Context, r *http.Request) (any, error)
	live  []string // the fragments that move, by the names of their templates and elements
	nonce bool     // the page has a style element of a library's
}

// allPages are the console's pages, in the order of the navigation.
func (s *Server) allPages() []page {
	return slices.Concat(
		[]page{s.overview()},
		[]page{s.sandboxes()}, s.sandbox(), []page{s.record()},
		[]page{s.relay(), s.way(), s.people(), s.person(), s.pairs(), s.dead(), s.mapping()},
		[]page{s.tokensPage(), s.credential()},
		[]page{exporting{s}.exportsPage(), exporting{s}.runPage(), s.costPage()},
		[]page{chaos{s, &s.count}.chaosPage()},
		[]page{s.licenses()},
	)
}

// Section is the name of the page of the navigation that a page belongs to.
func (p page) Section() string { return cmp.Or(p.Under, p.Name) }

// Address is a page's path without holes, for the navigation.
func (p page) Address() string { return strings.TrimSuffix(p.Path, "{$}") }

func (s *Server) servePage(p page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := s.view(r, p)
		if p.nonce {
			v.Nonce = allowStyle(w.Header())
		}
		v.Data, v.Err = p.load(r.Context(), r)
		status := http.StatusOK
		if v.Err != nil {
			status = http.StatusBadGateway
		}
		s.send(w, r, status, v, p.Name, "layout")
	}
}

// serveOutside tells someone who has not entered how to.
func (s *Server) serveOutside(w http.ResponseWriter, r *http.Request) {
	s.send(w, r, http.StatusUnauthorized, s.outsideView(r), "outside", "outside")
}

func (s *Server) outsideView(r *http.Request) view {
	return view{Stack: s.options.Stack, Lang: s.texts.languageOf(r), Dev: s.options.Dev != nil}
}

// serveEnter exchanges a link for a cookie. It answers with a page and no redirect: a
// browser that comes from a page elsewhere would not send the cookie after one.
func (s *Server) serveEnter(w http.ResponseWriter, r *http.Request) {
	cookie, ok := s.sessions.exchange(r.PathValue("key"))
	if !ok {
		s.serveOutside(w, r)
		return
	}
	http.SetCookie(w, cookie)
	s.send(w, r, http.StatusOK, s.outsideView(r), "outside", "enter")
}

// serveRoutes lists the pages and the actions, so that a test can visit them all.
func (s *Server) serveRoutes(w http.ResponseWriter, _ *http.Request) {
	routes := struct {
		Pages   []string `json:"pages"`
		Actions []string `json:"actions"`
	}{}
	for _, p := range s.pages {
		routes.Pages = append(routes.Pages, p.Address())
	}
	for name := range s.actions {
		routes.Actions = append(routes.Actions, name)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(routes)
}

// serveChoice keeps a person's language or color scheme in a cookie, and loads the page
// again.
func (s *Server) serveChoice(w http.ResponseWriter, r *http.Request) {
	for _, choice := range []struct {
		cookie, field string
		of            []string
	}{{languageCookie, "language", Languages()}, {schemeCookie, "scheme", schemes()}} {
		if value := r.PostFormValue(choice.field); slices.Contains(choice.of, value) {
			http.SetCookie(w, &http.Cookie{ //nolint:gosec // the console speaks HTTP on the loopback, where Secure would lose the cookie
				Name: choice.cookie, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: int(sessionLife / time.Second),
			})
		}
	}
	w.Header().Set("HX-Refresh", "true")
	w.WriteHeader(http.StatusNoContent)
}

const schemeCookie = "hikyaku-scheme"

// schemes are the color schemes that a person can choose.
func schemes() []string { return []string{"system", "light", "dark"} }

// schemeOf is the color scheme that a person has chosen; empty: the system's.
func schemeOf(r *http.Request) string {
	if c, err := r.Cookie(schemeCookie); err == nil && (c.Value == "dark" || c.Value == "light") {
		return c.Value
	}
	return ""
}
