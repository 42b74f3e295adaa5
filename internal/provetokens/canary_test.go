package provetokens

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/google/uuid"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/exportfn"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/lambdafn/relayfn"
	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/actibook/actibooktest"
	"hikyaku/pkg/providers/assisttencho/assisttenchotest"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline/shoplinetest"
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// plantPerson lets a person with the planted data into every provider.
func plantPerson(t *testing.T, boxes map[string]localstack.Sandbox) (user int64) {
	t.Helper()
	page := boxes[providers.SuperSaaS].(*supersaastest.Server) //nolint:forcetypeassert // NewSandbox made it
	user = page.Quiet().AddUser(map[string]any{
		"name": person["email"], "email": person["email"], "full_name": person["name"], "mobile": person["phone"], "address": person["address"],
	})
	app := boxes[providers.Yappli].(*yapplitest.Server) //nolint:forcetypeassert // as above
	app.Put(yapplitest.Member{Values: map[string]string{"unique_id": "canary-7", "column01": person["name"], "column02": person["email"], "column03": person["phone"]}})
	shop := boxes[providers.SHOPLINE].(*shoplinetest.Server) //nolint:forcetypeassert // as above
	var dump struct {
		Customers []struct {
			ID string `json:"id"`
		} `json:"customers"`
	}
	var b bytes.Buffer
	if err := shop.Dump(&b); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b.Bytes(), &dump); err != nil || len(dump.Customers) == 0 {
		t.Fatalf("no customers in the sandbox: %v", err)
	}
	if err := shop.UpdateCustomer(dump.Customers[0].ID, map[string]any{"name": person["name"], "email": person["email"], "mobile_phone": person["phone"]}); err != nil {
		t.Fatal(err)
	}
	orders := boxes[providers.AssistTencho].(*assisttenchotest.Server) //nolint:forcetypeassert // as above
	orders.Insert(map[string]any{"customer_name": person["name"], "mail": person["email"], "tel": person["phone"], "address": person["address"]})
	return user
}

// hook is a webhook that carries the planted person.
func hook(t *testing.T, user int64) []byte {
	t.Helper()
	var event map[string]any
	if err := json.Unmarshal(eventFile(t, "webhookrelayingest/user-change.json"), &event); err != nil {
		t.Fatal(err)
	}
	body, _ := json.Marshal(map[string]any{
		"id": user, "event": "change", "name": person["email"], "email": person["email"], "full_name": person["name"], "mobile": person["phone"], "address": person["address"],
	})
	event["body"] = string(body)
	b, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// An outlet is everything that one set-up of the functions let out.
type outlet struct {
	*recorder

	t        *testing.T
	what     string
	stack    *localstack.Stack
	endpoint string      // of the AWS, with the recorder before it
	unwell   atomic.Bool // providers fail, and their answers echo what was sent
	echoed   atomic.Int64
}

// TestProveCanaries searches what the real binaries and the handlers let out.
func TestProveCanaries(t *testing.T) {
	t.Parallel()
	for what, complete := range map[string]func(*outlet, string, map[string]string) awslocal.Function{
		"binaries": func(o *outlet, name string, vars map[string]string) awslocal.Function {
			f := awslocal.Function{Binary: binary(t, localstack.Command(name)), Output: o.recorder}
			for variable, value := range vars {
				f.Env = append(f.Env, variable+"="+value)
			}
			return f
		},
		"handlers": func(o *outlet, name string, vars map[string]string) awslocal.Function {
			return awslocal.Function{Handler: composed(t, name, lambdafn.Environ{Vars: vars, Out: o.recorder})}
		},
	} {
		if !full() && what != []string{"handlers", "binaries"}[prove.Sample(1, 0)] {
			continue // both are composed of the same; 'go test' spares the processes
		}
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			o := newOutlet(t, what)
			for _, name := range localstack.Functions() {
				vars := o.stack.Vars(name)
				vars["AWS_ENDPOINT_URL"], vars["HIKYAKU_LOG_LEVEL"] = o.endpoint, "DEBUG"
				f := complete(o, name, vars)
				f.Name, f.Aliases, f.Timeout = name, localstack.Aliases(name), time.Minute
				if err := o.stack.AWS.Register(f); err != nil {
					t.Fatal(err)
				}
			}
			o.work()
			c := gather(t, o.stack.AWS.Secrets)
			o.judge(c)
			o.judgePlanted(c)
		})
	}
}

