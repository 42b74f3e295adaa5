package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/doctor"
	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/assisttencho/assisttenchotest"
	"hikyaku/pkg/providers/sandbox"
)

// follow runs what a finding says comes next, as a person who fills in what only people
// know. A schedule would do what it does after a new connection.
func (p *patient) follow(f doctor.Finding) {
	p.Helper()
	words := strings.Fields(f.Next)
	if words[0] != "hikyaku" || !strings.HasSuffix(f.Next, "--stack "+localstack.Name) && !strings.HasPrefix(f.Next, "hikyaku export accept ") {
		p.Fatalf("%s: next is %s", f.ID, f.Next)
	}
	words = words[1:]
	for i := range words {
		switch words[i] {
		case "mapping.yaml":
			words[i] = p.mapping
		case "ID":
			words[i] = strconv.FormatInt(p.stack.SuperSaaS().UserIDs()[0], 10)
		}
	}
	in := ""
	switch {
	case words[0] == "mapping" && words[1] == "put":
		words = append(words, "--yes")
	case words[0] == "mapping":
		in = "yes\n"
	case words[0] == "connect" && words[1] != "webhook":
		in = string(p.connections(words[1]))
	case words[0] == "export" && words[1] != "accept":
		words = append(words, "--at", p.soon())
	case words[0] == "authorize":
		p.authorize(words)
		return
	}
	out, err := p.run(in, words...)
	p.ok(err)
	switch {
	case words[0] == "connect" && words[1] != "webhook":
		p.must("tokens", "refresh", words[1])
	case words[0] == "mapping" && words[1] == "check": // it stores what it has found in the connection
		p.must("tokens", "refresh", providers.Yappli)
	}
	if again := approval.FindStringSubmatch(out); again != nil { // 'links list' says how all are approved
		p.must(strings.Fields(again[1])...)
	}
}

var approval = regexp.MustCompile(`hikyaku (links approve --all --token \S+)`)

// authorize approves the app in the person's place.
func (p *patient) authorize(words []string) {
	p.Helper()
	in, typed := io.Pipe()
	said, notes := io.Pipe()
	root := newRoot()
	root.SetIn(in)
	root.SetErr(notes)
	root.SetOut(io.Discard)
	root.SetArgs(append(words, "--paste"))
	done := make(chan error, 1)
	go func() { done <- root.ExecuteContext(p.ctx); _ = notes.Close() }()
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		page, err := url.Parse(strings.TrimSpace(lines.Text()))
		if err != nil || page.Query().Get("state") == "" {
			continue
		}
		code := p.stack.Sandboxes[providers.AssistTencho].(*assisttenchotest.Server).Authorize()
		back := page.Query().Get("redirect_uri") + "?" + url.Values{"code": {code}, "state": {page.Query().Get("state")}}.Encode()
		go func() { _, _ = io.WriteString(typed, back+"\n") }()
	}
	p.ok(<-done)
}

// readOnly are the calls that change nothing.
var readOnly = regexp.MustCompile(`\.(Get|List|Describe|Head)`)

// calls counts those that may change something, at AWS's door and at the providers'.
func (p *patient) calls() (writing []string) {
	for call, n := range p.stack.AWS.Calls() {
		if !readOnly.MatchString(call) {
			writing = append(writing, strings.Repeat(call+" ", n))
		}
	}
	for name := range p.stack.Sandboxes {
		for _, call := range p.stack.Sandboxes[name].(interface{ Calls() []sandbox.Call }).Calls() {
			if !strings.HasPrefix(call.Route, "GET ") {
				writing = append(writing, name+" "+call.Route)
			}
		}
	}
	slices.Sort(writing)
	return writing
}

// One stack serves all: nothing is found where all is well, and each test leaves it so.
func TestDoctor(t *testing.T) {
	p := newPatient(t)
	p.wantWell()
	for _, c := range []struct {
		name string
		test func(*patient)
	}{
		{"a call fails", (*patient).goesOnWhereACallFails},
		{"it is stopped", (*patient).stops},
		{"a document is broken", (*patient).goesOnWhereOneIsBroken},
		{"a reader looks", (*patient).tellsAReaderWhatIsHidden},
		{"each finding", (*patient).findsEachAlone},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(p.within(t)) })
	}
}

// within is the patient in a subtest.
func (p *patient) within(t *testing.T) *patient {
	inner := *p
	inner.T = t
	return &inner
}

// Each finding is caused, found alone, and ended by its own next command; and nothing is
// written.
func (p *patient) findsEachAlone() {
	cases := slices.Concat(redeployed, around, tokenIllnesses, mappings, relays, pauses, exports)
	caused := map[string]bool{}
	step := len(cases) / prove.Sample(len(cases), 5) // all of them take some 20 s
	for i, c := range cases {
		caused[c.id] = true
		if i%step != 0 {
			continue
		}
		p.Run(c.id, func(t *testing.T) {
			p := p.within(t)
			c.cause(p)
			before := p.calls()
			r, code := p.examine()
			if after := p.calls(); !slices.Equal(before, after) {
				t.Errorf("it wrote: %v, after %v", after, before)
			}
			if len(r.Findings) != 1 || r.Findings[0].ID != c.id {
				for _, f := range r.Findings {
					t.Logf("%s %s: %s", f.ID, f.Subject, f.Message)
				}
				t.Fatal("that is not it alone")
			}
			f := r.Findings[0]
			if f.Message == "" || f.Next == "" {
				t.Errorf("%+v", f)
			}
			if want := map[doctor.Severity]int{doctor.Warning: 3, doctor.High: 4, doctor.Critical: 5}[f.Severity]; code != want {
				t.Errorf("exit code %d, want %d", code, want)
			}
			if c.cure != nil {
				c.cure(p, f)
			} else {
				p.follow(f)
			}
			// What a command has begun may need another, which doctor names then.
			for range 2 {
				if r, _ := p.examine(); len(r.Findings) == 1 {
					p.follow(r.Findings[0])
				}
			}
			p.wantWell()
		})
	}
	for _, k := range doctor.Kinds() {
		if !caused[k.ID] {
			p.Errorf("nothing causes %s", k.ID)
		}
	}
}

