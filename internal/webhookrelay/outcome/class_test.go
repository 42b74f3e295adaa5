package outcome_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hikyaku/internal/webhookrelay/outcome"
)

// Every constant of the table has a sentence, and no other file writes a class as
// a text of its own.
func TestSentence(t *testing.T) {
	t.Parallel()
	named := map[string]int{}
	parsed, err := parser.ParseFile(token.NewFileSet(), "class.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		if c, ok := n.(*ast.ValueSpec); ok && len(c.Values) == 1 {
			if literal, ok := c.Values[0].(*ast.BasicLit); ok {
				named[unquote(t, literal)]++
			}
		}
		return true
	})
	for class, n := range named {
		if s := outcome.Class(class).Sentence(); n != 1 || s == class || s == "" {
			t.Errorf("%s: named %d times, and reads %q", class, n, s)
		}
	}
	if got := slices.Sorted(maps.Keys(named)); len(got) < 30 || !slices.Equal(got, texts(outcome.Classes())) || outcome.Class("nosuch").Sentence() != "nosuch" {
		t.Errorf("constants %v, table %v", got, outcome.Classes())
	}
}

// Classes of one word are left out: the word may mean something else.
func TestClassesAreWrittenOnce(t *testing.T) {
	t.Parallel()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "outcome/") {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				if text := unquote(t, literal); outcome.Class(text).Sentence() != text && strings.Contains(text, "_") {
					t.Errorf("%s: %s is a class of the table: write its constant", path, literal.Value)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func unquote(t *testing.T, literal *ast.BasicLit) string {
	t.Helper()
	text, err := strconv.Unquote(literal.Value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func texts(classes []outcome.Class) []string {
	list := make([]string, len(classes))
	for i, c := range classes {
		list[i] = string(c)
	}
	return list
}
