// Package queue holds the messages of the relay: what one says, how a FIFO
// queue groups them, and the ends of a queue that the relay knows.
package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"hikyaku/pkg/providers"
)

// A Message says that one SuperSaaS user may have changed. It is a hint: who
// handles it reads the user again. It holds no personal data beyond the user's
// number.
type Message struct {
	User    int64     `json:"user,string"`
	Event   string    `json:"event,omitempty"`   // a webhook's, Reconcile or Redrive
	Deleted bool      `json:"deleted,omitempty"` // what the webhook said
	Force   bool      `json:"force,omitempty"`   // write even if nothing seems to have changed
	At      time.Time `json:"at"`                // when it was accepted or redriven, or when the list it comes from began
	Class   string    `json:"class,omitempty"`   // in the dead-letter queue: why
	Differs uint32    `json:"differs,omitempty"` // the difference that a complete list shows, if that is all it is about
	Mapping string    `json:"mapping,omitempty"` // of a reconcile: the mapping by which it compared, as ShortDigest names it
}

// ParseMessage reads a message off a queue. Anything else than what Envelope
// wrote is an ErrInvalid.
func ParseMessage(body []byte) (Message, error) {
	var m Message
	if err := json.Unmarshal(body, &m); err != nil || m.User <= 0 || m.At.IsZero() {
		return Message{}, fmt.Errorf("queue message: %w: expected {\"user\":\"123\",\"at\":...} as hikyaku writes it", providers.ErrInvalid)
	}
	return m, nil
}

// Envelope addresses the message: its group is the user, so that a FIFO queue
// hands out one user's messages in order and to one worker at a time. Those of
// a reconcile have a group of their own: they bring what an earlier message may
// be waiting for, up to an hour, with its whole group behind it. The row keeps
// two workers apart.
func (m Message) Envelope(dedup string) Envelope {
	body, _ := json.Marshal(m) // a struct of plain fields always marshals
	group := strconv.FormatInt(m.User, 10)
	if m.Event == Reconcile {
		group = Reconcile + "-" + group
	}
	return Envelope{Group: group, Dedup: dedup, Body: body}
}

// Events of messages that no webhook sent.
const (
	Reconcile = "reconcile"
	Redrive   = "redrive"
)

// FromWebhook reports whether a webhook told of the change.
func (m Message) FromWebhook() bool {
	return m.Event != "" && m.Event != Reconcile && m.Event != Redrive
}

// An Envelope is a message as a FIFO queue takes it.
type Envelope struct {
	Group string // messages of one group stay in order
	Dedup string // the queue drops an equal one for five minutes
	Body  []byte
}

// A Queue is a FIFO queue's entrance. Implementations are safe for concurrent
// use.
type Queue interface {
	// Send returns nil once every envelope is durable. After an error some
	// may be; sending all again is harmless.
	Send(ctx context.Context, envelopes ...Envelope) error
}

// An Inbox decides when an unacknowledged message comes back.
type Inbox interface {
	// Postpone makes the message come back after d from now, instead of
	// after the queue's own visibility time-out.
	Postpone(ctx context.Context, receipt string, d time.Duration) error
}

// An Outlet is the exit of a queue. Implementations are safe for concurrent
// use.
type Outlet interface {
	Inbox
	// Receive hands out some messages and hides them from others for the
	// queue's visibility time-out. None means that the queue shows none now.
	Receive(ctx context.Context) ([]Delivery, error)
	// Delete removes a message for good.
	Delete(ctx context.Context, receipt string) error
}

// A Delivery is one message as the queue handed it out.
type Delivery struct {
	ID       string // names it in the answer to the queue
	Receipt  string // names this receipt of it to the queue
	Receives int    // how often it has been handed out, from 1
	Body     []byte
}
