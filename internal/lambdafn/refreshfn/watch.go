package refreshfn

import (
	"context"
	"encoding/json"
	"fmt"

	"hikyaku/internal/pause"
)

// watchPauses asks for a look at the pauses.
const watchPauses = "watch_pauses"

// A watched is what a look at the pauses answers.
type watched struct {
	Paused  []string `json:"paused"`
	Overdue []string `json:"overdue"` // those of them that should have ended
}

// watch measures which parts of the stack are paused. Without a pause it measures
// nothing: the alarms take that for none, and a metric is paid by the hour in which it
// occurs.
func (f *Function) watch(ctx context.Context, e event) ([]byte, error) {
	if err := f.admit(ctx, e, watchEvent); err != nil {
		return nil, err
	}
	state, err := pause.Read(ctx, f.base.Objects, f.base.Common.Prefix)
	if err != nil {
		return nil, fmt.Errorf("tokenrefresh: whether the stack is paused is unknown: %w", err)
	}
	seen := watched{Paused: []string{}, Overdue: []string{}}
	for _, part := range pause.Parts() {
		p := state.Of(part)
		if p == nil {
			continue
		}
		seen.Paused = append(seen.Paused, part)
		if p.Overdue(f.base.Now()) {
			seen.Overdue = append(seen.Overdue, part)
		} else if part == pause.Tokens {
			// Only until the pause should end: after that, silence is silence again.
			f.base.Metrics.Add("TokensPaused", "Count", 1, nil)
		}
		f.log.WarnContext(ctx, "paused", "part", part, "by", p.By, "reason", p.Reason, "since", p.Since, "until", p.Until)
	}
	if n := len(seen.Paused); n > 0 {
		f.base.Metrics.Add("Paused", "Count", float64(n), nil)
	}
	if n := len(seen.Overdue); n > 0 {
		f.base.Metrics.Add("PauseOverdue", "Count", float64(n), nil)
	}
	return json.Marshal(seen)
}
