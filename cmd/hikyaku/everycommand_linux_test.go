package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
	"hikyaku/pkg/providers"
)

const everyScript = "testdata/every"

// everyCommand are the commands that a person can call, by their paths; those that only
// group others among them.
func everyCommand(c *cobra.Command) (paths []string) {
	for _, sub := range c.Commands() {
		paths = append(append(paths, strings.TrimPrefix(sub.CommandPath(), "hikyaku ")), everyCommand(sub)...)
	}
	return paths
}

// Every command has a script of its name, which calls it rightly and wrongly.
func TestEveryCommand_HasItsScript(t *testing.T) {
	t.Parallel()
	root := newRoot()
	want := map[string]bool{}
	for _, path := range everyCommand(root) {
		name := strings.ReplaceAll(path, " ", "-") + ".txtar"
		want[name] = true
		raw, err := os.ReadFile(filepath.Join(everyScript, name))
		called := regexp.MustCompile(`(?m)^(tries|serves)( -\S+( [\d,]+)?)* ` + path + `\b`)
		wrong := regexp.MustCompile(`(?m)^refuses ` + path + `\b`)
		if err != nil || !called.Match(raw) || !wrong.Match(raw) {
			t.Errorf("%s/%s: has to call '%s' by tries or serves, and wrongly by refuses (%v)", everyScript, name, path, err)
		}
	}
	all, err := os.ReadDir(everyScript)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		if !want[file.Name()] {
			t.Errorf("%s/%s is of no command", everyScript, file.Name())
		}
	}
}

// The help of every command fits a terminal of 60 columns, in each language; examples stay
// as they are typed.
func TestEveryCommand_ExplainsItselfIn60Columns(t *testing.T) {
	t.Parallel()
	for _, l := range []locale.Language{locale.English, locale.Japanese} {
		root := newRoot()
		inLanguage(root, l)
		var walk func(c *cobra.Command)
		walk = func(c *cobra.Command) {
			examples := false
			for line := range strings.Lines(helpOf(c, l, 60)) {
				line = strings.TrimRight(line, "\n")
				switch {
				case line == l.Text("Examples:") || line == l.Text("Usage:"):
					examples = true
				case line == "":
					examples = false
				case !examples && columns(line) > 60 && strings.Contains(strings.TrimSpace(line), " "):
					t.Errorf("%s in %s: %d columns: %s", c.CommandPath(), l, columns(line), line)
				}
			}
			for _, sub := range c.Commands() {
				walk(sub)
			}
		}
		walk(root)
	}
}

// Every command behaves as its script says: rightly and wrongly called, with --json,
// without a terminal, on one of 60 columns, and when a person presses Ctrl-C.
func TestEveryCommand(t *testing.T) {
	t.Parallel()
	prove.Heavy(t)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	env := everyStack(ctx, t)
	only := flag.Lookup("test.run").Value.String()
	t.Logf("as %q asks", only)
	testscript.Run(t, testscript.Params{
		Dir: everyScript, RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			for name, value := range env {
				e.Setenv(name, value)
			}
			for _, name := range []string{"HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"} {
				e.Setenv(name, filepath.Join(e.WorkDir, "home"))
			}
			for name, content := range map[string]string{"connection.json": env["CONNECTION"], "mapping.yaml": everyMapping, "vars.json": env["VARS"]} {
				if err := os.WriteFile(filepath.Join(e.WorkDir, name), []byte(content), 0o600); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"tries": cmdTries, "refuses": cmdRefuses, "serves": cmdServes},
	})
}

const everyMapping = "login_id: email\ncolumn01: full_name\ncolumn02: mobile\n"

