package tokenrefresh_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/actibook"
	"hikyaku/pkg/providers/actibook/actibooktest"
	"hikyaku/pkg/providers/assisttencho"
	"hikyaku/pkg/providers/assisttencho/assisttenchotest"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline"
	"hikyaku/pkg/providers/shopline/shoplinetest"
	"hikyaku/pkg/providers/supersaas"
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

const prefix = "shop"

// staff is how tests name SHOPLINE's other kind of credential, the staff
// token, beside the app's.
const staff = "shopline staff"

// A world is stores and a sandbox of each provider in one synctest bubble,
// whose clock they share. It outlives refreshers.
type world struct {
	t       testing.TB
	secrets *secretstore.Memory
	objects *objectstore.Memory

	yappli   *yapplitest.Server
	actibook *actibooktest.Server
	shop     *shoplinetest.Server
	assist   *assisttenchotest.Server
	bookings *supersaastest.Server

	mu       sync.Mutex
	events   []tokenrefresh.Event
	measured []string
	rotated  []string
	log      bytes.Buffer
	notify   error // what the event bus answers

	store func(secretstore.Store) secretstore.Store // what refreshers see of the secrets; nil: all
}

// inBubble runs a test in virtual time, from a date on.
func inBubble(t *testing.T, test func(w *world)) {
	t.Parallel()
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)))
		test(newWorld(t))
	})
}

func newWorld(t testing.TB) *world {
	o := sandbox.Options{Rate: -1, Records: -1}
	w := &world{
		t: t, secrets: new(secretstore.Memory), objects: new(objectstore.Memory),
		yappli: yapplitest.New(o), actibook: actibooktest.New(o), shop: shoplinetest.New(o), assist: assisttenchotest.New(o), bookings: supersaastest.New(o),
	}
	w.shop.StrictAgent = true // the refresher sends the handle with every call
	return w
}

// RoundTrip sends a request to the sandbox whose host it names.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	client := map[string]*http.Client{
		"yappli.test": w.yappli.Client(), "actibook.test": w.actibook.Client(), "shopline.test": w.shop.Client(),
		"assisttencho.test": w.assist.Client(), "supersaas.test": w.bookings.Client(),
	}[r.URL.Host]
	if client == nil {
		return nil, errors.New("no such host")
	}
	return client.Transport.RoundTrip(r)
}

// connection is what an operator would configure for a provider, or staff.
func (w *world) connection(name string) providers.Connection {
	switch name {
	case providers.Yappli:
		return w.yappli.Connection("https://yappli.test")
	case providers.ActiBook:
		return w.actibook.Connection("https://actibook.test")
	case providers.SHOPLINE:
		return w.shop.AppConnection("https://shopline.test")
	case staff:
		return w.shop.Connection("https://shopline.test")
	case providers.AssistTencho:
		c := w.assist.Connection("https://assisttencho.test")
		c.ProbeOrder = "1"
		return c
	default:
		return w.bookings.Connection("https://supersaas.test")
	}
}

// deps are those of a refresher in this world, with its calls going through
// the given doors.
func (w *world) deps(secrets secretstore.Store, objects objectstore.Store, transport http.RoundTripper) tokenrefresh.Deps {
	o := &providers.Options{HTTP: &http.Client{Transport: transport}}
	if w.store != nil {
		secrets = w.store(secrets)
	}
	return tokenrefresh.Deps{
		Secrets: secrets, Objects: objects,
		Authorities: map[string]providers.Authority{
			providers.AssistTencho: assisttencho.NewAuthority(o), providers.Yappli: yappli.NewAuthority(o),
			providers.SHOPLINE: shopline.NewAuthority(o), providers.ActiBook: actibook.NewAuthority(o), providers.SuperSaaS: supersaas.NewAuthority(o),
		},
		Notify: func(_ context.Context, e tokenrefresh.Event) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.notify != nil {
				return w.notify
			}
			w.events = append(w.events, e)
			return nil
		},
		Rotate: func(_ context.Context, secret, _ string) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.rotated = append(w.rotated, secret)
			return nil
		},
		Measure: func(name, unit string, value float64, dimensions map[string]string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.measured = append(w.measured, fmt.Sprintf("%s %s %v %v", name, unit, value, dimensions))
		},
		Log: slog.New(slog.NewJSONHandler(&locked{w}, nil)), Now: time.Now, NewID: uuid.NewString,
	}
}

// locked is the world's log.
type locked struct{ w *world }

func (l *locked) Write(b []byte) (int, error) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	return l.w.log.Write(b)
}

func (w *world) refresher() *tokenrefresh.Refresher {
	return tokenrefresh.New(prefix, w.deps(w.secrets, w.objects, w))
}

// connect stores a connection, as 'hikyaku connect' would, and returns the
// provider's name.
func (w *world) connect(name string, change ...func(*providers.Connection)) string {
	w.t.Helper()
	c := w.connection(name)
	for _, f := range change {
		f(&c)
	}
	w.reconnect(c)
	return c.Provider
}

// reconnect stores a connection in place of another.
func (w *world) reconnect(c providers.Connection) {
	w.t.Helper()
	w.edit(c.Provider, secretstore.ConnectionPart, c.Document())
}

