package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hikyaku/internal/doctor"
	"hikyaku/internal/locale"
	"hikyaku/internal/webhookrelay/outcome"
)

// A textFinder finds the texts in a program that people read.
type textFinder struct {
	consts map[string]string // of the package, by their names
	found  map[string]string // where each text stands
}

// speakers are the functions whose first text a person reads.
var speakers = []string{"M", "T", "Text", "Errorf", "Sprintf", "say", "add", "line", "section"}

var (
	// words is a text that is more than signs and values.
	words  = regexp.MustCompile(`\pL{2}`)
	noVerb = regexp.MustCompile(`%[-+# 0]*(\[\d+\])?[\d.]*[a-z]`)

	// prose is what has two words beside each other.
	prose = regexp.MustCompile(`[A-Za-z']{2,}[,;:]? [a-z]+(\b|$)`)
	// notProse is what looks like it: commands, and what stands in files for programs.
	notProse = regexp.MustCompile(`^\s*(hikyaku|aws|sam|export|unset|printf|timedatectl) |^# |^\^|describe-execution|--query|^text/|^options:|^does not exist$|^customers shopline$|^[a-z-]+\.[a-z-]+$|^; a part of |^Permissions|^import\(`)
)

// find collects the texts of a package's files.
func (t *textFinder) find(tb testing.TB, dir string) {
	tb.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(names) == 0 {
		tb.Fatal(err, dir)
	}
	files := token.NewFileSet()
	var parsed []*ast.File
	t.consts = map[string]string{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, name, nil, 0)
		if err != nil {
			tb.Fatal(err)
		}
		parsed = append(parsed, file)
		for _, declared := range file.Decls {
			if group, ok := declared.(*ast.GenDecl); ok && group.Tok == token.CONST {
				t.takeConsts(group)
			}
		}
	}
	for _, file := range parsed {
		ast.Inspect(file, func(n ast.Node) bool { return t.look(files, n) })
	}
}

func (t *textFinder) takeConsts(group *ast.GenDecl) {
	for _, spec := range group.Specs {
		named, ok := spec.(*ast.ValueSpec)
		if !ok || len(named.Values) != len(named.Names) {
			continue
		}
		for i, value := range named.Values {
			if text, ok := t.fold(value); ok {
				t.consts[named.Names[i].Name] = text
			}
		}
	}
}

// look collects the texts of a node, and reports whether to look into it.
func (t *textFinder) look(files *token.FileSet, n ast.Node) bool {
	switch n := n.(type) {
	case *ast.KeyValueExpr: // what commands say of themselves is taken from the commands
		key, ok := n.Key.(*ast.Ident)
		return !ok || !slices.Contains([]string{"Use", "Short", "Long", "Example"}, key.Name)
	case *ast.ImportSpec:
		return false
	case *ast.Field:
		return n.Tag == nil
	case *ast.CallExpr:
		return t.lookAtCall(files, n)
	case ast.Expr:
		if text, ok := t.fold(n); ok {
			if _, name := n.(*ast.Ident); !name && prose.MatchString(text) && !notProse.MatchString(text) {
				t.found[text] = files.Position(n.Pos()).String()
			}
			return false
		}
	}
	return true
}

// lookAtCall takes the texts of calls that are none by their form: headings and nouns. It
// reports whether to look into the call.
func (t *textFinder) lookAtCall(files *token.FileSet, call *ast.CallExpr) bool {
	name := ""
	switch f := call.Fun.(type) {
	case *ast.Ident:
		name = f.Name
	case *ast.SelectorExpr:
		name = f.Sel.Name
	}
	at := files.Position(call.Pos()).String()
	switch {
	case name == "panic", strings.HasSuffix(name, "Var"):
		return false // nobody is to read it, or it is read from the commands
	case name == "writeTable" && len(call.Args) == 3:
		heading, ok := call.Args[1].(*ast.CompositeLit)
		if !ok {
			return true
		}
		for _, cell := range heading.Elts {
			if text, ok := t.fold(cell); ok && text != "" {
				t.found[text] = at
			}
		}
	case name == "count" && len(call.Args) >= 2:
		one, ok := t.fold(call.Args[1])
		if !ok {
			return true
		}
		many := one + "s"
		if len(call.Args) == 3 {
			many, _ = t.fold(call.Args[2])
		}
		t.found["1 "+one], t.found["%d "+many] = at, at
		return false
	case isFmt(call.Fun):
	case name == "note" && len(call.Args) > 2:
		noun, _ := t.fold(call.Args[1])
		text, _ := t.fold(call.Args[2])
		t.found["1 "+noun], t.found["%d "+noun+"s"], t.found[text] = at, at, at
	case slices.Contains(speakers, name):
		for _, arg := range call.Args {
			if text, ok := t.fold(arg); ok {
				if words.MatchString(noVerb.ReplaceAllString(text, "")) && !notProse.MatchString(text) {
					t.found[text] = at
				}
				break // what follows are values
			}
		}
	}
	return true
}