// A call of AWS that fails hides nothing else: the rest is looked at, and what was not is
// said.
func (p *patient) goesOnWhereACallFails() {
	defer p.stack.AWS.ClearFaults()
	p.Setenv("AWS_MAX_ATTEMPTS", "2")
	before := p.stack.AWS.Calls()
	p.wantWell()
	var asked []string
	for call, n := range p.stack.AWS.Calls() {
		if n > before[call] && !strings.HasPrefix(call, "cloudformation.") { // without these there is no stack to look at
			asked = append(asked, call)
		}
	}
	slices.Sort(asked)
	step := len(asked) / prove.Sample(len(asked), 2)
	for i, call := range asked {
		if i%step != 0 {
			continue
		}
		p.stack.AWS.ClearFaults()
		p.stack.AWS.Inject(sandbox.Fault{Kind: sandbox.ServerFail, Route: call, Times: -1})
		r, code := p.examine()
		if code == 0 || len(r.Findings) == 0 || len(r.Checked) < 10 {
			p.Errorf("%s fails: exit code %d, %d checked, %+v", call, code, len(r.Checked), r.Findings)
		}
		for _, f := range r.Findings {
			if f.ID != "unread" {
				p.Errorf("%s fails, and %s is found: %s", call, f.ID, f.Message)
			}
		}
	}
}

// What is broken of one provider or dataset hides nothing of the others.
func (p *patient) goesOnWhereOneIsBroken() {
	journal, latest := localstack.Prefix+"/state/tokens/"+providers.ActiBook, localstack.Prefix+"/exports/yappli/users/latest.json"
	old := localstack.Prefix + "/exports/supersaas/users/latest.json"
	before := map[string][]byte{}
	for _, key := range []string{journal, latest, old} {
		before[key] = p.read(key)
	}
	p.write(journal, []byte("[]"))
	p.write(latest, []byte("[]"))
	p.change(old, "scheduled_time", time.Now().Add(-40*time.Hour))
	p.token(providers.Yappli, func(t *providers.Token) { t.ExpiresAt = time.Now().Add(-time.Minute) })
	r, code := p.examine()
	var ids []string
	for _, f := range r.Findings {
		ids = append(ids, f.ID+" "+f.Subject)
	}
	if want := []string{"token.expired yappli", "export.old supersaas/users", "unread exports of yappli/users", "unread secrets of actibook"}; code != 5 || !slices.Equal(ids, want) {
		p.Errorf("exit code %d, found %q, want %q", code, ids, want)
	}
	for key, content := range before {
		p.write(key, content)
	}
	p.must("tokens", "refresh", providers.Yappli, "--force")
	p.wantWell()
}

// Who may only read, by policies/reader.json, is told what they may not see, and of
// nothing that only seems to be missing.
func (p *patient) tellsAReaderWhatIsHidden() {
	defer p.allow(doctor.Finding{})
	p.front.denied = func(r *http.Request, _ string) bool {
		return r.Header.Get("X-Amz-Target") == "secretsmanager.GetSecretValue" || r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/"+awslocal.Bucket+"/"+localstack.Prefix)
	}
	r, _ := p.examine()
	var ids []string
	for _, f := range r.Findings {
		ids = append(ids, f.ID+" "+f.Subject)
	}
	if want := []string{"secret.denied " + localstack.Name, "unread mapping", "unread pauses"}; !slices.Equal(ids, want) {
		p.Errorf("found %q, want %q", ids, want)
	}
	if !slices.Contains(r.Checked, "alarm.critical") || slices.Contains(r.Checked, "reconcile.never") {
		p.Errorf("checked are %q", r.Checked)
	}
}

// Who stops it is not told what the calls said that were cut off.
func (p *patient) stops() {
	p.Helper()
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	p.front.denied = func(_ *http.Request, body string) bool {
		if strings.Contains(body, "DescribeAlarms") {
			cancel()
		}
		return false
	}
	var out bytes.Buffer
	root := newRoot()
	root.SetOut(&out)
	root.SetErr(io.Discard)
	root.SetArgs([]string{"doctor", "--stack", localstack.Name})
	if err := root.ExecuteContext(ctx); !errors.Is(err, context.Canceled) || out.Len() > 0 {
		p.Errorf("%v, %s", err, &out)
	}
	p.front.denied = nil
}

// wantWell fails if anything is found.
func (p *patient) wantWell() {
	p.Helper()
	r, _ := p.examine()
	for _, f := range r.Findings {
		p.Errorf("found %s %s: %s", f.ID, f.Subject, f.Message)
	}
	if p.Failed() {
		p.FailNow()
	}
}

// cmdTold compares how many messages were published: "told 1".
func cmdTold(ts *testscript.TestScript, _ bool, a []string) {
	if got := len(stackOf(ts).AWS.Told.Published()); strconv.Itoa(got) != a[0] {
		ts.Fatalf("%d messages were published, want %s", got, a[0])
	}
}

// cmdShared describes a second stack, with the prefix of the script's.
func cmdShared(ts *testscript.TestScript, _ bool, _ []string) {
	stackOf(ts).AWS.Describe((*patient)(nil).second(localstack.Prefix))
}
