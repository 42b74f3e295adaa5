package doctor

import (
	"time"

	"hikyaku/internal/pause"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
)

// A Source is where something is read.
type Source string

// The sources. What cannot be read of one is a finding, and hides none of the others.
const (
	FromStack      Source = "stack"      // CloudFormation
	FromFunctions  Source = "functions"  // Lambda's settings of each
	FromAccount    Source = "account"    // Lambda's limits
	FromSecrets    Source = "secrets"    // Secrets Manager, and the journals of tokenrefresh
	FromProviders  Source = "providers"  // a probe of each token
	FromMapping    Source = "mapping"    // that was published
	FromFields     Source = "fields"     // of the SuperSaaS account
	FromWebhook    Source = "webhook"    // its secret
	FromHooks      Source = "hooks"      // of the SuperSaaS account
	FromQueues     Source = "queues"     // SQS
	FromMetrics    Source = "metrics"    // CloudWatch
	FromRelay      Source = "relay"      // the relay's state in the bucket
	FromExports    Source = "exports"    // the runs in the bucket
	FromExecutions Source = "executions" // Step Functions
	FromAlarms     Source = "alarms"     // CloudWatch
	FromTopic      Source = "topic"      // SNS
	FromPauses     Source = "pauses"     // in the bucket
	FromSchedules  Source = "schedules"  // EventBridge Scheduler, and the queue's event source
)

// Of is one of several things that lie in a source, such as a provider's secrets.
func (s Source) Of(name string) Source { return s + " of " + Source(name) }

// Observations are what was read of a stack. What lies in a source that could not be
// read counts for nothing.
type Observations struct {
	Now    time.Time
	Place  Place
	Unread map[Source]string // why
	// Skipped are the sources that were not read, since what stands before them is wrong,
	// which is a finding of its own: no webhook is listed with a token that is refused.
	Skipped map[Source]bool

	Version      string            // of this command
	StackVersion string            // empty: the stack is older than its output Version
	Status       string            // CloudFormation's
	Parameters   map[string]string // of the stack, as it was deployed
	SamePrefix   []string          // other stacks of the account and region with the same prefix
	Skew         time.Duration     // of this machine's clock: how far it is ahead of AWS's

	Functions   map[string]Function // by their names in the template
	Concurrency int                 // invocations at a time that the account may have
	Stacks      int                 // of hikyaku's in the account and region

	Secrets []Secret

	HashKeyMissing bool     // and fields are to be hashed
	Unconnected    []string // providers whose connection is missing
	Left           []string // those of them whose token is still served
	WebhookSecret  *Secret  // nil: it could be read, or is missing
	Credentials    []Credential
	Mapping        Mapping
	Unknown        []string // fields that the mapping uses and the account does not have
	Webhook        Webhook
	DeadLetters    int // also those that somebody looks at
	Metrics        Metrics
	Relay          Relay
	Datasets       []Dataset
	Executions     []Execution
	Alarms         []Alarm
	LostAlarms     []string // that the stack made, and CloudWatch does not have
	Topic          Topic
	Pauses         pause.State
	BrokenPauses   string                     // why they cannot be read
	Unwatched      string                     // physical name of the schedule that looks at the pauses, if it is off
	LostTriggers   []string                   // that the stack made, and AWS does not have
	Triggers       map[string]map[string]bool // whether what starts each part's work is on, by its name in the template
}

// A Place is how the commands find the stack.
type Place struct {
	Stack   string
	Prefix  string
	Hikyaku string // flags of hikyaku's commands, such as "--stack hikyaku"
	Account string // of those that need no stack, such as "--profile shop"; mostly empty
	AWS     string // flags of AWS's command line, such as "--region ap-northeast-1"
}

// A Function is how one of the stack's functions is set.
type Function struct {
	Vars   map[string]string
	Faults []string // for which it does not start
}

// The ways in which a secret is not there.
const (
	Missing = "missing"
	Deleted = "deleted" // it is marked for deletion
	Denied  = "denied"  // to who looks
	Broken  = "broken"  // it is none of hikyaku's documents
)

// A Secret is one of Secrets Manager's. Its value is not here.
type Secret struct {
	Name   string
	State  string // Missing, Deleted, Denied or Broken; empty: it could be read
	Why    string // of Broken
	Remedy string // the command that makes it anew
}

// What a provider says of a token.
const (
	Works     = "works"
	Refused   = "refused"
	Forbidden = "forbidden" // to who asks, from where it is asked
	Unclear   = "unclear"
)

// A Credential is a provider's connection and its token.
type Credential struct {
	Provider string
	Kind     providers.Kind
	Faults   []string // of the connection
	Unknown  []string // fields that no connection has

	NoRefresh                  bool   // what makes the next token of a one-time pair is gone
	Served                     bool   // a token is served
	Unserved                   string // the state of the token's secret otherwise
	ObtainedAt, Expires, DueAt time.Time
	Outcome                    protocol.Outcome // of the last run
	Reason                     string
	Spent                      []string // whose budget of versions is used up
	Probe, Answer              string   // one of the four, and what the provider said; empty: not asked
}

// A Mapping is what was published.
type Mapping struct {
	Published bool
	Lost      bool   // the pointer is gone, and mappings are there
	Pointer   string // why it cannot be read
	File      string // why the file that counts cannot be read
	Refused   string // why it cannot be used
}

// A Webhook is what the account sends, and to where.
type Webhook struct {
	Secret    bool // it could be read
	Weak      string
	Ours      int // webhooks for changed users that point at the stack
	Right     int // those of them that end in the secret
	Before    int // and in the one before, which is accepted too
	Elsewhere []string
}

// Metrics are what CloudWatch kept.
type Metrics struct {
	QueueAge, DeadAge time.Duration // of the oldest message, at most in the last 15 minutes
	Arrived           float64       // webhooks of users in the last seven days
	Differed          float64       // users that differed, in the comparisons of that time
	Drift             float64       // signs that a list was incomplete, in those of two days
}

// Relay is the state of both sides.
type Relay struct {
	Mode    string
	Update  bool      // what an update does to omitted fields is known
	List    time.Time // when the newest complete list of members began; zero: there is none
	Wanted  time.Time // since when a comparison is asked for
	Stopped bool      // disabling is
	Pairs   int       // that wait for a decision
	Undone  int       // approved more than an hour ago, and not carried out
}

// A Dataset is how the exports of one stand.
type Dataset struct {
	Name                      string
	Covered                   time.Time // until then; zero: nothing was ever published
	Gone                      bool      // the newest run that was published has been deleted since
	Doubt                     string    // key of the newest run's doubts, if it is in doubt
	Unfinished                string    // the newest run, if it began more than a day ago and has not ended
	Rejects, Unresolved, Owed int       // of the newest published run
}

// Succeeded is the status of an execution that ended well.
const Succeeded = "SUCCEEDED"

// An Execution is the newest of a state machine that ended with its status.
type Execution struct {
	Machine string // its name in the template
	Status  string // Succeeded, FAILED, TIMED_OUT or ABORTED
	ARN     string
	Started time.Time

	MachineARN string
}

// An Alarm is CloudWatch's.
type Alarm struct {
	Name, Description string

	Rings, Muted, Acts bool
}

// A Topic is what people are told by.
type Topic struct {
	ARN                string
	Confirmed, Pending int
}
