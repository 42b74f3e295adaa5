package protocol_test

import (
	"testing"
	"time"

	"hikyaku/internal/tokenrefresh/protocol"
)

func TestBudgets_CountTheLastDayByPayer(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	w := protocol.Written{
		Writes: []time.Time{now.Add(-25 * time.Hour), now.Add(-3 * time.Hour)},
		Forced: []time.Time{now.Add(-time.Hour), now.Add(-23 * time.Hour)}, Split: true,
	}
	got := w.Budgets(now)
	if len(got) != 3 || got[0].Spent != 1 || got[1].Spent != 0 || got[1].Next != nil || got[2].Spent != 2 || got[2].Of != 6 {
		t.Fatalf("budgets: %+v", got)
	}
	if want := now.Add(time.Hour); got[2].Next == nil || !got[2].Next.Equal(want) {
		t.Errorf("the people's next is free at %v, want %v", got[2].Next, want)
	}
	renewals := w.Renewals(now)
	if len(renewals) != 3 || renewals[0].By != "people" || renewals[1].By != "schedule" || !renewals[2].At.Equal(now.Add(-23*time.Hour)) {
		t.Errorf("renewals: %+v", renewals)
	}
}
