package proveexport

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/export"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/exportfn"
	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

// A road lies between a function and its provider: no two requests take the
// same time on it, there or back.
type road struct {
	to      http.RoundTripper
	latency time.Duration        // there and back; 0: 40 ms
	answer  func(*http.Response) // on the way back; nil: left alone

	mu     sync.Mutex
	chance *rand.Rand
	passed int // once there, once back
}

// RoundTrip takes half of the latency each way, up to 10 ms more or less.
func (r *road) RoundTrip(request *http.Request) (*http.Response, error) {
	r.travel()
	answer, err := r.to.RoundTrip(request)
	r.travel()
	if err == nil && r.answer != nil {
		r.answer(answer)
	}
	return answer, err
}

func (r *road) travel() {
	r.mu.Lock()
	took := cmp.Or(r.latency, 40*time.Millisecond)/2 + time.Duration(r.chance.Int64N(int64(20*time.Millisecond))) - 10*time.Millisecond
	r.passed++
	r.mu.Unlock()
	time.Sleep(took)
}

// A paced is how runs share an account, and what they made of its rate.
type paced struct {
	runs             int
	believed, really float64 // requests per second
	answer           func(*http.Response)

	used, refused float64 // shares: of what was allowed, of all requests
	requests      int
}

// run exports with functions of their own, in virtual time, from a sandbox that
// refuses whatever is above its rate in any sliding second.
func (p *paced) run(t *testing.T) {
	t.Helper()
	const page = 2
	sandbox := yapplitest.New(sandbox.Options{
		Seed: seed(), Records: page * sized(4000, prove.Sample(1000, 500)) / p.runs, Rate: p.really, Faults: sandbox.Faults{RetryAfter: "1"},
	})
	local, err := awslocal.New(awslocal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = local.Close() }()
	secret := secretstore.Name(localstack.Prefix, providers.Yappli, secretstore.TokenPart)
	if err := local.Secrets.Create(t.Context(), secret, uuid.NewString(), sandbox.Token("https://yappli.test").Document()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var all sync.WaitGroup
	for n := range p.runs {
		f, err := exportfn.New(t.Context(), lambdafn.Environ{
			Out: io.Discard, AWS: local.Client().Transport,
			HTTP: &road{to: sandbox.Client().Transport, answer: p.answer, chance: random(uint64(n))},
			Vars: map[string]string{
				"HIKYAKU_PREFIX": localstack.Prefix, "HIKYAKU_BUCKET": awslocal.Bucket, "AWS_REGION": awslocal.Region,
				"AWS_ENDPOINT_URL": "http://aws.local", "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
				"HIKYAKU_EXPORT_PAGE_SIZE": fmt.Sprint(page + 1), // one row overlaps
				"HIKYAKU_YAPPLI_RATE":      fmt.Sprint(p.believed), "HIKYAKU_YAPPLI_SHARE": fmt.Sprint(0.97 / float64(p.runs)),
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			if _, err := f.Invoke(t.Context(), []byte(event("yappli/users", n))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	took := time.Since(began).Seconds()
	refused := 0
	calls := sandbox.Calls()
	for _, call := range calls {
		if call.Status == http.StatusTooManyRequests {
			refused++
		}
	}
	p.requests, p.refused = len(calls), float64(refused)/float64(len(calls))
	p.used = float64(len(calls)-refused) / (took * p.really)
}

func (p *paced) holds() bool { return p.used >= 0.95 && p.refused <= 0.01 }

func (p *paced) String() string {
	return fmt.Sprintf("%.1f %% used, %.2f %% of %d refused", 100*p.used, 100*p.refused, p.requests)
}

// TestRate tells the functions an account's rate, or twice that.
func TestRate(t *testing.T) {
	for _, p := range []*paced{
		{runs: 1, believed: 20, really: 20}, {runs: 2, believed: 20, really: 20}, {runs: 1, believed: 3, really: 3},
		{runs: 1, believed: 20, really: 10}, {runs: 2, believed: 20, really: 10}, {runs: 1, believed: 4, really: 2},
	} {
		synctest.Test(t, p.run)
		figure(t, p.holds(), fmt.Sprintf("rate, %d at a time that believe in %.0f requests/s where %.0f are allowed", p.runs, p.believed, p.really), "at least 95 % of what is allowed used, at most 1 % refused", "%s", p)
	}
	deaf := &paced{runs: 1, believed: 20, really: 10, answer: func(r *http.Response) {
		if r.StatusCode == http.StatusTooManyRequests {
			r.StatusCode = http.StatusServiceUnavailable
		}
	}}
	synctest.Test(t, deaf.run)
	figure(t, !deaf.holds(), "rate, 1 at a time that believes in 20 requests/s where 10 are allowed, without the learning", "falls short", "%s", deaf)
}

// A pursuit is one way of paging at the template's settings, and what it makes
// of an account that answers late.
type pursuit struct {
	way     string
	ahead   bool              // pages are asked for ahead, so that latency costs nothing
	vars    map[string]string // in place of the template's
	latency time.Duration
	after   bool // the pace counts from an answer, not from a question

	allowed float64 // requests per second
	made    float64 // the same
	answers int
}

// run exports in virtual time, as fast as the settings let it.
func (p *pursuit) run(t *testing.T) {
	t.Helper()
	page := 6
	if p.way == "yappli/users, page" { // of small pages by number, many would hold no row of overlap
		page = 40
	}
	way := ways[slices.IndexFunc(ways, func(w way) bool { return w.name == p.way })]
	a := way.open(sandbox.Options{Seed: seed(), Records: page * sized(400, 200), Rate: -1}, page+1, random(12)) // one row overlaps
	if a.paging.clamp = 0; a.paging.fixed > 0 {
		a.paging.fixed = page
	}
	to := &road{to: &provider{account: a, counts: map[string]int{}, names: ids{a.id, map[string]string{}}}, latency: p.latency, chance: random(13)}
	w := newWorld(t, a, way.dataset, to)
	defer w.close()
	maps.Copy(w.vars, p.vars)
	w.vars["HIKYAKU_EXPORT_DATASETS"] = way.dataset
	number := func(name string) float64 {
		n, err := strconv.ParseFloat(w.vars[name], 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	name := "HIKYAKU_" + strings.ToUpper(a.token.Provider)
	p.allowed = number(name+"_RATE") * number(name+"_SHARE")
	if p.after {
		to.answer = func(*http.Response) { time.Sleep(time.Duration(float64(time.Second) / p.allowed)) }
	}
	if !p.ahead {
		p.allowed = min(p.allowed, 1/p.latency.Seconds())
	}
	event := w.night(1)
	began := time.Now()
	if answer := w.export(event); answer.Status != export.Done {
		t.Errorf("%s: %s %s", p.way, answer.Status, w.reason)
	}
	p.answers = to.passed / 2
	p.made = float64(p.answers) / time.Since(began).Seconds()
}

func (p *pursuit) holds() bool { return p.made >= 0.95*p.allowed }

func (p *pursuit) String() string {
	return fmt.Sprintf("%.1f %% of %.3f requests/s over %d at %v", 100*p.made/p.allowed, p.allowed, p.answers, p.latency)
}

// TestLatency lets accounts answer late. Pages that are asked for ahead come at
// the allowed rate all the same; where each question needs the answer before it,
// nothing but the latency and the rate may take time.
func TestLatency(t *testing.T) {
	prove.Heavy(t)
	readLoop(t)
	settings := prove.ReadTemplate(t, "../..").Variables(localstack.Resource(localstack.Export))
	for name := range settings {
		if !strings.HasSuffix(name, "_RATE") && !strings.HasSuffix(name, "_SHARE") && name != "HIKYAKU_EXPORT_IN_FLIGHT" {
			delete(settings, name)
		}
	}
	for _, c := range []struct {
		way   string
		ahead bool
	}{
		{"yappli/users, offset", true}, {"supersaas/users", true}, {"yappli/users, page", true},
		{"yappli/users, fixed page", false}, {"shopline/customers", false},
		{"assisttencho/orders, page", false}, {"assisttencho/orders, offset", false},
	} {
		with := func(name, value string) map[string]string {
			vars := maps.Clone(settings)
			vars["HIKYAKU_YAPPLI_SHARE"] = "0.5" // the template's share is so small that nothing would be on its way at once
			if name != "" {
				vars[name] = value
			}
			return vars
		}
		var least *pursuit
		for _, latency := range []time.Duration{2 * time.Second, 500 * time.Millisecond, time.Second, 50 * time.Millisecond}[:sized(4, 1)] {
			p := &pursuit{way: c.way, ahead: c.ahead, vars: with("", ""), latency: latency}
			synctest.Test(t, p.run)
			if least == nil || p.made/p.allowed < least.made/least.allowed {
				least = p
			}
		}
		bar, guard := "at least 95 % of the allowed rate", "one page at a time"
		without := &pursuit{way: c.way, ahead: c.ahead, latency: 2 * time.Second}
		if c.ahead {
			without.vars = with("HIKYAKU_EXPORT_IN_FLIGHT", "1")
		} else {
			bar, guard = "at least 95 % of min(rate, 1/latency)", "a pace that counts from the answer"
			without.vars, without.after = with("", ""), true
		}
		figure(t, least.holds(), "latency up to 2 s, "+c.way, bar, "%s", least)
		synctest.Test(t, without.run)
		figure(t, !without.holds(), "latency of 2 s, "+c.way+", guard removed: "+guard, "falls short", "%s", without)
	}
}
