package refreshfn_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/localstack"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/actibook/actibooktest"
	"hikyaku/pkg/providers/sandbox"
)

const (
	events        = "../../../events/tokenrefresh"
	rotationAlias = localstack.TokenRefresh + ":" + localstack.Rotation
)

// A stack is the function over a local AWS and five sandboxes, on sockets.
type stack struct {
	*localstack.Stack

	t        *testing.T
	function *refreshfn.Function
	mu       sync.Mutex
	out      bytes.Buffer // logs and measurements
}

func (s *stack) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(b)
}

func (s *stack) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()
}

func newStack(t *testing.T) *stack {
	t.Helper()
	local, err := localstack.Start(t.Context(), localstack.Options{Sandbox: sandbox.Options{Records: 3, Rate: -1}})
	if err != nil {
		t.Fatal(err)
	}
	s := &stack{Stack: local, t: t}
	s.function, err = refreshfn.New(t.Context(), lambdafn.Environ{Vars: local.Vars(localstack.TokenRefresh), Out: s})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// invoke feeds a file of events/tokenrefresh to the function.
func (s *stack) invoke(file string) (string, error) {
	s.t.Helper()
	payload, err := os.ReadFile(filepath.Join(events, file))
	if err != nil {
		s.t.Fatal(err)
	}
	alias := localstack.Readers
	switch {
	case strings.Contains(file, "rotation-"):
		alias = localstack.Rotation
	case strings.HasPrefix(file, "schedule"):
		alias = localstack.Schedule
	case strings.HasPrefix(file, "watch"):
		alias = localstack.Watch
	}
	return s.ask(alias, string(payload))
}

// force is a person who replaces a credential on the command line.
func (s *stack) force(provider string) (string, error) {
	report, err := s.function.Refresher().Run(s.t.Context(), tokenrefresh.Request{Provider: provider, Force: true})
	answer, _ := json.Marshal(report)
	return string(answer), err
}

// outcomes reads an answer as a report: "yappli refreshed, ...".
func (s *stack) outcomes(answer string, err error) string {
	s.t.Helper()
	var report tokenrefresh.Report
	if err != nil || json.Unmarshal([]byte(answer), &report) != nil {
		s.t.Fatalf("answer %s, error %v", answer, err)
	}
	var list []string
	for _, r := range report.Results {
		list = append(list, r.Provider+" "+string(r.Outcome))
	}
	return strings.Join(list, ", ")
}

func (s *stack) token(provider string) providers.Token {
	s.t.Helper()
	value, err := s.AWS.Secrets.Get(s.t.Context(), secretstore.Name(localstack.Prefix, provider, secretstore.TokenPart), secretstore.Current)
	if err != nil {
		s.t.Fatal(err)
	}
	token, err := providers.ParseToken(value.Data)
	if err != nil {
		s.t.Fatal(err)
	}
	token.Version = value.ID
	return token
}

// works asks a provider whether what is served works.
func (s *stack) works(provider string) {
	s.t.Helper()
	token := s.token(provider)
	if err := refreshfn.Authorities(nil)[provider].Probe(s.t.Context(), providers.Connection{Account: token.Account}, token); err != nil {
		s.t.Errorf("%s: the served token does not work: %v", provider, err)
	}
}

const all = "assisttencho %[1]s, yappli %[1]s, shopline %[1]s, actibook %[1]s, supersaas %[2]s"

// files says what each event file must do.
var files = map[string]func(s *stack, file string){
	"schedule.json": func(s *stack, file string) {
		if got, want := s.outcomes(s.invoke(file)), fmt.Sprintf(all, "refreshed", "refreshed"); got != want {
			s.t.Errorf("outcomes %q, want %q", got, want)
		}
		for _, provider := range providers.Names() {
			s.works(provider)
		}
		if got, want := s.outcomes(s.invoke(file)), fmt.Sprintf(all, "resting", "resting"); got != want {
			s.t.Errorf("outcomes the second time %q, want %q", got, want)
		}
	},
	"scheduler.json": func(s *stack, file string) {
		if got, want := s.outcomes(s.invoke(file)), fmt.Sprintf(all, "refreshed", "refreshed"); got != want {
			s.t.Errorf("outcomes %q, want %q", got, want)
		}
	},
	"watch-pauses.json": func(s *stack, file string) {
		if answer, err := s.invoke(file); err != nil || answer != `{"paused":[],"overdue":[]}` {
			s.t.Errorf("answer %s, %v", answer, err)
		}
	},
	"request.json": func(s *stack, file string) {
		for _, want := range []string{"actibook refreshed", "actibook fresh"} {
			if got := s.outcomes(s.invoke(file)); got != want {
				s.t.Errorf("outcomes %q, want %q", got, want)
			}
		}
		if n := s.Sandboxes[providers.ActiBook].(*actibooktest.Server).Tokens.Issued(); n != 1 {
			s.t.Errorf("%d tokens issued", n)
		}
	},
	"rejected.json": func(s *stack, file string) {
		const version = "hikyaku-00000000-0000-4000-8000-000000000000"
		document := s.Yappli().Token(s.URLs[providers.Yappli]).Document()
		s.must(s.AWS.Secrets.Create(s.t.Context(), localstack.Prefix+"/yappli/token", version, document))
		if got := s.outcomes(s.invoke(file)); got != "yappli refreshed" || s.token(providers.Yappli).Version == version {
			s.t.Errorf("outcomes %q, version %s", got, s.token(providers.Yappli).Version)
		}
		if got := s.outcomes(s.invoke(file)); got != "yappli replaced" {
			s.t.Errorf("outcomes the second time %q", got)
		}
	},
	"rotation-create.json": rotationSteps(1),
	"rotation-set.json":    rotationSteps(2),
	"rotation-test.json":   rotationSteps(3),
	"rotation-finish.json": rotationSteps(4),

	"error-no-provider.json":      refused("of another kind", "expected a schedule", `"aws.scheduler"`, `"rejected_version"`, `"ClientRequestToken"`),
	"error-queue-event.json":      refused("of another kind", "expected a schedule"),
	"error-not-an-object.json":    refused("not a JSON object", "expected a schedule"),
	"error-unknown-provider.json": refused("unknown provider", "assisttencho yappli shopline actibook supersaas"),
	"error-rotation-static.json": func(s *stack, file string) {
		refused("rotation of hikyaku/supersaas/token: ", "")(s, file)
		s.outcomes(s.invoke("schedule.json"))
		_, err := s.AWS.Secrets.Rotate(s.t.Context(), localstack.Prefix+"/supersaas/token", "5f0c0c1e-6a43-4f0e-9d59-000000000002", rotationAlias)
		s.must(err)
		refused("rotation of hikyaku/supersaas/token", "disable its rotation")(s, file)
	},
	"error-force.json": refused("must not force", "hikyaku tokens refresh PROVIDER --force"),
}

func (s *stack) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// rotationSteps feeds the first n steps of a rotation, the last one twice.
func rotationSteps(n int) func(*stack, string) {
	return func(s *stack, _ string) {
		const version = "5f0c0c1e-6a43-4f0e-9d59-000000000001"
		s.outcomes(s.invoke("schedule.json"))
		before := s.token(providers.Yappli).Version
		_, err := s.AWS.Secrets.Rotate(s.t.Context(), localstack.Prefix+"/yappli/token", version, rotationAlias)
		s.must(err)
		steps := []string{"rotation-create.json", "rotation-set.json", "rotation-test.json", "rotation-finish.json"}[:n]
		for _, step := range append(steps, steps[n-1]) {
			if answer, err := s.invoke(step); err != nil || answer != "null" {
				s.t.Errorf("%s: %s, %v", step, answer, err)
			}
		}
		want := before
		if n == 4 {
			want = version
		}
		if got := s.token(providers.Yappli).Version; got != want || s.Yappli().Count("POST /api/ext/token") != 2 {
			s.t.Errorf("version %s is served, want %s", got, want)
		}
		s.works(providers.Yappli)
	}
}

// refused expects an error that names what was expected, and nothing written.
func refused(texts ...string) func(*stack, string) {
	return func(s *stack, file string) {
		before := len(s.AWS.Secrets.Entries())
		answer, err := s.invoke(file)
		if err == nil {
			s.t.Fatalf("answer %s, want an error", answer)
		}
		for _, text := range texts {
			if !strings.Contains(err.Error(), text) {
				s.t.Errorf("error %q does not say %q", err, text)
			}
		}
		if after := len(s.AWS.Secrets.Entries()); after != before || len(s.AWS.Events()) != 0 {
			s.t.Errorf("%d secrets, were %d; events %v", after, before, s.AWS.Events())
		}
	}
}

func TestInvoke_EveryEventFile(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(events)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if known := slices.Sorted(maps.Keys(files)); !slices.Equal(names, known) {
		t.Fatalf("files %v, tested %v", names, known)
	}
	for name, test := range files {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(newStack(t), name)
		})
	}
}

