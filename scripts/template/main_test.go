package main

import (
	"os"
	"strings"
	"testing"
)

// What stands between the markers of template.yaml is what the command writes; what
// somebody changed there by hand is written over.
func TestWrite_TheTemplateIsUpToDate(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	version, err := os.ReadFile("../../VERSION")
	if err != nil {
		t.Fatal(err)
	}
	written, err := write(text, string(version))
	if err != nil {
		t.Fatal(err)
	}
	if string(written) != string(text) {
		t.Error("template.yaml differs from what 'go run ./scripts/template' writes")
	}
	changed := strings.Replace(string(text), "projection.dt.type: date", "projection.dt.type: enum", 1)
	if again, err := write([]byte(changed), string(version)); err != nil || changed == string(text) || string(again) != string(text) {
		t.Errorf("a changed table stays changed: %v", err)
	}
	if next, err := write(text, "99.0.0\n"); err != nil || !strings.Contains(string(next), "    Value: \"99.0.0\"\n") {
		t.Errorf("the template does not name its version: %v", err)
	}
	if _, err := write([]byte("Resources: {}\n"), string(version)); err == nil {
		t.Error("a template without markers is written")
	}
}
