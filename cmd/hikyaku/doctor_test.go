package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/uuid"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/doctor"
	"hikyaku/internal/export"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/lease"
	"hikyaku/internal/localstack"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/internal/webhookrelay/state"
	"hikyaku/pkg/providers"
)

// A patient is a stack that doctor examines, in this process.
type patient struct {
	*testing.T

	ctx     context.Context
	stack   *localstack.Stack
	front   *front
	before  map[string]*front // the providers
	base    *lambdafn.Base
	mapping string // file of the one that was published
	well    awslocal.Stack
	vars    map[string]map[string]string // of the functions that were set otherwise
	runs    *int                         // exports so far
}

// soon is a scheduled time of its own: runs are named by the second.
func (p *patient) soon() string {
	*p.runs++
	return time.Now().Add(time.Duration(*p.runs) * time.Second).UTC().Format(time.RFC3339)
}

// A front stands before a server: it refuses what it is told to, and shows another time.
type front struct {
	server  *httptest.Server
	denied  func(r *http.Request, body string) bool // in AWS's words
	forbids bool                                    // everybody, with 403
	ahead   time.Duration
}

func (f *front) before(t *testing.T, server string) string {
	t.Helper()
	to, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		ErrorLog: log.New(io.Discard, "", 0), // a command that is stopped leaves its calls
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: func(r *http.Response) error {
			r.Header.Set("Date", time.Now().Add(f.ahead).UTC().Format(http.TimeFormat))
			return nil
		},
	}
	f.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if f.forbids {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		if f.denied != nil && f.denied(r, string(body)) {
			answer, media := `{"__type":"AccessDeniedException","message":"You are not authorized to perform this"}`, "application/x-amz-json-1.1"
			switch {
			case r.Method == http.MethodGet: // of S3
				answer, media = `<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>`, "application/xml"
			case r.Header.Get("X-Amz-Target") == "":
				answer, media = `<ErrorResponse><Error><Code>AccessDenied</Code><Message>You are not authorized to perform this</Message></Error></ErrorResponse>`, "text/xml"
			}
			w.Header().Set("Content-Type", media)
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, answer)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(f.server.Close)
	return f.server.URL
}

