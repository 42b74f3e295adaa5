package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hikyaku/internal/localstack"
	"hikyaku/pkg/providers"
)

// serveStack serves a connected stack until the command ends.
func serveStack(c *cobra.Command, f sandboxFlags) error {
	host, _, err := net.SplitHostPort(f.addr)
	if err != nil {
		return err // checked before
	}
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	mapping, err := mappingFile(ctx)
	if err != nil {
		return err
	}
	stack, err := localstack.Start(ctx, localstack.Options{
		Sandbox: f.options, Host: host, Public: f.public, Hosts: f.hosts, Redirect: f.redirect, Mapping: mapping,
	})
	if err != nil {
		return err
	}
	if err := registerFunctions(ctx, stack, f.public, host); err != nil {
		return err
	}
	ready := connectedStack{Webhook: stack.WebhookAddress(), EnvVars: map[string]map[string]string{}, exports: exportsOf(stack)}
	for _, name := range localstack.Functions() {
		ready.EnvVars[localstack.Resource(name)] = stack.Vars(name)
	}
	ready.Services = []serviceLine{{Name: "aws", URL: stack.URLs["aws"], Environment: environment(stack.AWS)}}
	for _, name := range providers.Names() {
		s, url := stack.Sandboxes[name], stack.URLs[name]
		if err := loadRecords(s, f.load, name); err != nil {
			return err
		}
		ready.Services = append(ready.Services, lineOf(name, url, s))
	}
	if !f.idle {
		startFunctions(ctx, stack, f.public, host, c.ErrOrStderr())
	}
	if err := ready.write(f.env); err != nil {
		return err
	}
	if err := ready.print(c.OutOrStdout(), f.asJSON); err != nil {
		return err
	}
	<-ctx.Done()
	return dumpRecords(stack.Sandboxes, f.dump)
}

// startFunctions lets the functions run as a stack's do, and the booking account send
// its webhooks to them. The tokens are there when it returns, unless a note says why not.
func startFunctions(ctx context.Context, stack *localstack.Stack, public, host string, notes io.Writer) {
	if public != "" && public != host {
		page := stack.SuperSaaS()
		page.Do(func() { page.Poster = reaching(public, host) })
	}
	stack.RegisterWebhook()
	d := driver{stack}
	if err := d.tick(ctx, new(any)); err != nil {
		say(notes, "hikyaku: %s", visible(err.Error()))
	}
	go d.run(ctx, notes)
	stack.AWS.Told.OnStart(func(machine string, input []byte) error {
		go func() {
			if err := d.machine(ctx, machine, input); err != nil && ctx.Err() == nil {
				say(notes, "hikyaku: %s", visible(err.Error()))
			}
		}()
		return nil
	})
}

// A connectedStack is what is printed, and written for other programs, of a stack that
// is ready.
type connectedStack struct {
	Services []serviceLine                `json:"services"`
	Webhook  string                       `json:"webhook"` // the address, with its invented secret
	EnvVars  map[string]map[string]string `json:"env_vars"`

	exports string // lines for a shell
}

func (s connectedStack) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(s)
	}
	if err := printServices(out, s.Services, false); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%-13s %s\n\n%s", "webhook", s.Webhook, s.exports)
	say(out, untilInterrupted)
	return err
}

// write puts the functions' environment into dir, as 'sam local' takes it, and the
// lines for a shell. In sam's container the mapping lies beside the bootstrap.
func (s connectedStack) write(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	inContainer := map[string]map[string]string{}
	for resource, vars := range s.EnvVars {
		inContainer[resource] = maps.Clone(vars)
		if vars["HIKYAKU_MAPPING_FILE"] != "" {
			inContainer[resource]["HIKYAKU_MAPPING_FILE"] = "mapping.yaml"
		}
	}
	sam, err := json.MarshalIndent(inContainer, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "sam.json"), append(sam, '\n'), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "export.sh"), []byte(s.exports), 0o600)
}

// exportsOf are lines that make a shell's commands use the stack: the AWS command line,
// every SDK, and hikyaku.
func exportsOf(stack *localstack.Stack) string {
	vars := stack.Vars(localstack.Reconcile) // which has what the relay's commands need, too
	delete(vars, "HIKYAKU_ROLE")
	maps.Copy(vars, environment(stack.AWS))
	vars["AWS_ENDPOINT_URL"] = stack.URLs["aws"]
	var lines strings.Builder
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		_, _ = fmt.Fprintf(&lines, "export %s='%s'\n", name, strings.ReplaceAll(vars[name], "'", `'\''`))
	}
	return lines.String()
}
