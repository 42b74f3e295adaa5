package browsertest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// Nobody sees anything without a link that nobody has used.
func TestConsole_OpensToALinkOnce(t *testing.T) {
	t.Parallel()
	link := running(t)
	base := baseOf(t, link)
	chrome := chromium(t)
	stranger := private(t, chrome)
	stranger.allow("401")
	for _, address := range []string{base + "/", base + "/routes.json", base + "/stream/", base + "/enter/", base + "/enter/AAAAAAAAAAAAAAAAAAAAAAAAAA"} {
		outside(t, stranger, address)
	}
	if status := eval[int](stranger, `fetch("/palette", {method: "POST", body: new URLSearchParams({words: "a"})}).then(r => r.status)`); status != 401 {
		t.Errorf("the palette answered a stranger %d", status)
	}

	owner := enter(t, chrome, link)
	if got := eval[string](owner, `document.cookie`); strings.Contains(got, "hikyaku-"+portOf(t, base)) {
		t.Errorf("scripts can read the cookie: %q", got)
	}
	var cookies []*network.Cookie
	owner.do(chromedp.ActionFunc(func(ctx context.Context) (err error) {
		cookies, err = network.GetCookies().Do(ctx)
		return err
	}))
	var found bool
	for _, c := range cookies {
		if c.Name != "hikyaku-"+portOf(t, base) {
			continue
		}
		found = true
		if !c.HTTPOnly || c.SameSite != network.CookieSameSiteStrict {
			t.Errorf("the cookie is HttpOnly %v, SameSite %s", c.HTTPOnly, c.SameSite)
		}
	}
	if !found {
		t.Error("no cookie bears the port's number")
	}
	for _, where := range []string{`location.href`, `document.documentElement.outerHTML`, `JSON.stringify({...localStorage, ...sessionStorage})`} {
		if text := eval[string](owner, where); strings.Contains(text, link[strings.LastIndex(link, "/")+1:]) {
			t.Errorf("the link's key is left in %s", where)
		}
	}
	outside(t, stranger, link) // stolen, and used already
	if eval[int](owner, `fetch("/routes.json").then(r => r.status)`) != 200 {
		t.Error("the theft of a used link threw its owner out")
	}
}

// outside fails unless an address shows a stranger only how to enter.
func outside(t *testing.T, b *tab, address string) {
	t.Helper()
	err := b.try(chromedp.Navigate(address))
	text := eval[string](b, `document.documentElement.outerHTML`)
	if err == nil && (strings.Contains(text, "csrf-token") || strings.Contains(text, `"pages"`) || eval[bool](b, `!!document.querySelector("nav, table, form")`)) {
		t.Errorf("%s shows a stranger: %.300s", address, text)
	}
}

func portOf(t *testing.T, base string) string {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

// An answer is what the console answered to something.
type answer struct {
	address string
	status  int64
}

// An answers collector notes what the console answered in a tab.
type answers struct {
	mu   sync.Mutex
	seen []answer
}

func collect(b *tab, host string) *answers {
	a := &answers{}
	chromedp.ListenTarget(b.ctx, func(event any) {
		if e, ok := event.(*network.EventResponseReceived); ok && strings.Contains(e.Response.URL, host) {
			a.mu.Lock()
			a.seen = append(a.seen, answer{e.Response.URL, e.Response.Status})
			a.mu.Unlock()
		}
	})
	return a
}

func (a *answers) all() []answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.seen)
}

