package tokenrefresh

import (
	"time"

	"hikyaku/pkg/providers"
)

// An Outcome says what one run did about one credential.
type Outcome string

// The outcomes.
const (
	Off         Outcome = "off"          // no connection: nothing to do, no fault
	Fresh       Outcome = "fresh"        // not due
	Resting     Outcome = "resting"      // a tick that read nothing: all was well within the last 5 minutes, and nothing is due
	Probed      Outcome = "probed"       // not replaceable, tried, works
	Refreshed   Outcome = "refreshed"    // a new credential is served
	Promoted    Outcome = "promoted"     // one that an earlier run had stored is served now
	Adopted     Outcome = "adopted"      // a person's edit was kept and works
	Rotating    Outcome = "rotating"     // Secrets Manager drives this secret: its rotation was started
	Replaced    Outcome = "replaced"     // the rejected version had been replaced already
	Waiting     Outcome = "waiting"      // another run holds the lease
	Cooling     Outcome = "cooling"      // failed a moment ago
	OverBudget  Outcome = "over_budget"  // too many versions of the secret in 24 hours
	Unproven    Outcome = "unproven"     // the new credential is stored, but its probe was no clear yes
	Failed      Outcome = "failed"       // a temporary failure; the next run tries again
	InDoubt     Outcome = "in_doubt"     // a one-time credential may have been spent without an answer
	Denied      Outcome = "denied"       // the provider does not accept the credential; it is tried again
	Refused     Outcome = "refused"      // it can never work: nothing is tried until connection or token changes
	Unavailable Outcome = "unconfigured" // a person has still to authorize or to complete the connection
)

// needsHuman: nothing but a person mends these.
func (o Outcome) needsHuman() bool { return o == InDoubt || o == Denied || o.final() }

// final: trying again is useless until connection or token changes.
func (o Outcome) final() bool { return o == Refused || o == Unavailable }

// settled: a credential that works is served.
func (o Outcome) settled() bool {
	return o == Refreshed || o == Promoted || o == Probed || o == Adopted
}

// failed: the credential is not what it should be, and trying again may help.
func (o Outcome) failed() bool { return o == Failed || o == Unproven || o == OverBudget }

// A Result is what a run did about one credential. It holds no secret.
type Result struct {
	Provider  string         `json:"provider"`
	Kind      providers.Kind `json:"kind,omitempty"`
	Outcome   Outcome        `json:"outcome"`
	Reason    string         `json:"reason,omitempty"`     // why it acted, or could not
	Version   string         `json:"version,omitempty"`    // of the token secret that callers read now
	ExpiresAt *time.Time     `json:"expires_at,omitempty"` // nil: unknown
	Seconds   float64        `json:"seconds"`              // of the run
}

// A Report lists the results of a run, in the order of providers.Names.
type Report struct {
	Results []Result `json:"results"`
}

// Retry lists the providers that another run soon may mend.
func (r Report) Retry() []string {
	var names []string
	for _, x := range r.Results {
		if x.Outcome.failed() {
			names = append(names, x.Provider)
		}
	}
	return names
}

// An Event tells people about a credential, over whatever the stack sends
// events to. It is sent at least once.
type Event struct {
	Type     string    `json:"type"` // NeedsHuman, Recovered or Expiring
	Provider string    `json:"provider"`
	Reason   string    `json:"reason"`
	Steps    string    `json:"steps,omitempty"` // what to do
	At       time.Time `json:"at"`
}

// The types of Event.
const (
	NeedsHuman = "needs_human"
	Recovered  = "recovered"
	Expiring   = "expiring"
)

// steps says what a person does about a credential that cannot renew itself.
func steps(provider string, kind providers.Kind) string {
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
