package lambdafn_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/uuid"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
)

type settings struct{ lambdafn.Common }

func vars(change map[string]string) map[string]string {
	vars := map[string]string{
		"HIKYAKU_PREFIX": "shop", "HIKYAKU_BUCKET": "bucket", "AWS_REGION": "ap-northeast-1",
		"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "canary-secret-key",
	}
	for name, value := range change {
		vars[name] = value
	}
	return vars
}

func TestLoad_ReadsTheCommonSettings(t *testing.T) {
	t.Parallel()
	got, err := lambdafn.Load[settings](lambdafn.Environ{Vars: vars(map[string]string{
		"HIKYAKU_ALLOW_HOSTS": "127.0.0.1,host.docker.internal", "AWS_ENDPOINT_URL": "http://127.0.0.1:9000", "AWS_SESSION_TOKEN": "session",
	})})
	if err != nil {
		t.Fatal(err)
	}
	c := got.Common
	if c.Prefix != "shop" || c.Bucket != "bucket" || c.UserAgent != "hikyaku" || c.LogLevel != "INFO" || c.Region != "ap-northeast-1" || c.Session.Reveal() != "session" ||
		strings.Join(c.AllowHosts, " ") != "127.0.0.1 host.docker.internal" || c.Endpoint != "http://127.0.0.1:9000" || c.Refresher != "" {
		t.Errorf("settings %+v", c)
	}
}

func TestLoad_ListsEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		vars map[string]string
		want []string
	}{
		"nothing set": {map[string]string{}, []string{"HIKYAKU_PREFIX", "HIKYAKU_BUCKET", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}},
		"empty":       {vars(map[string]string{"HIKYAKU_BUCKET": ""}), []string{"HIKYAKU_BUCKET"}},
		"hosts without endpoint": {vars(map[string]string{"HIKYAKU_ALLOW_HOSTS": "127.0.0.1", "HIKYAKU_LOG_LEVEL": "TRACE"}),
			[]string{"HIKYAKU_ALLOW_HOSTS: only with AWS_ENDPOINT_URL", "HIKYAKU_LOG_LEVEL: must be DEBUG, INFO, WARN or ERROR"}},
		"slashes": {vars(map[string]string{"HIKYAKU_PREFIX": "shop/"}), []string{"HIKYAKU_PREFIX: must not begin or end with a slash"}},
	} {
		_, err := lambdafn.Load[settings](lambdafn.Environ{Vars: c.vars})
		if err == nil || len(strings.Split(err.Error(), "\n")) != len(c.want)+1 || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
	}
}

// open opens a base over a local AWS, and returns what it prints.
func open(t *testing.T, change map[string]string) (*lambdafn.Base, *awslocal.AWS, *bytes.Buffer) {
	t.Helper()
	local, err := awslocal.Start(t.Context(), awslocal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = local.Close() })
	all := vars(map[string]string{"AWS_ENDPOINT_URL": local.URL, "HIKYAKU_BUCKET": awslocal.Bucket})
	for name, value := range change {
		all[name] = value
	}
	out := new(bytes.Buffer)
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	e := lambdafn.Environ{Vars: all, Out: out, Now: func() time.Time { return now }}
	s, err := lambdafn.Load[settings](e)
	if err != nil {
		t.Fatal(err)
	}
	return lambdafn.Open(e, s.Common), local, out
}

