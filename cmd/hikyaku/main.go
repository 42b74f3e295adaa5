// Command hikyaku is the command line of Hikyaku: it shows the product on a
// laptop, connects an account, runs a function with an event, and serves the
// providers' sandboxes.
//
// Exit codes: 0 success; 1 the command failed; 2 it was called wrongly.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	_ "time/tzdata" // time zones on machines that have none

	"github.com/spf13/cobra"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := newRoot().ExecuteContext(ctx)
	var usage *usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		_, _ = fmt.Fprintf(os.Stderr, "hikyaku: %v\nRun with --help to see how it is called.\n", err)
		return 2
	}
	_, _ = fmt.Fprintf(os.Stderr, "hikyaku: %v\n", err)
	return 1
}

// A usageError says that the command was called wrongly.
type usageError struct{ error }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "hikyaku",
		Short: "Keep tokens alive, relay bookings into the app, export customers and orders",
		Long: "Hikyaku keeps the API tokens of アシスト店長, Yappli CRM, SHOPLINE, ActiBookOne and SuperSaaS alive,\n" +
			"relays SuperSaaS webhooks into Yappli CRM, and exports customers and orders to S3 as JSONL.\n\n" +
			"Start with 'hikyaku demo': it needs no account and shows the whole job on this machine.",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.AddCommand(newConnect(), newDemo(), newInvoke(), newMapping(), newSandbox(), newVersion())
	return root
}

// args wraps a check of arguments, so that its error counts as a wrong call.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, a []string) error {
		if err := check(c, a); err != nil {
			return &usageError{err}
		}
		return nil
	}
}
