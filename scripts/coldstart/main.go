// Command coldstart measures what a cold start costs: from exec to the first
// request for an event (ready), and to the end of the first invocation, for
// each function beside a bare one with the same SDK clients and build flags.
// Starts alternate, so that the machine's mood falls on both. It fails if a
// function's median time to ready is more than 1.5 times the bare one's, or 4
// times where telephone numbers are read, whose library loads its metadata.
//
//	go run ./scripts/coldstart        # 21 starts of each, on the local AWS
package main

import (
	"bufio"
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
	"time"
)

// bars are by command: times the bare function's time to ready.
var bars = map[string]float64{"tokenrefresh": 1.5, "webhookrelay": 4, "export": 1.5}

var errSlow = errors.New("ready too late")

// A subject is one function with the event of its first invocation.
type subject struct{ resource, command, event string }

var subjects = []subject{
	{"TokenRefreshFunction", "tokenrefresh", "events/tokenrefresh/schedule.json"},
	{"WebhookRelayIngestFunction", "webhookrelay", "events/webhookrelayingest/user-change.json"},
	{"WebhookRelayRelayFunction", "webhookrelay", "events/webhookrelayrelay/user-change.json"},
	{"WebhookRelayReconcileFunction", "webhookrelay", "events/webhookrelayreconcile/dry-run.json"},
	{"ExportFunction", "export", "events/export/plan-shopline-orders.json"},
}

func main() {
	starts := flag.Int("starts", 21, "starts of each function")
	flag.Parse()
	if err := run(*starts); err != nil {
		fmt.Fprintln(os.Stderr, "coldstart:", err)
		os.Exit(1)
	}
}

func run(starts int) error {
	dir, err := os.MkdirTemp("", "coldstart-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	for _, command := range []string{"tokenrefresh", "webhookrelay", "export"} {
		if err := errors.Join(
			build(ctx, filepath.Join(dir, command), "./functions/"+command),
			build(ctx, filepath.Join(dir, "bare-"+command), "./scripts/coldstart/bare/"+command),
		); err != nil {
			return err
		}
	}
	vars, err := stack(ctx, dir)
	if err != nil {
		return err
	}
	mapping := filepath.Join(dir, "mapping.yaml")
	if err := os.WriteFile(mapping, fiftyColumns(), 0o600); err != nil {
		return err
	}
	fmt.Printf("%-30s %21s %21s %7s\n", "median of "+fmt.Sprint(starts)+" starts, ms", "ready: bare, function", "first answer: b., f.", "ratio")
	var faults []error
	for _, s := range subjects {
		err := measure(ctx, dir, s, starts, vars[s.resource], mapping)
		if errors.Is(err, errSlow) { // twice the starts decide, which a busy moment disturbs less
			err = measure(ctx, dir, s, 2*starts, vars[s.resource], mapping)
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// build builds with the flags of the Makefile.
func build(ctx context.Context, out, pkg string) error {
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "lambda.norpc", "-ldflags", "-s -w", "-o", out, pkg) //nolint:gosec // fixed words
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	c.Stderr = os.Stderr
	return c.Run()
}

// stack starts a connected stack that ends with ctx, and returns each
// function's environment.
func stack(ctx context.Context, dir string) (map[string]map[string]string, error) {
	hikyaku := filepath.Join(dir, "hikyaku")
	if err := build(ctx, hikyaku, "./cmd/hikyaku"); err != nil {
		return nil, err
	}
	c := exec.CommandContext(ctx, hikyaku, "sandbox", "--connected", "--idle", "--json", "--rate", "500") //nolint:gosec // built above
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewReader(out)
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	var ready struct {
		EnvVars map[string]map[string]string `json:"env_vars"`
	}
	err = json.Unmarshal(line, &ready)
	return ready.EnvVars, err
}

// fiftyColumns is a mapping to every custom field, each an expression.
func fiftyColumns() []byte {
	var b strings.Builder
	b.WriteString("options:\n  zone: Asia/Tokyo\n  region: JP\n  password: never\n")
	expressions := []string{"e164(default(mobile, phone))", "katakana(full_name)", "date(created_on)", `join(" / ", address, country)`, "lower(email)"}
	for n := range 50 {
		fmt.Fprintf(&b, "column%02d: %s\n", n+1, expressions[n%len(expressions)])
	}
	return []byte(b.String())
}

func measure(ctx context.Context, dir string, s subject, starts int, vars map[string]string, mapping string) error {
	event, err := os.ReadFile(s.event)
	if err != nil {
		return err
	}
	environment := []string{"AWS_LAMBDA_FUNCTION_NAME=" + s.resource, "HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	for name, value := range vars {
		if name == "HIKYAKU_MAPPING_FILE" {
			value = mapping
		}
		environment = append(environment, name+"="+value)
	}
	var bare, own [2][]float64
	for range starts {
		for _, x := range []struct {
			binary string
			into   *[2][]float64
		}{{"bare-" + s.command, &bare}, {s.command, &own}} {
			ready, answered, err := start(ctx, filepath.Join(dir, x.binary), environment, event)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", s.resource, x.binary, err)
			}
			x.into[0], x.into[1] = append(x.into[0], ready), append(x.into[1], answered)
		}
	}
	ratio := median(own[0]) / median(bare[0])
	fmt.Printf("%-30s %9.1f %11.1f %9.1f %11.1f %6.2fx\n", s.resource, median(bare[0]), median(own[0]), median(bare[1]), median(own[1]), ratio)
	if bar := bars[s.command]; ratio > bar {
		return fmt.Errorf("%s: %w: after %.2f times the bare function's time, the bar is %.1f", s.resource, errSlow, ratio, bar)
	}
	return nil
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}
