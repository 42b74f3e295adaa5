// Command settings writes docs/settings.md from the struct tags of the functions'
// settings and from template.yaml. Usage: go run ./scripts/settings
//
// Its test fails if the document is not what the command writes.
package main

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "settings:", err)
		os.Exit(1)
	}
}

func run(root string) error {
	text, err := write(root)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, "docs", "settings.md"), text, 0o644) //nolint:gosec // as every file of the repository
}

// A setting is one variable of a function.
type setting struct {
	name, standard, meaning string
	required                bool
	others                  []string // defaults that differ, with whose they are
	readers                 []string // the functions' packages that have it in their settings
}

// files hold the settings, by what they are of.
var files = []struct{ of, path string }{
	{"all", "internal/lambdafn/environ.go"},
	{"tokenrefresh", "internal/lambdafn/refreshfn/refreshfn.go"},
	{"webhookrelay", "internal/lambdafn/relayfn/settings.go"},
	{"export", "internal/lambdafn/exportfn/settings.go"},
}

// settings reads the struct tags, in the order of the files.
func settings(root string) ([]*setting, error) {
	var list []*setting
	byName := map[string]*setting{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file.path), nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			field, ok := n.(*ast.Field)
			if !ok || field.Tag == nil {
				return true
			}
			tag, err := strconv.Unquote(field.Tag.Value)
			name, rest, _ := strings.Cut(reflect.StructTag(tag).Get("env"), ",")
			if err != nil || !strings.HasPrefix(name, "HIKYAKU_") {
				return true
			}
			s := byName[name]
			if s == nil {
				s = &setting{name: name, standard: reflect.StructTag(tag).Get("envDefault"), required: strings.Contains(rest, "required"), meaning: strings.TrimSpace(field.Comment.Text())}
				byName[name] = s
				list = append(list, s)
			}
			s.readers = append(s.readers, file.of)
			if other := reflect.StructTag(tag).Get("envDefault"); other != s.standard {
				s.others = append(s.others, file.of+" "+quoted(other))
			}
			return true
		})
	}
	return list, nil
}

// A parameter is one of the template's.
type parameter struct {
	name, standard, allowed, meaning string
}

// A template is what the document needs of template.yaml.
type template struct {
	groups     []group
	parameters map[string]parameter
	setBy      map[string]map[string]bool // the parameters that a variable is made of
}

type group struct {
	label string
	names []string
}

// child is the value under a key of a mapping.
func child(n *yaml.Node, keys ...string) *yaml.Node {
	for _, key := range keys {
		if n == nil {
			return nil
		}
		next := (*yaml.Node)(nil)
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				next = n.Content[i+1]
			}
		}
		n = next
	}
	return n
}

func value(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	return n.Value
}

func readTemplate(root string) (template, error) {
	t := template{parameters: map[string]parameter{}, setBy: map[string]map[string]bool{}}
	raw, err := os.ReadFile(filepath.Join(root, "template.yaml")) //nolint:gosec // the repository
	if err != nil {
		return t, err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(raw, &document); err != nil {
		return t, err
	}
	top := document.Content[0]
	for _, g := range child(top, "Metadata", "AWS::CloudFormation::Interface", "ParameterGroups").Content {
		read := group{label: value(child(g, "Label", "default"))}
		for _, name := range child(g, "Parameters").Content {
			read.names = append(read.names, name.Value)
		}
		t.groups = append(t.groups, read)
	}
	parameters := child(top, "Parameters")
	for i := 0; i+1 < len(parameters.Content); i += 2 {
		p := parameters.Content[i+1]
		read := parameter{name: parameters.Content[i].Value, standard: value(child(p, "Default")), meaning: value(child(p, "Description"))}
		var allowed []string
		if values := child(p, "AllowedValues"); values != nil {
			for _, v := range values.Content {
				allowed = append(allowed, cmp.Or(v.Value, "empty"))
			}
		}
		read.allowed = strings.Join(allowed, ", ")
		if low, high := value(child(p, "MinValue")), value(child(p, "MaxValue")); low+high != "" {
			read.allowed = strings.TrimSpace("from " + cmp.Or(low, "any") + " to " + cmp.Or(high, "any"))
		}
		t.parameters[read.name] = read
	}
	t.variables(top)
	return t, nil
}

// variables notes of each environment variable which parameters it names, anywhere.
func (t template) variables(n *yaml.Node) {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if name := n.Content[i].Value; strings.HasPrefix(name, "HIKYAKU_") {
			t.references(name, n.Content[i+1])
		}
	}
	for _, c := range n.Content {
		t.variables(c)
	}
}

func (t template) references(variable string, n *yaml.Node) {
	for name := range t.parameters {
		if n.Tag == "!Ref" && n.Value == name || n.Tag == "!Sub" && strings.Contains(n.Value, "${"+name+"}") {
			if t.setBy[variable] == nil {
				t.setBy[variable] = map[string]bool{}
			}
			t.setBy[variable][name] = true
		}
	}
	for _, c := range n.Content {
		t.references(variable, c)
	}
}

const head = `# Settings

Written by ` + "`go run ./scripts/settings`" + ` from template.yaml and the functions' struct tags; a test compares.

A shop sets the stack's **parameters**, in its own ` + "`samconfig.NAME.toml`" + `. Each **variable** of a function follows from them, or from the stack itself. Lengths of time are as Go writes them: ` + "`90s`, `15m`, `2h`" + `. An empty default means what the meaning says of empty.

## Parameters
`

// cell is text inside a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

func quoted(text string) string {
	if text == "" {
		return "empty"
	}
	return "`" + text + "`"
}

func write(root string) ([]byte, error) {
	all, err := settings(root)
	if err != nil {
		return nil, err
	}
	t, err := readTemplate(root)
	if err != nil {
		return nil, err
	}
	sets := map[string][]string{}
	for variable, parameters := range t.setBy {
		for name := range parameters {
			sets[name] = append(sets[name], variable)
		}
	}
	var b bytes.Buffer
	b.WriteString(head)
	for _, g := range t.groups {
		fmt.Fprintf(&b, "\n### %s\n\n| parameter | default | allowed | variable | meaning |\n|---|---|---|---|---|\n", g.label)
		for _, name := range g.names {
			p, ok := t.parameters[name]
			if !ok {
				return nil, fmt.Errorf("template.yaml groups the parameter %s, which it does not have", name)
			}
			variables := slices.Sorted(slices.Values(sets[name]))
			for i, v := range variables {
				variables[i] = "`" + v + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", name, quoted(p.standard), cell(p.allowed), strings.Join(variables, " "), cell(p.meaning))
		}
	}
	b.WriteString("\n## Variables of the functions\n\n| variable | functions | default | set by | meaning |\n|---|---|---|---|---|\n")
	for _, s := range all {
		standard := quoted(s.standard)
		if s.required {
			standard = "required"
		}
		standard = strings.Join(append([]string{standard}, s.others...), "; ")
		by := slices.Sorted(maps.Keys(t.setBy[s.name]))
		for i, name := range by {
			by[i] = "`" + name + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", s.name, strings.Join(s.readers, ", "), standard, cmp.Or(strings.Join(by, " "), "the stack"), cell(s.meaning))
	}
	return b.Bytes(), nil
}
