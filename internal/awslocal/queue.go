package awslocal

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// queues are all FIFO queues. One lock for all of them makes a move to a
// dead-letter queue one step.
type queues struct {
	now      func() time.Time
	jumps    bool // now is not the machine's clock
	ledger   *ledger
	observer *observer

	mu     sync.Mutex
	byName map[string]*queue
}

// A queue is a FIFO queue.
type queue struct {
	name       string
	attributes map[string]string // as set; see settings
	settings   settings
	tags       map[string]string
	created    time.Time
	modified   time.Time
	purged     time.Time // zero: never
	backlog    *backlog
	seen       *seenIDs
	sequence   int64
	reserved   int64         // up to this one, numbers may be given without saying so
	inherited  bool          // from an earlier process; this one has not asked for it yet
	changed    chan struct{} // closed at each change that may let a message be received; nil: nobody waits

	ledger   *ledger
	observer *observer
}

// A message is one message with its state. It is in flight while it has been
// received and visible lies ahead.
type message struct {
	id, body     string
	group, dedup string
	attributes   map[string]attribute
	trace        string
	sequence     int64
	sent, first  time.Time // first: when it was first received
	visible      time.Time
	inFlight     bool
	received     int
	receipt      int    // times received in its whole life, for handles
	source       string // ARN of the queue it is a dead letter of

	inQueue, inGroup link // these are the backlog's
	hiddenAt         int
}

// An attribute is a message attribute, in its JSON form.
type attribute struct {
	DataType    string
	StringValue string `json:",omitempty"`
	BinaryValue []byte `json:",omitempty"`
}

// newQueue makes a queue that nobody can find yet.
func (s *queues) newQueue(name string) *queue {
	return &queue{
		name: name, attributes: map[string]string{}, tags: map[string]string{}, backlog: newBacklog(), seen: newSeenIDs(), ledger: s.ledger, observer: s.observer,
	}
}

// send appends a message, or finds the one that it repeats.
func (q *queue) send(m *message, now time.Time) accepted {
	for _, key := range q.seen.expire(now) {
		q.ledger.note(erasure(seenSection, q.name+"/"+key))
	}
	if before, ok := q.seen.byKey[q.seenKey(m)]; ok {
		m.id, m.sent, m.visible = before.id, before.at, before.at
		q.tell(MessageRepeated, m, now)
		return before
	}
	m.sent, m.visible = now, now.Add(q.settings.delay)
	return q.put(m, QueueEvent{Kind: MessageSent}, now)
}

func (q *queue) seenKey(m *message) string {
	if q.settings.perGroup {
		return m.group + "\x00" + m.dedup
	}
	return m.dedup
}

// put appends a message and remembers its deduplication id.
func (q *queue) put(m *message, e QueueEvent, now time.Time) accepted {
	q.append(m, now)
	key := q.seenKey(m)
	a := q.seen.remember(key, m, now)
	q.ledger.note(append(q.whole(m), q.seenRecord(key, a))...) // both or neither: one without the other loses a message, or doubles it
	q.tellOf(e, m, now)
	return a
}

// append is the last part of what puts a message on the queue but its records.
func (q *queue) append(m *message, now time.Time) {
	if q.sequence == q.reserved {
		q.reserved += sequenceBlock
		q.ledger.note(q.self())
	}
	q.sequence++
	m.sequence = q.sequence
	q.backlog.add(m, now)
	q.wake()
}

// drop takes a message off the queue.
func (q *queue) drop(m *message, kind QueueEventKind, now time.Time) {
	q.backlog.remove(m)
	q.ledger.note(q.gone(m)...)
	q.tell(kind, m, now)
}

// hide says until when a message cannot be received.
func (q *queue) hide(m *message, until time.Time, inFlight bool, now time.Time) {
	q.backlog.hide(m, until, inFlight, now)
	q.ledger.note(q.receives(m))
	q.tell(MessageHidden, m, now)
	q.wake()
}

// wake tells those who wait for a message.
func (q *queue) wake() {
	if q.changed != nil {
		close(q.changed)
		q.changed = nil
	}
}

// waiting returns what wake closes.
func (q *queue) waiting() <-chan struct{} {
	if q.changed == nil {
		q.changed = make(chan struct{})
	}
	return q.changed
}

// expire drops messages past their retention, and ends visibility time-outs. The oldest
// message is the first.
func (q *queue) expire(now time.Time) {
	for m := q.backlog.all.first; m != nil && now.Sub(m.sent) >= q.settings.retention; m = q.backlog.all.first {
		q.drop(m, MessageExpired, now)
	}
	q.backlog.reveal(now)
}

// take receives up to n messages: in order within a group, and none of a group
// that has one in flight. A message that was received too often goes to the
// dead-letter queue instead.
func (q *queue) take(n int, visibility time.Duration, now time.Time, dead *queue) []*message {
	q.expire(now)
	taken, lost := q.backlog.pick(n, func(m *message) bool { return dead != nil && m.received >= q.settings.maxReceives })
	for _, m := range taken {
		m.received++
		m.receipt++
		if m.first.IsZero() {
			m.first = now
		}
		q.backlog.hide(m, now.Add(visibility), true, now)
		q.ledger.note(q.receives(m))
		q.tell(MessageReceived, m, now)
	}
	for _, m := range lost {
		q.move(m, dead, MessageDead, m.id, now)
	}
	return taken
}

