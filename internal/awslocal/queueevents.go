package awslocal

import (
	"context"
	"sync"
	"time"
)

// A QueueEventKind says what happened to a message.
type QueueEventKind string

// What can happen to a message. A message that changes queues leaves one, and is then
// sent to the other.
const (
	MessageSent     QueueEventKind = "sent"
	MessageRepeated QueueEventKind = "repeated" // sent again under its deduplication id, and so ignored
	MessageReceived QueueEventKind = "received"
	MessageHidden   QueueEventKind = "hidden" // or delayed, or shown again before its time
	MessageDeleted  QueueEventKind = "deleted"
	MessageDead     QueueEventKind = "dead"    // it was received too often
	MessageMoved    QueueEventKind = "moved"   // out of the dead-letter queue
	MessageDropped  QueueEventKind = "dropped" // by a person
	MessagePurged   QueueEventKind = "purged"
	MessageExpired  QueueEventKind = "expired" // its retention has passed
)

// A QueueEvent is something that happened to a message.
type QueueEvent struct {
	Kind  QueueEventKind
	Queue string
	At    time.Time // of Options.Now

	MessageID, DeduplicationID, Group, Body string

	Receives int       // so far, in this queue
	Visible  time.Time // when it can be received, if it is still there
	To       string    // the queue that it left for
	Copy     bool      // it was sent by a person who doubled another one
}

// An observer tells of events in their order, once they are kept.
type observer struct {
	observe func(QueueEvent) // nil: nobody wants to know
	meter   *meter
	ledger  *ledger
	jobs    *jobs

	mu      sync.Mutex
	waiting []QueueEvent
	telling bool
}

// note takes an event down, after the change that it tells of was noted in the ledger.
func (o *observer) note(e QueueEvent) {
	o.meter.happened(e)
	if o.observe == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting = append(o.waiting, e)
	if !o.telling {
		o.telling = true
		o.jobs.begin(o.tell)
	}
}

func (o *observer) tell(context.Context) {
	for {
		o.mu.Lock()
		events := o.waiting
		o.waiting = nil
		o.telling = len(events) > 0
		o.mu.Unlock()
		if len(events) == 0 {
			return
		}
		_ = o.ledger.settle() // who changed the queue hears of a failure; the change stands until the process ends
		for _, e := range events {
			o.observe(e)
		}
	}
}

// tell notes that something happened to a message of the queue.
func (q *queue) tell(kind QueueEventKind, m *message, now time.Time) {
	q.tellOf(QueueEvent{Kind: kind}, m, now)
}

func (q *queue) tellOf(e QueueEvent, m *message, now time.Time) {
	e.Queue, e.At = q.name, now
	e.MessageID, e.DeduplicationID, e.Group, e.Body = m.id, m.dedup, m.group, m.body
	e.Receives, e.Visible = m.received, m.visible
	q.observer.note(e)
}
