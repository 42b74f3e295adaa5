package provetokens

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/prove"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

// A trial is one credential on its own rig, seen through the handler alone.
type trial struct {
	*rig

	provider string
	function *refreshfn.Function
	out      bytes.Buffer // logs and measurements
	seen     int          // events
	silent   bool         // token endpoints state no end
}

var lives = regexp.MustCompile(`"(expires_in|refresh_expires_in|expireTime)":[^,}]*`)

// RoundTrip asks a provider, whose answer states no end if it is to be silent.
func (x *trial) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := toProviders{x.rig}.RoundTrip(r)
	if err != nil || !x.silent || !strings.HasPrefix(tokenRoutes[x.provider], r.Method+" "+r.URL.Path) {
		return answer, err
	}
	body, err := io.ReadAll(answer.Body)
	body = lives.ReplaceAll(body, []byte(`"$1":null`))
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return answer, err
}

// inTrial runs a test with one connection, in virtual time. change makes the
// connection from what the sandbox offers.
func inTrial(t *testing.T, provider string, change func(*rig, *providers.Connection), test func(*trial)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		x := &trial{rig: newRig(t, sandbox.Options{Seed: seed(), Records: 3, Rate: -1}, awslocal.Options{}), provider: provider}
		defer func() { _ = x.aws.Close() }()
		e := x.environ("shop", &x.out)
		e.HTTP = x
		var err error
		if x.function, err = refreshfn.New(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		c := x.sandboxes[provider].Connection(base(provider))
		if change != nil {
			change(x.rig, &c)
		}
		x.connect("shop", c)
		test(x)
	})
}

// ask invokes the handler for the trial's provider.
func (x *trial) ask() tokenrefresh.Result {
	x.t.Helper()
	answer, err := invoke(x.t.Context(), x.function, fmt.Appendf(nil, `{"provider":%q}`, x.provider))
	var report tokenrefresh.Report
	if err != nil || json.Unmarshal(answer, &report) != nil || len(report.Results) != 1 {
		x.t.Fatalf("answer %s, %v", answer, err)
	}
	return report.Results[0]
}

// force is a person who replaces the trial's credential on the command line.
func (x *trial) force() tokenrefresh.Result {
	x.t.Helper()
	report, err := x.function.Refresher().Run(x.t.Context(), tokenrefresh.Request{Provider: x.provider, Force: true})
	if err != nil || len(report.Results) != 1 {
		x.t.Fatalf("report %+v, %v", report, err)
	}
	return report.Results[0]
}

// tick is one of the schedule's.
func (x *trial) tick() { _, _ = invoke(x.t.Context(), x.function, schedule) }

// reconnect is a person who stores another connection.
func (x *trial) reconnect(c providers.Connection) {
	put(x.t, x.aws.Secrets, "shop/"+x.provider+"/connection", c.Document())
}

// told returns the types of the events since it was last called.
func (x *trial) told() string {
	var types []string
	events := x.aws.Events()
	for _, e := range events[x.seen:] {
		types = append(types, strings.TrimPrefix(e.DetailType, "credential "))
	}
	x.seen = len(events)
	return strings.Join(types, " ")
}

// measured reports whether a metric was measured since it was last called.
func (x *trial) measured(metric string) bool {
	defer x.out.Reset()
	return strings.Contains(x.out.String(), `"Name":"`+metric+`"`)
}

func (x *trial) asked() int { return x.sandboxes[x.provider].Count(tokenRoutes[x.provider]) }

// appWith is a change that makes SHOPLINE's connection the app's.
func appWith(change func(*providers.Connection)) func(*rig, *providers.Connection) {
	return func(g *rig, c *providers.Connection) {
		if *c = g.app(); change != nil {
			change(c)
		}
	}
}

