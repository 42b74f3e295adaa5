package secretstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"hikyaku/pkg/providers"
)

// How Tokens paces its reads and waits.
const (
	cacheFor   = 5 * time.Minute // a token is not read again sooner
	renewAhead = time.Minute     // but is, this long before it expires
	rereadGap  = 5 * time.Second // between reads while the store has nothing newer, or fails
	replaceFor = 5 * time.Second // how long a replacement may take to appear
	replaceGap = 500 * time.Millisecond
	askGap     = 30 * time.Second // between two askings to replace the same version
)

// Tokens is the callers' side of a token secret: a providers.TokenSource that
// reads it sparingly and has a rejected version replaced.
//
// In the steady state it reads the secret once in five minutes. In a token's
// last minute it looks for the next one at every call, five seconds apart. If
// the store fails, it goes on serving the token it has until that expires. A
// token that the store still holds is handed out even if its time is over: the
// provider decides, and its answer leads to Rejected.
//
// However many callers report the same rejected version, one of them reads the
// secret again and, if the version is unchanged, asks for its replacement; all
// get the result. A failed replacement is not asked for again for 30 seconds.
//
// Errors are of package providers' vocabulary, never its ErrNotFound, which
// would tell a caller that the provider's object is gone: ErrUnauthorized if
// there is no token, or none that works; ErrTemporary if the store failed.
//
// Set the fields before use. Tokens is safe for concurrent use.
type Tokens struct {
	Store    Store
	Name     string // of the secret
	Provider string
	Now      func() time.Time // nil: time.Now
	// Replace asks the token refresher to replace a version that the
	// provider rejected, and returns when it has answered; nil means that
	// nobody can be asked.
	Replace func(ctx context.Context, provider, rejectedVersion string) error

	cached atomic.Pointer[reading]

	// One caller at a time reads or asks; the others wait for a slot, so
	// that each can leave when its own context ends.
	initialize sync.Once
	slot       chan struct{}
	reads      atomic.Int64 // that have ended
	failure    error        // of the last one
	readAt     time.Time
	asked      string // the version whose replacement failed last
	askedAt    time.Time
}

var _ providers.TokenSource = (*Tokens)(nil)

// errOff: the provider is not connected, or its first token is yet to come.
var errOff = errors.New("holds no token yet")

// A reading is a token and when the secret is to be read next.
type reading struct {
	token providers.Token
	next  time.Time
}

// Token returns the current token.
func (s *Tokens) Token(ctx context.Context) (providers.Token, error) {
	if r := s.fresh(); r != nil {
		return r.token, nil
	}
	failure, err := s.enter(ctx)
	if err != nil {
		return providers.Token{}, err
	}
	defer s.leave()
	if r := s.fresh(); r != nil { // another caller has read it
		return r.token, nil
	}
	token, err := providers.Token{}, failure
	if failure == nil {
		token, err = s.read(ctx)
	}
	if err == nil {
		return token, nil
	}
	r := s.cached.Load()
	if r == nil || r.token.Expired(s.now()) {
		return providers.Token{}, err
	}
	s.cached.Store(&reading{token: r.token, next: s.now().Add(rereadGap)})
	return r.token, nil
}

// Rejected returns the token that replaces t.
func (s *Tokens) Rejected(ctx context.Context, t providers.Token) (providers.Token, error) {
	failure, err := s.enter(ctx)
	if err != nil {
		return providers.Token{}, err
	}
	defer s.leave()
	if r := s.cached.Load(); r != nil && r.token.Version != t.Version { // another caller has replaced it
		return r.token, nil
	}
	if failure != nil {
		return providers.Token{}, failure
	}
	asked := s.asked == t.Version && s.now().Sub(s.askedAt) < askGap
	if !asked || s.now().Sub(s.readAt) >= rereadGap {
		token, err := s.read(ctx)
		if err != nil || token.Version != t.Version {
			return token, err
		}
	}
	if asked {
		return providers.Token{}, s.unauthorized("its replacement failed a moment ago: try again in a minute")
	}
	token, err := s.replaced(ctx, t.Version)
	if err != nil && ctx.Err() == nil {
		s.asked, s.askedAt = t.Version, s.now()
	}
	return token, err
}

