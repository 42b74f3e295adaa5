package browsertest

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"
)

var relayActions = []actionTest{
	{"find-people", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/relay/people")
		b.write("#people-words", "example")
		b.until(`document.querySelector("#found tbody a")`)
		b.focused()
	}},
	{"not-arrived", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/relay/people")
		b.use("#not-arrived-do")
		b.until(`document.querySelector("#not-arrived strong")`)
		b.focused()
	}},
	{"trigger", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/relay")
		b.use("#relay-acts summary")
		b.write("#trigger-user", s.users()[0])
		b.act("#trigger-do")
	}},
	{"reconcile", func(_ *testing.T, s *stack, b *tab) { relayAct(s, b, "#reconcile") }},
	{"release", func(_ *testing.T, s *stack, b *tab) { relayAct(s, b, "#release") }},
	{"pause-relay", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/relay")
		b.use("#relay-acts summary")
		b.write("#pause-reason", "a look at the shop")
		b.act("#pause-relay-do")
		b.until(`document.querySelector("#relay-now .note.warn")`)
	}},
	{"resume-relay", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/relay")
		b.act("#resume-relay")
		b.until(`!document.querySelector("#relay-now .note.warn")`)
	}},
	{"repeat", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.way(b))
		b.act("#way-state form[action], #way-state button.main")
	}},
	{"repeat-edited", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.way(b))
		b.act("#repeat-edited")
	}},
	{"tail-relay", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.URL + "/relay")
		relay := eval[string](b, `fetch("/do/tail-relay", {method: "POST", headers: {"X-CSRF-Token": document.querySelector("meta[name=csrf-token]").content}}).then(r => r.text())`)
		if relay == "" { // only the page of a deployed stack has its button
			b.t.Error("the log is not shown")
		}
	}},
}

// queueActions change a message that waits, because the app does not answer.
var queueActions = []actionTest{
	{"delay", func(_ *testing.T, s *stack, b *tab) {
		b.trouble(s.URL, "trouble-on", "yappli outage")
		b.visit(s.waiting(b))
		b.act("#delay")
	}},
	{"duplicate", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.waiting(b))
		b.act(`[id^="duplicate-"]`)
	}},
	{"drop", func(_ *testing.T, s *stack, b *tab) {
		b.visit(s.waiting(b))
		b.act(`[id^="drop-"]`)
		b.trouble(s.URL, "troubles-off", "")
	}},
}

// waiting is the page of a message that waits in the queue.
func (s *stack) waiting(b *tab) string {
	b.t.Helper()
	s.edit(b, "full_name", "Waiting "+time.Now().Format("150405.000"))
	var address string
	waitFor(b.t, "a message waits", func() bool {
		address = s.way(b)
		b.visit(address)
		return b.reaches(`document.querySelector("#delay")`, time.Second) == nil
	})
	return address
}

// deadActions look at a customer whose member somebody has removed from the app.
var deadActions = []actionTest{
	{"show-sides", func(_ *testing.T, s *stack, b *tab) {
		s.refused(b)
		b.visit(s.URL + "/relay/dead")
		b.use(`#dead-list [id^="sides-of-"]`)
		b.until(`document.querySelector('#dead-list [id^="dead-sides-"]')?.childElementCount || document.querySelector("#notice .note")`)
		b.focused()
	}},
	{"redrive", func(_ *testing.T, s *stack, b *tab) {
		s.redrives(b, `#dead-list button[id^="redrive-"]:not([id^="redrive-all"], [id^="redrive-class"], [id^="redrive-command"])`)
	}},
	{"redrive-class", func(_ *testing.T, s *stack, b *tab) { s.redrives(b, `[id^="redrive-class"]`) }},
	{"redrive-all", func(_ *testing.T, s *stack, b *tab) { s.redrives(b, `#redrive-all`) }},
}

