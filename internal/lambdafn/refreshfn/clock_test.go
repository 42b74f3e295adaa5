package refreshfn_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/localstack"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

// A function whose clock is a year ahead, as are the providers', obtains tokens that
// expire by that clock: it rests with them, refreshes them when they are due there, and
// what it serves works all the time.
func TestInvoke_ClockOfItsOwn(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	ahead.Store(int64(366 * 24 * time.Hour))
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	local, err := localstack.Start(t.Context(), localstack.Options{Sandbox: sandbox.Options{Records: 3, Rate: -1, Now: clock}})
	if err != nil {
		t.Fatal(err)
	}
	s := &stack{Stack: local, t: t}
	s.function, err = refreshfn.New(t.Context(), lambdafn.Environ{Vars: local.Vars(localstack.TokenRefresh), Out: s, Now: clock})
	s.must(err)
	tick := func(want, static string) {
		t.Helper()
		if got, want := s.outcomes(s.invoke("scheduler.json")), fmt.Sprintf(all, want, static); got != want {
			t.Errorf("outcomes %q, want %q", got, want)
		}
	}
	tick("refreshed", "refreshed")
	for provider, life := range map[string]time.Duration{providers.Yappli: 24 * time.Hour, providers.ActiBook: 30 * time.Minute} {
		token := s.token(provider)
		if left := token.ExpiresAt.Sub(clock()); left > life || left < life-time.Minute {
			t.Errorf("%s: the token has %v left by the clock, want %v", provider, left, life)
		}
		if since := clock().Sub(token.ObtainedAt); since < 0 || since > time.Minute {
			t.Errorf("%s: the token was obtained %v ago by the clock", provider, since)
		}
		authority := refreshfn.Authorities(&providers.Options{Now: clock})[provider]
		s.must(authority.Probe(t.Context(), providers.Connection{}, token))
	}
	tick("resting", "resting")
	ahead.Add(int64(31 * time.Minute))
	before := s.token(providers.ActiBook)
	if !before.Expired(clock()) {
		t.Errorf("a token of half an hour lives on: it expires at %v", before.ExpiresAt)
	}
	s.outcomes(s.invoke("scheduler.json"))
	if after := s.token(providers.ActiBook); after.Version == before.Version || after.Expired(clock()) {
		t.Errorf("version %s was not replaced by a living one: %s, until %v", before.Version, after.Version, after.ExpiresAt)
	}
}
