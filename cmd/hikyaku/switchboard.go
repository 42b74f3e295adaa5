package main

import (
	"context"
	"errors"
	"slices"

	"hikyaku/internal/lambdafn/clibase"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/pause"
)

// userSource is the event source mapping that feeds the queue to the relay.
const userSource = "WebhookRelayRelayFunctionUsers"

// triggersOf are what starts the work of each part, by logical names.
var triggersOf = map[string][]string{
	pause.Relay:  {userSource, localstack.Nightly, localstack.Wanted},
	pause.Export: {localstack.Exports},
	pause.Tokens: {localstack.Tick},
}

// A switchboard pauses and resumes parts of a deployed stack. What is to be is written
// down before a trigger is switched off, and struck out after all are on again: wherever
// a command is interrupted, the pause is known, its alarm rings, and the same command
// brings it to its end.
type switchboard struct {
	stack   *clibase.Stack
	objects objectstore.Store
	prefix  string
}

func (s switchboard) trigger(name string) (clibase.Trigger, error) {
	if name == userSource {
		return s.stack.Source(name)
	}
	return s.stack.Schedule(name)
}

func (s switchboard) pause(ctx context.Context, parts []string, p pause.Pause) (pause.State, error) {
	off, err := s.off(ctx, parts)
	if err != nil {
		return pause.State{}, locale.Errorf("nothing was paused: %w", err)
	}
	state, err := pause.Begin(ctx, s.objects, s.prefix, off, p)
	if err != nil {
		return state, cutOff(ctx, "whether the pause is written down is not known; run the same command again", err)
	}
	var faults []error
	for _, part := range parts {
		for _, name := range triggersOf[part] {
			faults = append(faults, s.turn(ctx, name, false))
		}
	}
	if err := errors.Join(faults...); err != nil {
		const left = "the pause is written down, but not all of it rests yet; run the same command again"
		return state, cutOff(ctx, left, locale.Errorf("%s: %w", left, err))
	}
	return state, nil
}

// cutOff is the error of what a person has stopped, with what that left; otherwise err.
func cutOff(ctx context.Context, left string, err error) error {
	if ctx.Err() != nil {
		return stoppedError("stopped; " + left)
	}
	return err
}

// resume also returns the triggers that were off before the pause, and stay off.
func (s switchboard) resume(ctx context.Context, parts []string) (now pause.State, stay []string, err error) {
	seen, err := pause.Read(ctx, s.objects, s.prefix)
	if err != nil {
		return seen, nil, err
	}
	var faults []error
	for _, part := range parts {
		for _, name := range triggersOf[part] {
			if p := seen.Of(part); p != nil && slices.Contains(p.Off, name) {
				stay = append(stay, name)
				continue
			}
			faults = append(faults, s.turn(ctx, name, true))
		}
	}
	if err := errors.Join(faults...); err != nil {
		const left = "not all of it works again yet, and the pause stays written down; run the same command again"
		return seen, stay, cutOff(ctx, left, locale.Errorf("%s: %w", left, err))
	}
	now, err = pause.End(ctx, s.objects, s.prefix, seen, parts)
	if errors.Is(err, pause.ErrPausedAgain) { // whoever did so counts on it, also where it was before these were on
		for _, part := range parts {
			if now.Of(part) == nil {
				continue
			}
			for _, name := range triggersOf[part] {
				err = errors.Join(err, s.turn(ctx, name, false))
			}
		}
	}
	if err != nil {
		err = cutOff(ctx, "all of it works again, and whether the pause is still written down is not known; run the same command again", err)
	}
	return now, stay, err
}

// off are the triggers of each part that are off. One that is gone starts nothing either,
// and hinders nobody from pausing the others.
func (s switchboard) off(ctx context.Context, parts []string) (map[string][]string, error) {
	off := map[string][]string{}
	for _, part := range parts {
		off[part] = nil
		for _, name := range triggersOf[part] {
			trigger, err := s.trigger(name)
			if err != nil {
				return nil, err
			}
			on, err := trigger.Enabled(ctx)
			gone := errors.Is(err, clibase.ErrGone)
			if err != nil && !gone {
				return nil, err
			}
			if !on && !gone {
				off[part] = append(off[part], name)
			}
		}
	}
	return off, nil
}

func (s switchboard) turn(ctx context.Context, name string, on bool) error {
	trigger, err := s.trigger(name)
	if err != nil {
		return err
	}
	if err := trigger.Enable(ctx, on); on || !errors.Is(err, clibase.ErrGone) {
		return err
	}
	return nil
}
