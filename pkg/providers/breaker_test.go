package providers_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/pkg/providers"
)

func TestBreaker_HoldsBack(t *testing.T) {
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
		calls []error
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
				b := providers.NewBreaker(providers.NewPace(1000))
				for _, err := range c.calls {
					b.Observe(err)
				}
				if got := b.Held(); got != c.want {
					t.Fatalf("Held = %v, want %v", got, c.want)
				}
				err := b.Wait(context.Background())
				if held := errors.Is(err, providers.ErrUnsent); held != (c.want > 0) {
					t.Errorf("Wait = %v while held for %v", err, c.want)
				}
				for range 9 {
					b.Observe(err) // of those who were held back: lengthens nothing
				}
				time.Sleep(c.want)
				if err := b.Wait(context.Background()); err != nil || b.Held() != 0 {
					t.Errorf("Wait after the hold = %v", err)
				}
			})
		})
	}
}
