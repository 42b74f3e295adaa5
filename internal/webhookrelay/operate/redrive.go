// Package operate is what a person does with the relay from the command line:
// redrive dead letters, manage the webhook, and find out what an update does to
// the fields that it omits. None of it is deployed.
//
//	done, err := operate.Redrive(ctx, deadLetters, queue)
//	registered, err := operate.Hooks{Client: client, URL: url}.Register(ctx, secret)
package operate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/webhookrelay/queue"
)

// Redriven counts what Redrive found in a dead-letter queue.
type Redriven struct {
	Sent int `json:"sent"` // users put on the queue again
	Kept int `json:"kept"` // messages that name no user: nothing could be done with them

	// Again are those that were given up once more, or since the start: they
	// are left for another time, when what stops them is mended.
	Again int `json:"again"`
}

// Redrive sends what lies in a dead-letter queue to the relay's queue. It is
// safe at any later time and may be repeated: a message only says which user to
// read anew, so an old one brings no old data. Each is deleted after it was
// sent, with a deduplication id of its own, so a crash between the two sends it
// once more and loses nothing. After an error the counts say what was done.
//
// It sends no message that comes back while it runs, and ends when it has seen
// nothing else twice: the first time, others may hide behind the same user.
func Redrive(ctx context.Context, from queue.Outlet, to queue.Queue) (done Redriven, err error) {
	start, stay := time.Now().UTC(), map[string]bool{}
	for idle := 0; ; {
		batch, err := from.Receive(ctx)
		if err != nil {
			return done, fmt.Errorf("reading the dead-letter queue: %w", err)
		}
		if idle++; slices.ContainsFunc(batch, func(d queue.Delivery) bool { return !stay[d.ID] }) {
			idle = 0
		}
		if len(batch) == 0 || idle == 2 {
			return done, nil
		}
		for _, d := range batch {
			m, err := queue.ParseMessage(d.Body)
			switch {
			case stay[d.ID]:
				continue
			case err != nil:
				stay[d.ID] = true
				done.Kept++
				continue
			case !m.At.Before(start):
				stay[d.ID] = true
				done.Again++
				continue
			}
			m.Event, m.Class, m.At = queue.Redrive, "", start
			if err := to.Send(ctx, m.Envelope(uuid.NewString())); err != nil {
				return done, fmt.Errorf("sending user %d again: %w", m.User, err)
			}
			done.Sent++
			if err := from.Delete(ctx, d.Receipt); err != nil {
				return done, fmt.Errorf("removing the dead letter of user %d, which was sent again: %w", m.User, err)
			}
		}
	}
}
