package webhookrelay_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/internal/webhookrelay"
	"hikyaku/pkg/providers"
)

func TestGovernor_PacesAnInstancesPart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := webhookrelay.NewGovernor(4, 0.5, 2, time.Now) // one a second
		began := time.Now()
		for range 11 {
			if err := g.Wait(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("11 requests took %v, want 10s", took)
		}
	})
}

func TestGovernor_AllowsAPair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := webhookrelay.NewGovernor(4, 0.5, 2, time.Now)
		g.AllowPair()
		time.Sleep(2 * time.Second)
		for i, want := range []time.Duration{0, 0, time.Second, time.Second} {
			began := time.Now()
			if err := g.Wait(context.Background()); err != nil || time.Since(began) != want {
				t.Errorf("request %d waited %v, %v, want %v", i, time.Since(began), err, want)
			}
		}
	})
}

func TestGovernor_HoldsBack(t *testing.T) {
	t.Parallel()
	fault := func(kind error, after time.Duration) error { return &providers.Error{Kind: kind, RetryAfter: after} }
	repeat := func(n int, err error) (list []error) {
		for range n {
			list = append(list, err)
		}
		return list
	}
	temporary := fault(providers.ErrTemporary, 0)
	for name, c := range map[string]struct {
		notes []error
		want  time.Duration
	}{
		"nothing":              {nil, 0},
		"success":              {[]error{nil}, 0},
		"429 without a time":   {[]error{fault(providers.ErrRateLimited, 0)}, time.Second},
		"429 with a time":      {[]error{fault(providers.ErrRateLimited, 20*time.Second)}, 20 * time.Second},
		"a shorter one later":  {[]error{fault(providers.ErrRateLimited, 20*time.Second), fault(providers.ErrRateLimited, time.Second)}, 20 * time.Second},
		"503 with a time":      {[]error{fault(providers.ErrTemporary, 7*time.Second)}, 7 * time.Second},
		"four failures":        {repeat(4, temporary), 0},
		"five failures":        {repeat(5, temporary), 2 * time.Second},
		"seven failures":       {repeat(7, temporary), 8 * time.Second},
		"a hundred failures":   {repeat(100, temporary), 5 * time.Minute},
		"a success in between": {append(append(repeat(4, temporary), nil), repeat(4, temporary)...), 0},
		"a refusal in between": {append(append(repeat(4, temporary), fault(providers.ErrInvalid, 0)), temporary), 0},
		"our own doing":        {repeat(10, errors.Join(context.Canceled, providers.ErrTemporary)), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := webhookrelay.NewGovernor(1000, 1, 1, time.Now)
				for _, err := range c.notes {
					g.Note(err)
				}
				if got := g.Held(); got != c.want {
					t.Fatalf("Held = %v, want %v", got, c.want)
				}
				err := g.Wait(context.Background())
				if held := errors.Is(err, providers.ErrUnsent); held != (c.want > 0) {
					t.Errorf("Wait = %v while held for %v", err, c.want)
				}
				for range 9 {
					g.Note(err) // of those who were held back: lengthens nothing
				}
				time.Sleep(c.want)
				if err := g.Wait(context.Background()); err != nil || g.Held() != 0 {
					t.Errorf("Wait after the hold = %v", err)
				}
			})
		})
	}
}

func TestGovernor_LearnsFromRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := webhookrelay.NewGovernor(2, 1, 1, time.Now)
		gap := func() time.Duration {
			began := time.Now()
			if err := g.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			return time.Since(began).Round(time.Millisecond)
		}
		gap()
		refuse := func() {
			g.Note(&providers.Error{Kind: providers.ErrRateLimited})
			time.Sleep(10 * time.Second)
			gap() // what was saved up meanwhile
		}
		refuse()
		if got := gap(); got != 625*time.Millisecond {
			t.Errorf("after a refusal: a request each %s, want 0.8 of 2 a second", got)
		}
		for range 30 {
			refuse()
		}
		if got := gap(); got != 5*time.Second {
			t.Errorf("after many: a request each %s, want a tenth of 2 a second", got)
		}
		for range 49 {
			g.Note(nil)
		}
		if got := gap(); got != 5*time.Second {
			t.Errorf("after 49 answers: a request each %s, want no change yet", got)
		}
		g.Note(nil)
		if got, want := gap(), (5 * time.Second * 10 / 11).Round(time.Millisecond); got != want {
			t.Errorf("after 50 answers: a request each %s, want %s", got, want)
		}
		for range 50 * 30 {
			g.Note(nil)
		}
		if got := gap(); got != 500*time.Millisecond {
			t.Errorf("after many answers: a request each %s, want 2 a second again", got)
		}
	})
}

func TestRelay_LeavesARestingProviderAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		config := r.config()
		stack, err := webhookrelay.Open(context.Background(), config)
		if err != nil {
			t.Fatal(err)
		}
		config.Governors.Yappli.Note(&providers.Error{Kind: providers.ErrRateLimited, RetryAfter: 30 * time.Second})
		r.send(r.person("酉"), "new")
		batch := r.queue.receive(1)
		r.queue.settle(batch, stack.Relay(r.dead, r.queue).Work(context.Background(), batch))
		r.wantOutcome("provider_resting")
		if n := r.shop.Count("") + r.crm.Count(""); n != 0 {
			t.Errorf("%d requests, want none", n)
		}
		if back := time.Until(r.queue.messages[0].visible); back != 30*time.Second {
			t.Errorf("message back in %v, want 30s", back)
		}
	})
}
