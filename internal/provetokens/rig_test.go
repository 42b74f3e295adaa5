package provetokens

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/localstack"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/actibook/actibooktest"
	"hikyaku/pkg/providers/assisttencho/assisttenchotest"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline/shoplinetest"
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// A faultySandbox is what all of them have beside localstack's part.
type faultySandbox interface {
	localstack.Sandbox
	SetFaults(sandbox.Faults)
	Inject(...sandbox.Fault)
	Count(route string) int
}

// tokenRoutes are the token endpoints of the sandboxes that have one.
var tokenRoutes = map[string]string{
	providers.Yappli: "POST /api/ext/token", providers.ActiBook: "POST /api/oauth/token", providers.SHOPLINE: "POST /developers/oauth/token",
	providers.AssistTencho: "POST /api/oauth/token.php",
}

// A rig is a local AWS and the five sandboxes in this process, without a
// socket, so that it runs in virtual time.
type rig struct {
	t         *testing.T
	aws       *awslocal.AWS
	sandboxes map[string]faultySandbox
	latency   func() time.Duration // of every request; nil: none
	// before runs before a provider's request is sent, and after when its
	// answer has come.
	before func(provider string, r *http.Request)
	after  func(provider string, r *http.Request, body []byte)
	called func(step string) // runs after each request, whosever it is
}

func newRig(t *testing.T, o sandbox.Options, a awslocal.Options) *rig {
	t.Helper()
	local, err := awslocal.New(a)
	if err != nil {
		t.Fatal(err)
	}
	g := &rig{t: t, aws: local, sandboxes: map[string]faultySandbox{}}
	for _, name := range providers.Names() {
		g.sandboxes[name] = localstack.NewSandbox(name, o).(faultySandbox) //nolint:forcetypeassert // all have it
	}
	return g
}

// base is the address at which a provider's sandbox is reached.
func base(provider string) string { return "https://" + provider + ".test" }

// app is the connection of a SHOPLINE app, approved just now.
func (g *rig) app() providers.Connection {
	return g.sandboxes[providers.SHOPLINE].(*shoplinetest.Server).AppConnection(base(providers.SHOPLINE)) //nolint:forcetypeassert // NewSandbox made it
}

// connect stores what an operator would configure.
func (g *rig) connect(prefix string, c providers.Connection) {
	g.t.Helper()
	name := secretstore.Name(prefix, c.Provider, secretstore.ConnectionPart)
	if err := g.aws.Secrets.Create(g.t.Context(), name, uuid.NewString(), c.Document()); err != nil {
		g.t.Fatal(err)
	}
}

// vars is the environment of tokenrefresh for a stack.
func vars(prefix string) map[string]string {
	return map[string]string{
		"HIKYAKU_PREFIX": prefix, "HIKYAKU_BUCKET": awslocal.Bucket, "AWS_REGION": awslocal.Region, "AWS_ENDPOINT_URL": "http://aws.local",
		"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "HIKYAKU_TOKENREFRESH_FUNCTION": localstack.TokenRefresh + ":" + localstack.Readers,
	}
}

// environ is the world of a function on the rig.
func (g *rig) environ(prefix string, out io.Writer) lambdafn.Environ {
	return lambdafn.Environ{Vars: vars(prefix), Out: out, HTTP: toProviders{g}, AWS: toAWS{g}}
}

// refresher composes tokenrefresh as its binary does.
func (g *rig) refresher(prefix string, out io.Writer) *refreshfn.Function {
	g.t.Helper()
	f, err := refreshfn.New(g.t.Context(), g.environ(prefix, out))
	if err != nil {
		g.t.Fatal(err)
	}
	return f
}

// refresherAlias is how a caller names tokenrefresh.
func refresherAlias(alias string) string { return localstack.TokenRefresh + ":" + alias }

// schedule is the event of a tick.
var schedule = []byte(`{"source":"aws.scheduler"}`)

// rejected is the event of a caller whose token was refused.
func rejected(provider, version string) []byte {
	b, _ := json.Marshal(map[string]string{"provider": provider, "rejected_version": version}) // texts
	return b
}

