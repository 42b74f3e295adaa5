// Command clidoc writes docs/cli.md and docs/man from what the commands say of themselves.
// Usage: go run ./scripts/clidoc
//
// A test of cmd/hikyaku fails if the documents are not what it writes.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"hikyaku/internal/clidoc"
)

func main() {
	if err := run("docs"); err != nil {
		fmt.Fprintln(os.Stderr, "clidoc:", err)
		os.Exit(1)
	}
}

func run(docs string) error {
	command := exec.Command("go", "run", "./cmd/hikyaku", "help", "--tree", "--json") //nolint:noctx // it ends with this program
	command.Stderr = os.Stderr
	raw, err := command.Output()
	if err != nil {
		return err
	}
	var tree struct{ Commands []clidoc.Command }
	if err := json.Unmarshal(raw, &tree); err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(docs, "man", "*.1"))
	if err != nil {
		return err
	}
	for _, name := range old { // that of a command that is gone among them
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	for name, text := range clidoc.Files(tree.Commands) {
		file := filepath.Join(docs, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // as every folder of the repository
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil { //nolint:gosec // as every file of the repository
			return err
		}
	}
	return nil
}
