package repotest_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// The bounds of the project's code.
const (
	fileLines     = 500
	functionLines = 80
)

func TestSizes(t *testing.T) {
	t.Parallel()
	for _, f := range sources(t) {
		if lines := strings.Count(f.text, "\n"); lines > fileLines {
			t.Errorf("%s has %d lines, the bound is %d: split it by its nouns", f.path, lines, fileLines)
		}
		if f.test {
			continue
		}
		for _, d := range f.file.Decls {
			function, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			first, last := f.set.Position(function.Pos()), f.set.Position(function.End())
			if n := last.Line - first.Line + 1; n > functionLines {
				t.Errorf("%s: %s has %d lines, the bound is %d: name its parts", first, function.Name.Name, n, functionLines)
			}
		}
	}
}

func TestPackageComments(t *testing.T) {
	t.Parallel()
	comments := map[string]string{}
	for _, f := range sources(t) {
		if !f.test {
			comments[path.Dir(f.path)] += f.file.Doc.Text()
		}
	}
	for dir, comment := range comments {
		if words := len(strings.Fields(comment)); words < 10 {
			t.Errorf("the package in %s has a comment of %d words: say what it is for and how it is used", dir, words)
		}
	}
}

// Every exported name says more than itself.
func TestExportedNames(t *testing.T) {
	t.Parallel()
	for _, f := range sources(t) {
		if f.test || f.file.Name.Name == "main" {
			continue
		}
		for _, d := range f.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && receiverIsExported(d) {
					check(t, f, d.Name, d.Doc)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					checkSpec(t, f, d, spec)
				}
			}
		}
	}
}

func receiverIsExported(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	exported := false
	ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
		name, ok := n.(*ast.Ident)
		exported = exported || ok && name.IsExported()
		return !ok
	})
	return exported
}

// checkSpec accepts the comment above a name, after it, or above its group.
func checkSpec(t *testing.T, f source, group *ast.GenDecl, spec ast.Spec) {
	t.Helper()
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() {
			check(t, f, s.Name, s.Doc, s.Comment, group.Doc)
		}
	case *ast.ValueSpec:
		for _, name := range s.Names {
			if name.IsExported() {
				check(t, f, name, s.Doc, s.Comment, group.Doc)
			}
		}
	}
}

func check(t *testing.T, f source, name *ast.Ident, comments ...*ast.CommentGroup) {
	t.Helper()
	if !says(name.Name, comments...) {
		t.Errorf("%s: %s has no comment that says more than its name", f.set.Position(name.Pos()), name.Name)
	}
}

// says reports whether a comment has a word that is neither in the name nor
// one that says nothing.
func says(name string, comments ...*ast.CommentGroup) bool {
	own := words(name)
	for _, c := range comments {
		for _, word := range words(c.Text()) {
			if !slices.Contains(own, word) && !slices.Contains(empty, word) {
				return true
			}
		}
	}
	return false
}

var empty = strings.Fields("a an and are be by for from get gets in is it its of on or return returns s set sets that the this to type value with")

// words splits camel case and prose alike, in lower case.
func words(text string) []string {
	var b strings.Builder
	previous := ' '
	for _, r := range text {
		if unicode.IsUpper(r) && unicode.IsLower(previous) || !unicode.IsLetter(r) {
			b.WriteByte(' ')
		}
		if unicode.IsLetter(r) {
			b.WriteRune(unicode.ToLower(r))
		}
		previous = r
	}
	return strings.Fields(b.String())
}

// traces are of unfinished work and of the machine it was done on: a word, and what
// stands before and after it. They are put together here so that this file does not
// contain them.
var traces = []struct{ before, word, after string }{
	{`\b`, "TO" + "DO", `\b`},
	{`\b`, "FIX" + "ME", `\b`},
	{`\b`, "X" + "XX", `\b`},
	{`(^|[\s"'(=:])`, "/wo" + "rk/", ""},
	{"", "/ro" + "ot/", ""},
	{"", "/ho" + "me/", "[a-z]"},
	{"", "../sha" + "red/", ""},
}

var forbidden = func() *regexp.Regexp {
	var patterns []string
	for _, t := range traces {
		patterns = append(patterns, t.before+regexp.QuoteMeta(t.word)+t.after)
	}
	return regexp.MustCompile(strings.Join(patterns, "|"))
}()

// mayHoldTraces spares a file without any of the words the slower look at each line.
func mayHoldTraces(content []byte) bool {
	for _, t := range traces {
		if bytes.Contains(content, []byte(t.word)) {
			return true
		}
	}
	return false
}

func TestTraces(t *testing.T) {
	t.Parallel()
	walk(t, func(name string) {
		content, err := os.ReadFile(path.Join(root, name))
		if err != nil {
			t.Error(err)
			return
		}
		if !mayHoldTraces(content) || bytes.IndexByte(content, 0) >= 0 || !utf8.Valid(content) {
			return
		}
		for i, line := range strings.Split(string(content), "\n") {
			if found := forbidden.FindString(line); found != "" {
				t.Errorf("%s:%d: %q must not be in the repository", name, i+1, strings.TrimSpace(found))
			}
		}
	})
}

// The module builds from what its file names.
func TestModule(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(root + "/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(content), "\n") {
		if first, _, _ := strings.Cut(strings.TrimSpace(line), " "); first == "replace" || first == "exclude" {
			t.Errorf("go.mod:%d: %s makes this module build other code than its users get", i+1, first)
		}
	}
}

// The tests here find what they are for.
func TestTheRulesBite(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"// TO" + "DO: later": true, "see /wo" + "rk/main": true, "network/wo" + "rk/": false, "a to-do list": false, "cp ../sha" + "red/x .": true,
		"FIX" + "ME": true, "X" + "XX": true, "cd /ro" + "ot/x": true, "/ho" + "me/somebody": true, "/ho" + "me/": false, "..xsha" + "red/": false,
	} {
		if got := mayHoldTraces([]byte(text)) && forbidden.MatchString(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	for _, c := range []struct {
		name, comment string
		says          bool
	}{
		{"UserName", "UserName returns the user's name.", false}, {"UserName", "UserName is what others see.", true},
		{"HTTPClient", "", false}, {"Close", "Close gets it.", false},
	} {
		group := &ast.CommentGroup{List: []*ast.Comment{{Text: "// " + c.comment}}}
		if says(c.name, nil, group) != c.says {
			t.Errorf("%s with %q: says more is %v", c.name, c.comment, !c.says)
		}
	}
	packages := map[string]listed{
		"hikyaku/a": {Imports: []string{"hikyaku/b"}}, "hikyaku/b": {Imports: []string{"hikyaku/c", "fmt"}}, "hikyaku/c": {Imports: []string{"github.com/x/y"}},
	}
	for pattern, want := range map[string]string{
		"github.com/x/...": "[hikyaku/a hikyaku/b hikyaku/c github.com/x/y]", "b": "[hikyaku/a hikyaku/b]", "b/...": "[hikyaku/a hikyaku/b]", "d": "[]", "github.com/x": "[]",
	} {
		if got := fmt.Sprint(chainTo(packages, "hikyaku/a", []string{pattern})); got != want {
			t.Errorf("chain to %s: %s, want %s", pattern, got, want)
		}
	}
}
