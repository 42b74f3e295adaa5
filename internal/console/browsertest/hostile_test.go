package browsertest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// hostile is what somebody might write into a field: markup that runs, quotes that end an
// attribute, what template engines and terminals take for theirs, and characters that turn the
// direction of what follows.
const hostile = `"'><script>hacked=1</script><img src=x onerror=hacked=2><svg onload=hacked=3>{{.}}<hx-partial hx-target="body">gone</hx-partial>` + "\u202e\u0007\u001b[31m\u0000 javascript:hacked=4"

// Whatever stands in a record is shown as text, on every page.
func TestConsole_ShowsRecordsAsText(t *testing.T) {
	t.Parallel()
	s := dev(t, few...)
	chrome := chromium(t)
	b := s.enter(chrome)
	chromedp.ListenTarget(b.ctx, func(event any) {
		if e, ok := event.(*page.EventJavascriptDialogOpening); ok {
			b.problem("a dialog of the browser: " + e.Message)
		}
	})
	b.export(s.URL)
	b.visit(s.URL + "/sandboxes")
	written := 0
	for _, kind := range links(b, `main a[href^="/sandboxes/"]`) {
		b.visit(s.URL + kind)
		b.until(`document.querySelector("main h1")`)
		records := links(b, `#rows tbody a[href]`)
		for _, record := range records[:min(len(records), 2)] {
			written += deface(b, s.URL+record)
		}
	}
	if written < 10 {
		t.Fatalf("%d fields were written: the test does not test", written)
	}
	time.Sleep(2 * time.Second) // for the relay to carry them on
	seen := 0
	for path := range pageTests {
		address := b.address(s.URL, path)
		b.visit(address)
		b.until(`document.querySelector("main h1")`)
		time.Sleep(400 * time.Millisecond) // for an update
		if eval[bool](b, `typeof hacked !== "undefined"`) {
			t.Errorf("%s ran what a record holds", address)
		}
		if eval[bool](b, `!document.querySelector("header nav") || !!document.querySelector("main script, main img[src=x], main svg[onload]")`) {
			t.Errorf("%s took what a record holds for a part of itself", address)
		}
		if strings.Contains(eval[string](b, `document.body.innerText`), "<script>hacked") {
			seen++
		}
	}
	if seen == 0 {
		t.Error("no page showed what was written: the test does not test")
	}
}

func links(b *tab, selector string) []string {
	b.t.Helper()
	all := eval[[]string](b, fmt.Sprintf(`[...document.querySelectorAll(%s)].map(a => new URL(a.href).pathname + new URL(a.href).search)`, literal(selector)))
	slices.Sort(all)
	return slices.Compact(all)
}

// deface writes the hostile text into each field of a record by itself, as its sandbox may refuse
// some of them, and returns how many it took.
func deface(b *tab, address string) (taken int) {
	b.t.Helper()
	b.visit(address)
	b.until(`document.querySelector("main h1")`)
	const fields = `[...document.querySelectorAll("#record input:not([type=hidden], [type=password]), #record textarea")]`
	for i := range eval[int](b, fields+`.length`) {
		took := eval[bool](b, fmt.Sprintf(`(async () => {
			const field = %s[%d], form = field.form, before = field.value;
			const body = new URLSearchParams(new FormData(form)); body.set(field.name, %s);
			const answer = await fetch(form.getAttribute("hx-post"), {method: "POST", body, headers: {"X-CSRF-Token": document.querySelector("meta[name=csrf-token]").content}});
			return (await answer.text()).includes("note well") || answer.status === 204 })()`, fields, i, literal(hostile)))
		if took {
			taken++
		}
	}
	return taken
}
