// Package protocol decides what is done about one credential, and does nothing
// itself.
//
// Decide is a state machine: it is told what was done last and what that gave,
// and answers what is to be done next. A run is
//
//	act := protocol.Start(task)
//	for act.Do != protocol.Finish {
//		got := ... // do it
//		act = protocol.Decide(protocol.Observation{Now: now, Left: left, Did: act, Got: got})
//	}
//
// The state is the action that was done last with the run that it carries, so a
// table of states, results and next actions says everything: testdata/decisions.txt
// is that table, and docs/token-protocol.md draws it. All judgement lies here: what is
// due, what is in doubt, what is probed, what replaces which version, what the budget
// allows, when to try again, and who is told. Nothing here reads a clock, a store, a
// lease or a provider.
package protocol

import (
	"time"

	"hikyaku/pkg/providers"
)

// An Observation is all that a decision rests on.
type Observation struct {
	Now  time.Time
	Left time.Duration // until the process is stopped; 0: it is being stopped
	Did  Action        // the last action
	Got  Got           // what it gave
}

// NoEnd is what is Left to a process that nobody stops.
const NoEnd = time.Duration(1<<63 - 1)

// A Do says what an action does.
type Do string

// The actions. Those that change something outside are Effects.
const (
	Begin         Do = "begin"          // nothing: the first state
	Read          Do = "read"           // the version under a label
	ReadVersion   Do = "read version"   // a version by its id: such a read never lags
	Open          Do = "open"           // the current version of a secret that is to be written; one that is missing is made, with a placeholder
	ReadJournal   Do = "read journal"   // what the last run left
	ReadRotation  Do = "read rotation"  // whether Secrets Manager drives a secret
	Await         Do = "await"          // a moment, then Read
	Lease         Do = "lease"          // acquire it, and inherit the journal
	WriteJournal  Do = "write journal"  // and extend the lease
	Obtain        Do = "obtain"         // one call of the token endpoint
	Probe         Do = "probe"          // ask the provider whether a token works
	Store         Do = "store"          // a new version under a label
	Promote       Do = "promote"        // move the current label, if it is on From
	Unlabel       Do = "unlabel"        // take a label off a version; that it is not there is fine
	Supersede     Do = "supersede"      // move HIKYAKU_KEPT to a version
	StartRotation Do = "start rotation" // of Secrets Manager
	Notify        Do = "notify"         // people
	Release       Do = "release"        // the lease, leaving the journal to the next run
	Finish        Do = "finish"         // the run is over; Run.Verdict says how
)

// Effects lists the actions that change something outside the process.
func Effects() []Do {
	return []Do{Open, Lease, WriteJournal, Obtain, Store, Promote, Unlabel, Supersede, StartRotation, Notify, Release}
}

// A Part is one of a provider's secrets.
type Part string

// The parts.
const (
	ConnectionSecret Part = "connection" // the operator's
	TokenSecret      Part = "token"      // what callers read
	RefreshSecret    Part = "refresh"    // a one-time credential's complete grant
)

// A Label marks a version of a secret.
type Label string

// The labels of Secrets Manager's own.
const (
	Current Label = "current"
	Pending Label = "pending"
)

// Labels of ours. They have no type of their own because they are stored as they stand.
const (
	Next       = "HIKYAKU_NEXT"      // stored, to be promoted
	Superseded = "HIKYAKU_KEPT"      // lost against a person's edit, or is the edit that lost: for a person to look at
	Proof      = "HIKYAKU_PROOF"     // showed that the secret can be written
	Candidate  = "HIKYAKU_CANDIDATE" // of a connection: entered by a person, and not yet the one that counts
)

// An Action is what is to be done next. Which of its fields count follows from Do.
type Action struct {
	Do    Do
	Part  Part
	Label Label
	ID    string // of the version; to store under: empty for a new one; to rotate to: how it begins, empty if that does not matter
	From  string // the version that the current label must be on
	Data  []byte // to store

	Token    providers.Token // to probe
	Exchange Exchange        // to obtain with
	Event    Event           // to notify
	Warning  *Warning        // for the log

	Run Run // handed back with what the action gave
}

// An Exchange is what a token is asked for with, beside the connection.
type Exchange struct {
	Attempt    int              // which of the client's secrets it is, from 0
	Client     providers.Secret // that secret
	Credential providers.Secret // a refresh token or a code, which is spent by it
	FromCode   bool             // it is a code
}

// A Warning is for people who read the log.
type Warning struct {
	Text   string
	Fields []string
}

// Got is what an action gave. Without an Err it succeeded.
type Got struct {
	Err     error
	Missing bool // Err says that there is no such secret or version, or no value in it
	Taken   bool // Err says that somebody else came first: has the lease, or moved the label

	ID      string // of the version that was read or stored
	Data    []byte // that was read
	Journal Journal
	Grant   providers.Grant

	Rotates          bool   // Secrets Manager drives the secret
	Current, Pending string // the versions that its labels are on
}

// Start is the first action of a run.
func Start(task Task) Action {
	return Action{Do: Begin, Run: Run{Task: task, Phase: Inspecting, Outcome: Refreshed}}
}

// A Phase groups the states of a run. Each has a file and a type of its own.
type Phase string

// The phases.
const (
	Inspecting Phase = "inspect" // reads everything, twice: before the lease and under it
	Driven     Phase = "driven"  // Secrets Manager's rotation drives the secret
	Renewing   Phase = "renew"   // a credential that can be asked for at any time
	Redeeming  Phase = "redeem"  // one whose renewal spends a code or refresh token
	Settling   Phase = "settle"  // tries one that is not to be replaced now
	Serving    Phase = "serve"   // stores what callers are to read
	Promoting  Phase = "promote" // makes a stored version the current one
	Ending     Phase = "end"     // tells people and releases the lease
)

// Decide says what is done next.
func Decide(o Observation) Action {
	s := &step{Run: o.Did.Run, now: o.Now, left: o.Left, did: o.Did, got: o.Got}
	switch s.Phase {
	case Driven:
		return driven{s}.decide()
	case Renewing:
		return renewing{s}.decide()
	case Redeeming:
		return redeeming{s}.decide()
	case Settling:
		return settling{s}.decide()
	case Serving:
		return serving{s}.decide()
	case Promoting:
		return promoting{s}.decide()
	case Ending:
		return ending{s}.decide()
	case Inspecting:
	}
	return inspecting{s}.decide()
}
