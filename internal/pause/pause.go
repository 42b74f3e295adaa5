// Package pause keeps which parts of a stack people have paused: who, why, since when
// and until when. The command line writes it, and switches the triggers off and on; the
// functions read it only to measure how long a pause lasts. All of it is one document:
//
//	{prefix}/state/pause
package pause

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"hikyaku/internal/objectstore"
)

// The parts of a stack that can be paused.
const (
	Relay  = "relay"  // queue to Yappli, and the comparison of both lists
	Export = "export" // the nightly export
	Tokens = "tokens" // the look at every token
)

// Longest is how long a part may stay paused. The queue keeps a message for 14 days,
// and what has piled up must be worked off before the oldest is lost.
const Longest = 12 * 24 * time.Hour

const mostReason = 200 // characters

// Parts lists all parts.
func Parts() []string { return []string{Relay, Export, Tokens} }

// A Pause says who paused a part, and why.
type Pause struct {
	By     string    `json:"by"` // ARN of the caller
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
	// Off are the triggers that were off before, by their logical names: a resume
	// leaves them so.
	Off []string `json:"off,omitempty"`
}

// Overdue reports whether the pause should have ended. One that somebody wrote down by
// hand may last no longer than any other.
func (p Pause) Overdue(now time.Time) bool {
	return now.After(p.Until) || now.Sub(p.Since) > Longest
}

// State is what is paused; nil is what is not.
type State struct {
	Relay  *Pause `json:"relay,omitempty"`
	Export *Pause `json:"export,omitempty"`
	Tokens *Pause `json:"tokens,omitempty"`
}

// Of is the pause of a part; nil if it is not paused.
func (s *State) Of(part string) *Pause { return *s.of(part) }

func (s *State) of(part string) **Pause {
	switch part {
	case Relay:
		return &s.Relay
	case Export:
		return &s.Export
	case Tokens:
		return &s.Tokens
	}
	panic("no part of a stack is called " + part)
}

func key(prefix string) string { return prefix + "/state/pause" }

// Read returns what is paused.
func Read(ctx context.Context, objects objectstore.Store, prefix string) (State, error) {
	var s State
	document, err := objectstore.ReadDocument(ctx, objects, key(prefix))
	if err == nil {
		err = document.Decode(&s)
	}
	return s, err
}

// Begin writes down a pause for each of its parts, with the triggers of a part that are
// off already. A part that is paused keeps its Since and Off: so a pause that was
// interrupted is begun again, and one that lasts is made longer or shorter. It refuses a
// pause that would last longer than Longest in all, and then changes nothing.
func Begin(ctx context.Context, objects objectstore.Store, prefix string, off map[string][]string, p Pause) (State, error) {
	if n := utf8.RuneCountInString(p.Reason); strings.TrimSpace(p.Reason) == "" || n > mostReason {
		return State{}, fmt.Errorf("a pause needs a reason of 1 to %d characters; this one has %d", mostReason, n)
	}
	var s State
	var fault error
	err := objectstore.Update(ctx, objects, key(prefix), func(now *State) bool {
		fault = nil
		for _, part := range Parts() {
			triggers, asked := off[part]
			if !asked {
				continue
			}
			next, place := p, now.of(part)
			next.Off = slices.Clone(triggers)
			if before := *place; before != nil {
				next.Since, next.Off = before.Since, before.Off
			}
			if next.Until.Sub(next.Since) > Longest {
				fault = fmt.Errorf("%s has been paused since %s, and may be for 12 days in all, until %s: the queue keeps messages for 14; resume it first, or pause it for less",
					part, next.Since.UTC().Format(time.RFC3339), next.Since.Add(Longest).UTC().Format(time.RFC3339))
				return false
			}
			*place = &next
		}
		s = *now
		return true
	})
	if err == nil {
		err = fault
	}
	return s, err
}

// ErrPausedAgain says that somebody has paused a part, or changed its pause, since it
// was read.
var ErrPausedAgain = errors.New("it was paused again meanwhile, and stays so")

// End forgets the pauses of parts, if they are still those of seen. It returns what is
// paused afterwards.
func End(ctx context.Context, objects objectstore.Store, prefix string, seen State, parts []string) (State, error) {
	var s State
	faults := make([]error, 0, len(parts)+1)
	err := objectstore.Update(ctx, objects, key(prefix), func(now *State) bool {
		changed := false
		faults = faults[:0]
		for _, part := range parts {
			switch place := now.of(part); {
			case *place == nil: // ended by somebody else, or by a write whose answer was lost
			case !reflect.DeepEqual(*place, seen.Of(part)):
				faults = append(faults, fmt.Errorf("%s: %w", part, ErrPausedAgain))
			default:
				*place, changed = nil, true
			}
		}
		s = *now
		return changed
	})
	return s, errors.Join(append(faults, err)...)
}
