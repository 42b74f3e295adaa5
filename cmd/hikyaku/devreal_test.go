package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"hikyaku/internal/console"
	"hikyaku/internal/dev"
	"hikyaku/internal/localstack"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline/shoplinetest"
	"hikyaku/pkg/providers/supersaas/supersaastest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// An account stands for a provider's real one, and counts at its door.
type account struct {
	URL string

	mu       sync.Mutex
	asked    []string // method and path
	at       []time.Time
	foreign  []string // headers that are none of the provider's business
	behind   http.Handler
	changing int
}

func newAccount(t *testing.T, behind http.Handler) *account {
	t.Helper()
	a := &account{behind: behind}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	a.URL = server.URL
	return a
}

func (a *account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.asked, a.at = append(a.asked, r.Method+" "+r.URL.Path), append(a.at, time.Now())
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		a.changing++
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "Hikyaku") || name == "X-Forwarded-For" {
			a.foreign = append(a.foreign, name)
		}
	}
	a.mu.Unlock()
	a.behind.ServeHTTP(w, r)
}

// runsEverything begins each function of a stack, and waits for what comes of it.
func runsEverything(t *testing.T, s *dev.Stack, user string) {
	t.Helper()
	ask := func(function, event string) {
		t.Helper()
		answer, err := s.Local.AWS.Invoke(t.Context(), function, []byte(event))
		t.Log(function, err, answer.Error, string(answer.Payload)[:min(len(answer.Payload), 200)])
	}
	ask(localstack.TokenRefresh+":"+localstack.Schedule, `{"source":"aws.scheduler"}`)
	ask(localstack.Reconcile, `{"action":"reconcile"}`)
	ask(localstack.Export, `{"action":"extract","dataset":"supersaas/users","scheduled_time":"2026-11-21T00:30:00Z"}`)
	ask(localstack.Export, `{"action":"extract","dataset":"yappli/users","scheduled_time":"2026-11-21T00:30:00Z"}`)
	id, err := s.Repeat(t.Context(), "", []byte(`{"event":"change","id":`+user+`}`))
	if err != nil {
		t.Error(err)
	}
	eventually(t, "the webhook is handled", func() bool { w, _ := s.Way(id); return strings.Contains(kindsAlong(w), "handled") })
}

// A real account is read, slowly, and never changed: whatever the functions are asked for,
// nothing arrives at its door that changes anything, and nothing is made of it.
func TestDevStack_OnlyReadsARealAccount(t *testing.T) {
	t.Parallel()
	page := supersaastest.New(sandbox.Options{Seed: 2, Records: 3, Rate: -1})
	real := newAccount(t, page)
	s := newDevStack(t, dev.Options{Real: map[string]dev.Real{providers.SuperSaaS: {Connection: page.Connection(real.URL), Rate: 200}}})
	runsEverything(t, s, "20450001")
	if status, answer := throughDoor(t, s, providers.SuperSaaS, "PUT /api/users/20450001.json"); status != http.StatusForbidden {
		t.Errorf("a change is answered %d %s", status, answer)
	}
	real.mu.Lock()
	defer real.mu.Unlock()
	if len(real.asked) < 3 || real.changing > 0 || len(real.foreign) > 0 {
		t.Errorf("the account was asked %q, %d of it changing, with %q", real.asked, real.changing, real.foreign)
	}
	if took := real.at[len(real.at)-1].Sub(real.at[0]); took < time.Duration(len(real.at)-2)*time.Second/20 { // a tenth of 200 in a second
		t.Errorf("%d requests in %v", len(real.at), took)
	}
	state := s.State()
	if len(state.Real) != 1 || state.Real[0] != providers.SuperSaaS || state.Write || s.Editor(providers.SuperSaaS) != nil || len(s.Troubles()) > 0 {
		t.Errorf("the state is %+v, with %d troubles", state, len(s.Troubles()))
	}
	for what, err := range map[string]error{
		"speed": s.SetSpeed(2), "trouble": s.SetTrouble(providers.Yappli, "outage", true, 0), "kill": s.Kill(localstack.Relay), "delay": s.Delay("m", time.Hour),
	} {
		if err == nil {
			t.Errorf("it took %s beside a real account", what)
		}
	}
	if len(page.Deliveries()) > 0 {
		t.Error("a webhook was sent")
	}
	for _, e := range s.Events(console.Filter{Kinds: []console.Kind{console.Handled}}) {
		if !strings.HasPrefix(e.Outcome, "would_") && e.Outcome != "unchanged" && !e.Bad {
			t.Errorf("a user was %s", e.Outcome)
		}
	}
	if _, err := dev.Start(t.Context(), dev.Options{Dir: t.TempDir(), Speed: 2, Real: map[string]dev.Real{providers.SuperSaaS: {Connection: page.Connection(real.URL)}}}); err == nil {
		t.Error("it began at twice the speed")
	}
}

