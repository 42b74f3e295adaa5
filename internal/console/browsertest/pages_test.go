package browsertest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
)

// languages are those of the console.
var languages = []string{"en", "ja", "zh-Hant"}

// A pageTest is how a page is reached whose address has holes: the page that leads there, and
// the link on it.
type pageTest struct{ from, link string }

// pageTests are all pages. One that the console lists and is not here fails.
var pageTests = map[string]pageTest{
	"/":                                   {},
	"/licenses":                           {},
	"/relay":                              {},
	"/relay/people":                       {},
	"/relay/people/{id}":                  {"/relay", `#relay-live a[href^="/relay/people/"]`},
	"/relay/ways/{id}":                    {"/relay", `#relay-live a[href^="/relay/ways/"]`},
	"/relay/pairs":                        {},
	"/relay/dead":                         {},
	"/mapping":                            {},
	"/tokens":                             {},
	"/tokens/{provider}":                  {"/tokens", `#credentials a[href^="/tokens/"]`},
	"/exports":                            {},
	"/exports/{provider}/{dataset}/{run}": {"/exports", `#datasets a[href^="/exports/"]`},
	"/cost":                               {},
	"/chaos":                              {},
	"/sandboxes":                          {},
	"/sandboxes/{provider}":               {"/sandboxes", `main a[href="/sandboxes/supersaas"]`},
	"/sandboxes/{provider}/{kind}":        {"/sandboxes", `main a[href="/sandboxes/supersaas/users"]`},
	"/sandboxes/{provider}/{kind}/{id}":   {"/sandboxes/supersaas/users", `#rows tbody a[href]`},
}

// address is where a page is, as a person comes to it.
func (b *tab) address(base, path string) string {
	b.t.Helper()
	of := pageTests[path]
	if of.link == "" {
		return base + path
	}
	b.visit(base + of.from)
	b.until(fmt.Sprintf(`document.querySelector(%s)`, literal(of.link)))
	return base + eval[string](b, fmt.Sprintf(`document.querySelector(%s).getAttribute("href")`, literal(of.link)))
}

// export runs the first export, so that there is something to show.
func (b *tab) export(base string) {
	b.t.Helper()
	b.visit(base + "/exports")
	b.use(`#datasets [id^="export-run"]`)
	b.until(`document.querySelector('#datasets a[href^="/exports/"]')`)
}

type routes struct{ Pages, Actions []string }

func routesOf(b *tab) routes {
	b.t.Helper()
	var r routes
	if err := json.Unmarshal([]byte(eval[string](b, `fetch("/routes.json").then(r => r.text())`)), &r); err != nil {
		b.t.Fatal(err)
	}
	return r
}

// running is a link to a console that runs: one that a person has started, or a stack of the test's own.
func running(t *testing.T) string {
	t.Helper()
	if link := os.Getenv("HIKYAKU_LINK"); link != "" {
		return link
	}
	return dev(t).link
}

// Every page, once a language and scheme, at two widths: nothing that WCAG 2.2 AA forbids, no
// error, no report of the policy, every plot with its table.
func TestConsole_EveryPage(t *testing.T) {
	t.Parallel()
	link := running(t)
	chrome := chromium(t)
	axe := axeScript(t)
	b := enter(t, chrome, link)
	base := baseOf(t, link)
	known := routesOf(b)
	if missing := slices.DeleteFunc(slices.Clone(known.Pages), func(p string) bool { _, ok := pageTests[p]; return ok }); len(missing) > 0 {
		t.Errorf("the console has pages that no test visits: %q", missing)
	}
	b.export(base)
	for _, path := range slices.Sorted(maps.Keys(pageTests)) {
		if !slices.Contains(known.Pages, path) {
			t.Errorf("the console has no page %s", path)
			continue
		}
		address := b.address(base, path)
		for _, language := range languages {
			t.Run(strings.Trim(path, "/")+" "+language, func(t *testing.T) {
				b := beside(&tab{t: t, browser: chrome, id: b.id})
				b.speak(base, language)
				visitPage(t, b, address, axe, language)
			})
		}
	}
}

// The same of stacks whose providers do not answer, or lie: what cannot be shown says so, in the
// page's language.
func TestConsole_EveryPageInTrouble(t *testing.T) {
	t.Parallel()
	if !full() {
		t.Skip("HIKYAKU_PROVE=full proves it")
	}
	axe := axeScript(t)
	chrome := chromium(t)
	for _, troubles := range [][]string{{"supersaas outage", "yappli outage", "shopline outage"}, {"supersaas lie-truncated", "yappli lie-html", "shopline lie-html"}} {
		s := dev(t, few...)
		b := s.enter(chrome)
		for _, one := range troubles {
			b.trouble(s.URL, "trouble-on", one)
		}
		for _, path := range slices.Sorted(maps.Keys(pageTests)) {
			if strings.Contains(path, "{") {
				continue // the links that lead there are among what cannot be shown
			}
			for _, language := range languages {
				t.Run(troubles[0]+" "+path+" "+language, func(t *testing.T) {
					b := beside(&tab{t: t, browser: chrome, id: b.id})
					b.allow("502")
					b.speak(s.URL, language)
					visitPage(t, b, s.URL+path, axe, language)
				})
			}
		}
	}
}

func baseOf(t testing.TB, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	return u.Scheme + "://" + u.Host
}

