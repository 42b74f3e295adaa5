package record

import (
	"encoding/json"
	"time"

	"hikyaku/internal/console"
)

// What the ways may take in memory, as far as it can be reckoned.
const (
	mostBytes = 32 << 20
	stepBytes = 500
	wayBytes  = 500
	mostSteps = 200 // of one way; what happens between the first and the last is left out
	mostBody  = 64 << 10
)

// ways are those of the messages of late.
type ways struct {
	byID      map[string]*way
	byMessage map[string]*way
	oldest    []*way // in the order in which they began
	bytes     int
}

// A way is all that happened to what one webhook, or something else, put on the queue.
type way struct {
	id       string
	began    time.Time // when its webhook came; zero: none did
	body     []byte
	user     string
	answered bool // its webhook has an answer
	steps    []*console.Event
	messages []message
	bytes    int
}

// A message is one of a way's.
type message struct {
	id    string
	ended bool
	next  time.Time
}

func newWays() *ways { return &ways{byID: map[string]*way{}, byMessage: map[string]*way{}} }

// find takes the id of a way or of one of its messages.
func (w *ways) find(id string) *way {
	if found := w.byID[id]; found != nil {
		return found
	}
	return w.byMessage[id]
}

// open returns a way, and begins it if there is none of that id.
func (w *ways) open(id string) *way {
	if found := w.byID[id]; found != nil {
		return found
	}
	made := &way{id: id}
	w.byID[id] = made
	w.oldest = append(w.oldest, made)
	w.grow(made, wayBytes)
	return made
}

// grow reckons what a way takes, and lets go of the oldest ones.
func (w *ways) grow(of *way, bytes int) {
	of.bytes += bytes
	w.bytes += bytes
	for w.bytes > mostBytes && len(w.oldest) > 1 && w.oldest[0] != of {
		gone := w.oldest[0]
		w.oldest[0] = nil
		w.oldest = w.oldest[1:]
		w.bytes -= gone.bytes
		delete(w.byID, gone.id)
		for _, m := range gone.messages {
			delete(w.byMessage, m.id)
		}
	}
}

// began notes the webhook that begins a way.
func (w *ways) began(id string, at time.Time, body []byte) {
	of := w.open(id)
	of.began = at
	if len(body) <= mostBody {
		of.body = body
		w.grow(of, len(body))
	}
}

// sent notes a message of a way.
func (w *ways) sent(wayID, messageID, user string) {
	of := w.open(wayID)
	if of.user == "" {
		of.user = user
	}
	of.messages = append(of.messages, message{id: messageID})
	w.byMessage[messageID] = of
	w.grow(of, stepBytes/2)
}

// note changes what is known of a message.
func (w *ways) note(messageID string, change func(*message)) {
	if of := w.byMessage[messageID]; of != nil {
		for i := range of.messages {
			if of.messages[i].id == messageID {
				change(&of.messages[i])
			}
		}
	}
}

// step adds an event to its way.
func (w *ways) step(e *console.Event) {
	of := w.byID[e.Way]
	if e.Way == "" || of == nil {
		return
	}
	if len(of.steps) == mostSteps {
		of.steps = append(of.steps[:mostSteps/2], of.steps[mostSteps/2+1:]...)
	} else {
		w.grow(of, stepBytes)
	}
	of.steps = append(of.steps, e)
}

// messageDetail names the message of an event, so that ways can be put together again.
const messageDetail = "message_id"

// replay puts a way together again from a kept event.
func (w *ways) replay(e *console.Event, body []byte) {
	switch {
	case e.Way == "":
		return
	case e.Kind == console.Webhook:
		w.began(e.Way, e.At, body)
		w.byID[e.Way].answered = e.Status != 0
	case e.Kind == console.Queued:
		w.sent(e.Way, e.Detail[messageDetail], e.User)
	}
	w.step(e)
}

func (w *way) ended() bool {
	for _, m := range w.messages {
		if !m.ended {
			return false
		}
	}
	return len(w.messages) > 0 || w.answered
}

func (w *way) shown() console.Way {
	out := console.Way{ID: w.id, User: w.user, Ended: w.ended(), Steps: make([]console.Event, 0, len(w.steps))}
	if json.Valid(w.body) {
		out.Webhook = w.body
	}
	for _, m := range w.messages {
		if m.ended {
			continue
		}
		out.Waiting = true
		if out.Next.IsZero() || m.next.Before(out.Next) {
			out.Next = m.next
		}
	}
	for _, e := range w.steps {
		out.Steps = append(out.Steps, copied(e))
	}
	return out
}
