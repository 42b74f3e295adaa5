package awslocal

import (
	"fmt"
	"time"

	"github.com/google/uuid"
)

// A Hand is a person's in the queues.
type Hand struct{ queues *queues }

// Depth returns how many messages a queue has. It costs the same however many there are.
func (h *Hand) Depth(name string) (Depth, error) {
	return with(h.queues, name, func(q *queue, now time.Time) (Depth, error) {
		q.expire(now)
		return q.backlog.depth(), nil
	})
}

// Delay lets a message be received later than it could be now, or sooner if by is
// negative. One that is in flight stays so, and its receipt good.
func (h *Hand) Delay(name, id string, by time.Duration) error {
	return h.change(name, id, func(q *queue, m *message, now time.Time) error {
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

// Duplicate sends a message once more, and returns the id of the new one. Its
// deduplication id is new too.
func (h *Hand) Duplicate(name, id string) (string, error) {
	var made string
	err := h.change(name, id, func(q *queue, m *message, now time.Time) error {
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

// Drop takes a message away, even if it is in flight.
func (h *Hand) Drop(name, id string) error {
	return h.change(name, id, func(q *queue, m *message, now time.Time) error {
		q.drop(m, MessageDropped, now)
		q.wake()
		return nil
	})
}

// change lets a person do something to a message.
func (h *Hand) change(name, id string, f func(q *queue, m *message, now time.Time) error) error {
	_, err := with(h.queues, name, func(q *queue, now time.Time) (nothing, error) {
		q.expire(now)
		m := q.backlog.byID[id]
		if m == nil {
			return nothing{}, fmt.Errorf("the queue %s has no message %s: it was handled meanwhile, or taken away", nameOf(name), id)
		}
		return nothing{}, f(q, m, now)
	})
	return err
}
