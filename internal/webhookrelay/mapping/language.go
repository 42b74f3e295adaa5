package mapping

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/conf"
	exprfile "github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"

	"hikyaku/internal/spelling"
)

// The bounds of an expression. The parser calls itself for each bracket.
const (
	mostSource = 2000 // bytes
	mostDepth  = 50   // brackets within brackets
)

// A kind is what is known of a value before there is any user.
type kind int

const (
	anything kind = iota // what a form holds, and what is made of it
	scalar               // a text or number, nil perhaps
	truth                // true or false
	list
	object
)

// A judge looks for the faults of one expression before any user meets it.
type judge struct {
	options   *options
	variables map[string]kind
	uses      []string // source fields
	faults    []slip
	at        int  // where the node begins that is looked at, in characters
	varies    bool // what was looked at since this was last false depends on a user
}

// A slip is a fault of an expression, and where in it, in characters.
type slip struct {
	at   int
	text string
}

func (j *judge) fault(format string, args ...any) kind {
	text := fmt.Sprintf(format, args...)
	if !slices.ContainsFunc(j.faults, func(s slip) bool { return s.text == text }) {
		j.faults = append(j.faults, slip{j.at, text})
	}
	return anything
}

// read parses an expression and names every fault.
func (j *judge) read(source string, language *conf.Config) ast.Node {
	if len(source) > mostSource {
		j.fault("the expression has %d bytes; at most %d are read: spread it over several columns", len(source), mostSource)
		return nil
	}
	if depth(source) > mostDepth {
		j.fault("more than %d brackets within brackets", mostDepth)
		return nil
	}
	tree, err := parser.ParseWithConfig(source, language)
	if err != nil {
		if e, ok := errors.AsType[*exprfile.Error](err); ok {
			j.at = e.From
		}
		text, _, _ := strings.Cut(err.Error(), "\n")
		j.fault("not an expression: %s", text)
		return nil
	}
	j.variables = map[string]kind{}
	switch j.kindOf(tree.Node) {
	case list:
		j.fault("the result is a list, and a column takes a text: write join(\", \", ...)")
	case object:
		j.fault("a whole form is no text; name one of its fields, such as form.skin")
	default:
	}
	return tree.Node
}

// language is what the parser needs to know of the functions.
func language() *conf.Config {
	c := conf.CreateNew()
	for name := range c.Builtins {
		c.Disabled[name] = true // what mappings may call is in functions
	}
	for name := range functions {
		c.Functions[name] = &builtin.Function{Name: name}
	}
	return c
}

// depth counts brackets within brackets, outside of quotes.
func depth(source string) int {
	deepest, depth, quote, escaped := 0, 0, rune(0), false
	for _, r := range source {
		switch {
		case escaped:
			escaped = false
		case quote != 0:
			escaped = r == '\\' && quote != '`'
			if r == quote {
				quote = 0
			}
		case strings.ContainsRune("'\"`", r):
			quote = r
		case strings.ContainsRune("([{", r):
			depth++
			deepest = max(deepest, depth)
		case strings.ContainsRune(")]}", r):
			depth--
		}
	}
	return deepest
}

// kindOf looks at a node and all below it. What no user's fields enter is
// evaluated at once, so that a mapping that can never be read says so.
func (j *judge) kindOf(node ast.Node) kind {
	varied, before, outside := j.varies, len(j.faults), j.at
	j.varies, j.at = false, node.Location().From
	k := j.look(node)
	if !j.varies && len(j.faults) == before && run(j.options, node, map[string]value{}) == unread {
		j.fault("%s can never be read", node)
	}
	j.varies, j.at = j.varies || varied, outside
	return k
}

