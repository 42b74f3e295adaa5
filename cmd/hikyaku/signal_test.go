package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
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

// The first interrupt leaves nothing of an export to standard output behind, so
// there is nothing to go on from either.
func TestInterruptedExportToAPipe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	reading := program(t.Context(), "export", "yappli/users", "--sandbox", "--records", "20000", "--to", "-")
	reading.Env = append(os.Environ(), "TMPDIR="+dir)
	pipe, err := reading.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := reading.Start(); err != nil {
		t.Fatal(err)
	}
	notes := bufio.NewReader(pipe)
	if line, err := notes.ReadString('\n'); err != nil || !strings.HasPrefix(line, "Run ") {
		t.Fatal(line, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) == 0 {
		t.Fatal("it keeps its files elsewhere", err)
	}
	if err := reading.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(notes)
	if err != nil {
		t.Fatal(err)
	}
	if err := reading.Wait(); reading.ProcessState.ExitCode() != 1 || strings.Contains(string(rest), "--at") {
		t.Errorf("%v: %s", err, rest)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v is left: %v", left, err)
	}
}

// Of what breaks like a pipe only standard output has a reader that may have
// enough: a run whose connection broke has failed.
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
