package browsertest

import (
	"fmt"
	"time"

	"github.com/chromedp/chromedp/kb"
)

// reach goes to an element as someone without a mouse does, by Tab alone.
func (b *tab) reach(selector string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`document.querySelector(%s)`, literal(selector)))
	const most = 600
	for range most {
		if eval[bool](b, fmt.Sprintf(`document.activeElement === document.querySelector(%s)`, literal(selector))) {
			return
		}
		b.press(kb.Tab)
	}
	b.t.Fatalf("Tab does not reach %s on %s", selector, eval[string](b, `location.pathname`))
}

// palette opens the dialog that finds everything.
func (b *tab) palette() {
	b.t.Helper()
	b.until(`document.readyState === "complete"`)
	b.press("k", ctrl)
	b.clicks++
	b.until(`document.querySelector("#palette[open]") && document.querySelector("#palette [role=option]")`)
}

// find goes by the dialog to the first thing that some words find.
func (b *tab) find(words string) {
	b.t.Helper()
	b.palette()
	eval[bool](b, `window.left = true`)
	b.press(words)
	b.until(`document.querySelectorAll("#palette [role=option]").length > 0 && document.querySelector("#palette [role=option]").textContent.toLowerCase().includes(` + literal(words) + `.toLowerCase())`)
	b.press(kb.Enter)
	b.until(`!window.left && document.readyState === "complete" && document.querySelector("main h1")`)
}

// use reaches a button or a link and presses it.
func (b *tab) use(selector string) {
	b.t.Helper()
	b.reach(selector)
	b.press(kb.Enter)
	b.clicks++
}

// mark reaches a box and marks it.
func (b *tab) mark(selector string) {
	b.t.Helper()
	b.reach(selector)
	b.press(" ")
	b.clicks++
}

// write reaches a field and puts a text in place of what it holds.
func (b *tab) write(selector, text string) {
	b.t.Helper()
	b.reach(selector)
	b.press("a", ctrl)
	b.press(text)
}

// follow uses a link, and waits for the page that it leads to.
func (b *tab) follow(selector string) {
	b.t.Helper()
	eval[bool](b, `window.left = true`)
	b.use(selector)
	b.until(`!window.left && document.readyState === "complete" && document.querySelector("main h1")`)
}

// do uses a button and waits for what came of it, which has to be good.
func (b *tab) act(selector string) {
	b.t.Helper()
	eval[bool](b, `(document.querySelector("#notice").replaceChildren(), true)`)
	b.use(selector)
	b.confirm()
	b.noticed()
}

// confirm says yes to a question, if one is asked at once.
func (b *tab) confirm() {
	b.t.Helper()
	time.Sleep(30 * time.Millisecond)
	if eval[bool](b, `!!document.querySelector("#confirm[open]")`) {
		b.use(`#confirm [value="yes"]`)
	}
}

// noticed waits for what came of an action, and fails unless it is good and the focus stayed
// on the page.
func (b *tab) noticed() {
	b.t.Helper()
	b.until(`document.querySelector("#notice .note, #notice .card")`)
	if bad := eval[string](b, `document.querySelector("#notice .note.bad")?.innerText ?? ""`); bad != "" {
		b.t.Errorf("on %s: %s", eval[string](b, `location.pathname`), bad)
	}
	b.focused()
}

// focused fails if the last update took the focus away.
func (b *tab) focused() {
	b.t.Helper()
	if eval[bool](b, `document.activeElement === document.body || document.activeElement === null`) {
		b.t.Errorf("on %s the focus fell back to the beginning of the page", eval[string](b, `location.pathname`))
	}
}
