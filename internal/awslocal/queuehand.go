package awslocal

import (
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Depth returns how many messages a queue has. It costs the same however many there are.
func (a *AWS) Depth(name string) (Depth, error) {
	return with(a.queues, name, func(q *queue, now time.Time) (Depth, error) {
		q.expire(now)
		return q.backlog.depth(), nil
	})
}

// DelayMessage lets a message be received later than it could be now, or sooner if by is
// negative, as a person may want. One that is in flight stays so, and its receipt good.
func (a *AWS) DelayMessage(name, id string, by time.Duration) error {
	return a.hand(name, id, func(q *queue, m *message, now time.Time) error {
		from := now
		if m.visible.After(now) {
			from = m.visible
		}
		until := from.Add(by)
		if until.Sub(now) > maxVisibility*time.Second {
			return fmt.Errorf("message %s cannot wait until %s: a message waits 12 hours at most", id, until.UTC().Format(time.RFC3339))
		}
		if until.Before(now) {
			until = now
		}
		q.hide(m, until, m.inFlight, now)
		return nil
	})
}

// DuplicateMessage sends a message once more, as a person may want, and returns the id of
// the new one. Its deduplication id is new too.
func (a *AWS) DuplicateMessage(name, id string) (string, error) {
	var made string
	err := a.hand(name, id, func(q *queue, m *message, now time.Time) error {
		twin := &message{
			id: uuid.NewString(), dedup: uuid.NewString(), body: m.body, group: m.group, attributes: m.attributes, trace: m.trace,
			sent: now, visible: now,
		}
		made = twin.id
		q.put(twin, QueueEvent{Kind: MessageSent, Copy: true}, now)
		return nil
	})
	return made, err
}

// DropMessage takes a message away, as a person may want, even if it is in flight.
func (a *AWS) DropMessage(name, id string) error {
	return a.hand(name, id, func(q *queue, m *message, now time.Time) error {
		q.drop(m, MessageDropped, now)
		q.wake()
		return nil
	})
}

// hand lets a person do something to a message.
func (a *AWS) hand(name, id string, f func(q *queue, m *message, now time.Time) error) error {
	_, err := with(a.queues, name, func(q *queue, now time.Time) (nothing, error) {
		q.expire(now)
		m := q.backlog.byID[id]
		if m == nil {
			return nothing{}, fmt.Errorf("the queue %s has no message %s: it was handled meanwhile, or taken away", nameOf(name), id)
		}
		return nothing{}, f(q, m, now)
	})
	return err
}
