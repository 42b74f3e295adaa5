// Command compareexport compares what the demo exported with what its
// sandboxes held, record by record and byte by byte. It shares no code with
// the exporter: it reads the files as a stranger would.
//
//	go run ./cmd/hikyaku demo --dir DIR && go run ./scripts/compareexport DIR
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
)

// datasets names the array of a sandbox's dump that each dataset must equal.
var datasets = map[string][2]string{
	"yappli/users":           {"yappli.json", "users"},
	"supersaas/users":        {"supersaas.json", "users"},
	"supersaas/appointments": {"supersaas.json", "appointments"},
	"shopline/customers":     {"shopline.json", "customers"},
	"shopline/orders":        {"shopline.json", "orders"},
	"assisttencho/orders":    {"assisttencho.json", "orders"},
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: compareexport DIR, where DIR is what 'hikyaku demo --dir' wrote")
		os.Exit(2)
	}
	faults := make([]error, 0, len(datasets))
	for name, source := range datasets {
		faults = append(faults, compare(os.Args[1], name, source[0], source[1]))
	}
	if err := errors.Join(faults...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func compare(dir, dataset, file, array string) error {
	want, err := held(filepath.Join(dir, "sandboxes", file), array)
	if err != nil {
		return fmt.Errorf("%s: %w", dataset, err)
	}
	got, err := exported(dir, dataset)
	if err != nil {
		return fmt.Errorf("%s: %w", dataset, err)
	}
	if len(want) == 0 || !maps.Equal(got, want) {
		return fmt.Errorf("%s: %d different records exported, %d held; they are not the same", dataset, len(got), len(want))
	}
	fmt.Printf("%-23s %4d records, the same bytes\n", dataset, len(got))
	return nil
}

// held counts each record of a dump, white space removed.
func held(path, array string) (map[string]int, error) {
	raw, err := os.ReadFile(path) //nolint:gosec // the user names the directory
	if err != nil {
		return nil, err
	}
	var dump map[string]json.RawMessage
	if err := json.Unmarshal(raw, &dump); err != nil {
		return nil, err
	}
	var records []json.RawMessage
	if err := json.Unmarshal(dump[array], &records); err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, r := range records {
		var line bytes.Buffer
		if err := json.Compact(&line, r); err != nil {
			return nil, err
		}
		counts[line.String()]++
	}
	return counts, nil
}

// exported counts each line of the one run that the demo made.
func exported(dir, dataset string) (map[string]int, error) {
	folders, err := filepath.Glob(filepath.Join(dir, "objects", "*", "*", "exports", filepath.FromSlash(dataset)))
	if err != nil || len(folders) != 1 {
		return nil, fmt.Errorf("%d folders of it; one is expected", len(folders))
	}
	parts, err := filepath.Glob(filepath.Join(folders[0], "dt=*", "run=*", "part-*.jsonl.gz"))
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, p := range parts {
		if err := count(p, counts); err != nil {
			return nil, err
		}
	}
	return counts, nil
}

func count(path string, counts map[string]int) error {
	file, err := os.Open(path) //nolint:gosec // found below the user's directory
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	plain, err := gzip.NewReader(file)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(plain)
	lines.Buffer(nil, 32<<20)
	for lines.Scan() {
		counts[lines.Text()]++
	}
	return lines.Err()
}
