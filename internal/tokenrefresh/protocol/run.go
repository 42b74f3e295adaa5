package protocol

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"hikyaku/pkg/providers"
)

// A Goal is what a run is to achieve.
type Goal string

// The goals. All but the first are steps of Secrets Manager's rotation, which names
// the version.
const (
	Keep           Goal = "keep"   // a working credential is served
	CreatePending  Goal = "create" // a new one is stored as the pending version
	TestPending    Goal = "test"   // the pending one works
	FinishRotation Goal = "finish" // the pending one is served
)

// A Request asks for a run. The zero Request is a tick, which looks at every
// provider that this process did not find well within the last minutes.
type Request struct {
	Provider string // only this one
	// RejectedVersion is the version of the token secret to which the
	// provider answered 401: exactly that version is replaced.
	RejectedVersion string
	// Force replaces the credential though it is not due or cools down.
	Force bool
	// ResendInDoubt sends a one-time credential again that may have been spent
	// already: the provider may then revoke all that came of it.
	ResendInDoubt bool
}

// A Task is what a run is about.
type Task struct {
	Provider string
	Goal     Goal
	Part     Part   // of a rotation: the secret that rotates
	Version  string // of a rotation: the version to make, test or promote
	Request  Request
	Window   Window // in which credentials are replaced for their age
	Began    time.Time
	Memory   *Memory // of an earlier run of this process; nil: none
}

// A Snapshot is what was read of a credential.
type Snapshot struct {
	Connection        providers.Connection
	ConnectionVersion string
	Unreadable        error           // why the connection document cannot be used
	Token             providers.Token // what callers read now; no credential if there is none
	TokenVersion      string          // the current version of the token secret, placeholder or not
	Journal           Journal
}

// A Memory is what a process saw when all was well with a credential.
type Memory struct {
	Snapshot Snapshot
	At       time.Time
	Off      bool
}

// A Run is what a run knows and has done so far.
type Run struct {
	Task
	Snapshot

	Phase   Phase
	Leased  bool
	Reason  string  // why there is something to do
	Outcome Outcome // if all that is still to be done succeeds
	Verdict Verdict // how the run ends

	Record Record      // of a one-time credential
	Next   Replacement // the credential that is on its way
	Before *Intent     // the intent that stood before this run's
	Edit   Edit        // that came meanwhile
	Waits  int         // how often another run's token was waited for
}

// A Record is what the refresh secret holds.
type Record struct {
	Version string
	Data    []byte
	Grant   providers.Grant // no Access if there is none yet
}

// A Replacement is a version that is to become current.
type Replacement struct {
	Part  Part
	ID    string // of the version; empty: not stored yet
	Label Label  // that it is stored under
	Base  string // the version that it replaces
	Token providers.Token
	Grant providers.Grant // of a refresh secret
	Works bool            // the probe said yes
}

// An Edit is a version that a person made while a run was at work.
type Edit struct {
	Version string
	Works   bool // it stays
}

// Remember returns what a process keeps of a finished run for its next ticks, if
// all is well.
func (r *Run) Remember() (Memory, bool) {
	outcome := r.Verdict.Outcome
	well := outcome.Status() == OK || outcome == Fresh || outcome == Off
	return Memory{Snapshot: r.Snapshot, At: r.Began, Off: outcome == Off}, well && r.Verdict.Err == nil
}

// record names the secret that is the source of truth for the credential.
func (r *Run) record() Part {
	if oneTime(r.Connection.Kind) {
		return RefreshSecret
	}
	return TokenSecret
}

// label is what a new version of the record is stored under.
func (r *Run) label() Label {
	if r.Goal == Keep {
		return Next
	}
	return Pending
}

// payer is whose budget the run writes from. A step of a rotation writes from that of
// the rotation's.
func (r *Run) payer() payer {
	for by, begins := range rotationOf {
		if r.Goal != Keep && strings.HasPrefix(r.Version, begins) {
			return by
		}
	}
	switch {
	case r.Request.Force:
		return people
	case r.Request.RejectedVersion != "":
		return functions
	}
	return schedule
}

// mayWrite: n more versions are in the budget.
func (r *Run) mayWrite(n int, now time.Time) bool {
	return r.Journal.left(r.payer(), now) >= n
}

// aged: a token is to be replaced for its age.
func (r *Run) aged(t providers.Token, now time.Time) bool {
	return PolicyOf(r.Provider, r.Connection.Kind).due(t, now, r.Window)
}

// key identifies what a run worked on. While it is the same, what failed for good
// would fail again, and what failed a moment ago may wait.
func (r *Run) key() string { return r.ConnectionVersion + "/" + r.TokenVersion }

// remember takes the verdict of a run that did something into the journal.
func (r *Run) remember(v Verdict) {
	j := &r.Journal
	switch v.Outcome.Status() {
	case Fault, Human:
		j.Failures++
	case OK:
		j.Failures, j.Connection = 0, r.ConnectionVersion
	default:
		return
	}
	j.Outcome, j.Reason, j.At, j.Tried = v.Outcome, v.Reason, r.Began, r.key()
}

// tokenWith is the callers' document for a credential of this connection.
func (r *Run) tokenWith(credential providers.Secret, obtained, expires time.Time) providers.Token {
	c := r.Connection
	return providers.Token{
		Provider: r.Provider, Kind: c.Kind, BaseURL: c.BaseURL, LoginURL: c.LoginURL, Account: c.Account,
		Credential: credential, ObtainedAt: obtained, ExpiresAt: expires, Quirks: c.Quirks, Base: r.TokenVersion,
	}
}

// tokenOf is the callers' document for a grant.
func (r *Run) tokenOf(g providers.Grant) providers.Token {
	return r.tokenWith(g.Access, g.ObtainedAt, g.ExpiresAt)
}

// serves reports whether callers already read what desired says.
func (r *Run) serves(desired providers.Token) bool { return sameToken(r.Token, desired) }

// sameToken compares what callers can see.
func sameToken(x, y providers.Token) bool {
	return x.Credential == y.Credential && x.ExpiresAt.Equal(y.ExpiresAt) && x.BaseURL == y.BaseURL &&
		x.LoginURL == y.LoginURL && x.Account == y.Account && x.Kind == y.Kind && bytes.Equal(x.Quirks, y.Quirks)
}

// newCode: a person has entered a code that was not exchanged yet. The grants
// say which codes they came from, and the journal knows the last one, for a
// person may have entered a grant without its origin.
func (r *Run) newCode(grants ...providers.Grant) bool {
	key := fingerprint(r.Connection.Code)
	if r.Connection.Code.Empty() || key == r.Journal.Code {
		return false
	}
	return !slices.ContainsFunc(grants, func(g providers.Grant) bool { return g.Origin == key })
}

// fingerprint names a credential without showing it.
func fingerprint(s providers.Secret) string {
	sum := sha256.Sum256([]byte("hikyaku one-time " + s.Reveal()))
	return hex.EncodeToString(sum[:8])
}

// oneTime: what the credential is renewed with is used up by that.
func oneTime(kind providers.Kind) bool {
	return kind == providers.OneTimePair || kind == providers.OneTimeCode
}
