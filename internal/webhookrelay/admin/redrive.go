// Package admin is what a person does with the relay from the command line:
// decide on links, read what happened to a user, redrive dead letters, manage the
// webhook, and find out what an update
// does to the fields that it omits. No function does any of it.
//
//	letters, err := admin.Letters(ctx, deadLetters)
//	done, err := admin.Redrive(ctx, deadLetters, queue, admin.Selection{})
//	registered, err := admin.Hooks{Client: client, URL: url}.Register(ctx, secret)
package admin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/internal/webhookrelay/queue"
)

// letterOf is the message of a dead letter. One that is none of hikyaku's is of
// user 0.
func letterOf(d queue.Delivery) queue.Message {
	m, err := queue.ParseMessage(d.Body)
	if err != nil {
		return queue.Message{Class: string(outcome.Malformed)}
	}
	m.Class = cmp.Or(m.Class, string(outcome.TriedTooOften))
	return m
}

// Letters lists what lies in a dead-letter queue, the oldest first, and leaves it
// there. A queue hands out ten letters of one user at most; what is behind them is
// not seen.
func Letters(ctx context.Context, from queue.Outlet) (letters []queue.Message, err error) {
	receipts := map[string]string{} // by id
	defer func() { release(ctx, from, receipts) }()
	for seen := -1; len(receipts) > seen; {
		seen = len(receipts)
		batch, err := from.Receive(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading the dead-letter queue: %w", err)
		}
		for _, d := range batch {
			if receipts[d.ID] == "" {
				letters = append(letters, letterOf(d))
			}
			receipts[d.ID] = d.Receipt
		}
	}
	slices.SortStableFunc(letters, func(a, b queue.Message) int { return a.At.Compare(b.At) })
	return letters, nil
}

// release shows letters to others again. One that cannot be shown comes back by
// itself.
func release(ctx context.Context, to queue.Inbox, receipts map[string]string) {
	for _, receipt := range receipts {
		_ = to.Postpone(context.WithoutCancel(ctx), receipt, 0)
	}
}

// A Selection is which letters to redrive. The zero value is all.
type Selection struct {
	Users []int64       // empty: everybody's
	Class outcome.Class // empty: each
	Limit int           // 0: none
}

func (s Selection) takes(m queue.Message) bool {
	return (len(s.Users) == 0 || slices.Contains(s.Users, m.User)) && (s.Class == "" || string(s.Class) == m.Class)
}

// Redriven counts what Redrive found in a dead-letter queue.
type Redriven struct {
	Sent int `json:"sent"` // users put on the queue again
	Kept int `json:"kept"` // messages that name no user: nothing could be done with them

	// Again are those that were given up once more, or since the start: they
	// are left for another time, when what stops them is fixed.
	Again int `json:"again"`

	Others int `json:"others"` // that were not selected
}

// Redrive sends what lies in a dead-letter queue to the relay's queue. It is
// safe at any later time and may be repeated: a message only says which user to
// read again, so an old one brings no old data. Each is deleted after it was
// sent, with a deduplication id of its own, so a crash between the two sends it
// once more and loses nothing. After an error the counts say what was done.
//
// It sends no message that comes back while it runs, and ends when it has seen
// nothing else twice: the first time, others may hide behind the same user.
func Redrive(ctx context.Context, from queue.Outlet, to queue.Queue, only Selection) (done Redriven, err error) {
	start, stay := time.Now().UTC(), map[string]bool{}
	shown := map[string]string{} // to others, once this ends
	defer func() { release(ctx, from, shown) }()
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
			m, counted := letterOf(d), &done.Sent
			switch {
			case stay[d.ID]:
				continue
			case only.Limit > 0 && done.Sent == only.Limit, !only.takes(m):
				shown[d.ID], counted = d.Receipt, &done.Others
			case m.User == 0:
				counted = &done.Kept
			case !m.At.Before(start):
				counted = &done.Again
			}
			if counted != &done.Sent {
				stay[d.ID] = true
				*counted++
				continue
			}
			m.Event, m.Class, m.At, m.Differs = queue.Redrive, "", start, 0
			if err := to.Send(ctx, m.Envelope(uuid.NewString())); err != nil {
				return done, fmt.Errorf("sending user %d again: %w", m.User, err)
			}
			done.Sent++
			if err := from.Delete(ctx, d.Receipt); err != nil {
				return done, fmt.Errorf("removing the dead letter of user %d, which was sent again: %w", m.User, err)
			}
		}
		if only.Limit > 0 && done.Sent == only.Limit {
			return done, nil
		}
	}
}