func TestInvoke_OtherShapesAreRefused(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	for _, payload := range []string{
		`{}`, `null`, `{"source":"aws.s3"}`, `{"Step":"createSecret","SecretId":"a"}`, `{"provider":"yappli","Records":[{}]}`, `{"provider":7}`, `"text"`, ``,
	} {
		if answer, err := s.function.Invoke(t.Context(), []byte(payload)); err == nil || !strings.Contains(err.Error(), "expected a schedule") {
			t.Errorf("%q: answer %s, error %v", payload, answer, err)
		}
	}
}

// The service names a secret by an ARN that ends in a dash and six characters
// of its own; a name may end so by itself.
func TestInvoke_RotationByARNOrName(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	for id, name := range map[string]string{
		"arn:aws:secretsmanager:ap-northeast-1:000000000000:secret:other/x-a1b2c3": "other/x",
		"arn:aws:secretsmanager:ap-northeast-1:000000000000:secret:other/x":        "other/x",
		"other/x-a1b2c3": "other/x-a1b2c3", "-a1b2c3": "-a1b2c3",
		"arn:aws:secretsmanager:ap-northeast-1:000000000000:secret:-a1b2c3": "-a1b2c3",
	} {
		payload, err := json.Marshal(map[string]string{"SecretId": id, "ClientRequestToken": "t", "Step": "createSecret"})
		s.must(err)
		if _, err := s.ask(localstack.Rotation, string(payload)); err == nil || !strings.HasPrefix(err.Error(), "rotation of "+name+": ") {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// A scheduled run fails if another soon may repair a credential, and only then:
// Lambda tries an asynchronous invocation again.
func TestInvoke_AScheduleFailsWhatIsToBeTriedAgain(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.Yappli().Inject(sandbox.Fault{Kind: sandbox.ServerFail, Route: "POST /api/ext/token"})
	answer, err := s.invoke("schedule.json")
	if err == nil || !strings.Contains(err.Error(), "to be tried again: yappli;") {
		t.Errorf("answer %s, error %v", answer, err)
	}
	s.works(providers.SuperSaaS)
	if answer, err := s.function.Invoke(t.Context(), []byte(`{"provider":"yappli"}`)); err != nil || !strings.Contains(string(answer), "cooling") {
		t.Errorf("a request: %s, %v", answer, err)
	}
}

func TestInvoke_TellsPeopleOnTheBus(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	right, wrong := s.connection(providers.Yappli), s.connection(providers.Yappli)
	wrong.ClientSecrets = []providers.Secret{providers.NewSecret("wrong")}
	s.connect(wrong)
	if got := s.outcomes(s.invoke("schedule.json")); !strings.Contains(got, "yappli refused") {
		t.Errorf("outcomes %q", got)
	}
	s.connect(right)
	s.outcomes(s.invoke("schedule.json"))
	sent := s.AWS.Events()
	if len(sent) != 2 {
		t.Fatalf("events %+v", sent)
	}
	for i, kind := range []string{"needs_human", "recovered"} {
		var detail struct {
			tokenrefresh.Event

			Prefix, Stack string
		}
		s.must(json.Unmarshal(sent[i].Detail, &detail))
		if detail.Prefix != localstack.Prefix || !strings.Contains(string(sent[i].Detail), `"stack":""`) {
			t.Errorf("the detail %s does not say whose it is", sent[i].Detail)
		}
		if e := sent[i]; e.Bus != "default" || e.Source != "hikyaku.tokenrefresh" || e.DetailType != "credential "+kind ||
			detail.Type != kind || detail.Provider != providers.Yappli || detail.Reason == "" || (detail.Steps == "") != (kind == "recovered") {
			t.Errorf("event %+v, detail %+v", e, detail)
		}
	}
	// A bus that fails does not lose the event.
	s.connect(wrong)
	s.AWS.Inject(sandbox.Fault{Route: "events.PutEvents", Kind: sandbox.ServerFail, Times: -1})
	answer, err := s.function.Invoke(t.Context(), []byte(`{"provider":"yappli"}`)) // a tick would rest
	if got := s.outcomes(string(answer), err); got != "yappli refused" {
		t.Errorf("outcomes %q", got)
	}
	s.AWS.ClearFaults()
	s.outcomes(s.invoke("schedule.json"))
	if n := len(s.AWS.Events()); n != 3 {
		t.Errorf("%d events", n)
	}
}

func (s *stack) connection(provider string) providers.Connection {
	return s.Sandboxes[provider].Connection(s.URLs[provider])
}

func (s *stack) connect(c providers.Connection) {
	s.t.Helper()
	id := fmt.Sprintf("%032d", time.Now().UnixNano())
	s.must(s.AWS.Secrets.Put(s.t.Context(), secretstore.Name(localstack.Prefix, c.Provider, secretstore.ConnectionPart), id, c.Document(), secretstore.Current))
}

// TestNothingSecretLeaves plants no canaries: every secret of every connection
// and token is one. They are looked for, in several forms, in whatever the
// function logs, measures, answers or sends, successes and failures alike.
func TestNothingSecretLeaves(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	var said strings.Builder
	var saying sync.Mutex
	say := func(answer string, err error) {
		saying.Lock()
		defer saying.Unlock()
		_, _ = fmt.Fprintln(&said, answer, err)
	}
	say(s.invoke("schedule.json"))
	var all sync.WaitGroup
	for _, provider := range providers.Names() {
		all.Go(func() {
			for _, kind := range []sandbox.FaultKind{sandbox.Garbage, sandbox.Denied, sandbox.Reset, sandbox.BadGateway} {
				if b, ok := s.Sandboxes[provider].(interface{ Inject(...sandbox.Fault) }); ok {
					b.Inject(sandbox.Fault{Kind: kind})
				}
				say(s.force(provider))
			}
		})
	}
	all.Wait()
	for file := range files {
		say(s.invoke(file))
	}
	s.connect(providers.Connection{Provider: providers.Yappli, Kind: "client_credentials", BaseURL: "http://user:canary-url-secret@192.0.2.1", ClientSecrets: []providers.Secret{providers.NewSecret("canary-client-secret")}})
	say(s.invoke("schedule.json"))
	for _, e := range s.AWS.Events() {
		said.Write(e.Detail)
	}
	said.WriteString(s.logged())

	secrets := []string{"canary-url-secret", "canary-client-secret"}
	for _, provider := range providers.Names() {
		c, token := s.connection(provider), s.token(provider)
		secrets = append(secrets, c.APIKey.Reveal(), c.Code.Reveal(), token.Credential.Reveal())
		for _, secret := range c.ClientSecrets {
			secrets = append(secrets, secret.Reveal())
		}
	}
	searched := 0
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		searched++
		for _, form := range []string{
			secret, url.QueryEscape(secret), hex.EncodeToString([]byte(secret)), base64.RawStdEncoding.EncodeToString([]byte(secret))[:len(secret)],
		} {
			if strings.Contains(said.String(), form) {
				t.Errorf("a secret (number %d) was shown", searched)
			}
		}
	}
	if searched < 10 || !strings.Contains(said.String(), "RefreshOutcome") || !strings.Contains(said.String(), "credential looked at") {
		t.Errorf("%d secrets searched in %d bytes", searched, said.Len())
	}
}

func TestNew_ListsEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	_, err := refreshfn.New(t.Context(), lambdafn.Environ{Vars: map[string]string{
		"HIKYAKU_PREFIX": "/shop/", "HIKYAKU_ALLOW_HOSTS": "127.0.0.1", "HIKYAKU_LOG_LEVEL": "LOUD", "AWS_REGION": "",
		"HIKYAKU_REFRESH_WINDOW": "22-06",
	}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{"HIKYAKU_PREFIX", "HIKYAKU_BUCKET", "HIKYAKU_ALLOW_HOSTS", "HIKYAKU_LOG_LEVEL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", `HIKYAKU_REFRESH_WINDOW: "22-06"`} {
		if strings.Count(err.Error(), name) < 1 {
			t.Errorf("%s is missing in: %v", name, err)
		}
	}
	if !strings.Contains(err.Error(), "the settings have 8 faults") {
		t.Errorf("error %v", err)
	}
}

// A token that is due waits for the window.
func TestInvoke_WaitsForTheWindow(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	began, vars, after := time.Now().UTC(), s.Vars(localstack.TokenRefresh), time.Duration(0)
	vars["HIKYAKU_REFRESH_WINDOW"] = began.Add(14*time.Hour).Format("15:04-") + began.Add(16*time.Hour).Format("15:04 UTC")
	var err error
	s.function, err = refreshfn.New(t.Context(), lambdafn.Environ{Vars: vars, Out: s, Now: func() time.Time { return began.Add(after) }})
	s.must(err)
	for _, c := range []struct {
		after time.Duration
		want  string
	}{{0, "yappli refreshed"}, {13 * time.Hour, "yappli fresh"}, {15 * time.Hour, "yappli refreshed"}} {
		after = c.after
		answer, err := s.function.Invoke(t.Context(), []byte(`{"provider":"yappli"}`))
		if got := s.outcomes(string(answer), err); got != c.want {
			t.Errorf("after %v: %s, want %s", c.after, got, c.want)
		}
	}
}

// New makes no network call: there is nothing at this endpoint.
func TestNew_NeedsNoNetwork(t *testing.T) {
	t.Parallel()
	function, err := refreshfn.New(t.Context(), lambdafn.Environ{Vars: map[string]string{
		"HIKYAKU_PREFIX": "shop", "HIKYAKU_BUCKET": "b", "AWS_REGION": "ap-northeast-1", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s",
		"AWS_ENDPOINT_URL": "http://127.0.0.1:9",
	}, Out: &bytes.Buffer{}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := function.Invoke(ctx, []byte(`{"source":"aws.events"}`)); err == nil || !strings.Contains(err.Error(), "to be tried again") {
		t.Errorf("an AWS that is down: %v", err)
	}
}
