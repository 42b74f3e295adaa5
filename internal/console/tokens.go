package console

import (
	"context"
	"time"
)

// A tokenState is what 'hikyaku tokens' prints of one provider.
type tokenState struct {
	Provider    string     `json:"provider"`
	Kind        string     `json:"kind"`
	State       string     `json:"state"`
	Version     string     `json:"version"`
	ObtainedAt  *time.Time `json:"obtained_at"`
	ExpiresAt   *time.Time `json:"expires_at"`
	LastOutcome string     `json:"last_outcome"`
	LastRun     *time.Time `json:"last_run"`
	Error       string     `json:"error"`
}

func (s *Server) tokens(ctx context.Context) ([]tokenState, error) {
	var printed struct{ Tokens []tokenState }
	err := s.reader.read(ctx, &printed, "tokens")
	return printed.Tokens, err
}

// A tokenLife is how much of its life a token has left.
type tokenLife struct {
	tokenState

	Known bool    // the provider states an end
	Spent float64 // of its life, from 0 to 1
}

// Percent is how much of its life is spent.
func (l tokenLife) Percent() int { return int(100 * l.Spent) }

// Level is how well it is: well, warn, bad, or nothing where there is no token.
func (l tokenLife) Level() string {
	switch l.State {
	case "valid", "unknown_expiry":
		if l.Spent > 0.9 {
			return "warn"
		}
		return "well"
	case "off":
		return ""
	}
	return "bad"
}

func (s *Server) lives(tokens []tokenState) []tokenLife {
	lives := make([]tokenLife, 0, len(tokens))
	for _, t := range tokens {
		life := tokenLife{tokenState: t, Known: t.ObtainedAt != nil && t.ExpiresAt != nil}
		if life.Known {
			whole := t.ExpiresAt.Sub(*t.ObtainedAt)
			life.Spent = min(1, max(0, float64(s.stackNow().Sub(*t.ObtainedAt))/float64(max(whole, 1))))
		}
		lives = append(lives, life)
	}
	return lives
}
