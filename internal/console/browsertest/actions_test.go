package browsertest

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
)

// An actionTest does what a person can do, with the keyboard alone, on one stack and in this
// order, as some of them prepare what others need.
type actionTest struct {
	name string // of the action, as the console lists it
	run  func(*testing.T, *stack, *tab)
}

// actionTests are all actions. One that the console lists and is not here fails.
var actionTests = slices.Concat(sandboxActions, relayActions, mappingActions, tokenActions, exportActions, chaosActions, queueActions, deadActions, pairActions, doubtActions)

var sandboxActions = []actionTest{
	{"sandbox-find", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/sandboxes/supersaas/users")
		id := eval[string](b, `document.querySelector("#rows tbody th").textContent`)
		b.write("#search", id)
		b.until(`document.querySelectorAll("#rows tbody tr").length === 1 && document.querySelector("#rows tbody th").textContent === "` + id + `"`)
		b.focused()
	}},
	{"sandbox-save", func(_ *testing.T, s *stack, b *tab) {
		b.visit(b.address(s.URL, "/sandboxes/{provider}/{kind}/{id}"))
		b.write(fieldNamed("full_name"), "Kagami Test")
		b.act("#save")
		b.until(`document.querySelector("#follow .way")`)
	}},
	{"sandbox-delete", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/sandboxes/supersaas/users")
		b.follow(`#rows tbody tr:last-child a`)
		b.use("#delete")
		b.confirm()
		b.until(`document.querySelector("#record .note.well")`)
		b.focused()
	}},
}

// fieldNamed is the input of a record's field.
func fieldNamed(name string) string { return `#record [name="field.` + name + `"]` }

var mappingActions = []actionTest{
	{"mapping-try", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/mapping")
		b.until(`document.querySelector("#mapping-result .badge")`)
	}},
	{"mapping-count", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/mapping")
		b.until(`document.querySelector(".cm-content")`)
		b.use("#mapping-count-do")
		b.until(`document.querySelector("#mapping-count strong")`)
		b.focused()
	}},
	{"mapping-people", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/mapping")
		b.write("#mapping-words", "example")
		b.until(`document.querySelector("#mapping-people input[type=checkbox]")`)
		b.focused()
	}},
	{"mapping-put", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/mapping")
		b.until(`document.querySelector(".cm-content")`)
		b.reach(".cm-content")
		b.press(kb.Home, ctrl)
		b.press("# one more line\r")
		b.until(`document.querySelector("#mapping-result .badge.well")`)
		b.write("#mapping-reason", "a line")
		b.act("#mapping-put")
	}},
	{"mapping-load", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/mapping")
		b.until(`document.querySelector(".cm-content")`)
		b.act(`#mapping-log tbody tr:last-child button`)
	}},
	{"mapping-undo", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/mapping")
		b.until(`document.querySelector(".cm-content")`)
		b.act("#mapping-undo")
	}},
}

// tokenAct does something with the credential of the booking page, which may be asked for anew
// at any time.
func tokenAct(selector string) func(*testing.T, *stack, *tab) {
	return func(_ *testing.T, s *stack, b *tab) {
		b.t.Helper()
		b.visit(s.URL + "/tokens/yappli")
		b.act(selector)
	}
}

var tokenActions = []actionTest{
	{"token-probe", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/tokens")
		b.use("#token-probe")
		b.until(`document.querySelector("#probed .badge.well")`)
		b.focused()
	}},
	{"token-refresh", tokenAct("#token-refresh-yappli")},
	{"token-force", tokenAct("#token-force-yappli")},
	{"token-resend", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/tokens/assisttencho")
		b.act("#token-resend-assisttencho")
	}},
	{"connect", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/tokens/supersaas")
		b.write(`[name="field.api_key"]`, s.key)
		b.act(`form[hx-post="/do/connect"] button.main`)
	}},
	{"pause-tokens", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/tokens")
		b.write("#pause-reason", "a look at the shop")
		b.act("#pause-tokens-do")
	}},
	{"resume-tokens", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/tokens")
		b.act("#resume-tokens")
	}},
}

var exportActions = []actionTest{
	{"export-plan", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/exports")
		b.write(`#datasets input[id^="rows-"]`, "4000")
		b.use(`#datasets button[id^="plan-do-"]`)
		b.until(`document.querySelector('#datasets [id^="plan-"] dl')`)
		b.focused()
	}},
	{"export-run", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/exports")
		b.act(`#datasets [id^="export-run"]`)
	}},
	{"export-find", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/exports")
		b.write("#find-words", "2")
		b.press(kb.Enter)
		b.until(`document.querySelector("#found table tbody tr")`)
		b.focused()
	}},
	{"export-stop", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/exports")
		b.use("#find-stop")
		b.until(`document.querySelector("#found-state").textContent`)
		b.focused()
	}},
	{"export-records", func(_ *testing.T, s *stack, b *tab) {
		b.visit(b.address(s.URL, "/exports/{provider}/{dataset}/{run}"))
		b.write("#records-search", "1")
		b.use("#records-find")
		b.until(`document.querySelector("#hits table tbody tr")`)
		b.focused()
	}},
	{"export-verify", func(_ *testing.T, s *stack, b *tab) {
		b.visit(b.address(s.URL, "/exports/{provider}/{dataset}/{run}"))
		b.use("#verify")
		b.until(`document.querySelector("#verdict .note.well")`)
		b.focused()
	}},
	{"pause-export", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/exports")
		b.write("#pause-reason", "a look at the shop")
		b.act("#pause-export-do")
	}},
	{"resume-export", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/exports")
		b.act("#resume-export")
	}},
}

