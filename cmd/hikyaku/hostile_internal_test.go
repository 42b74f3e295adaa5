package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// hostile colors, turns the direction of writing, hides, and starts a line of
// its own: as a value that a customer typed may.
const hostile = "x\x1b[31m\u202e\u200b\U000e0041\nINJECTED"

// A hostilePage stands before a sandbox and appends hostile to the values of its
// answers: 1, to names and notes; 2, to all of them, so that calls fail.
type hostilePage struct {
	*httptest.Server

	level atomic.Int32
}

var plainValue = regexp.MustCompile(`^[\d\-:TZ.+ /]*$|^https?:|^[a-z_]+$`)

func (h *hostilePage) spoil(v any) any {
	switch v := v.(type) {
	case string:
		if h.level.Load() == 2 || !plainValue.MatchString(v) {
			return v + hostile
		}
	case []any:
		for i := range v {
			v[i] = h.spoil(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = h.spoil(v[name])
		}
	}
	return v
}

func newHostilePage(t *testing.T, sandbox string) *hostilePage {
	t.Helper()
	to, err := url.Parse(sandbox)
	if err != nil {
		t.Fatal(err)
	}
	h := &hostilePage{}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: to.Scheme, Host: to.Host}) }, ModifyResponse: func(r *http.Response) error {
		raw, err := io.ReadAll(r.Body)
		var answer any
		decode := json.NewDecoder(bytes.NewReader(raw))
		decode.UseNumber()
		if h.level.Load() > 0 && err == nil && decode.Decode(&answer) == nil {
			raw, err = json.Marshal(h.spoil(answer))
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
		r.Header.Del("Content-Length")
		return err
	}}
	h.Server = httptest.NewServer(proxy)
	t.Cleanup(h.Close)
	return h
}

// leaves are the commands that do something, by their path.
func leaves(c *cobra.Command) (paths []string) {
	for _, sub := range c.Commands() {
		if sub.Name() != "help" && sub.Name() != "completion" {
			paths = append(paths, leaves(sub)...)
		}
	}
	if c.RunE != nil && !groups(c) {
		paths = append(paths, strings.TrimPrefix(c.CommandPath(), "hikyaku "))
	}
	return paths
}

