package provetokens

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"testing"

	"hikyaku/internal/prove"
)

// What all proofs share, under shorter names.
var (
	full, size, seed, random = prove.Full, prove.Size, prove.Seed, prove.Random

	figure = prove.Figure
)

// binaries builds the real functions once, as make build does, and returns the
// folder that holds NAME/bootstrap.
var binaries = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "hikyaku-prove-")
	if err != nil {
		return "", err
	}
	built = dir
	for _, name := range []string{"tokenrefresh", "webhookrelay", "export"} {
		if _, err := prove.Build(context.Background(), dir, name); err != nil {
			return dir, err
		}
	}
	return dir, nil
})

// binary returns the path of a function's real binary.
func binary(t *testing.T, function string) string {
	t.Helper()
	dir, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, function, "bootstrap")
}

// built is the folder of the binaries, once they are asked for.
var built string

// TestMain removes the binaries. The simulated months make much garbage and
// keep little, so it is collected more rarely.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen && !full() { // most of the tests wait for processes and pauses
		_ = flag.Set("test.parallel", "8")
	}
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(built)
	}
	os.Exit(code)
}
