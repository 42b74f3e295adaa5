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
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	_ "time/tzdata" // time zones on machines that have none

	"github.com/spf13/cobra"

	"hikyaku/internal/locale"
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
	return runWith(ctx, os.Args[1:], stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr, language: locale.Of(os.Getenv)})
}

// A stdio is where a command reads and prints, and in which language it tells people.
type stdio struct {
	in       io.Reader
	out, err io.Writer
	language locale.Language
}

// runWith runs a command as a person types it, without the program's name, and returns its
// exit code. It is what the process does, and what runs commands within one.
func runWith(ctx context.Context, args []string, with stdio) int {
	root, started := newRoot(), false //nolint:contextcheck // cobra hands the context to the commands
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	root.SetArgs(args)
	root.SetIn(with.in)
	out := &visibleWriter{to: with.out, language: with.language, answer: true}
	if asksJSON(args) {
		out.language = locale.English // programs read it
	}
	notes := &visibleWriter{to: with.err, language: with.language}
	if len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		notes.to = io.Discard // a shell that completes shows it between the words of a person
	}
	root.SetOut(out)
	root.SetErr(notes)
	inLanguage(root, out.language)
	wait := waitOn(out, notes, args)
	err := root.ExecuteContext(ctx)
	wait.end()
	if ctx.Err() != nil {
		err = interrupted(err)
	}
	failure := failureOf(err, started)
	if asksJSON(args) {
		if fault := out.finish(failure); err == nil && fault != nil {
			err, failure = fault, failureOf(fault, started)
		}
	}
	if failure == nil {
		return 0
	}
	if _, printed := errors.AsType[*foundError](err); !printed { // what was found is printed already
		say(notes, "hikyaku: %s", visibleLines(inWordsOf(with.language, err)))
	}
	if failure.Kind == kindUsage {
		say(notes, "Run with --help to see how it is called.")
	}
	return failure.Exit
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

// Says is the sentence.
func (e stoppedError) Says() locale.Message {
	if left, has := strings.CutPrefix(string(e), "stopped; "); has {
		return locale.M("stopped; %s", locale.T(left))
	}
	return locale.T(string(e))
}

// A usageError says that the command was called wrongly.
type usageError struct{ error }

// Unwrap is what is wrong.
func (e *usageError) Unwrap() error { return e.error }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "hikyaku",
		Short: "Keep tokens alive, relay bookings into the app, export customers and orders",
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
	root.AddCommand(newAuthorize(), newConnect(), newConsole(), newDead(), newDemo(), newDoctor(), newExport(), newHistory(), newHooks(), newInit(), newInvoke(), newLinks(), newMapping(), newMetrics(), newPause(), newReconcile(), newRedrive(), newRelay(), newResume(), newRuns(), newSandbox(), newTail(), newTokens(), newTrigger(), newVerify(), newVersion())
	root.AddCommand(newDev(), newFunction())
	root.AddCommand(shopCommands()...)
	root.CompletionOptions.DisableDefaultCmd = true // newCompletion is said in every language
	root.SetHelpCommand(newHelp())
	root.InitDefaultHelpCmd()
	root.AddCommand(newCompletion())
	root.SetFlagErrorFunc(inPlainWords)
	root.SetHelpFunc(printHelp)
	complete(root)
	return root
}

// complete gives every command what all have: arguments that are refused in plain words,
// help where a command only groups others, --json and --version.
func complete(c *cobra.Command) {
	if c.Args == nil {
		c.Args = noCommand
	}
	if c.RunE == nil {
		c.RunE, c.Annotations = showHelp, map[string]string{groupOnly: "yes"}
	}
	if c.Flags().Lookup("json") == nil {
		c.Flags().Bool("json", false, jsonUsage)
	}
	c.Flags().Bool("version", false, "print the version of hikyaku")
	c.InitDefaultHelpFlag()
	completions(c)
	args, run := c.Args, c.RunE
	c.Args = func(c *cobra.Command, a []string) error {
		if asked(c, "version") {
			return nil
		}
		return args(c, a)
	}
	c.RunE = func(c *cobra.Command, a []string) error {
		if asked(c, "version") {
			return sayVersion(c)
		}
		if err := useDev(c); err != nil {
			return err
		}
		return run(c, a)
	}
	for _, sub := range c.Commands() {
		complete(sub)
	}
}

// asked reports whether a flag without a value was given.
func asked(c *cobra.Command, flag string) bool {
	on, err := c.Flags().GetBool(flag)
	return err == nil && on
}
