package execute

import (
	"time"

	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
)

// A Result is what a run did about one credential. It holds no secret.
type Result struct {
	Provider  string           `json:"provider"`
	Kind      providers.Kind   `json:"kind,omitempty"`
	Status    protocol.Status  `json:"status"`
	Outcome   protocol.Outcome `json:"outcome"`
	Reason    string           `json:"reason,omitempty"`     // why it acted, or could not
	Version   string           `json:"version,omitempty"`    // of the token secret that callers read now
	ExpiresAt *time.Time       `json:"expires_at,omitempty"` // nil: unknown
	Seconds   float64          `json:"seconds"`              // of the run
}

func resultOf(run *protocol.Run, now time.Time) Result {
	v := run.Verdict
	result := Result{
		Provider: run.Provider, Kind: run.Connection.Kind, Status: v.Outcome.Status(), Outcome: v.Outcome,
		Reason: run.Reason, Seconds: now.Sub(run.Began).Seconds(),
	}
	if v.Reason != "" {
		result.Reason = v.Reason
	}
	if !run.Token.Credential.Empty() {
		result.Version = run.TokenVersion
		if expires := run.Token.ExpiresAt; !expires.IsZero() {
			result.ExpiresAt = &expires
		}
	}
	return result
}

func (x *Executor) measure(r Result) {
	of := map[string]string{"provider": r.Provider}
	x.deps.Measure("RefreshOutcome", "Count", 1, map[string]string{"provider": r.Provider, "outcome": string(r.Outcome)})
	x.deps.Measure("RefreshSeconds", "Seconds", r.Seconds, of)
	if r.Status == protocol.Human {
		x.deps.Measure("NeedsHuman", "Count", 1, nil)
	}
	promised := r.Kind == providers.ClientCredentials || r.Kind == providers.OneTimePair // of the others no end is promised
	switch {
	case r.ExpiresAt != nil:
		x.deps.Measure("SecondsToExpiry", "Seconds", r.ExpiresAt.Sub(x.deps.Now()).Seconds(), of)
	case r.Version != "" && promised:
		x.deps.Measure("UnknownExpiry", "Count", 1, of)
	}
}
