// Command hikyaku is the command line of Hikyaku: it shows the product on a
// laptop, connects an account, lets a person authorize an app, shows and
// refreshes tokens, runs a function with an event, and serves the providers'
// sandboxes.
//
// Exit codes: 0 success, or a reader that has enough; 1 failure; 2 wrong call; 3
// an export that is in doubt; doctor's say how grave its gravest finding is.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	_ "time/tzdata" // time zones on machines that have none

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hikyaku/internal/spelling"
)

func main() { os.Exit(run()) }

func run() int {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		ends = append(ends, syscall.SIGHUP) // a terminal that is closed ends a command like Ctrl-C
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	defer stop()
	context.AfterFunc(ctx, stop)   // a second signal ends the process at once
	signal.Ignore(syscall.SIGPIPE) // a reader that has enough must not leave an export's folder behind
	root, started := newRoot(), false
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	err := root.ExecuteContext(ctx)
	if ctx.Err() != nil {
		err = interrupted(err)
	}
	var usage *usageError
	switch {
	case err == nil || hasEnough(err):
		return 0
	case !started || errors.As(err, &usage): // cobra checks names, flags and arguments before it starts a command
		_, _ = fmt.Fprintf(os.Stderr, "hikyaku: %s\nRun with --help to see how it is called.\n", visibleLines(err.Error()))
		return 2
	}
	if found, ok := errors.AsType[*foundError](err); ok {
		return found.code() // what was found is printed already
	}
	_, _ = fmt.Fprintf(os.Stderr, "hikyaku: %s\n", visibleLines(err.Error()))
	if _, ok := errors.AsType[*doubtError](err); ok {
		return 3
	}
	return 1
}

// A stoppedError says that a person has stopped a command, and what that left.
type stoppedError string

// Error is the sentence.
func (e stoppedError) Error() string { return string(e) }

// interrupted is the error of a command that a signal has ended: its own words about that,
// or one word. What its calls said when they were cut off helps nobody.
func interrupted(err error) error {
	var stopped stoppedError
	var usage *usageError
	var doubt *doubtError
	if err == nil || errors.As(err, &stopped) || errors.As(err, &usage) || errors.As(err, &doubt) {
		return err
	}
	return stoppedError("stopped")
}

// hasEnough reports that the reader of the output ended, and not a connection.
func hasEnough(err error) bool {
	var file *os.PathError
	return errors.As(err, &file) && file.Path == os.Stdout.Name() && errors.Is(file, syscall.EPIPE)
}

// A usageError says that the command was called wrongly.
type usageError struct{ error }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:     "hikyaku",
		Version: readBuild().String(), // cobra makes --version of it
		Short:   "Keep tokens alive, relay bookings into the app, export customers and orders",
		Long: "Hikyaku keeps the API tokens of アシスト店長, Yappli CRM, SHOPLINE, ActiBookOne and SuperSaaS alive,\n" +
			"relays SuperSaaS webhooks into Yappli CRM, and exports customers and orders to S3 as JSONL.\n\n" +
			"Start with 'hikyaku demo': it needs no account and shows the whole job on this machine.\n\n" +
			"Commands that work on a deployed stack use your own AWS credentials (AWS_PROFILE, single sign-on or\n" +
			"environment), and find the stack by its name, --stack or HIKYAKU_STACK, or by --prefix and --bucket,\n" +
			"or HIKYAKU_PREFIX and HIKYAKU_BUCKET.\n" +
			"With --json a command prints one JSON object on standard output; everything else it has to say goes\n" +
			"to standard error.\n\n" +
			"Exit codes: 0 success, also where the reader of the output ends early, as head does; 1 the command\n" +
			"failed, or found what it looks for to be wrong; 2 it was called wrongly; 3 an export is in doubt and\n" +
			"not published. 'hikyaku doctor' exits with 3, 4 or 5 by its gravest finding.",
		Example:       "  hikyaku demo\n  hikyaku connect yappli --prefix hikyaku\n  hikyaku tokens",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(newAuthorize(), newConnect(), newDead(), newDemo(), newDoctor(), newExport(), newHistory(), newHooks(), newInit(), newInvoke(), newLinks(), newMapping(), newPause(), newReconcile(), newRedrive(), newRelay(), newResume(), newRuns(), newSandbox(), newTokens(), newVerify(), newVersion())
	root.SetFlagErrorFunc(inPlainWords)
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	printVisibly(root)
	complete(root)
	return root
}

// complete lets every command without Args take none, and those that only group
// others show their help.
func complete(c *cobra.Command) {
	if c.Args == nil {
		c.Args = noCommand
	}
	if c.RunE == nil {
		c.RunE = showHelp
	}
	for _, sub := range c.Commands() {
		complete(sub)
	}
}

func showHelp(c *cobra.Command, _ []string) error { return c.Help() }

// expected says what a kind of flag takes.
var expected = map[string]string{
	"int": "a whole number", "int64": "a whole number", "int64Slice": "whole numbers, separated by commas", "float64": "a number",
	"duration": "a time such as 90s, 15m or 2h", "span": "a time such as 90m, 8h or 2d", "bool": "true or false",
}

// inPlainWords says what a flag takes, instead of which function could not read it.
func inPlainWords(_ *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		if takes := expected[invalid.GetFlag().Value.Type()]; takes != "" {
			err = fmt.Errorf("--%s %s: expected %s", invalid.GetFlag().Name, visible(invalid.GetValue()), takes)
		}
	}
	return &usageError{err}
}

// known refuses an argument that is none of the command's ValidArgs.
func known(c *cobra.Command, a []string) error {
	for _, name := range a {
		if !slices.Contains(c.ValidArgs, name) {
			return fmt.Errorf("%q means nothing to %q%s", name, c.CommandPath(), instead(name, c.ValidArgs))
		}
	}
	return nil
}

// oneKnown asks for one of the command's ValidArgs; without any it lists them.
func oneKnown(c *cobra.Command, a []string) error {
	if len(a) == 0 {
		return fmt.Errorf("%q needs one of %s", c.CommandPath(), strings.Join(c.ValidArgs, ", "))
	}
	return cobra.MatchAll(cobra.ExactArgs(1), known)(c, a)
}

// noCommand refuses an argument where only the name of a command could stand.
func noCommand(c *cobra.Command, a []string) error {
	if len(a) == 0 {
		return nil
	}
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	if names == nil {
		return cobra.NoArgs(c, a)
	}
	return fmt.Errorf("unknown command %q for %q%s", a[0], c.CommandPath(), instead(a[0], names))
}

// instead ends the sentence about a name that is not known.
func instead(name string, known []string) string {
	suggestion := spelling.Meant(name, known)
	if suggestion != "" {
		suggestion = ": did you mean " + suggestion + "?"
	}
	return fmt.Sprintf("%s; known are %s", suggestion, strings.Join(known, ", "))
}
