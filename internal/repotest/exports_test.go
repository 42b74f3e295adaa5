package repotest_test

import (
	"go/ast"
	"strconv"
	"strings"
	"testing"
)

// TestExportedOnce finds constants that a package exports under a second name, and
// types of the public packages, so that a caller would have to learn that both are
// one. Within internal, a package may be the front of those below it.
func TestExportedOnce(t *testing.T) {
	t.Parallel()
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		own := map[string]bool{}
		for _, i := range f.file.Imports {
			if to, err := strconv.Unquote(i.Path.Value); err == nil && strings.HasPrefix(to, module+"/") {
				own[to[strings.LastIndex(to, "/")+1:]] = true
			}
		}
		for name, of := range secondNames(f.file, strings.HasPrefix(f.path, "pkg/")) {
			if own[of] {
				t.Errorf("%s exports %s, which is package %s's: let callers name that one", f.path, name, of)
			}
		}
	}
}

// secondNames returns the exported constants of a file, and types if asked for,
// that stand for another package's, with that package's name.
func secondNames(file *ast.File, types bool) map[string]string {
	names := map[string]string{}
	note := func(name *ast.Ident, of ast.Expr) {
		if selector, ok := of.(*ast.SelectorExpr); ok && name.IsExported() && ast.IsExported(selector.Sel.Name) {
			if from, ok := selector.X.(*ast.Ident); ok {
				names[name.Name] = from.Name
			}
		}
	}
	for _, d := range file.Decls {
		general, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range general.Specs {
			switch s := spec.(type) {
			case *ast.ValueSpec:
				for i, value := range s.Values {
					note(s.Names[i], value)
				}
			case *ast.TypeSpec:
				if types && s.Assign.IsValid() {
					note(s.Name, s.Type)
				}
			}
		}
	}
	return names
}
