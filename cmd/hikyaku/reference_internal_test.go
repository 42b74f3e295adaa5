package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"hikyaku/internal/clidoc"
)

// The reference and the manual say what the commands say of themselves.
func TestReference_IsUpToDate(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(describeTree(newRoot()))
	if err != nil {
		t.Fatal(err)
	}
	var all []clidoc.Command
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	files := clidoc.Files(all)
	if len(files) < 50 {
		t.Errorf("%d pages: commands are left out", len(files))
	}
	for name, want := range files {
		if got, err := os.ReadFile(filepath.Join("..", "..", "docs", filepath.FromSlash(name))); err != nil || string(got) != want {
			t.Errorf("docs/%s is not what 'go run ./scripts/clidoc' writes (%v)", name, err)
		}
	}
	pages, err := filepath.Glob("../../docs/man/*.1")
	if err != nil || len(pages)+1 != len(files) {
		t.Errorf("docs/man has %d pages, and there are %d commands (%v)", len(pages), len(files)-1, err)
	}
}
