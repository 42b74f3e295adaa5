package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/localstack"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/assisttencho/assisttenchotest"
)

// fromStack marks what comes from the stack's address.
const fromStack = "X-From-The-Stack"

// A walledStack is a stack whose providers let in its own address alone.
type walledStack struct {
	*localstack.Stack

	t *testing.T

	mu            sync.Mutex
	saw           bytes.Buffer // payloads, answers and logs of the function
	before, after func() error // of an invocation; an error is the function's
}

// disturb lets something happen before and after the function's work.
func (s *walledStack) disturb(before, after func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before, s.after = before, after
}

func (s *walledStack) disturbance() (before, after func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, after = func() error { return nil }, func() error { return nil }
	if s.before != nil {
		before = s.before
	}
	if s.after != nil {
		after = s.after
	}
	return before, after
}

func (s *walledStack) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saw.Write(b)
}

// RoundTrip sends what the function sends.
func (s *walledStack) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(fromStack, "yes")
	return http.DefaultTransport.RoundTrip(r)
}

// A recorded handler shows the test what goes in and out.
type recorded struct {
	lambda.Handler

	s *walledStack
}

func (r recorded) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	_, _ = r.s.Write(payload)
	before, after := r.s.disturbance()
	if err := before(); err != nil {
		return nil, err
	}
	answer, err := r.Handler.Invoke(ctx, payload)
	_, _ = r.s.Write(answer)
	return answer, errors.Join(err, after())
}

func newWalledStack(t *testing.T) *walledStack {
	t.Helper()
	local, _, err := newStack(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := &walledStack{Stack: local, t: t}
	for name, sandbox := range s.Sandboxes {
		wall := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get(fromStack) == "" {
				http.Error(w, "your address is not registered", http.StatusForbidden)
				return
			}
			sandbox.ServeHTTP(w, r)
		})
		address, err := localstack.Serve(t.Context(), "127.0.0.1:0", wall)
		if err != nil {
			t.Fatal(err)
		}
		s.URLs[name] = address
		putConnection(t, s.Stack, sandbox.Connection(address))
	}
	s.register(localstack.Aliases(localstack.TokenRefresh)...)
	return s
}

// register deploys the function, which calls from the stack's address.
func (s *walledStack) register(aliases ...string) {
	s.t.Helper()
	vars := s.Vars(localstack.TokenRefresh)
	if err := s.AWS.Register(awslocal.Function{
		Name: localstack.TokenRefresh, Aliases: aliases, Env: pairs(vars), Timeout: time.Minute,
		Compose: func(logs io.Writer) (lambda.Handler, error) {
			function, err := refreshfn.New(s.t.Context(), lambdafn.Environ{Vars: vars, Out: io.MultiWriter(s, logs), HTTP: s})
			return recorded{function, s}, err
		},
	}); err != nil {
		s.t.Fatal(err)
	}
}

// hikyaku runs the command for the stack's name, which must exit with the code and say
// the texts.
func (s *walledStack) hikyaku(input string, code int, words string, texts ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	command := program(ctx, append(strings.Fields(words), "--stack", localstack.Name)...)
	command.Env, command.Stdin = s.env(), strings.NewReader(input)
	out, err := command.CombinedOutput()
	if got := command.ProcessState.ExitCode(); got != code {
		s.t.Errorf("%s: exit code %d, want %d: %v\n%s", words, got, code, err, out)
	}
	for _, text := range texts {
		if !strings.Contains(string(out), text) {
			s.t.Errorf("%s: nothing says %q:\n%s", words, text, out)
		}
	}
	s.isClean(string(out))
}

func (s *walledStack) env() []string {
	vars := os.Environ()
	for name, value := range s.Vars(localstack.TokenRefresh) {
		if strings.HasPrefix(name, "AWS_") {
			vars = append(vars, name+"="+value)
		}
	}
	return vars
}

// isClean proves that neither the command nor the function has shown a secret.
func (s *walledStack) isClean(said string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if found := leak(said+s.saw.String(), secretDocuments(s.Stack)); found != "" {
		s.t.Errorf("a secret was shown: %s...", found[:4])
	}
}

func (s *walledStack) labels(provider string) map[string]string {
	s.t.Helper()
	d, err := s.AWS.Secrets.Describe(s.t.Context(), secretstore.Name(localstack.Prefix, provider, secretstore.ConnectionPart))
	if err != nil {
		s.t.Fatal(err)
	}
	labels := map[string]string{}
	for _, v := range d.Versions {
		for _, stage := range v.Stages {
			labels[stage] = v.ID
		}
	}
	return labels
}

