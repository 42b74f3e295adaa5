package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestSettings_DocumentIsWhatTheCommandWrites(t *testing.T) {
	t.Parallel()
	want, err := write("../..")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../docs/settings.md")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("docs/settings.md is not what 'go run ./scripts/settings' writes (%v)", err)
	}
}

// Every parameter stands in a group, and every setting says what it means.
func TestSettings_NothingIsLeftOut(t *testing.T) {
	t.Parallel()
	template, err := readTemplate("../..")
	if err != nil {
		t.Fatal(err)
	}
	grouped := map[string]bool{}
	for _, g := range template.groups {
		for _, name := range g.names {
			grouped[name] = true
		}
	}
	for name, p := range template.parameters {
		if !grouped[name] || p.meaning == "" {
			t.Errorf("%s: in a group %v, described %q", name, grouped[name], p.meaning)
		}
	}
	all, err := settings("../..")
	if err != nil || len(all) < 40 {
		t.Fatalf("%d settings, %v", len(all), err)
	}
	for _, s := range all {
		if strings.TrimSpace(s.meaning) == "" {
			t.Errorf("%s: no comment says what it means", s.name)
		}
	}
}
