package console

import (
	"context"
	"encoding/json"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// A Runner runs a command of hikyaku, as a person types it, without the program's name:
// each page shows what commands print with --json, and each action is a command.
type Runner func(ctx context.Context, stdin []byte, args ...string) (stdout json.RawMessage, err error)

// A Dev is what only a stack has that runs on this machine. All of it is safe for
// concurrent use. Times are the stack's clock's, which may run faster than a wall's.
type Dev interface {
	// State is what every page shows of the stack.
	State() State
	// Changed returns a channel that is closed at the next change of anything here.
	Changed() <-chan struct{}
	// Series are samples of the last while, one a second of the machine's own clock, the
	// oldest first.
	Series() []Sample

	// Events returns what has happened, the newest first.
	Events(f Filter) []Event
	// Way tells a message's whole way, by the id of its webhook or its own.
	Way(id string) (Way, bool)
	// Repeat posts a webhook again, as it was or edited, and returns the id of the new one.
	Repeat(ctx context.Context, id string, edited []byte) (string, error)
	// Delay, Duplicate and Drop change a message that waits in the queue.
	Delay(id string, by time.Duration) error
	Duplicate(id string) error
	Drop(id string) error

	// Editor is a provider's sandbox; nil where the provider is real.
	Editor(provider string) sandbox.Editor

	// Troubles are all troubles of the sandboxes and of the stack itself.
	Troubles() []sandbox.Trouble
	SetTrouble(provider, id string, on bool, amount float64) error
	// Kill ends a process of a function at once, as it is.
	Kill(function string) error
	// SetSpeed lets the stack's clock run faster than the machine's.
	SetSpeed(factor float64) error
}

// A State is how a development stack is now.
type State struct {
	Now       time.Time
	Speed     float64  // as it was asked for; 1: as the machine's clock
	Real      []string // providers that are real
	Write     bool     // they may be changed
	Queue     Depth
	Dead      int // messages in the dead-letter queue
	Functions []Function
	Tally     Tally
}

// A Tally counts messages since the stack was started. What was in the queue then and what
// was put on it has gone or is in it still: nothing else may be.
type Tally struct {
	Webhooks int // that were taken
	Began    int // messages that were in the queue at the start
	Queued   int // that were put on it
	Gone     int // that are in it no more, whatever became of them
	Died     int // of those: that went to the dead-letter queue
	Dropped  int // of those: that a person took away
	Expired  int // of those: that waited too long, or were emptied out with the queue
}

// A Depth is how many messages a queue has: to be received, being handled, and waiting
// for their time.
type Depth struct{ Visible, InFlight, Delayed int }

// A Function is one of the stack's.
type Function struct {
	Name      string
	Processes int // that run now
	Busy      int // of them, with an invocation
	Starts    int // of processes, so far
	Kills     int // by a person or a trouble, so far
}

// A Sample is what one second of the stack was like.
type Sample struct {
	At       time.Time     // on the machine's clock
	Webhooks int           // that came
	Jobs     int           // that ended
	Lag      time.Duration // of the last job that ended: since its webhook
	Queue    int           // messages in the queue at the end
	Dead     int           // in the dead-letter queue
	Requests int           // to all providers
	Refused  int           // of them, answered 429 or worse
}

// A Kind is a kind of event.
type Kind string

// The kinds of event.
const (
	Webhook  Kind = "webhook"  // one was received
	Queued   Kind = "queued"   // a message was put on the queue
	Received Kind = "received" // the relay took it
	Handled  Kind = "handled"  // a job ended
	Died     Kind = "died"     // a message went to the dead-letter queue
	Call     Kind = "call"     // a provider was asked
	Edited   Kind = "edited"   // a person changed a record in a sandbox
	Token    Kind = "token"    // a credential was looked at
	Run      Kind = "run"      // an export began, went on or ended
	Compared Kind = "compared" // both lists were compared
	Process  Kind = "process"  // a function's process began, ended or was killed
	Logged   Kind = "logged"   // anything else that a function logged
)

// An Event is something that has happened.
type Event struct {
	ID   string // in the order in which they happened
	At   time.Time
	Kind Kind

	Way      string // of which it is a part; see Dev.Way
	Function string
	Provider string
	Dataset  string
	Run      string
	User     string // SuperSaaS id
	Outcome  string // a word of the product, such as "updated"
	Level    string // of a log line
	Message  string // of a log line, or what was asked: "PUT /api/ext/users/{id}"
	Status   int    // of a call or a webhook
	Bad      bool   // a person should look at it
	Detail   map[string]string
}

// A Filter chooses events. Empty fields choose all.
type Filter struct {
	Kinds    []Kind
	Provider string
	User     string
	Way      string
	Bad      bool   // only those
	Before   string // only those before the event of this id
	Limit    int    // at most; 0: 50
}

// A Way is all that happened to one message, the oldest first.
type Way struct {
	ID      string
	Webhook json.RawMessage // body of the webhook that began it; nil: something else did
	User    string
	Ended   bool
	Waiting bool      // in the queue, and may be delayed, doubled or dropped
	Next    time.Time // when it is received again; zero: it does not wait for a time
	Steps   []Event
}
