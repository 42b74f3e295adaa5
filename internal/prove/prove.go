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

// Full reports whether the proofs run at full size.
func Full() bool { return os.Getenv("HIKYAKU_PROVE") == "full" }

// Size returns a count for this run: all of them, or the few that stand for
// them in the short form.
func Size(all, few int) int {
	if Full() {
		return all
	}
	return few
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

// Build builds the real binary of a function as 'make build' does, and returns
// the path of its bootstrap below dir.
func Build(ctx context.Context, dir, function string) (string, error) {
	path := filepath.Join(dir, function, "bootstrap")
	build := exec.CommandContext(ctx, "go", "build", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", path, "hikyaku/functions/"+function) //nolint:gosec // a test names it
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building %s: %w\n%s", function, err, out)
	}
	return path, nil
}
