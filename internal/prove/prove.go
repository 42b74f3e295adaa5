// Package prove is what the proofs share: how much of one runs, what is behind
// everything random, and the line that each prints. Only tests import it.
//
//	prove.Figure(t, lost == 0, "messages lost", "none", "%d of %d", lost, sent)
//
// prints "prove: messages lost: 0 of 1000 (none)", and fails the test if its
// second argument is false.
package prove

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// A proof runs in three sizes: HIKYAKU_PROVE=full as 'make prove-...' has it,
// HIKYAKU_PROVE=twentieth or handful in .ci/run, and a handful in 'go test', which
// leaves out the heavy ones.

// Full reports whether the proofs run at full size.
func Full() bool { return os.Getenv("HIKYAKU_PROVE") == "full" }

// Handful reports whether they run in the form that 'go test' has time for.
func Handful() bool { return !Full() && os.Getenv("HIKYAKU_PROVE") != "twentieth" }

// Heavy leaves a test that takes seconds even as a handful to .ci/run and 'make'.
func Heavy(t testing.TB) {
	t.Helper()
	if os.Getenv("HIKYAKU_PROVE") == "" {
		t.Skip("a heavy proof: .ci/run prove and 'make prove-...' run it")
	}
}

// Size returns a count for this run: all of them, a twentieth but at least the
// few, or the few.
func Size(all, few int) int {
	switch {
	case Full():
		return all
	case Handful():
		return few
	}
	return max(all/20, few)
}

// Sample returns a count that is never reduced but in 'go test', which takes the few.
func Sample(all, few int) int {
	if os.Getenv("HIKYAKU_PROVE") == "" {
		return few
	}
	return all
}

// Choose returns of n cases those that run: all, a third, or a single one, which
// part tells to be another one for each part of a proof.
func Choose(n, part int) []int {
	step := 1
	switch {
	case Handful():
		return []int{part % n}
	case !Full():
		step = 3
	}
	var chosen []int
	for i := part % step; i < n; i += step {
		chosen = append(chosen, i)
	}
	return chosen
}

// Seed is behind everything random, so that a failure can be run again.
func Seed() uint64 {
	if n, err := strconv.ParseUint(os.Getenv("HIKYAKU_SEED"), 10, 64); err == nil {
		return n
	}
	return 20261122
}

// Random returns a source of its own for one part of a proof.
func Random(part uint64) *rand.Rand { return rand.New(rand.NewPCG(Seed(), part)) }

var printing sync.Mutex

// Figure prints one line of the proof and fails the test if it does not hold.
func Figure(t testing.TB, holds bool, name, bar, format string, values ...any) {
	t.Helper()
	line := fmt.Sprintf("%s: %s (%s)", name, fmt.Sprintf(format, values...), bar)
	verdict := ""
	if !holds {
		verdict = " FAILS"
		t.Errorf("does not hold: %s; seed %d", line, Seed())
	}
	printing.Lock()
	defer printing.Unlock()
	fmt.Println("prove: " + line + verdict)
}

// built holds the binaries of a test process: to link one takes longer than many
// a test that runs it.
var built struct {
	sync.Mutex

	binaries map[string][]byte // by function
}

// Build builds the real binary of a function as 'make build' does, once in a
// process, and returns the path of its bootstrap below dir.
func Build(ctx context.Context, dir, function string) (string, error) {
	path := filepath.Join(dir, function, "bootstrap")
	built.Lock()
	defer built.Unlock()
	if binary := built.binaries[function]; binary != nil {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return "", err
		}
		return path, os.WriteFile(path, binary, 0o700) //nolint:gosec // it is run
	}
	build := exec.CommandContext(ctx, "go", "build", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", path, "hikyaku/functions/"+function) //nolint:gosec // a test names it
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", function, err, out)
	}
	binary, err := os.ReadFile(path) //nolint:gosec // built just now
	if err != nil {
		return "", err
	}
	if built.binaries == nil {
		built.binaries = map[string][]byte{}
	}
	built.binaries[function] = binary
	return path, nil
}
