package clock_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/internal/dev/clock"
)

func open(t *testing.T, path string) *clock.Clock {
	t.Helper()
	c, err := clock.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func faster(t *testing.T, c *clock.Clock, factor float64) {
	t.Helper()
	if err := c.SetFactor(factor); err != nil {
		t.Fatal(err)
	}
}

// passed is how far the clock goes in a while of the machine's.
func passed(now func() time.Time, while time.Duration) time.Duration {
	before := now()
	time.Sleep(while)
	return now().Sub(before)
}

func near(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if got < want-want/100 || got > want+want/100 {
		t.Errorf("%s: %v, expected %v", what, got, want)
	}
}

func TestClock_RunsFasterWhileIdleAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clock")
	synctest.Test(t, func(t *testing.T) {
		c := open(t, path)
		defer func() { _ = c.Close() }()
		near(t, "as the machine's", passed(c.Now, time.Minute), time.Minute)
		faster(t, c, 600)
		near(t, "600 times as fast", passed(c.Now, time.Minute), 600*time.Minute)

		first, second := c.Busy(), c.Busy()
		follow, err := clock.Follow(path)
		if err != nil {
			t.Fatal(err)
		}
		if ahead := follow().Sub(c.Now()); ahead != 0 {
			t.Errorf("a function's time is %v ahead of its stack's", ahead)
		}
		near(t, "in an invocation", passed(follow, time.Minute), time.Minute)
		faster(t, c, 1000)
		first()
		first() // says it twice, and counts once
		near(t, "in the other", passed(follow, time.Minute), time.Minute)
		near(t, "the stack's then", passed(c.Now, time.Minute), time.Minute)
		second()
		near(t, "1000 times as fast", passed(c.Now, time.Minute), 1000*time.Minute)
		defer c.Busy()()
		if ahead := follow().Sub(c.Now()); ahead != 0 {
			t.Errorf("a later invocation's time is %v ahead of its stack's", ahead)
		}
	})
}

// A clock that was not closed, as by a kill, goes on at or after every time that it has
// shown, and by a second of its own pace at most.
func TestClock_NeverGoesBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clock")
	synctest.Test(t, func(t *testing.T) {
		var last time.Time
		for round := range 50 {
			c := open(t, path)
			if now := c.Now(); now.Before(last) || round > 0 && now.Sub(last) > 602*time.Second {
				t.Fatalf("round %d begins at %v, after %v", round, now, last)
			}
			faster(t, c, 600)
			for range round {
				time.Sleep(37 * time.Millisecond)
				idle := c.Busy()
				time.Sleep(11 * time.Millisecond)
				if round%3 > 0 {
					idle()
				}
				if now := c.Now(); now.Before(last) {
					t.Fatalf("it went back to %v, after %v", now, last)
				}
			}
			time.Sleep(time.Duration(round) * 13 * time.Millisecond)
			last = c.Now()
		}
		c := open(t, path)
		faster(t, c, 1000)
		time.Sleep(time.Second)
		last = c.Now()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if now := open(t, path).Now(); !now.Equal(last) {
			t.Errorf("after a clean end it is %v, and was %v", now, last)
		}
	})
}

func TestClock_WaitsByItsOwnTime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clock")
	synctest.Test(t, func(t *testing.T) {
		c := open(t, path)
		defer func() { _ = c.Close() }()
		began, until := time.Now(), c.Now().Add(time.Hour)
		go func() {
			time.Sleep(10 * time.Second)
			faster(t, c, 600)
		}()
		if !c.Until(t.Context(), until) || c.Now().Before(until) {
			t.Errorf("it is %v, and was to be %v", c.Now(), until)
		}
		near(t, "waited", time.Since(began), 10*time.Second+3590*time.Second/600)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if c.Until(ctx, c.Now().Add(24*time.Hour)) {
			t.Error("it waited for a time that has not come")
		}
	})
}

func TestClock_Refuses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "clock")
	c := open(t, path)
	zero := 0.0
	for _, factor := range []float64{0, 0.5, -1, 1001, zero / zero} {
		if c.SetFactor(factor) == nil {
			t.Errorf("it took %v", factor)
		}
	}
	if c.Factor() != 1 {
		t.Errorf("its factor is %v", c.Factor())
	}
	if err := os.WriteFile(path, []byte("no clock!"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := clock.Open(path); err == nil {
		t.Error("it opened what is no clock")
	}
	if _, err := clock.Follow(filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("it followed a clock that is not there")
	}
}
