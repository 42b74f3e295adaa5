package browsertest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// The scripts themselves, on a page with the console's policy and without the console: what they
// promise to every page.
func TestScripts(t *testing.T) {
	t.Parallel()
	chrome := chromium(t)
	axe := axeScript(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *sample, *tab)
	}{
		{"accessible", func(t *testing.T, s *sample, b *tab) {
			for _, scheme := range []string{"light", "dark"} {
				for _, width := range []int64{320, 1280} {
					b.screen(width, 800, scheme)
					b.accessible(axe, scheme)
				}
			}
		}},
		{"updates", shownAtMostFourTimesASecond},
		{"announcements", announcedOnceInFiveSeconds},
		{"hidden", stopsWhileHidden},
		{"stop", standsStillWhileStopped},
		{"focus", keepsTheFocus},
		{"opened", keepsOpenWhatIsOpened},
		{"confirm", asksInADialog},
		{"program", runsNoProgramOfAnAttribute},
		{"palette", findsByKeys},
		{"copy", copiesCommands},
		{"plots", drawsTables},
		{"lost", saysThatNothingAnswers},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := samples(t)
			b := private(t, chrome)
			b.visit(s.URL + "/page")
			b.until(`document.querySelector("#count b")`)
			test.run(t, s, b)
		})
	}
}

func shownAtMostFourTimesASecond(t *testing.T, _ *sample, b *tab) {
	changes := eval[int](b, `new Promise(done => { let n = 0; new MutationObserver(() => n++).observe(document.getElementById("count"), {subtree: true, childList: true, characterData: true}); setTimeout(() => done(n), 3000) })`)
	if changes < 8 || changes > 13 {
		t.Errorf("%d updates in 3 s of a stream that sends 50 a second; want about 12, at most 4 a second", changes)
	}
}

func announcedOnceInFiveSeconds(t *testing.T, _ *sample, b *tab) {
	times := eval[[]float64](b, `new Promise(done => { const at = []; new MutationObserver(() => at.push(performance.now())).observe(document.getElementById("announcer"), {subtree: true, childList: true, characterData: true}); setTimeout(() => done(at), 11000) })`)
	if len(times) < 2 {
		t.Fatalf("%d announcements in 11 s, want 2 or 3", len(times))
	}
	for i := 1; i < len(times); i++ {
		if times[i]-times[i-1] < 4900 {
			t.Errorf("announcements %.0f ms apart, want 5 s", times[i]-times[i-1])
		}
	}
}

func stopsWhileHidden(t *testing.T, s *sample, b *tab) {
	streams := func(s *sample) int { return s.streams }
	if got := s.get(streams); got != 1 {
		t.Errorf("%d streams of one tab", got)
	}
	hide(b, true)
	waitFor(t, "the stream ends while the tab is hidden", func() bool { return s.get(streams) == 0 })
	time.Sleep(1500 * time.Millisecond) // what had arrived is shown
	before := eval[string](b, `document.getElementById("count").textContent`)
	time.Sleep(time.Second)
	if after := eval[string](b, `document.getElementById("count").textContent`); after != before {
		t.Errorf("a hidden page went on from %s to %s", before, after)
	}
	hide(b, false)
	waitFor(t, "the stream goes on", func() bool { return s.get(streams) == 1 })
}

func hide(b *tab, hidden bool) {
	b.t.Helper()
	eval[bool](b, `(Object.defineProperty(document, "hidden", {configurable: true, get: () => `+map[bool]string{true: "true", false: "false"}[hidden]+`}), document.dispatchEvent(new Event("visibilitychange")))`)
}

func waitFor(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so after %v: %s", patience, what)
		}
	}
}

func standsStillWhileStopped(t *testing.T, _ *sample, b *tab) {
	b.do(chromedp.Focus("#stop"))
	b.press(kb.Enter)
	list := func() string { return eval[string](b, `document.getElementById("list").textContent`) }
	before, count := list(), eval[string](b, `document.getElementById("count").textContent`)
	b.until(`document.getElementById("count").textContent !== "` + count + `"`) // the rest goes on
	time.Sleep(600 * time.Millisecond)
	if after := list(); after != before {
		t.Errorf("a stopped list went from %q to %q", before, after)
	}
	b.press(kb.Enter)
	b.until(`document.getElementById("list").textContent !== "` + before + `"`)
}