func TestMetrics_AreEmbeddedMetricFormat(t *testing.T) {
	t.Parallel()
	base, _, out := open(t, nil)
	base.Metrics.Add("SecondsToExpiry", "Seconds", 1800, map[string]string{"provider": "yappli", "dataset": "users"})
	base.Metrics.Add("Rows", "Count", 3, nil)
	base.Metrics.Add("ExportDoubt", "Count", 1, map[string]string{"provider": "yappli", "dataset": "users"})
	base.Metrics.Add("NotANumber", "Count", math.NaN(), nil)
	const same = `"message":"metric",`
	const at = `"timestamp":"2026-11-22T00:00:00.000Z"}`
	want := `{"SecondsToExpiry":1800,"_aws":{"CloudWatchMetrics":[{"Dimensions":[["dataset","provider"]],"Metrics":[{"Name":"SecondsToExpiry","Unit":"Seconds"}],"Namespace":"Hikyaku"}],"Timestamp":1795305600000},"dataset":"users","level":"FATAL",` + same + `"provider":"yappli",` + at + `
{"Rows":3,"_aws":{"CloudWatchMetrics":[{"Dimensions":[[]],"Metrics":[{"Name":"Rows","Unit":"Count"}],"Namespace":"Hikyaku"}],"Timestamp":1795305600000},"level":"FATAL",` + same + at + `
{"ExportDoubt":1,"_aws":{"CloudWatchMetrics":[{"Dimensions":[["dataset","provider"],[]],"Metrics":[{"Name":"ExportDoubt","Unit":"Count"}],"Namespace":"Hikyaku"}],"Timestamp":1795305600000},"dataset":"users","level":"FATAL",` + same + `"provider":"yappli",` + at + `
`
	if out.String() != want {
		t.Errorf("printed\n%swant\n%s", out, want)
	}
}

// Lambda runs several events at once on managed instances: no line may be cut
// by another.
func TestMetrics_LinesAreWholeUnderConcurrency(t *testing.T) {
	t.Parallel()
	base, _, out := open(t, nil)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() { base.Metrics.Add("Rows", "Count", 1, map[string]string{"provider": "yappli"}) })
	}
	group.Wait()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for _, line := range lines {
		if !json.Valid([]byte(line)) {
			t.Errorf("line %q", line)
		}
	}
	if len(lines) != 20 {
		t.Errorf("%d lines", len(lines))
	}
}

func TestLog_CarriesTheRequestID(t *testing.T) {
	t.Parallel()
	base, _, out := open(t, map[string]string{"HIKYAKU_LOG_LEVEL": "WARN"})
	ctx := lambdacontext.NewContext(context.Background(), &lambdacontext.LambdaContext{AwsRequestID: "request-7"})
	base.Log.InfoContext(ctx, "below the level")
	base.Log.With("provider", "yappli").WarnContext(ctx, "with an attribute")
	base.Log.WithGroup("g").WarnContext(ctx, "in a group", "k", 1)
	base.Log.WarnContext(context.Background(), "without a request", "secret", providers.NewSecret("canary"))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	want := []string{`"message":"with an attribute","provider":"yappli","requestId":"request-7"`, `"g":{"k":1,"requestId":"request-7"}`, `"secret":"[redacted]"}`}
	if len(lines) != len(want) {
		t.Fatalf("printed %s", out)
	}
	for i, text := range want {
		if !strings.Contains(lines[i], text) || !json.Valid([]byte(lines[i])) {
			t.Errorf("line %s, want %s", lines[i], text)
		}
	}
}

func TestOpen_ReachesSecretsAndObjectsByEndpointAlone(t *testing.T) {
	t.Parallel()
	base, local, out := open(t, nil)
	id := uuid.NewString()
	if err := base.Secrets.Create(t.Context(), "shop/x", id, []byte("canary")); err != nil {
		t.Fatal(err)
	}
	if value, err := local.Secrets.Get(t.Context(), "shop/x", secretstore.Current); err != nil || value.ID != id {
		t.Errorf("%+v, %v", value, err)
	}
	if _, _, err := base.Objects.Get(t.Context(), "shop/none"); err == nil || local.Calls()["s3.GetObject"] != 1 {
		t.Errorf("%v after %v", err, local.Calls())
	}
	if out.Len() != 0 {
		t.Errorf("printed %s", out)
	}
}

func TestOptions_NameTheCaller(t *testing.T) {
	t.Parallel()
	base, _, _ := open(t, map[string]string{"HIKYAKU_USER_AGENT": "example-shop"})
	if o := base.Options(); o.UserAgent != "example-shop" || o.HTTP != base.HTTP || o.HTTP.Timeout != 30*time.Second {
		t.Errorf("options %+v", o)
	}
}

