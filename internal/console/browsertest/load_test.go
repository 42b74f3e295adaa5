package browsertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// A loaded is what is measured in the tabs while webhooks come.
type loaded struct {
	answers []float64 // of the server to a page's request, in milliseconds
	paints  []float64 // from a click until what it changes is painted
	rates   []float64 // updates a second, of each tab
	rows    int       // the most in one list
}

// Webhooks come from a process of their own, a hundred a second for 20 s, or a thousand for a
// minute: none is refused, eight tabs stay usable, none is updated more than four times a second,
// memory is bounded, and what waits is what the page says.
func TestConsole_UnderLoad(t *testing.T) {
	rate, lasts, tabs := 100, 20*time.Second, 3
	if full() {
		rate, lasts, tabs = 1000, time.Minute, 8
	}
	s := dev(t)
	chrome := chromium(t)
	first := s.enter(chrome)
	var open []*tab
	for i := range tabs {
		b := beside(first)
		b.visit(s.URL + []string{"/", "/relay"}[i%2])
		b.until(`document.querySelector("main h1")`)
		b.until(`document.querySelector("[hx-sse\\:connect]")`)
		open = append(open, b)
	}
	if full() { // what the same takes without load
		var idle loaded
		idle.measure(t, open, 10*time.Second)
		idle.report(t, "without load", false)
	}
	users := s.users()
	done := s.post(rate, lasts, users)
	var l loaded
	l.measure(t, open, lasts-2*time.Second)
	posted := <-done
	l.report(t, fmt.Sprintf("at %d webhooks/s", rate), full())
	t.Logf("prove: console load: %d of %d webhooks acknowledged, %d late, p95 %.1f ms", posted.Acknowledged, posted.Posted, posted.Late, posted.P95)
	if posted.Acknowledged != posted.Posted || posted.Posted != int(lasts.Seconds())*rate {
		t.Errorf("%d of %d webhooks were acknowledged: %s", posted.Acknowledged, posted.Posted, posted.Fault)
	}
	memory := memoryOf(t, s.cmd.Process.Pid)
	t.Logf("prove: console load: %d MB of memory with the functions (at most 400), %d MB without", memory>>20, shareOf(s.cmd.Process.Pid)>>20)
	if memory > 400<<20 {
		t.Errorf("the stack and its functions hold %d MB, more than 400", memory>>20)
	}
}

// users are the ids of the booking page's.
func (s *stack) users() []string {
	s.t.Helper()
	var list struct {
		Records []struct{ ID string }
	}
	s.must(&list, "users", "list", "supersaas", "--limit", "1000")
	var ids []string
	for _, u := range list.Records {
		ids = append(ids, u.ID)
	}
	if len(ids) == 0 {
		s.t.Fatal("the booking page has no users")
	}
	return ids
}

type posting struct {
	Posted, Acknowledged, Late int
	P95                        float64 `json:"p95_ms"`
	Fault                      string
}

// post starts the process that posts webhooks, and returns what it did.
func (s *stack) post(rate int, lasts time.Duration, users []string) <-chan posting {
	s.t.Helper()
	program := filepath.Join(s.t.TempDir(), "load")
	if out, err := exec.Command("go", "build", "-o", program, "./load").CombinedOutput(); err != nil {
		s.t.Fatalf("building the load: %v: %s", err, out)
	}
	cmd := exec.Command(program, "-to", s.webhook, "-rate", strconv.Itoa(rate), "-for", lasts.String(), "-users", strings.Join(users, ","))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	done := make(chan posting, 1)
	go func() {
		_ = cmd.Wait()
		var p posting
		_ = json.Unmarshal(out.Bytes(), &p)
		done <- p
	}()
	return done
}

// measure looks at all tabs for a while.
func (l *loaded) measure(t *testing.T, open []*tab, lasts time.Duration) {
	t.Helper()
	end := time.Now().Add(lasts)
	for _, b := range open {
		eval[bool](b, `(window.updates = 0, window.since = performance.now(), window.counting ??= document.addEventListener("htmx:sse:after:message", e => { if (!e.detail.message.event) window.updates++ }) ?? true, true)`)
	}
	for i := 0; time.Now().Before(end); i++ {
		b := open[i%len(open)]
		l.answers = append(l.answers, eval[float64](b, `(async () => { const at = performance.now(); await (await fetch(location.href)).text(); return performance.now() - at })()`))
		l.click(b)
		l.rows = max(l.rows, eval[int](b, `Math.max(0, ...[...document.querySelectorAll("tbody, ol, ul")].map(e => e.children.length))`))
		time.Sleep(150 * time.Millisecond)
	}
	for _, b := range open {
		l.rates = append(l.rates, eval[float64](b, `window.updates / (performance.now() - window.since) * 1000`))
	}
}

// click presses the button that stops a list, as a person does, and waits for the paint.
func (l *loaded) click(b *tab) {
	b.t.Helper()
	eval[bool](b, `(() => { const button = document.querySelector("[data-stop]"); window.painted = new Promise(done => button.addEventListener("pointerdown", e => { const at = e.timeStamp; const was = button.getAttribute("aria-pressed"); const look = () => button.getAttribute("aria-pressed") !== was ? requestAnimationFrame(() => setTimeout(() => done(performance.now() - at))) : requestAnimationFrame(look); look() }, {once: true})); return true })()`)
	b.do(chromedp.Click("[data-stop]", chromedp.ByQuery))
	l.paints = append(l.paints, eval[float64](b, `window.painted`))
}

func (l *loaded) report(t *testing.T, what string, bars bool) {
	t.Helper()
	answer, paint := at95(l.answers), at95(l.paints)
	t.Logf("prove: console %s: the server answers in %.0f ms (p95 of %d; at most 100), a click paints in %.0f ms (p95; at most 200), %.1f updates/s (at most 4), %d rows (at most 200)",
		what, answer, len(l.answers), paint, slices.Max(l.rates), l.rows)
	if bars && answer > 100 {
		t.Errorf("%s: the server answers in %.0f ms", what, answer)
	}
	if bars && paint > 200 {
		t.Errorf("%s: a click paints in %.0f ms", what, paint)
	}
	if slices.Max(l.rates) > 4 {
		t.Errorf("%s: %.1f updates a second", what, slices.Max(l.rates))
	}
	if l.rows > 200 {
		t.Errorf("%s: a list has %d rows", what, l.rows)
	}
}

func at95(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[(len(all)-1)*95/100]
}

// memoryOf is what a process and its children hold, in bytes: what several of them share, such as
// the program itself, counts once.
func memoryOf(t *testing.T, pid int) int64 {
	t.Helper()
	all := shareOf(pid)
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range tasks {
		list, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		for _, child := range strings.Fields(string(list)) {
			if id, err := strconv.Atoi(child); err == nil {
				all += shareOf(id)
			}
		}
	}
	if all == 0 {
		t.Fatal("the system does not tell what memory a process holds")
	}
	return all
}

// shareOf is a process's part of what it holds with others; 0 if it has ended.
func shareOf(pid int) int64 {
	report, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(report)) {
		if value, ok := strings.CutPrefix(line, "Pss:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kb << 10
		}
	}
	return 0
}