// refused lets the app refuse a customer, and waits for the dead letter.
func (s *stack) refused(b *tab) {
	b.t.Helper()
	b.visit(s.URL + "/relay/dead")
	if eval[bool](b, `!!document.querySelector("#dead-list section")`) {
		return
	}
	for _, user := range slices.Backward(s.users()) {
		var sides struct{ Member string }
		if s.hikyaku(&sides, "compare", "--user", user) != nil || sides.Member == "" {
			continue // it has none any more, or none yet
		}
		b.send("/do/sandbox-delete", map[string]string{"provider": "yappli", "kind": "members", "id": sides.Member})
		b.send("/do/sandbox-save", map[string]string{"provider": "supersaas", "kind": "users", "id": user, "field.full_name": "Refused"})
		break
	}
	b.visit(s.URL + "/relay/dead")
	b.until(`document.querySelector("#dead-list section")`)
}

// redrives sends a dead letter again, which comes back, as nothing was mended.
func (s *stack) redrives(b *tab, selector string) {
	b.t.Helper()
	s.refused(b)
	b.visit(s.URL + "/relay/dead")
	b.until(`document.querySelector("#dead-list section")`)
	if eval[bool](b, `!!document.querySelector(`+literal(selector)+`)?.closest("form")?.querySelector("input[type=checkbox]")`) {
		b.reach(`#dead-list input[type="checkbox"]`)
		b.press(" ")
	}
	b.act(selector)
}

// pairActions decide about customers whom the app already had, without their number.
var pairActions = []actionTest{
	{"reject", func(_ *testing.T, s *stack, b *tab) {
		s.pairs(b, 1)
		b.chosen(1)
		b.act("#reject-do")
	}},
	{"approve", func(_ *testing.T, s *stack, b *tab) {
		s.pairs(b, 3)
		b.chosen(3)
		b.act("#approve-do")
	}},
	{"approve-all", func(_ *testing.T, s *stack, b *tab) {
		s.pairs(b, 2)
		b.act(`[id^="approve-all"]`)
	}},
}

// chosen marks pairs by their boxes.
func (b *tab) chosen(n int) {
	b.t.Helper()
	for i := range n {
		b.reach(fmt.Sprintf("#pairs-list section:nth-of-type(%d) input[type=checkbox]", i+1))
		b.press(" ")
	}
}

// pairs makes customers of both systems that belong together, and waits until they are to be
// decided.
func (s *stack) pairs(b *tab, n int) {
	b.t.Helper()
	b.visit(s.URL + "/sandboxes")
	// The numbers of the next customers: the booking page counts by three.
	last := 0
	for _, id := range s.users() {
		if n, err := strconv.Atoi(id); err == nil {
			last = max(last, n)
		}
	}
	for i := range n {
		b.send("/do/sandbox-save", map[string]string{"provider": "yappli", "kind": "members", "field.unique_id": strconv.Itoa(last + 3*(i+1)), "field.login_id": fmt.Sprintf("own.%d@mail.example", last+i), "field.column01": "Pair"})
	}
	s.must(nil, "reconcile")
	for i := range n {
		address := fmt.Sprintf("pair.%d@mail.example", last+i)
		b.send("/do/sandbox-save", map[string]string{"provider": "supersaas", "kind": "users", "field.name": address, "field.email": address, "field.full_name": "Pair"})
	}
	b.visit(s.URL + "/relay/pairs")
	b.until(fmt.Sprintf(`document.querySelectorAll("#pairs-list section input[type=checkbox]").length >= %d`, n))
}

func relayAct(s *stack, b *tab, selector string) {
	b.t.Helper()
	b.visit(s.URL + "/relay")
	b.use("#relay-acts summary")
	b.act(selector)
}

// way is the page of the last message.
func (s *stack) way(b *tab) string {
	b.t.Helper()
	b.visit(s.URL + "/relay")
	b.until(`document.querySelector('#relay-live a[href^="/relay/ways/"]')`)
	return s.URL + eval[string](b, `document.querySelector('#relay-live a[href^="/relay/ways/"]').getAttribute("href")`)
}
