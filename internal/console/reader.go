package console

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// readLimit bounds how long a page waits for a command.
const readLimit = 30 * time.Second

// A reader runs the commands whose output pages show. Equal commands of several pages run
// once, and what one has printed is shown again for a while: each costs calls of AWS.
type reader struct {
	run   Runner
	of    func([]string) []string
	now   func() time.Time
	fresh time.Duration

	flight singleflight.Group
	mu     sync.Mutex
	kept   map[string]answer
	epoch  int // how often everything was forgotten

	late    map[string]bool // commands whose answer somebody has not waited for
	arrived func()          // is told of such an answer
}

type answer struct {
	at     time.Time
	mark   string // what had happened last when it was asked for
	stdout json.RawMessage
	err    error
}

// read decodes what a command prints with --json into out. Some commands print their
// findings and fail too: what was printed counts then.
func (r *reader) read(ctx context.Context, out any, args ...string) error {
	return r.readWithin(ctx, r.fresh, out, args...)
}

// readWithin is read of a command whose output may be older.
func (r *reader) readWithin(ctx context.Context, fresh time.Duration, out any, args ...string) error {
	return r.decode(ctx, out, func(a answer) bool { return r.now().Sub(a.at) < fresh }, "", args)
}

// unmarkedLife is how long what was printed is shown again while nothing is seen to happen.
const unmarkedLife = 30 * time.Second

// readMarked is read of a command that prints the same until mark changes, which names the
// last that has happened. It runs at most once in the time of least.
func (r *reader) readMarked(ctx context.Context, mark string, least time.Duration, out any, args ...string) error {
	return r.decode(ctx, out, r.unchanged(mark, least), mark, args)
}

func (r *reader) unchanged(mark string, least time.Duration) func(answer) bool {
	return func(a answer) bool {
		age := r.now().Sub(a.at)
		return age < least || a.mark == mark && age < max(unmarkedLife, least)
	}
}

// patience is how long a page waits for a command that is known to be slow.
const patience = 100 * time.Millisecond

// readSoon is readMarked of a command that is slow: late says that out is what it has
// printed before, if anything, and that its answer will be shown once it is there.
func (r *reader) readSoon(ctx context.Context, mark string, least time.Duration, out any, args ...string) (late bool, err error) {
	short, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = r.readMarked(short, mark, least, out, args...)
	if short.Err() == nil || ctx.Err() != nil {
		return false, err
	}
	before := r.miss(strings.Join(args, "\x00"), r.unchanged(mark, least))
	return before.late, before.into(out, args)
}

// A missed is what a command has printed before, for who does not wait for it.
type missed struct {
	answer

	late bool
}

func (r *reader) miss(key string, good func(answer) bool) missed {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.kept[key]
	if !before.at.IsZero() && good(before) {
		return missed{before, false} // it came just now
	}
	if r.late == nil {
		r.late = map[string]bool{}
	}
	r.late[key] = true
	return missed{before, true}
}

// tell says that an answer is there which somebody has not waited for.
func (r *reader) tell(key string) {
	r.mu.Lock()
	late := r.late[key]
	delete(r.late, key)
	r.mu.Unlock()
	if late && r.arrived != nil {
		r.arrived()
	}
}

func (r *reader) decode(ctx context.Context, out any, good func(answer) bool, mark string, args []string) error {
	stdout, err := r.text(ctx, good, mark, args...)
	return answer{stdout: stdout, err: err}.into(out, args)
}

// into reads what a command has printed into out.
func (a answer) into(out any, args []string) error {
	if len(a.stdout) == 0 {
		return a.err
	}
	if fault := failed(a.stdout); fault != nil {
		return fault
	}
	if err := json.Unmarshal(a.stdout, out); err != nil {
		return fmt.Errorf("what 'hikyaku %s --json' printed cannot be read: %w", strings.Join(args, " "), err)
	}
	return nil
}

// text runs a command with --json, or returns what it has printed if that is still good.
func (r *reader) text(ctx context.Context, good func(answer) bool, mark string, args ...string) (json.RawMessage, error) {
	key := strings.Join(args, "\x00")
	a, epoch := r.lately(key)
	if !a.at.IsZero() && good(a) {
		return a.stdout, a.err
	}
	// The first who asks may go away: the others still want to know.
	done := r.flight.DoChan(fmt.Sprint(key, "\x00", mark, "\x00", epoch), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readLimit)
		defer cancel()
		stdout, err := r.run(ctx, nil, slices.Concat(r.of(args), []string{"--json"})...)
		a := answer{at: r.now(), mark: mark, stdout: stdout, err: err}
		r.keep(key, epoch, a)
		r.tell(key)
		return a, nil
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case result := <-done:
		a := result.Val.(answer) //nolint:forcetypeassert // it is made above
		return a.stdout, a.err
	}
}

// lately is what a command has printed, if it has, and the epoch in which it is asked for.
func (r *reader) lately(key string) (answer, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kept[key], r.epoch
}

func (r *reader) keep(key string, epoch int, a answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if epoch != r.epoch {
		return // an action has changed something while it ran
	}
	if r.kept == nil {
		r.kept = map[string]answer{}
	}
	for k, old := range r.kept { // what nobody looks at any more
		if r.now().Sub(old.at) > 10*r.fresh+time.Minute {
			delete(r.kept, k)
		}
	}
	r.kept[key] = a
}

// forget lets the next look see what an action has changed.
func (r *reader) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.kept)
	r.epoch++
}

// A commandError is the error object that a command prints.
type commandError struct {
	Kind    string
	Message string
}

// Error is the command's own sentence.
func (e *commandError) Error() string { return e.Message }

// failed is the error that a command has printed in the place of an answer. One that has
// printed both, such as doctor with its findings, has answered.
func failed(stdout []byte) error {
	var printed map[string]json.RawMessage
	var fault *commandError
	_ = json.Unmarshal(stdout, &printed) // of another shape it is no error object
	_ = json.Unmarshal(printed["error"], &fault)
	if len(printed) != 1 || fault == nil {
		return nil
	}
	return fault
}
