package mapping

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Fault is one thing that is wrong with a mapping's file, and what to write instead.
type Fault struct {
	Line   int    `json:"line"`          // from 1
	Column int    `json:"column"`        // from 1, in characters
	Key    string `json:"key,omitempty"` // the line's
	Text   string `json:"text"`
}

// A FaultsError is a mapping's file that cannot be used, with everything that is wrong with it.
type FaultsError struct {
	Name   string // of the file
	Faults []Fault
}

// Error names every fault in a line of its own.
func (e *FaultsError) Error() string {
	lines := make([]error, len(e.Faults))
	for i, f := range e.Faults {
		key := f.Key
		if key != "" {
			key += ": "
		}
		lines[i] = fmt.Errorf("  %s:%d: %s%s", e.Name, f.Line, key, f.Text)
	}
	return fmt.Sprintf("the mapping has %d faults:\n%v", len(lines), errors.Join(lines...))
}

// A place is where something stands in a file.
type place struct{ line, column int }

func at(node *yaml.Node) place { return place{node.Line, max(1, node.Column)} }

func linesOf(source []byte) [][]rune {
	if len(source) > mostFile {
		return nil // it is not read
	}
	var lines [][]rune
	for line := range strings.SplitSeq(string(source), "\n") {
		lines = append(lines, []rune(line))
	}
	return lines
}

// within is the place of a character of an expression. Where the file writes the
// expression in another way, with escapes or over several lines, it is where it begins.
func (f *file) within(v *yaml.Node, offset int) place {
	begins := at(v)
	if begins.line > len(f.lines) {
		return begins
	}
	line, start := f.lines[begins.line-1], begins.column-1
	if v.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		start++
	}
	value := []rune(v.Value)
	if trimmed := []rune(strings.TrimLeft(v.Value, " \t\r\n")); len(trimmed) < len(value) {
		offset += len(value) - len(trimmed)
	}
	if offset > len(value) || start+offset > len(line) || !slices.Equal(line[start:start+offset], value[:offset]) {
		return begins
	}
	return place{begins.line, start + offset + 1}
}

// leaveOutBroken drops the targets whose expressions have faults, also from link_if.
func (f *file) leaveOutBroken() {
	m := &f.mapping
	m.targets = slices.DeleteFunc(m.targets, func(t target) bool { return t.broken })
	m.linkIf = slices.DeleteFunc(m.linkIf, func(name string) bool {
		return !slices.ContainsFunc(m.targets, func(t target) bool { return t.name == name })
	})
}
