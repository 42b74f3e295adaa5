// Package webhooksecret is about the secret that ends the address to which
// SuperSaaS posts: its rule, its document, and which one is accepted now.
//
//	accepted := &webhooksecret.Reader{Store: store, Name: webhooksecret.Name(prefix), ...}
//	secrets := accepted.Valid(ctx)
package webhooksecret

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
)

// Part ends the secret's name.
const Part = "webhook"

// Name returns the secret's name, {prefix}/supersaas/webhook.
func Name(prefix string) string { return secretstore.Name(prefix, providers.SuperSaaS, Part) }

const (
	shortest   = 32                  // characters of a secret
	grace      = 30 * 24 * time.Hour // for an older secret that the rule refuses
	believed   = 5 * time.Minute     // for what was read
	unreadable = 15 * time.Minute    // after which a secret that cannot be read is withdrawn
	askAgain   = 30 * time.Second    // after an absence or a failed read
	readWithin = 2 * time.Second     // both reads; the rest of a webhook's time is the queue's
)

// ErrWeak says that a secret breaks the rule of Check.
var ErrWeak = errors.New("'hikyaku connect webhook' makes a good one")

// Check refuses what cannot be a webhook's secret: fewer than 32
// characters can be guessed, and one that an address would change matches none.
func Check(secret string) error {
	switch n := utf8.RuneCountInString(secret); {
	case n < shortest:
		return fmt.Errorf("the webhook's secret has %d characters, and needs at least %d: %w", n, shortest, ErrWeak)
	case url.QueryEscape(secret) != secret:
		return fmt.Errorf("the webhook's secret holds characters that an address changes, and only letters, digits and . _ ~ - are safe: %w", ErrWeak)
	}
	return nil
}

// A Document is what one version of the webhook's secret holds.
type Document struct {
	Current  providers.Secret `json:"current"`
	Previous providers.Secret `json:"previous"` // for those who keep both in one version
}

// Bytes returns the document as it is stored, with the secrets.
func (d Document) Bytes() []byte {
	fields := map[string]string{"current": d.Current.Reveal()}
	if !d.Previous.Empty() {
		fields["previous"] = d.Previous.Reveal()
	}
	document, _ := json.Marshal(fields) // a map of texts has no way to fail
	return document
}

// Read reads the version under a stage.
func Read(ctx context.Context, store secretstore.Store, name, stage string) (d Document, created time.Time, err error) {
	value, err := store.Get(ctx, name, stage)
	if err == nil && json.Unmarshal(value.Data, &d) != nil {
		err = fmt.Errorf("%w: expected {\"current\":\"...\"}", providers.ErrInvalid)
	}
	if err == nil && d.Current.Empty() {
		err = fmt.Errorf("%w: it holds nothing yet", secretstore.ErrNotFound)
	}
	if err != nil {
		return Document{}, time.Time{}, fmt.Errorf("reading %s (%s): %w", name, stage, err)
	}
	return d, value.Created, nil
}

// A Reader remembers the webhook's secret: the current version's, and while it
// rotates the previous one's. It is safe for concurrent use.
//
// A secret that is withdrawn (removed, marked for deletion, emptied, or no
// longer to be read by this function) is refused from the next read on. If the
// store fails for another reason, what was read stands for 15 minutes.
type Reader struct {
	Store secretstore.Store
	Name  string
	// RuleSince is when the stack got the rule of Check. A secret from
	// before, which the rule refuses, is accepted for 30 days after it. Zero
	// means unknown: the 30 days then begin when that secret was stored.
	RuleSince time.Time
	Log       *slog.Logger
	Metrics   interface {
		Add(name, unit string, value float64, dimensions map[string]string)
	}
	Now func() time.Time

	mu      sync.Mutex
	values  []providers.Secret
	until   time.Time // when values are read again
	failing time.Time // since when the store fails; zero: it does not
	told    time.Time // when it was last told that a weak secret is accepted
}

// Valid returns the secrets that are accepted now; none if there is none.
func (s *Reader) Valid(ctx context.Context) []providers.Secret {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.Now(); !now.Before(s.until) {
		ctx, cancel := context.WithTimeout(ctx, readWithin)
		defer cancel()
		s.until = now.Add(s.read(ctx, now))
	}
	return s.values
}

// read returns how long its result holds.
func (s *Reader) read(ctx context.Context, now time.Time) time.Duration {
	current, err := s.stage(ctx, secretstore.Current, now)
	if weak := errors.Is(err, ErrWeak); err == nil || weak {
		s.failing = time.Time{}
		previous, failure := s.stage(ctx, secretstore.Previous, now)
		s.values = slices.Concat(current, previous)
		switch {
		case weak:
			s.failed(ctx, "the current webhook secret is refused", err)
		case failure == nil || errors.Is(failure, secretstore.ErrNotFound) || errors.Is(failure, ErrWeak):
			return believed
		default:
			s.failed(ctx, "only the current webhook secret is accepted: the previous one cannot be read", failure)
		}
		return askAgain
	}
	if s.failing.IsZero() {
		s.failing = now
	}
	withdrawn := slices.ContainsFunc([]error{secretstore.ErrNotFound, secretstore.ErrDenied, secretstore.ErrInvalid},
		func(kind error) bool { return errors.Is(err, kind) })
	switch {
	case withdrawn || now.Sub(s.failing) >= unreadable:
		s.values = nil
		s.failed(ctx, "webhooks are refused: their secret was withdrawn, or cannot be read", err)
	case len(s.values) == 0: // nothing was ever read: the next webhook may be luckier
		s.failed(ctx, "a webhook is refused: its secret cannot be read", err)
		return time.Second
	default:
		s.failed(ctx, "the webhook secret cannot be read; the one read before is accepted", err)
	}
	return askAgain
}

func (s *Reader) failed(ctx context.Context, effect string, err error) {
	s.Log.ErrorContext(ctx, "webhook secret not read", "effect", effect, "err", err)
	s.Metrics.Add("WebhookSecretUnreadable", "Count", 1, nil)
}

// stage returns what is accepted of the version under a stage. ErrWeak says
// that its current secret is not.
func (s *Reader) stage(ctx context.Context, stage string, now time.Time) (accepted []providers.Secret, err error) {
	document, created, err := Read(ctx, s.Store, s.Name, stage)
	if err != nil {
		return nil, err
	}
	for _, secret := range []providers.Secret{document.Previous, document.Current} {
		weak := Check(secret.Reveal())
		if weak == nil || !secret.Empty() && s.tolerated(ctx, weak, created, now) {
			accepted, weak = append(accepted, secret), nil
		}
		err = weak // of the current one in the end
	}
	return accepted, err
}

// tolerated reports whether a secret that breaks the rule is accepted for now,
// and tells of it once a day.
func (s *Reader) tolerated(ctx context.Context, weak error, created, now time.Time) bool {
	since := created
	if !s.RuleSince.IsZero() {
		since = s.RuleSince
	}
	end := since.Add(grace)
	if created.After(since) || !now.Before(end) {
		return false
	}
	if now.Sub(s.told) >= 24*time.Hour {
		s.told = now
		s.Log.WarnContext(ctx, "a weak webhook secret is accepted for now", "until", end, "err", weak)
		s.Metrics.Add("WebhookSecretWeak", "Count", 1, nil)
	}
	return true
}
