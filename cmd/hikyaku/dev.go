package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/console"
	"hikyaku/internal/dev"
	"hikyaku/internal/hostguard"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/localstack"
	"hikyaku/internal/objectstore"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

// devFlags are the flags of the dev command.
type devFlags struct {
	dir, addr, mapping string
	speed              float64
	real               []string
	write, closed      bool
	records            int
	output
}

func newDev() *cobra.Command {
	var f devFlags
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run a whole stack on this machine, and show it in the browser",
		Long: "Starts a local AWS, a sandbox of each provider, and the functions on their schedules, as processes of this\n" +
			"program; and serves pages that show and change all of it, which the browser opens. Needs no account and\n" +
			"no network; all people in it are invented. Everything is kept: what was acknowledged is there again\n" +
			"after Ctrl-C, and after a kill.\n\n" +
			"With --speed time runs faster for schedules, sandboxes, local AWS and functions alike, while no function\n" +
			"runs. Commands in other terminals find the stack with --dev, any AWS client by the lines of\n" +
			"'hikyaku dev env'. --mapping FILE is published whenever the file changes.\n\n" +
			"--real PROVIDER takes a provider's real account in place of its sandbox: HIKYAKU_REAL_{PROVIDER} names a\n" +
			"file with its connection document, as 'hikyaku connect' takes it, outside of any repository. It is\n" +
			"read only, at a tenth of the account's rate, and the relay observes, unless --write is given; what works\n" +
			"once, such as a code or a refresh token, is never used, and no hook is registered.",
		Example: "  hikyaku dev\n  hikyaku dev --speed 600 --no-open\n  HIKYAKU_REAL_SUPERSAAS=~/supersaas.json hikyaku dev --dir ~/shop --real supersaas",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return &usageError{err}
			}
			return f.serve(c)
		},
	}
	f.add(c)
	flags := c.Flags()
	flags.StringVar(&f.dir, "dir", "", "directory that keeps the stack (default: hikyaku/dev in your folder of what lasts, XDG_STATE_HOME)")
	flags.StringVar(&f.addr, "addr", "", "address of this machine to serve the pages at (default: where they were before, or a free port)")
	flags.StringVar(&f.mapping, "mapping", "", "mapping file to publish, now and whenever it changes")
	flags.Float64Var(&f.speed, "speed", 1, "how much faster than this machine's clock the stack's runs while no function does, 1 to 1000")
	flags.StringSliceVar(&f.real, "real", nil, "provider whose real account to use; repeat for several")
	flags.BoolVar(&f.write, "write", false, "let real accounts be changed")
	flags.BoolVar(&f.closed, "no-open", false, "do not open the browser")
	flags.IntVar(&f.records, "records", 120, "records in each dataset of a new stack")
	c.AddCommand(newDevEnv())
	return c
}

func (f *devFlags) check() error {
	if f.addr != "" && !hostguard.IsLoopback(f.addr) {
		return fmt.Errorf("--addr %s: expected an address of this machine, such as 127.0.0.1:8900: the pages show customers", f.addr)
	}
	for _, name := range f.real {
		if !slices.Contains(providers.Names(), name) {
			return fmt.Errorf("--real %s: no such provider%s", name, instead(name, providers.Names()))
		}
	}
	switch {
	case f.write && len(f.real) == 0:
		return errors.New("--write is for --real: the sandboxes may always be changed")
	case len(f.real) > 0 && f.speed != 1:
		return errors.New("--speed and --real: a real provider's time cannot be made to run faster")
	case f.records < 0:
		return fmt.Errorf("--records %d: expected 0 or more", f.records)
	case !(f.speed >= 1 && f.speed <= 1000):
		return fmt.Errorf("--speed %v: expected 1 to 1000", f.speed)
	}
	return nil
}

// mostMemory is how much the collector lets the stack take before it works harder. What the
// stack itself keeps in memory is bounded far below, but for what waits in the queue.
const mostMemory = 300 << 20

// serve runs the stack until the command ends.
func (f *devFlags) serve(c *cobra.Command) error {
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	o, err := f.options(c)
	if err != nil {
		return err
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(mostMemory)
	}
	stack, err := dev.Start(ctx, o)
	if err != nil {
		return err
	}
	err = f.show(ctx, c, stack)
	cancel()
	return errors.Join(err, stack.Close())
}

func (f *devFlags) options(c *cobra.Command) (o dev.Options, err error) {
	o = dev.Options{
		Dir: f.dir, Speed: f.speed, Write: f.write, Real: map[string]dev.Real{},
		Sandbox: sandbox.Options{Seed: 1, Records: f.records, Rate: demoRate},
		Notes:   func(sentence string) { say(c.ErrOrStderr(), "hikyaku: %s", visibleLines(sentence)) },
		Mapping: f.mapping, Run: inProcess,
	}
	if o.Dir == "" {
		state, err := stateDir()
		if err != nil {
			return o, fmt.Errorf("looking for the folder of what lasts: %w; set XDG_STATE_HOME", err)
		}
		o.Dir = filepath.Join(state, "dev")
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return o, err
	}
	if o.Program, err = os.Executable(); err != nil {
		return o, err
	}
	for _, name := range f.real {
		if o.Real[name], err = realProvider(name); err != nil {
			return o, err
		}
	}
	return o, nil
}