func keepsTheFocus(t *testing.T, s *sample, b *tab) {
	b.do(chromedp.Focus("#first"))
	eval[bool](b, `(window.scrollTo(0, 60), true)`)
	top := eval[float64](b, `scrollY`)
	b.press(kb.Enter)
	b.until(`document.querySelector("#place #second") && !document.querySelector("#first")`)
	time.Sleep(100 * time.Millisecond)
	if got := eval[string](b, `document.activeElement.id`); got != "place" {
		t.Errorf("the focus went to %q when its button was taken away, want the place around it", got)
	}
	if got := eval[float64](b, `scrollY`); got != top {
		t.Errorf("the page moved from %v to %v", top, got)
	}
	if token := s.tokens; len(token) != 1 || token[0] != "the-token" {
		t.Errorf("the change carried the tokens %q", token)
	}
	b.until(`document.getElementById("announcer").textContent === "It is done."`)
}

func asksInADialog(t *testing.T, s *sample, b *tab) {
	b.do(chromedp.Focus("#asks"))
	b.press(kb.Enter)
	b.until(`document.querySelector("#confirm[open] [data-question]")?.textContent === "Really?"`)
	b.press(kb.Escape)
	b.until(`!document.querySelector("#confirm[open]") && document.activeElement.id === "asks"`)
	if len(s.tokens) != 0 {
		t.Error("what was not confirmed was sent")
	}
	b.press(kb.Enter)
	b.until(`document.querySelector("#confirm[open]")`)
	b.press(kb.Enter) // the first button, yes, has the focus
	b.until(`document.querySelector("#answer #second")`)
	b.until(`document.activeElement.id === "asks"`)
}

func runsNoProgramOfAnAttribute(t *testing.T, _ *sample, b *tab) {
	b.allow("attributes that hold a program are not run here")
	b.do(chromedp.Click("#program"))
	time.Sleep(200 * time.Millisecond)
	if got := eval[string](b, `document.title`); got != "Sample" {
		t.Errorf("an attribute was evaluated: the title is %q", got)
	}
}

func findsByKeys(t *testing.T, s *sample, b *tab) {
	b.do(chromedp.Focus("#asks"))
	b.press("k", input.ModifierCtrl)
	b.until(`document.activeElement.name === "q" && document.querySelectorAll("#palette [role=option]").length === 2`)
	b.press(kb.ArrowDown)
	b.until(`document.querySelectorAll("#palette [role=option]")[1].getAttribute("aria-selected") === "true" && document.activeElement.getAttribute("aria-activedescendant") === document.querySelectorAll("#palette [role=option]")[1].id`)
	b.press(kb.Escape)
	b.until(`!document.querySelector("#palette[open]") && document.activeElement.id === "asks"`)
	b.press("k", input.ModifierCtrl)
	b.until(`document.activeElement.name === "q"`)
	b.press("two")
	waitFor(t, "what is typed is posted", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.searched) > 0 && s.searched[len(s.searched)-1] == "two"
	})
	b.press(kb.ArrowDown)
	b.press(kb.Enter)
	b.until(`location.hash === "#two"`)
	if address := eval[string](b, `location.href`); strings.Contains(address, "q=") {
		t.Errorf("what was searched stands in the address %s", address)
	}
}

func copiesCommands(t *testing.T, _ *sample, b *tab) {
	eval[bool](b, `(() => { const write = navigator.clipboard.writeText.bind(navigator.clipboard); navigator.clipboard.writeText = text => (window.copied = text, write(text)); return true })()`)
	b.do(chromedp.Focus("#copy"))
	b.press(kb.Enter)
	b.until(`document.getElementById("copy").textContent === "Copied"`)
	if got := eval[string](b, `window.copied`); got != "hikyaku status" {
		t.Errorf("copied %q", got)
	}
	b.until(`document.getElementById("copy").textContent === "Copy as command"`)
}

// keepsOpenWhatIsOpened opens what the stream goes on to update, such as the table of a plot.
func keepsOpenWhatIsOpened(t *testing.T, _ *sample, b *tab) {
	b.until(`document.querySelector("#folded summary")`)
	eval[bool](b, `(document.querySelector("#folded summary").click(), true)`)
	before := eval[int](b, `Number(document.querySelector("#folded p").textContent)`)
	b.until(fmt.Sprintf(`Number(document.querySelector("#folded p").textContent) >= %d`, before+2))
	if !eval[bool](b, `document.querySelector("#folded details").open`) {
		t.Error("an update has closed what a person had opened")
	}
}

