package secretstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
)

const tokenName = "shop/yappli/token"

// A fixture is a token secret and its reader; down makes every read fail.
type fixture struct {
	*secretstore.Memory

	tokens *secretstore.Tokens
	down   atomic.Bool
	asks   atomic.Int64
}

func (f *fixture) Get(ctx context.Context, name, stage string) (secretstore.Value, error) {
	v, err := f.Memory.Get(ctx, name, stage)
	if f.down.Load() {
		return secretstore.Value{}, errors.New("connection refused")
	}
	return v, err
}

func (f *fixture) reads() int {
	return f.Calls()[secretstore.Call{Op: secretstore.OpGet, Name: tokenName, Stage: secretstore.Current}]
}

// renew writes a token that expires after life (0: unknown) as the current one
// and returns its version.
func (f *fixture) renew(t *testing.T, life time.Duration) string {
	t.Helper()
	id := uuid.NewString()
	token := providers.Token{Provider: providers.Yappli, Credential: providers.NewSecret("c-" + id), ObtainedAt: time.Now()}
	if life > 0 {
		token.ExpiresAt = time.Now().Add(life)
	}
	if err := f.Put(t.Context(), tokenName, id, token.Document(), secretstore.Current); err != nil {
		t.Fatal(err)
	}
	return id
}

// inBubble runs test in virtual time with a token secret that holds a
// placeholder.
func inBubble(t *testing.T, test func(*testing.T, *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{Memory: new(secretstore.Memory)}
		f.tokens = &secretstore.Tokens{Store: f, Name: tokenName, Provider: providers.Yappli}
		if err := f.Create(t.Context(), tokenName, uuid.NewString(), []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
		test(t, f)
	})
}

func (f *fixture) wantToken(t *testing.T, version string) providers.Token {
	t.Helper()
	token, err := f.tokens.Token(t.Context())
	if err != nil || token.Version != version || token.Credential.Reveal() != "c-"+version {
		t.Fatalf("at %s: token of version %q, error %v, want version %q", time.Now().Format(time.TimeOnly), token.Version, err, version)
	}
	return token
}

func (f *fixture) wantReads(t *testing.T, n int) {
	t.Helper()
	if got := f.reads(); got != n {
		t.Fatalf("at %s: %d reads, want %d", time.Now().Format(time.TimeOnly), got, n)
	}
}

// crowd runs f in n goroutines and waits for them.
func crowd(n int, f func()) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(f)
	}
	wg.Wait()
}

func TestSteadyStateReadsOnceInFiveMinutes(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *fixture) {
		version := f.renew(t, 24*time.Hour)
		for range 3600 {
			crowd(10, func() { f.wantToken(t, version) })
			time.Sleep(time.Second)
		}
		f.wantReads(t, 12)
	})
}

func TestChangeIsInUseAfterFiveMinutes(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *fixture) {
		old := f.renew(t, 0)
		f.wantToken(t, old)
		changed := f.renew(t, 0)
		time.Sleep(5*time.Minute - 1)
		f.wantToken(t, old)
		time.Sleep(time.Nanosecond)
		f.wantToken(t, changed)
		f.wantReads(t, 2)
	})
}

func TestLastMinuteLooksForTheNextToken(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *fixture) {
		old := f.renew(t, 3*time.Minute)
		f.wantToken(t, old)
		time.Sleep(2*time.Minute - 1)
		f.wantToken(t, old)
		f.wantReads(t, 1)
		time.Sleep(time.Nanosecond)
		f.wantToken(t, old)
		f.wantReads(t, 2)
		time.Sleep(5*time.Second - 1)
		f.wantToken(t, old)
		f.wantReads(t, 2)
		time.Sleep(time.Nanosecond)
		f.wantToken(t, old)
		f.wantReads(t, 3)
		next := f.renew(t, 24*time.Hour)
		time.Sleep(5 * time.Second)
		f.wantToken(t, next)
		time.Sleep(5*time.Minute - 1)
		f.wantToken(t, next)
		f.wantReads(t, 4)
	})
}

func TestExpiredTokenOfTheStoreIsHandedOut(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *fixture) {
		version := f.renew(t, time.Second)
		time.Sleep(time.Hour)
		f.wantToken(t, version)
	})
}

func TestOutageServesTheCachedTokenUntilItExpires(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *fixture) {
		version := f.renew(t, 10*time.Minute)
		f.wantToken(t, version)
		f.down.Store(true)
		time.Sleep(5 * time.Minute)
		crowd(10, func() { f.wantToken(t, version) })
		f.wantReads(t, 2)
		time.Sleep(5*time.Second - 1)
		f.wantToken(t, version)
		f.wantReads(t, 2)
		time.Sleep(5*time.Minute - 5*time.Second)
		f.wantToken(t, version) // one nanosecond is left
		time.Sleep(5 * time.Second)
		if token, err := f.tokens.Token(t.Context()); !errors.Is(err, providers.ErrTemporary) || !token.Credential.Empty() {
			t.Errorf("token = %+v, error %v, want ErrTemporary", token, err)
		}
		f.down.Store(false)
		f.wantToken(t, version)
	})
}

func TestNoTokenIsUnauthorized(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *fixture) {
		check := func(name string) {
			f.tokens.Name = name
			_, err := f.tokens.Token(t.Context())
			if !errors.Is(err, providers.ErrUnauthorized) || errors.Is(err, providers.ErrNotFound) || providers.Retryable(err) {
				t.Errorf("error of %s = %v, want ErrUnauthorized alone", name, err)
			}
		}
		check(tokenName) // a placeholder
		check("shop/none/token")
	})
}

func TestFailureIsSharedByThoseWhoWaitedForIt(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *fixture) {
		f.tokens.Store = slow{f}
		crowd(100, func() {
			if _, err := f.tokens.Token(t.Context()); !errors.Is(err, providers.ErrUnauthorized) {
				t.Errorf("error = %v", err)
			}
		})
		f.wantReads(t, 1)
		f.wantToken(t, f.renew(t, 0)) // and by nobody else
		f.wantReads(t, 2)
	})
}

// slow is a store whose reads take a second.
type slow struct{ *fixture }

func (s slow) Get(ctx context.Context, name, stage string) (secretstore.Value, error) {
	select {
	case <-time.After(time.Second):
		return s.fixture.Get(ctx, name, stage)
	case <-ctx.Done():
		return secretstore.Value{}, fmt.Errorf("reading: %w", ctx.Err())
	}
}

func TestCancelledReaderHarmsNobodyElse(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *fixture) {
		f.tokens.Store = slow{f}
		version := f.renew(t, 0)
		short, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		go func() {
			if _, err := f.tokens.Token(short); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the reader: error %v, want its deadline", err)
			}
		}()
		synctest.Wait()
		go func() {
			if _, err := f.tokens.Token(short); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("one who waits: error %v, want its deadline", err)
			}
		}()
		go func() {
			if _, err := f.tokens.Rejected(short, providers.Token{}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("one who was rejected: error %v, want its deadline", err)
			}
		}()
		synctest.Wait()
		f.wantToken(t, version)
		f.wantReads(t, 1)
	})
}