// Where a provider lets in the stack's address alone, the function does what the command
// cannot.
func TestRemote_CallsFromTheStacksAddress(t *testing.T) {
	t.Parallel()
	s := newWalledStack(t)
	sound := string(s.SuperSaaS().Connection(s.URLs[providers.SuperSaaS]).Document())
	wrong := strings.Replace(sound, `"api_key":"`, `"api_key":"not-`, 1)

	s.hikyaku(sound, 1, "connect supersaas", "nothing was stored", "add --remote")
	_, before := connectionOf(t, s.Stack, providers.SuperSaaS)
	s.hikyaku(wrong, 1, "connect supersaas --remote", "checking the connection from the stack", "credential not accepted", "the connection is as it was")
	if _, now := connectionOf(t, s.Stack, providers.SuperSaaS); now != before {
		t.Error("a key that the provider refuses was stored")
	}
	s.hikyaku(sound, 0, "connect supersaas --remote --json", `"check":"checked: the provider accepts it"`)
	if _, now := connectionOf(t, s.Stack, providers.SuperSaaS); now == before || s.labels(providers.SuperSaaS)[protocol.Candidate] != "" {
		t.Errorf("labels %v", s.labels(providers.SuperSaaS))
	}

	s.hikyaku("", 1, "tokens refresh yappli --force", "yappli: ")
	s.hikyaku("", 0, "tokens refresh yappli --force --remote --json", `"outcome":"refreshed","reason":"asked for by a person"`)
	s.hikyaku("", 0, "tokens refresh --remote --logs", "supersaas     static", "\nPROVIDER", `"message":"operation done"`)
	s.hikyaku("", 1, "tokens --probe", "supersaas: the provider does not accept what is served", "ask with --remote")
	s.hikyaku("", 0, "tokens --probe --remote --json", `"provider":"supersaas","kind":"static","state":"unknown_expiry"`, `"probe":"works"`)

	assist := s.Sandboxes[providers.AssistTencho].(*assisttenchotest.Server)
	redeemed := assist.Tokens.Redeemed()
	x := begin(t, s.Stack, "assisttencho", "--remote", "--json", "--paste", "--stack", localstack.Name)
	x.paste("https://tool.example/getAuth.php?state=" + x.state() + "&code=" + assist.Authorize())
	x.end(0, `"outcome":"refreshed"`)
	token, err := served(t, s.Stack, providers.AssistTencho)
	if err != nil || !assist.Tokens.Valid(token.Credential.Reveal(), time.Now()) || assist.Tokens.Redeemed() != redeemed+1 {
		t.Errorf("the token served does not work: %v; %d redemptions", err, assist.Tokens.Redeemed()-redeemed)
	}
}

// The first connection of a provider becomes one only when the provider accepts it.
func TestRemote_FirstConnection(t *testing.T) {
	t.Parallel()
	s := newWalledStack(t)
	name := secretstore.Name(localstack.Prefix, providers.SuperSaaS, secretstore.ConnectionPart)
	if err := s.AWS.Secrets.Delete(t.Context(), name, 0); err != nil {
		t.Fatal(err)
	}
	sound := string(s.SuperSaaS().Connection(s.URLs[providers.SuperSaaS]).Document())
	s.hikyaku(strings.Replace(sound, `"api_key":"`, `"api_key":"not-`, 1), 1, "connect supersaas --remote", "credential not accepted")
	s.hikyaku("", 0, "tokens refresh supersaas --remote", "off", "no connection")
	s.hikyaku("", 0, "tokens", "supersaas     -     off")
	s.hikyaku(sound, 0, "connect supersaas --remote", "Stored hikyaku/supersaas/connection (checked: the provider accepts it)")
	s.hikyaku("", 0, "tokens refresh supersaas --remote", "refreshed")
	if connection, _ := connectionOf(t, s.Stack, providers.SuperSaaS); connection.APIKey.Empty() {
		t.Error("the connection is not the one that was entered")
	}
}