// composed is a handler as its binary composes it.
func composed(t *testing.T, function string, e lambdafn.Environ) lambda.Handler {
	t.Helper()
	var f lambda.Handler
	var err error
	switch localstack.Command(function) {
	case "tokenrefresh":
		f, err = refreshfn.New(t.Context(), e)
	case "webhookrelay":
		f, err = relayfn.New(t.Context(), e)
	default:
		f, err = exportfn.New(t.Context(), e)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// newOutlet starts a stack in which canaries are planted.
func newOutlet(t *testing.T, what string) *outlet {
	t.Helper()
	mapping, err := filepath.Abs(filepath.Join("..", "..", "config", "mapping.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := localstack.Start(t.Context(), localstack.Options{
		Sandbox: sandbox.Options{Seed: seed(), Records: 12, Rate: 1000}, Mapping: mapping,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.AWS.Close() })
	o := &outlet{recorder: &recorder{}, t: t, what: what, stack: s}
	o.endpoint = o.before(s.AWS.URL, func(w http.ResponseWriter, r *http.Request, body []byte) bool {
		o.request(r, body)
		return false
	})
	s.Sandboxes[providers.SHOPLINE].(*shoplinetest.Server).GenerateToken(time.Now().Add(50 * time.Hour)) //nolint:forcetypeassert // NewSandbox made it
	for _, name := range providers.Names() {
		c := s.Sandboxes[name].Connection(o.before(s.URLs[name], o.echo))
		c.ClientSecrets = append([]providers.Secret{providers.NewSecret(planted)}, c.ClientSecrets...)
		put(t, s.AWS.Secrets, secretstore.Name(localstack.Prefix, name, secretstore.ConnectionPart), c.Document())
	}
	put(t, s.AWS.Secrets, secretstore.Name(localstack.Prefix, providers.SuperSaaS, "webhook"), []byte(`{"current":"`+hookSecret+`"}`))
	return o
}

// before starts a proxy of an address. What answers itself returns true.
func (o *outlet) before(address string, look func(http.ResponseWriter, *http.Request, []byte) bool) string {
	o.t.Helper()
	target, err := url.Parse(address)
	if err != nil {
		o.t.Fatal(err)
	}
	pass := &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if look(w, r, body) {
			return
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		pass.ServeHTTP(w, r)
	}))
	o.t.Cleanup(server.Close)
	return server.URL
}

