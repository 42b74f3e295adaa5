package browsertest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

const (
	mostClicks   = 5 // or keys pressed in their place
	mostCommands = 2
)

// A task is what a shop has to do now and then: with the console, and with commands.
type task struct {
	name     string
	prepare  func(*stack, *tab)
	console  func(*stack, *tab)
	commands func(*stack, *tab) [][]string // what the second needs of the first is read before
}

var tasks = []task{
	{
		"who did not arrive, and why", func(s *stack, b *tab) { s.refused(b) },
		func(_ *stack, b *tab) {
			b.follow(`nav a[href="/relay"]`)
			b.follow(`main nav a[href="/relay/dead"]`)
			b.until(`document.querySelector("#dead-list section p")?.textContent.length > 10`)
		},
		func(*stack, *tab) [][]string { return [][]string{{"dead"}} },
	},
	{
		"redrive one letter", func(s *stack, b *tab) { s.refused(b) },
		func(_ *stack, b *tab) {
			b.follow(`nav a[href="/relay"]`)
			b.follow(`main nav a[href="/relay/dead"]`)
			b.mark(`#dead-list input[type="checkbox"]`)
			b.act(`#dead-list button.main[id^="redrive-"]`)
		},
		func(s *stack, b *tab) [][]string {
			s.refused(b)
			var list struct {
				Letters []struct{ Entry struct{ User string } } `json:"dead_letters"`
			}
			s.must(&list, "dead")
			return [][]string{{"dead"}, {"redrive", "--user", list.Letters[0].Entry.User}}
		},
	},
	{
		"approve three pairs", func(s *stack, b *tab) { s.pairs(b, 3) },
		func(_ *stack, b *tab) {
			b.find("pairs")
			for i := range 3 {
				b.mark(fmt.Sprintf("#pairs-list section:nth-of-type(%d) input[type=checkbox]", i+1))
			}
			b.act("#approve-do")
		},
		func(s *stack, b *tab) [][]string {
			s.pairs(b, 3)
			var list struct{ Token string }
			s.must(&list, "links", "list")
			return [][]string{{"links", "list"}, {"links", "approve", "--all", "--token", list.Token}}
		},
	},
	{
		"mend and undo a mapping", nil,
		func(_ *stack, b *tab) {
			b.follow(`nav a[href="/mapping"]`)
			b.until(`document.querySelector(".cm-content")`)
			b.typed("column09: address")
			b.until(`document.querySelector("#mapping-result .badge.well")`)
			b.act("#mapping-put")
			b.act("#mapping-undo")
		},
		func(s *stack, _ *tab) [][]string {
			var shown struct{ Source string }
			s.must(&shown, "mapping", "show")
			file := filepath.Join(s.t.TempDir(), "mapping.yaml")
			if err := os.WriteFile(file, []byte(shown.Source+"\ncolumn10: address\n"), 0o600); err != nil {
				s.t.Fatal(err)
			}
			return [][]string{{"mapping", "put", file, "--yes"}, {"mapping", "undo", "--yes"}}
		},
	},
	{
		"find a doubtful export and accept it", func(s *stack, b *tab) { s.doubtful(b) },
		func(_ *stack, b *tab) {
			b.follow(`nav a[href="/exports"]`)
			b.follow("#datasets .note.bad a")
			b.write("#accept-reason", "the app had mixed its pages")
			b.act("#export-accept-do")
		},
		func(s *stack, b *tab) [][]string {
			s.doubtful(b)
			var list struct {
				Runs []struct{ Run, Doubt string }
			}
			s.must(&list, "runs", "yappli/users")
			id := ""
			for _, r := range list.Runs {
				if r.Doubt != "" {
					id = r.Run // the newest
				}
			}
			var one struct{ Place string }
			s.must(&one, "runs", "yappli/users", "--run", id)
			return [][]string{{"runs", "yappli/users", "--run", id}, {"export", "accept", one.Place, "--reason", "looked at"}}
		},
	},
	{
		"renew a token", nil,
		func(_ *stack, b *tab) {
			b.follow(`nav a[href="/tokens"]`)
			b.act("#token-refresh-yappli")
		},
		func(*stack, *tab) [][]string { return [][]string{{"tokens", "refresh", "yappli"}} },
	},
	{
		"pause and resume", nil,
		func(_ *stack, b *tab) {
			b.follow(`nav a[href="/relay"]`)
			b.use("#relay-acts summary")
			b.write("#pause-reason", "a look at the shop")
			b.act("#pause-relay-do")
			b.act("#resume-relay")
		},
		func(*stack, *tab) [][]string {
			return [][]string{{"pause", "relay", "--reason", "a look", "--for", "1h"}, {"resume", "relay"}}
		},
	},
	{
		"what happened to one customer", nil,
		func(s *stack, b *tab) {
			b.find(s.users()[0])
			b.until(`document.querySelector("#person-story")`)
		},
		func(s *stack, _ *tab) [][]string { return [][]string{{"history", "--user", s.users()[0]}} },
	},
	{
		"what did this month cost", nil,
		func(_ *stack, b *tab) {
			b.find("cost")
			b.until(`document.querySelector("main h1")`)
		},
		func(*stack, *tab) [][]string { return [][]string{{"cost"}} },
	},
	{
		"find a customer in the exports", func(s *stack, _ *tab) { s.must(nil, "export", "supersaas/users") },
		func(s *stack, b *tab) {
			b.follow(`nav a[href="/exports"]`)
			b.write("#find-words", s.users()[0])
			b.use("#find")
			b.until(`document.querySelector("#found table tbody tr")`)
		},
		func(s *stack, _ *tab) [][]string {
			return [][]string{{"records", "supersaas/users", "--search", s.users()[0]}}
		},
	},
}

// typed writes a line at the end of the mapping.
func (b *tab) typed(line string) {
	b.t.Helper()
	b.reach(".cm-content")
	eval[bool](b, `(getSelection().selectAllChildren(document.querySelector(".cm-line:last-child")), getSelection().collapseToEnd(), true)`)
	b.press("\r" + line)
	b.until(`document.getElementById("mapping-text").value.trimEnd().endsWith(` + literal(line) + `)`)
}

// doubtful makes an export that is in doubt.
func (s *stack) doubtful(b *tab) {
	b.t.Helper()
	b.trouble(s.URL, "trouble-on", "yappli lie-shuffled")
	b.send("/do/export-run", map[string]string{"dataset": "yappli/users"})
	b.trouble(s.URL, "troubles-off", "")
	b.visit(s.URL + "/exports")
	b.until(`document.querySelector("#datasets .note.bad a")`)
}

// Ten tasks by the keyboard alone and by commands, each in few steps.
func TestConsole_Tasks(t *testing.T) {
	t.Parallel()
	s := dev(t, few...)
	chrome := chromium(t)
	b := s.enter(chrome)
	for _, task := range tasks {
		t.Run(task.name, func(t *testing.T) {
			s, b := s.in(t), b.in(t)
			if task.prepare != nil {
				task.prepare(s, b)
			}
			b.visit(s.URL + "/")
			b.clicks = 0
			task.console(s, b)
			commands := task.commands(s, b)
			for _, command := range commands {
				s.must(nil, command...)
			}
			t.Logf("prove: console task: %s: %d clicks, %d commands (at most %d, or %d)", task.name, b.clicks, len(commands), mostClicks, mostCommands)
			if b.clicks > mostClicks || len(commands) > mostCommands {
				t.Errorf("%d clicks, or %d commands", b.clicks, len(commands))
			}
			b.quiet()
		})
	}
}
