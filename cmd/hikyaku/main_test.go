package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/webhooksecret"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline/shoplinetest"
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// The test binary is the command too, under the name "hikyaku", so the scripts
// and the tests run the real thing as a process of its own.
func TestMain(m *testing.M) {
	// Most of these tests wait, for rates and pauses: more of them than there are
	// processors run at once.
	if err := flag.Set("test.parallel", "12"); err != nil {
		panic(err)
	}
	// Nor need these tests, or a command that lives for a moment, collect garbage often.
	debug.SetGCPercent(400)
	if err := os.Setenv("GOGC", "400"); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"hikyaku": main})
}

// cmdExits runs a command that must exit with the code given first:
// "exits 2 hikyaku nosuch".
func cmdExits(ts *testscript.TestScript, neg bool, a []string) {
	code, err := 0, ts.Exec(a[1], a[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if neg || strconv.Itoa(code) != a[0] {
		ts.Fatalf("exits: code %d, want %s", code, a[0])
	}
}

func TestScripts(t *testing.T) {
	t.Parallel()
	events, err := filepath.Abs("../../events")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { called.wantOperators(t) })
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("EVENTS", events)
			e.Setenv("GOGC", "400") // as TestMain has it
			e.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			e.Setenv("AWS_CONFIG_FILE", filepath.Join(e.WorkDir, "no-config"))
			e.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(e.WorkDir, "no-credentials"))
			e.Values["ctx"] = t.Context()
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": cmdExits, "stack": cmdStack, "source": cmdSource, "secret": cmdSecret, "clean": cmdClean, "http": cmdHTTP, "freeport": cmdFreePort, "book": cmdBook, "tenant": cmdTenant, "hooked": cmdHooked, "hook": cmdHook, "weak": cmdWeak, "expand": cmdExpand, "holds": cmdHolds, "breaks": cmdBreaks, "until": cmdUntil, "one-json": cmdOneJSON, "deployed": cmdDeployed, "off": cmdOff, "faults": cmdFaults, "told": cmdTold, "shared": cmdShared, "handover": cmdHandover, "take": cmdTake,
		},
	})
}

// cmdUntil waits until a file has so many lines: "until notes 1".
func cmdUntil(ts *testscript.TestScript, _ bool, a []string) {
	lines, err := strconv.Atoi(a[1])
	ts.Check(err)
	waitFor(ts, a[0], lines)
}

// waitFor returns a file once it has so many lines.
func waitFor(ts *testscript.TestScript, file string, lines int) string {
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(ts.MkAbs(file))
		if err == nil && bytes.Count(text, []byte("\n")) >= lines {
			return string(text)
		}
		if time.Now().After(end) {
			ts.Fatalf("%s does not have %d lines within 20 s: %v\n%s", file, lines, err, text)
		}
	}
}

// newStack starts a stack of few records, and returns it with its environment.
func newStack(ctx context.Context) (*localstack.Stack, map[string]string, error) {
	mapping, err := filepath.Abs("../../config/mapping.yaml")
	if err != nil {
		return nil, nil, err
	}
	s, err := localstack.Start(ctx, localstack.Options{Sandbox: sandbox.Options{Records: 5, Rate: -1}, Mapping: mapping})
	if err != nil {
		return nil, nil, err
	}
	return s, s.Vars(localstack.TokenRefresh), nil
}

// cmdStack starts a stack for the script: its environment, each connection in
// connections/, and the variables of its functions in both forms.
func cmdStack(ts *testscript.TestScript, _ bool, _ []string) {
	ctx, cancel := context.WithCancel(ts.Value("ctx").(context.Context))
	ts.Defer(cancel)
	s, vars, err := newStack(ctx)
	ts.Check(err)
	ts.Defer(func() { called.add(s.AWS.Calls()) })
	for name, value := range vars {
		ts.Setenv(name, value)
	}
	ts.Check(os.Mkdir(ts.MkAbs("connections"), 0o700))
	for name, sandbox := range s.Sandboxes {
		ts.Check(os.WriteFile(ts.MkAbs("connections/"+name+".json"), sandbox.Connection(s.URLs[name]).Document(), 0o600))
	}
	shop := s.Sandboxes[providers.SHOPLINE].(*shoplinetest.Server)
	ts.Check(os.WriteFile(ts.MkAbs("connections/shopline-app.json"), shop.AppConnection(s.URLs[providers.SHOPLINE]).Document(), 0o600))
	byFunction := map[string]map[string]string{}
	for _, name := range localstack.Functions() {
		byFunction[localstack.Resource(name)] = s.Vars(name)
	}
	toDead := s.Vars(localstack.Ingest)
	toDead["HIKYAKU_QUEUE_URL"] = toDead["HIKYAKU_DEAD_LETTER_QUEUE_URL"]
	queueless := s.Vars(localstack.Reconcile)
	delete(queueless, "HIKYAKU_QUEUE_URL")
	for name, form := range map[string]any{"vars.json": byFunction, "queueless.json": map[string]any{"Parameters": queueless}, "to-dead.json": map[string]any{"Parameters": toDead}, "stack.json": map[string]any{"services": []string{}, "env_vars": byFunction}} {
		raw, err := json.Marshal(form)
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(name), raw, 0o600))
	}
	stacks.Store(ts, s)
}

