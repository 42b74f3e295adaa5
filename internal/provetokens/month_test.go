package provetokens

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/prove"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/actibook/actibooktest"
	"hikyaku/pkg/providers/assisttencho/assisttenchotest"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline/shoplinetest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

const (
	day       = 24 * time.Hour
	outage    = 30 * time.Minute // of a provider
	look      = 5 * time.Second  // between two looks of a reader at a token near its end; else a minute
	skew      = 2 * time.Minute  // between the clocks of refresher, providers and readers
	pairLife  = 15778476 * time.Second
	pairAhead = 30 * day
)

// A month is simulated days of two stacks: one with a SHOPLINE app and all
// other providers, one with a SHOPLINE staff token alone.
type month struct {
	*rig

	days     time.Duration
	variant  variant
	cadence  cadence
	refresh  []*refreshfn.Function // of both stacks
	started  time.Time
	random   *rand.Rand
	timeLock sync.Mutex
	issued   map[string]time.Time // access tokens, by when the provider made them
	outages  map[string][]span
	armed    map[string]bool // the next call of the token endpoint begins an outage
	runs     int
	failed   int
	helped   int
	versions map[string]map[string]time.Time // of each secret, by id
	report   monthReport
}

// A variant is how the providers and the people of a month behave.
type variant struct {
	name    string
	revokes bool          // a new token ends the old ones
	ask     bool          // readers whose token is refused ask for another
	staff   bool          // a second stack has a SHOPLINE staff token
	ahead   time.Duration // of the providers' clocks
	every   time.Duration // tick; 0: as template.yaml says
	only    string        // the one provider that is connected; empty: all
}

type span struct{ from, to time.Time }

type monthReport struct {
	mu      sync.Mutex
	expired map[string][]span // when a reader held only an expired token
	unusual map[string]time.Duration
}

// TestProveMonth simulates 30 days of the real cadence through the handlers.
func TestProveMonth(t *testing.T) {
	t.Parallel()
	for i, v := range []variant{
		{name: "new revokes old", revokes: true, ask: true, ahead: -skew},
		{name: "old token lives on", ahead: skew, staff: true},
	}[:prove.Sample(2, 1)] {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			began, worked := time.Now(), cpu()
			days := time.Duration(size(30*24, prove.Sample(36, 24))) * time.Hour
			synctest.Test(t, func(t *testing.T) {
				m := newMonth(t, days, v, random(uint64(101-i)))
				m.run()
				m.judge()
			})
			took, work := time.Since(began), cpu()-worked
			figure(t, !full() || took < time.Minute || work < time.Minute, "month, "+v.name+", real time", "under 60 s, or that much CPU time where others use the machine",
				"%.1f s, %.1f s of CPU time, for %s", took.Seconds(), work.Seconds(), inDays(days))
		})
	}
}

// TestProveMonth_WithFewerTicks repeats ActiBookOne's part with a tick each
// five minutes.
func TestProveMonth_WithFewerTicks(t *testing.T) {
	t.Parallel()
	prove.Heavy(t)
	synctest.Test(t, func(t *testing.T) {
		v := variant{name: "ticks of 5 minutes", every: 5 * time.Minute, only: providers.ActiBook, ahead: skew}
		m := newMonth(t, time.Duration(size(10*24, 24))*time.Hour, v, random(5))
		m.run()
		_, late, _ := m.interruptions()
		figure(t, late > 90*time.Second, "guard removed: month of "+inDays(m.days)+", "+v.name+", actibook, over after recovery", "must be more than 90 s", "%.0f s", late.Seconds())
	})
}

// A cadence is how often template.yaml has the function invoked.
type cadence struct {
	tick    time.Duration
	retries int // by Lambda, after one minute and then after two
}

// templateCadence reads what is deployed.
func templateCadence(t *testing.T) (c cadence) {
	t.Helper()
	template := prove.ReadTemplate(t, filepath.Join("..", ".."))
	c.retries = template.Number(t, "Resources", "TokenRefreshScheduleInvokeConfig", "Properties", "MaximumRetryAttempts")
	rate := template.Value(template.At("Resources", "TokenRefreshTick", "Properties", "ScheduleExpression"))
	var minutes int
	if _, err := fmt.Sscanf(rate, "rate(%d minute", &minutes); err != nil {
		t.Fatalf("template.yaml: the schedule is %q: %v", rate, err)
	}
	c.tick = time.Duration(minutes) * time.Minute
	return c
}

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func inDays(d time.Duration) string { return fmt.Sprintf("%.3g days", d.Hours()/24) }

