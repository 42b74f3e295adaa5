package tokenrefresh_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"hikyaku/internal/crash"
	"hikyaku/internal/secretstore"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
)

// A connecting world is one in which a person connects SuperSaaS, in two processes: the
// command stages a candidate, and the function adopts it.
type connecting struct {
	*world

	name     string
	before   []byte // what the secret held; nil: there is none
	document []byte
}

// Whoever dies between any two calls, and whichever call fails or loses its answer: the
// connection is the one before or the one that was entered, and running the command again
// makes it the one that was entered.
func TestCandidate_IsRepairedByRunningAgain(t *testing.T) {
	for name, first := range map[string]bool{"the first connection": true, "another connection": false} {
		inBubbleNamed(t, name, func(w *world) {
			report := crash.Enumerate(w.t, crash.Scenario[*connecting]{
				Setup: func(t testing.TB) *connecting {
					s := &connecting{world: newWorld(t), name: secretstore.Name(prefix, providers.SuperSaaS, secretstore.ConnectionPart)}
					s.document = s.connection(providers.SuperSaaS).Document()
					if !first {
						s.bookings.RollKey()
						s.connect(providers.SuperSaaS)
						s.before = s.value(providers.SuperSaaS, secretstore.ConnectionPart, secretstore.Current).Data
					}
					return s
				},
				Run:   connect,
				Twice: true,
				Check: (*connecting).check,
			})
			if report.Cases < 4*len(report.Calls) {
				w.t.Errorf("only %d cases", report.Cases)
			}
		})
	}
}

// connect is what 'hikyaku connect --remote' and the function do.
func connect(ctx context.Context, p *crash.Process, s *connecting) error {
	secrets := p.Secrets(s.secrets)
	now, err := secrets.Get(ctx, s.name, secretstore.Current)
	if err != nil && !errors.Is(err, secretstore.ErrNotFound) {
		return err
	}
	c, err := tokenrefresh.Stage(ctx, secrets, uuid.NewString, s.name, now.ID, s.document)
	if err != nil {
		return err
	}
	_, err = tokenrefresh.New(prefix, s.deps(secrets, p.Objects(s.objects), s)).Adopt(ctx, providers.SuperSaaS, c)
	return err
}

func (s *connecting) check(o crash.Outcome) error {
	last := o.Errs[len(o.Errs)-1]
	now, err := s.secrets.Get(context.Background(), s.name, secretstore.Current)
	if err != nil {
		return fmt.Errorf("nothing is left: %w", err)
	}
	if last == nil && !bytes.Equal(now.Data, s.document) {
		return fmt.Errorf("the connection is %s", now.Data)
	}
	if _, err := providers.ParseConnection(now.Data); !errors.Is(err, providers.ErrNotFound) && !bytes.Equal(now.Data, s.document) && !bytes.Equal(now.Data, s.before) {
		return fmt.Errorf("the connection is %s", now.Data)
	}
	if last != nil { // a call of a living process failed: the person runs the command again
		return s.again(o)
	}
	if held := s.stages(providers.SuperSaaS, secretstore.ConnectionPart)[protocol.Candidate]; held != "" && held != now.ID {
		return errors.New("a candidate was forgotten")
	}
	return nil
}

func (s *connecting) again(o crash.Outcome) error {
	if err := connect(context.Background(), &crash.Process{}, s); err != nil {
		return fmt.Errorf("running it again: %w", err)
	}
	return s.check(crash.Outcome{Points: o.Points, Errs: []error{nil}})
}

// A secret with a placeholder is no connection: the provider is off, and nobody is told.
func TestCandidate_IsNoConnectionBeforeItIsAdopted(t *testing.T) {
	inBubble(t, func(w *world) {
		name := secretstore.Name(prefix, providers.SuperSaaS, secretstore.ConnectionPart)
		c, err := tokenrefresh.Stage(context.Background(), w.secrets, uuid.NewString, name, "", w.connection(providers.SuperSaaS).Document())
		w.must(err)
		w.want(providers.SuperSaaS, protocol.Off)
		d, err := w.secrets.Describe(context.Background(), name)
		w.must(err)
		if tokenrefresh.HasConnection(d) || w.told() != "" {
			t.Errorf("a placeholder counts as a connection: %+v", d)
		}
		r := tokenrefresh.New(prefix, w.deps(w.secrets, w.objects, w))
		taken, err := r.Adopt(context.Background(), providers.SuperSaaS, c)
		w.must(err)
		w.want(providers.SuperSaaS, protocol.Refreshed)

		// A candidate of a connection that is no longer there does not take its place.
		w.connect(providers.SuperSaaS)
		late, err := tokenrefresh.Stage(context.Background(), w.secrets, uuid.NewString, name, c.Version, []byte("{}"))
		w.must(err)
		if again, err := r.Adopt(context.Background(), providers.SuperSaaS, late); taken || !again || !errors.Is(err, secretstore.ErrConflict) {
			t.Errorf("taken %v and then %v, %v", taken, again, err)
		}
	})
}