func drawsTables(t *testing.T, _ *sample, b *tab) {
	for _, plot := range []string{"#lag", "#runs"} {
		b.until(`document.querySelector("` + plot + ` canvas")?.width > 100`)
		if ink := eval[int](b, inkOf(plot)); ink < 200 {
			t.Errorf("%s is empty: %d points are drawn", plot, ink)
		}
	}
	before := eval[string](b, `document.querySelector("#lag canvas").toDataURL()`)
	eval[bool](b, `(document.querySelector("#lag-rows td + td").textContent = "9", document.dispatchEvent(new Event("htmx:after:swap")))`)
	b.until(`document.querySelector("#lag canvas").toDataURL() !== "` + before + `"`)
	light := eval[string](b, `document.querySelector("#lag canvas").toDataURL()`)
	b.do(chromedp.SetValue("[data-scheme-choice]", "dark"))
	eval[bool](b, `document.querySelector("[data-scheme-choice]").dispatchEvent(new Event("change", {bubbles: true}))`)
	b.until(`document.documentElement.dataset.scheme === "dark" && document.querySelector("#lag canvas").toDataURL() !== "` + light + `"`)
}

// inkOf counts the points of a plot that are not clear.
func inkOf(plot string) string {
	return `(() => { const c = document.querySelector("` + plot + ` canvas"); const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data; let n = 0; for (let i = 3; i < d.length; i += 4) if (d[i]) n++; return n })()`
}

func saysThatNothingAnswers(t *testing.T, s *sample, b *tab) {
	b.allow("ERR_")
	b.allow("htmx:")
	b.allow("net::")
	s.CloseClientConnections()
	_ = s.Listener.Close()
	b.until(`!document.getElementById("lost").hidden`)
}

// Eight tabs of one browser have at most four streams, so that a click in any of them finds a
// connection; each shows what is new.
func TestScripts_EightTabs(t *testing.T) {
	t.Parallel()
	chrome := chromium(t)
	s := samples(t)
	first := private(t, chrome)
	tabs := []*tab{first}
	for len(tabs) < 8 {
		tabs = append(tabs, beside(first))
	}
	for _, b := range tabs {
		b.visit(s.URL + "/page")
	}
	for i, b := range tabs {
		b.until(`Number(document.getElementById("count").textContent) >= 1`)
		began := time.Now()
		if status := eval[int](b, `fetch("/schema").then(r => r.status)`); status != 200 || time.Since(began) > 2*time.Second {
			t.Errorf("tab %d: status %d after %v", i+1, status, time.Since(began))
		}
	}
	if open, once := s.get(func(s *sample) int { return s.streams }), s.get(func(s *sample) int { return s.once }); open > 4 || once < 4 {
		t.Errorf("%d streams are open and %d single messages were asked for; want at most 4 streams, and the others to ask", open, once)
	}
}

// The editor works under the page's policy with its nonce alone: its faults are marked, what is
// typed arrives in the form, completions are offered.
func TestScripts_Editor(t *testing.T) {
	t.Parallel()
	chrome := chromium(t)
	s := samples(t)
	b := private(t, chrome)
	b.visit(s.URL + "/mapping")
	b.until(`document.querySelector(".cm-content") && document.querySelectorAll(".cm-lint-marker-error").length === 1`)
	b.do(chromedp.Focus(".cm-content"))
	b.press(kb.End, input.ModifierCtrl)
	b.press("fi")
	b.until(`[...document.querySelectorAll(".cm-tooltip-autocomplete li")].some(li => li.textContent.startsWith("fields"))`)
	time.Sleep(200 * time.Millisecond) // the editor takes no key meant for what was there before
	b.press(kb.Enter)
	b.until(`document.getElementById("mapping").value.endsWith("fields")`)
	b.until(`document.querySelector("#faults li").textContent.endsWith("fields")`)
	b.until(`document.querySelectorAll(".cm-lint-marker-error").length === 1`)
	for _, v := range b.violations(axeScript(t)) {
		t.Error(v)
	}
	b.press(kb.Tab)
	if eval[bool](b, `document.activeElement.classList.contains("cm-content")`) {
		t.Error("Tab does not leave the editor")
	}
	b.do(chromedp.Focus("#load"))
	b.press(kb.Enter)
	b.until(`document.getElementById("mapping").value === "version: 2" && document.querySelector(".cm-content").innerText === "version: 2"`)
	b.until(`document.querySelector("#faults li").textContent.endsWith("version: 2")`)
	b.quiet()

	// Without the nonce the browser reports: the test would see it.
	bare := private(t, chrome)
	bare.visit(s.URL + "/mapping?nonce=none")
	bare.until(`document.querySelector(".cm-content")`)
	waitFor(t, "the browser reports a style without a nonce", func() bool {
		return strings.Contains(strings.Join(bare.take(), "\n"), "Content Security Policy")
	})
}