// echo is a provider that is unwell: half of its answers are errors, or
// nonsense, that repeat everything the request said.
func (o *outlet) echo(w http.ResponseWriter, r *http.Request, body []byte) bool {
	if !o.unwell.Load() {
		return false
	}
	n := o.echoed.Add(1)
	statuses := []int{400, 0, 401, 0, 500, 0, 200, 0, 403, 0, 404, 0, 0}
	status := statuses[n%int64(len(statuses))]
	if status == http.StatusOK && r.Method == http.MethodGet {
		status = http.StatusBadRequest // a list is data: what the provider puts into it is exported, or rejected, as it came
	}
	if status == 0 {
		return false
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Request-Id", r.Header.Get("Authorization"))
	w.WriteHeader(status)
	said := fmt.Sprintf("%s %s %v %s", r.Method, r.URL, r.Header, body)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": said, "error_description": said, "message": said, "code": said, "errors": []string{said}})
	return true
}

// version is the one of a secret that is served; empty if none is.
func (o *outlet) version(name string) string {
	value, err := o.stack.AWS.Secrets.Get(o.t.Context(), name, secretstore.Current)
	if err != nil && !errors.Is(err, secretstore.ErrNotFound) {
		o.t.Fatal(err)
	}
	return value.ID
}

// pending lets Secrets Manager show a version of a secret as pending meanwhile.
func (o *outlet) pending(name string, meanwhile func(version string)) {
	o.t.Helper()
	version, secrets := uuid.NewString(), o.stack.AWS.Secrets
	if _, err := secrets.Rotate(o.t.Context(), name, version, refresherAlias(localstack.Rotation)); err != nil {
		o.t.Fatal(err)
	}
	meanwhile(version)
	shown, err := secrets.Describe(o.t.Context(), name)
	if v, found := shown.Holder(secretstore.Pending); found && v.ID == version {
		err = errors.Join(err, secrets.Promote(o.t.Context(), name, secretstore.Pending, "", version))
	}
	if err = errors.Join(err, secrets.Cancel(o.t.Context(), name)); err != nil {
		o.t.Fatal(err)
	}
}

// work asks each function everything, while all is well and while it is not.
func (o *outlet) work() {
	o.t.Helper()
	user := plantPerson(o.t, o.stack.Sandboxes)
	page, app := o.stack.SuperSaaS(), o.stack.Yappli()
	message := bytes.ReplaceAll(eventFile(o.t, "webhookrelayrelay/user-change.json"), []byte("20450001"), []byte(strconv.FormatInt(user, 10)))
	ask := func(function string, event []byte) {
		answer, err := o.stack.AWS.Invoke(o.t.Context(), function, event)
		if err != nil {
			o.t.Errorf("%s: %v", function, err)
		}
		o.note("returned", function, answer.Payload)
	}
	for round := range size(4, 2) {
		o.unwell.Store(round%2 == 1)
		page.Quiet().ChangeUser(user, map[string]any{"mobile": person["phone"], "field_2": strconv.Itoa(round)})
		ask(refresherAlias(localstack.Schedule), schedule)
		ask(refresherAlias(localstack.Readers), rejected(providers.Yappli, o.version("hikyaku/yappli/token")))
		ask(refresherAlias(localstack.Readers), []byte(`{"provider":"yappli","force":true}`))
		ask(refresherAlias(localstack.Readers), []byte(`{"provider":"`+planted+`"}`))
		o.pending("hikyaku/yappli/token", func(version string) {
			ask(refresherAlias(localstack.Rotation), fmt.Appendf(nil, `{"SecretId":"hikyaku/yappli/token","ClientRequestToken":%q,"Step":"createSecret"}`, version))
		})
		ask(localstack.Reconcile, []byte(`{"action":"reconcile"}`))
		ask(localstack.Ingest, hook(o.t, user))
		ask(localstack.Ingest, bytes.ReplaceAll(hook(o.t, user), []byte(hookSecret), []byte(planted)))
		app.Tokens.Revoke("")
		ask(localstack.Relay, message)
		at := time.Now().Add(time.Duration(round) * time.Minute).UTC().Format(time.RFC3339)
		if full() || round == 0 {
			ask(localstack.Export, fmt.Appendf(nil, `{"action":"extract","scheduled_time":%q}`, at))
		} else { // the pauses after errors make all of them take a quarter of a minute
			ask(localstack.Export, fmt.Appendf(nil, `{"action":"extract","dataset":"yappli/users","scheduled_time":%q}`, at))
		}
	}
}

// judge searches all that was recorded.
func (o *outlet) judge(c canaries) {
	o.t.Helper()
	leaks, n := o.leaks(c), o.count()
	for _, sink := range sinks {
		if n[sink] == 0 {
			o.t.Errorf("%s: nothing was %s, so nothing is shown of it", o.what, sink)
		}
	}
	for _, leak := range leaks {
		o.t.Errorf("%s: %s", o.what, leak)
	}
	figure(o.t, len(leaks) == 0, "canaries in what the "+o.what+" let out", "0", "%d of %d forms of secrets and %d of personal data, in %d items (%v)",
		len(leaks), len(c.secrets), len(c.personal), len(o.items), n)
}

// judgePlanted leaks a canary, in each of its forms, on the way of each sink:
// every one must be found.
func (o *outlet) judgePlanted(c canaries) {
	o.t.Helper()
	looked, missed := 0, 0
	for _, needles := range []map[string][]byte{c.secrets, c.personal} {
		for form, needle := range oneOfEachForm(needles) {
			for _, sink := range sinks {
				o.mu.Lock()
				o.items = nil
				o.mu.Unlock()
				o.leak(sink, needle)
				looked++
				if !slices.ContainsFunc(o.leaks(c), func(leak string) bool { return strings.HasPrefix(leak, sink) }) {
					missed++
					o.t.Errorf("%s: a planted leak of the form %s was not found in what is %s", o.what, form, sink)
				}
			}
		}
	}
	figure(o.t, missed == 0 && looked > 0, "planted leaks in what the "+o.what+" let out", "all found", "%d of %d, in %d sinks", looked-missed, looked, len(sinks))
}

// oneOfEachForm picks one canary for each form.
func oneOfEachForm(needles map[string][]byte) map[string][]byte {
	picked := map[string][]byte{}
	for _, name := range slices.Sorted(maps.Keys(needles)) {
		picked[name[strings.LastIndexByte(name, ' ')+1:]] = needles[name]
	}
	return picked
}

// leak lets a canary out by one sink.
func (o *outlet) leak(sink string, canary []byte) {
	o.t.Helper()
	text := slices.Concat([]byte(`{"x":"`), canary, []byte(`"}`))
	send := func(method, path, target string) {
		r, err := http.NewRequestWithContext(o.t.Context(), method, o.endpoint+path, bytes.NewReader(text))
		if err != nil {
			o.t.Fatal(err)
		}
		r.Header.Set("X-Amz-Target", target)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			o.t.Fatal(err)
		}
		_ = answer.Body.Close()
	}
	switch sink {
	case "logged":
		_, _ = o.Write(text)
	case "measured":
		_, _ = o.Write(slices.Concat([]byte(`{"_aws":{"CloudWatchMetrics":[]},`), text[1:]))
	case "returned":
		o.note("returned", "leaky", text)
	case "queued":
		send(http.MethodPost, "/", "AmazonSQS.SendMessage")
	case "told":
		send(http.MethodPost, "/", "AWSEvents.PutEvents")
	case "invoked":
		send(http.MethodPost, "/2015-03-31/functions/nobody/invocations", "")
	case "stored":
		send(http.MethodPut, "/hikyaku/hikyaku/state/planted", "")
	}
}