func (j *judge) look(node ast.Node) kind {
	switch n := node.(type) {
	case *ast.NilNode, *ast.StringNode, *ast.IntegerNode, *ast.FloatNode:
		return scalar
	case *ast.BoolNode:
		return truth
	case *ast.IdentifierNode:
		return j.name(n.Value)
	case *ast.PointerNode:
		j.varies = true
		if n.Name != "" {
			return j.fault("#%s is not known: # is the element itself", n.Name)
		}
		return anything
	case *ast.UnaryNode:
		if n.Operator == "!" || n.Operator == "not" {
			return j.condition(n.Node)
		}
		return j.plain(n.Operator, n.Node)
	case *ast.BinaryNode:
		return j.operator(n)
	case *ast.ConditionalNode:
		j.condition(n.Cond)
		return either(j.kindOf(n.Exp1), j.kindOf(n.Exp2))
	case *ast.VariableDeclaratorNode:
		return j.let(n)
	case *ast.ChainNode:
		return j.look(n.Node)
	case *ast.MemberNode:
		return j.member(n)
	case *ast.SliceNode:
		for _, bound := range []ast.Node{n.From, n.To} {
			if bound != nil {
				j.plain("a slice", bound)
			}
		}
		j.mayBeList(n.Node, "[a:b]")
		return list
	case *ast.ArrayNode:
		for _, of := range n.Nodes {
			j.kindOf(of)
		}
		return list
	case *ast.MapNode:
		for _, pair := range n.Pairs {
			p := pair.(*ast.PairNode) // the parser makes no other
			j.plain("a key", p.Key)
			j.kindOf(p.Value)
		}
		return object
	case *ast.BuiltinNode:
		return j.predicate(n)
	case *ast.CallNode:
		return j.call(n)
	}
	j.varies = true
	return j.fault("%s is not part of the language of mappings", node)
}

func either(a, b kind) kind {
	if a != b {
		return anything
	}
	return a
}

func (j *judge) name(name string) kind {
	j.varies = true
	k, known := j.variables[name]
	switch {
	case known:
		return k
	case slices.Contains(SourceFields(), name):
		j.uses = append(j.uses, name)
		if name == "form" {
			return object
		}
		return scalar
	}
	return j.fault("unknown name %s%s; known fields: %s", name, meant(name, slices.Concat(SourceFields(), Functions())), strings.Join(SourceFields(), ", "))
}

// plain wants a text or number.
func (j *judge) plain(what string, node ast.Node) kind {
	if k := j.kindOf(node); k == list || k == object {
		j.fault("%s takes a text or number, and %s is none", what, node)
	}
	return scalar
}

// condition wants what may be true or false.
func (j *judge) condition(node ast.Node) kind {
	if k := j.kindOf(node); k != truth && k != anything {
		j.fault("a condition must be true or false, such as role == 4; %s is not", node)
	}
	return truth
}

func (j *judge) operator(n *ast.BinaryNode) kind {
	switch n.Operator {
	case "&&", "and", "||", "or":
		j.condition(n.Left)
		return j.condition(n.Right)
	case "??":
		return either(j.kindOf(n.Left), j.kindOf(n.Right))
	case "==", "!=":
		j.kindOf(n.Left)
		j.kindOf(n.Right)
		return truth
	case "in":
		j.plain("in", n.Left)
		if j.kindOf(n.Right) == scalar {
			j.fault("'in' looks into lists; in a text write: %s contains %s", n.Right, n.Left)
		}
		return truth
	case "<", "<=", ">", ">=", "contains", "startsWith", "endsWith", "matches":
		j.plain(n.Operator, n.Left)
		j.plain(n.Operator, n.Right)
		if pattern, ok := n.Right.(*ast.StringNode); ok && n.Operator == "matches" {
			if _, err := regexp.Compile(pattern.Value); err != nil {
				j.fault("%q is no regular expression: %v", pattern.Value, err)
			}
		}
		return truth
	case "+", "-", "*", "/", "%", "**", "^":
		j.plain(n.Operator, n.Left)
		return j.plain(n.Operator, n.Right)
	}
	j.varies = true
	return j.fault("the operator %s is not part of the language of mappings", n.Operator)
}