// realProvider reads a real account's connection.
func realProvider(name string) (dev.Real, error) {
	variable := "HIKYAKU_REAL_" + strings.ToUpper(name)
	path := os.Getenv(variable)
	if path == "" {
		return dev.Real{}, &usageError{fmt.Errorf("--real %s: set %s to a file with the account's connection document", name, variable)}
	}
	raw, err := os.ReadFile(path) //nolint:gosec // the person names the file
	if err != nil {
		return dev.Real{}, fmt.Errorf("%s: %w", variable, err)
	}
	connection, err := providers.ParseConnection(raw)
	if err != nil {
		return dev.Real{}, fmt.Errorf("%s: %w", variable, err)
	}
	if connection.Provider != name {
		return dev.Real{}, fmt.Errorf("%s: the document is of %q, not of %s", variable, connection.Provider, name)
	}
	return dev.Real{Connection: connection}, nil
}

// A devStack is what is printed of a stack that is ready.
type devStack struct {
	Dir      string            `json:"dir"`
	Console  string            `json:"console"`
	Link     string            `json:"link"`    // opens the console, once
	Webhook  string            `json:"webhook"` // the address, with its invented secret
	Services []serviceLine     `json:"services"`
	Vars     map[string]string `json:"env"`
}

// show serves the pages and says where everything is, until ctx ends.
func (f *devFlags) show(ctx context.Context, c *cobra.Command, stack *dev.Stack) error {
	ready := devStack{Dir: stack.Dir(), Webhook: stack.Local.WebhookAddress(), Vars: devEnvironment(stack.Local.URLs["aws"], awslocal.Region, localstack.Name)}
	vars := map[string]string{insideDev: "yes"}
	for name, value := range ready.Vars {
		vars[name] = value
	}
	if err := setOnly(vars); err != nil {
		return err
	}
	pages, err := f.console(ctx, stack)
	if err != nil {
		return err
	}
	if ready.Console, ready.Link = pages.URL, ""; err == nil {
		if ready.Link, err = pages.Link(); err != nil {
			return err
		}
	}
	remove, err := devFile{Dir: ready.Dir, Process: os.Getpid(), Vars: ready.Vars}.write()
	if err != nil {
		return err
	}
	defer remove()
	ready.Services = append(ready.Services, serviceLine{Name: "aws", URL: stack.Local.URLs["aws"]})
	for _, name := range providers.Names() {
		if s := stack.Local.Sandboxes[name]; s != nil {
			ready.Services = append(ready.Services, lineOf(name, stack.Local.URLs[name], s))
		}
	}
	if err := ready.print(c.OutOrStdout(), f.asJSON); err != nil {
		return err
	}
	if !f.closed && !f.asJSON {
		openBrowser(c.ErrOrStderr(), ready.Link)
	}
	go linkAgain(c, pages)
	<-ctx.Done()
	pages.Wait()
	return nil
}

// console serves the pages where they were before, if that is free.
func (f *devFlags) console(ctx context.Context, stack *dev.Stack) (*console.Server, error) {
	const name = "console"
	before := net.JoinHostPort("127.0.0.1", strconv.Itoa(stack.Port(name)))
	addresses := []string{before, "127.0.0.1:0"}
	if f.addr != "" {
		addresses = []string{f.addr}
	}
	zone, err := time.LoadLocation(stack.Local.Vars(localstack.Export)["HIKYAKU_TIME_ZONE"])
	if err != nil {
		return nil, err
	}
	base, err := clibase.Open(lambdafn.Environ{Vars: stack.Local.Vars(localstack.Relay), Out: io.Discard})
	if err != nil {
		return nil, err
	}
	var pages *console.Server
	for _, address := range addresses {
		pages, err = console.Start(ctx, address, console.Options{
			Run: new(trialKeeper).runner, Of: ofDev, Dev: stack, Stack: localstack.Name, Write: true, Zone: zone, Fresh: time.Second,
			Sessions: filepath.Join(stack.Dir(), "console.json"),
			Objects:  func() (objectstore.Store, string) { return base.Objects, base.Common.Prefix },
		})
		if err == nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(pages.URL)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return nil, err
	}
	return pages, stack.KeepPort(name, port)
}

// ofDev adds --dev to a command that has it.
func ofDev(args []string) []string {
	if found, rest, err := newRoot().Find(args); err == nil && found.Flags().Lookup(devFlag) != nil && !given(found, rest, devFlag) {
		return append(args[:len(args):len(args)], "--"+devFlag)
	}
	return args
}

func (d devStack) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(d)
	}
	say(out, "Everything runs on this machine, and is kept in %s.\n", visible(d.Dir))
	if err := printServices(out, d.Services, false); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%-13s %s\n\nOpen within 15 minutes, once: %s\n\nIn other terminals, commands find this stack with --dev. Ctrl-C ends it; the next 'hikyaku dev' goes on.\n", "webhook", d.Webhook, d.Link)
	return err
}

func newDevEnv() *cobra.Command {
	var o output
	c := &cobra.Command{
		Use:   "env",
		Short: "Print the lines that lead a shell's commands to the stack of 'hikyaku dev'",
		Long: "Prints lines for a shell, after which hikyaku, the AWS command line and every SDK work with the stack\n" +
			"that 'hikyaku dev' runs on this machine.",
		Example: "  eval \"$(hikyaku dev env)\"\n  hikyaku dev env --json",
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := findDev(c.Context())
			if err != nil {
				return err
			}
			return o.print(c, f, func(out io.Writer) error {
				_, err := io.WriteString(out, exportLines(f.Vars))
				return err
			})
		},
	}
	o.add(c)
	return c
}