// replaced asks for another version than the given one and waits for it.
func (s *Tokens) replaced(ctx context.Context, version string) (providers.Token, error) {
	if s.Replace == nil {
		return providers.Token{}, s.unauthorized("nobody can be asked for another")
	}
	askErr := s.Replace(ctx, s.Provider, version)
	for end := s.now().Add(replaceFor); ; {
		token, err := s.read(ctx)
		switch {
		case err != nil:
			return providers.Token{}, err
		case token.Version != version:
			return token, nil
		case askErr != nil:
			return providers.Token{}, s.unauthorized(askErr.Error())
		case !s.now().Before(end):
			return providers.Token{}, s.unauthorized("no other appeared within 5 seconds: try again")
		}
		select {
		case <-ctx.Done():
			return providers.Token{}, ctx.Err()
		case <-time.After(replaceGap):
		}
	}
}

// read reads the secret and caches what it holds. The slot is held.
func (s *Tokens) read(ctx context.Context) (providers.Token, error) {
	token, err := s.fetch(ctx)
	if err != nil && ctx.Err() != nil {
		return providers.Token{}, err // this caller's own; the next one reads
	}
	s.failure, s.readAt = err, s.now()
	s.reads.Add(1)
	if err != nil {
		return providers.Token{}, err
	}
	next := s.readAt.Add(cacheFor)
	if !token.ExpiresAt.IsZero() && token.ExpiresAt.Add(-renewAhead).Before(next) {
		next = token.ExpiresAt.Add(-renewAhead)
	}
	if earliest := s.readAt.Add(rereadGap); next.Before(earliest) {
		next = earliest
	}
	s.cached.Store(&reading{token: token, next: next})
	return token, nil
}

func (s *Tokens) fetch(ctx context.Context) (providers.Token, error) {
	value, err := s.Store.Get(ctx, s.Name, Current)
	switch {
	case errors.Is(err, ErrNotFound):
		return providers.Token{}, s.off()
	case err != nil:
		return providers.Token{}, fmt.Errorf("reading the token of %s: %w: %w", s.Provider, providers.ErrTemporary, err)
	}
	token, err := providers.ParseToken(value.Data)
	switch {
	case errors.Is(err, providers.ErrNotFound):
		return providers.Token{}, s.off()
	case err != nil:
		return providers.Token{}, s.unauthorized("secret " + s.Name + " cannot be read: run 'hikyaku tokens refresh " + s.Provider + "', which writes it again")
	}
	token.Version = value.ID
	return token, nil
}

// Connected reports whether the provider has a token at all, as Token sees it.
// One without is off, which is no fault.
func (s *Tokens) Connected(ctx context.Context) (bool, error) {
	_, err := s.Token(ctx)
	if errors.Is(err, errOff) {
		return false, nil
	}
	if errors.Is(err, providers.ErrUnauthorized) { // a broken document is reported by who uses it next
		return true, nil
	}
	return err == nil, err
}

// fresh returns the cached reading unless it is time to read again.
func (s *Tokens) fresh() *reading {
	if r := s.cached.Load(); r != nil && s.now().Before(r.next) {
		return r
	}
	return nil
}

// enter waits for the slot. If a read failed meanwhile, its error is this
// caller's result too.
func (s *Tokens) enter(ctx context.Context) (failure, err error) {
	s.initialize.Do(func() { s.slot = make(chan struct{}, 1) })
	before := s.reads.Load()
	select {
	case s.slot <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the token of %s: %w", s.Provider, ctx.Err())
	}
	if s.reads.Load() != before {
		failure = s.failure
	}
	return failure, nil
}

func (s *Tokens) leave() { <-s.slot }

func (s *Tokens) unauthorized(why string) error {
	return fmt.Errorf("token of %s: %w: %s", s.Provider, providers.ErrUnauthorized, why)
}

// off is unauthorized for want of any token.
func (s *Tokens) off() error {
	return fmt.Errorf("%w: secret %s: %w: run 'hikyaku tokens refresh %s'", providers.ErrUnauthorized, s.Name, errOff, s.Provider)
}

func (s *Tokens) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}