// edit does what the console does: it puts a new version under AWSCURRENT.
func (w *world) edit(provider, part string, document []byte) (version string) {
	w.t.Helper()
	version = uuid.NewString()
	name := secretstore.Name(prefix, provider, part)
	err := w.secrets.Put(context.Background(), name, version, document, secretstore.Current)
	if errors.Is(err, secretstore.ErrNotFound) {
		err = w.secrets.Create(context.Background(), name, version, document)
	}
	w.must(err)
	return version
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// run runs the refresher and returns the result of the one provider that q
// names.
func (w *world) run(q tokenrefresh.Request) tokenrefresh.Result {
	w.t.Helper()
	report, err := w.refresher().Run(context.Background(), q)
	w.must(err)
	if len(report.Results) != 1 || report.Results[0].Provider != q.Provider {
		w.t.Fatalf("report of %q: %+v", q.Provider, report)
	}
	return report.Results[0]
}

// want runs the refresher for one provider and checks the outcome.
func (w *world) want(provider string, outcome protocol.Outcome) tokenrefresh.Result {
	w.t.Helper()
	return w.wantOf(tokenrefresh.Request{Provider: provider}, outcome)
}

func (w *world) wantOf(q tokenrefresh.Request, outcome protocol.Outcome) tokenrefresh.Result {
	w.t.Helper()
	result := w.run(q)
	if result.Outcome != outcome {
		w.t.Fatalf("%+v: outcome %q (%s), want %q\n%s", q, result.Outcome, result.Reason, outcome, w.log.String())
	}
	return result
}

// value reads the version under a stage; an empty one if there is none.
func (w *world) value(provider, part, stage string) secretstore.Value {
	w.t.Helper()
	value, err := w.secrets.Get(context.Background(), secretstore.Name(prefix, provider, part), stage)
	if err != nil && !errors.Is(err, secretstore.ErrNotFound) {
		w.t.Fatal(err)
	}
	return value
}

// served returns the token that callers read; no credential if there is none.
func (w *world) served(provider string) providers.Token {
	w.t.Helper()
	value := w.value(provider, secretstore.TokenPart, secretstore.Current)
	token, err := providers.ParseToken(value.Data)
	if err != nil {
		return providers.Token{Version: value.ID}
	}
	token.Version = value.ID
	return token
}

// works asks the provider whether the served token does.
func (w *world) works(provider string) error {
	token := w.served(provider)
	c := providers.Connection{Account: token.Account, ProbeOrder: "1"}
	return w.deps(w.secrets, w.objects, w).Authorities[provider].Probe(context.Background(), c, token)
}

// asked counts the calls of a provider's token endpoint.
func (w *world) asked(provider string) int {
	switch provider {
	case providers.Yappli:
		return w.yappli.Count("POST /api/ext/token")
	case providers.ActiBook:
		return w.actibook.Count("POST /api/oauth/token")
	case providers.SHOPLINE:
		return w.shop.Count("POST /developers/oauth/token")
	case providers.AssistTencho:
		return w.assist.Count("POST /api/oauth/token.php")
	}
	return 0
}

// calls counts all calls of a provider.
func (w *world) calls(provider string) int {
	switch provider {
	case providers.Yappli:
		return w.yappli.Count("")
	case providers.ActiBook:
		return w.actibook.Count("")
	case providers.SHOPLINE:
		return w.shop.Count("")
	case providers.AssistTencho:
		return w.assist.Count("")
	}
	return w.bookings.Count("")
}

// told returns the types of the events so far, and forgets them.
func (w *world) told() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var types []string
	for _, e := range w.events {
		types = append(types, e.Type)
	}
	w.events = nil
	return strings.Join(types, " ")
}

// wantTold checks the types of the events since it was last called.
func (w *world) wantTold(types string) {
	w.t.Helper()
	if got := w.told(); got != types {
		w.t.Fatalf("events %q, want %q", got, types)
	}
}

// wantMeasured checks that a line of the measurements begins with text.
func (w *world) wantMeasured(text string, want bool) {
	w.t.Helper()
	found := slices.ContainsFunc(w.measured, func(line string) bool { return strings.HasPrefix(line, text) })
	if found != want {
		w.t.Fatalf("measured %q: %t, want %t, in %q", text, found, want, w.measured)
	}
	w.measured = nil
}

// slow makes the next answer come after 20 seconds.
var slow = sandbox.Fault{Kind: sandbox.Slow, Delay: 20 * time.Second}

// stateObject returns the object that holds a provider's lease and journal.
func (w *world) stateObject(provider string) string {
	w.t.Helper()
	_, body, err := w.objects.Get(context.Background(), prefix+"/state/tokens/"+provider)
	w.must(err)
	b, err := io.ReadAll(body)
	w.must(err)
	return string(b)
}

// putState replaces that object, whatever it holds.
func (w *world) putState(provider, body string) {
	w.t.Helper()
	_, err := w.objects.Put(context.Background(), objectstore.Object{Key: prefix + "/state/tokens/" + provider, Body: strings.NewReader(body), Size: int64(len(body))})
	w.must(err)
}

// inBubbleNamed is inBubble as a subtest.
func inBubbleNamed(t *testing.T, name string, test func(w *world)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { inBubble(t, test) })
}

func refuseDial(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("connection refused")
}

// stages returns where the stages of a secret stand.
func (w *world) stages(provider, part string) map[string]string {
	w.t.Helper()
	d, err := w.secrets.Describe(context.Background(), secretstore.Name(prefix, provider, part))
	w.must(err)
	stages := map[string]string{}
	for _, v := range d.Versions {
		for _, stage := range v.Stages {
			stages[stage] = v.ID
		}
	}
	return stages
}
