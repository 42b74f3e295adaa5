package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const heading = `Hikyaku
Copyright the Hikyaku authors. Licensed under the Apache License 2.0; see LICENSE.

The pages of the console contain parts of the packages below, each under its own license.
`

// licenses is the text of NOTICE: the packages of the bundles with their licenses' whole texts.
func licenses(modules string, used map[string]bool) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(heading)
	for _, name := range slices.Sorted(maps.Keys(used)) {
		var about struct{ Version, License string }
		data, err := os.ReadFile(filepath.Join(modules, name, "package.json")) //nolint:gosec // a folder that who runs this names
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(data, &about); err != nil {
			return nil, fmt.Errorf("package.json of %s: %w", name, err)
		}
		text, err := license(filepath.Join(modules, name))
		if err != nil {
			return nil, fmt.Errorf("license of %s: %w", name, err)
		}
		fmt.Fprintf(&out, "\n%s\n%s %s (%s)\n\n%s\n", strings.Repeat("-", 80), name, about.Version, about.License, text)
	}
	return out.Bytes(), nil
}

// license is the text of the one file of a package that holds it.
func license(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		name := strings.ToUpper(entry.Name())
		if !strings.HasPrefix(name, "LICENSE") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, entry.Name())) //nolint:gosec // a folder that who runs this names
		return strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")), err
	}
	return "", os.ErrNotExist
}

// pinned fails if a package is not held to a digest, or comes from anywhere but the registry
// of npm.
func pinned(lock string) error {
	data, err := os.ReadFile(lock) //nolint:gosec // ours
	if err != nil {
		return err
	}
	var content struct {
		Packages map[string]struct{ Resolved, Integrity string }
	}
	if err := json.Unmarshal(data, &content); err != nil {
		return err
	}
	for path, p := range content.Packages {
		if path == "" { // ours
			continue
		}
		if !strings.HasPrefix(p.Integrity, "sha512-") {
			return fmt.Errorf("%s: %s has no sha512 digest", lock, path)
		}
		if p.Resolved != "" && !strings.HasPrefix(p.Resolved, "https://registry.npmjs.org/") {
			return fmt.Errorf("%s: %s comes from %s; remove that address", lock, path, p.Resolved)
		}
	}
	return nil
}