// cmdSource waits for a file of lines for a shell, and sets their variables; those
// whose names begin alike, if that is given.
func cmdSource(ts *testscript.TestScript, _ bool, a []string) {
	for line := range strings.Lines(waitFor(ts, a[0], 1)) {
		name, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if len(a) == 1 || strings.HasPrefix(name, a[1]) {
			ts.Setenv(name, strings.Trim(value, "'"))
		}
	}
}

// stacks are those of the scripts that run.
var stacks sync.Map

func stackOf(ts *testscript.TestScript) *localstack.Stack {
	s, found := stacks.Load(ts)
	if !found {
		ts.Fatalf("the script has no stack yet")
	}
	return s.(*localstack.Stack)
}

// cmdSecret succeeds if the secret exists, and negated if it does not. With a
// stage and a text, the value under that stage must contain the text, or not.
func cmdSecret(ts *testscript.TestScript, neg bool, a []string) {
	entries := stackOf(ts).AWS.Secrets.Entries()
	found := slices.ContainsFunc(entries, func(e secretstore.Entry) bool { return e.Name == a[0] })
	if wanted := !neg || len(a) == 3; found != wanted {
		ts.Fatalf("secret %s: exists is %v", a[0], found)
	}
	if len(a) == 3 {
		value, err := stackOf(ts).AWS.Secrets.Get(context.Background(), a[0], a[1])
		ts.Check(err)
		if strings.Contains(string(value.Data), a[2]) == neg {
			ts.Fatalf("secret %s: that it holds %s is %v", a[0], a[2], neg)
		}
	}
}

// cmdHTTP sends a request once the server answers, and prints status and body:
// "http GET URL", "http PUT URL FILE"; further words are headers, "Name=value".
func cmdHTTP(ts *testscript.TestScript, _ bool, a []string) {
	var body []byte
	header := http.Header{}
	for len(a) > 2 && strings.Contains(a[len(a)-1], "=") {
		name, value, _ := strings.Cut(a[len(a)-1], "=")
		header.Set(name, value)
		a = a[:len(a)-1]
	}
	if len(a) == 3 {
		body = []byte(ts.ReadFile(a[2]))
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		request, err := http.NewRequestWithContext(ts.Value("ctx").(context.Context), a[0], a[1], bytes.NewReader(body))
		ts.Check(err)
		request.Header, request.Host = header.Clone(), header.Get("Host")
		answer, err := http.DefaultClient.Do(request)
		if err != nil && time.Now().Before(end) {
			continue
		}
		ts.Check(err)
		text, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		ts.Check(err)
		_, err = fmt.Fprintf(ts.Stdout(), "%d\n%s", answer.StatusCode, text)
		ts.Check(err)
		return
	}
}

// listenSomewhere listens at a port that stays free once it is closed: the system gives
// connections that go out ports of a higher range.
func listenSomewhere() (l net.Listener, err error) {
	for range 100 {
		port := 20000 + rand.IntN(10000)
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			break
		}
	}
	return l, err
}

