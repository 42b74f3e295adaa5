package sandboxtest

import (
	"math"
	"slices"
	"testing"

	"hikyaku/pkg/providers/sandbox"
)

// Troubles checks those of a sandbox, one after the other: ask sends requests that meet
// it, and tells the answers, which are the same each time as long as nothing is wrong.
// unmet are troubles that ask cannot meet.
func Troubles(t *testing.T, s sandbox.Troublemaker, ask func() string, unmet ...string) {
	t.Helper()
	known := s.Troubles()
	healthy := ask()
	if again := ask(); again != healthy || len(known) == 0 {
		t.Fatalf("%d troubles, and without any the answers differ: %s, then %s", len(known), healthy, again)
	}
	for i, trouble := range known {
		amount := min(trouble.Amount, 0.01)
		if trouble.Amount > 0 && trouble.ID != sandbox.Latency {
			amount = 1
		}
		if trouble.On || trouble.Met != 0 {
			t.Errorf("%s: from the beginning %+v", trouble.ID, trouble)
		}
		if err := s.SetTrouble(trouble.ID, true, amount); err != nil {
			t.Errorf("%s on: %v", trouble.ID, err)
		}
		got := ask()
		now := s.Troubles()
		switch on := now[i]; {
		case slices.Contains(unmet, trouble.ID):
			if got != healthy || on.Met != 0 {
				t.Errorf("%s, which these requests cannot meet: met %d times, %s", trouble.ID, on.Met, got)
			}
		case !on.On || on.Met == 0 || on.Amount != amount || on.Provider != trouble.Provider:
			t.Errorf("%s: %+v", trouble.ID, on)
		case got == healthy && trouble.ID != sandbox.Latency && trouble.ID != sandbox.Charset: // which a header alone shows
			t.Errorf("%s changes no answer: %s", trouble.ID, got)
		}
		if err := s.SetTrouble(trouble.ID, false, 0); err != nil {
			t.Errorf("%s off: %v", trouble.ID, err)
		}
		if got := ask(); got != healthy {
			t.Errorf("after %s: %s, want %s", trouble.ID, got, healthy)
		}
		if off := s.Troubles()[i]; off.On || off.ID != trouble.ID {
			t.Errorf("%s switched off: %+v", trouble.ID, off)
		}
	}
	for _, wrong := range []float64{-1, 1.5, math.NaN(), math.Inf(1)} {
		if err := s.SetTrouble(sandbox.Refused, true, wrong); err == nil {
			t.Errorf("a share of %v was taken", wrong)
		}
	}
	if err := s.SetTrouble("unheard-of", true, 0); err == nil {
		t.Error("an unknown trouble was switched on")
	}
	if got := ask(); got != healthy {
		t.Errorf("after what was refused: %s", got)
	}
}
