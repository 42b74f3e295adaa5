package protocol

import (
	"time"

	"hikyaku/pkg/providers"
)

// A Status is how a run ended, in one of four words. The Outcome and its reason say
// more.
type Status string

// The statuses.
const (
	Skipped Status = "skipped" // there was nothing to do, or somebody else does it
	OK      Status = "ok"      // a credential that works is served
	Fault   Status = "failed"  // the credential is not what it should be, and trying again may help
	Human   Status = "human"   // needs a person
)

// An Outcome says what one run did about one credential.
type Outcome string

// The outcomes.
const (
	Off          Outcome = "off"          // no connection: nothing to do, no fault
	Fresh        Outcome = "fresh"        // not due
	Resting      Outcome = "resting"      // a tick that read nothing: all was well within the last 5 minutes, and nothing is due
	Probed       Outcome = "probed"       // not replaceable, tried, works
	Refreshed    Outcome = "refreshed"    // a new credential is served
	Promoted     Outcome = "promoted"     // one that an earlier run had stored is served now
	Adopted      Outcome = "adopted"      // a person's edit was kept and works
	Rotating     Outcome = "rotating"     // Secrets Manager drives this secret: its rotation was started
	Replaced     Outcome = "replaced"     // the rejected version had been replaced already
	Waiting      Outcome = "waiting"      // another run holds the lease
	Cooling      Outcome = "cooling"      // failed a moment ago
	OverBudget   Outcome = "over_budget"  // too many versions of the secret in 24 hours
	Unproven     Outcome = "unproven"     // the new credential is stored, but its probe was no clear yes
	Failed       Outcome = "failed"       // a temporary failure; the next run tries again
	InDoubt      Outcome = "in_doubt"     // a one-time credential may have been spent without an answer
	Denied       Outcome = "denied"       // the provider does not accept the credential; it is tried again
	Refused      Outcome = "refused"      // it can never work: nothing is tried until connection or token changes
	Unconfigured Outcome = "unconfigured" // a person has still to authorize or to complete the connection
)

// Status sums the outcome up.
func (o Outcome) Status() Status {
	switch o {
	case Probed, Refreshed, Promoted, Adopted:
		return OK
	case OverBudget, Unproven, Failed:
		return Fault
	case InDoubt, Denied, Refused, Unconfigured:
		return Human
	default:
		return Skipped
	}
}

// final: trying again is useless until connection or token changes.
func (o Outcome) final() bool { return o == Refused || o == Unconfigured }

// A Verdict is how a run ends. One without an outcome did not look at a credential:
// Err says why.
type Verdict struct {
	Outcome Outcome
	Reason  string
	Err     error
}

// An Event tells people about a credential, over whatever the stack sends
// events to. It is sent at least once.
type Event struct {
	Type     string    `json:"type"` // NeedsHuman, Recovered or Expiring
	Provider string    `json:"provider"`
	Reason   string    `json:"reason"`
	Steps    string    `json:"steps,omitempty"` // what to do
	At       time.Time `json:"at"`

	days int // of a warning
}

// The types of Event.
const (
	NeedsHuman = "needs_human"
	Recovered  = "recovered"
	Expiring   = "expiring"
)

// instructions say what a person does about a credential that cannot renew itself.
func instructions(provider string, kind providers.Kind) string {
	switch {
	case provider == providers.SHOPLINE && kind == providers.Static:
		return "In SHOPLINE: Settings > Staff Settings > the API staff > API Auth. Copy the token's IP whitelist first: it is deleted with the token. Delete the token, generate a new one, enter the up to 20 addresses again, then paste the token with 'hikyaku connect shopline'. It is live within 5 minutes."
	case provider == providers.SHOPLINE:
		return "Authorize the app again: 'hikyaku authorize shopline', or put the new code into the connection secret."
	case provider == providers.AssistTencho:
		return "Authorize again: 'hikyaku authorize assisttencho', or put the new code into the connection secret. Check in アシスト店長 > 許可済みアプリケーション一覧 that the application was not revoked."
	case provider == providers.SuperSaaS:
		return "Check in SuperSaaS > Account Info that the API key was not rolled; enter the new one with 'hikyaku connect supersaas'."
	}
	return "Check the client id and secret in the connection secret, and that the IP addresses of the functions are registered; then run 'hikyaku connect " + provider + "'."
}
