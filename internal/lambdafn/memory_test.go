package lambdafn_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime/debug"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"

	"hikyaku/internal/lambdafn"
)

// childOf names what this binary is as a child: a function that prints its
// memory limit while it is composed, and ends.
const childOf = "HIKYAKU_BOOT_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childOf) == "" {
		os.Exit(m.Run())
	}
	lambdafn.Main(func(_ context.Context, e lambdafn.Environ) (lambda.Handler, error) {
		if os.Getenv("AWS_LAMBDA_RUNTIME_API") != "" {
			return talkative(e)
		}
		fmt.Print(debug.SetMemoryLimit(-1))
		return nil, errors.New("printed\nin two lines")
	})
}

// Every function has a memory limit that leaves room for what Go does not
// count; one that a person has set stays.
func TestMain_LimitsMemoryByTheFunctionsSize(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ size, set, want string }{
		{"128", "", fmt.Sprint(96 << 20)},
		{"256", "", fmt.Sprint(192 << 20)},
		{"10240", "", fmt.Sprint(7680 << 20)},
		{"128", "50MiB", fmt.Sprint(50 << 20)},
		{"128", "off", fmt.Sprint(math.MaxInt64)},
		{"", "", fmt.Sprint(math.MaxInt64)},
		{"much", "", fmt.Sprint(math.MaxInt64)},
	} {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = []string{childOf + "=1", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=" + c.size}
		if c.set != "" {
			child.Env = append(child.Env, "GOMEMLIMIT="+c.set)
		}
		out, err := child.Output()
		var failed *exec.ExitError
		if !errors.As(err, &failed) || string(out) != c.want {
			t.Errorf("%s MiB, GOMEMLIMIT %q: limit %s, want %s (%v)", c.size, c.set, out, c.want, err)
		}
	}
}
