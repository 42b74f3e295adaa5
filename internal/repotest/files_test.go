package repotest_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// root is the repository's, seen from this package.
const root = "../.."

// A source is a parsed Go file.
type source struct {
	path string // from the root, with slashes
	test bool
	text string
	set  *token.FileSet
	file *ast.File
}

// walk calls f for every file that belongs to the repository: not for what
// .gitignore names, and not for version control's own.
func walk(t *testing.T, f func(name string)) {
	t.Helper()
	ignored, err := os.ReadFile(root + "/.gitignore")
	if err != nil {
		t.Fatal(err)
	}
	patterns := strings.Fields(string(ignored))
	err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name = strings.TrimPrefix(filepath.ToSlash(name), root+"/")
		for _, p := range patterns {
			whole, atRoot := strings.CutPrefix(strings.TrimSuffix(p, "/"), "/")
			matched, _ := path.Match(whole, name)
			if !atRoot {
				matched, _ = path.Match(whole, path.Base(name))
			}
			if matched && entry.IsDir() {
				return fs.SkipDir
			} else if matched {
				return nil
			}
		}
		switch {
		case name == ".git" && entry.IsDir():
			return fs.SkipDir
		case entry.Type().IsRegular() && name != ".git":
			f(name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// parse reads every Go file once; test data are not the product's code.
var parse = sync.OnceValues(func() ([]source, error) {
	var all []source
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if base := entry.Name(); entry.IsDir() && (base == "testdata" || name != root && strings.HasPrefix(base, ".")) {
			return fs.SkipDir
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(filepath.Clean(name))
		if err != nil {
			return err
		}
		set, clean := token.NewFileSet(), strings.TrimPrefix(filepath.ToSlash(name), root+"/")
		file, err := parser.ParseFile(set, clean, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		all = append(all, source{clean, strings.HasSuffix(name, "_test.go"), string(text), set, file})
		return nil
	})
	return all, err
})

func sources(t *testing.T) []source {
	t.Helper()
	all, err := parse()
	if err != nil {
		t.Fatal(err)
	}
	return all
}
