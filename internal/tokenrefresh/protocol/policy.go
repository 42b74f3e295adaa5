package protocol

import (
	"hash/fnv"
	"time"

	"hikyaku/pkg/providers"
)

// A Policy says when a credential is due, in terms of its life.
type Policy struct {
	Life   time.Duration // assumed for when it is due, where the provider states no end; 0: never by age then
	Half   bool          // due at half of its life, up to a tenth of it earlier
	Age    time.Duration // due at this age
	Before time.Duration // due this long before its end
	Probe  time.Duration // how often a credential that cannot be renewed is tried
}

// PolicyOf returns the policy of a provider's kind of credential: Yappli's
// 24 h at half-life, ActiBookOne's 30 min on the tick at 20 min, the SHOPLINE app's 182.6
// days 30 days early because its refresh token dies a day after it, and
// everything that a person makes probed each hour.
func PolicyOf(provider string, kind providers.Kind) Policy {
	const day = 24 * time.Hour
	switch kind {
	case providers.ClientCredentials:
		if provider == providers.ActiBook {
			return Policy{Life: 30 * time.Minute, Age: 20*time.Minute - tickSlack}
		}
		return Policy{Life: day, Half: true}
	case providers.OneTimePair:
		return Policy{Life: 182 * day, Before: 30 * day, Probe: time.Hour - tickSlack}
	default:
		return Policy{Before: 30 * day, Probe: time.Hour - tickSlack}
	}
}

// tickSlack is how much sooner a token is due than its age says, and a probe
// than its hour. A token's life begins a moment after the tick that asked for
// it: without slack, the tick exactly 20 minutes later would come that moment
// too soon, and the next would be the first to act.
const tickSlack = 30 * time.Second

// dueAt returns when a credential is to be replaced; zero: not by age. None
// is left to its last quarter of an hour, or the last third of a short life.
// The jitter depends on the credential's own beginning, so that every look
// gives the same instant.
//
// A life of more than four hours waits for the window, but not into its last quarter.
func (p Policy) dueAt(obtained, expires time.Time, window Window) time.Time {
	life := expires.Sub(obtained)
	if expires.IsZero() {
		life = p.Life
	}
	var age time.Duration
	switch {
	case life == 0:
		return time.Time{}
	case p.Age > 0:
		age = p.Age
	case p.Half:
		age = life/2 - jitter(obtained, life/10)
	default:
		age = life - min(p.Before, life/2)
	}
	age = min(age, life-min(15*time.Minute, life/3))
	if window == (Window{}) || life <= shortLife {
		return obtained.Add(age)
	}
	latest := life - life/4
	if age > latest {
		age = latest - 24*time.Hour // in which a window opens
	}
	return window.next(obtained.Add(age), obtained.Add(latest))
}

// DueAt returns when a provider's token is to be replaced for its age; zero: not by age.
func DueAt(t providers.Token, window Window) time.Time {
	return PolicyOf(t.Provider, t.Kind).dueAt(t.ObtainedAt, t.ExpiresAt, window)
}

// shortLife is the longest life that does not wait for a window.
const shortLife = 4 * time.Hour

// due: a token is to be replaced for its age.
func (p Policy) due(t providers.Token, now time.Time, window Window) bool {
	at := p.dueAt(t.ObtainedAt, t.ExpiresAt, window)
	return !at.IsZero() && !now.Before(at)
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
