package browsertest

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// axeScript reads the engine that package-lock.json pins, from the folder of npm ci.
func axeScript(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("HIKYAKU_AXE")
	if dir == "" {
		dir = "node_modules"
	}
	script, err := os.ReadFile(dir + "/axe-core/axe.min.js")
	if err != nil {
		t.Fatal("npm ci --ignore-scripts: ", err)
	}
	return string(script)
}

// accessible judges the page by every rule of WCAG 2.2 AA that a machine can judge, and that it
// does not move aside at its width.
func (b *tab) accessible(axe, what string) {
	b.t.Helper()
	for _, violation := range b.violations(axe) {
		b.t.Errorf("%s: %s", what, violation)
	}
	if over := eval[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
		b.t.Errorf("%s: wider than the window by %d pixels: %s", what, over, eval[string](b, widest))
	}
}

// widest names what sticks out.
const widest = `[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !e.closest(".scroll")).slice(-3).map(e => e.outerHTML.slice(0, 120)).join(" … ")`

func (b *tab) violations(axe string) []string {
	b.t.Helper()
	if !eval[bool](b, `typeof window.axe === "object"`) {
		b.do(chromedp.Evaluate(axe+"; true", nil))
	}
	found := eval[string](b, `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], resultTypes: ["violations"]})
		.then(r => JSON.stringify(r.violations.map(v => ({id: v.id, help: v.help, nodes: v.nodes.slice(0, 3).map(n => n.html.slice(0, 200) + " " + (n.any[0]?.message ?? n.all[0]?.message ?? ""))}))))`)
	var violations []struct {
		ID, Help string
		Nodes    []string
	}
	if err := json.Unmarshal([]byte(found), &violations); err != nil {
		b.t.Fatal(err)
	}
	var out []string
	for _, v := range violations {
		out = append(out, fmt.Sprintf("%s (%s): %s", v.ID, v.Help, strings.Join(v.Nodes, " | ")))
	}
	return out
}