var chaosActions = []actionTest{
	{"trouble-on", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/chaos")
		b.act("#switch-yappli-outage")
		b.until(`document.querySelector("#off-yappli-outage")`)
	}},
	{"trouble-off", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/chaos")
		b.act("#off-yappli-outage")
		b.until(`document.querySelector("#chaos-on .empty")`)
	}},
	{"troubles-off", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/chaos")
		b.act("#switch-yappli-outage")
		b.until(`document.querySelector("#off-yappli-outage")`)
		b.act("#troubles-off")
		b.until(`document.querySelector("#chaos-on .empty")`)
	}},
	{"chaos-kill", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/chaos")
		b.act(`#chaos-functions button`)
	}},
	{"chaos-speed", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/chaos")
		b.act("#speed-60")
		b.act("#speed-1")
	}},
	{"chaos-change", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/chaos")
		b.act("#chaos-change")
	}},
	{"cost", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/cost")
		b.use("#cost-do")
		b.until(`document.querySelector("#bill").childElementCount`)
		b.focused()
	}},
	{"chaos-count", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/chaos")
		b.act("#chaos-count-anew")
	}},
}

// edit changes a field of the first customer of the booking page, and returns her id.
func (s *stack) edit(b *tab, field, value string) string {
	b.t.Helper()
	id := s.users()[0]
	b.visit(s.URL + "/sandboxes")
	b.send("/do/sandbox-save", map[string]string{"provider": "supersaas", "kind": "users", "id": id, "field." + field: value})
	return id
}

// trouble switches one on or off.
func (b *tab) trouble(base, action, which string) {
	b.t.Helper()
	b.visit(base + "/chaos")
	b.send("/do/"+action, map[string]string{"trouble": which})
}

// send posts a form as the page does, where a test only prepares something.
func (b *tab) send(path string, form map[string]string) string {
	b.t.Helper()
	body, err := json.Marshal(form)
	if err != nil {
		b.t.Fatal(err)
	}
	return eval[string](b, `fetch(`+literal(path)+`, {method: "POST", body: new URLSearchParams(`+string(body)+`), headers: {"X-CSRF-Token": document.querySelector("meta[name=csrf-token]").content}}).then(r => r.text())`)
}

// doubtActions accept an export whose list was not whole.
var doubtActions = []actionTest{
	{"export-accept", func(_ *testing.T, s *stack, b *tab) {
		b.trouble(s.URL, "trouble-on", "yappli lie-shuffled")
		b.visit(s.URL + "/exports")
		b.send("/do/export-run", map[string]string{"dataset": "yappli/users"})
		b.trouble(s.URL, "troubles-off", "")
		b.visit(s.URL + "/exports")
		b.until(`document.querySelector("#datasets .note.bad a")`)
		b.follow("#datasets .note.bad a")
		b.write("#accept-reason", "the count beside the list was wrong")
		b.act("#export-accept-do")
	}},
	{"slow-stop", func(_ *testing.T, s *stack, b *tab) {
		b.trouble(s.URL, "trouble-on", "supersaas latency")
		b.visit(s.URL + "/exports")
		b.use(`[id^="export-run-supersaas"]`)
		b.until(`document.querySelector('#export-slow button[id^="slow-stop"]')`)
		b.use(`#export-slow button[id^="slow-stop"]`)
		b.until(`!document.querySelector('#export-slow button[id^="slow-stop"]')`)
		b.focused()
		b.trouble(s.URL, "troubles-off", "")
	}},
}

// Every action once, with the keyboard alone.
func TestConsole_EveryAction(t *testing.T) {
	t.Parallel()
	s := dev(t, few...)
	chrome := chromium(t)
	b := s.enter(chrome)
	known := routesOf(b)
	var tested []string
	for _, a := range actionTests {
		tested = append(tested, a.name)
		if !slices.Contains(known.Actions, a.name) {
			t.Errorf("the console has no action %s", a.name)
			continue
		}
		t.Run(a.name, func(t *testing.T) {
			of := b.in(t)
			began := time.Now()
			a.run(t, s.in(t), of)
			of.quiet()
			t.Logf("prove: console action %s: %v", a.name, time.Since(began).Round(10*time.Millisecond))
		})
	}
	for _, name := range known.Actions {
		if !slices.Contains(tested, name) {
			t.Errorf("no test does %s", name)
		}
	}
}

// in is the same tab, for a part of a test.
func (b *tab) in(t *testing.T) *tab {
	of := beside(&tab{t: t, browser: b.browser, id: b.id})
	of.screen(1280, 900, "light")
	return of
}

// in is the same stack, for a part of a test.
func (s *stack) in(t *testing.T) *stack {
	return &stack{t: t, state: s.state, env: s.env, URL: s.URL, webhook: s.webhook, key: s.key, began: s.began}
}
