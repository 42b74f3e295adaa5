package browsertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// patience is how long anything on a page may take before a test gives it up.
const patience = 20 * time.Second

// full says that everything is to be proved, at full size.
func full() bool { return os.Getenv("HIKYAKU_PROVE") == "full" }

// A browserContext is a running browser, as chromedp passes it on.
type browserContext = context.Context

// chromium starts a browser with a profile of its own, which asks nothing of the internet.
func chromium(t testing.TB) browserContext {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("these tests drive Debian's chromium: apt-get install chromium")
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(profile(t)), chromedp.CombinedOutput(io.Discard),
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("headless", true), chromedp.Flag("hide-scrollbars", true), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-renderer-backgrounding", true), chromedp.Flag("disable-background-timer-throttling", true),
		chromedp.Flag("no-proxy-server", true), chromedp.Flag("font-render-hinting", "none"),
		// The tests' pages of foreign origins live on names that resolve here.
		chromedp.Flag("host-resolver-rules", "MAP *.example.test 127.0.0.1"),
		chromedp.WSURLReadTimeout(60 * time.Second),
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	browser, end := chromedp.NewContext(allocator, chromedp.WithErrorf(func(string, ...any) {}))
	t.Cleanup(func() { end(); stop() })
	if err := chromedp.Run(browser); err != nil {
		t.Fatal("start chromium: ", err)
	}
	return browser
}

// profile is a folder for one browser. The browser's last processes may still write to it
// when it has ended, so that it is removed again and again for a while, and is never a fault.
func profile(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hikyaku-browser-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for end := time.Now().Add(5 * time.Second); os.RemoveAll(dir) != nil && time.Now().Before(end); {
			time.Sleep(50 * time.Millisecond)
		}
	})
	return dir
}

// A tab is one of the browser's, and collects what must not happen on a page: errors on its
// console, exceptions, reports of its policy, requests that fail.
type tab struct {
	t       testing.TB
	browser browserContext
	id      cdp.BrowserContextID // of the window's cookies
	ctx     context.Context

	clicks int // so far, with the keyboard

	mu       sync.Mutex
	problems []string
	allowed  []string // parts of problems that a test brings about on purpose
	sent     map[network.RequestID]string
}

// private opens a window that shares nothing with any other.
func private(t testing.TB, browser browserContext) *tab {
	t.Helper()
	id, err := target.CreateBrowserContext().Do(executor(browser))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.DisposeBrowserContext(id).Do(executor(browser)) })
	return open(t, browser, id, true)
}

// beside opens a window that shares the other's cookies, so that both are seen at once.
func beside(other *tab) *tab { return open(other.t, other.browser, other.id, true) }

func executor(browser browserContext) context.Context {
	return cdp.WithExecutor(browser, chromedp.FromContext(browser).Browser)
}

func open(t testing.TB, browser browserContext, id cdp.BrowserContextID, window bool) *tab {
	t.Helper()
	created, err := target.CreateTarget("about:blank").WithBrowserContextID(id).WithNewWindow(window).Do(executor(browser))
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := chromedp.NewContext(browser, chromedp.WithTargetID(created))
	t.Cleanup(func() {
		_ = target.CloseTarget(created).Do(executor(browser))
		end()
	})
	b := &tab{t: t, browser: browser, id: id, ctx: ctx, sent: map[network.RequestID]string{}}
	chromedp.ListenTarget(ctx, b.listen)
	b.do(network.Enable(), log.Enable(), page.Enable())
	t.Cleanup(b.quiet)
	return b
}

