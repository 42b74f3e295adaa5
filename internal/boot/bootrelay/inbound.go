package bootrelay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"hikyaku/internal/boot"
	"hikyaku/internal/secretstore"
	"hikyaku/pkg/providers"
)

// inboundFor is how long the inbound secrets are believed. A new one is
// accepted everywhere within this time; the one before it stays valid as long
// as it is the previous version, so nothing is refused meanwhile.
const inboundFor = 5 * time.Minute

// rereadAfter is when a store that failed is asked again, while webhooks are
// answered with what was read.
const rereadAfter = 30 * time.Second

// inbound reads the inbound secret {prefix}/supersaas/webhook, a document
// {"current":"..."}, from the version that is current and the one before it.
// Whoever keeps both in one version adds "previous". It is safe for concurrent
// use.
type inbound struct {
	store secretstore.Store
	name  string
	now   func() time.Time
	log   *slog.Logger

	mu     sync.Mutex
	values []providers.Secret
	readAt time.Time // zero: never
}

func newInbound(base *boot.Base) *inbound {
	return &inbound{store: base.Secrets, name: secretstore.Name(base.Common.Prefix, providers.SuperSaaS, "webhook"), now: base.Now, log: base.Log}
}

// InboundSecret reads the secret that a webhook's address has to end in. One
// that an address would change, so that no webhook could match it, is an error.
func InboundSecret(ctx context.Context, base *boot.Base) (providers.Secret, error) {
	secrets, err := newInbound(base).read(ctx, secretstore.Current)
	if err == nil && len(secrets) == 0 {
		err = errors.New("the inbound secret holds nothing yet; make one of letters and digits, such as 'openssl rand -hex 32' prints")
	}
	if err == nil && url.QueryEscape(secrets[0].Reveal()) != secrets[0].Reveal() {
		err = errors.New("the inbound secret holds characters that an address changes, but only letters, digits and . _ ~ - are safe; store another, such as 'openssl rand -hex 32' prints")
	}
	if err != nil {
		return providers.Secret{}, err
	}
	return secrets[0], nil
}

// current returns the current secret and, while it rotates, the previous one.
// If the store fails, the last answer stands; if only the previous one cannot
// be read, the current one serves alone.
func (i *inbound) current(ctx context.Context) ([]providers.Secret, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.readAt.IsZero() && i.now().Sub(i.readAt) < inboundFor {
		return i.values, nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin/2) // the rest is the queue's
	defer cancel()
	good := inboundFor
	values, err := i.read(ctx, secretstore.Current)
	switch {
	case err == nil:
		previous, err := i.read(ctx, secretstore.Previous)
		if err != nil {
			i.log.WarnContext(ctx, "only the current inbound secret is accepted: the previous one cannot be read", "err", err)
			good = rereadAfter
		}
		values = append(values, previous...)
	case len(i.values) > 0:
		values, good = i.values, rereadAfter
	default:
		return nil, err
	}
	i.values = values
	if len(values) > 0 { // a secret that is still to be set is looked for again at once
		i.readAt = i.now().Add(good - inboundFor)
	}
	return values, nil
}

// read returns nothing for a stage that is on no version, or on a placeholder.
func (i *inbound) read(ctx context.Context, stage string) ([]providers.Secret, error) {
	value, err := i.store.Get(ctx, i.name, stage)
	if errors.Is(err, secretstore.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the inbound secret: %w", err)
	}
	var document struct {
		Current  string `json:"current"`
		Previous string `json:"previous"`
	}
	if len(value.Data) > 0 && json.Unmarshal(value.Data, &document) != nil {
		return nil, fmt.Errorf("reading the inbound secret: %w: expected {\"current\":\"...\"}", providers.ErrInvalid)
	}
	var secrets []providers.Secret
	for _, s := range []string{document.Current, document.Previous} {
		if s != "" {
			secrets = append(secrets, providers.NewSecret(s))
		}
	}
	return secrets, nil
}
