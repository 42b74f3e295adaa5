package provetokens

import (
	"fmt"
	"maps"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline/shoplinetest"
)

// A fleet is processes of the real binary of tokenrefresh, and sandboxes, all
// on sockets.
type fleet struct {
	t        *testing.T
	stack    *localstack.Stack
	endpoint string // of the AWS, as the processes see it
	prefix   string
	name     string // of the function
	size     int
}

// appPrefix is the stack whose SHOPLINE is an app.
const appPrefix = "app"

func newStack(t *testing.T) *localstack.Stack {
	t.Helper()
	s, err := localstack.Start(t.Context(), localstack.Options{Sandbox: sandbox.Options{Seed: seed(), Records: 5, Rate: 1e6}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.AWS.Close() })
	shop := s.Sandboxes[providers.SHOPLINE].(*shoplinetest.Server) //nolint:forcetypeassert // NewSandbox made it
	name := secretstore.Name(appPrefix, providers.SHOPLINE, secretstore.ConnectionPart)
	if err := s.AWS.Secrets.Create(t.Context(), name, uuid.NewString(), shop.AppConnection(s.URLs[providers.SHOPLINE]).Document()); err != nil {
		t.Fatal(err)
	}
	return s
}

// newFleet registers the binary and starts so many processes of it.
func newFleet(t *testing.T, s *localstack.Stack, endpoint, prefix string, size int) *fleet {
	t.Helper()
	f := &fleet{t: t, stack: s, endpoint: endpoint, prefix: prefix, name: "refresh-" + prefix, size: size}
	vars := maps.Clone(s.Vars(localstack.TokenRefresh))
	vars["HIKYAKU_PREFIX"], vars["AWS_ENDPOINT_URL"] = prefix, endpoint
	env := []string{"GOMAXPROCS=1"}
	for name, value := range vars {
		env = append(env, name+"="+value)
	}
	err := s.AWS.Register(awslocal.Function{
		Name: f.name, Binary: binary(t, "tokenrefresh"), Env: env, Concurrency: 2 * size, Timeout: 2 * time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	// As each is busy for a while, each invocation gets a process of its own.
	s.AWS.Inject(sandbox.Fault{Route: "s3.GetObject", Kind: sandbox.Slow, Times: -1, Delay: time.Duration(200+20*size) * time.Millisecond})
	f.invoke(slices.Repeat([][]byte{schedule}, size)...)
	s.AWS.ClearFaults()
	return f
}

// invoke invokes the function with all events at the same time.
func (f *fleet) invoke(events ...[]byte) {
	f.t.Helper()
	var all sync.WaitGroup
	begin := make(chan struct{})
	for _, event := range events {
		all.Go(func() {
			<-begin
			if _, err := f.stack.AWS.Invoke(f.t.Context(), f.name, event); err != nil {
				f.t.Errorf("invoking: %v", err)
			}
		})
	}
	close(begin)
	all.Wait()
}

// rejections are so many callers whose token, the one that is served, was
// refused.
func (f *fleet) rejections(provider string, n int) [][]byte {
	token, err := served(f.t, f.stack.AWS.Secrets, f.prefix, provider)
	if err != nil {
		f.t.Fatal(err)
	}
	return slices.Repeat([][]byte{rejected(provider, token.Version)}, n)
}

// age makes a credential older, as if so much time had passed since it was
// obtained: the record itself and the callers' token.
func (f *fleet) age(provider string, by time.Duration) {
	f.t.Helper()
	secrets := f.stack.AWS.Secrets
	put := func(part string, document []byte) {
		if err := secrets.Put(f.t.Context(), secretstore.Name(f.prefix, provider, part), "hikyaku-"+uuid.NewString(), document, secretstore.Current); err != nil {
			f.t.Fatal(err)
		}
	}
	token, err := served(f.t, secrets, f.prefix, provider)
	if err != nil {
		f.t.Fatal(err)
	}
	token.ObtainedAt, token.ExpiresAt = token.ObtainedAt.Add(-by), token.ExpiresAt.Add(-by)
	put(secretstore.TokenPart, token.Document())
	value, err := secrets.Get(f.t.Context(), secretstore.Name(f.prefix, provider, secretstore.RefreshPart), secretstore.Current)
	if err != nil {
		return // it has none
	}
	grant, err := providers.ParseGrant(value.Data)
	if err != nil {
		f.t.Fatal(err)
	}
	grant.ObtainedAt, grant.ExpiresAt = grant.ObtainedAt.Add(-by), grant.ExpiresAt.Add(-by)
	put(secretstore.RefreshPart, grant.Document())
}

func (f *fleet) sandbox(provider string) faultySandbox {
	return f.stack.Sandboxes[provider].(faultySandbox) //nolint:forcetypeassert // all are
}

// writes counts the versions ever asked for of a provider's secrets.
func (f *fleet) writes(provider string) int {
	n := 0
	for call, times := range f.stack.AWS.Secrets.Calls() {
		if (call.Op == secretstore.OpPut || call.Op == secretstore.OpCreate) && strings.HasPrefix(call.Name, f.prefix+"/"+provider+"/") {
			n += times
		}
	}
	return n
}

// slow makes every sandbox answer as slowly as a provider does.
func (f *fleet) slow(on bool) {
	for _, name := range providers.Names() {
		faults := sandbox.Faults{}
		if on {
			faults = sandbox.Faults{Latency: 50 * time.Millisecond, Jitter: 250 * time.Millisecond}
		}
		f.sandbox(name).SetFaults(faults)
	}
}

// A target is a credential, what may be spent for it, and what makes it due.
type target struct {
	provider, what string
	want           int
	prepare        func(f *fleet)
}

// targets of the stack whose SHOPLINE has a staff token.
var targets = []target{
	{providers.AssistTencho, "code", 1, freshCode},
	{providers.Yappli, "renewal", 1, func(f *fleet) { f.age(providers.Yappli, 13*time.Hour) }},
	{providers.ActiBook, "renewal", 1, func(f *fleet) { f.age(providers.ActiBook, 21*time.Minute) }},
	{providers.SHOPLINE, "staff token", 0, func(*fleet) {}},
	{providers.SuperSaaS, "API key", 0, func(*fleet) {}},
}

// appTarget is the only one of the stack whose SHOPLINE is an app.
var appTarget = target{providers.SHOPLINE, "app's refresh token", 1, func(f *fleet) { f.age(providers.SHOPLINE, pairLife-pairAhead+time.Hour) }}

// TestProveOneRedemption lets many processes of the real binary look at the
// same credential at the same time: one credential after the other, or, in the
// short form, all at once.
func TestProveOneRedemption(t *testing.T) {
	t.Parallel()
	n := size(100, 5)
	t.Run("all but the app", func(t *testing.T) {
		t.Parallel()
		s := newStack(t)
		f := newFleet(t, s, s.AWS.URL, localstack.Prefix, size(n, 15))
		groups := [][]target{targets}
		if full() {
			groups = slices.Collect(slices.Chunk(targets, 1))
		}
		for _, group := range groups {
			redeem(t, f, n, group...)
		}
	})
	t.Run("app", func(t *testing.T) {
		t.Parallel()
		s := newStack(t)
		redeem(t, newFleet(t, s, s.AWS.URL, appPrefix, n), n, appTarget)
	})
}

// freshCode is a person who authorizes again.
func freshCode(f *fleet) {
	f.t.Helper()
	c := f.stack.Sandboxes[providers.AssistTencho].Connection(f.stack.URLs[providers.AssistTencho])
	name := secretstore.Name(f.prefix, c.Provider, secretstore.ConnectionPart)
	if err := f.stack.AWS.Secrets.Put(f.t.Context(), name, uuid.NewString(), c.Document(), secretstore.Current); err != nil {
		f.t.Fatal(err)
	}
}

// A storm is what many invocations at a time did to one provider.
type storm struct{ calls, redeemed, writes int }

func (f *fleet) count(provider string) storm {
	c := storm{redeemed: redemptions(f.stack.Sandboxes[provider]), writes: f.writes(provider)}
	if route := tokenRoutes[provider]; route != "" {
		c.calls = f.sandbox(provider).Count(route)
	}
	return c
}

// storm makes n invocations for each target at the same time.
func (f *fleet) storm(n int, group ...target) []storm {
	f.t.Helper()
	var storms []storm
	var events [][]byte
	for _, x := range group {
		x.prepare(f)
		storms = append(storms, f.count(x.provider))
		events = append(events, f.rejections(x.provider, n/2)...)
	}
	f.slow(true)
	f.invoke(append(events, slices.Repeat([][]byte{schedule}, n-n/2)...)...)
	f.slow(false)
	for i, x := range group {
		now := f.count(x.provider)
		storms[i] = storm{now.calls - storms[i].calls, now.redeemed - storms[i].redeemed, now.writes - storms[i].writes}
	}
	return storms
}

// works asks the provider whether it takes the token that callers read.
func (f *fleet) works(provider string) bool {
	token, err := served(f.t, f.stack.AWS.Secrets, f.prefix, provider)
	return err == nil && valid(f.stack.Sandboxes[provider], token)
}

func redeem(t *testing.T, f *fleet, n int, group ...target) {
	t.Helper()
	storms := f.storm(n, group...)
	processes := len(f.stack.AWS.Processes(f.name))
	f.invoke(schedule)
	for i, x := range group {
		w, works := storms[i], f.works(x.provider)
		bar := fmt.Sprintf("exactly %d over at least 4 processes, and the token works", x.want)
		holds := w.calls == x.want && w.redeemed == x.want && processes >= 4 && works
		if x.want == 0 {
			bar, holds = "none, nor any token write, over at least 4 processes", holds && w.writes == 0
		}
		figure(t, holds, fmt.Sprintf("%d invocations at a time, %s, %s", n, x.provider, x.what), bar,
			"%d redemptions, %d calls of the token endpoint, %d writes, %d processes, works %t", w.redeemed, w.calls, w.writes, processes, works)
	}
}

// TestProveOneRedemption_WithoutTheSwap is the same with every lease granted:
// an endpoint that drops the conditions of writes to leases.
func TestProveOneRedemption_WithoutTheSwap(t *testing.T) {
	prove.Heavy(t)
	t.Parallel()
	s := newStack(t)
	target, err := url.Parse(s.AWS.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		if strings.Contains(r.In.URL.Path, "/state/tokens/") {
			r.Out.Header.Del("If-Match")
			r.Out.Header.Del("If-None-Match")
		}
	}})
	t.Cleanup(proxy.Close)
	n := size(40, 6)
	f := newFleet(t, s, proxy.URL, appPrefix, n)
	most := 0
	for range 10 {
		most = max(most, f.storm(n, appTarget)[0].calls)
		if most > 1 {
			break
		}
		f.invoke(schedule)
	}
	figure(t, most > 1, "guard removed: leases without compare-and-swap, shopline app", "must be more than 1", "%d calls of the token endpoint", most)
}
