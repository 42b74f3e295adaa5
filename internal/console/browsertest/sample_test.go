package browsertest

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// policy is the one of the console's pages.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// A sample is a page that holds everything that the scripts know of, without the console.
type sample struct {
	*httptest.Server

	mu       sync.Mutex
	streams  int           // open now
	opened   int           // so far
	once     int           // asked for a single message
	every    time.Duration // between two messages; 0: the default
	tokens   []string      // that changes carried
	searched []string
	nonce    string // of the editor's style element
}

func samples(t testing.TB) *sample {
	s := &sample{every: 20 * time.Millisecond, nonce: "abc123"}
	mux := http.NewServeMux()
	mux.Handle("/static/", http.StripPrefix("/static/", http.FileServer(http.Dir("../static"))))
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /page", func(w http.ResponseWriter, _ *http.Request) { s.write(w, policy, samplePage) })
	mux.HandleFunc("GET /mapping", func(w http.ResponseWriter, r *http.Request) {
		csp := strings.Replace(policy, "style-src 'self'", "style-src 'self' 'nonce-"+s.nonce+"'", 1)
		if r.FormValue("nonce") == "none" {
			csp = policy
		}
		s.write(w, csp, fmt.Sprintf(mappingPage, s.nonce))
	})
	mux.HandleFunc("GET /schema", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"paths": {"": [{"label": "version"}, {"label": "fields"}], "fields": [{"label": "birthday", "detail": "date"}], "fields.*": [{"label": "from"}]}}`))
	})
	mux.HandleFunc("POST /check", func(w http.ResponseWriter, r *http.Request) {
		s.write(w, policy, `<hx-partial hx-target="#faults"><li data-line="2" data-column="3">no such field: `+html.EscapeString(r.FormValue("mapping"))+`</li></hx-partial>`)
	})
	mux.HandleFunc("POST /load", func(w http.ResponseWriter, _ *http.Request) {
		s.write(w, policy, `<hx-partial hx-target="#loaded"><textarea hidden data-mapping-source>version: 2</textarea></hx-partial>`)
	})
	mux.HandleFunc("GET /live", s.live)
	mux.HandleFunc("POST /act", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.tokens = append(s.tokens, r.Header.Get("X-CSRF-Token"))
		s.mu.Unlock()
		s.write(w, policy, `<button id="second">two</button><p data-announce="It is done.">done</p>`)
	})
	mux.HandleFunc("POST /palette", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.searched = append(s.searched, r.FormValue("q"))
		s.mu.Unlock()
		s.write(w, policy, `<li role="option"><a href="/page#one" tabindex="-1">one</a></li><li role="option"><a href="/page#two" tabindex="-1">two</a></li>`)
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

func (s *sample) write(w http.ResponseWriter, csp, body string) {
	w.Header().Set("Content-Security-Policy", csp)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(body))
}

// live counts up, faster than may be shown, and announces each number.
func (s *sample) live(w http.ResponseWriter, r *http.Request) {
	once := r.Header.Get("Hikyaku-Once") == "true"
	s.mu.Lock()
	if once {
		s.once++
	} else {
		s.streams++
		s.opened++
		defer func() { s.mu.Lock(); s.streams--; s.mu.Unlock() }()
	}
	every := s.every
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream")
	for n := 1; ; n++ {
		_, _ = fmt.Fprintf(w, "event: announce\ndata: number %d\n\n", n)
		_, _ = fmt.Fprintf(w, "data: <hx-partial hx-target=\"#count\"><b>%d</b></hx-partial><hx-partial hx-target=\"#folded\"><details><summary>More</summary><p>%d</p></details></hx-partial><hx-partial hx-target=\"#list\"><tr id=\"r%d\"><td>row %d</td></tr></hx-partial>\n\n", n, n, n, n)
		_ = http.NewResponseController(w).Flush()
		if once {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(every):
		}
	}
}

// get reads a figure of the server.
func (s *sample) get(of func(*sample) int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return of(s)
}

const samplePage = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sample</title><meta name="viewport" content="width=device-width">
<meta name="csrf-token" content="the-token"><link rel="stylesheet" href="/static/app.css"><link rel="stylesheet" href="/static/plot.css">
<script src="/static/app.js" defer></script><script src="/static/plot.js" defer></script></head>
<body><a class="skip" href="#main">Skip</a><header class="top"><p class="brand"><a href="/page">Sample</a></p><nav aria-label="Pages"><ul><li><a href="/page" aria-current="page">Page</a></li></ul></nav>
<div class="tools"><button data-palette>Find <kbd>Ctrl K</kbd></button></div></header>
<main id="main"><h1>Sample</h1>
<div hx-sse:connect="/live" hidden></div>
<p>Count: <span id="count"></span></p>
<div id="folded"></div>
<button data-stop="#list" aria-pressed="false" id="stop">Stop moving</button>
<div class="scroll" tabindex="0" role="region" aria-label="List"><table><thead><tr><th scope="col">Row</th></tr></thead><tbody id="list"></tbody></table></div>
<section id="place" tabindex="-1" aria-label="Place"><button id="first" hx-post="/act" hx-target="#place">one</button></section>
<button id="asks" hx-post="/act" hx-target="#answer" hx-confirm="Really?">ask</button><div id="answer"></div>
<button id="program" hx-on:click="document.title = 'evaluated'">program</button>
<code>hikyaku status</code><button id="copy" data-copy="hikyaku status" data-copied="Copied">Copy as command</button>
<form><label>Scheme <select data-scheme-choice><option value="">as the system</option><option value="light">light</option><option value="dark">dark</option></select></label></form>
<figure class="plot" id="lag" data-plot="line" data-zone="Asia/Tokyo"><figcaption>Lag</figcaption><div class="plot-area" hx-morph-skip></div>
<details><summary>As a table</summary><div class="scroll" tabindex="0" role="region" aria-label="Lag as a table"><table><thead><tr><th scope="col">Time</th><th scope="col">Lag</th><th scope="col">Queue</th></tr></thead>
<tbody id="lag-rows"><tr><td><time datetime="2026-12-01T09:00:00Z">09:00</time></td><td>1.5</td><td>3</td></tr><tr><td><time datetime="2026-12-01T09:01:00Z">09:01</time></td><td>2</td><td data-value="5">five</td></tr><tr><td><time datetime="2026-12-01T09:02:00Z">09:02</time></td><td>1</td><td>2</td></tr></tbody></table></div></details></figure>
<figure class="plot" id="runs" data-plot="bars"><figcaption>Runs</figcaption><div class="plot-area" hx-morph-skip></div>
<details><summary>As a table</summary><table><thead><tr><th scope="col">Dataset</th><th scope="col">Rows</th></tr></thead><tbody><tr><td>orders</td><td>1200</td></tr><tr><td>customers</td><td>300</td></tr></tbody></table></details></figure>
<svg class="bar well" role="img" aria-label="60 %"><rect width="60%"/></svg>
<p class="note warn">Warning <span class="badge warn">late</span> <span class="badge bad">bad</span> <span class="badge well">well</span></p>
</main><div id="announcer" role="status" class="only-heard"></div><p id="lost" class="note bad" hidden>The console does not answer.</p>
<dialog id="confirm" aria-labelledby="confirm-question"><form method="dialog"><p id="confirm-question" data-question></p><button value="yes">Yes</button> <button value="">No</button></form></dialog>
<dialog id="palette" aria-label="Find"><form><input name="q" role="combobox" aria-label="Find" aria-expanded="true" aria-controls="palette-results" autocomplete="off" hx-post="/palette" hx-trigger="input delay:50ms" hx-target="#palette-results"></form><ul id="palette-results" role="listbox" aria-label="Results"></ul></dialog>
</body></html>`

const mappingPage = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Mapping</title>
<link rel="stylesheet" href="/static/app.css"><script src="/static/app.js" defer></script><script src="/static/mapping.js" defer></script></head>
<body><main><h1>Mapping</h1><form hx-post="/check" hx-trigger="mapping delay:50ms" hx-swap="none"><label for="mapping">Mapping</label>
<textarea id="mapping" name="mapping" data-mapping data-nonce="%s" data-schema="/schema" data-faults="#faults">version: 1
fields:
  birthday:
    from: field_1
</textarea></form><div id="loaded"></div><button id="load" hx-post="/load" hx-swap="none">load</button><ul id="faults"><li data-line="1" data-column="1">first</li></ul></main></body></html>`
