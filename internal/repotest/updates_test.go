package repotest_test

import (
	"go/ast"
	"maps"
	"path"
	"slices"
	"testing"
)

// updates are the functions that may call objectstore.Update, each with why a lost
// race means nothing there.
var updates = map[string]string{
	"internal/export.moveWatermark":      "how far a dataset is covered only grows",
	"internal/webhookrelay/state.update": "who asks for a reconcile, and how many were disabled in an hour, are one state of all workers",
	"internal/pause.Begin":               "two people pause different parts, and of one part the later pause counts",
	"internal/pause.End":                 "it ends the pause alone that was seen before",
	"internal/export.moveLatest":         "the newest published run wins, whoever publishes it",
}

// TestUpdates holds that only documents of which any reader may write the newest
// state are written again after a conflict. A row, a claim, a decision or a lease is
// replaced once from what was read: another's write there changes what is right to
// do, and trying again would hide it.
func TestUpdates(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		for _, d := range f.file.Decls {
			ast.Inspect(d, func(n ast.Node) bool {
				if call, ok := n.(*ast.SelectorExpr); ok && call.Sel.Name == "Update" && isName(call.X, "objectstore") {
					name := path.Dir(f.path)
					if in, ok := d.(*ast.FuncDecl); ok {
						name += "." + in.Name.Name
					}
					found[name] = true
				}
				return true
			})
		}
	}
	for name := range found {
		if updates[name] == "" {
			t.Errorf("%s calls objectstore.Update: replace once what was read, or say here why a lost race means nothing", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(updates)) {
		if !found[name] {
			t.Errorf("%s calls objectstore.Update no more", name)
		}
	}
}

func isName(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}
