package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/hostguard"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

// sandboxFlags are the flags of the sandbox command.
type sandboxFlags struct {
	addr, load, dump string
	public           string
	asJSON           bool
	connected, idle  bool
	env, redirect    string
	localHooks       bool
	exposed          bool
	hosts            []string
	options          sandbox.Options
}

func newSandbox() *cobra.Command {
	var f sandboxFlags
	names := append([]string{"aws"}, providers.Names()...)
	c := &cobra.Command{
		Use:   "sandbox [aws|" + strings.Join(providers.Names(), "|") + " ...]",
		Short: "Serve the providers' sandboxes and a local AWS for any client",
		Long: "Serves the named services, or all of them, until interrupted. A sandbox behaves as the provider's\n" +
			"documents say, holds invented records, and misbehaves on request. The credentials it prints are\n" +
			"its own inventions and work nowhere else; the hand-over token, which the Yappli app would make,\n" +
			"is one of them. GET /_sandbox/records of a sandbox returns its records\n" +
			"as JSON, PUT replaces them; the local AWS has no such path. What the local AWS does not serve it\n" +
			"refuses by name, be it an operation, a parameter or a header.\n\n" +
			"SuperSaaS' sandbox serves every call of the provider's own Python and Node clients. Refused by name, in\n" +
			"the provider's shape of an error, are XML (any path that ends in .xml, 501), /api/free and slot=true of a\n" +
			"schedule by service (501), and /api/resources and resource_id of a schedule by capacity (405).\n\n" +
			"Requests that name another host than this machine, or that a web page of another host makes, are\n" +
			"refused with 403: a page in a browser must not read what is kept here.\n\n" +
			"With --connected the functions run as a stack's do: tokens are kept, both lists are compared once and\n" +
			"whenever that is wanted, and a webhook that is sent to the printed address is relayed to Yappli's\n" +
			"sandbox. SuperSaaS' sandbox sends one by itself where a user is written with ?webhook=true.\n" +
			"'aws lambda invoke' runs a function once ('--log-type Tail' shows its log). With --idle functions run\n" +
			"only when they are invoked, and messages wait in the queue. --write-env writes sam.json, for 'sam local\n" +
			"invoke --env-vars', and export.sh, which a shell sources.\n\n" +
			"アシスト店長's sandbox prints the login of the person who approves the application; --redirect-url is\n" +
			"where it sends their browser: http://127.0.0.1:PORT/... lets 'hikyaku authorize assisttencho' wait there.",
		Example: "  hikyaku sandbox yappli --addr 127.0.0.1:8080 --records 1000\n" +
			"  hikyaku sandbox --connected --rate 100 --write-env env   # elsewhere: . env/export.sh; hikyaku tokens\n" +
			"  hikyaku sandbox --json                      # all six on free ports, one line of JSON when ready\n" +
			"  hikyaku sandbox supersaas --allow-local-hooks --server-fail 0.05 --too-many 0.05 --retry-after 2 --latency 50ms",
		ValidArgs: names,
		Args:      known,
		RunE: func(c *cobra.Command, chosen []string) error {
			if err := f.check(chosen); err != nil {
				return &usageError{err}
			}
			if f.connected {
				return serveStack(c, f)
			}
			if len(chosen) == 0 {
				chosen = names
			}
			return serveSandboxes(c.Context(), c.OutOrStdout(), chosen, f)
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.addr, "addr", "127.0.0.1:0", "address of the first service; the others take the ports after it, or free ones if the port is 0")
	flags.BoolVar(&f.exposed, "expose", false, "let --addr be an address that other machines can reach; nobody is asked for a password there")
	flags.StringSliceVar(&f.hosts, "allow-host", nil, "further host name by which clients call the services, or of a page that may; repeat for several")
	flags.StringVar(&f.load, "load", "", "directory to read {service}.json records from before serving")
	flags.StringVar(&f.dump, "dump", "", "directory to write {service}.json records to at the end")
	flags.BoolVar(&f.connected, "connected", false, "serve everything, with each sandbox's connection stored in the local AWS, the queues made, the functions running there, and each one's environment printed")
	flags.BoolVar(&f.idle, "idle", false, "with --connected: no function runs before it is invoked")
	flags.StringVar(&f.env, "write-env", "", "with --connected: directory to write sam.json and export.sh to once all is ready")
	flags.StringVar(&f.redirect, "redirect-url", "", "redirect URL that アシスト店長's application has registered")
	flags.BoolVar(&f.localHooks, "allow-local-hooks", false, "let webhooks be registered, and reports of archived orders be called back, that point at this machine, which SuperSaaS and SHOPLINE could not reach; with --connected always so")
	flags.StringVar(&f.public, "public", "", "with --connected: host name by which the functions reach this machine (default: the host of --addr)")
	flags.BoolVar(&f.asJSON, "json", false, "print one line of JSON with each service's address and credentials once it is ready")
	o := &f.options
	flags.IntVar(&o.Records, "records", 120, "records in each dataset")
	flags.Uint64Var(&o.Seed, "seed", 1, "seed of records and random faults")
	flags.Float64Var(&o.Rate, "rate", 0, "requests allowed in a second; 0: the provider's own limit, -1: no limit")
	faults := &o.Faults
	flags.DurationVar(&faults.Latency, "latency", 0, "latency of every request")
	flags.DurationVar(&faults.Jitter, "jitter", 0, "random latency added to it")
	flags.Float64Var(&faults.TooMany, "too-many", 0, "share of requests answered 429, from 0 to 1")
	flags.Float64Var(&faults.ServerFail, "server-fail", 0, "share answered 503")
	flags.Float64Var(&faults.Dropped, "dropped", 0, "share whose connection is cut before any effect")
	flags.Float64Var(&faults.Lost, "lost", 0, "share that take effect and are never answered")
	flags.Float64Var(&faults.Reset, "reset", 0, "share cut half-way through the answer")
	flags.StringVar(&faults.RetryAfter, "retry-after", "", "Retry-After of the 429 and 503: seconds or an HTTP date")
	return c
}

// check refuses what would otherwise be ignored.
func (f sandboxFlags) check(chosen []string) error {
	faults := f.options.Faults
	for _, share := range []float64{faults.TooMany, faults.ServerFail, faults.Dropped, faults.Lost, faults.Reset} {
		if share < 0 || share > 1 {
			return locale.Errorf("a share of requests must be from 0 to 1, not %v", share)
		}
	}
	_, port, err := net.SplitHostPort(f.addr)
	switch {
	case err != nil:
		return locale.Errorf("--addr %s: expected HOST:PORT", f.addr)
	case !hostguard.IsLoopback(f.addr) && !f.exposed:
		return locale.Errorf("--addr %s can be reached from other machines; add --expose if they may read and change everything here, or use 127.0.0.1", f.addr)
	case !f.connected && (f.public != "" || f.idle || f.env != ""):
		return locale.Errorf("--public, --idle and --write-env are for --connected only")
	case f.redirect != "" && !isWebAddress(f.redirect):
		return locale.Errorf("--redirect-url %s: expected an address such as http://127.0.0.1:8910/callback", f.redirect)
	case f.redirect != "" && len(chosen) > 0 && !slices.Contains(chosen, providers.AssistTencho):
		return locale.Errorf("--redirect-url is for %s, which is not served", providers.AssistTencho)
	case f.connected && len(chosen) > 0:
		return locale.Errorf("--connected serves everything; name no service with it")
	case f.connected && port != "0":
		return locale.Errorf("--connected takes free ports; give --addr a port of 0")
	}
	return nil
}

func isWebAddress(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// A serviceLine is what --json prints of one service.
type serviceLine struct {
	Name        string            `json:"name"`
	URL         string            `json:"url"`
	Connection  json.RawMessage   `json:"connection,omitempty"`  // a sandbox: what 'hikyaku connect' would store
	Token       json.RawMessage   `json:"token,omitempty"`       // a sandbox: a token that works now
	Environment map[string]string `json:"environment,omitempty"` // the local AWS

	Handover *localstack.Handover `json:"handover,omitempty"` // Yappli: a token that its check confirms for one member
	Login    *localstack.Login    `json:"login,omitempty"`    // アシスト店長: of the person who approves the application
}

func lineOf(name, url string, s localstack.Sandbox) serviceLine {
	return serviceLine{
		Name: name, URL: url, Connection: s.Connection(url).Document(), Token: s.Token(url).Document(),
		Handover: localstack.NewHandover(s), Login: localstack.LoginOf(s),
	}
}

func serveSandboxes(ctx context.Context, out io.Writer, names []string, f sandboxFlags) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var lines []serviceLine
	sandboxes := map[string]localstack.Sandbox{}
	for i, name := range names {
		addr, err := nthAddress(f.addr, i)
		if err != nil {
			return err
		}
		if name == "aws" {
			local, err := awslocal.Start(ctx, awslocal.Options{Addr: addr, Hosts: f.hosts})
			if err != nil {
				return err
			}
			defer func() { _ = local.Close() }()
			lines = append(lines, serviceLine{Name: name, URL: local.URL, Environment: environment(local)})
			continue
		}
		s := localstack.NewSandbox(name, f.options)
		if f.localHooks {
			localstack.AllowLocalHooks(s)
		}
		localstack.SetRedirect(s, f.redirect)
		if err := loadRecords(s, f.load, name); err != nil {
			return err
		}
		url, err := localstack.Serve(ctx, addr, localstack.WithRecords(s), f.hosts...)
		if err != nil {
			return err
		}
		sandboxes[name] = s
		lines = append(lines, lineOf(name, url, s))
	}
	if err := printServices(out, lines, f.asJSON); err != nil {
		return err
	}
	if !f.asJSON {
		say(out, untilInterrupted)
	}
	<-ctx.Done()
	return dumpRecords(sandboxes, f.dump)
}

func environment(local *awslocal.AWS) map[string]string {
	vars := map[string]string{}
	for _, pair := range local.Environment() {
		name, value, _ := strings.Cut(pair, "=")
		vars[name] = value
	}
	return vars
}

func printServices(out io.Writer, lines []serviceLine, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(map[string]any{"services": lines})
	}
	language := languageOf(out)
	for _, l := range lines {
		note := ""
		switch {
		case l.Handover != nil:
			note = language.Sprintf("  (hand-over token %s of user %s)", l.Handover.Token, l.Handover.ID)
		case l.Login != nil:
			note = language.Sprintf("  (approve as %s, password %s)", l.Login.ID, l.Login.Password)
		}
		if _, err := fmt.Fprintf(out, "%-13s %s%s\n", l.Name, l.URL, note); err != nil {
			return err
		}
	}
	return nil
}

const untilInterrupted = "\nServing until interrupted. '--json' prints the invented credentials too."

// nthAddress is addr with its port raised by n, unless the port is 0.
func nthAddress(addr string, n int) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", &usageError{locale.Errorf("--addr %s: expected HOST:PORT", addr)}
	}
	number, err := strconv.Atoi(port)
	if err != nil || number < 0 || number+n > 65535 {
		return "", &usageError{locale.Errorf("--addr %s: the port must be a number up to 65535", addr)}
	}
	if number != 0 {
		number += n
	}
	return net.JoinHostPort(host, strconv.Itoa(number)), nil
}

func loadRecords(s localstack.Sandbox, dir, name string) error {
	if dir == "" {
		return nil
	}
	file, err := os.Open(filepath.Join(dir, name+".json")) //nolint:gosec // the user names the directory
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if err := s.Load(file); err != nil {
		return locale.Errorf("loading %s: %w", file.Name(), err)
	}
	return nil
}

func dumpRecords(sandboxes map[string]localstack.Sandbox, dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(sandboxes)) {
		if err := localstack.DumpFile(sandboxes[name], filepath.Join(dir, name+".json")); err != nil {
			return err
		}
	}
	return nil
}
