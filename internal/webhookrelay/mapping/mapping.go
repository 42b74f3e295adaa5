// Package mapping is the language in which a shop says what each field of a
// Yappli member is made of: a YAML file of expressions over the fields of a
// SuperSaaS user. See docs/mapping.md.
//
//	m, err := mapping.Parse("mapping.yaml", source)
//	wish, err := m.Wish(user)
package mapping

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/optimizer"
	"github.com/expr-lang/expr/vm"
	"go.yaml.in/yaml/v3"

	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/yappli"
)

// ErrMapping says that the mapping cannot be evaluated for one user. What wraps
// it names target and line, and no value.
var ErrMapping = errors.New("mapping failed for this user")

// SourceFields are the fields of a SuperSaaS user that a mapping may use.
// "form" is the custom form's object, read only if a mapping names it.
func SourceFields() []string {
	return []string{
		"id", "fk", "name", "email", "full_name", "address", "phone", "mobile", "country", "timezone",
		"field_1", "field_2", "super_field", "credit", "role", "group", "created_on", "updated_on", "last_login", "form",
	}
}

// A Mapping says which field of a Yappli member is made of what. It is a YAML
// mapping from request fields of Yappli to expressions over SuperSaaS fields:
//
//	options:
//	  zone: Asia/Tokyo       # of date(); default UTC
//	  region: JP             # of e164() and domestic(); no default
//	  password: on_create    # allows a target "password"; default never
//	login_id: email
//	column01: full_name
//	column02: e164(default(mobile, phone))
//	column03: date(created_on)
//
// A plain field keeps three states apart: one that the user does not have is
// not sent at all, null is sent as null, "" as "". An expression is not sent
// if none of the fields that it uses is there, and is null if it gives nil.
// Members of a form that is no object, as an empty one may be, are nil.
// Functions, and what they make of nil, are those of Functions.
//
// A Mapping is safe for concurrent use.
type Mapping struct {
	targets  []target
	form     bool
	password bool // "password" may be a target
}

type target struct {
	name    string
	line    int
	field   string      // a plain field; else program
	program *vm.Program // compiled against SourceFields
	uses    []string    // fields that program names
}

type mappingOptions struct {
	Zone     string `yaml:"zone"`
	Region   string `yaml:"region"`
	Password string `yaml:"password"`

	zone *time.Location
}

// forbidden targets, each with the reason.
var forbidden = map[string]string{
	"unique_id": "it is made of the identity setting",
	"enabled":   "the relay alone decides it; an operator's 0 must stay",
	"point":     "the API cannot set it",
}

// Parse reads and compiles a mapping. name is for messages. Every fault
// is reported, each with its line; a mapping without targets is one.
func Parse(name string, source []byte) (*Mapping, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(source, &document); err != nil {
		return nil, fmt.Errorf("%s: not YAML: %w", name, err)
	}
	if len(document.Content) == 0 || document.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s: no mapping: at least one line such as 'column01: full_name' is needed; 'hikyaku mapping init' writes a starter", name)
	}
	p := mappingParser{name: name, mapping: &Mapping{}, seen: map[string]bool{}, options: mappingOptions{zone: time.UTC}}
	pairs := document.Content[0].Content
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i].Value == "options" {
			p.readOptions(pairs[i+1])
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i].Value != "options" {
			p.readTarget(pairs[i], pairs[i+1])
		}
	}
	if len(p.faults) == 0 && !slices.ContainsFunc(p.mapping.targets, func(t target) bool { return t.name != "password" }) {
		p.fault(1, "options", "no target that an update could set; map at least one")
	}
	if len(p.faults) > 0 {
		return nil, fmt.Errorf("the mapping has %d faults:\n%w", len(p.faults), errors.Join(p.faults...))
	}
	slices.SortFunc(p.mapping.targets, func(a, b target) int { return strings.Compare(a.name, b.name) })
	return p.mapping, nil
}

