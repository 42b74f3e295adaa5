package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"hikyaku/internal/localstack"
	"hikyaku/pkg/providers/sandbox"
)

// A command that waits for its input does not hear the first interrupt; the
// second one ends it.
func TestSecondInterruptEndsAtOnce(t *testing.T) {
	t.Parallel()
	waiting := program(t.Context(), "connect", "yappli")
	waiting.Env = append(os.Environ(), "HIKYAKU_PREFIX=shop", "AWS_REGION=ap-northeast-1", "AWS_ACCESS_KEY_ID=invented", "AWS_SECRET_ACCESS_KEY=invented")
	var notes strings.Builder
	waiting.Stderr = &notes
	in, err := waiting.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := waiting.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	if _, err := in.Write(make([]byte, 1<<20)); err != nil { // more than a pipe holds: it reads by now
		t.Fatal(err, notes.String())
	}
	go func() { ended <- waiting.Wait() }()
	for n, patience := range []time.Duration{300 * time.Millisecond, 20 * time.Second} {
		if err := waiting.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			if n == 0 || waiting.ProcessState.ExitCode() != -1 {
				t.Errorf("after interrupt %d: %v, %s", n+1, err, notes.String())
			}
			return
		case <-time.After(patience):
		}
	}
	t.Error("it runs on after the second interrupt")
	_ = waiting.Process.Kill()
}

// However an export to standard output ends, nothing of it has ever had a name
// in the folder of temporary files. There is nothing to go on from either.
func TestEndedExportToAPipeLeavesNothing(t *testing.T) {
	t.Parallel()
	// A signal that is caught here is not ignored by the commands that are started,
	// even if nohup started the tests.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(hangups) })
	for name, c := range map[string]struct {
		signal os.Signal
		code   int
	}{"Ctrl-C": {os.Interrupt, 1}, "a closed terminal": {syscall.SIGHUP, 1}, "killed": {os.Kill, -1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			reading := program(t.Context(), "export", "yappli/users", "--sandbox", "--records", "5000", "--to", "-")
			reading.Env = append(os.Environ(), "TMPDIR="+dir)
			pipe, err := reading.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := reading.Start(); err != nil {
				t.Fatal(err)
			}
			notes := bufio.NewReader(pipe)
			for range 2 { // the run's name, and how far it has come
				if line, err := notes.ReadString('\n'); err != nil {
					t.Fatal(line, err)
				}
			}
			named, err := os.ReadDir(dir)
			if err != nil || len(named) > 0 {
				t.Errorf("%v has a name: %v", named, err)
			}
			if err := reading.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			rest, err := io.ReadAll(notes)
			if err != nil {
				t.Fatal(err)
			}
			if err := reading.Wait(); reading.ProcessState.ExitCode() != c.code || strings.Contains(string(rest), "--at") || c.code == 1 && !strings.Contains(string(rest), "stopped safely") {
				t.Errorf("%v: %s", err, rest)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("%v is left: %v", left, err)
			}
		})
	}
}

// A terminal that is closed leaves a command alone that nohup started.
func TestNohupGoesOn(t *testing.T) {
	t.Parallel()
	reading := exec.CommandContext(t.Context(), "sh", "-c", `trap "" HUP; exec hikyaku export yappli/users --sandbox --records 20000 --to -`)
	pipe, err := reading.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := reading.Start(); err != nil {
		t.Fatal(err)
	}
	notes := bufio.NewReader(pipe)
	for n := range 3 {
		if line, err := notes.ReadString('\n'); err != nil || strings.Contains(line, "stopped") {
			t.Fatal(line, err)
		}
		if n == 0 {
			if err := reading.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := reading.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, notes)
	_ = reading.Wait()
}

// Only standard output has a reader that may have enough: a run whose connection
// broke, although it breaks like a pipe, has failed.
func TestHasEnough(t *testing.T) {
	t.Parallel()
	broken := os.NewSyscallError("write", syscall.EPIPE)
	for err, want := range map[error]bool{
		fmt.Errorf("printing: %w", &os.PathError{Op: "write", Path: os.Stdout.Name(), Err: syscall.EPIPE}): true,
		&os.PathError{Op: "write", Path: os.Stdout.Name(), Err: syscall.ENOSPC}:                            false,
		&os.PathError{Op: "write", Path: "/tmp/fifo", Err: syscall.EPIPE}:                                  false,
		fmt.Errorf("storing a part: %w", &net.OpError{Op: "write", Net: "tcp", Err: broken}):               false,
	} {
		if hasEnough(err) != want {
			t.Errorf("%v: %t, want %t", err, !want, want)
		}
	}
}

// Ctrl-C is answered in the command's own words, not in those of the calls that it cut off.
func TestInterruptedCommandSaysStopped(t *testing.T) {
	t.Parallel()
	s, _, err := newStack(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	start := func(words ...string) (*exec.Cmd, *strings.Builder) {
		command, notes := program(t.Context(), words...), new(strings.Builder)
		command.Env, command.Stderr = append(os.Environ(), pairs(s.Vars(localstack.Reconcile))...), notes
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		return command, notes
	}
	if command, notes := start("tokens", "refresh"); command.Wait() != nil {
		t.Fatal(notes.String())
	}
	s.SuperSaaS().SetFaults(sandbox.Faults{Latency: time.Minute})
	for _, words := range []string{"reconcile", "reconcile --dry-run"} {
		read := s.AWS.Calls()["secretsmanager.GetSecretValue"]
		command, notes := start(strings.Fields(words)...)
		for end := time.Now().Add(20 * time.Second); s.AWS.Calls()["secretsmanager.GetSecretValue"] < read+2 && time.Now().Before(end); { // both tokens: next it lists
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(100 * time.Millisecond)
		if err := command.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		_ = command.Wait()
		if said := notes.String(); command.ProcessState.ExitCode() != 1 || !strings.Contains(said, "hikyaku: stopped") || strings.Contains(said, "context canceled") {
			t.Errorf("%s: exit code %d: %s", words, command.ProcessState.ExitCode(), said)
		}
	}
}

// A demo that is stopped leaves nothing behind: not its own folder, and nothing in one that
// a person has made for it.
func TestInterruptedDemoLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, own := range map[string]bool{"its own folder": false, "a person's": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			demo := program(t.Context(), "demo")
			if own {
				demo = program(t.Context(), "demo", "--dir", dir)
			}
			demo.Env = append(os.Environ(), "TMPDIR="+dir)
			var notes strings.Builder
			demo.Stderr = &notes
			out, err := demo.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := demo.Start(); err != nil {
				t.Fatal(err)
			}
			story := bufio.NewReader(out)
			for line := ""; !strings.Contains(line, "First reconcile"); {
				if line, err = story.ReadString('\n'); err != nil {
					t.Fatal(err, notes.String())
				}
			}
			if err := demo.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, story)
			_ = demo.Wait()
			if said := notes.String(); demo.ProcessState.ExitCode() != 1 || said != "hikyaku: stopped; nothing is left of the demo\n" {
				t.Errorf("exit code %d: %s", demo.ProcessState.ExitCode(), said)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("%v is left: %v", left, err)
			}
		})
	}
}

// Ctrl-C at a question is a no.
func TestConfirm_IsStopped(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	in, typed := io.Pipe()
	t.Cleanup(func() { _ = typed.Close() })
	c := newRoot()
	c.SetContext(ctx)
	c.SetIn(in)
	c.SetErr(io.Discard)
	cancel()
	if err := confirm(c, "nothing was written"); err == nil || err.Error() != "stopped; nothing was written" {
		t.Errorf("%v", err)
	}
}