func newMonth(t *testing.T, days time.Duration, v variant, r *rand.Rand) *month {
	theirs := func() time.Time { return time.Now().Add(v.ahead) }
	g := newRig(t, sandbox.Options{Seed: seed(), Records: 20, Now: theirs}, awslocal.Options{Now: theirs})
	m := &month{
		rig: g, days: days, variant: v, cadence: templateCadence(t), random: r, issued: map[string]time.Time{}, outages: map[string][]span{}, armed: map[string]bool{},
		versions: map[string]map[string]time.Time{},
		report:   monthReport{expired: map[string][]span{}, unusual: map[string]time.Duration{}},
	}
	m.cadence.tick = cmp.Or(v.every, m.cadence.tick)
	latency := rand.New(rand.NewPCG(seed(), 7))
	g.latency = func() time.Duration {
		m.timeLock.Lock()
		defer m.timeLock.Unlock()
		return time.Duration(3+latency.IntN(40)) * time.Millisecond
	}
	g.before, g.after = m.beginOutage, m.noteToken
	m.yappli().Tokens.NewRevokesOld, m.actibook().Tokens.NewRevokesOld = v.revokes, v.revokes
	m.shopline().Tokens.NewRevokesOld, m.assist().Tokens.NewRevokesOld = v.revokes, v.revokes
	m.refresh = []*refreshfn.Function{g.refresher("shop", io.Discard)}
	if v.staff {
		m.refresh = append(m.refresh, g.refresher("staff", io.Discard))
	}
	return m
}

func (m *month) yappli() *yapplitest.Server {
	return m.sandboxes[providers.Yappli].(*yapplitest.Server) //nolint:forcetypeassert // NewSandbox made it
}

func (m *month) actibook() *actibooktest.Server {
	return m.sandboxes[providers.ActiBook].(*actibooktest.Server) //nolint:forcetypeassert // NewSandbox made it
}

func (m *month) shopline() *shoplinetest.Server {
	return m.sandboxes[providers.SHOPLINE].(*shoplinetest.Server) //nolint:forcetypeassert // NewSandbox made it
}

func (m *month) assist() *assisttenchotest.Server {
	return m.sandboxes[providers.AssistTencho].(*assisttenchotest.Server) //nolint:forcetypeassert // NewSandbox made it
}

// run lives through the days.
func (m *month) run() {
	defer func() { _ = m.aws.Close() }()
	// The app's pair is so old that its one redemption falls into the days.
	if m.variant.only == "" {
		m.connect("shop", m.app())
	}
	m.tick()
	time.Sleep(pairLife - pairAhead - m.days/4)
	m.started = time.Now()
	if m.variant.staff {
		m.shopline().GenerateToken(m.started.Add(30*day+12*time.Hour+m.variant.ahead), "/v1/token/info")
		m.connect("staff", m.shopline().Connection(base(providers.SHOPLINE)))
	}
	for _, name := range providers.Names() {
		if name != providers.SHOPLINE && (m.variant.only == "" || m.variant.only == name) {
			m.connect("shop", m.sandboxes[name].Connection(base(name)))
		}
	}
	m.tick()
	m.plan()
	ctx, end := context.WithDeadline(m.t.Context(), m.started.Add(m.days))
	defer end()
	var all sync.WaitGroup
	for _, name := range providers.Names() {
		if m.variant.only != "" && m.variant.only != name {
			continue
		}
		m.sandboxes[name].SetFaults(errorsOf(0.01))
		all.Go(func() { m.read(ctx, "shop", name) })
		all.Go(func() { m.suffer(ctx, name) })
	}
	if m.variant.staff {
		all.Go(func() { m.read(ctx, "staff", providers.SHOPLINE) })
	}
	all.Go(func() { m.help(ctx) })
	m.keepTime(ctx)
	all.Wait()
	m.count()
}

