// Command template writes the parts of template.yaml that repeat themselves, between
// the markers "# BEGIN name" and "# END name": the tables, the alarms, what
// the schedules wait for, and the version. CloudFormation's own loops would need a transform that older
// versions of 'sam build' break on. Usage: go run ./scripts/template [template.yaml]
//
// Its test fails if template.yaml is not what the command writes.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	path := "template.yaml"
	if len(os.Args) > 1 {
		path = os.Args[1]
	}
	if err := run(path); err != nil {
		fmt.Fprintln(os.Stderr, "template:", err)
		os.Exit(1)
	}
}

func run(path string) error {
	text, err := os.ReadFile(path) //nolint:gosec // a person names it
	if err != nil {
		return err
	}
	version, err := os.ReadFile(filepath.Join(filepath.Dir(path), "VERSION")) //nolint:gosec // beside it
	if err != nil {
		return err
	}
	written, err := write(text, string(version))
	if err != nil || bytes.Equal(text, written) {
		return err
	}
	return os.WriteFile(path, written, 0o644) //nolint:gosec // as every file of the repository
}

// write returns the template with each part between its markers as it should be.
func write(text []byte, version string) ([]byte, error) {
	for _, part := range []struct {
		name string
		body func(template []byte) (string, error)
	}{
		{"tables", func([]byte) (string, error) { return tables(), nil }},
		{"alarms", func([]byte) (string, error) { return alarmResources(), nil }},
		{"dashboard", func([]byte) (string, error) { return dashboard() }},
		{"first schedule", firstSchedule}, // it names all resources that stand before
		{"version", func([]byte) (string, error) { return outputVersion(version), nil }},
	} {
		body, err := part.body(text)
		if err != nil {
			return nil, err
		}
		begin, end := "  # BEGIN "+part.name+", written by scripts/template\n", "  # END "+part.name+"\n"
		before, rest, found := strings.Cut(string(text), begin)
		_, after, ended := strings.Cut(rest, end)
		if !found || !ended {
			return nil, fmt.Errorf("no %q, or no %q after it", strings.TrimSpace(begin), strings.TrimSpace(end))
		}
		text = []byte(before + begin + body + end + after)
	}
	return text, nil
}

func outputVersion(version string) string {
	return fmt.Sprintf("  Version:\n    Description: Which version of Hikyaku this stack was deployed from\n    Value: %q\n", strings.TrimSpace(version))
}
