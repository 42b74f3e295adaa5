package awslocal

import (
	"fmt"
	"strings"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// Sections of the keeper that hold the queues.
const (
	queueSection    = "aws.queues"
	messageSection  = "aws.messages" // by queue and sequence number
	receivesSection = "aws.receives" // of the messages that were received or delayed, by the same
	seenSection     = "aws.seen"     // deduplication ids, by queue
)

type queueRecord struct {
	Attributes map[string]string
	Tags       map[string]string `json:",omitempty"`

	Created, Modified, Purged time.Time

	Sequence int64 // up to this one, numbers may have been given
}

// messageRecord is what does not change of a message; its body stands behind it.
type messageRecord struct {
	ID, Group, Dedup string
	Attributes       map[string]attribute `json:",omitempty"`
	Trace, Source    string               `json:",omitempty"`
	Sent, Visible    time.Time
}

type receivesRecord struct {
	First, Visible    time.Time
	InFlight          bool
	Received, Receipt int
}

type seenRecord struct {
	At                           time.Time
	ID                           string
	Sequence                     int64
	BodyDigest, AttributesDigest string
}

// sequenceBlock is how many sequence numbers a queue may give before it says so in its
// record, so that it need not do so with every message. After a restart it goes on behind
// the block.
const sequenceBlock = 1000

// self is the record of the queue itself.
func (q *queue) self() sandbox.Change {
	return record(queueSection, q.name, queueRecord{q.attributes, q.tags, q.created, q.modified, q.purged, q.reserved}, nil)
}

func messageKey(queue string, sequence int64) string { return fmt.Sprintf("%s/%016x", queue, sequence) }

// receives is the record of what happened to a message since it was sent.
func (q *queue) receives(m *message) sandbox.Change {
	return record(receivesSection, messageKey(q.name, m.sequence), receivesRecord{m.first, m.visible, m.inFlight, m.received, m.receipt}, nil)
}

// whole are the records of a message.
func (q *queue) whole(m *message) []sandbox.Change {
	changes := []sandbox.Change{record(messageSection, messageKey(q.name, m.sequence), messageRecord{
		m.id, m.group, m.dedup, m.attributes, m.trace, m.source, m.sent, m.visible,
	}, []byte(m.body))}
	if m.receipt > 0 {
		changes = append(changes, q.receives(m))
	}
	return changes
}

// gone erases the records of a message.
func (q *queue) gone(m *message) []sandbox.Change {
	key := messageKey(q.name, m.sequence)
	return []sandbox.Change{erasure(messageSection, key), erasure(receivesSection, key)}
}

func (q *queue) seenRecord(key string, a accepted) sandbox.Change {
	return record(seenSection, q.name+"/"+key, seenRecord{a.at, a.id, a.sequence, a.bodyDigest, a.attributesDigest}, nil)
}

// queueLoader reads what an earlier process kept of the queues.
type queueLoader struct{ *queues }

func (s queueLoader) restore(k sandbox.Keeper) error {
	err := load(k, queueSection, func(name string, r queueRecord, _ []byte) error {
		q := s.newQueue(name)
		q.attributes, q.created, q.modified, q.purged = r.Attributes, r.Created, r.Modified, r.Purged
		q.sequence, q.reserved, q.inherited = r.Sequence, r.Sequence, true
		if r.Tags != nil {
			q.tags = r.Tags
		}
		s.byName[name] = q
		var err error
		q.settings, err = readSettings(q.attributes)
		return err
	})
	if err == nil {
		err = s.restoreSeen(k)
	}
	if err == nil {
		err = s.restoreMessages(k)
	}
	return err
}

// owner finds the queue of a key, and what stands behind its name.
func (s queueLoader) owner(key string) (q *queue, rest string, err error) {
	name, rest, _ := strings.Cut(key, "/")
	if q = s.byName[name]; q == nil {
		return nil, "", errNoSuchQueue
	}
	return q, rest, nil
}

func (s queueLoader) restoreSeen(k sandbox.Keeper) error {
	err := load(k, seenSection, func(key string, r seenRecord, _ []byte) error {
		q, id, err := s.owner(key)
		if err == nil {
			q.seen.add(id, accepted{r.At, r.ID, r.Sequence, r.BodyDigest, r.AttributesDigest})
		}
		return err
	})
	for _, q := range s.byName {
		q.seen.sort()
	}
	return err
}

// restoreMessages reads the messages in their order. Those in flight stay so until their
// visibility ends.
func (s queueLoader) restoreMessages(k sandbox.Keeper) error {
	received := map[string]receivesRecord{}
	if err := load(k, receivesSection, func(key string, r receivesRecord, _ []byte) error { received[key] = r; return nil }); err != nil {
		return err
	}
	now := s.now()
	return load(k, messageSection, func(key string, r messageRecord, body []byte) error {
		q, number, err := s.owner(key)
		if err != nil {
			return err
		}
		m := &message{
			id: r.ID, body: string(body), group: r.Group, dedup: r.Dedup, attributes: r.Attributes, trace: r.Trace, source: r.Source, sent: r.Sent, visible: r.Visible,
		}
		if _, err := fmt.Sscanf(number, "%x", &m.sequence); err != nil {
			return err
		}
		if state, ok := received[key]; ok {
			m.first, m.visible, m.inFlight, m.received, m.receipt = state.First, state.Visible, state.InFlight, state.Received, state.Receipt
		}
		q.backlog.add(m, now)
		return nil
	})
}
