package prove

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// A Template is template.yaml. An intrinsic function's short form, such as !Ref X,
// is read as its long form, {"Ref": "X"}.
type Template map[string]any

// ReadTemplate reads template.yaml, which lies in root.
func ReadTemplate(t testing.TB, root string) Template {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "template.yaml")) //nolint:gosec // a test names it
	if err != nil {
		t.Fatal(err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	return plain(t, document.Content[0]).(map[string]any) //nolint:forcetypeassert // a template is a mapping
}

// plain refuses what CloudFormation does not read: anchors, aliases, merges.
func plain(t testing.TB, n *yaml.Node) any {
	t.Helper()
	if n.Kind == yaml.AliasNode || n.Anchor != "" || n.Tag == "!!merge" {
		t.Fatalf("template.yaml:%d: CloudFormation reads no anchors, aliases or merge keys", n.Line)
	}
	var v any
	switch n.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = plain(t, n.Content[i+1])
		}
		v = m
	case yaml.SequenceNode:
		l := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			l = append(l, plain(t, c))
		}
		v = l
	default:
		v = n.Value
	}
	if name, short := strings.CutPrefix(n.Tag, "!"); short && !strings.HasPrefix(name, "!") {
		return map[string]any{name: v}
	}
	return v
}

// At walks down; what is not there is nil.
func (s Template) At(keys ...string) any {
	var v any = map[string]any(s)
	for _, k := range keys {
		m, _ := v.(map[string]any)
		v = m[k]
	}
	return v
}

// Number is At for a number, or for a parameter whose default is one.
func (s Template) Number(t testing.TB, keys ...string) int {
	t.Helper()
	n, err := strconv.Atoi(s.Value(s.At(keys...)))
	if err != nil {
		t.Errorf("template.yaml: %s: %v", strings.Join(keys, "."), err)
	}
	return n
}

// Resources returns the names of a type's resources.
func (s Template) Resources(kind string) []string {
	var names []string
	for name := range s["Resources"].(map[string]any) { //nolint:forcetypeassert // of every template
		if s.At("Resources", name, "Type") == kind {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Statements are those of a role's policies, of the ones attached to it too.
func (s Template) Statements(role string) []map[string]any {
	var all []map[string]any
	add := func(document any) {
		statements, _ := document.(map[string]any)["Statement"].([]any) //nolint:forcetypeassert // of every policy
		for _, statement := range statements {
			all = append(all, statement.(map[string]any)) //nolint:forcetypeassert // of every policy
		}
	}
	policies, _ := s.At("Resources", role, "Properties", "Policies").([]any)
	for _, policy := range policies {
		if either, conditional := policy.(map[string]any)["If"].([]any); conditional { //nolint:forcetypeassert // of every policy
			policy = either[1] // the other is none
		}
		add(policy.(map[string]any)["PolicyDocument"]) //nolint:forcetypeassert // of every policy
	}
	for _, attached := range s.Resources("AWS::IAM::Policy") {
		if fmt.Sprint(s.At("Resources", attached, "Properties", "Roles")) == "[map[Ref:"+role+"]]" {
			add(s.At("Resources", attached, "Properties", "PolicyDocument"))
		}
	}
	return all
}

// Value is what a variable has with every parameter's default; a resource is
// known by an invented address.
func (s Template) Value(v any) string {
	m, _ := v.(map[string]any)
	for f, arg := range m {
		switch a := arg.(type) {
		case string:
			if standard := s.At("Parameters", a, "Default"); f == "Ref" && standard != nil {
				return fmt.Sprint(standard)
			}
			return "https://example.test/" + f
		case []any:
			return s.Value(a[len(a)-1]) // of a Join: the list's default is joined by commas already
		}
	}
	return fmt.Sprint(v)
}

// Variables are a function's, with their values; resource is its logical name.
func (s Template) Variables(resource string) map[string]string {
	all := map[string]string{}
	for _, from := range []any{
		s.At("Globals", "Function", "Environment", "Variables"),
		s.At("Resources", resource, "Properties", "Environment", "Variables"),
	} {
		m, _ := from.(map[string]any)
		for name, v := range m {
			all[name] = s.Value(v)
		}
	}
	return all
}
