package provetokens

import (
	"context"
	"flag"
	"os"
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

// binaries are the paths of the real functions that were asked for, which are
// built once, as make build does, in the folder built.
var (
	building sync.Mutex
	binaries = map[string]string{}
	built    string
)

// binary returns the path of a function's real binary.
func binary(t *testing.T, function string) string {
	t.Helper()
	building.Lock()
	defer building.Unlock()
	if path := binaries[function]; path != "" {
		return path
	}
	var err error
	if built == "" {
		built, err = os.MkdirTemp("", "hikyaku-prove-")
	}
	if err == nil {
		binaries[function], err = prove.Build(context.Background(), built, function)
	}
	if err != nil {
		t.Fatal(err)
	}
	return binaries[function]
}

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
