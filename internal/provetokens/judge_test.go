package provetokens

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
)

// judge prints the figures.
func (m *month) judge() {
	name := fmt.Sprintf("month of %s, %s, ", inDays(m.days), m.variant.name)
	figure(m.t, m.runs >= len(m.refresh)*int(m.days/m.cadence.tick), name+"runs through the handler", fmt.Sprintf("one each %s, as in template.yaml", m.cadence.tick), "%d, %d of them failed, %d decided by a person", m.runs, m.failed, m.helped)
	for _, who := range []string{"shop/yappli", "shop/shopline", "staff/shopline", "shop/assisttencho", "shop/supersaas"} {
		if who == "staff/shopline" && !m.variant.staff {
			continue
		}
		var sum time.Duration
		for _, s := range m.report.expired[who] {
			sum += s.to.Sub(s.from)
		}
		figure(m.t, sum == 0, name+who+", only an expired token", "0 s", "%.0f s", sum.Seconds())
	}
	m.judgeShort(name)
	if m.variant.staff {
		m.judgeWarnings(name)
	}
	m.judgeVersions(name)
	var refused time.Duration
	for who, d := range m.report.unusual {
		m.t.Logf("%s: a token that had not expired was refused for %s", who, d)
		refused += d
	}
	figure(m.t, refused < m.days/144, name+"readers with a revoked token", "under 10 min a day, only where a new token revokes the old", "%.0f s", refused.Seconds())
}

// judgeShort holds ActiBookOne's half-hour tokens against their own bar.
func (m *month) judgeShort(name string) {
	const who = "shop/actibook"
	worst, late, hit := m.interruptions()
	figure(m.t, worst <= outage-10*time.Minute+150*time.Second, name+who+", longest with only an expired token", "outage less the remaining 10 min, and the recovery", "%.0f s, %d times", worst.Seconds(), len(m.report.expired[who]))
	figure(m.t, late <= 90*time.Second && hit <= 150*time.Second, name+who+", over after recovery", "90 s, 150 s where an error hits the first attempt", "%.0f s, %.0f s", late.Seconds(), hit.Seconds())
}

// interruptions finds the longest time with only an expired token, and the
// longest that it lasted after a recovery, without and with an injected error.
func (m *month) interruptions() (worst, late, hit time.Duration) {
	for _, s := range m.report.expired["shop/actibook"] {
		o, found := m.outageBefore(s.from)
		if !found {
			m.t.Errorf("only an expired token from %s for %s without an outage", s.from.Sub(m.started), s.to.Sub(s.from))
			continue
		}
		worst = max(worst, s.to.Sub(s.from))
		if after := s.to.Sub(o.to); m.firstAttemptHit(o.to) {
			hit = max(hit, after)
		} else {
			late = max(late, after)
		}
	}
	return worst, late, hit
}

// outageBefore finds the outage that an interruption belongs to.
func (m *month) outageBefore(at time.Time) (span, bool) {
	for _, o := range m.outages[providers.ActiBook] {
		if !at.Before(o.from) && at.Before(o.to.Add(m.cadence.tick)) {
			return o, true
		}
	}
	return span{}, false
}

// firstAttemptHit: an error was drawn for the first attempt after a recovery.
func (m *month) firstAttemptHit(recovery time.Time) bool {
	for _, c := range m.actibook().Calls() {
		if at := c.Time.Add(-m.variant.ahead); !at.Before(recovery) && at.Before(recovery.Add(90*time.Second)) {
			return c.Fault != ""
		}
	}
	return false
}

// judgeWarnings compares the events with the days on which they are due.
func (m *month) judgeWarnings(name string) {
	expires := m.shopline().Connection("").ExpiresAt
	ending := "ends at " + expires.UTC().Format("2006-01-02 15:04 MST")
	var came []time.Time
	for _, e := range m.aws.Events() {
		var detail tokenrefresh.Event
		if json.Unmarshal(e.Detail, &detail) == nil && detail.Type == protocol.Expiring && strings.Contains(detail.Reason, ending) {
			came = append(came, detail.At)
		}
	}
	var late time.Duration
	due, matched := 0, 0
	for _, days := range []int{30, 14, 7, 3, 1} {
		at := expires.Add(-time.Duration(days) * day)
		if at.After(m.started.Add(m.days - time.Hour)) {
			continue
		}
		due++
		for _, when := range came {
			if !when.Before(at) && when.Before(at.Add(day)) {
				late = max(late, when.Sub(at))
				matched++
			}
		}
	}
	figure(m.t, matched == due && len(came) == due && late <= 10*time.Minute, name+"warnings of a static token", "each on its day, once", "%d of %d, %d in all, at most %.0f s late", matched, due, len(came), late.Seconds())
}

// judgeVersions finds the most versions of one secret in any 24 hours.
func (m *month) judgeVersions(name string) {
	most, of := 0, ""
	for secret, versions := range m.versions {
		var times []time.Time
		for _, created := range versions {
			times = append(times, created)
		}
		slices.SortFunc(times, time.Time.Compare)
		from := 0
		for to := range times {
			for times[to].Sub(times[from]) >= day {
				from++
			}
			if n := to - from + 1; n > most {
				most, of = n, secret
			}
		}
	}
	figure(m.t, most <= 90, name+"most versions of a secret in 24 hours", "90", "%d, of %s", most, of)
}
