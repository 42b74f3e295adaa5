package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// billOfMaterials lets the tool say what was linked into a program, by what the Go
// command noted in it.
func billOfMaterials(tool, binary, version string, day time.Time) ([]byte, error) {
	bill, err := output(exec.CommandContext(context.Background(), tool, "bin", "-json", "-noserial", "-notimestamp", "-std", "-licenses", //nolint:gosec // the Makefile names the tool
		"-version", "v"+version, binary))
	if err != nil {
		return nil, err
	}
	return timed(bill, day)
}

// timed gives a bill the version's day, and takes out the digests of the tool's own
// program, which differ with the machine that runs it.
func timed(bill []byte, day time.Time) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(bill))
	decoder.UseNumber()
	var document map[string]any
	if err := decoder.Decode(&document); err != nil {
		return nil, fmt.Errorf("the bill of materials: %w", err)
	}
	if document["serialNumber"] != nil {
		return nil, errors.New("the bill of materials has a serial number, which differs each time")
	}
	metadata, ok := document["metadata"].(map[string]any)
	if !ok {
		return nil, errors.New("the bill of materials has no metadata")
	}
	metadata["timestamp"] = day.UTC().Format(time.RFC3339)
	tools, ok := metadata["tools"].([]any)
	if !ok {
		return nil, errors.New("the bill of materials names no tools where they are expected; a new release of the tool?")
	}
	for _, t := range tools {
		if t, ok := t.(map[string]any); ok {
			delete(t, "hashes")
		}
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(document)
	return b.Bytes(), err
}

// legal are the files of a module that have to go with it.
var legal = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)([.-].*)?$`)

// licenses joins those of every module that was linked into the program, and of Go.
func licenses(binary string) ([]byte, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	list := []string{"list", "-m", "-f", "{{.Path}} {{.Version}}\t{{.Dir}}"}
	for _, m := range info.Deps {
		list = append(list, m.Path)
	}
	modules, err := output(exec.CommandContext(context.Background(), "go", list...))
	if err != nil {
		return nil, err
	}
	goroot, err := output(exec.CommandContext(context.Background(), "go", "env", "GOROOT"))
	if err != nil {
		return nil, err
	}
	lines := strings.Split(strings.TrimSpace(string(modules)), "\n")
	slices.Sort(lines)
	lines = append([]string{"The Go standard library, " + info.GoVersion + "\t" + strings.TrimSpace(string(goroot))}, lines...)
	var b bytes.Buffer
	for _, line := range lines {
		name, dir, _ := strings.Cut(line, "\t")
		if err := appendLicenses(&b, name, dir); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

func appendLicenses(b *bytes.Buffer, name, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("%s: %w; is it downloaded?", name, err)
	}
	found := false
	for _, e := range entries {
		if e.IsDir() || !legal.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name())) //nolint:gosec // in the module's own folder
		if err != nil {
			return err
		}
		found = true
		_, _ = fmt.Fprintf(b, "=== %s: %s\n\n%s\n\n", name, e.Name(), bytes.TrimSpace(text))
	}
	if !found {
		return fmt.Errorf("%s has no license at the top of its folder", name)
	}
	return nil
}

// output runs a program; what it says beside its output is shown if it fails.
func output(c *exec.Cmd) ([]byte, error) {
	var said bytes.Buffer
	c.Stderr = &said
	b, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", c.Path, err, said.Bytes())
	}
	return b, nil
}