func isFmt(f ast.Expr) bool {
	selector, ok := f.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	of, ok := selector.X.(*ast.Ident)
	return ok && of.Name == "fmt"
}

// fold is the value of an expression of constants.
func (t *textFinder) fold(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.ParenExpr:
		return t.fold(e.X)
	case *ast.Ident:
		text, ok := t.consts[e.Name]
		return text, ok
	case *ast.BinaryExpr:
		left, ok := t.fold(e.X)
		right, also := t.fold(e.Y)
		return left + right, ok && also && e.Op == token.ADD
	}
	return "", false
}

// commandTexts are what the commands say of themselves.
func commandTexts(c *cobra.Command, found map[string]string) {
	found[c.Short] = c.CommandPath()
	for _, paragraph := range paragraphs(c.Long) {
		found[paragraph] = c.CommandPath()
	}
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "help" {
			found[f.Usage] = c.CommandPath() + " --" + f.Name
		}
	})
	for _, sub := range c.Commands() {
		commandTexts(sub, found)
	}
}

// partOf reports whether a text is a part of a help that is Japanese.
func partOf(text string, helps map[string]string) bool {
	for help := range helps {
		if strings.Contains(help, strings.TrimSpace(text)) && locale.Japanese.Has(help) {
			return true
		}
	}
	return false
}

// saidElsewhere are texts of a word, which no search finds, and those of other packages.
var saidElsewhere = []string{
	"stopped", ", ", " (default %s)", ", %s ago", "%s found", "Mapping", "now", "proved", "changes", "differs", "listing", "comparing", "reading: %d users", "%s: %d users, %d members",
	"complete", "accepted", "unfinished", "expired", "no token yet", "asking for a token", "no connection", "checked: the provider accepts it", "object not found",
	"%s cannot be opened or written: %s", "no such file or directory", "permission denied", "is a directory", "not a directory", "file exists",
}

// Every text that people read can be read in Japanese: what commands say of themselves, what
// they print, and how they fail.
func TestTexts_AreInJapanese(t *testing.T) {
	t.Parallel()
	finder := textFinder{found: map[string]string{}}
	finder.find(t, ".")
	finder.find(t, "../../internal/doctor")
	finder.find(t, "../../internal/lambdafn/clibase")
	helps := map[string]string{}
	commandTexts(newRoot(), helps)
	maps.Copy(finder.found, helps)
	for _, k := range doctor.Kinds() {
		finder.found[k.Says] = "finding " + k.ID
	}
	for _, s := range doctor.Severities() {
		finder.found[string(s)] = "severities"
	}
	for _, class := range outcome.Classes() {
		finder.found[class.Sentence()] = "outcome " + string(class)
	}
	if len(finder.found) < 600 {
		t.Errorf("%d texts were found: they are not looked for well", len(finder.found))
	}
	for text := range locale.Japanese.Texts() {
		if _, said := finder.found[text]; !said && !slices.Contains(saidElsewhere, text) {
			t.Errorf("internal/locale/ja.json has %q, which nothing says", text)
		}
	}
	var missing []string
	for text, where := range finder.found {
		if !slices.ContainsFunc(paragraphs(text), func(part string) bool { return !partOf(part, helps) }) {
			continue // it stands in a command's help
		}
		if text != "" && !locale.Japanese.Has(text) {
			missing = append(missing, where+": "+strconv.Quote(text))
		}
	}
	slices.Sort(missing)
	for _, m := range missing {
		t.Errorf("internal/locale/ja.json lacks %s", m)
	}
	if list := os.Getenv("HIKYAKU_MISSING_TEXTS"); list != "" {
		if err := os.WriteFile(filepath.Clean(list), []byte(strings.Join(missing, "\n")), 0o600); err != nil {
			t.Error(err)
		}
	}
}