// newPatient is a stack of which everything is well.
func newPatient(t *testing.T) *patient {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	s, vars, err := newStack(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s.Webhook = "https://hooks.example/webhook/" // only such an address is registered
	p := &patient{T: t, ctx: ctx, stack: s, front: &front{}, before: map[string]*front{}, runs: new(int), well: s.AWS.Told.Described(localstack.Name), mapping: filepath.Join(t.TempDir(), "mapping.yaml")}
	vars["AWS_ENDPOINT_URL"] = p.front.before(t, s.AWS.URL)
	for name, value := range vars {
		t.Setenv(name, value)
	}
	for name := range s.Sandboxes {
		p.before[name] = new(front)
		s.URLs[name] = p.before[name].before(t, s.URLs[name])
		p.store(secretOf(name, secretstore.ConnectionPart), p.connections(name))
	}
	p.deploy()
	direct := lambdafn.OSEnviron()
	direct.Vars["AWS_ENDPOINT_URL"] = s.AWS.URL // the test itself is refused nothing
	p.base, err = clibase.Open(direct)
	p.ok(err)
	p.ok(os.WriteFile(p.mapping, []byte("login_id: email\ncolumn01: full_name\n"), 0o600))
	for _, command := range [][]string{{"tokens", "refresh"}, {"mapping", "put", p.mapping, "--yes"}, {"hooks", "register"}, {"reconcile"}} {
		p.must(command...)
	}
	p.relayed()
	for _, d := range export.DatasetNames() {
		p.must("export", d, "--at", p.soon())
	}
	return p
}

func (p *patient) ok(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// run runs a command as a person does, and returns what it prints.
func (p *patient) run(in string, a ...string) (stdout string, err error) {
	p.Helper()
	var out, notes bytes.Buffer
	root := newRoot()
	root.SetIn(strings.NewReader(in))
	root.SetOut(&out)
	root.SetErr(&notes)
	root.SetArgs(a)
	err = root.ExecuteContext(p.ctx)
	// A process would end with its connections: of hundreds in this one too many stay.
	p.front.server.CloseClientConnections()
	for _, f := range p.before {
		f.server.CloseClientConnections()
	}
	if err != nil {
		err = errors.Join(err, errors.New(strings.Join(a, " ")+"\n"+out.String()+notes.String()))
	}
	return out.String(), err
}

func (p *patient) must(a ...string) {
	p.Helper()
	_, err := p.run("", append(a, "--stack", localstack.Name)...)
	p.ok(err)
}

// examine runs doctor.
func (p *patient) examine() (r doctorReport, code int) {
	p.Helper()
	out, err := p.run("", "doctor", "--stack", localstack.Name, "--json")
	if found, ok := errors.AsType[*foundError](err); ok {
		code, err = found.code(), nil
	}
	p.ok(err)
	if found := leak(out, secretDocuments(p.stack)); found != "" {
		p.Errorf("the output holds the secret %s...: %s", found[:4], out)
	}
	p.ok(json.Unmarshal([]byte(out), &r))
	return r, code
}

// deploy lets CloudFormation and Lambda tell of the stack as it is set.
func (p *patient) deploy() {
	p.Helper()
	for _, name := range localstack.Functions() {
		vars := p.stack.Vars(name)
		maps.Copy(vars, p.vars[name])
		p.ok(p.stack.AWS.Register(awslocal.Function{
			Name: name, Aliases: localstack.Aliases(name), Env: pairs(vars), Timeout: localstack.Timeout(name),
			Compose: func(logs io.Writer) (lambda.Handler, error) {
				return compose(p.ctx, name, lambdafn.Environ{Vars: vars, Out: logs})
			},
		}))
	}
}

// set gives functions another variable, and the stack the parameter that says so.
func (p *patient) set(parameter, variable, value string, functions ...string) {
	p.Helper()
	p.vars = map[string]map[string]string{}
	for _, name := range functions {
		p.vars[name] = map[string]string{variable: value}
	}
	p.deploy()
	if parameter != "" {
		p.described(func(s *awslocal.Stack) { s.Parameters[parameter] = value })
	}
}

// described changes what CloudFormation tells.
func (p *patient) described(change func(*awslocal.Stack)) {
	s := p.well
	s.Parameters, s.Outputs, s.Resources = maps.Clone(s.Parameters), maps.Clone(s.Outputs), slices.Clone(s.Resources)
	change(&s)
	p.stack.AWS.Describe(s)
}

// redeploy is what sam deploy does with the shop's own file: all is as it was.
func (p *patient) redeploy(doctor.Finding) {
	p.vars = nil
	p.deploy()
	p.stack.AWS.Describe(p.well)
}

func secretOf(provider, part string) string {
	return secretstore.Name(localstack.Prefix, provider, part)
}

// store makes a new version of a secret, or the secret.
func (p *patient) store(name string, document []byte) {
	p.Helper()
	err := p.stack.AWS.Secrets.Put(p.ctx, name, uuid.NewString(), document, secretstore.Current)
	if errors.Is(err, secretstore.ErrNotFound) {
		err = p.stack.AWS.Secrets.Create(p.ctx, name, uuid.NewString(), document)
	}
	p.ok(err)
}

// token changes the token that is served.
func (p *patient) token(provider string, change func(*providers.Token)) {
	p.Helper()
	value, err := p.base.Secrets.Get(p.ctx, secretOf(provider, secretstore.TokenPart), secretstore.Current)
	p.ok(err)
	token, err := providers.ParseToken(value.Data)
	p.ok(err)
	change(&token)
	p.store(secretOf(provider, secretstore.TokenPart), token.Document())
}

// connection changes the document of a connection.
func (p *patient) connection(provider string, change func(map[string]any)) {
	p.Helper()
	document := map[string]any{}
	p.ok(json.Unmarshal(p.connections(provider), &document))
	change(document)
	raw, err := json.Marshal(document)
	p.ok(err)
	p.store(secretOf(provider, secretstore.ConnectionPart), raw)
}

// connections is what a person knows of a provider.
func (p *patient) connections(provider string) []byte {
	return p.stack.Sandboxes[provider].Connection(p.stack.URLs[provider]).Document()
}

// journal changes what the last run left.
func (p *patient) journal(provider string, change func(*protocol.Journal)) {
	p.Helper()
	l, err := lease.Acquire(p.ctx, p.base.Objects, localstack.Prefix+"/state/tokens/"+provider, "test", time.Minute, time.Now)
	p.ok(err)
	j, err := protocol.ParseJournal(l.Journal)
	p.ok(err)
	change(&j)
	p.ok(l.Release(p.ctx, j.Document()))
}

// state is the relay's.
func (p *patient) state() state.State {
	p.Helper()
	for _, key := range p.keys("state/relay/") {
		if root, found := strings.CutSuffix(key, "index"); found {
			return state.New(p.base.Objects, root)
		}
	}
	p.Fatal("the relay has no state")
	return state.State{}
}

// keys lists what lies below the stack's prefix.
func (p *patient) keys(below string) (keys []string) {
	p.Helper()
	for info, err := range p.base.Objects.List(p.ctx, localstack.Prefix+"/"+below, "") {
		p.ok(err)
		keys = append(keys, info.Key)
	}
	return keys
}

func (p *patient) remove(keys ...string) {
	p.Helper()
	for _, key := range keys {
		p.ok(p.base.Objects.Delete(p.ctx, key))
	}
}

func (p *patient) write(key string, content []byte) {
	p.Helper()
	_, err := p.base.Objects.Put(p.ctx, objectstore.Object{Key: key, Body: bytes.NewReader(content), Size: int64(len(content))})
	p.ok(err)
}

func (p *patient) read(key string) []byte {
	p.Helper()
	_, body, err := p.base.Objects.Get(p.ctx, key)
	p.ok(err)
	raw, err := io.ReadAll(body)
	p.ok(err)
	return raw
}

// change rewrites a field of a JSON object; one of hikyaku's documents holds it as data.
func (p *patient) change(key, field string, value any) {
	p.Helper()
	document := map[string]any{}
	p.ok(json.Unmarshal(p.read(key), &document))
	inner := document
	if data, ok := document["data"].(map[string]any); ok {
		inner = data
	}
	inner[field] = value
	raw, err := json.Marshal(document)
	p.ok(err)
	p.write(key, raw)
}

// newest is the manifest of the newest published run.
func (p *patient) newest(dataset string) (key string) {
	p.Helper()
	for _, k := range p.keys("exports/" + dataset + "/") {
		if strings.HasSuffix(k, "/_manifest.json") {
			key = k
		}
	}
	return key
}

// hide lets somebody look at the dead letters, so that nobody else sees them for a second.
func (p *patient) hide() {
	p.Helper()
	url := p.stack.Vars(localstack.Relay)["HIKYAKU_DEAD_LETTER_QUEUE_URL"]
	got, err := sqs.NewFromConfig(p.base.AWS).ReceiveMessage(p.ctx, &sqs.ReceiveMessageInput{QueueUrl: &url, VisibilityTimeout: 1})
	p.ok(err)
	if len(got.Messages) != 1 {
		p.Fatalf("%d messages", len(got.Messages))
	}
}

// watching switches the schedule that looks at the pauses.
func (p *patient) watching(on bool) {
	p.Helper()
	stack, err := clibase.FindStack(p.ctx, p.base.AWS, localstack.Name)
	p.ok(err)
	schedule, err := stack.Schedule(localstack.Pauses)
	p.ok(err)
	p.ok(schedule.Enable(p.ctx, on))
}
