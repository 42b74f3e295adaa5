package mapping

import (
	"cmp"
	"encoding/json"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// The language's parser is expr's; what an expression gives is found here, by
// walking its tree, because an unreadable value has to pass through every
// operator, which the virtual machine of expr can only end with a fault.

// A value is nil, a bool, an int, a float64, a string, a []any, a
// map[string]any, or unreadable.
type value = any

// unreadable is the value of what cannot be read: not empty, not nil, and equal
// to nothing.
type unreadable struct{}

var unread value = unreadable{}

// absent passes through the rest of a chain such as form?.a.b.
type absent struct{}

// The bounds of an evaluation, so that no mapping and no user's value takes the
// relay's time or memory. What passes them is unreadable.
const (
	mostSteps = 20_000 // nodes looked at, and one for each textStep bytes of a text
	textStep  = 32
	mostText  = 1 << 16 // bytes of a text
)

// An evaluation is one expression at work on one user.
type evaluation struct {
	options *options
	fields  map[string]value // of the user, and the variables
	items   []value          // that predicates are at, the innermost last
	steps   int
}

// run evaluates an expression. A fault of the program is no reason to stop at
// one user's value for ever.
func run(o *options, node ast.Node, fields map[string]value) (v value) {
	e := evaluation{options: o, fields: fields}
	defer func() {
		if recover() != nil || e.steps > mostSteps {
			v = unread
		}
	}()
	return e.eval(node)
}

func (e *evaluation) eval(node ast.Node) value {
	if e.steps++; e.steps > mostSteps {
		return unread
	}
	v := e.node(node)
	if text, ok := v.(string); ok {
		if e.steps += len(text) / textStep; len(text) > mostText {
			return unread
		}
	}
	return v
}

func (e *evaluation) node(node ast.Node) value {
	switch n := node.(type) {
	case *ast.NilNode:
		return nil
	case *ast.StringNode:
		return n.Value
	case *ast.IntegerNode:
		return n.Value
	case *ast.FloatNode:
		return n.Value
	case *ast.BoolNode:
		return n.Value
	case *ast.IdentifierNode:
		return e.fields[n.Value]
	case *ast.PointerNode:
		return e.items[len(e.items)-1]
	case *ast.UnaryNode:
		return unary(n.Operator, e.eval(n.Node))
	case *ast.BinaryNode:
		return e.binary(n)
	case *ast.ConditionalNode:
		switch e.eval(n.Cond) {
		case true:
			return e.eval(n.Exp1)
		case false:
			return e.eval(n.Exp2)
		}
		return unread
	case *ast.VariableDeclaratorNode:
		return e.let(n)
	case *ast.ChainNode:
		if v := e.eval(n.Node); v != (value)(absent{}) {
			return v
		}
		return nil
	case *ast.MemberNode:
		return e.member(n)
	case *ast.SliceNode:
		return e.slice(n)
	case *ast.ArrayNode:
		return e.list(n.Nodes)
	case *ast.MapNode:
		return e.object(n)
	case *ast.BuiltinNode:
		return e.predicate(n)
	case *ast.CallNode:
		v := call(e.options, n.Callee.String(), e.all(n.Arguments))
		if last, ok := n.Arguments[len(n.Arguments)-1].(*ast.StringNode); ok && v == unread && n.Callee.String() == "default" {
			return last.Value // the mapping itself says that nothing is to stand there
		}
		return v
	}
	return unread
}

func (e *evaluation) all(nodes []ast.Node) []value {
	values := make([]value, len(nodes))
	for i, n := range nodes {
		values[i] = e.eval(n)
	}
	return values
}

func (e *evaluation) list(nodes []ast.Node) value {
	values := e.all(nodes)
	if slices.Contains(values, unread) {
		return unread
	}
	return values
}

func (e *evaluation) object(n *ast.MapNode) value {
	object := map[string]value{}
	for _, pair := range n.Pairs {
		p := pair.(*ast.PairNode) // the parser makes no other
		key, ok := textOf(e.eval(p.Key))
		v := e.eval(p.Value)
		if !ok || v == unread {
			return unread
		}
		object[key] = v
	}
	return object
}

func (e *evaluation) let(n *ast.VariableDeclaratorNode) value {
	before, was := e.fields[n.Name]
	e.fields[n.Name] = e.eval(n.Value)
	v := e.eval(n.Expr)
	if e.fields[n.Name] = before; !was {
		delete(e.fields, n.Name)
	}
	return v
}

// member reads a field of a form, an entry of a table, or an element of a list.
// What a form does not have is nil, as it is empty at the source; a table that
// the mapping itself writes says nothing of a key that it lacks.
func (e *evaluation) member(n *ast.MemberNode) value {
	of, at := e.eval(n.Node), e.eval(n.Property)
	switch of := of.(type) {
	case absent:
		return of
	case nil:
		if n.Optional {
			return absent{}
		}
	case map[string]any:
		key, ok := textOf(at)
		_, table := n.Node.(*ast.MapNode)
		if v, there := of[key]; ok && (there || !table) {
			return v
		}
	case []any:
		if i, ok := at.(int); ok {
			if i < 0 {
				i += len(of)
			}
			if i >= 0 && i < len(of) {
				return of[i]
			}
		}
	}
	return unread
}

func (e *evaluation) slice(n *ast.SliceNode) value {
	of, ok := e.eval(n.Node).([]any)
	bounds := [2]int{0, len(of)}
	for i, node := range []ast.Node{n.From, n.To} {
		if node == nil {
			continue
		}
		at, is := e.eval(node).(int)
		if at < 0 {
			at += len(of)
		}
		ok, bounds[i] = ok && is, min(max(at, 0), len(of))
	}
	if !ok {
		return unread
	}
	return of[min(bounds[0], bounds[1]):bounds[1]]
}

// predicate evaluates what asks something of each element of a list.
func (e *evaluation) predicate(n *ast.BuiltinNode) value {
	list, ok := e.eval(n.Arguments[0]).([]any)
	if !ok {
		return unread
	}
	results, kept := make([]value, len(list)), []value{}
	for i, item := range list {
		results[i] = item
		if len(n.Arguments) > 1 {
			e.items = append(e.items, item)
			results[i] = e.eval(n.Arguments[1].(*ast.PredicateNode).Node) // the parser makes no other
			e.items = e.items[:len(e.items)-1]
		}
		if _, is := results[i].(bool); results[i] == unread || !is && n.Name != "map" {
			return unread
		}
		if results[i] == true {
			kept = append(kept, item)
		}
	}
	switch n.Name {
	case "map":
		return results
	case "filter":
		return kept
	case "count":
		return len(kept)
	case "any":
		return len(kept) > 0
	case "all":
		return len(kept) == len(list)
	case "none":
		return len(kept) == 0
	case "one":
		return len(kept) == 1
	}
	return unread
}

func unary(operator string, v value) value {
	switch operator {
	case "!", "not":
		if b, ok := v.(bool); ok {
			return !b
		}
		return unread
	case "-":
		return arithmetic("-", 0, v)
	}
	return arithmetic("+", 0, v)
}

func (e *evaluation) binary(n *ast.BinaryNode) value {
	a := e.eval(n.Left)
	switch n.Operator {
	case "&&", "and", "||", "or":
		if decides := n.Operator == "||" || n.Operator == "or"; a == decides {
			return decides
		}
		b := e.eval(n.Right)
		_, first := a.(bool)
		if _, second := b.(bool); !first || !second {
			return unread
		}
		return b
	case "??":
		if a != nil {
			return a
		}
		return e.eval(n.Right)
	}
	b := e.eval(n.Right)
	if a == unread || b == unread {
		return unread
	}
	switch n.Operator {
	case "==":
		return equal(a, b)
	case "!=":
		return !equal(a, b)
	case "<", "<=", ">", ">=":
		return ordered(n.Operator, a, b)
	case "in":
		return contained(a, b)
	case "contains", "startsWith", "endsWith", "matches":
		return e.found(n.Operator, a, b)
	}
	return arithmetic(n.Operator, a, b)
}

// found searches a text. A number has the text that a person sees.
func (e *evaluation) found(operator string, in, what value) value {
	text, ok := textOf(in)
	part, is := textOf(what)
	if !ok || !is || in == nil || what == nil {
		return unread
	}
	switch operator {
	case "contains":
		return strings.Contains(text, part)
	case "startsWith":
		return strings.HasPrefix(text, part)
	case "endsWith":
		return strings.HasSuffix(text, part)
	}
	pattern, err := regexp.Compile(part)
	if err != nil {
		return unread
	}
	return pattern.MatchString(text)
}

func contained(a, b value) value {
	switch b := b.(type) {
	case []any:
		return slices.ContainsFunc(b, func(v value) bool { return equal(a, v) })
	case map[string]any:
		key, ok := textOf(a)
		_, there := b[key]
		return ok && there
	}
	return unread
}

// equal: beside a number, a text that reads as one is that number.
func equal(a, b value) bool {
	if reflect.DeepEqual(a, b) {
		return true
	}
	if isNumber(a) || isNumber(b) {
		x, ok := number(a)
		y, is := number(b)
		return ok && is && x == y
	}
	return false
}

// ordered compares two texts as texts, and everything else as numbers.
func ordered(operator string, a, b value) value {
	var order int
	x, text := a.(string)
	y, both := b.(string)
	if text && both {
		order = strings.Compare(x, y)
	} else {
		x, ok := number(a)
		y, is := number(b)
		if !ok || !is {
			return unread
		}
		order = cmp.Compare(x, y)
	}
	switch operator {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

// exact is the largest integer up to which floats tell each from the next.
const exact = 1 << 53

// arithmetic adds two texts one after the other, and takes everything else for
// numbers.
func arithmetic(operator string, a, b value) value {
	x, text := a.(string)
	y, both := b.(string)
	if operator == "+" && text && both {
		return x + y
	}
	p, ok := number(a)
	q, is := number(b)
	if !ok || !is || operator == "%" && (q == 0 || p != math.Trunc(p) || q != math.Trunc(q)) {
		return unread
	}
	var r float64
	switch operator {
	case "+":
		r = p + q
	case "-":
		r = p - q
	case "*":
		r = p * q
	case "/":
		r = p / q
	case "%":
		r = math.Mod(p, q)
	case "**", "^":
		r = math.Pow(p, q)
	}
	if math.IsNaN(r) || math.Abs(r) > exact {
		return unread
	}
	if r == math.Trunc(r) {
		return int(r)
	}
	return r
}

func isNumber(v value) bool {
	switch v.(type) {
	case int, float64:
		return true
	}
	return false
}

var decimal = regexp.MustCompile(`^[+-]?[0-9]{1,15}(\.[0-9]{1,15})?$`)

// number reads a number, or a text that a person would call one.
func number(v value) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), v >= -exact && v <= exact
	case float64:
		return v, true
	case string:
		if text := trim(fold(v)); decimal.MatchString(text) {
			n, err := strconv.ParseFloat(text, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// textOf is what a column shows of a value: of nil, nothing. A list has no text.
func textOf(v value) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case int:
		return strconv.Itoa(v), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case bool:
		if v {
			return "1", true
		}
		return "0", true
	}
	return "", false
}

// valueOf prepares what a user's field holds: integers become int, so that
// 'role == 4' works, other numbers text, so that none loses a digit.
func valueOf(v any) value {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.Atoi(v.String()); err == nil {
			return n
		}
		return v.String()
	case map[string]any:
		object := make(map[string]value, len(v))
		for name := range v {
			object[name] = valueOf(v[name])
		}
		return object
	case []any:
		list := make([]value, len(v))
		for i := range v {
			list[i] = valueOf(v[i])
		}
		return list
	}
	return v
}