// TestProvePeople shows each state that only a person repairs: it is told and
// measured within one tick, told once, and its end is told once.
func TestProvePeople(t *testing.T) {
	t.Parallel()
	wrong := []providers.Secret{providers.NewSecret("wrong-secret")}
	states := []struct {
		outcome  protocol.Outcome
		provider string
		change   func(*rig, *providers.Connection)
		fault    sandbox.FaultKind // of the token endpoint
	}{
		{protocol.Refused, providers.Yappli, func(_ *rig, c *providers.Connection) { c.ClientSecrets = wrong }, ""},
		{protocol.Refused, providers.ActiBook, func(_ *rig, c *providers.Connection) { c.ClientSecrets = wrong }, ""},
		{protocol.Denied, providers.SuperSaaS, func(_ *rig, c *providers.Connection) { c.APIKey = wrong[0] }, ""},
		{protocol.Unconfigured, providers.SHOPLINE, appWith(func(c *providers.Connection) { c.Code = providers.Secret{} }), ""},
		{protocol.InDoubt, providers.SHOPLINE, appWith(nil), sandbox.Lost},
		{protocol.InDoubt, providers.AssistTencho, nil, sandbox.Lost},
	}
	once, measured, recovered := 0, 0, 0
	for _, s := range states {
		inTrial(t, s.provider, s.change, func(x *trial) {
			if s.fault != "" {
				x.sandboxes[s.provider].Inject(sandbox.Fault{Kind: s.fault, Route: tokenRoutes[s.provider]})
			}
			x.tick()
			if x.measured("NeedsHuman") {
				measured++
			}
			for range 3 {
				time.Sleep(time.Minute)
				x.tick()
			}
			if result := x.ask(); result.Outcome != s.outcome {
				t.Errorf("%s: %q (%s), want %q", s.provider, result.Outcome, result.Reason, s.outcome)
			}
			if told := x.told(); told == protocol.NeedsHuman {
				once++
			} else {
				t.Errorf("%s, %s: told %q", s.provider, s.outcome, told)
			}
			c := x.sandboxes[s.provider].Connection(base(s.provider))
			if s.provider == providers.SHOPLINE {
				c = x.app()
			}
			x.reconnect(c) // a new code, or the right secret
			for range 3 {
				time.Sleep(time.Minute)
				x.tick()
			}
			if told := x.told(); told == protocol.Recovered && x.ask().Outcome == protocol.Fresh {
				recovered++
			} else {
				t.Errorf("%s, %s, mended: told %q", s.provider, s.outcome, told)
			}
		})
	}
	all := len(states)
	figure(t, once == all && measured == all, "needs_human: refused, denied, unconfigured and in doubt, told once and measured within one tick", "all", "%d and %d of %d", once, measured, all)
	figure(t, recovered == all, "recovered: told once after a person's act", "all", "%d of %d", recovered, all)
}

// TestProveUnknownExpiry: an end that is not stated is a state of its own. It
// is shown as unknown, measured where one is promised, and does not mean for
// ever.
func TestProveUnknownExpiry(t *testing.T) {
	t.Parallel()
	renewed := map[string]time.Duration{providers.Yappli: 12 * time.Hour, providers.SHOPLINE: 152 * day} // an ActiBookOne token says itself when it ends
	unknown, measured, due, quiet := 0, 0, 0, 0
	for provider, age := range renewed {
		inTrial(t, provider, func(g *rig, c *providers.Connection) {
			if provider == providers.SHOPLINE {
				*c = g.app()
			}
		}, func(x *trial) {
			x.silent = true
			if result := x.ask(); result.Outcome == protocol.Refreshed && result.ExpiresAt == nil {
				unknown++
			} else {
				t.Errorf("%s: %+v", provider, result)
			}
			if !strings.Contains(x.out.String(), "SecondsToExpiry") && x.measured("UnknownExpiry") {
				measured++
			}
			time.Sleep(age)
			if result := x.ask(); result.Outcome == protocol.Refreshed {
				due++
			} else {
				t.Errorf("%s at the age of %s: %+v", provider, age, result)
			}
		})
	}
	static := []string{providers.SuperSaaS, providers.SHOPLINE, providers.AssistTencho}
	for _, provider := range static {
		inTrial(t, provider, nil, func(x *trial) {
			if result := x.ask(); result.Outcome == protocol.Refreshed && result.ExpiresAt == nil && !x.measured("UnknownExpiry") {
				quiet++
			} else {
				t.Errorf("%s: %+v", provider, result)
			}
		})
	}
	figure(t, unknown == len(renewed) && measured == len(renewed) && due == len(renewed), "unknown expiry where one is promised: shown as unknown, measured, replaced at the assumed age", "all", "%d, %d, %d of %d", unknown, measured, due, len(renewed))
	figure(t, quiet == len(static), "unknown expiry where none is promised: shown as unknown, no alarm", "all", "%d of %d", quiet, len(static))
}

