package repotest_test

import (
	"fmt"
	"go/ast"
	"path"
	"strings"
	"testing"
)

// identifiers are the names of a provider's package, of its sandbox and of the
// shared vocabulary, such as "yappli.Client.Users", methods and fields included.
type identifiers map[string]bool

// identifiersOf reads them from the syntax trees, without building.
func identifiersOf(t *testing.T, provider string) identifiers {
	t.Helper()
	names := identifiers{}
	var shared []string // methods that every sandbox inherits
	for _, f := range sources(t) {
		own := strings.HasPrefix(f.path, "pkg/providers/"+provider+"/") || path.Dir(f.path) == "pkg/providers"
		sandbox := path.Dir(f.path) == "pkg/providers/sandbox"
		if f.test || !own && !sandbox {
			continue
		}
		names[f.file.Name.Name] = names[f.file.Name.Name] || own
		for _, d := range f.file.Decls {
			for _, name := range declared(d) {
				if method, found := strings.CutPrefix(name, "Server."); found && sandbox {
					shared = append(shared, method)
				}
				if own {
					names[f.file.Name.Name+"."+name] = true
				}
			}
		}
	}
	for _, method := range shared {
		names[provider+"test.Server."+method] = true
	}
	return names
}

// testsOf are the functions of the tests of a provider's package and its sandbox.
func testsOf(t *testing.T, provider string) identifiers {
	t.Helper()
	names := identifiers{}
	for _, f := range sources(t) {
		if !f.test || !strings.HasPrefix(f.path, "pkg/providers/"+provider+"/") {
			continue
		}
		for _, d := range f.file.Decls {
			for _, name := range declared(d) {
				names[name] = true
			}
		}
	}
	return names
}

// declared returns the names of a declaration, "Type.Method" and "Type.Field"
// among them.
func declared(d ast.Decl) []string {
	var names []string
	switch d := d.(type) {
	case *ast.FuncDecl:
		name := d.Name.Name
		if d.Recv != nil {
			name = typeName(d.Recv.List[0].Type) + "." + name
		}
		names = append(names, name)
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.ValueSpec:
				for _, n := range s.Names {
					names = append(names, n.Name)
				}
			case *ast.TypeSpec:
				names = append(append(names, s.Name.Name), members(s)...)
			}
		}
	}
	return names
}

func members(s *ast.TypeSpec) []string {
	var fields *ast.FieldList
	switch of := s.Type.(type) {
	case *ast.StructType:
		fields = of.Fields
	case *ast.InterfaceType:
		fields = of.Methods
	default:
		return nil
	}
	var names []string
	for _, f := range fields.List {
		for _, n := range f.Names {
			names = append(names, s.Name.Name+"."+n.Name)
		}
	}
	return names
}

func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// missingCode returns what the function column names that does not exist, or
// "". Names are separated by commas or semicolons; a name without its package
// belongs to the type or the package of the one before; a remark in brackets
// is skipped.
func (r coverageRow) missingCode(known identifiers) string {
	if !r.built() {
		return ""
	}
	prefix := ""
	for _, name := range strings.FieldsFunc(r.code, func(c rune) bool { return c == ',' || c == ';' }) {
		name, _, _ = strings.Cut(strings.TrimSpace(name), " (")
		full := name
		for !known[full] && prefix != "" {
			full = prefix + "." + name
			if !known[full] {
				prefix = prefix[:max(strings.LastIndex(prefix, "."), 0)]
			}
		}
		if !known[full] {
			return fmt.Sprintf("%s does not exist in pkg/providers or pkg/providers/%s", name, r.provider())
		}
		prefix = full[:max(strings.LastIndex(full, "."), 0)]
	}
	return ""
}

// The checks of a row find what they are for.
func TestCoverageRowRules(t *testing.T) {
	t.Parallel()
	good := coverageRow{2, "yappli.txt", "5-7", "parameter", "what it is", "yappli.Client.Users, User; CreateUser", "TestX/sub_test", "GET /users query:limit"}
	known := identifiers{"yappli": true, "yappli.Client": true, "yappli.Client.Users": true, "yappli.Client.User": true, "yappli.CreateUser": true}
	if good.malformed() != "" || good.missingCode(known) != "" {
		t.Errorf("%q %q", good.malformed(), good.missingCode(known))
	}
	for name, spoil := range map[string]func(*coverageRow){
		"document": func(r *coverageRow) { r.document = "x.txt" }, "lines": func(r *coverageRow) { r.lines = "5," }, "kind": func(r *coverageRow) { r.kind = "idea" },
		"test": func(r *coverageRow) { r.test = "testX" }, "seen": func(r *coverageRow) { r.saw = "query:limit" }, "untested": func(r *coverageRow) { r.test = "-" },
		"unseen": func(r *coverageRow) { r.saw = "-" }, "no reason": func(r *coverageRow) { r.code, r.what = notBuilt, "XML" },
	} {
		r := good
		spoil(&r)
		if r.malformed() == "" {
			t.Errorf("%s: the row was accepted", name)
		}
	}
	for _, code := range []string{"yappli.Nothing", "yappli.Client.Users, Nobody", "Users", "supersaas.Client"} {
		r := good
		r.code = code
		if r.missingCode(known) == "" {
			t.Errorf("%s was found", code)
		}
	}
	for _, code := range []string{"yappli (package documentation)", "yappli", "not built: for the web console"} {
		r := good
		r.code = code
		if fault := r.missingCode(known); fault != "" {
			t.Errorf("%s: %s", code, fault)
		}
	}
}