// Wherever the function or its answer fails, the command says what is stored, and running
// it again repairs.
func TestRemote_SaysWhatAFailureLeaves(t *testing.T) {
	t.Parallel()
	s := newWalledStack(t)
	sound := string(s.SuperSaaS().Connection(s.URLs[providers.SuperSaaS]).Document())
	dies := func() error { return errors.New("Task timed out") }

	s.disturb(dies, nil)
	s.hikyaku(sound, 1, "connect supersaas --remote", "tokenrefresh:operator failed: Task timed out", "the connection is still the one before. Run the command again")
	s.disturb(nil, dies)
	s.hikyaku(sound, 1, "connect supersaas --remote", "it is stored all the same")
	s.disturb(nil, nil)
	s.hikyaku(sound, 0, "connect supersaas --remote", "Stored")

	// Somebody else changes the connection while it is tried.
	s.disturb(func() error {
		putConnection(t, s.Stack, s.SuperSaaS().Connection(s.URLs[providers.SuperSaaS]))
		return nil
	}, nil)
	s.hikyaku(sound, 1, "connect supersaas --remote", "somebody else has changed the connection meanwhile")

	// A code whose answer is lost was sent once, and the next tick finds nothing to do.
	assist := s.Sandboxes[providers.AssistTencho].(*assisttenchotest.Server)
	s.disturb(nil, dies)
	x := begin(t, s.Stack, "assisttencho", "--remote", "--paste", "--stack", localstack.Name)
	x.paste("https://tool.example/getAuth.php?state=" + x.state() + "&code=" + assist.Authorize())
	x.end(1, "it is stored all the same", "before you run this again")
	s.disturb(nil, nil)
	s.hikyaku("", 0, "tokens refresh assisttencho --remote", "fresh")
	if n := assist.Tokens.Redeemed(); n != 1 {
		t.Errorf("%d redemptions", n)
	}

	// A stack of an older version, and words that contradict each other.
	s.register(localstack.Readers)
	s.hikyaku("", 1, "tokens --probe --remote", "there is no tokenrefresh:operator", "deploy it again")
	s.hikyaku("", 2, "connect supersaas --remote --unchecked", "give one of the two")
	s.hikyaku("", 2, "connect webhook --remote", "no provider is asked")
	s.hikyaku("", 2, "tokens --remote", "--remote needs --probe")
	for _, words := range [][]string{{"connect", "yappli"}, {"authorize", "shopline"}, {"tokens", "refresh"}, {"tokens", "--probe"}} {
		command := program(t.Context(), append(words, "--remote", "--prefix", localstack.Prefix)...)
		command.Env = s.env()
		if out, _ := command.CombinedOutput(); command.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), "name its stack with --stack NAME") {
			t.Errorf("%v without a stack: %s", words, out)
		}
	}
}

// A person whose key the provider refuses from the stack's address is asked for the key
// again, and only for that.
func TestRemote_AsksAgainWhatTheProviderRefused(t *testing.T) {
	t.Parallel()
	s := newWalledStack(t)
	e := lambdafn.Environ{Vars: s.Vars(localstack.TokenRefresh), Out: io.Discard}
	base, err := clibase.Open(e)
	if err != nil {
		t.Fatal(err)
	}
	found, err := clibase.FindStack(t.Context(), base.AWS, localstack.Name)
	if err != nil {
		t.Fatal(err)
	}
	key := s.SuperSaaS().Connection("").APIKey.Reveal()
	var prompt, notes strings.Builder
	n := &newConnection{base: base, provider: providers.SuperSaaS, notes: &notes, remote: &remote{stack: found}}
	p := &person{answers: []string{"", "", "not-the-key", "", key}} // address, account, key; then account and key
	connection, _, checked, err := n.ask(t.Context(), interview{terminal: p, prompt: &prompt, now: base.Now})
	if err != nil || len(p.answers) > 0 || checked != "checked: the provider accepts it" || connection.APIKey.Reveal() != key {
		t.Fatalf("%q, %v, answers left %d\n%s", checked, err, len(p.answers), prompt.String())
	}
	if _, now := connectionOf(t, s.Stack, providers.SuperSaaS); now != n.version {
		t.Errorf("version %s is stored, not %s", now, n.version)
	}
	if !strings.Contains(notes.String(), "api_key changes.") || !strings.Contains(prompt.String(), "credential not accepted") {
		t.Errorf("notes %s\nprompt %s", notes.String(), prompt.String())
	}
	s.isClean(notes.String() + prompt.String())
}

// An answer that says nothing is not taken for one that all is well: a function of another
// version may answer whatever it likes.
func TestRemote_TakesNoOtherAnswer(t *testing.T) {
	t.Parallel()
	s := newWalledStack(t)
	if err := s.AWS.Register(awslocal.Function{
		Name: localstack.TokenRefresh, Aliases: localstack.Aliases(localstack.TokenRefresh), Env: pairs(s.Vars(localstack.TokenRefresh)), Timeout: time.Minute,
		Compose: func(io.Writer) (lambda.Handler, error) {
			return lambda.NewHandler(func() (map[string]string, error) { return map[string]string{"errorMessage": "sorry"}, nil }), nil
		},
	}); err != nil {
		t.Fatal(err)
	}
	sound := string(s.SuperSaaS().Connection(s.URLs[providers.SuperSaaS]).Document())
	const says = "the function's answer is not of this version"
	s.hikyaku(sound, 1, "connect supersaas --remote", says, "the connection is still the one before")
	s.hikyaku("", 1, "tokens refresh --remote", says)
	s.hikyaku("", 1, "tokens --probe --remote", says)
}
