package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/spf13/cobra"

	"hikyaku/config"
	"hikyaku/internal/awslocal"
	"hikyaku/internal/export"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline/shoplinetest"
)

const (
	demoRecords = 130 // of each dataset: four pages of 40
	demoRate    = 120 // requests per second that the demo's sandboxes allow
	demoSeed    = 20261122
)

func newDemo() *cobra.Command {
	var dir string
	var keep, asJSON bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole job on this machine, against sandboxes of all five providers",
		Long: "Starts a local AWS and a sandbox of each provider, then does what a stack does: refreshes the tokens,\n" +
			"reconciles, relays a stream of real HTTP webhooks, reconciles again, exports every dataset and\n" +
			"verifies the exports. Needs no account and no network. All people in it are invented. It takes\n" +
			"the sandboxes' rate limits to " + fmt.Sprint(demoRate) + " requests per second, so that you need not wait as a shop does.\n" +
			"What it wrote stays in the directory that it names at the end.",
		Example: "  hikyaku demo\n  hikyaku demo --dir /tmp/hikyaku --keep   # and leave everything running to look at",
		RunE: func(c *cobra.Command, _ []string) error {
			return runDemo(c.Context(), c.OutOrStdout(), dir, keep, asJSON)
		},
	}
	c.Flags().StringVar(&dir, "dir", "", "directory to write to; it must be empty or absent (default: a new one for temporary files)")
	c.Flags().BoolVar(&keep, "keep", false, "keep the local AWS and the sandboxes running at the end, until interrupted")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object at the end instead of the story")
	return c
}

// A demo is one showing.
type demo struct {
	driver

	dir    string
	out    io.Writer
	began  time.Time
	queue  *sqs.Client
	base   *lambdafn.Base
	totals demoTotals
}

// demoTotals is what the demo did, as --json prints it.
type demoTotals struct {
	Directory string         `json:"directory"`
	Seconds   float64        `json:"seconds"`
	Tokens    int            `json:"tokens"`
	Webhooks  int            `json:"webhooks"`
	People    int            `json:"people"`
	Created   int            `json:"created"`
	Continued int            `json:"continued"`
	Exports   []exportResult `json:"exports"`
}

type exportResult struct {
	Dataset  string `json:"dataset"`
	Manifest string `json:"manifest"`
	Rows     int    `json:"rows"`
	Bytes    int64  `json:"bytes"`
	Pages    int64  `json:"pages"`
	Calls    int    `json:"calls"`
}