func (b *tab) listen(event any) {
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning || e.Type == runtime.APITypeAssert {
			var words []string
			for _, a := range e.Args {
				words = append(words, strings.Trim(string(a.Value), `"`)+a.Description)
			}
			b.problem("console: " + strings.Join(words, " "))
		}
	case *runtime.EventExceptionThrown:
		b.problem("exception: " + e.ExceptionDetails.Error())
	case *log.EventEntryAdded:
		if e.Entry.Level == log.LevelError || e.Entry.Level == log.LevelWarning {
			b.problem(fmt.Sprintf("log: %s %s", e.Entry.Text, e.Entry.URL))
		}
	case *network.EventRequestWillBeSent:
		b.mu.Lock()
		b.sent[e.RequestID] = e.Request.Method + " " + e.Request.URL
		b.mu.Unlock()
	case *network.EventLoadingFailed:
		if !e.Canceled {
			b.mu.Lock()
			what := b.sent[e.RequestID]
			b.mu.Unlock()
			b.problem(fmt.Sprintf("request failed: %s %s %s", what, e.ErrorText, e.BlockedReason))
		}
	}
}

func (b *tab) problem(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, part := range b.allowed {
		if strings.Contains(text, part) {
			return
		}
	}
	b.problems = append(b.problems, text)
}

// allow names a problem that the test brings about.
func (b *tab) allow(part string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.allowed = append(b.allowed, part)
}

// take returns the problems so far, and forgets them.
func (b *tab) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	problems := b.problems
	b.problems = nil
	return problems
}

func (b *tab) quiet() {
	b.t.Helper()
	for _, problem := range b.take() {
		b.t.Errorf("the browser reports: %s", problem)
	}
}

func (b *tab) try(actions ...chromedp.Action) error {
	// A tab begins with its first action, and ends with the context of that: it has no deadline.
	if chromedp.FromContext(b.ctx).Target == nil {
		if err := chromedp.Run(b.ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, actions...)
}

func (b *tab) do(actions ...chromedp.Action) {
	b.t.Helper()
	if err := b.try(actions...); err != nil {
		b.t.Fatalf("%v; problems: %q", err, b.take())
	}
}

func (b *tab) visit(address string) {
	b.t.Helper()
	b.do(chromedp.Navigate(address))
}

// eval returns what an expression, or the promise that it is, comes to.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	var value T
	awaited := func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }
	if err := b.try(chromedp.Evaluate(expression, &value, awaited)); err != nil {
		b.t.Fatalf("%s: %v; problems: %q", expression, err, b.take())
	}
	return value
}

// literal is a text as a program of the page writes it.
func literal(text string) string {
	raw, err := json.Marshal(text)
	if err != nil {
		panic(err) // a text can be written
	}
	return string(raw)
}

// until waits for an expression to become true.
func (b *tab) until(expression string) {
	b.t.Helper()
	if err := b.reaches(expression, patience); err != nil {
		b.t.Fatalf("%v; problems: %q", err, b.take())
	}
}

func (b *tab) reaches(expression string, within time.Duration) error {
	end := time.Now().Add(within)
	for {
		var now bool
		err := b.try(chromedp.Evaluate("!!("+expression+")", &now))
		if err == nil && now {
			return nil
		}
		if time.Now().After(end) {
			return errors.Join(fmt.Errorf("after %v it is not so that %s", within, expression), err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// press presses keys one after the other, such as kb.Tab or "a". A page that takes a key for
// itself gets no character of it, as from a keyboard; chromedp's own KeyEvent sends both.
func (b *tab) press(keys string, modifiers ...input.Modifier) {
	b.t.Helper()
	for _, key := range keys {
		events := kb.Encode(key)
		down, up := *events[0], *events[len(events)-1]
		down.Type = input.KeyDown
		if len(modifiers) == 0 && len(events) == 3 {
			down.Text, down.UnmodifiedText = events[1].Text, events[1].UnmodifiedText
		}
		for _, m := range modifiers {
			down.Modifiers |= m
			up.Modifiers |= m
		}
		b.do(&down, &up)
	}
}

// screen sets the window's width, the scheme of colors, and that a person wants no motion.
func (b *tab) screen(width, height int64, scheme string) {
	b.t.Helper()
	b.do(emulation.SetDeviceMetricsOverride(width, height, 1, false),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}))
}

const ctrl = input.ModifierCtrl
