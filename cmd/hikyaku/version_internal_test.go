package main

import (
	"runtime"
	"testing"
)

// What the Makefile links in comes before what the Go command noted.
func TestReadBuild(t *testing.T) { //nolint:paralleltest // sets what the linker sets
	defer func(v, c string) { version, commit = v, c }(version, commit)
	made := ", " + runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH + ")"
	for _, c := range []struct{ version, commit, want string }{
		{"1.2.3", "0123abcd", "1.2.3 (commit 0123abcd"},
		{"1.2.3", "0123abcd-changed", "1.2.3 (commit 0123abcd with changes"},
	} {
		version, commit = c.version, c.commit
		if got := readBuild().String(); got != c.want+made {
			t.Errorf("%s and %s: %s, want %s", c.version, c.commit, got, c.want+made)
		}
	}
	version, commit = "", ""
	if b := readBuild(); b.Version == "" || b.Go == "" {
		t.Errorf("a binary of plain 'go build' says %+v", b)
	}
}
