package repotest_test

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"
	"testing"
)

// The bounds of a type that acts. A record, whose methods only render or read
// it, may have as many fields as what it describes.
const (
	typeMethods = 20
	typeFields  = 15
)

// sandboxMethods bounds the methods of a type of the providers' packages, their
// sandboxes and the local AWS: they have a method for each call that they serve.
const sandboxMethods = 25

// renderers are methods of records.
var renderers = []string{"String", "Error", "GoString", "LogValue", "MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText"}

// actors are the packages whose types once grew to fifty methods over one
// receiver, cut up into short functions that nobody could follow.
var actors = slices.Concat([]string{"internal/export", "internal/pagination", "internal/webhooksecret", "pkg/jsonscan"}, tokenPackages, relayPackages)

// serves reports whether a package calls a provider, or stands in for a provider
// or for AWS.
func serves(dir string) bool {
	return strings.HasPrefix(dir+"/", "pkg/providers/") || dir == "internal/awslocal"
}

// A shape is what the files of a package say of one of its types.
type shape struct {
	fields, methods, acts int
	isStruct              bool
	serves                bool
}

func (s shape) tooLarge() bool {
	if s.serves {
		return s.methods > sandboxMethods
	}
	return s.methods > typeMethods || s.acts > 0 && s.fields > typeFields
}

// shapes counts fields and methods by package and type.
func shapes(files []source) map[string]*shape {
	all := map[string]*shape{}
	var asMethods []*shape
	of := func(f source, name string) *shape {
		key := path.Dir(f.path) + "." + name
		if all[key] == nil {
			all[key] = &shape{serves: serves(path.Dir(f.path))}
		}
		return all[key]
	}
	for _, f := range files {
		dir := path.Dir(f.path)
		if f.test || !serves(dir) && !slices.Contains(actors, dir) {
			continue
		}
		for _, d := range f.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					if first := subject(d); first != "" && (serves(dir) || slices.Contains(slices.Concat(tokenPackages, relayPackages), dir)) {
						asMethods = append(asMethods, of(f, first))
					}
					continue
				}
				s := of(f, receiver(d.Recv.List[0].Type))
				s.methods++
				if !slices.Contains(renderers, d.Name.Name) {
					s.acts++
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if s, ok := spec.(*ast.TypeSpec); ok {
						if fields, ok := s.Type.(*ast.StructType); ok {
							of(f, s.Name.Name).fields, of(f, s.Name.Name).isStruct = fields.Fields.NumFields(), true
						}
					}
				}
			}
		}
	}
	for _, s := range asMethods {
		if s.isStruct {
			s.methods++
			s.acts++
		}
	}
	return all
}

// subject names the type of a function's first parameter after the context, if the
// package may have declared it: such a function is a method by another name.
func subject(d *ast.FuncDecl) string {
	for _, p := range d.Type.Params.List {
		of := p.Type
		if star, ok := of.(*ast.StarExpr); ok {
			of = star.X
		}
		if selector, ok := of.(*ast.SelectorExpr); ok && selector.Sel.Name == "Context" {
			continue
		}
		if id, ok := of.(*ast.Ident); ok {
			return id.Name
		}
		return ""
	}
	return ""
}

// receiver names the type of a method.
func receiver(of ast.Expr) string {
	name := ""
	ast.Inspect(of, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && name == "" {
			name = id.Name
		}
		return name == ""
	})
	return name
}

func TestTypes(t *testing.T) {
	t.Parallel()
	all := shapes(sources(t))
	for name, s := range all {
		if s.tooLarge() {
			t.Errorf("%s has %d methods and %d fields, the bounds are %d and %d, of what serves %d methods: give what belongs together a type of its own", name, s.methods, s.fields, typeMethods, typeFields, sandboxMethods)
		}
	}
	if len(all) < 10 {
		t.Errorf("only %d types in %v", len(all), actors)
	}
	for _, c := range []struct {
		s    shape
		want bool
	}{
		{shape{15, 20, 20, true, false}, false}, {shape{16, 1, 1, true, false}, true}, {shape{30, 1, 0, true, false}, false}, {shape{0, 21, 0, true, false}, true},
		{shape{16, 25, 25, true, true}, false}, {shape{0, 26, 26, true, true}, true},
	} {
		if c.s.tooLarge() != c.want {
			t.Errorf("%s: too large is %t", fmt.Sprint(c.s), !c.want)
		}
	}
}
