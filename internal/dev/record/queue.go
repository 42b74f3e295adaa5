package record

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"hikyaku/internal/console"
)

// A Message is one of the queue, or of the dead-letter queue.
type Message struct {
	ID, Dedup, Body string

	Dead     bool // it lies in the dead-letter queue
	Receives int
	Visible  time.Time // when it can be received again
}

// body is what the relay's messages say.
type body struct {
	User  string `json:"user"`
	Event string `json:"event"`
	Class string `json:"class"`
}

func (m Message) read() (b body) {
	_ = json.Unmarshal([]byte(m.Body), &b) // what is none of the relay's says nothing
	return b
}

// Sent records a message that was put on a queue.
func (r *Recorder) Sent(m Message) {
	b := m.read()
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.Dead {
		r.died(m, b)
		return
	}
	of := r.known(m)
	r.tally.Queued++
	r.add(console.Event{Kind: console.Queued, Way: of.id, User: b.User, Message: b.Event, Detail: map[string]string{messageDetail: m.ID}}, nil)
}

// known is the way of a message. That of a webhook has the webhook's id as the beginning
// of its own deduplication id; another one is a way of its own.
func (r *Recorder) known(m Message) *way {
	if of := r.ways.byMessage[m.ID]; of != nil {
		return of
	}
	id := m.ID
	if cut := strings.LastIndexByte(m.Dedup, '-'); cut > 0 && r.ways.byID[m.Dedup[:cut]] != nil {
		id = m.Dedup[:cut]
	}
	r.ways.sent(id, m.ID, m.read().User)
	return r.ways.byMessage[m.ID]
}

// died records a dead letter: of the message that is handled for the same user, or of
// the one that it was.
func (r *Recorder) died(m Message, b body) {
	r.tally.Died++
	e := console.Event{Kind: console.Died, User: b.User, Outcome: b.Class, Bad: true, Detail: map[string]string{messageDetail: m.ID}}
	if of := r.ways.byMessage[m.ID]; of != nil {
		e.Way = of.id
	} else {
		for _, in := range r.calls {
			if ways := in.ways[b.User]; len(ways) > 0 && !in.over {
				e.Way = ways[0]
			}
		}
	}
	r.add(e, nil)
}

// Received records that the relay took a message.
func (r *Recorder) Received(m Message) {
	if m.Dead {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	of := r.known(m)
	r.ways.note(m.ID, func(known *message) { known.next = m.Visible })
	r.add(console.Event{
		Kind: console.Received, Way: of.id, User: of.user, Bad: m.Receives > 10,
		Detail: map[string]string{messageDetail: m.ID, "receives": strconv.Itoa(m.Receives)},
	}, nil)
}

// Hidden records when a message can be received again.
func (r *Recorder) Hidden(m Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ways.note(m.ID, func(known *message) { known.next = m.Visible })
	r.dirty = true
}

// Gone records that a message is in the queue no more. Dropped says that a person took it
// away.
func (r *Recorder) Gone(m Message, dropped bool) {
	if m.Dead {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tally.Gone++
	if dropped {
		r.tally.Dropped++
		r.add(console.Event{Kind: console.Handled, Way: r.known(m).id, User: m.read().User, Outcome: "dropped", Bad: true}, nil)
	}
	r.ways.note(m.ID, func(known *message) { known.ended = true })
	r.keep.add(entry{Ended: m.ID})
	r.dirty = true
}

// Expired records that nobody took a message in time, or that it was emptied out.
func (r *Recorder) Expired(m Message) {
	r.Gone(m, false)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !m.Dead {
		r.tally.Expired++
	}
}

// Tally counts the messages since the recorder was made. Began is not known to it.
func (r *Recorder) Tally() console.Tally {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tally
}

// invocations are those that run, by id.
type invocations map[string]*invocation

type invocation struct {
	function string
	user     string              // of whom the last call was
	ways     map[string][]string // of the messages that it handles, by user
	over     bool
}

// lateLines is of how many invocations that are over lines of the log still find their
// ways: a process writes its log beside its answer, and the answer may come first.
const lateLines = 500

// Invoked records an invocation until the returned function is called.
func (r *Recorder) Invoked(function, id string, payload []byte) (ended func()) {
	var event struct {
		Records []struct {
			MessageID  string `json:"messageId"`
			Body       string `json:"body"`
			Attributes struct {
				Dedup string `json:"MessageDeduplicationId"`
			} `json:"attributes"`
		}
	}
	_ = json.Unmarshal(payload, &event) // other events have no messages
	r.mu.Lock()
	defer r.mu.Unlock()
	in := &invocation{function: function, ways: map[string][]string{}}
	for _, m := range event.Records {
		message := Message{ID: m.MessageID, Body: m.Body, Dedup: m.Attributes.Dedup}
		user := message.read().User
		in.ways[user] = append(in.ways[user], r.known(message).id)
	}
	r.calls[id] = in
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		in.over = true
		r.over = append(r.over, id)
		if len(r.over) > lateLines {
			if old := r.calls[r.over[0]]; old != nil && old.over { // not one of the same id that runs again
				delete(r.calls, r.over[0])
			}
			r.over = r.over[1:]
		}
	}
}

// Process records that a process of a function began, ended or was killed.
func (r *Recorder) Process(function string, pid int, what string, bad bool) {
	r.Add(console.Event{Kind: console.Process, Function: function, Outcome: what, Bad: bad, Message: fmt.Sprintf("process %d %s", pid, what), Detail: map[string]string{"pid": strconv.Itoa(pid)}})
}
