package secretstore_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"hikyaku/pkg/providers"
)

// asking makes replace the answer to a request for replacement, and checks the
// version that is asked for.
func (f *fixture) asking(t *testing.T, version string, replace func(context.Context) error) {
	f.tokens.Replace = func(ctx context.Context, provider, rejected string) error {
		f.asks.Add(1)
		if provider != providers.Yappli || rejected != version {
			t.Errorf("asked to replace version %q of %s, want %q of yappli", rejected, provider, version)
		}
		return replace(ctx)
	}
}

func (f *fixture) wantAsks(t *testing.T, n int64) {
	t.Helper()
	if got := f.asks.Load(); got != n {
		t.Fatalf("asked %d times, want %d", got, n)
	}
}

// wantRejected reports t as rejected and checks that this is final.
func (f *fixture) wantRejected(t *testing.T, token providers.Token) {
	t.Helper()
	next, err := f.tokens.Rejected(t.Context(), token)
	if !errors.Is(err, providers.ErrUnauthorized) || !next.Credential.Empty() {
		t.Fatalf("Rejected = version %q, error %v, want ErrUnauthorized", next.Version, err)
	}
}

func TestHundredRejectedCallersAskOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *fixture) {
		old := f.wantToken(t, f.renew(t, 0))
		fresh := ""
		f.asking(t, old.Version, func(context.Context) error {
			time.Sleep(2 * time.Second)
			fresh = f.renew(t, 0)
			return nil
		})
		crowd(100, func() {
			next, err := f.tokens.Rejected(t.Context(), old)
			if err != nil || next.Version != fresh || next.Version == old.Version {
				t.Errorf("Rejected = version %q, error %v, want %q", next.Version, err, fresh)
			}
		})
		f.wantAsks(t, 1)
		f.wantReads(t, 3) // the first, the one after the rejection, the one after the replacement
		f.wantToken(t, fresh)
		f.wantReads(t, 3)
	})
}

func TestRejectedFindsAChangedVersion(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *fixture) {
		old := f.wantToken(t, f.renew(t, 0))
		f.asking(t, "none", func(context.Context) error { return nil })
		fresh := f.renew(t, 0)
		next, err := f.tokens.Rejected(t.Context(), old)
		if err != nil || next.Version != fresh {
			t.Errorf("Rejected = version %q, error %v, want %q", next.Version, err, fresh)
		}
		f.wantToken(t, fresh)
		f.wantReads(t, 2)
		f.wantAsks(t, 0)
	})
}

func TestRejectedWaitsForTheNewVersion(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *fixture) {
		old := f.wantToken(t, f.renew(t, 0))
		var fresh atomic.Value
		f.asking(t, old.Version, func(context.Context) error {
			time.AfterFunc(3*time.Second, func() { fresh.Store(f.renew(t, 0)) }) // another holds the lease
			return nil
		})
		start := time.Now()
		next, err := f.tokens.Rejected(t.Context(), old)
		if err != nil || next.Version != fresh.Load() {
			t.Errorf("Rejected = version %q, error %v, want %q", next.Version, err, fresh.Load())
		}
		if waited := time.Since(start); waited < 3*time.Second || waited > 3500*time.Millisecond {
			t.Errorf("waited %s for a version that came after 3 s", waited)
		}
	})
}

func TestRejectedGivesUp(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *fixture) {
		old := f.wantToken(t, f.renew(t, 0))
		f.asking(t, old.Version, func(context.Context) error { return nil })
		start := time.Now()
		crowd(100, func() { f.wantRejected(t, old) })
		if waited := time.Since(start); waited != 5*time.Second {
			t.Errorf("waited %s, want 5 s", waited)
		}
		f.wantAsks(t, 1)
		reads := f.reads()

		time.Sleep(5*time.Second - 1) // too soon to look again
		f.wantRejected(t, old)
		f.wantReads(t, reads)
		time.Sleep(time.Nanosecond)
		f.wantRejected(t, old) // looks, but does not ask
		f.wantReads(t, reads+1)
		time.Sleep(25*time.Second - 1)
		f.wantRejected(t, old)
		f.wantAsks(t, 1)
		time.Sleep(time.Nanosecond)
		f.wantRejected(t, old)
		f.wantAsks(t, 2)

		time.Sleep(5 * time.Second)
		fresh := f.renew(t, 0)
		if next, err := f.tokens.Rejected(t.Context(), old); err != nil || next.Version != fresh {
			t.Errorf("Rejected = version %q, error %v, want %q", next.Version, err, fresh)
		}
		f.wantAsks(t, 2)
	})
}

func TestRejectedWhenAskingFails(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *fixture) {
		old := f.wantToken(t, f.renew(t, 0))
		f.asking(t, old.Version, func(context.Context) error { return providers.ErrTemporary })
		start := time.Now()
		next, err := f.tokens.Rejected(t.Context(), old)
		if !errors.Is(err, providers.ErrUnauthorized) || errors.Is(err, providers.ErrTemporary) || !next.Credential.Empty() {
			t.Errorf("error = %v, want ErrUnauthorized alone", err)
		}
		if waited := time.Since(start); waited != 0 {
			t.Errorf("waited %s for what nobody makes", waited)
		}
	})
	inBubble(t, func(t *testing.T, f *fixture) { // the answer was lost, the replacement was made
		old := f.wantToken(t, f.renew(t, 0))
		fresh := ""
		f.asking(t, old.Version, func(context.Context) error { fresh = f.renew(t, 0); return providers.ErrTemporary })
		if next, err := f.tokens.Rejected(t.Context(), old); err != nil || next.Version != fresh {
			t.Errorf("Rejected = version %q, error %v, want %q", next.Version, err, fresh)
		}
	})
	inBubble(t, func(t *testing.T, f *fixture) {
		f.wantRejected(t, f.wantToken(t, f.renew(t, 0))) // nobody to ask
	})
}

func TestRejectedInAnOutage(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *fixture) {
		f.tokens.Store = slow{f}
		old := f.wantToken(t, f.renew(t, 0))
		f.asking(t, old.Version, func(context.Context) error { return nil })
		f.down.Store(true)
		crowd(100, func() {
			if _, err := f.tokens.Rejected(t.Context(), old); !errors.Is(err, providers.ErrTemporary) {
				t.Errorf("error = %v, want ErrTemporary", err)
			}
		})
		f.wantReads(t, 2)
		f.wantAsks(t, 0)
	})
}

func TestRejectedIsCancelled(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *fixture) {
		old := f.wantToken(t, f.renew(t, 0))
		f.asking(t, old.Version, func(context.Context) error { return nil })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := f.tokens.Rejected(ctx, old); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error = %v, want the deadline", err)
		}
	})
}
