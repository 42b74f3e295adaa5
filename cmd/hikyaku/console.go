package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"hikyaku/internal/audit"
	"hikyaku/internal/console"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/localstack"
	"hikyaku/internal/objectstore"
)

// consoleFresh is how long the console of a deployed stack shows again what a command has
// printed: each look is paid. An hour of it costs at most $0.05; see docs/console.md.
const consoleFresh = time.Minute

// consoleFlags are the flags of the console command.
type consoleFlags struct {
	stack  stackFlags
	addr   string
	write  bool
	closed bool // no browser is opened
	output
}

func newConsole() *cobra.Command {
	var f consoleFlags
	c := &cobra.Command{
		Use:   "console --stack NAME",
		Short: "Show a deployed stack in the browser, on this machine",
		Long: "Serves pages about a deployed stack at an address of this machine until interrupted, and opens them in\n" +
			"the browser. They show what hikyaku's commands print with --json, with your own AWS credentials, and\n" +
			"show customers' data, so only the browser that opens the printed link gets in; the link works once,\n" +
			"within 15 minutes.\n\n" +
			"Without --write nothing is changed; each action can be copied as a command. With it actions are done,\n" +
			"and each leaves who did it and why in {prefix}/state/audit/. What a page shows is up to a minute old,\n" +
			"and nothing is asked while no page is open. Times on the pages are in the stack's own time zone.",
		Example: "  hikyaku console --stack hikyaku-shop\n  hikyaku console --stack hikyaku-shop --write --no-open",
		RunE: func(c *cobra.Command, _ []string) error {
			return f.serve(c)
		},
	}
	f.stack.addDeployed(c)
	f.add(c)
	c.Flags().StringVar(&f.addr, "addr", "127.0.0.1:0", "address of this machine to serve at")
	c.Flags().BoolVar(&f.write, "write", false, "let the pages change the stack")
	c.Flags().BoolVar(&f.closed, "no-open", false, "do not open the browser")
	return c
}

func (f *consoleFlags) serve(c *cobra.Command) error {
	options, err := f.options(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	served, err := console.Start(ctx, f.addr, options)
	if err != nil {
		return &usageError{err}
	}
	link, err := served.Link()
	if err != nil {
		return err
	}
	if err := f.announce(c, served.URL, link); err != nil {
		return err
	}
	go linkAgain(c, served)
	<-ctx.Done()
	served.Wait()
	return nil
}

// options are those of the console of the stack that is named.
func (f *consoleFlags) options(c *cobra.Command) (o console.Options, err error) {
	e, err := f.stack.environ(c, "", localstack.Export)
	if err != nil {
		return o, err
	}
	found := f.stack.found
	if found == nil {
		return o, &usageError{errors.New("--stack NAME or HIKYAKU_STACK is missing: the console shows a deployed stack. 'hikyaku dev' has one of its own on this machine")}
	}
	e.Out = io.Discard
	base, err := clibase.Open(e)
	if err != nil {
		return o, err
	}
	zone, err := time.LoadLocation(cmp.Or(e.Vars["HIKYAKU_TIME_ZONE"], "UTC"))
	if err != nil {
		return o, fmt.Errorf("HIKYAKU_TIME_ZONE of the stack: %w", err)
	}
	by, err := found.Caller(c.Context())
	if err != nil {
		return o, err
	}
	place := [][2]string{{"stack", found.Name}, {"profile", f.stack.Profile}, {"region", f.stack.Region}}
	return console.Options{
		Run: new(trialKeeper).runner, Of: func(args []string) []string { return withFlags(args, place) },
		Stack: found.Name, Write: f.write, Zone: zone, Fresh: consoleFresh,
		Objects: func() (objectstore.Store, string) { return base.Objects, base.Common.Prefix },
		Audit:   audit.Log{Objects: base.Objects, Prefix: base.Common.Prefix, By: by, Now: time.Now}.Begin,
	}, nil
}

// announce says where the console is, at once: it serves until it is interrupted.
func (f *consoleFlags) announce(c *cobra.Command, address, link string) error {
	if f.asJSON {
		return json.NewEncoder(c.OutOrStdout()).Encode(map[string]string{"url": address, "link": link})
	}
	say(c.OutOrStdout(), "Open within 15 minutes, once: %s", link)
	if isTerminal(c.InOrStdin()) {
		say(c.OutOrStdout(), "Enter prints another link, Ctrl-C ends.")
	}
	if !f.closed {
		openBrowser(c.ErrOrStderr(), link)
	}
	return nil
}

// linkAgain prints another link whenever a person presses Enter, for another browser.
func linkAgain(c *cobra.Command, served *console.Server) {
	if !isTerminal(c.InOrStdin()) {
		return
	}
	for lines := bufio.NewScanner(c.InOrStdin()); lines.Scan(); {
		if link, err := served.Link(); err == nil {
			say(c.OutOrStdout(), "Open within 15 minutes, once: %s", link)
		}
	}
}

// isTerminal reports whether a person types there.
func isTerminal(in io.Reader) bool {
	file, ok := in.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// openBrowser opens an address in the person's browser, if a person is there. Where it
// cannot, the printed link is enough.
func openBrowser(terminal io.Writer, address string) {
	if _, is := file(terminal); !is {
		return
	}
	name, args := "xdg-open", []string{address}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", address}
	}
	opener := exec.Command(name, args...) //nolint:gosec,noctx // the address is this program's own; the browser outlives it
	if opener.Start() == nil {
		go func() { _ = opener.Wait() }()
	}
}