// move takes m to another queue, where its time and its receives begin again.
func (q *queue) move(m *message, to *queue, kind QueueEventKind, id string, now time.Time) {
	q.backlog.remove(m)
	moved := *m
	if moved.id, moved.source = id, ""; kind == MessageDead {
		moved.source = QueueARN(q.name)
	}
	moved.sent, moved.visible, moved.first, moved.received = now, now, time.Time{}, 0
	to.append(&moved, now)
	q.ledger.note(append(q.gone(m), to.whole(&moved)...)...) // in one queue or the other, never in both
	q.tellOf(QueueEvent{Kind: kind, To: to.name}, m, now)
	to.tell(MessageSent, &moved, now)
}

// deadLetters returns the queue's dead-letter queue, or nil.
func (s *queues) deadLetters(q *queue) *queue { return s.byName[nameOf(q.settings.deadLetters)] }

// receive takes up to n messages, and waits for the first of them.
func (s *queues) receive(ctx context.Context, name string, n int, visibility, wait time.Duration) ([]delivery, error) {
	deadline := time.Now().Add(wait)
	for {
		s.mu.Lock()
		q, ok := s.byName[name]
		if !ok {
			s.mu.Unlock()
			return nil, errNoSuchQueue
		}
		if visibility < 0 {
			visibility = q.settings.visibility
		}
		now := s.now()
		found := deliver(q.take(n, visibility, now, s.deadLetters(q)))
		changed, left := q.waiting(), time.Until(deadline)
		next := s.patience(q.next(now, left))
		s.mu.Unlock()
		if len(found) > 0 || left <= 0 {
			return found, s.ledger.settle()
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-changed:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// patience is how long to wait at once for what is to come at a time of s.now, which
// may jump.
func (s *queues) patience(wait time.Duration) time.Duration {
	if s.jumps {
		return min(wait, jumpPause)
	}
	return wait
}

// jumpPause is how soon a jump of the clock is noticed.
const jumpPause = 50 * time.Millisecond

// next is how soon time alone may make a message visible, at most limit.
func (q *queue) next(now time.Time, limit time.Duration) time.Duration {
	if hidden := q.backlog.hidden; len(hidden) > 0 {
		return min(limit, hidden[0].visible.Sub(now))
	}
	return limit
}

// A handle names one receipt of a message.
func (m *message) handle() string {
	return base64.URLEncoding.EncodeToString(fmt.Appendf(nil, "%s %d", m.id, m.receipt))
}

// received finds the message of a receipt handle. It is nil if the message is
// deleted already. The handle of a receipt whose visibility has ended is
// refused, as FIFO queues do.
func (q *queue) received(handle string, now time.Time) (*message, error) {
	q.expire(now)
	raw, err := base64.URLEncoding.DecodeString(handle)
	id, number, ok := strings.Cut(string(raw), " ")
	receipt, numberErr := strconv.Atoi(number)
	if err != nil || numberErr != nil || !ok {
		return nil, refuse("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
	}
	m := q.backlog.byID[id]
	if m != nil && (!m.inFlight || m.receipt != receipt) {
		return nil, invalidValue("Value %s for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.", handle)
	}
	return m, nil
}

func (q *queue) remove(handle string, now time.Time) error {
	m, err := q.received(handle, now)
	if err != nil || m == nil {
		return err
	}
	q.drop(m, MessageDeleted, now)
	q.wake()
	return nil
}

func (q *queue) changeVisibility(handle string, seconds int, now time.Time) error {
	if seconds < 0 || seconds > maxVisibility {
		return invalidValue("Value %d for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and 43200.", seconds)
	}
	m, err := q.received(handle, now)
	if err != nil {
		return err
	}
	if m == nil {
		return refuseQueue("MessageNotInflight", "The specified message isn't in flight.")
	}
	q.hide(m, now.Add(time.Duration(seconds)*time.Second), true, now)
	return nil
}

// nameOf returns the last part of a queue's ARN or URL.
func nameOf(address string) string {
	return address[strings.LastIndexAny(address, ":/")+1:]
}

// QueueMetrics are CloudWatch's of a queue: the messages that can be received
// (ApproximateNumberOfMessagesVisible), and how long ago the oldest that was not
// deleted was sent to it (ApproximateAgeOfOldestMessage), 0 if there is none. Of a FIFO
// queue a message counts however often it was received.
func (a *AWS) QueueMetrics(name string) (visible int, oldest time.Duration, err error) {
	_, err = with(a.queues, name, func(q *queue, now time.Time) (nothing, error) {
		q.expire(now)
		visible = q.backlog.depth().Visible
		if first := q.backlog.all.first; first != nil {
			oldest = now.Sub(first.sent)
		}
		return nothing{}, nil
	})
	return visible, oldest, err
}