// Whatever a provider says, no command lets a terminal obey it or hide it.
func TestCommandsShowWhatAProviderHides(t *testing.T) {
	t.Parallel()
	prove.Heavy(t)
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	s, vars, err := newStack(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var pages []*hostilePage
	for name, sandbox := range s.Sandboxes {
		page := newHostilePage(t, s.URLs[name])
		pages = append(pages, page)
		putConnection(t, s, sandbox.Connection(strings.Replace(s.URLs[name], urlHost(t, s.URLs[name]), urlHost(t, page.URL), 1)))
	}
	s.SuperSaaS().AddHook(supersaastest.Hook{Trigger: "M", Target: "https://relay.example\u202e.evil.example/hook"})
	user := s.SuperSaaS().AddUser(map[string]any{"name": "hostile@mail.example", "full_name": hostile, "mobile": hostile})
	dir := t.TempDir()
	dryRun, err := filepath.Abs("../../events/webhookrelayreconcile/dry-run.json")
	if err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "XDG_STATE_HOME="+dir)
	for _, function := range []string{localstack.Export, localstack.Relay, localstack.Reconcile} {
		for name, value := range s.Vars(function) {
			vars[name] = value
		}
	}
	for name, value := range vars {
		env = append(env, name+"="+value)
	}
	mapping := filepath.Join(dir, "mapping.yaml")
	if err := os.WriteFile(mapping, []byte("login_id: email\ncolumn01: full_name\ncolumn02: mobile\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(stdin string, words ...string) string {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		command := program(ctx, words...)
		command.Dir, command.Env, command.Stdin = dir, env, strings.NewReader(stdin)
		out, err := command.CombinedOutput()
		if ctx.Err() != nil {
			t.Errorf("%v does not end: %v", words, err)
		}
		return string(out)
	}
	run("", "tokens", "refresh")
	userID := fmt.Sprint(user)
	s.Yappli().Put(yapplitest.Member{Values: map[string]string{"unique_id": userID, "column01": hostile}})
	run("", "reconcile")
	calls := map[string][][]string{
		"authorize": {{"assisttencho", "--paste"}}, "connect": {{"yappli"}, {"webhook", "--json"}},
		"export": {{"yappli/users", "--to", "lake"}, {"supersaas/users", "--to", "lake", "--json", "--logs"}}, "export plan": {{"yappli/users", "--to", "lake"}},
		"export accept": {{"lake/exports/yappli/users/_doubt.json", "--reason", hostile}},
		"dead":          {{}, {"--json"}}, "doctor": {{"--stack", localstack.Name}, {"--stack", localstack.Name, "--json"}}, "history": {{"--user", userID, "--mapping", mapping}, {"--user", userID, "--mapping", mapping, "--json", "--logs"}},
		"hooks list": {{}, {"--json"}}, "hooks register": {{"--url", "https://relay.example/webhook/"}}, "hooks remove": {{"--url", "https://relay.example/webhook/"}},
		"invoke":     {{"webhookrelayreconcile", "--event", dryRun}},
		"links list": {{}, {"--json"}}, "links show": {{"--user", userID}, {"--user", userID, "--json"}}, "links approve": {{"--user", userID}}, "links reject": {{"--user", userID}},
		"mapping init": {{}, {"--out", "new.yaml"}}, "mapping check": {{mapping, "--user", userID}, {mapping, "--user", userID, "--json"}, {mapping, "--user", userID, "--write"}},
		"mapping put": {{mapping, "--yes", "--why", hostile}, {mapping, "--json"}}, "mapping log": {{}, {"--json"}}, "mapping undo": {{"--yes"}},
		"pause": {{"--stack", localstack.Name}, {"relay", "--for", "1h", "--reason", hostile, "--stack", localstack.Name}, {"--stack", localstack.Name, "--json"}}, "resume": {{"all", "--stack", localstack.Name}},
		"reconcile": {{"--dry-run", "--logs"}, {"--json"}}, "redrive": {{"--logs"}}, "relay release": {{"--mapping", mapping}},
		"runs": {{"yappli/users", "--to", "lake"}}, "tail": {{"--stack", localstack.Name}, {"--stack", localstack.Name, "--json"}}, "trigger": {{"user-changed", "--user", userID, "--stack", localstack.Name}},
		"tokens": {{}, {"--json"}}, "tokens history": {{}, {"--json"}}, "tokens refresh": {{"--force"}, {"--force", "--json", "--logs"}},
		"verify": {{"lake/exports/yappli/users/_manifest.json"}},
	}
	maps.Copy(calls, shopCalls(userID, mapping))
	known := []string{"demo", "dev", "dev env", "function", "init", "sandbox", "version", "console", "mapping schema"} // these ask no provider of anybody
	for path := range calls {
		known = append(known, path)
	}
	if got, want := leaves(newRoot()), known; !slices.Equal(sorted(got), sorted(want)) {
		t.Fatalf("the commands are %q, and this test tries %q", got, want)
	}
	showed := map[string]bool{}
	for _, level := range []int32{1, 2}[:prove.Sample(2, 1)] {
		for _, page := range pages {
			page.level.Store(level)
		}
		for path, ways := range calls {
			for _, words := range ways {
				stdin := map[string]string{"connect": string(s.Sandboxes[providers.Yappli].Connection(pages[0].URL).Document()), "authorize": "https://shop.example/cb?error=" + url.QueryEscape(hostile) + "\n", "mapping check": "yes\n"}[path]
				if slices.Contains(words, "webhook") {
					stdin = ""
				}
				out := run(stdin, append(strings.Fields(path), words...)...)
				if i := strings.IndexFunc(out, func(r rune) bool { return hidden(r) && r != '\n' && r != '\t' }); i >= 0 {
					t.Errorf("%s %q at level %d prints %q", path, words, level, out[max(0, i-60):min(len(out), i+60)])
				}
				if regexp.MustCompile(`(?m)^INJECTED`).MatchString(out) {
					t.Errorf("%s %q at level %d lets a provider begin a line:\n%s", path, words, level, out)
				}
				showed[path] = showed[path] || strings.Contains(out, `\u202e`)
			}
		}
	}
	for _, path := range []string{"compare", "hooks list", "links show", "mapping init", "mapping check", "mapping try", "users get", "users list"} {
		if !showed[path] {
			t.Errorf("%s shows nothing of what the provider says: the test proves nothing of it", path)
		}
	}
}

func urlHost(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}