// invoke runs a handler with the deadline that the template gives it.
func invoke(ctx context.Context, f interface {
	Invoke(context.Context, []byte) ([]byte, error)
}, event []byte,
) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	return f.Invoke(ctx, event)
}

// served reads the token that callers read.
func served(t *testing.T, s secretstore.Store, prefix, provider string) (providers.Token, error) {
	t.Helper()
	value, err := s.Get(t.Context(), secretstore.Name(prefix, provider, secretstore.TokenPart), secretstore.Current)
	if err != nil {
		return providers.Token{}, err
	}
	token, err := providers.ParseToken(value.Data)
	token.Version = value.ID
	return token, err
}

// toAWS calls the local AWS in-process.
type toAWS struct{ *rig }

// RoundTrip takes as long as latency says.
func (g toAWS) RoundTrip(r *http.Request) (*http.Response, error) {
	g.pause()
	answer, err := g.aws.Client().Transport.RoundTrip(r)
	if g.called != nil {
		g.called(step("aws", r))
	}
	return answer, err
}

// toProviders calls the sandbox that the host names.
type toProviders struct{ *rig }

// RoundTrip takes as long as latency says.
func (g toProviders) RoundTrip(r *http.Request) (*http.Response, error) {
	provider, _, _ := strings.Cut(r.URL.Host, ".")
	s := g.sandboxes[provider]
	if s == nil {
		return nil, fmt.Errorf("no sandbox at %s", r.URL.Host)
	}
	g.pause()
	if g.before != nil {
		g.before(provider, r)
	}
	answer, err := s.(interface{ Client() *http.Client }).Client().Transport.RoundTrip(r) //nolint:forcetypeassert // all have it
	if err == nil && g.after != nil {
		var body []byte
		if body, err = io.ReadAll(answer.Body); err == nil {
			answer.Body = io.NopCloser(bytes.NewReader(body))
			g.after(provider, r, body)
		} else {
			answer.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), broken{err}))
			err = nil
		}
	}
	if g.called != nil {
		g.called(step(provider, r))
	}
	return answer, err
}

// broken is a body whose connection was cut.
type broken struct{ error }

func (b broken) Read([]byte) (int, error) { return 0, b.error }

func (g *rig) pause() {
	if g.latency != nil {
		time.Sleep(g.latency())
	}
}

// step names a request without its particulars.
func step(to string, r *http.Request) string {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		return to + " " + target
	}
	return to + " " + r.Method + " " + r.URL.Path
}

// claimOf reads the id out of an ActiBookOne token, which is a JWT.
func claimOf(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		ID string `json:"jti"`
	}
	_ = json.Unmarshal(payload, &claims)
	return claims.ID
}

// redemptions counts the tokens that a provider made, or, where they are
// spent by it, the one-time credentials that it took.
func redemptions(s localstack.Sandbox) int {
	switch s := s.(type) {
	case *yapplitest.Server:
		return s.Tokens.Issued()
	case *actibooktest.Server:
		return s.Tokens.Issued()
	case *shoplinetest.Server:
		return s.Tokens.Redeemed()
	case *assisttenchotest.Server:
		return s.Tokens.Redeemed()
	}
	return 0
}

// valid says whether the provider takes a token now.
func valid(s localstack.Sandbox, token providers.Token) bool {
	credential, now := token.Credential.Reveal(), s.(interface{ Now() time.Time }).Now() //nolint:forcetypeassert // all have it
	switch s := s.(type) {
	case *yapplitest.Server:
		return s.Tokens.Valid(credential, now)
	case *actibooktest.Server:
		return s.Tokens.Valid(claimOf(credential), now)
	case *shoplinetest.Server:
		return s.Tokens.Valid(credential, now) || token.Kind == providers.Static && credential == s.Token("").Credential.Reveal()
	case *assisttenchotest.Server:
		return s.Tokens.Valid(credential, now)
	case *supersaastest.Server:
		return credential == s.Token("").Credential.Reveal()
	}
	return false
}

// roundTrip is a function as a transport.
type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip calls it.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