// TestProveBudget forces a replacement each minute for a day. With the
// remembered writes removed before each, nothing stops them.
func TestProveBudget(t *testing.T) {
	t.Parallel()
	runs := prove.Sample(150, 40)
	spend := func(x *trial) (refused int) {
		for range runs {
			if x.force().Outcome == protocol.OverBudget {
				refused++
			}
			time.Sleep(time.Minute)
		}
		return refused
	}
	inTrial(t, providers.ActiBook, nil, func(x *trial) {
		refused, asked := spend(x), x.asked()
		told := strings.Contains(x.out.String(), "6 versions written in 24 hours")
		figure(t, asked <= 6 && refused == runs-asked && told, fmt.Sprintf("version budget: calls of the token endpoint in %d forced runs", runs), "6, the others refused before the call, and said so", "%d, %d refused", asked, refused)
		time.Sleep(day)
		if result := x.force(); result.Outcome != protocol.Refreshed {
			t.Errorf("a day later: %+v", result)
		}
	})
	inTrial(t, providers.ActiBook, nil, func(x *trial) {
		x.called = func(step string) {
			if strings.HasPrefix(step, "aws PUT ") && strings.HasSuffix(step, "/state/tokens/"+providers.ActiBook) { // forget what was written
				x.forget()
			}
		}
		spend(x)
		figure(t, x.asked() > 6, "guard removed: writes are not remembered, calls of the token endpoint", "must be more than 6", "%d", x.asked())
	})
}

// forget takes the remembered writes out of the stored state.
func (x *trial) forget() {
	key := "http://aws.local/" + awslocal.Bucket + "/shop/state/tokens/" + x.provider
	request, err := http.NewRequestWithContext(x.t.Context(), http.MethodDelete, key, nil)
	if err != nil {
		x.t.Fatal(err)
	}
	answer, err := x.aws.Client().Do(request)
	if err != nil {
		x.t.Fatal(err)
	}
	_ = answer.Body.Close()
}

// TestProveClientSecrets rotates a client's secret: the list is tried in
// order, and a secret that is refused spends nothing.
func TestProveClientSecrets(t *testing.T) {
	t.Parallel()
	list := func(texts ...string) (secrets []providers.Secret) {
		for _, text := range texts {
			secrets = append(secrets, providers.NewSecret(text))
		}
		return secrets
	}
	const other = "the-other-client-secret"
	served, spent, refused := 0, 0, 0
	owners := []string{providers.Yappli, providers.ActiBook, providers.SHOPLINE, providers.AssistTencho}
	for _, provider := range owners {
		for _, order := range []string{"wrong first", "right first", "only wrong"} {
			change := func(g *rig, c *providers.Connection) {
				if provider == providers.SHOPLINE {
					*c = g.app()
				}
				right := c.ClientSecrets[0].Reveal()
				c.ClientSecrets = map[string][]providers.Secret{
					"wrong first": list(other, right), "right first": list(right, other), "only wrong": list(other),
				}[order]
			}
			inTrial(t, provider, change, func(x *trial) {
				result := x.ask()
				calls := map[string]int{"wrong first": 2, "right first": 1, "only wrong": 1}[order]
				switch {
				case x.asked() != calls:
					t.Errorf("%s, %s: %d calls of the token endpoint", provider, order, x.asked())
				case order == "only wrong" && result.Outcome == protocol.Refused:
					refused++
				case order != "only wrong" && result.Outcome == protocol.Refreshed:
					served++
				default:
					t.Errorf("%s, %s: %+v", provider, order, result)
				}
				spent += redemptions(x.sandboxes[provider])
			})
		}
	}
	n := len(owners)
	figure(t, served == 2*n && spent == 2*n, "client secrets in rotation, tried in order: new credentials served, redeemed once", fmt.Sprintf("%d", 2*n), "%d, %d", served, spent)
	figure(t, refused == n, "guard removed: without the second secret, refused", "all", "%d of %d", refused, n)
}
