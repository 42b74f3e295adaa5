package console

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// slowCommands are the commands that go on although the person who began them has left the
// page: an export may take hours.
type slowCommands struct {
	now func() time.Time

	mu       sync.Mutex
	commands []*slowCommand
}

// A slowCommand is one that runs, or has ended lately.
type slowCommand struct {
	Key   string // its words
	Begun time.Time
	Ended time.Time // zero: it runs
	Err   error

	cancel context.CancelCauseFunc
}

// errStopped is why a slow command ended that a person has stopped.
var errStopped = errors.New("stopped by a person")

// Stopped reports whether a person has stopped it.
func (c slowCommand) Stopped() bool { return errors.Is(c.Err, errStopped) }

// Running reports whether it has not ended.
func (c slowCommand) Running() bool { return c.Ended.IsZero() }

// slowShown is how long one that has ended is shown.
const slowShown = 10 * time.Minute

// begin detaches a command from the request of who asked for it. The same one runs once at
// a time.
func (s *slowCommands) begin(ctx context.Context, args []string) (context.Context, func(error), error) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	one := &slowCommand{Key: strings.Join(args, " "), Begun: s.now(), cancel: cancel}
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.commands, func(c *slowCommand) bool { return c.Key == one.Key && c.Running() }) {
		cancel(nil)
		return nil, nil, saying("fault.runs-already")
	}
	s.commands = slices.DeleteFunc(s.commands, func(c *slowCommand) bool {
		return c.Key == one.Key || !c.Running() && s.now().Sub(c.Ended) > slowShown
	})
	s.commands = append(s.commands, one)
	return ctx, func(err error) {
		cancel(nil)
		s.mu.Lock()
		defer s.mu.Unlock()
		one.Ended, one.Err = s.now(), err
	}, nil
}

// stop ends a command as Ctrl-C does.
func (s *slowCommands) stop(key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.commands, func(c *slowCommand) bool { return c.Key == key && c.Running() })
	if i < 0 {
		return saying("fault.runs-not")
	}
	s.commands[i].cancel(errStopped)
	return nil
}

// list returns them, the newest first.
func (s *slowCommands) list() []slowCommand {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []slowCommand
	for _, c := range slices.Backward(s.commands) {
		if c.Running() || s.now().Sub(c.Ended) <= slowShown {
			all = append(all, *c)
		}
	}
	return all
}