func runDemo(ctx context.Context, out io.Writer, dir string, keep, asJSON bool) error {
	dir, made, err := demoDir(dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d := &demo{dir: dir, out: out, began: time.Now()}
	if asJSON {
		d.out = io.Discard
	}
	if err := d.show(ctx); err != nil {
		if ctx.Err() != nil {
			d.clear(made)
			return stoppedError("stopped; nothing is left of the demo")
		}
		return locale.Errorf("%w (logs: %s)", err, filepath.Join(dir, "functions.log"))
	}
	d.totals.Directory, d.totals.Seconds = dir, time.Since(d.began).Seconds()
	if asJSON {
		if err := json.NewEncoder(out).Encode(d.totals); err != nil {
			return err
		}
	} else {
		d.summary()
	}
	if keep {
		d.say("\nStill running, until interrupted:")
		for name, url := range d.stack.URLs {
			d.say("  %-13s %s", name, url)
		}
		<-ctx.Done()
	}
	return nil
}

// demoDir is where the demo writes, and whether it was made for that.
func demoDir(dir string) (at string, made bool, err error) {
	if dir == "" {
		dir, err = os.MkdirTemp("", "hikyaku-demo-")
		return dir, true, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", false, err
	}
	if len(entries) > 0 {
		return "", false, &usageError{locale.Errorf("--dir %s: must be empty or absent", dir)}
	}
	return dir, err != nil, os.MkdirAll(dir, 0o750)
}

// clear removes what a demo has written that was stopped: half of it is of no use. A
// directory of the person's own stays.
func (d *demo) clear(made bool) {
	if d.stack != nil {
		_ = d.stack.AWS.Close() // so that nothing is written any more
	}
	if made {
		_ = os.RemoveAll(d.dir)
		return
	}
	entries, _ := os.ReadDir(d.dir)
	for _, e := range entries {
		_ = os.RemoveAll(filepath.Join(d.dir, e.Name()))
	}
}

// show tells the whole story. Each step fails the demo if it did not do what
// it says.
func (d *demo) show(ctx context.Context) error {
	if err := d.start(ctx); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{
		d.refresh, d.firstReconcile, d.relay, d.secondReconcile, d.export, d.dump,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// say tells a line of the story, which fits the terminal.
func (d *demo) say(format string, values ...any) {
	for line := range strings.Lines(languageOf(d.out).Sprintf(format, values...) + "\n") {
		_, _ = io.WriteString(d.out, hanging(strings.TrimSuffix(line, "\n"), columnsOf(d.out)))
	}
}

// start brings up the stack and registers each function in the local AWS,
// composed as its binary composes it.
func (d *demo) start(ctx context.Context) error {
	d.say("飛脚 Hikyaku: the whole job, on this machine, with invented people")
	mapping := filepath.Join(d.dir, "mapping.yaml")
	if err := os.WriteFile(mapping, config.Mapping, 0o600); err != nil {
		return err
	}
	logs, err := os.OpenFile(filepath.Join(d.dir, "functions.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = logs.Close() })
	d.stack, err = localstack.Start(ctx, localstack.Options{
		Sandbox: sandbox.Options{Seed: demoSeed, Records: demoRecords, Rate: demoRate},
		Dir:     filepath.Join(d.dir, "objects"), Mapping: mapping, Log: slog.New(slog.NewJSONHandler(logs, nil)),
	})
	if err != nil {
		return err
	}
	for _, name := range localstack.Functions() {
		handler, err := compose(ctx, name, lambdafn.Environ{Vars: d.stack.Vars(name), Out: logs})
		if err != nil {
			return locale.Errorf("%s: %w", name, err)
		}
		if err := d.stack.AWS.Register(awslocal.Function{Name: name, Aliases: localstack.Aliases(name), Handler: handler, Timeout: time.Minute}); err != nil {
			return err
		}
	}
	d.base, err = clibase.Open(lambdafn.Environ{Vars: d.stack.Vars(localstack.Relay), Out: logs})
	if err != nil {
		return err
	}
	d.queue = sqs.NewFromConfig(d.base.AWS)
	go d.poll(ctx)
	d.stack.RegisterWebhook()
	d.say("  local AWS and five sandboxes are up, %d people in the booking page, %d in the app", len(d.stack.SuperSaaS().UserIDs()), len(d.stack.Yappli().Members()))
	return nil
}

// drained waits until the relay has taken everything off the queue.
func (d *demo) drained(ctx context.Context) error {
	url := d.stack.Vars(localstack.Ingest)["HIKYAKU_QUEUE_URL"]
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		out, err := d.queue.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: aws.String(url), AttributeNames: []types.QueueAttributeName{
			types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		}})
		if err != nil {
			return err
		}
		waiting := false
		for _, n := range out.Attributes {
			waiting = waiting || n != "0"
		}
		if !waiting {
			return nil
		}
	}
	return locale.Errorf("the relay has not emptied its queue within a minute")
}

// slowOrders makes one page of SHOPLINE's orders so slow that the first call
// of its export must stop before its deadline.
func (d *demo) slowOrders() {
	shop := d.stack.Sandboxes["shopline"].(*shoplinetest.Server) //nolint:forcetypeassert // NewSandbox made it
	shop.Inject(sandbox.Fault{Kind: "slow", Route: "GET /v1/orders", After: 2, Delay: 3 * time.Second})
}

// exported reads a published run again and proves every figure of it.
func (d *demo) exported(ctx context.Context, manifest string) (export.Manifest, error) {
	verdict, err := export.Verify(ctx, d.base.Objects, manifest)
	if err != nil {
		return export.Manifest{}, err
	}
	if len(verdict.Faults) > 0 {
		return export.Manifest{}, locale.Errorf("the export does not verify: %s", verdict.Faults[0])
	}
	return verdict.Manifest, nil
}