// keepTime ticks at the cadence, and repeats failed runs as Lambda does.
func (m *month) keepTime(ctx context.Context) {
	next := time.Now().Truncate(m.cadence.tick).Add(m.cadence.tick)
	type repeat struct {
		at    time.Time
		tries int
	}
	var repeats []repeat
	for n := 0; ctx.Err() == nil; n++ {
		this := repeat{at: next}
		if i := slices.IndexFunc(repeats, func(r repeat) bool { return r.at.Before(next) }); i >= 0 {
			this = repeats[i]
			repeats = slices.Delete(repeats, i, i+1)
		} else {
			next = next.Add(m.cadence.tick)
		}
		time.Sleep(time.Until(this.at))
		if this.tries++; m.tick() && this.tries <= m.cadence.retries {
			repeats = append(repeats, repeat{time.Now().Add(time.Duration(this.tries) * time.Minute), this.tries})
		}
		if n%60 == 0 {
			m.count()
		}
	}
}

// tick runs both stacks as the schedule does.
func (m *month) tick() (failed bool) {
	faults := make([]error, len(m.refresh))
	var all sync.WaitGroup
	for i, f := range m.refresh {
		all.Go(func() { _, faults[i] = invoke(m.t.Context(), f, schedule) })
	}
	all.Wait()
	for _, err := range faults {
		m.runs++
		if err != nil {
			m.failed++
			failed = true
		}
	}
	return failed
}

// errorsOf divides a chance of an error among its kinds.
func errorsOf(p float64) sandbox.Faults {
	return sandbox.Faults{TooMany: p / 5, ServerFail: 2 * p / 5, Dropped: p / 5, Lost: p / 10, Reset: p / 10}
}

// help is the person who reads events in the morning: where the app's one
// redemption was left in doubt, they decide that it be tried again.
func (m *month) help(ctx context.Context) {
	seen := 0
	for ctx.Err() == nil {
		time.Sleep(2 * time.Hour)
		events := m.aws.Events()
		for _, e := range events[seen:] {
			if e.DetailType == "credential "+protocol.NeedsHuman && strings.Contains(string(e.Detail), providers.SHOPLINE) {
				_, _ = m.refresh[0].Refresher().Run(ctx, tokenrefresh.Request{Provider: providers.SHOPLINE, Force: true, ResendInDoubt: true})
				m.helped++
			}
		}
		seen = len(events)
	}
}

// plan draws three outages of each provider at random, and arms one at the
// worst phase: it begins with a call of the token endpoint.
func (m *month) plan() {
	for _, name := range providers.Names() {
		for range 3 {
			from := m.started.Add(time.Duration(m.random.Int64N(int64(m.days - outage))))
			m.outages[name] = append(m.outages[name], span{from, from.Add(outage)})
		}
		m.armed[name] = true
	}
}

// beginOutage lets an armed outage begin when the provider's token endpoint
// is about to be called, or, where there is none to call, with any call.
func (m *month) beginOutage(provider string, r *http.Request) {
	m.timeLock.Lock()
	defer m.timeLock.Unlock()
	renewed := provider == providers.Yappli || provider == providers.ActiBook || provider == providers.SHOPLINE
	if !m.armed[provider] || time.Since(m.started) < time.Hour || renewed && !strings.HasPrefix(tokenRoutes[provider], r.Method+" "+r.URL.Path) {
		return
	}
	m.armed[provider] = false
	now := time.Now()
	if slices.ContainsFunc(m.outages[provider], func(s span) bool { return now.Add(outage).After(s.from) && now.Before(s.to.Add(outage)) }) {
		m.armed[provider] = true // too near to another
		return
	}
	m.outages[provider] = append(m.outages[provider], span{now, now.Add(outage)})
	m.sandboxes[provider].SetFaults(sandbox.Faults{ServerFail: 1})
}

