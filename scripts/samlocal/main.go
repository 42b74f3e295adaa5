// Command samlocal sends every event file through its function twice, in a
// container by 'sam local invoke' and in a process by 'hikyaku invoke', on two
// equal stacks and in the same order, and compares the answers. It is the
// second half of scripts/sam-local.sh, which prepares the directory it is
// given: build/ (of 'sam build'), hikyaku, container/sam.json and process.json (of
// 'hikyaku sandbox --connected').
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"hikyaku/internal/eventstest"
	"hikyaku/internal/localstack"
)

// patience bounds one invocation, the container's start included.
const patience = 2 * time.Minute

// A comparer knows where everything lies.
type comparer struct{ sam, dir string }

func main() {
	var c comparer
	flag.StringVar(&c.sam, "sam", "sam", "the SAM command line")
	flag.StringVar(&c.dir, "dir", "", "the prepared directory")
	flag.Parse()
	functions := flag.Args()
	if len(functions) == 0 {
		functions = localstack.Functions()
	}
	if err := c.run(context.Background(), functions); err != nil {
		fmt.Fprintln(os.Stderr, "samlocal:", err)
		os.Exit(1)
	}
}

// stages are run one after the other; the functions of one side by side, since
// they touch nothing of each other's. What a stage needs was made before it:
// tokens by the first, the relay's index by the third.
var stages = [][]string{
	{localstack.TokenRefresh}, {localstack.Ingest, localstack.Export}, {localstack.Reconcile}, {localstack.Relay},
}

func (c comparer) run(ctx context.Context, functions []string) error {
	var compared atomic.Int64
	var faults []error
	for _, stage := range stages {
		found := make([][]error, len(stage))
		var group sync.WaitGroup
		for i, function := range stage {
			if slices.Contains(functions, function) {
				group.Go(func() { found[i] = c.function(ctx, function, &compared) })
			}
		}
		group.Wait()
		faults = append(faults, slices.Concat(found...)...)
	}
	fmt.Printf("sam-local: %d answers of containers equal those of the command line, %d differ\n", compared.Load(), len(faults))
	if compared.Load() == 0 {
		faults = append(faults, errors.New("no event compared; run it at the root of the repository, with names of functions"))
	}
	return errors.Join(faults...)
}

// function compares every event of one function.
func (c comparer) function(ctx context.Context, function string, compared *atomic.Int64) (faults []error) {
	paths, err := filepath.Glob(filepath.Join("events", function, "*.json"))
	if err != nil {
		return []error{err}
	}
	began := time.Now()
	for _, path := range scheduleFirst(paths) {
		if err := c.compare(ctx, function, path); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", path, err))
			continue
		}
		compared.Add(1)
	}
	fmt.Printf("%-22s %3d events, %.0f s\n", function, len(paths), time.Since(began).Seconds())
	return faults
}

// scheduleFirst puts the event of a schedule before the others, which then have
// tokens, an index or a run to work on.
func scheduleFirst(paths []string) []string {
	var first, rest []string
	for _, p := range paths {
		if filepath.Base(p) == "schedule.json" {
			first = append(first, p)
		} else {
			rest = append(rest, p)
		}
	}
	return append(first, rest...)
}

// compare runs one event both ways.
func (c comparer) compare(ctx context.Context, function, event string) error {
	container, err := c.inContainer(ctx, function, event)
	if err != nil {
		return err
	}
	process, err := c.inProcess(ctx, function, event)
	if err != nil {
		return err
	}
	if container != process {
		return fmt.Errorf("the answers differ\n  container: %s\n  process:   %s", container, process)
	}
	return nil
}

// inContainer returns the normalized answer, an error's text for a failure.
func (c comparer) inContainer(ctx context.Context, function, event string) (string, error) {
	out, log, err := execute(ctx, c.sam, "local", "invoke", localstack.Resource(function), "--event", event,
		"--template", filepath.Join(c.dir, "build", "template.yaml"), "--env-vars", filepath.Join(c.dir, "container", "sam.json"),
		"--skip-pull-image", "--add-host", "host.docker.internal:host-gateway")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	answer := []byte(lines[len(lines)-1])
	var failure struct {
		Message *string `json:"errorMessage"`
	}
	if json.Unmarshal(answer, &failure) == nil && failure.Message != nil {
		return "error: " + eventstest.Normalize([]byte(*failure.Message)), nil
	}
	if err != nil || len(answer) == 0 {
		return "", fmt.Errorf("sam local invoke: %w\n%s", errors.Join(err, errors.New("no answer")), tail(log))
	}
	return eventstest.Normalize(answer), nil
}

// inProcess does the same on the command line, which prints a failure as its
// last line of standard error.
func (c comparer) inProcess(ctx context.Context, function, event string) (string, error) {
	out, log, err := execute(ctx, filepath.Join(c.dir, "hikyaku"), "invoke", function, "--event", event, "--env-vars", filepath.Join(c.dir, "process.json"))
	if err == nil {
		return eventstest.Normalize([]byte(out)), nil
	}
	lines := strings.Split(strings.TrimSpace(log), "\n")
	if text, ok := strings.CutPrefix(lines[len(lines)-1], "hikyaku: "); ok {
		return "error: " + eventstest.Normalize([]byte(text)), nil
	}
	return "", fmt.Errorf("hikyaku invoke: %w\n%s", err, tail(log))
}

func execute(ctx context.Context, name string, args ...string) (out, log string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	command := exec.CommandContext(ctx, name, args...) //nolint:gosec // a developer names the command
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	command.Env = withoutAccount(os.Environ())
	err = command.Run()
	return stdout.String(), stderr.String(), err
}

// withoutAccount hides whatever AWS account the machine has: SAM would ask it
// for its number, and wait for the answer, before each invocation.
func withoutAccount(environment []string) []string {
	kept := slices.DeleteFunc(environment, func(pair string) bool { return strings.HasPrefix(pair, "AWS_") })
	return append(kept, "AWS_REGION=ap-northeast-1", "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null")
}

// tail is the end of a log, where the reason is.
func tail(log string) string {
	const most = 2000
	if len(log) > most {
		log = log[len(log)-most:]
	}
	return log
}
