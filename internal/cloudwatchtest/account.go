package cloudwatchtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/prove"
)

// A State is an alarm's.
type State string

// The states of an alarm.
const (
	OK               State = "OK"
	Alarm            State = "ALARM"
	InsufficientData State = "INSUFFICIENT_DATA"
)

// An Account is CloudWatch of one AWS account and region: metrics, and the alarms of
// the stacks that were deployed.
type Account struct {
	metrics

	extra     int
	alarms    map[string]*alarm
	composite map[string]rule
	states    map[string]State
	rang      map[string]bool
}

// NewAccount makes an account. The evaluation range of each alarm is so many periods
// longer than its evaluation periods: the guide names no number, and two in its example.
func NewAccount(extra int) *Account {
	return &Account{extra: extra, alarms: map[string]*alarm{}, composite: map[string]rule{}, states: map[string]State{}, rang: map[string]bool{}}
}

// A Stack is one deployment of a template.
type Stack struct {
	Name     string
	template prove.Template
}

// Deploy makes a stack's alarms. SAM's transform leaves them as the template has them,
// which scripts/rights.py asserts.
func (a *Account) Deploy(t testing.TB, template prove.Template, name string) Stack {
	t.Helper()
	s := Stack{name, template}
	for _, resource := range template.Resources("AWS::CloudWatch::Alarm") {
		made, err := s.alarm(resource)
		if err != nil {
			t.Fatalf("template.yaml: %s: %v", resource, err)
		}
		a.alarms[s.Physical(resource)] = made
		a.states[s.Physical(resource)] = InsufficientData
	}
	for _, resource := range template.Resources("AWS::CloudWatch::CompositeAlarm") {
		made, err := s.composite(resource)
		if err != nil {
			t.Fatalf("template.yaml: %s: %v", resource, err)
		}
		a.composite[s.Physical(resource)] = made
		a.states[s.Physical(resource)] = InsufficientData
	}
	return s
}

// Physical is the name that a resource gets.
func (s Stack) Physical(resource string) string { return s.Name + "-" + resource }

// Resolve is the text of a value of the template, with every parameter's default.
func (s Stack) Resolve(v any) (string, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return fmt.Sprint(v), nil
	}
	for function, argument := range m {
		text, ok := argument.(string)
		switch {
		case !ok:
		case function == "Ref":
			return s.reference(text)
		case function == "GetAtt":
			name, _, _ := strings.Cut(text, ".")
			return s.reference(name)
		case function == "Sub":
			return s.substitute(text)
		}
	}
	return "", fmt.Errorf("%v is nothing that this test resolves", v)
}

func (s Stack) reference(name string) (string, error) {
	if name == "AWS::StackName" {
		return s.Name, nil
	}
	if parameter := s.template.At("Parameters", name); parameter != nil {
		return s.template.Value(map[string]any{"Ref": name}), nil
	}
	if s.template.At("Resources", name) == nil {
		return "", fmt.Errorf("there is no %s", name)
	}
	return s.Physical(name), nil
}

func (s Stack) substitute(text string) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		name, after, _ := strings.Cut(rest, "}")
		name, _, _ = strings.Cut(name, ".")
		value, err := s.reference(name)
		if err != nil {
			return "", err
		}
		b.WriteString(value)
		text = after
	}
}

// Evaluate brings every alarm into its state at the end of a minute.
func (a *Account) Evaluate(now time.Time) {
	for name, of := range a.alarms {
		a.enter(name, of.state(&a.metrics, a.extra, now, a.states[name]))
	}
	for name, holds := range a.composite {
		state := OK
		if holds(a.states) {
			state = Alarm
		}
		a.enter(name, state)
	}
}

func (a *Account) enter(name string, state State) {
	a.states[name] = state
	if state == Alarm {
		a.rang[name] = true
	}
}

// State is that of an alarm after the last evaluation; empty: there is no such alarm.
func (a *Account) State(name string) State { return a.states[name] }

// Rang are the alarms that were in ALARM at any time, in the order of their names.
func (a *Account) Rang() []string { return slices.Sorted(maps.Keys(a.rang)) }