// TestProveCanaries_Demo searches what the demo prints, logs and stores.
func TestProveCanaries_Demo(t *testing.T) {
	t.Parallel()
	if !full() {
		return // it takes as long as all the rest: 'make prove-tokens' and CI run it
	}
	dir := filepath.Join(t.TempDir(), "demo")
	demo := exec.Command("go", "run", "hikyaku/cmd/hikyaku", "demo", "--dir", dir)
	out, err := demo.CombinedOutput()
	if err != nil {
		t.Fatalf("the demo: %v\n%s", err, out)
	}
	r := &recorder{}
	r.note("logged", "what it prints", out)
	err = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(path, filepath.Join(dir, "sandboxes")) {
			return err // what the providers hold is theirs
		}
		data, err := os.ReadFile(path)
		r.note("stored", strings.TrimPrefix(path, dir), data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	c := demoCanaries(t, filepath.Join(dir, "sandboxes"))
	leaks := r.leaks(c)
	for _, leak := range leaks {
		t.Errorf("the demo: %s", leak)
	}
	figure(t, len(leaks) == 0, "canaries in what the demo prints, logs and stores", "0", "%d of %d forms of secrets and %d of personal data, in %d files", len(leaks), len(c.secrets), len(c.personal), len(r.items))
	r.note("stored", "/planted", []byte(hookSecret))
	figure(t, len(r.leaks(c)) > len(leaks), "planted leak in what the demo stores", "found", "%d", len(r.leaks(c))-len(leaks))
}

// demoCanaries are the secrets that its sandboxes accept, and the personal
// data that they hold.
func demoCanaries(t *testing.T, dumps string) canaries {
	t.Helper()
	c := canaries{map[string][]byte{}, map[string][]byte{}}
	for name, value := range map[string]string{
		"yappli": yapplitest.ClientSecret, "shopline": shoplinetest.ClientSecret, "hook": hookSecret, "hash key": hashKey,
		"actibook": actibooktest.New(sandbox.Options{}).ClientSecret, "assist": assisttenchotest.New(sandbox.Options{}).ClientSecret,
	} {
		forms(c.secrets, name, value)
	}
	for n := 1; n <= 20; n++ { // as the sandboxes number them
		tokens := yapplitest.New(sandbox.Options{Records: -1}).Tokens
		for range n - 1 {
			tokens.Issue(time.Now())
		}
		access, refresh := tokens.Issue(time.Now())
		forms(c.secrets, fmt.Sprint("access token ", n), access)
		forms(c.secrets, fmt.Sprint("refresh token ", n), refresh)
	}
	addresses := regexp.MustCompile(`[A-Za-z0-9._-]+@[A-Za-z0-9.-]+\.(example|test)`)
	err := filepath.WalkDir(dumps, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for _, address := range addresses.FindAllString(string(data), -1) {
			forms(c.personal, address, address)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