type mappingParser struct {
	name     string
	mapping  *Mapping
	options  mappingOptions
	language *conf.Config // of the expressions, made with the first
	seen     map[string]bool
	faults   []error
}

func (p *mappingParser) fault(line int, key, format string, args ...any) {
	p.faults = append(p.faults, fmt.Errorf("  %s:%d: %s: %s", p.name, line, key, fmt.Sprintf(format, args...)))
}

func (p *mappingParser) readOptions(node *yaml.Node) {
	raw, err := yaml.Marshal(node)
	if err == nil {
		dec := yaml.NewDecoder(bytes.NewReader(raw))
		dec.KnownFields(true)
		err = dec.Decode(&p.options)
	}
	if err != nil {
		p.fault(node.Line, "options", "only zone, region and password are known")
		return
	}
	if p.options.Zone != "" {
		if p.options.zone, err = time.LoadLocation(p.options.Zone); err != nil {
			p.options.zone = time.UTC
			p.fault(node.Line, "options", "zone %q is not an IANA time zone such as Asia/Tokyo", p.options.Zone)
		}
	}
	if _, ok := regions[strings.ToUpper(p.options.Region)]; !ok && p.options.Region != "" {
		p.fault(node.Line, "options", "region %q is not one of %s", p.options.Region, regionNames())
	}
	switch p.options.Password {
	case "on_create":
		p.mapping.password = true
	case "", "never":
	default:
		p.fault(node.Line, "options", "password must be never or on_create")
	}
}

func (p *mappingParser) readTarget(key, value *yaml.Node) {
	t := target{name: key.Value, line: key.Line}
	switch reason, no := forbidden[t.name]; {
	case p.seen[t.name]:
		p.fault(t.line, t.name, "mapped twice")
		return
	case no:
		p.fault(t.line, t.name, "cannot be mapped: %s", reason)
		return
	case !slices.Contains(yappli.RequestFields(), t.name):
		p.fault(t.line, t.name, "no such field in Yappli; known: login_id, password, rank, column01 to column50, secret_question, secret_answer, logined, logined_at")
		return
	case t.name == "password" && !p.mapping.password:
		p.fault(t.line, t.name, "needs the explicit policy 'options: {password: on_create}'; it is sent on creation only")
		return
	case value.Kind != yaml.ScalarNode || value.Tag == "!!null" || strings.TrimSpace(value.Value) == "":
		p.fault(t.line, t.name, "a field name or an expression is expected")
		return
	}
	p.seen[t.name] = true
	switch source := strings.TrimSpace(value.Value); {
	case source == "form":
		p.fault(t.line, t.name, "a whole form is no text; name one of its fields, such as form.skin")
		return
	case slices.Contains(SourceFields(), source):
		t.field = source
	case !p.compile(&t, source, value.Line):
		return
	}
	p.mapping.targets = append(p.mapping.targets, t)
}

// compileExpression is expr.Compile with one configuration for all expressions:
// making it anew for each takes half of a cold start's time.
func (p *mappingParser) compileExpression(source string) (*vm.Program, error) {
	if p.language == nil {
		p.language = conf.CreateNew()
		for _, o := range p.options.functions() {
			o(p.language)
		}
		for name := range p.language.Disabled {
			delete(p.language.Builtins, name)
		}
		p.language.Check()
	}
	tree, err := checker.ParseCheck(source, p.language)
	if err != nil {
		return nil, err
	}
	if err := optimizer.Optimize(&tree.Node, p.language); err != nil {
		return nil, err
	}
	return compiler.Compile(tree, p.language)
}

func (p *mappingParser) compile(t *target, source string, line int) bool {
	program, err := p.compileExpression(source)
	if err != nil {
		text, _, _ := strings.Cut(err.Error(), "\n")
		if strings.HasPrefix(text, "unknown name") {
			text += "; known fields: " + strings.Join(SourceFields(), ", ") + "; known functions: " + strings.Join(Functions(), ", ")
		}
		p.fault(line, t.name, "%s", text)
		return false
	}
	t.program = program
	node, calls := program.Node(), visitor{target: t, options: p.options}
	ast.Walk(&node, &calls)
	if calls.fault != "" {
		p.fault(line, t.name, "%s", calls.fault)
		return false
	}
	p.mapping.form = p.mapping.form || slices.Contains(t.uses, "form")
	return true
}

