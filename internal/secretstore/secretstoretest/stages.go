package secretstoretest

import (
	"errors"
	"sync"
	"testing"

	"github.com/google/uuid"

	"hikyaku/internal/secretstore"
)

func promote(t *testing.T, f *fixture) {
	base := f.created(t)
	a := f.put(t, "a", next)
	want(t, "promote", f.Promote(t.Context(), f.name, secretstore.Current, a, base), nil)
	f.stands(t, map[string]string{secretstore.Current: a, secretstore.Previous: base, next: a})
	want(t, "take the label away", f.Promote(t.Context(), f.name, next, "", a), nil)
	f.stands(t, map[string]string{secretstore.Current: a, secretstore.Previous: base, next: ""})
	b := f.put(t, "b", next)
	want(t, "promote again", f.Promote(t.Context(), f.name, secretstore.Current, b, a), nil)
	f.stands(t, map[string]string{secretstore.Current: b, secretstore.Previous: a, next: b})
}

func promoteLost(t *testing.T, f *fixture) {
	base := f.created(t)
	a := f.put(t, "a", next)
	edited := f.put(t, "edited by a person", secretstore.Current)
	stands := map[string]string{secretstore.Current: edited, secretstore.Previous: base, next: a}
	for from, name := range map[string]string{base: "the former", a: "the new", uuid.NewString(): "an unknown", "": "no"} {
		want(t, "promote from "+name+" version", f.Promote(t.Context(), f.name, secretstore.Current, a, from), secretstore.ErrConflict)
		f.stands(t, stands)
	}
	for from, name := range map[string]string{base: "another version", uuid.NewString(): "an unknown version"} {
		want(t, "take the label from "+name, f.Promote(t.Context(), f.name, next, "", from), secretstore.ErrConflict)
		f.stands(t, stands)
	}
	want(t, "move a label that stands nowhere", f.Promote(t.Context(), f.name, secretstore.Pending, a, base), secretstore.ErrConflict)
	f.stands(t, stands)
}

func promoteWithoutFrom(t *testing.T, f *fixture) {
	base := f.created(t)
	a := f.put(t, "a", secretstore.Pending)
	want(t, "label", f.Promote(t.Context(), f.name, next, a, ""), nil)
	stands := map[string]string{secretstore.Current: base, secretstore.Pending: a, next: a}
	f.stands(t, stands)
	err := f.Promote(t.Context(), f.name, next, base, "")
	if f.departures.UnguardedPromoteCopiesStage {
		want(t, "label another version too", err, nil)
		d, err := f.Describe(t.Context(), f.name)
		want(t, "describe", err, nil)
		for _, v := range d.Versions {
			if !v.Has(next) {
				t.Errorf("version %s lacks the copied stage: %v", v.ID, v.Stages)
			}
		}
		return
	}
	want(t, "label another version too", err, secretstore.ErrConflict)
	f.stands(t, stands)
	want(t, "label the same version again", f.Promote(t.Context(), f.name, next, a, ""), nil)
	f.stands(t, stands)
}

func promoteToNothing(t *testing.T, f *fixture) {
	base := f.created(t)
	want(t, "take current away", f.Promote(t.Context(), f.name, secretstore.Current, "", base), secretstore.ErrInvalid)
	want(t, "move from none to none", f.Promote(t.Context(), f.name, next, "", ""), secretstore.ErrInvalid)
	f.stands(t, map[string]string{secretstore.Current: base})
}

func promoteToMissing(t *testing.T, f *fixture) {
	base := f.created(t)
	a := f.put(t, "a", next)
	err := f.Promote(t.Context(), f.name, next, uuid.NewString(), a)
	if f.departures.DanglingPromoteLosesStage {
		want(t, "promote", err, secretstore.ErrConflict)
		f.stands(t, map[string]string{secretstore.Current: base, next: ""})
		return
	}
	want(t, "promote", err, secretstore.ErrNotFound)
	f.stands(t, map[string]string{secretstore.Current: base, next: a})
}

func promoteBack(t *testing.T, f *fixture) {
	base := f.created(t)
	a := f.put(t, "a", secretstore.Current)
	want(t, "promote", f.Promote(t.Context(), f.name, secretstore.Current, base, a), nil)
	f.stands(t, map[string]string{secretstore.Current: base, secretstore.Previous: a})
}

// promoteRaced swaps the current version from one base many times at once.
func promoteRaced(t *testing.T, f *fixture) {
	base := f.created(t)
	const racers = 10
	var wg sync.WaitGroup
	ids, errs := make([]string, racers), make([]error, racers)
	for i := range racers {
		ids[i] = f.put(t, "x", next)
	}
	for i := range racers {
		wg.Go(func() { errs[i] = f.Promote(t.Context(), f.name, secretstore.Current, ids[i], base) })
	}
	wg.Wait()
	won := ""
	for i, err := range errs {
		switch {
		case err == nil && won != "":
			t.Fatalf("both %s and %s won the swap", won, ids[i])
		case err == nil:
			won = ids[i]
		case !errors.Is(err, secretstore.ErrConflict):
			t.Fatalf("promote: %v", err)
		}
	}
	f.stands(t, map[string]string{secretstore.Current: won, secretstore.Previous: base, next: ids[racers-1]})
}

// editAfterPromotion writes a value as a person does in the console, on a
// secret whose current version came by promotion.
func editAfterPromotion(t *testing.T, f *fixture) {
	base := f.created(t)
	a := f.put(t, "a", next)
	want(t, "promote", f.Promote(t.Context(), f.name, secretstore.Current, a, base), nil)
	edited := f.put(t, "edited", secretstore.Current)
	if f.departures.PutCurrentAfterPromoteForks {
		var current []string
		d, err := f.Describe(t.Context(), f.name)
		want(t, "describe", err, nil)
		for _, v := range d.Versions {
			if v.Has(secretstore.Current) {
				current = append(current, v.ID)
			}
		}
		if len(current) != 2 {
			t.Errorf("current versions = %v, want both %s and %s", current, a, edited)
		}
		return
	}
	f.stands(t, map[string]string{secretstore.Current: edited, secretstore.Previous: a, next: a})
}