// cmdFreePort sets a variable to the first of three free ports in a row.
func cmdFreePort(ts *testscript.TestScript, _ bool, a []string) {
	for range 100 {
		var held []net.Listener
		first, err := listenSomewhere()
		ts.Check(err)
		held = append(held, first)
		port := first.Addr().(*net.TCPAddr).Port
		for n := 1; n < 3; n++ {
			if next, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+n))); err == nil {
				held = append(held, next)
			}
		}
		for _, l := range held {
			_ = l.Close()
		}
		if len(held) == 3 {
			ts.Setenv(a[0], strconv.Itoa(port))
			ts.Setenv(a[0]+"_NEXT", strconv.Itoa(port+1))
			return
		}
	}
	ts.Fatalf("no three free ports in a row")
}

// cmdBook sets USER_ID to that of a user who has just signed up.
func cmdBook(ts *testscript.TestScript, _ bool, _ []string) {
	id := stackOf(ts).SuperSaaS().AddUser(map[string]any{
		"name": "script@mail.example", "email": "script@mail.example", "full_name": "見本 試子", "mobile": "03-1000-0001",
	})
	ts.Setenv("USER_ID", strconv.FormatInt(id, 10))
}

// cmdHooked gives the account webhooks that are none of the relay's business.
func cmdHooked(ts *testscript.TestScript, _ bool, _ []string) {
	for _, trigger := range []string{"H", "R", "F", "P"} {
		stackOf(ts).SuperSaaS().AddHook(supersaastest.Hook{Trigger: trigger, Target: "https://relay.example/webhook/of-" + trigger})
	}
	stackOf(ts).SuperSaaS().AddHook(supersaastest.Hook{Trigger: "M", Target: "https://elsewhere.example/webhook/mine"})
}

// cmdHook gives the account one webhook: "hook M https://...".
func cmdHook(ts *testscript.TestScript, _ bool, a []string) {
	stackOf(ts).SuperSaaS().AddHook(supersaastest.Hook{Trigger: a[0], Target: a[1]})
}

// cmdWeak stores a webhook's secret past the command.
func cmdWeak(ts *testscript.TestScript, _ bool, a []string) {
	name := webhooksecret.Name(localstack.Prefix)
	document := webhooksecret.Document{Current: providers.NewSecret(a[0])}
	ts.Check(stackOf(ts).AWS.Secrets.Put(context.Background(), name, uuid.NewString(), document.Bytes(), secretstore.Current))
}

// cmdExpand copies a file with the script's variables put in.
func cmdExpand(ts *testscript.TestScript, _ bool, a []string) {
	ts.Check(os.WriteFile(ts.MkAbs(a[1]), []byte(os.Expand(ts.ReadFile(a[0]), ts.Getenv)), 0o600))
}

// cmdTenant makes Yappli's tenant one whose rule for omitted fields nobody has
// seen, with a member for USER_ID: "tenant partial", "tenant replace". "tenant
// fails N" makes all updates be refused after the next N, "tenant mends" ends that.
func cmdTenant(ts *testscript.TestScript, _ bool, a []string) {
	s, ctx := stackOf(ts), context.Background()
	crm := s.Yappli()
	switch a[0] {
	case "fails":
		n, err := strconv.Atoi(a[1])
		ts.Check(err)
		crm.Inject(sandbox.Fault{Kind: sandbox.Denied, Route: "PUT ", After: n, Times: -1})
		return
	case "mends":
		crm.SetFaults(sandbox.Faults{})
		return
	}
	crm.Do(func() { crm.Replace = a[0] == "replace" })
	ts.Setenv("MEMBER", crm.Put(yapplitest.Member{ID: ts.Getenv("MEMBER"), Values: map[string]string{
		"unique_id": ts.Getenv("USER_ID"), "column01": "見本 試子", "column40": "会員番号 0001", "logined": "1", "logined_at": "2026-11-22 10:00:00", "rank": "3",
	}}))
	name := secretstore.Name(localstack.Prefix, providers.Yappli, secretstore.ConnectionPart)
	connection := crm.Connection(s.URLs[providers.Yappli])
	connection.Quirks = json.RawMessage(`{"body":"multipart"}`)
	ts.Check(s.AWS.Secrets.Put(ctx, name, uuid.NewString(), connection.Document(), secretstore.Current))
}

// cmdHolds compares a field of the script's member: "holds column40 TEXT".
func cmdHolds(ts *testscript.TestScript, neg bool, a []string) {
	for _, m := range stackOf(ts).Yappli().Members() {
		if m.ID == ts.Getenv("MEMBER") && (m.Values[a[0]] == a[1]) == neg {
			ts.Fatalf("%s is %q", a[0], m.Values[a[0]])
		}
	}
}

