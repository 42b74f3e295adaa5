package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
	"hikyaku/pkg/providers/sandbox"
)

// A shopTerminal runs commands at a terminal of 60 columns.
type shopTerminal struct {
	*testing.T

	stack *localstack.Stack
	vars  []string
}

func newShopTerminal(t *testing.T) shopTerminal {
	t.Helper()
	s, settings, err := newStack(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	vars := append(os.Environ(), pairs(s.Vars(localstack.Reconcile))...)
	return shopTerminal{t, s, append(vars, pairs(settings)...)}
}

// run runs a command, types an answer once it is asked for, and returns the screen.
func (s shopTerminal) run(answer string, words ...string) string {
	s.Helper()
	person, tty := pseudoTerminal(s.T)
	size := struct{ rows, columns, x, y uint16 }{24, 60, 0, 0}
	if _, _, code := syscall.Syscall(syscall.SYS_IOCTL, tty.Fd(), syscall.TIOCSWINSZ, uintptr(unsafe.Pointer(&size))); code != 0 {
		s.Fatal(code)
	}
	ctx, cancel := context.WithTimeout(s.Context(), 30*time.Second)
	defer cancel()
	command := program(ctx, words...)
	command.Env, command.Stdin, command.Stdout, command.Stderr = s.vars, tty, tty, tty
	screen := &screen{of: person}
	go screen.watch()
	if err := command.Start(); err != nil {
		s.Fatal(err)
	}
	if answer != "" {
		screen.await(ctx, s.T, "Type yes to go on: ")
		if _, err := io.WriteString(person, answer+"\n"); err != nil {
			s.Fatal(err)
		}
	}
	_ = command.Wait() // what it did is on the screen
	_, _ = io.WriteString(tty, "END")
	screen.await(ctx, s.T, "END")
	return screen.text()
}

// Tables of the shop's commands turn into blocks that fit a narrow terminal.
func TestShop_FitsANarrowTerminal(t *testing.T) {
	t.Parallel()
	prove.Heavy(t)
	s := newShopTerminal(t)
	user := fmt.Sprint(s.stack.SuperSaaS().AddUser(map[string]any{"name": "narrow@mail.example", "full_name": strings.Repeat("見本 試子", 12), "address": strings.Repeat("東京都千代田区見本町", 9)}))
	s.run("", "tokens", "refresh")
	if err := registerFunctions(t.Context(), s.stack, "", ""); err != nil {
		t.Fatal(err)
	}
	lake := t.TempDir()
	s.run("", "export", "supersaas/users", "--to", lake)
	for _, words := range [][]string{
		{"compare", "--user", user}, {"mapping", "try", "../../config/mapping.yaml", "--user", user}, {"users", "list", "supersaas"}, {"users", "list", "yappli"}, {"users", "get", "supersaas", user},
		{"orders", "list", "shopline"}, {"customers", "shopline"}, {"records", "supersaas/users", "--to", lake, "--search", "見本町"}, {"cost", "--stack", localstack.Name},
	} {
		said := s.run("", words...)
		if !strings.Contains(said, "\n") || strings.Contains(said, "hikyaku: ") {
			t.Errorf("%q prints %s", words, said)
		}
		for part := range strings.SplitSeq(strings.ReplaceAll(said, "\r\x1b[K", "\r\n"), "\r\n") {
			if wide := columns(strings.NewReplacer("\x1b[31m", "", "\x1b[32m", "", "\x1b[33m", "", "\x1b[0m", "").Replace(part)); wide > 60 && !strings.HasSuffix(part, ".") { // a sentence is the terminal's to break
				t.Errorf("%q prints a line of %d columns: %s", words, wide, part)
			}
		}
	}
}

// At a terminal a person is asked before anything is written, and nothing else counts as yes.
func TestShop_AsksBeforeItWrites(t *testing.T) {
	t.Parallel()
	s := newShopTerminal(t)
	user := fmt.Sprint(s.stack.SuperSaaS().AddUser(map[string]any{"name": "asked@mail.example", "mobile": "03-1000-0001"}))
	s.run("", "tokens", "refresh")
	write := []string{"users", "update", "supersaas", user, "--set", "mobile=03-1000-0002", "--write"}
	for answer, want := range map[string]string{"no": "03-1000-0001", "y": "03-1000-0001"} {
		said := s.run(answer, write...)
		if !strings.Contains(said, "nothing was written") || !strings.Contains(s.run("", "users", "get", "supersaas", user), want) {
			t.Errorf("%q is answered with %s", answer, said)
		}
	}
	if said := s.run("yes", write...); !strings.Contains(said, "Done: users.update") || !strings.Contains(s.run("", "users", "get", "supersaas", user), "03-1000-0002") {
		t.Errorf("yes is answered with %s", said)
	}
	if said := s.run("", append(write, "--yes")...); strings.Contains(said, "Type yes") || !strings.Contains(said, "Done") {
		t.Errorf("with --yes it says %s", said)
	}
}

// Ctrl-C ends a search at once, and says how far it has come.
func TestShop_IsInterrupted(t *testing.T) {
	t.Parallel()
	s := newShopTerminal(t)
	s.run("", "tokens", "refresh")
	s.stack.Yappli().Inject(sandbox.Fault{Kind: sandbox.Slow, Delay: 20 * time.Second, Times: -1})
	for _, words := range [][]string{{"users", "list", "yappli", "--search", "x"}, {"users", "get", "yappli", "1001"}, {"users", "update", "yappli", "1001", "--set", "column01=x", "--write"}} {
		const reads = "secretsmanager.GetSecretValue" // of the token, just before the provider is asked
		before := s.stack.AWS.Calls()[reads]
		command := program(t.Context(), words...)
		command.Env = s.vars
		var notes strings.Builder
		command.Stderr = &notes
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(20 * time.Second); s.stack.AWS.Calls()[reads] == before && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		}
		began := time.Now()
		if err := command.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		_ = command.Wait() // its code is looked at
		if command.ProcessState.ExitCode() != 1 || !strings.Contains(notes.String(), "stopped") || time.Since(began) > 5*time.Second {
			t.Errorf("%q ends with %d after %v: %s", words, command.ProcessState.ExitCode(), time.Since(began), notes.String())
		}
	}
}
