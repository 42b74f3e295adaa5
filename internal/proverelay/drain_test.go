package proverelay

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
	"hikyaku/pkg/providers"
)

// traffic records what was sent to the providers, and when it arrived.
type traffic struct {
	mu       sync.Mutex
	arrivals map[string][]time.Time // by provider
	single   map[string]int         // the relay's requests to Yappli, by method: all that are no list
	refused  int
}

func (c *traffic) watch(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(q *http.Request) (*http.Response, error) {
		provider, _, _ := strings.Cut(q.URL.Host, ".")
		c.note(provider, q)
		answer, err := next.RoundTrip(q)
		if err == nil && answer.StatusCode == http.StatusTooManyRequests {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.refused++
		}
		return answer, err
	})
}

func (c *traffic) note(provider string, q *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if strings.HasSuffix(q.URL.Path, "/token") {
		return
	}
	c.arrivals[provider] = append(c.arrivals[provider], time.Now())
	if provider == providers.Yappli && (q.Method != http.MethodGet || q.URL.Path != "/api/ext/users") {
		c.single[q.Method]++
	}
}

// reset forgets everything so far.
func (c *traffic) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.arrivals, c.single, c.refused = map[string][]time.Time{}, map[string]int{}, 0
}

// peak is the most requests to a provider in any ten seconds.
func (c *traffic) peak(provider string) (most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := 0
	for i, at := range c.arrivals[provider] {
		for at.Sub(c.arrivals[provider][first]) >= 10*time.Second {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// Sandboxes refuse more than ten times the limit and a request for each
// running instance in any ten seconds: four workers and two exports.
const (
	workers = 4
	exports = 2
	most    = 2*10 + workers + exports
)

// A drained is what was seen while a backlog went.
type drained struct {
	traffic

	changed, added int
	took           time.Duration
}

// drain lets a backlog of n changed users and some new ones go, with exports
// running beside it on their share of both accounts.
func drain(t *testing.T, n int, lookup bool, vars map[string]string) *drained {
	t.Helper()
	d := &drained{changed: n, added: n / 10}
	d.reset()
	o := options{users: n, members: 40, workers: workers, spare: workers + exports, latency: 300 * time.Millisecond, vars: vars, lookup: lookup, providers: d.watch}
	inBubble(t, o, func(r *rig) {
		r.backlog(d.added)
		r.export()
		d.reset()
		r.poll()
		d.took = r.drained(48 * time.Hour)
		if faults := r.wrong(r.ids()); len(faults) > 0 {
			t.Errorf("%d users are wrong: %.300q", len(faults), faults)
		}
	})
	return d
}

func TestDrain(t *testing.T) {
	prove.Heavy(t)
	t.Parallel()
	n := prove.Size(10_000, 500)
	d := drain(t, n, false, nil)
	// The template's share is half of two requests a second: one.
	used := float64(d.changed+d.added) / d.took.Seconds()
	prove.Figure(t, used >= 0.95, fmt.Sprintf("backlog of %d changed and %d new users, %d workers, %d exports beside them", d.changed, d.added, workers, exports),
		"at least 95 % of the share's rate", "%.1f %% in %s", 100*used, d.took.Round(time.Second))
	prove.Figure(t, d.single["PUT"] == d.changed && d.single["POST"] == d.added && d.single["GET"] == 0, "the backlog's requests to Yappli", "one for a changed user, two for a new one",
		"%d PUT, %d POST, %d GET", d.single["PUT"], d.single["POST"], d.single["GET"])
	for _, provider := range []string{providers.Yappli, providers.SuperSaaS} {
		bar := map[string]int{providers.Yappli: most, providers.SuperSaaS: most + 2*10}[provider]
		prove.Figure(t, d.peak(provider) <= bar && d.refused == 0, "requests in any ten seconds, "+provider, fmt.Sprintf("%d, and the sandbox refuses more", bar),
			"at most %d, %d refused", d.peak(provider), d.refused)
	}
	d = drain(t, prove.Size(1000, 50), true, nil)
	prove.Figure(t, d.single["PUT"] == d.changed && d.single["POST"] == d.added && d.single["GET"] == d.added, "the same where the tenant has the look-up", "one for a changed user, three for a new one",
		"%d PUT for %d, %d POST and %d GET for %d", d.single["PUT"], d.changed, d.single["POST"], d.single["GET"], d.added)
}

// Workers that each take the whole share for theirs are refused.
func TestDrain_WithoutDividingTheShare(t *testing.T) {
	t.Parallel()
	prove.Heavy(t)
	d := drain(t, prove.Size(1000, 100), false, map[string]string{"HIKYAKU_INSTANCES": "1"})
	prove.Figure(t, d.refused > 0, "guard removed: a share that is not divided among the instances", "must be refused",
		"%d requests refused", d.refused)
}

// backlog brings both sides together, then changes every user and adds some,
// while nobody relays.
func (r *rig) backlog(added int) {
	r.Helper()
	for _, id := range r.ids() {
		raw, _ := r.shop.User(id)
		fields, _ := wish(raw)
		fields["unique_id"] = fmt.Sprintf("ss-%d", id)
		r.put(fields)
	}
	if report := r.reconcile(); report.Sent != 0 {
		r.Fatalf("first reconcile: %+v", report)
	}
	for i, id := range r.ids() {
		r.shop.ChangeUser(id, map[string]any{"full_name": fmt.Sprintf("改姓 %05d", i)})
	}
	for i := range added {
		r.shop.AddUser(map[string]any{"name": fmt.Sprintf("new%05d@mail.example", i), "full_name": fmt.Sprintf("新規 %05d", i), "email": fmt.Sprintf("new%05d@mail.example", i)})
	}
}

// export runs export after export of both accounts until the rig ends.
func (r *rig) export() {
	for _, dataset := range []string{"yappli/users", "supersaas/users"} {
		r.running.Go(func() {
			for run := time.Now(); r.ctx.Err() == nil; {
				event := fmt.Sprintf(`{"action":"extract","dataset":%q,"scheduled_time":%q}`, dataset, run.UTC().Format(time.RFC3339))
				result, err := r.aws.Invoke(r.ctx, localstack.Export, []byte(event))
				if r.ctx.Err() == nil && (err != nil || result.Error != "") {
					r.Errorf("export: %s, %v", result.Payload, err)
				}
				if !strings.Contains(string(result.Payload), `"continue"`) {
					run = run.Add(time.Minute)
				}
			}
		})
	}
}

// lowerLimit lets a backlog go to an account that allows half of what the
// settings say, and returns which part of the requests it refused, and which of
// those that it allows were made.
func lowerLimit(t *testing.T, n int, cold bool) (refused, used float64) {
	t.Helper()
	const allowed = 0.5
	seen := &traffic{}
	seen.reset()
	inBubble(t, options{users: n, members: 40, workers: workers, spare: 1, allowed: allowed, latency: 300 * time.Millisecond, providers: seen.watch}, func(r *rig) {
		r.relays.cold = cold
		r.backlog(0)
		seen.reset()
		r.poll()
		took := r.drained(5 * day)
		used, refused = float64(n)/took.Seconds()/allowed, float64(seen.refused)/float64(seen.single["PUT"])
		if faults := r.wrong(r.ids()); len(faults) > 0 || r.waiting(dead) > 0 {
			t.Errorf("%d dead letters, %d users are wrong: %.300q", r.waiting(dead), len(faults), faults)
		}
	})
	return refused, used
}

func TestDrain_LowerLimit(t *testing.T) {
	prove.Heavy(t)
	t.Parallel()
	// A short run learns for much of its time, and its last messages wait out pauses of
	// up to an hour: how much it makes is a matter of chance, from 35 to 101 %.
	most, least := float64(prove.Size(5, 10))/100, float64(prove.Size(70, 25))/100
	refused, used := lowerLimit(t, prove.Size(2000, 1000), false)
	prove.Figure(t, used >= least && refused <= most, "an account that allows half of the relay's share", "at full size at most 5 % of the requests refused, 70 % of those it allows made",
		"%.1f %% refused, %.1f %% made", 100*refused, 100*used)
	refused, used = lowerLimit(t, prove.Size(500, 100), true)
	prove.Figure(t, used < 0.7 && refused > most, "guard removed: what was refused is forgotten", "must be refused more, and make less of it", "%.1f %% refused, %.1f %% made", 100*refused, 100*used)
}