func (j *judge) let(n *ast.VariableDeclaratorNode) kind {
	if _, known := functions[n.Name]; known || slices.Contains(SourceFields(), n.Name) {
		return j.fault("let %s: the name is taken by a field or function", n.Name)
	}
	before, was := j.variables[n.Name]
	j.variables[n.Name] = j.kindOf(n.Value)
	k := j.kindOf(n.Expr)
	if j.variables[n.Name] = before; !was {
		delete(j.variables, n.Name)
	}
	return k
}

func (j *judge) member(n *ast.MemberNode) kind {
	key, named := n.Property.(*ast.StringNode)
	k := j.kindOf(n.Node)
	j.plain("[ ]", n.Property)
	switch {
	case k == scalar && named:
		return j.fault("%s has no field %s: only form has fields", n.Node, key.Value)
	case k == list && named:
		return j.fault("%s is a list: write [0] for its first element", n.Node)
	case k == scalar || k == truth:
		return j.fault("%s works on the bytes of a text: write mid(%s, 1, 1) for its first character", n, n.Node)
	}
	return anything
}

// mayBeList refuses what takes a text apart into bytes.
func (j *judge) mayBeList(node ast.Node, what string) {
	if k := j.kindOf(node); k == scalar || k == truth {
		j.fault("%s works on the bytes or elements of %s, which is a text: write %s", what, node, instead)
	}
}

const instead = "left(text, count), mid(text, from, count), right(text, count) or find(text, part)"

// predicates are the language's own functions that mappings may use on lists.
var predicates = []string{"all", "any", "count", "filter", "map", "none", "one"}

func (j *judge) predicate(n *ast.BuiltinNode) kind {
	if !slices.Contains(predicates, n.Name) {
		j.varies = true
		return j.unknownFunction(n.Name)
	}
	j.mayBeList(n.Arguments[0], n.Name)
	if len(n.Arguments) > 1 {
		asked := n.Arguments[1].(*ast.PredicateNode).Node // the parser makes no other
		if n.Name == "map" {
			j.kindOf(asked)
		} else {
			j.condition(asked)
		}
	}
	switch n.Name {
	case "map", "filter":
		return list
	case "count":
		return scalar
	}
	return truth
}

func (j *judge) call(n *ast.CallNode) kind {
	name := n.Callee.String()
	f, known := functions[name]
	if _, plain := n.Callee.(*ast.IdentifierNode); !plain || !known {
		j.varies = true
		return j.unknownFunction(name)
	}
	given := make([]kind, len(n.Arguments))
	for i, a := range n.Arguments {
		given[i] = j.kindOf(a)
	}
	if len(given) < f.least || len(given) > f.most {
		return j.fault("wrong number of arguments: write %s", f.usage)
	}
	for i, k := range given {
		if (k == list || k == object) && !f.lists {
			j.fault("%s takes a text or number, and %s is none: write %s", name, n.Arguments[i], f.usage)
		}
	}
	if text := j.options.wrongArgument(name, n.Arguments); text != "" {
		j.fault("%s", text)
	}
	return f.gives(given)
}

// unknownFunction names what to use in place of a function of the expression
// language that is off: all of those that are not in functions.
func (j *judge) unknownFunction(name string) kind {
	if _, known := builtin.Index[name]; known {
		return j.fault("%s is off, as it works on the bytes or elements of a text, or on more than one person's texts: write %s; all functions: %s",
			name, instead, strings.Join(Functions(), ", "))
	}
	return j.fault("unknown function %s%s; known functions: %s", name, meant(name, Functions()), strings.Join(Functions(), ", "))
}

// Functions lists what expressions may call, sorted. docs/mapping.md says what
// each gives.
func Functions() []string {
	names := slices.AppendSeq(slices.Clone(predicates), maps.Keys(functions))
	slices.Sort(names)
	return names
}

// meant suggests what was meant by an unknown name.
func meant(name string, known []string) string {
	best := spelling.Meant(name, known)
	if best == "" {
		return ""
	}
	return " (did you mean " + best + "?)"
}