// handler is a token refresher that answers as told.
type handler func(payload []byte) ([]byte, error)

func (h handler) Invoke(_ context.Context, payload []byte) ([]byte, error) { return h(payload) }

// A rejected token is replaced by a synchronous invocation that names exactly
// its version.
func TestTokens_AskTheRefresherForARejectedVersion(t *testing.T) {
	t.Parallel()
	base, local, _ := open(t, map[string]string{"HIKYAKU_TOKENREFRESH_FUNCTION": "refresher"})
	token := providers.Token{Provider: providers.Yappli, Kind: providers.ClientCredentials, Credential: providers.NewSecret("old"), ObtainedAt: time.Now()}
	first, second := uuid.NewString(), uuid.NewString()
	put := func(id string) error {
		return errors.Join(local.Secrets.Put(context.Background(), "shop/yappli/token", id, token.Document(), secretstore.Current))
	}
	if err := local.Secrets.Create(t.Context(), "shop/yappli/token", first, token.Document()); err != nil {
		t.Fatal(err)
	}
	var asked string
	if err := local.Register(awslocal.Function{Name: "refresher", Handler: handler(func(payload []byte) ([]byte, error) {
		asked = string(payload)
		token.Credential = providers.NewSecret("new")
		return []byte(`{}`), put(second)
	})}); err != nil {
		t.Fatal(err)
	}
	source := base.Tokens(providers.Yappli)
	old, err := source.Token(t.Context())
	if err != nil || old.Version != first {
		t.Fatalf("%+v, %v", old, err)
	}
	next, err := source.Rejected(t.Context(), old)
	if err != nil || next.Version != second || next.Credential.Reveal() != "new" {
		t.Errorf("%+v, %v", next, err)
	}
	if want := `{"provider":"yappli","rejected_version":"` + first + `"}`; asked != want {
		t.Errorf("asked %s, want %s", asked, want)
	}
}

func TestTokens_SayWhyThereIsNoOther(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		refresher string
		report    string
		answer    error
		want      string
	}{
		"none configured": {"", "", nil, "set HIKYAKU_TOKENREFRESH_FUNCTION"},
		"unknown":         {"nobody", "", nil, "invoking nobody"},
		"fails":           {"refresher", "", errors.New("boom"), "refresher failed; see its log"},
		"over budget": {
			"refresher", `{"results":[{"provider":"yappli","status":"failed","outcome":"over_budget","reason":"functions have had 12"}]}`, nil,
			"not replaced, over_budget: functions have had 12",
		},
		"a person is needed": {"refresher", `{"results":[{"status":"human","outcome":"refused","reason":"the client"}]}`, nil, "not replaced, refused: the client"},
	} {
		base, local, _ := open(t, map[string]string{"HIKYAKU_TOKENREFRESH_FUNCTION": c.refresher})
		token := providers.Token{Provider: providers.Yappli, Credential: providers.NewSecret("canary-token"), ObtainedAt: time.Now()}
		err := errors.Join(
			local.Secrets.Create(t.Context(), "shop/yappli/token", uuid.NewString(), token.Document()),
			local.Register(awslocal.Function{Name: "refresher", Handler: handler(func([]byte) ([]byte, error) { return []byte(c.report), c.answer })}),
		)
		if err != nil {
			t.Fatal(err)
		}
		source := base.Tokens(providers.Yappli)
		old, err := source.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = source.Rejected(t.Context(), old)
		if !errors.Is(err, providers.ErrUnauthorized) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// A transport of the caller's own replaces the guard, as tests and the demo
// need it.
func TestOpen_TakesATransport(t *testing.T) {
	t.Parallel()
	told := errors.New("told")
	base := lambdafn.Open(lambdafn.Environ{Out: io.Discard, HTTP: transport(func() error { return told })}, lambdafn.Common{Region: "x"})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://10.0.0.1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := base.HTTP.Do(request); !errors.Is(err, told) {
		t.Errorf("error %v", err)
	}
}

type transport func() error

func (f transport) RoundTrip(*http.Request) (*http.Response, error) { return nil, f() }
