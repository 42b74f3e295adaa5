package webhookrelay_test

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"testing"
	"testing/synctest"

	"hikyaku/internal/prove"
)

var (
	schedules     = flag.Int("schedules", prove.Size(100_000, variants/24), "random schedules to run")
	firstSchedule = flag.Int("first-schedule", 0, "number of the first, to run one again")
)

// TestMain collects garbage more rarely: the tests make much of it and keep little.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// TestSchedules_Converge runs them split by combination, each with all of the
// rest of the variants in turn.
func TestSchedules_Converge(t *testing.T) {
	t.Parallel()
	least := min(*schedules/combinations, 1000)
	for c := range combinations {
		t.Run(variantOf(c).String(), func(t *testing.T) {
			t.Parallel()
			ran, good := 0, 0
			for n := *firstSchedule; n < *firstSchedule+*schedules && ran-good < 3; n++ {
				if n%combinations != c {
					continue
				}
				ran++
				if log, err := outcomeOf(t, n, nil); err != nil {
					t.Errorf("schedule %d: %v\n%s", n, err, log)
					continue
				}
				good++
			}
			prove.Figure(t, good == ran && good >= least, "random schedules that converge, "+variantOf(c).String(),
				fmt.Sprintf("all, at least %d", least), "%d of %d", good, ran)
		})
	}
}

// outcomeOf runs one schedule in its own bubble, with a guard removed unless
// that is nil.
func outcomeOf(t *testing.T, n int, unguard func(*schedule)) (log string, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(t, n)
		if unguard != nil {
			unguard(s)
		}
		if err = s.run(); err != nil {
			log = tailOf(s.log.String(), 6000)
		}
	})
	return log, err
}

func tailOf(s string, n int) string { return s[max(0, len(s)-n):] }
