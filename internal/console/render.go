package console

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
	"time"
)

//go:embed templates/*.html
var templateFiles embed.FS

// A view is what the templates of a page get.
type view struct {
	Page   page
	Pages  []page // for the navigation
	Data   any    // of the page's loader
	Err    error  // why it has none
	Stack  string
	Dev    bool
	Write  bool
	State  *State // of a development stack
	Token  string
	Nonce  string
	Stream string // address of the page's stream
	Lang   string
	Langs  []string
	Scheme string // light or dark; empty: the system's
}

// templates are the pages' templates by language, then by page. Each is a set of its own,
// with the layout, because all of them define "main".
type templates map[string]map[string]*template.Template

func (s *Server) loadTemplates() error {
	s.templates = templates{}
	shared, err := fs.Glob(templateFiles, "templates/_*.html")
	if err != nil {
		return err
	}
	for _, lang := range Languages() {
		s.templates[lang] = map[string]*template.Template{}
		base := template.New("").Funcs(s.texts.functions(lang)).Funcs(s.formats(lang)).Option("missingkey=error")
		if base, err = base.ParseFS(templateFiles, shared...); err != nil {
			return fmt.Errorf("the console's layout: %w", err)
		}
		for _, name := range s.templateNames() {
			set, err := base.Clone()
			if err != nil {
				return err
			}
			if s.templates[lang][name], err = set.ParseFS(templateFiles, "templates/"+name+".html"); err != nil {
				return fmt.Errorf("the console's page %s: %w", name, err)
			}
		}
	}
	return nil
}

func (s *Server) templateNames() []string {
	names := make([]string, 0, len(s.pages)+1)
	names = append(names, "outside")
	for _, p := range s.pages {
		names = append(names, p.Name)
	}
	return names
}

// formats write times, numbers and sizes as people of the shop read them.
func (s *Server) formats(lang string) template.FuncMap {
	return template.FuncMap{
		"time":     func(at any) string { return s.time(moment(at)) },
		"clock":    func(at time.Time) string { return at.In(s.options.Zone).Format("15:04:05") },
		"iso":      func(at time.Time) string { return at.UTC().Format(time.RFC3339) },
		"number":   number,
		"size":     size,
		"duration": func(d time.Duration) string { return s.duration(lang, d) },
		"ago":      func(at any) string { return s.ago(lang, moment(at)) },
		"zone":     s.options.Zone.String,
		"join":     func(words []string) string { return strings.Join(words, ", ") },
		"lines":    func(text string) []string { return strings.Split(text, "\n") },
		"asset":    s.files.Address,
		"list":     func(items ...any) []any { return items },
		"dict":     dict,
		"command":  s.shown,
		"deed":     s.deed,
		"deedOf":   func(v view, name string, pairs []string) deed { return s.deed(v, name, pairs...) },
		"triggers": triggers,
		"blank":    blank,
		"pageOf":   s.pageOf,
	}
}

// blank reports whether a text, or the address of one, has nothing to be seen.
func blank(text any) bool {
	switch text := text.(type) {
	case string:
		return text == ""
	case *string:
		return text == nil || *text == ""
	}
	return false
}

// dict makes a map of names and values, for a template that another one calls.
func dict(pairs ...any) (map[string]any, error) {
	made := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok || len(pairs)%2 != 0 {
			return nil, fmt.Errorf("dict takes names and values, not %v", pairs)
		}
		made[name] = pairs[i+1]
	}
	return made, nil
}

// view begins what a page's templates get, for a request.
func (s *Server) view(r *http.Request, p page) view {
	token, _ := r.Context().Value(sessionKey{}).(string)
	v := view{
		Page: p, Pages: s.pages, Stack: s.options.Stack, Dev: s.options.Dev != nil, Write: s.options.Write,
		Token: token, Lang: s.texts.languageOf(r), Langs: Languages(), Scheme: schemeOf(r),
	}
	if len(p.live) > 0 {
		v.Stream = "/stream" + r.URL.Path
		if r.URL.RawQuery != "" {
			v.Stream += "?" + r.URL.RawQuery
		}
	}
	if s.options.Dev != nil {
		state := s.options.Dev.State()
		v.State = &state
	}
	return v
}

// execute writes one template of a page.
func (s *Server) execute(v view, page, name string) ([]byte, error) {
	var out bytes.Buffer
	err := s.templates[v.Lang][page].ExecuteTemplate(&out, name, v)
	return out.Bytes(), err
}

// send answers with a template of a page.
func (s *Server) send(w http.ResponseWriter, r *http.Request, status int, v view, page, name string) {
	body, err := s.execute(v, page, name)
	if err != nil {
		s.options.Log.ErrorContext(r.Context(), "writing a page failed", "page", page, "err", err)
		http.Error(w, "The page could not be written: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
