package pagination

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
)

// A server that is ill is not a record that is broken. A record is rejected
// only if it fails again and again while its neighbors are answered well.

const (
	// enoughFailures is how often a record must have failed.
	enoughFailures = 24
	// enoughTime is how long a record must have failed with a server's error.
	// A text that is no JSON needs no time: it will not heal.
	enoughTime = 5 * time.Minute
	// comeBack is after how long it is asked for again meanwhile.
	comeBack = 100 * time.Second
)

// A Suspect is the one record that stands after a Position's rows and that has
// not been readable so far.
type Suspect struct {
	Since    time.Time `json:"since"`
	Failures int       `json:"failures"`
	Status   int       `json:"status,omitempty"` // of the server's error; 0: the answer was no list
}

// A WaitError asks the caller to come back later with the same position.
type WaitError struct {
	Until time.Time
	Err   error
}

// Error names the fault and the time.
func (e *WaitError) Error() string {
	return fmt.Sprintf("one record fails while its neighbors are answered; asked again at %s: %v", e.Until.UTC().Format(time.RFC3339), e.Err)
}

// Unwrap returns the fault.
func (e *WaitError) Unwrap() error { return e.Err }

// narrowable reports whether an error may be the doing of one record, so that
// a smaller question may be answered.
func narrowable(err error) bool {
	return errors.Is(err, jsonscan.ErrNotAList) || errors.Is(err, providers.ErrTooLarge) || serverStatus(err) != 0
}

// serverStatus returns the status of a server's own error, 0 for any other. One
// that says when to come back is busy, whatever it is asked for.
func serverStatus(err error) int {
	var e *providers.Error
	if errors.As(err, &e) && e.Status >= 500 && errors.Is(err, providers.ErrTemporary) && providers.RetryAfter(err) == 0 {
		return e.Status
	}
	return 0
}

// trust is how much must be known before a record is given up.
type trust struct {
	attempts int // of one Fetch
	now      func() time.Time
}

// errRejected is the verdict on a record.
type errRejected struct{ reason string }

func (e errRejected) Error() string { return e.reason }

// condemn asks for a single record until it is answered or has failed often
// and long enough. well asks for its neighbors; its error means that the
// server is ill, and nobody is to blame. It returns the answer, errRejected,
// a WaitError, or the fault of the server.
func (s *session) condemn(ctx context.Context, alone func(context.Context) (jsonscan.List, error), well func(context.Context) error) (jsonscan.List, error) {
	if s.at.Suspect == nil {
		s.at.Suspect = &Suspect{Since: s.trust.now().UTC()}
	}
	suspect := s.at.Suspect
	for {
		l, err := alone(ctx)
		if err == nil {
			s.at.Suspect = nil
			return l, nil
		}
		if !narrowable(err) {
			return l, err
		}
		suspect.Failures += s.trust.attempts
		suspect.Status = max(suspect.Status, serverStatus(err))
		if well(ctx) != nil {
			return l, err
		}
		switch now := s.trust.now(); {
		case errors.Is(err, providers.ErrTooLarge):
			s.at.Suspect = nil
			return l, errRejected{"larger than an answer may be"}
		case suspect.Failures < enoughFailures:
		case suspect.Status == 0:
			s.at.Suspect = nil
			return l, errRejected{reasonOf(err)}
		case now.Sub(suspect.Since) < enoughTime:
			until := suspect.Since.Add(enoughTime)
			if soon := now.Add(comeBack); soon.Before(until) {
				until = soon
			}
			return l, &WaitError{Until: until, Err: err}
		default:
			s.at.Suspect = nil
			return l, errRejected{fmt.Sprintf("the provider answers status %d whenever it is asked for", suspect.Status)}
		}
	}
}

// answers asks a question that no record in doubt can spoil, once more if the
// answer is none.
func (s *session) answers(ctx context.Context, q Query) error {
	_, err := s.ask(ctx, q)
	return err
}

// ask asks anew, and once more if the answer is none.
func (s *session) ask(ctx context.Context, q Query) (jsonscan.List, error) {
	l, err := s.again(ctx, q)
	if err != nil && narrowable(err) {
		l, err = s.again(ctx, q)
	}
	return l, err
}

// reasonOf says why an answer is no list, in a text of ours.
func reasonOf(err error) string {
	var e *providers.Error
	if errors.As(err, &e) && e.Detail != "" {
		return e.Detail
	}
	return "its answer is not a list"
}

// reject makes a row of the record that stands after those read. No answer
// shows its bytes or its id, so that it is known by its place.
func (s *session) reject(body []byte, reason, place string) Page {
	id := digestID([]byte(place))
	s.at.Rows++
	s.at.Gap++
	d := digest(id)
	if s.known.find(d) != nil {
		return Page{}
	}
	one := slot{id: d, pass: uint8(s.at.Pass), looks: inLook(s.at.Look)}
	s.known.add(one)
	s.at.Seen++
	return Page{Body: append(body, '\n'), Rows: []Row{{Record: jsonscan.Record{ID: id, End: len(body), Fault: reason}, Place: s.at.Rows, known: one}}}
}
