package browsertest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// A stack is a 'hikyaku dev' with a folder of its own.
type stack struct {
	t     testing.TB
	state string // where it keeps what it knows
	env   []string
	cmd   *exec.Cmd
	began time.Time
	ready time.Duration // from its start until it told where the console is

	URL     string // of its console
	link    string
	webhook string // where the booking page posts
	key     string // of the booking page, invented

	once  sync.Once
	ended error
}

func binary(t testing.TB) string {
	t.Helper()
	path := os.Getenv("HIKYAKU_BIN")
	if path == "" {
		t.Skip("HIKYAKU_BIN names no hikyaku to be driven")
	}
	return path
}

// few lets a stack have few records, where their number does not matter: its exports are read
// several times when they are in doubt.
var few = []string{"--records", "40"}

// dev starts a stack in a new folder.
func dev(t testing.TB, args ...string) *stack {
	t.Helper()
	s := &stack{t: t, state: t.TempDir()}
	s.env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.state, "XDG_STATE_HOME=" + s.state, "XDG_CACHE_HOME=" + filepath.Join(s.state, "cache"), "LC_ALL=C.UTF-8"}
	s.start(args...)
	t.Cleanup(func() { _ = s.stop(syscall.SIGINT) })
	return s
}

// start begins, or goes on, with what the folder holds.
func (s *stack) start(args ...string) {
	s.t.Helper()
	s.cmd = exec.Command(binary(s.t), append([]string{"dev", "--no-open", "--json"}, args...)...)
	s.cmd.Env, s.once, s.began = s.env, sync.Once{}, time.Now()
	var said bytes.Buffer
	s.cmd.Stderr = &said
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	late := time.AfterFunc(2*patience, func() { _ = s.cmd.Process.Kill() })
	defer late.Stop()
	var about announced
	reader := bufio.NewReader(out)
	if err := json.NewDecoder(reader).Decode(&about); err != nil {
		_ = s.stop(syscall.SIGKILL)
		s.t.Fatalf("hikyaku dev --json said nothing to read: %v\n%s", err, said.String())
	}
	s.ready = time.Since(s.began)
	go func() { _, _ = reader.WriteTo(os.Stderr) }()
	s.link, s.webhook = about.Link, about.Webhook
	for _, service := range about.Services {
		if service.Name == "supersaas" {
			s.key = service.Connection.APIKey
		}
	}
	u, err := url.Parse(s.link)
	if err != nil {
		s.t.Fatal(err)
	}
	s.URL = "http://" + u.Host
}

// What the stack says of itself once it is ready.
type announced struct {
	Link, Webhook string
	Services      []struct {
		Name       string
		Connection struct {
			APIKey string `json:"api_key"`
		}
	}
}

// stop ends it, and returns how it ended.
func (s *stack) stop(signal os.Signal) error {
	s.once.Do(func() {
		_ = s.cmd.Process.Signal(signal)
		late := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
		s.ended = s.cmd.Wait()
		late.Stop()
	})
	return s.ended
}

// hikyaku runs a command on the stack, as a person types it, and decodes what it prints.
func (s *stack) hikyaku(into any, args ...string) error {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 3*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(s.t), append(args, "--dev", "--json")...)
	cmd.Env = s.env
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if into != nil && len(out) > 0 {
		if err := json.Unmarshal(out, into); err != nil {
			return fmt.Errorf("hikyaku %s printed %q: %w", strings.Join(args, " "), out, err)
		}
	}
	if err != nil {
		return fmt.Errorf("hikyaku %s: %w: %s%s", strings.Join(args, " "), err, said.String(), out)
	}
	return nil
}

func (s *stack) must(into any, args ...string) {
	s.t.Helper()
	if err := s.hikyaku(into, args...); err != nil {
		s.t.Fatal(err)
	}
}

// enter follows the one-time link in a window of its own.
func (s *stack) enter(chrome browserContext) *tab {
	s.t.Helper()
	return enter(s.t, chrome, s.link)
}

func enter(t testing.TB, chrome browserContext, link string) *tab {
	t.Helper()
	b := private(t, chrome)
	b.visit(link)
	b.until(`location.pathname === "/" && document.readyState === "complete" && document.querySelector("main h1")`)
	return b
}

// speak chooses the language of the pages.
func (b *tab) speak(base, language string) {
	b.t.Helper()
	b.do(chromedp.ActionFunc(func(ctx context.Context) error {
		return network.SetCookie("hikyaku-language", language).WithURL(base).Do(ctx)
	}))
}
