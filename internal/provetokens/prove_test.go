package provetokens

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"testing"
)

// full reports whether the proofs run at full size.
func full() bool { return os.Getenv("HIKYAKU_PROVE") == "full" }

// size returns a count for this run: all of them, or the few that stand for
// them in the short form.
func size(all, few int) int {
	if full() {
		return all
	}
	return few
}

// seed is behind everything random, so that a failure can be run again.
func seed() uint64 {
	if n, err := strconv.ParseUint(os.Getenv("HIKYAKU_SEED"), 10, 64); err == nil {
		return n
	}
	return 20261122
}

// random returns a source of its own for one part of a proof.
func random(part uint64) *rand.Rand { return rand.New(rand.NewPCG(seed(), part)) }

var printing sync.Mutex

// figure prints one line of the proof and fails the test if it does not hold.
func figure(t *testing.T, holds bool, name, bar, format string, values ...any) {
	t.Helper()
	line := fmt.Sprintf("%s: %s (%s)", name, fmt.Sprintf(format, values...), bar)
	verdict := ""
	if !holds {
		verdict = " FAILS"
		t.Errorf("does not hold: %s; seed %d", line, seed())
	}
	printing.Lock()
	defer printing.Unlock()
	fmt.Println("prove: " + line + verdict)
}

// binaries builds the real functions once, as make build does, and returns the
// folder that holds NAME/bootstrap.
var binaries = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "hikyaku-prove-")
	if err != nil {
		return "", err
	}
	built = dir
	for _, name := range []string{"tokenrefresh", "webhookrelay", "export"} {
		build := exec.Command("go", "build", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", filepath.Join(dir, name, "bootstrap"), "hikyaku/functions/"+name)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return dir, fmt.Errorf("building %s: %w\n%s", name, err, out)
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
