package cloudwatchtest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A reading is what a query gives for one period; none: it has no data there.
type reading func(m *metrics, from, to time.Time) (float64, bool)

// expression reads the queries of an alarm, of which one returns data: a metric, or an
// expression of the others.
func (s Stack) expression(queries []any) (reading, time.Duration, error) {
	byID := map[string]reading{}
	var period time.Duration
	result := ""
	for _, each := range queries {
		q, _ := each.(map[string]any)
		stat, isMetric := q["MetricStat"].(map[string]any)
		if !isMetric {
			result = text(q["Expression"])
			continue
		}
		metric, _ := stat["Metric"].(map[string]any)
		query := map[string]any{"Period": stat["Period"]}
		for name, v := range metric {
			query[name] = v
		}
		value, of, err := s.metric(query, text(stat["Stat"]))
		if err != nil {
			return nil, 0, err
		}
		if period != 0 && of != period || text(q["ReturnData"]) != "false" {
			return nil, 0, errors.New("metrics of different periods, or several that return data")
		}
		byID[text(q["Id"])], period = value, of
	}
	tree, err := parser.ParseExpr(result) // the syntax of Go has all of it
	if err != nil {
		return nil, 0, fmt.Errorf("expression %q: %w", result, err)
	}
	value, err := compile(tree, byID)
	return value, period, err
}

// compile makes a reading of metric math.
func compile(of ast.Expr, byID map[string]reading) (reading, error) {
	switch e := of.(type) {
	case *ast.ParenExpr:
		return compile(e.X, byID)
	case *ast.Ident:
		if value := byID[e.Name]; value != nil {
			return value, nil
		}
	case *ast.BasicLit:
		n, err := strconv.ParseFloat(e.Value, 64)
		return func(*metrics, time.Time, time.Time) (float64, bool) { return n, true }, err
	case *ast.BinaryExpr:
		left, err := compile(e.X, byID)
		if err != nil {
			return nil, err
		}
		right, err := compile(e.Y, byID)
		if err != nil {
			return nil, err
		}
		return arithmetic(e.Op, left, right)
	case *ast.CallExpr:
		if name, ok := e.Fun.(*ast.Ident); ok && name.Name == "FILL" && len(e.Args) == 2 {
			return fill(e.Args, byID)
		}
	}
	return nil, fmt.Errorf("%T is nothing that this test knows of metric math", of)
}

// arithmetic takes a missing value for 0. Where no operand has data there is no result.
func arithmetic(operator token.Token, left, right reading) (reading, error) {
	do := map[token.Token]func(a, b float64) float64{
		token.ADD: func(a, b float64) float64 { return a + b },
		token.SUB: func(a, b float64) float64 { return a - b },
		token.MUL: func(a, b float64) float64 { return a * b },
	}[operator]
	if do == nil {
		return nil, fmt.Errorf("the operator %s is not known to this test", operator)
	}
	return func(m *metrics, from, to time.Time) (float64, bool) {
		a, hasA := left(m, from, to)
		b, hasB := right(m, from, to)
		return do(a, b), hasA || hasB
	}, nil
}

// fill gives a period without data a number.
func fill(arguments []ast.Expr, byID map[string]reading) (reading, error) {
	value, err := compile(arguments[0], byID)
	if err != nil {
		return nil, err
	}
	with, err := compile(arguments[1], nil)
	return func(m *metrics, from, to time.Time) (float64, bool) {
		if v, ok := value(m, from, to); ok {
			return v, true
		}
		return with(m, from, to)
	}, err
}

// A rule is that of a composite alarm.
type rule func(states map[string]State) bool

// composite reads a composite alarm of the template.
func (s Stack) composite(resource string) (rule, error) {
	properties, _ := s.template.At("Resources", resource, "Properties").(map[string]any)
	for name := range properties {
		if is, has := known[name]; name != "AlarmRule" && (is || !has) {
			return nil, fmt.Errorf("a property %s, which this test does not know", name)
		}
	}
	written, err := s.Resolve(properties["AlarmRule"])
	if err != nil {
		return nil, err
	}
	return s.rule(written)
}

// rule reads a rule in CloudWatch's words.
func (s Stack) rule(written string) (rule, error) {
	tree, err := parser.ParseExpr(strings.NewReplacer(" AND ", " && ", " OR ", " || ", "NOT ", "!").Replace(written))
	if err != nil {
		return nil, fmt.Errorf("rule %s: %w", written, err)
	}
	return s.condition(tree)
}

func (s Stack) condition(of ast.Expr) (rule, error) {
	switch e := of.(type) {
	case *ast.ParenExpr:
		return s.condition(e.X)
	case *ast.UnaryExpr:
		x, err := s.condition(e.X)
		return func(states map[string]State) bool { return !x(states) }, err
	case *ast.BinaryExpr:
		x, err := s.condition(e.X)
		if err != nil {
			return nil, err
		}
		y, err := s.condition(e.Y)
		if e.Op == token.LOR {
			return func(states map[string]State) bool { return x(states) || y(states) }, err
		}
		return func(states map[string]State) bool { return x(states) && y(states) }, err
	case *ast.CallExpr:
		state, isName := e.Fun.(*ast.Ident)
		if !isName || len(e.Args) != 1 {
			break
		}
		quoted, isText := e.Args[0].(*ast.BasicLit)
		if !isText {
			break
		}
		name, err := strconv.Unquote(quoted.Value)
		if s.template.At("Resources", strings.TrimPrefix(name, s.Name+"-")) == nil || !slices.Contains([]State{OK, Alarm, InsufficientData}, State(state.Name)) {
			return nil, fmt.Errorf("%s(%q) is no state of an alarm of this stack", state.Name, name)
		}
		return func(states map[string]State) bool { return states[name] == State(state.Name) }, err
	}
	return nil, fmt.Errorf("%T is nothing that this test knows of rules", of)
}