// throughDoor sends a request to where the functions reach a provider.
func throughDoor(t *testing.T, s *dev.Stack, provider, request string) (status int, answer string) {
	t.Helper()
	stored, err := s.Local.AWS.Secrets.Get(t.Context(), "hikyaku/"+provider+"/connection", "AWSCURRENT")
	if err != nil {
		t.Fatal(err)
	}
	behind, err := providers.ParseConnection(stored.Data)
	if err != nil {
		t.Fatal(err)
	}
	method, path, _ := strings.Cut(request, " ")
	body := ""
	switch {
	case strings.HasSuffix(path, "/api/ext/token"):
		body = `{"grant_type":"client_credentials","client_id":"yappli-client","client_secret":"yappli-client-secret"}`
	case method != http.MethodGet:
		body = "{}"
	}
	r, err := http.NewRequestWithContext(t.Context(), method, strings.TrimSuffix(behind.BaseURL, "/v1")+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	status, raw, err := sendDev(r)
	if err != nil {
		t.Fatal(err)
	}
	return status, string(raw)
}

// What works once is never used, and no hook registered, also where a real account may be
// changed.
func TestDevStack_NeverUsesWhatWorksOnce(t *testing.T) {
	t.Parallel()
	page, app, shop := supersaastest.New(sandbox.Options{Records: 2, Rate: -1}), yapplitest.New(sandbox.Options{Records: 2, Rate: -1}), shoplinetest.New(sandbox.Options{Records: 2, Rate: -1})
	pageDoor, appDoor, shopDoor := newAccount(t, page), newAccount(t, app), newAccount(t, shop)
	pair := shop.Connection(shopDoor.URL)
	pair.Kind, pair.TokenURL = providers.OneTimePair, shopDoor.URL+"/developers/oauth/token"
	s := newDevStack(t, dev.Options{Write: true, Real: map[string]dev.Real{
		providers.SuperSaaS: {Connection: page.Connection(pageDoor.URL), Rate: 1000}, providers.Yappli: {Connection: app.Connection(appDoor.URL), Rate: 1000}, providers.SHOPLINE: {Connection: pair, Rate: 1000},
	}})
	for _, c := range []struct {
		provider, request string
		passes            bool
	}{
		{providers.SuperSaaS, "GET /api/users.json", true}, {providers.SuperSaaS, "PUT /api/users/1.json", true}, {providers.SuperSaaS, "DELETE /api/users/1.json", true},
		{providers.SuperSaaS, "POST /api/hooks", false}, {providers.SuperSaaS, "DELETE /api/hooks", false}, {providers.SuperSaaS, "POST /API/Hooks", false},
		{providers.SuperSaaS, "GET /api/login", false}, {providers.SuperSaaS, "POST /api/users/../hooks", false}, {providers.SuperSaaS, "POST /api//hooks", false},
		{providers.Yappli, "POST /api/ext/token", true}, {providers.Yappli, "GET /api/ext/check/HO-1", false}, {providers.Yappli, "GET /API/EXT/CHECK/HO-1", false},
		{providers.SHOPLINE, "POST /developers/oauth/token", false}, {providers.SHOPLINE, "GET /developers/oauth/authorize", false}, {providers.SHOPLINE, "GET /v1/token/info", true},
	} {
		door := map[string]*account{providers.SuperSaaS: pageDoor, providers.Yappli: appDoor, providers.SHOPLINE: shopDoor}[c.provider]
		door.mu.Lock()
		before := strings.Count(strings.Join(door.asked, "\n"), c.request)
		door.mu.Unlock()
		status, answer := throughDoor(t, s, c.provider, c.request)
		door.mu.Lock()
		arrived := strings.Count(strings.Join(door.asked, "\n"), c.request) > before
		door.mu.Unlock()
		if arrived != c.passes || (status == http.StatusForbidden && strings.Contains(answer, "hikyaku dev")) == c.passes {
			t.Errorf("%s %s: arrived %v, and was answered %d %.120s", c.provider, c.request, arrived, status, answer)
		}
	}
}