func visitPage(t *testing.T, b *tab, address, axe, language string) {
	t.Helper()
	b.screen(1280, 900, "light")
	b.visit(address)
	b.until(`document.querySelector("main h1")`)
	if got := eval[string](b, `document.documentElement.lang`); got != language {
		t.Errorf("the page is in %q", got)
	}
	for _, scheme := range []string{"light", "dark"} {
		b.screen(1280, 900, scheme)
		b.accessible(axe, scheme+" 1280")
		b.screen(320, 640, scheme)
		if scheme == "dark" || full() {
			b.accessible(axe, scheme+" 320")
		}
	}
	for _, fault := range eval[[]string](b, faultsOfPage) {
		t.Error(fault)
	}
	reachable(t, b)
}

// faultsOfPage are what axe does not look for: plots without their table, live regions beside
// the one, a text that the catalogs lack, styles and scripts in the page, places without an id.
const faultsOfPage = `(() => {
  const faults = [];
  for (const f of document.querySelectorAll("figure[data-plot]")) if (!f.querySelector("details table tbody tr")) faults.push("plot without its table: " + f.id);
  const live = [...document.querySelectorAll("[aria-live]:not([aria-live=off]), [role=status], [role=log]")].filter(e => e.id !== "announcer" && !e.closest(".cm-editor"));
  for (const e of live) faults.push("a live region beside the announcer: " + e.outerHTML.slice(0, 100));
  for (const e of document.querySelectorAll("[style], script:not([src]), main style")) if (!e.closest(".plot-area, .cm-editor")) faults.push("a style or script in the page: " + e.outerHTML.slice(0, 100));
  for (const e of document.querySelectorAll("[onclick], [onload], [hx-on], a[href^='javascript:']")) faults.push("a program in the page: " + e.outerHTML.slice(0, 100));
  if (document.querySelectorAll("main h1").length !== 1) faults.push("not one first heading");
  const seen = new Set();
  for (const e of document.querySelectorAll("[id]")) { if (seen.has(e.id)) faults.push("two elements have the id " + e.id); seen.add(e.id); }
  const text = document.body.innerText;
  for (const m of text.match(/\b(?:page|layout|overview|action|word|kind|state|list|plot|palette|confirm|notice)\.[a-z-]+(?:\.[a-z-]+)*\b/g) ?? []) faults.push("a key in place of a text: " + m);
  if (text.includes("<no value>") || text.includes("%!")) faults.push("a text with a hole: " + text.slice(Math.max(0, text.search(/<no value>|%!/) - 60)).slice(0, 140));
  if (document.querySelectorAll("[hx-sse\\:connect]").length > 1) faults.push("more than one stream");
  return faults;
})()`

// reachable fails for what a mouse can press and a keyboard cannot reach.
func reachable(t *testing.T, b *tab) {
	t.Helper()
	for _, fault := range eval[[]string](b, `[...document.querySelectorAll("main a[href], main button, main input, main select, main textarea, main summary, main [hx-get], main [hx-post]")]
		.filter(e => e.checkVisibility() && !e.disabled && e.type !== "hidden")
		.filter(e => !(e.tabIndex >= 0) && !e.closest("[role=listbox]") && !["FORM", "DIV", "SECTION", "UL", "OL", "TBODY"].includes(e.tagName))
		.map(e => e.outerHTML.slice(0, 120))`) {
		t.Errorf("no key reaches %s", fault)
	}
}

// A page that is weighed with all that it loads, the editor aside, stays within 60 KB compressed.
func TestConsole_EveryPageIsLight(t *testing.T) {
	t.Parallel()
	link := running(t)
	chrome := chromium(t)
	b := enter(t, chrome, link)
	base := baseOf(t, link)
	b.export(base)
	for _, path := range slices.Sorted(maps.Keys(pageTests)) {
		b.visit(b.address(base, path))
		b.until(`document.readyState === "complete"`)
		weight := eval[int](b, `(() => { const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource").filter(e => e.initiatorType !== "fetch")]; return Promise.all(all.filter(e => !e.name.includes("/static/mapping.")).map(async e => {
			const stream = (await fetch(e.name)).body.pipeThrough(new CompressionStream("gzip")); let n = 0; for await (const part of stream) n += part.length; return n })).then(sizes => sizes.reduce((a, b) => a + b, 0)) })()`)
		t.Logf("prove: console page %s: %d bytes compressed (at most 61440)", path, weight)
		if weight > 60<<10 {
			t.Errorf("%s weighs %d bytes compressed, more than 60 KB", path, weight)
		}
	}
}

// A person who uses no mouse goes through every page that the navigation has, by the palette.
func TestConsole_PaletteFindsEveryPage(t *testing.T) {
	t.Parallel()
	link := running(t)
	chrome := chromium(t)
	b := enter(t, chrome, link)
	b.palette()
	b.until(`document.querySelectorAll("#palette [role=option]").length >= document.querySelectorAll("nav a").length`)
	offered := eval[[]string](b, `[...document.querySelectorAll("#palette [role=option] a")].map(a => new URL(a.href).pathname)`)
	for _, path := range routesOf(b).Pages {
		if !strings.Contains(path, "{") && !slices.Contains(offered, path) {
			t.Errorf("Ctrl-K does not offer %s", path)
		}
	}
}