// A page of another site, open in the browser of one who has entered, makes the console do
// nothing, and reads and frames nothing of it.
func TestConsole_IsClosedToOtherSites(t *testing.T) {
	t.Parallel()
	link := running(t)
	base := baseOf(t, link)
	chrome := chromium(t)
	owner := enter(t, chrome, link)
	known := routesOf(owner)
	foreign := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if r.URL.Path == "/null" { // the origin of this page is null
			w.Header().Set("Content-Security-Policy", "sandbox allow-scripts allow-forms allow-top-navigation")
		}
		_, _ = fmt.Fprint(w, `<!doctype html><title>elsewhere</title><link rel="icon" href="data:,"><p>elsewhere</p>`)
	}))
	t.Cleanup(foreign.Close)
	at := "http://evil.example.test:" + portOf(t, foreign.URL) + "/"

	evil := beside(owner)
	for _, noise := range []string{"403", "401", "CORS", "ERR_", "Content Security Policy", "frame", "MIME", "request failed", "Failed to load"} {
		evil.allow(noise)
	}
	got := collect(evil, strings.TrimPrefix(base, "http://"))
	evil.visit(at)
	targets := []string{"/palette", "/choose"}
	for _, a := range known.Actions {
		targets = append(targets, "/do/"+a, "/command/"+a)
	}
	for _, path := range targets {
		for _, how := range []string{`{method: "POST", mode: "no-cors", credentials: "include", body: new URLSearchParams({why: "evil"})}`, `{method: "POST", mode: "cors", credentials: "include", headers: {"X-CSRF-Token": "0"}}`} {
			if text := eval[string](evil, `fetch("`+base+path+`", `+how+`).then(r => r.text(), e => "")`); text != "" {
				t.Errorf("another site reads the answer to %s: %.100s", path, text)
			}
		}
	}
	for _, path := range append(known.Pages, "/routes.json", "/stream/") {
		if text := eval[string](evil, `fetch("`+base+path+`", {credentials: "include"}).then(r => r.text(), e => "")`); text != "" {
			t.Errorf("another site reads %s: %.100s", path, text)
		}
	}
	framed(t, evil, base)
	posts(t, evil, base, at)
	posts(t, evil, base, at+"null")
	for _, a := range got.all() {
		if a.status < http.StatusBadRequest && !strings.Contains(a.address, "/static/") {
			t.Errorf("%s answered another site %d", a.address, a.status)
		}
	}
}

// framed fails if another site can show the console inside itself.
func framed(t *testing.T, evil *tab, base string) {
	t.Helper()
	eval[bool](evil, `new Promise(done => { const f = document.createElement("iframe"); f.src = "`+base+`/"; f.onload = () => done(true); setTimeout(() => done(true), 3000); document.body.append(f) })`)
	var tree *page.FrameTree
	evil.do(chromedp.ActionFunc(func(ctx context.Context) (err error) {
		tree, err = page.GetFrameTree().Do(ctx)
		return err
	}))
	for _, child := range tree.ChildFrames {
		if strings.HasPrefix(child.Frame.URL, base) {
			t.Errorf("another site frames %s", child.Frame.URL)
		}
	}
}

// posts lets forms of the other site go to the console: a browser sends those without asking.
func posts(t *testing.T, evil *tab, base, at string) {
	t.Helper()
	for _, path := range []string{"/palette", "/choose", "/do/any"} {
		evil.visit(at)
		eval[bool](evil, `(() => { document.body.innerHTML = '<form method="post" action="`+base+path+`"><input name="why" value="evil"></form>'; document.forms[0].submit(); return true })()`)
		evil.until(`location.href.startsWith("` + base + `")`)
		if text := eval[string](evil, `document.body.innerText`); !strings.Contains(text, "not made by a page of this console") && !strings.Contains(text, "made by a page elsewhere") {
			t.Errorf("a form of another site to %s was answered: %.200s", path, text)
		}
	}
}

// A name of another site that comes to resolve to this machine is no name of the console.
func TestConsole_IsClosedToReboundNames(t *testing.T) {
	t.Parallel()
	link := running(t)
	base := baseOf(t, link)
	chrome := chromium(t)
	b := private(t, chrome)
	b.allow("403")
	b.allow("Cross-Origin-Opener-Policy header has been ignored")
	rebound := strings.Replace(base, "127.0.0.1", "rebound.example.test", 1)
	for _, path := range []string{"/", link[len(base):], "/static/app.js", "/routes.json"} {
		b.visit(rebound + path)
		if text := eval[string](b, `document.body.innerText`); !strings.Contains(text, "is called by") {
			t.Errorf("%s was answered: %.200s", rebound+path, text)
		}
	}
	enter(t, chrome, link) // the link is still good: the rebound name has not used it up
}