// cmdBreaks makes a provider refuse what it has accepted: "breaks supersaas".
func cmdBreaks(ts *testscript.TestScript, _ bool, a []string) {
	s := stackOf(ts)
	switch a[0] {
	case providers.SuperSaaS:
		s.SuperSaaS().RollKey()
	case providers.Yappli:
		s.Yappli().Inject(sandbox.Fault{Kind: "5xx", Times: -1})
	default:
		ts.Fatalf("breaks %s: not prepared", a[0])
	}
}

// cmdOneJSON: the last command's standard output is one line that holds one
// JSON value.
func cmdOneJSON(ts *testscript.TestScript, _ bool, _ []string) {
	out := ts.ReadFile("stdout")
	if strings.Count(out, "\n") != 1 || !strings.HasSuffix(out, "\n") || !json.Valid([]byte(out)) {
		ts.Fatalf("not one line of JSON: %s", out)
	}
}

// cmdHandover sets HANDOVER to a token with which the app hands over a member.
func cmdHandover(ts *testscript.TestScript, _ bool, a []string) {
	ts.Setenv("HANDOVER", stackOf(ts).Yappli().IssueHandover(a[0]))
}

// cmdTake sets a variable to what the group of a pattern finds in the last output:
// "take ID '\"id\":\"([^\"]+)'".
func cmdTake(ts *testscript.TestScript, _ bool, a []string) {
	match := regexp.MustCompile(a[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if match == nil {
		ts.Fatalf("the output has no %s", a[1])
	}
	ts.Setenv(a[0], match[1])
}

// Every command explains itself, shows an example, and has --json.
func TestEveryCommandIsExplained(t *testing.T) {
	t.Parallel()
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Short == "" || len(c.Long) < len(c.Short) || c.Example == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: needs Short without a full stop, Long and Example", c.CommandPath())
		}
		if !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s: its example shows another command", c.CommandPath())
		}
		if c.Flags().Lookup("json") == nil {
			t.Errorf("%s: no --json", c.CommandPath())
		}
		for _, line := range strings.Split(c.Long, "\n") {
			if len([]rune(line)) > 110 {
				t.Errorf("%s: a line of its help has more than 110 characters: %s", c.CommandPath(), line)
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot())
}

func TestSpell(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 59 * time.Second: "59s", time.Minute: "1m", 59*time.Minute + 59*time.Second: "59m", time.Hour: "1h00m",
		23*time.Hour + 59*time.Minute: "23h59m", 24 * time.Hour: "1d00h", 182*24*time.Hour + 5*time.Hour: "182d05h",
	} {
		if got := spell(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// The demo does the whole job: every dataset in at least three pages, one of
// them across a stop, in less than 30 seconds.
func TestDemo(t *testing.T) {
	t.Parallel()
	prove.Heavy(t)
	dir := filepath.Join(t.TempDir(), "demo")
	var out, notes bytes.Buffer
	command := program(t.Context(), "demo", "--json", "--dir", dir)
	command.Stdout, command.Stderr = &out, &notes
	if err := command.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &notes)
	}
	var totals demoTotals
	if err := json.Unmarshal(out.Bytes(), &totals); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	if totals.Tokens != 5 || totals.Webhooks == 0 || totals.People < demoRecords || totals.Continued < 1 || totals.Seconds > 30 || len(totals.Exports) != 6 {
		t.Errorf("%+v", totals)
	}
	for _, e := range totals.Exports {
		if e.Pages < 3 || e.Rows < 100 {
			t.Errorf("%+v", e)
		}
		if _, err := os.Stat(filepath.Join(dir, "objects", "hikyaku", e.Manifest)); err != nil {
			t.Error(err)
		}
	}
	for _, name := range providers.Names() {
		if _, err := os.Stat(filepath.Join(dir, "sandboxes", name+".json")); err != nil {
			t.Error(err)
		}
	}
	again := program(t.Context(), "demo", "--dir", dir)
	if text, err := again.CombinedOutput(); again.ProcessState.ExitCode() != 2 || !strings.Contains(string(text), "must be empty") {
		t.Errorf("a second demo into the same directory: %v %s", err, text)
	}
}

// program is the command line as a process, with the test binary's own
// environment.
func program(ctx context.Context, a ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "hikyaku", a...) // TestMain put it into the path
}
