package tokenrefresh

import (
	"hash/fnv"
	"time"

	"hikyaku/pkg/providers"
)

// A Policy says when a credential is due, in terms of its life. The zero
// Policy never replaces a credential by age: it is probed only.
type Policy struct {
	Half   bool          // due at half of its life, ten per cent earlier at random
	Age    time.Duration // due at this age
	Before time.Duration // due this long before its end
	Probe  time.Duration // how often a credential that cannot be renewed is tried
}

// PolicyOf returns the policy of a provider's kind of credential: Yappli's
// 24 h at half-life, ActiBookOne's 30 min at 20 min, the SHOPLINE app's 182.6
// days 30 days early because its refresh token dies a day after it, and
// everything that a person makes probed each hour.
func PolicyOf(provider string, kind providers.Kind) Policy {
	switch kind {
	case providers.ClientCredentials:
		if provider == providers.ActiBook {
			return Policy{Age: 20 * time.Minute}
		}
		return Policy{Half: true}
	case providers.OneTimePair:
		return Policy{Before: 30 * 24 * time.Hour, Probe: time.Hour}
	default:
		return Policy{Before: 30 * 24 * time.Hour, Probe: time.Hour}
	}
}

// dueAt returns when a credential is to be replaced; zero: not by age. A
// credential of unknown life is due by age only if the policy names one. The
// jitter depends on the credential's own beginning, so that every look gives
// the same instant.
func (p Policy) dueAt(obtained, expires time.Time) time.Time {
	var due time.Time
	earlier := func(t time.Time) {
		if due.IsZero() || t.Before(due) {
			due = t
		}
	}
	if p.Age > 0 {
		earlier(obtained.Add(p.Age))
	}
	if !expires.IsZero() {
		life := expires.Sub(obtained)
		if p.Half {
			earlier(obtained.Add(life/2 - jitter(obtained, life/10)))
		}
		if p.Before > 0 {
			earlier(expires.Add(-min(p.Before, life/2)))
		}
		if !due.IsZero() {
			earlier(expires.Add(-min(15*time.Minute, life/3)))
		}
	}
	return due
}

// jitter spreads the credentials of many stacks over d.
func jitter(seed time.Time, d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(seed.UTC().Format(time.RFC3339Nano)))
	return time.Duration(h.Sum64() % uint64(d))
}

// warnDays are the days before its end on which a person is told that a
// credential which only a person can replace will end.
var warnDays = []int{1, 3, 7, 14, 30}

// warning returns the warning that is due: the smallest of warnDays that the
// remaining life has reached, or 0.
func warning(now, expires time.Time) int {
	if expires.IsZero() {
		return 0
	}
	for _, days := range warnDays {
		if expires.Sub(now) <= time.Duration(days)*24*time.Hour {
			return days
		}
	}
	return 0
}