// suffer makes the outages happen. Into the first attempt after every other
// one an error is injected.
func (m *month) suffer(ctx context.Context, provider string) {
	out, ended := false, 0
	for ctx.Err() == nil {
		now := time.Now()
		faults, next := errorsOf(0.01), now.Add(5*time.Minute)
		m.timeLock.Lock()
		for _, s := range m.outages[provider] {
			if !now.Before(s.from) && now.Before(s.to) {
				faults, next = sandbox.Faults{ServerFail: 1}, s.to
				break
			}
			if s.from.After(now) && s.from.Before(next) {
				next = s.from
			}
		}
		m.sandboxes[provider].SetFaults(faults)
		if out && faults.ServerFail < 1 {
			if ended++; ended%2 == 0 {
				m.sandboxes[provider].Inject(sandbox.Fault{Kind: sandbox.ServerFail})
			}
		}
		out = faults.ServerFail == 1
		m.timeLock.Unlock()
		time.Sleep(time.Until(next))
	}
}

// noteToken remembers when the provider made a token, and injected errors.
func (m *month) noteToken(provider string, _ *http.Request, body []byte) {
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.AccessToken == "" {
		return
	}
	m.timeLock.Lock()
	defer m.timeLock.Unlock()
	m.issued[answer.AccessToken] = time.Now()
}

// life of each provider's tokens; 0: without end.
func (m *month) life(provider string) time.Duration {
	return map[string]time.Duration{providers.Yappli: day, providers.ActiBook: 30 * time.Minute, providers.SHOPLINE: pairLife}[provider]
}

// read is a warm process that reads the token and uses it all the time.
func (m *month) read(ctx context.Context, prefix, provider string) {
	tokens := &secretstore.Tokens{
		Store: m.aws.Secrets, Name: secretstore.Name(prefix, provider, secretstore.TokenPart), Provider: provider,
		Now: func() time.Time { return time.Now().Add(-m.variant.ahead) },
		Replace: func(ctx context.Context, provider, version string) error {
			f := m.refresh[0]
			if prefix == "staff" {
				f = m.refresh[1]
			}
			_, err := invoke(ctx, f, rejected(provider, version))
			return err
		},
	}
	for ctx.Err() == nil {
		from := time.Now()
		token, err := tokens.Token(ctx)
		if err == nil && m.variant.ask && !m.works(provider, token) {
			var other providers.Token
			if other, err = tokens.Rejected(ctx, token); err == nil {
				token = other
			}
		}
		expired := errors.Is(err, providers.ErrUnauthorized) && m.expired(provider, token) || err == nil && m.expired(provider, token)
		refused := !expired && !m.works(provider, token)
		time.Sleep(m.pause(provider, token, refused || err != nil))
		m.report.note(prefix+"/"+provider, expired, refused, span{from, time.Now()})
	}
}

// pause is how long nothing can change for a reader that holds token.
func (m *month) pause(provider string, token providers.Token, unwell bool) time.Duration {
	m.timeLock.Lock()
	defer m.timeLock.Unlock()
	if left := m.life(provider) - time.Since(m.issued[token.Credential.Reveal()]); unwell || m.life(provider) > 0 && left < 2*time.Minute {
		return look
	}
	return time.Minute
}

func (r *monthReport) note(who string, expired, refused bool, s span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if refused {
		r.unusual[who] += s.to.Sub(s.from)
	}
	if !expired {
		return
	}
	spans := r.expired[who]
	if n := len(spans); n > 0 && spans[n-1].to.Equal(s.from) {
		spans[n-1].to = s.to
		return
	}
	r.expired[who] = append(spans, s)
}

// expired says whether a token's life has ended for its provider.
func (m *month) expired(provider string, token providers.Token) bool {
	life := m.life(provider)
	if token.Kind == providers.Static || life == 0 {
		return false
	}
	m.timeLock.Lock()
	defer m.timeLock.Unlock()
	made, known := m.issued[token.Credential.Reveal()]
	return !known || time.Since(made) >= life
}

// works says whether the provider takes a token at all.
func (m *month) works(provider string, token providers.Token) bool {
	return valid(m.sandboxes[provider], token)
}

// count takes notice of every version of every secret.
func (m *month) count() {
	for _, entry := range m.aws.Secrets.Entries() {
		if m.versions[entry.Name] == nil {
			m.versions[entry.Name] = map[string]time.Time{}
		}
		for _, v := range entry.Versions {
			m.versions[entry.Name][v.ID] = v.Created
		}
	}
}
