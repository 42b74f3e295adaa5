package export_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"hikyaku/internal/pagination"
	"hikyaku/internal/prove"
)

// TestExtract_LosesNothingWhileTheListMoves edits the list before requests and
// then compares: a row that lived through the whole run must be there once.
func TestExtract_LosesNothingWhileTheListMoves(t *testing.T) {
	t.Parallel()
	for _, paging := range []pagination.Paging{pagination.ByOffset, pagination.ByPage, pagination.ByFixedPage} {
		for _, clamp := range []int{0, 7} {
			t.Run(fmt.Sprintf("%s clamp %d", paging, clamp), func(t *testing.T) {
				t.Parallel()
				shifted, seeds := 0, prove.Size(1000, 12)
				for seed := range seeds {
					shifted += driftRun(t, paging, clamp, uint64(seed))
				}
				if shifted < seeds*2/5 {
					t.Errorf("only %d of %d runs noticed a shift", shifted, seeds)
				}
			})
		}
	}
}

func driftRun(t *testing.T, paging pagination.Paging, clamp int, seed uint64) (shifted int) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	l := newList(paging, 150)
	l.clamp = clamp
	l.fixed = paging == pagination.ByFixedPage && clamp > 0
	born := map[int]bool{}
	for _, n := range l.rows {
		born[n] = true
	}
	dead := map[int]bool{}
	edit := func() {
		switch at := random.IntN(len(l.rows)); random.IntN(3) {
		case 0:
			l.insert(random, at)
		case 1:
			dead[l.rows[at]] = true
			l.remove(at)
		default: // a pair that cancels out
			dead[l.rows[at]] = true
			l.remove(at)
			l.insert(random, random.IntN(len(l.rows)))
		}
	}
	l.edit = func(l *list, request int) {
		if request > 0 && random.IntN(3) == 0 {
			edit()
		}
	}
	b := newBench(t, l)
	m := b.manifest(b.extract(due).Manifest)
	got := map[string]int{}
	for _, id := range ids(t, b.lines(m)) {
		got[id]++
	}
	for n := range born {
		if !dead[n] && got[id(n)] != 1 {
			t.Errorf("%s clamp %d seed %d: row %d lived through and is there %d times; drift %+v", paging, clamp, seed, n, got[id(n)], m.Drift)
		}
	}
	for name, count := range got {
		if count > 1 {
			t.Errorf("%s clamp %d seed %d: row %s is there %d times", paging, clamp, seed, name, count)
		}
	}
	if m.Drift.Unresolved > 0 {
		t.Errorf("%s clamp %d seed %d: %d places unresolved", paging, clamp, seed, m.Drift.Unresolved)
	}
	if m.Drift.Shifts > 0 {
		return 1
	}
	return 0
}