// everyStack is the stack on which all of them work, and how a script finds what is in it.
func everyStack(ctx context.Context, t *testing.T) map[string]string {
	t.Helper()
	s, env, err := newStack(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := registerFunctions(ctx, s, "", ""); err != nil {
		t.Fatal(err)
	}
	s.AWS.Told.OnStart(func(string, []byte) error { return nil })
	user := s.SuperSaaS().AddUser(map[string]any{"name": "script@mail.example", "email": "script@mail.example", "full_name": "見本 試子", "mobile": "03-1000-0001"})
	byFunction := map[string]map[string]string{}
	for _, name := range localstack.Functions() {
		byFunction[localstack.Resource(name)] = s.Vars(name)
	}
	vars, err := json.Marshal(byFunction)
	if err != nil {
		t.Fatal(err)
	}
	events, err := filepath.Abs("../../events")
	if err != nil {
		t.Fatal(err)
	}
	env["HIKYAKU_STACK"], env["HIKYAKU_PREFIX"], env["HIKYAKU_BUCKET"] = localstack.Name, "", ""
	env["USER_ID"], env["EVENTS"], env["VARS"] = strconv.FormatInt(user, 10), events, string(vars)
	env["CONNECTION"] = string(s.Sandboxes[providers.Yappli].Connection(s.URLs[providers.Yappli]).Document())
	dir := t.TempDir()
	mapping := filepath.Join(dir, "mapping.yaml")
	if err := os.WriteFile(mapping, []byte(everyMapping), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(words ...string) []byte {
		command := program(ctx, words...)
		command.Dir, command.Env = dir, os.Environ()
		for name, value := range env {
			command.Env = append(command.Env, name+"="+value)
		}
		var notes bytes.Buffer
		command.Stderr = &notes
		out, err := command.Output()
		if err != nil {
			t.Fatalf("%v: %v\n%s", words, err, &notes)
		}
		return out
	}
	run("tokens", "refresh")
	run("mapping", "put", mapping, "--yes")
	run("connect", "webhook")
	var exported struct{ Manifest string }
	var list struct{ Records []struct{ ID string } }
	_ = json.Unmarshal(run("export", "yappli/users", "--json"), &exported)
	env["MANIFEST"] = "s3://hikyaku/" + exported.Manifest
	for name, call := range map[string][]string{"CUSTOMER_ID": {"customers", "list", "shopline", "--json"}, "ORDER_ID": {"orders", "list", "shopline", "--json"}} {
		if err := json.Unmarshal(run(call...), &list); err != nil || len(list.Records) == 0 {
			t.Fatalf("%v lists nothing: %v", call, err)
		}
		env[name] = list.Records[0].ID
	}
	return env
}

// A call is one that a script makes, and how it may end.
type everyCall struct {
	codes     []string
	raw, slow bool // its output is a file's; it takes a while
	words     []string
}

func everyCallOf(a []string) everyCall {
	call := everyCall{codes: []string{"0"}}
	for len(a) > 0 && strings.HasPrefix(a[0], "-") {
		switch a[0] {
		case "-code":
			call.codes, a = strings.Split(a[1], ","), a[1:]
		case "-raw":
			call.raw = true
		case "-slow":
			call.slow = true
		}
		a = a[1:]
	}
	call.words = a
	return call
}

// as is the call for the nth time, with more words.
func (e everyCall) as(n int, more ...string) []string {
	words := append(slices.Clone(e.words), more...)
	for i, w := range words {
		words[i] = strings.ReplaceAll(w, "%n", strconv.Itoa(n))
	}
	return words
}

// everyProcess is a process of the script.
func everyProcess(ts *testscript.TestScript, words []string) *exec.Cmd {
	command := exec.Command("hikyaku", words...)
	command.Dir = ts.Getenv("WORK")
	command.Env = os.Environ()
	for _, name := range []string{
		"HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "HIKYAKU_STACK", "HIKYAKU_PREFIX", "HIKYAKU_BUCKET", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
	} {
		command.Env = append(command.Env, name+"="+ts.Getenv(name))
	}
	return command
}

func codeOf(err error) string {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return "0"
	case errors.As(err, &exit):
		return strconv.Itoa(exit.ExitCode())
	}
	return err.Error()
}

// cmdTries calls a command rightly, in every way.
func cmdTries(ts *testscript.TestScript, _ bool, a []string) {
	call := everyCallOf(a)
	var stdin []byte
	if _, err := os.Stat(ts.MkAbs("connection.json")); err == nil && call.words[0] == "connect" {
		stdin = []byte(ts.ReadFile("connection.json"))
	}
	if call.slow { // TestDemo looks at the rest
		everyNarrow(ts, call, 3)
		everyStopped(ts, call, 4)
		return
	}
	out, notes := everyPiped(ts, call, 1, stdin)
	if strings.Contains(out+notes, "\x1b") {
		ts.Fatalf("%v writes for a terminal where there is none:\n%s%s", call.words, out, notes)
	}
	out, notes = everyPiped(ts, call, 2, stdin, "--json")
	if strings.Count(out, "\n") != 1 && !strings.HasPrefix(strings.Join(call.words, " "), "tail") || !json.Valid([]byte(strings.SplitN(out, "\n", 2)[0])) && out != "" {
		ts.Fatalf("%v --json prints no object of one line: %s\n%s", call.words, out, notes)
	}
	if call.words[0] != "connect" { // on a terminal it asks
		everyNarrow(ts, call, 3)
	}
	everyStopped(ts, call, 4)
}

func everyPiped(ts *testscript.TestScript, call everyCall, n int, stdin []byte, more ...string) (out, notes string) {
	var o, e bytes.Buffer
	command := everyProcess(ts, call.as(n, more...))
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(stdin), &o, &e
	if code := codeOf(command.Run()); !slices.Contains(call.codes, code) {
		ts.Fatalf("%v ends with %s, not %v:\n%s%s", command.Args, code, call.codes, &o, &e)
	}
	return o.String(), e.String()
}

// tableLine is a line of three columns or more.
var tableLine = regexp.MustCompile(`\S {2,}\S.*\S {2,}\S`)

// everyNarrow calls a command on a terminal of 60 columns.
func everyNarrow(ts *testscript.TestScript, call everyCall, n int) {
	const most = 60
	person, tty, err := everyTerminal(most)
	ts.Check(err)
	defer func() { _ = person.Close() }()
	command := everyProcess(ts, call.as(n))
	command.Stdout, command.Stderr = tty, tty // it reads nothing from there
	read := make(chan string)
	go func() {
		raw, _ := io.ReadAll(person)
		read <- string(raw)
	}()
	code := codeOf(command.Run())
	_ = tty.Close()
	text := <-read
	if !slices.Contains(call.codes, code) {
		ts.Fatalf("%v on a terminal ends with %s, not %v:\n%s", command.Args, code, call.codes, text)
	}
	if call.raw {
		return
	}
	for line := range strings.Lines(text) {
		line = painted.ReplaceAllString(strings.TrimRight(line, "\r\n"), "")
		if i := strings.LastIndex(line, "\r\x1b[K"); i >= 0 {
			line = line[i+4:]
		}
		if columns(line) > most && tableLine.MatchString(line) && !strings.HasPrefix(line, "  hikyaku") {
			ts.Fatalf("%v: a table is %d columns wide: %s", command.Args, columns(line), line)
		}
	}
}

// everyStopped presses Ctrl-C while a command works, or is done already.
func everyStopped(ts *testscript.TestScript, call everyCall, n int) {
	var out bytes.Buffer
	command := everyProcess(ts, call.as(n))
	command.Stdout, command.Stderr = &out, &out
	ts.Check(command.Start())
	wait := 60 * time.Millisecond
	if call.slow {
		wait = time.Second
	}
	time.Sleep(wait)
	_ = command.Process.Signal(os.Interrupt)
	everyEnds(ts, command, &out)
	if code := command.ProcessState.ExitCode(); code > 5 || strings.Contains(out.String(), "goroutine ") {
		ts.Fatalf("%v ends with %d on Ctrl-C:\n%s", command.Args, code, &out)
	}
}

// everyEnds waits until a command has ended after Ctrl-C.
func everyEnds(ts *testscript.TestScript, command *exec.Cmd, out *bytes.Buffer) {
	ended := make(chan struct{})
	go func() {
		_ = command.Wait() // its code is looked at
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		_ = command.Process.Kill()
		ts.Fatalf("%v does not end on Ctrl-C:\n%s", command.Args, out)
	}
}

// cmdRefuses calls a command wrongly, for people and for programs.
func cmdRefuses(ts *testscript.TestScript, _ bool, a []string) {
	call := everyCall{codes: []string{"2"}, words: a}
	out, notes := everyPiped(ts, call, 1, nil)
	if out != "" || !strings.Contains("\n"+notes, "\nhikyaku: ") {
		ts.Fatalf("%v prints %q and says %q", a, out, notes)
	}
	out, _ = everyPiped(ts, call, 2, nil, "--json")
	var answer struct{ Error failure }
	if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.Error.Kind != kindUsage || answer.Error.Exit != 2 || answer.Error.Message == "" || strings.Count(out, "\n") != 1 {
		ts.Fatalf("%v --json prints %q", a, out)
	}
}

// cmdServes starts a command that goes on until Ctrl-C, for people and for programs.
func cmdServes(ts *testscript.TestScript, _ bool, a []string) {
	for _, more := range [][]string{nil, {"--json"}} {
		var out bytes.Buffer
		reader, writer := io.Pipe()
		command := everyProcess(ts, append(slices.Clone(a), more...))
		command.Stdout, command.Stderr = writer, &out
		ts.Check(command.Start())
		first := make([]byte, 1)
		said := make(chan error, 1)
		go func() {
			_, err := io.ReadFull(reader, first)
			said <- err
			_, _ = io.Copy(io.Discard, reader)
		}()
		select {
		case err := <-said:
			ts.Check(err)
		case <-time.After(20 * time.Second):
			ts.Fatalf("%v says nothing within 20 s:\n%s", command.Args, &out)
		}
		_ = command.Process.Signal(os.Interrupt)
		everyEnds(ts, command, &out)
		if code := command.ProcessState.ExitCode(); code != 0 || more != nil && first[0] != '{' {
			ts.Fatalf("%v ends with %d, and begins with %q:\n%s", command.Args, code, first, &out)
		}
	}
}

// everyTerminal is a pseudo-terminal of so many columns.
func everyTerminal(most uint16) (person, tty *os.File, err error) {
	person, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	var number, locked int32
	size := struct{ rows, columns, x, y uint16 }{24, most, 0, 0}
	for _, c := range []struct {
		request uintptr
		value   unsafe.Pointer
	}{{syscall.TIOCGPTN, unsafe.Pointer(&number)}, {syscall.TIOCSPTLCK, unsafe.Pointer(&locked)}, {syscall.TIOCSWINSZ, unsafe.Pointer(&size)}} {
		if _, _, code := syscall.Syscall(syscall.SYS_IOCTL, person.Fd(), c.request, uintptr(c.value)); code != 0 {
			return nil, nil, code
		}
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	return person, tty, err
}
