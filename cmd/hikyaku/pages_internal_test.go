package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var (
	pageFence  = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	pageSpan   = regexp.MustCompile("`([^`\n]+)`")
	pageCall   = regexp.MustCompile(`(?:^|[(;|]\s*|^\s+)(?:go run \./cmd/hikyaku|hikyaku) ([^|;)]*)`)
	pageWord   = regexp.MustCompile(`^[a-z][a-z-]*$`)
	pageOption = regexp.MustCompile(`^\[?--([a-z-]+)`)
)

// commandsOf are the calls of this command that a page shows, each without its name.
func commandsOf(page string) (calls []string) {
	take := func(line string) {
		for _, m := range pageCall.FindAllStringSubmatch(line, -1) {
			calls = append(calls, strings.TrimSpace(m[1]))
		}
	}
	for _, fence := range pageFence.FindAllString(page, -1) {
		for line := range strings.SplitSeq(strings.ReplaceAll(fence, "\\\n", " "), "\n") {
			take(line)
		}
	}
	for _, span := range pageSpan.FindAllStringSubmatch(pageFence.ReplaceAllString(page, ""), -1) {
		take(span[1])
	}
	return calls
}

// unknown says what a call names that there is not; empty: nothing.
func unknown(root *cobra.Command, call string) string {
	c := root
	words := strings.Fields(call)
	for len(words) > 0 && pageWord.MatchString(words[0]) {
		next, _, err := c.Find(words[:1])
		if err != nil || next == c {
			break
		}
		c, words = next, words[1:]
	}
	if c == root && len(words) > 0 && pageWord.MatchString(words[0]) {
		return words[0]
	}
	for _, w := range words {
		if w == "#" {
			break
		}
		if m := pageOption.FindStringSubmatch(w); m != nil && c.Flags().Lookup(m[1]) == nil && c.InheritedFlags().Lookup(m[1]) == nil && m[1] != "help" && m[1] != "version" {
			return "--" + m[1] + " of " + c.CommandPath()
		}
	}
	return ""
}

// Every call of the command on a page can be typed as it stands there.
func TestPages_ShowCommandsThatExist(t *testing.T) {
	t.Parallel()
	root, calls := newRoot(), 0
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	read := func(name string) {
		page, err := os.ReadFile(filepath.Clean(name))
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range commandsOf(string(page)) {
			calls++
			if what := unknown(root, call); what != "" {
				t.Errorf("%s: 'hikyaku %s': there is no %s", name, call, what)
			}
		}
	}
	err := filepath.WalkDir("../../docs", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(name) == ".md" && filepath.Base(filepath.Dir(name)) != "decisions" {
			read(name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README.md", "README.ja.md", "CONTRIBUTING.md", "SECURITY.md"} {
		read("../../" + name)
	}
	if calls < 150 {
		t.Errorf("%d calls were found: they are not looked for well", calls)
	}
	for call, want := range map[string]string{
		"tokns --json": "tokns", "mapping put FILE --resn x": "--resn of hikyaku mapping put", "mapping put FILE --why 'x' --stack S": "", "relay release": "",
	} {
		if got := unknown(root, call); got != want {
			t.Errorf("%s: unknown is %q, want %q", call, got, want)
		}
	}
}