type visitor struct {
	target  *target
	options mappingOptions
	fault   string
}

// Visit notes each source field that the expression names, and a wrong argument.
func (v *visitor) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		if slices.Contains(SourceFields(), n.Value) {
			v.target.uses = append(v.target.uses, n.Value)
		}
	case *ast.CallNode:
		v.fault = cmp.Or(v.fault, v.options.wrongArgument(n))
	}
}

// UsesForm reports whether users must be read with their custom form.
func (m *Mapping) UsesForm() bool { return m.form }

// Uses returns the SuperSaaS fields that the mapping reads, sorted.
func (m *Mapping) Uses() []string {
	var names []string
	for _, t := range m.targets {
		if t.field != "" {
			names = append(names, t.field)
		}
		names = append(names, t.uses...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Targets returns the Yappli fields that the mapping sets, sorted.
func (m *Mapping) Targets() []string {
	names := make([]string, len(m.targets))
	for i, t := range m.targets {
		names[i] = t.name
	}
	return names
}

// Wish evaluates the mapping for one user. Errors are ErrMapping.
func (m *Mapping) Wish(u supersaas.User) (yappli.Fields, error) {
	fields := u.Fields()
	var env map[string]any
	wish := yappli.Fields{}
	for _, t := range m.targets {
		if t.program == nil {
			if raw, there := fields[t.field]; there {
				v, err := ValueOf(raw)
				if err != nil {
					return nil, t.failed()
				}
				wish[t.name] = v
			}
			continue
		}
		if env == nil {
			env = environment(fields)
			if _, ok := env["form"].(map[string]any); !ok {
				env["form"] = map[string]any{} // null, [] or absent: an operator on it would fail
			}
		}
		v, there, err := t.run(fields, env)
		if err != nil {
			return nil, t.failed()
		}
		if there {
			wish[t.name] = v
		}
	}
	if err := wish.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMapping, err)
	}
	return wish, nil
}

func (t target) failed() error { return fmt.Errorf("%w: %s, line %d", ErrMapping, t.name, t.line) }

func (t target) run(fields, env map[string]any) (v yappli.Value, there bool, err error) {
	if len(t.uses) > 0 && !slices.ContainsFunc(t.uses, func(f string) bool { _, ok := fields[f]; return ok }) {
		return yappli.Value{}, false, nil
	}
	result, err := expr.Run(t.program, env)
	if err != nil {
		return yappli.Value{}, false, err // its text may quote a value: never show it
	}
	v, err = ValueOf(result)
	return v, true, err
}

// environment prepares a user's fields for expressions: integers become int,
// so that 'role == 4' works, other numbers text.
func environment(fields map[string]any) map[string]any {
	env := make(map[string]any, len(fields))
	for name, v := range fields {
		env[name] = plain(v)
	}
	return env
}

func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.Atoi(v.String()); err == nil {
			return n
		}
		return v.String()
	case map[string]any:
		return environment(v)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plain(v[i])
		}
		return list
	}
	return v
}

var errNotText = errors.New("the result is no text, number or boolean")

// ValueOf is the request value of what a field holds or an expression gives: a
// text, number or boolean, or null for nil.
func ValueOf(v any) (yappli.Value, error) {
	switch v := v.(type) {
	case nil:
		return yappli.Null(), nil
	case string:
		return yappli.Text(v), nil
	case json.Number:
		return yappli.Text(v.String()), nil
	case int:
		return yappli.Int(int64(v)), nil
	case float64:
		return yappli.Text(strconv.FormatFloat(v, 'f', -1, 64)), nil
	case bool:
		return yappli.Bool(v), nil
	}
	return yappli.Value{}, errNotText
}
