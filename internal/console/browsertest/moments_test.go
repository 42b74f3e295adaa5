package browsertest

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"
)

// Five moments that a person has to like, each timed in the browser, with a picture.
func TestConsole_Moments(t *testing.T) {
	chrome := chromium(t)
	s := dev(t)
	b := s.enter(chrome)
	b.screen(1280, 900, "light")
	t.Run("a customer arrives", func(t *testing.T) { arrives(t, s.in(t), b.in(t)) })
	t.Run("why not", func(t *testing.T) { saysWhyNot(t, s.in(t), b.in(t)) })
	t.Run("a mapping as it is typed", func(t *testing.T) { showsTheMapping(t, s.in(t), b.in(t)) })
	t.Run("an outage", func(t *testing.T) { drains(t, s.in(t), b.in(t)) })
	t.Run("a doubt", func(t *testing.T) { mends(t, s.in(t), b.in(t)) })
}

// arrives edits a customer on the booking page and sees her arrive in the app.
func arrives(t *testing.T, s *stack, b *tab) {
	b.visit(s.URL + "/")
	b.follow(`nav a[href="/sandboxes"]`)
	b.follow(`main a[href="/sandboxes/supersaas"]`)
	b.follow(`#rows tbody a`)
	b.write(fieldNamed("full_name"), "見本 花子")
	b.act("#save")
	b.until(`document.querySelector("#follow .way li:first-child.well") && document.querySelector("#follow .note.well")`)
	took := time.Since(s.began)
	t.Logf("prove: console moment: from 'hikyaku dev' to a customer who arrived: %.1f s (at most 30)", took.Seconds())
	if took > 30*time.Second {
		t.Errorf("a customer arrived %v after the start", took)
	}
	b.picture("arrives")
	var sides struct {
		Arrived bool
		Now     struct{ Says string }
	}
	s.must(&sides, "compare", "--user", eval[string](b, `document.querySelector('#record [name=id]').value`))
	if !sides.Arrived {
		t.Errorf("the page says that she arrived; the command says: %s", sides.Now.Says)
	}
}

// saysWhyNot searches for a customer: one sentence, and one button.
func saysWhyNot(t *testing.T, s *stack, b *tab) {
	b.visit(s.URL + "/relay/people")
	began := time.Now()
	b.write("#people-words", "example")
	b.until(`document.querySelector("#found tbody a")`)
	b.follow(`#found tbody a`)
	b.until(`document.querySelector("#person-standing .badge")`)
	t.Logf("prove: console moment: from a customer's name to why not: %.1f s", time.Since(began).Seconds())
	if n := eval[int](b, `document.querySelectorAll("#person-standing p.figure + p").length`); n != 1 {
		t.Errorf("%d sentences say why not", n)
	}
	if n := eval[int](b, `document.querySelectorAll("#person-standing .main").length`); n > 1 {
		t.Errorf("%d buttons are offered first", n)
	}
	b.picture("why-not")
}

// showsTheMapping types into the mapping, and sees the results for three people.
func showsTheMapping(t *testing.T, s *stack, b *tab) {
	b.visit(s.URL + "/mapping")
	b.until(`document.querySelector(".cm-content") && document.querySelectorAll("#mapping-result h3").length === 3`)
	b.reach(".cm-content")
	b.press(kb.End, ctrl)
	b.press("\r")
	var slowest time.Duration
	for _, text := range []string{"column09: address", "x", "\b"} { // right, wrong, right again
		before := eval[string](b, `document.getElementById("mapping-result").innerHTML`)
		eval[bool](b, `(window.shown = new Promise(done => { const began = {}; document.addEventListener("mapping", () => began.at = performance.now(), {capture: true}); new MutationObserver(() => began.at && done(performance.now() - began.at)).observe(document.getElementById("mapping-result"), {subtree: true, childList: true, characterData: true}) }), true)`)
		b.press(text)
		b.until(`document.getElementById("mapping-result").innerHTML !== ` + literal(before))
		took := time.Duration(eval[float64](b, `window.shown`) * float64(time.Millisecond))
		slowest = max(slowest, took)
	}
	t.Logf("prove: console moment: from a key to the results for three people: %v (at most 300ms)", slowest.Round(time.Millisecond))
	if slowest > 300*time.Millisecond {
		t.Errorf("results came after %v", slowest)
	}
	b.use("#mapping-count-do")
	b.until(`document.querySelector("#mapping-count strong")`)
	b.picture("mapping")
	b.write("#mapping-reason", "the address, too")
	b.act("#mapping-put")
	b.act("#mapping-undo")
}

// drains lets the app fail while fifty customers change, and sees what waits, and how it goes when
// the app is back: nothing is lost.
func drains(t *testing.T, s *stack, b *tab) {
	b.visit(s.URL + "/chaos")
	b.act("#switch-yappli-denied")
	b.until(`document.querySelector("#off-yappli-denied")`)
	b.act("#chaos-change")
	const waiting = `Number(document.querySelectorAll("#chaos-count .figure")[2].textContent.replaceAll(/[^0-9]/g, ""))`
	b.until(waiting + ` >= 30`)
	b.picture("outage")
	b.act("#off-yappli-denied")
	began := time.Now()
	b.act("#speed-60") // what waits is tried again after minutes
	if err := b.reaches(waiting+` === 0`, 2*time.Minute); err != nil {
		t.Fatal(err)
	}
	t.Logf("prove: console moment: what waited for the app has drained after %.1f s", time.Since(began).Seconds())
	if lost := eval[string](b, `document.querySelectorAll("#chaos-count .figure")[3].textContent.trim()`); lost != "0" {
		t.Errorf("%s messages were lost", lost)
	}
	b.until(`document.querySelector("#chaos-count .note.well")`)
	b.picture("drained")
	b.act("#speed-1")
}

// mends looks at an export that is in doubt, and accepts it.
func mends(t *testing.T, s *stack, b *tab) {
	b.trouble(s.URL, "trouble-on", "yappli lie-shuffled")
	b.visit(s.URL + "/exports")
	b.send("/do/export-run", map[string]string{"dataset": "yappli/users"})
	b.trouble(s.URL, "troubles-off", "")
	b.visit(s.URL + "/exports")
	b.until(`document.querySelector("#datasets .note.bad a")`)
	began := time.Now()
	b.follow("#datasets .note.bad a")
	if n := eval[int](b, `document.querySelectorAll("[aria-labelledby=doubts-title] li").length`); n == 0 {
		t.Error("the run does not say what is doubtful")
	}
	b.picture("doubt")
	b.write("#accept-reason", "the app had mixed its pages")
	b.act("#export-accept-do")
	b.visit(s.URL + "/exports")
	b.until(`!document.querySelector("#datasets .note.bad")`)
	t.Logf("prove: console moment: from a doubt to green: %.1f s", time.Since(began).Seconds())
}
