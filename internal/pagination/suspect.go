package pagination

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
)

// A record is rejected only if it fails again and again while its neighbors are
// answered. If they fail too, the server is ill, and no record is to blame.
const (
	// enoughFailures is how often a record must have failed.
	enoughFailures = 12
	// enoughFetches is how often all attempts of a Fetch must have failed.
	enoughFetches = 6
	// enoughTime is how long a record must have failed, if it failed with a
	// status of 500 or more: such a fault may end by itself. A record that
	// makes the answer unreadable needs no time.
	enoughTime = 5 * time.Minute
	// comeBack is how long to wait before it is asked for again meanwhile.
	comeBack = 100 * time.Second
)

// A Suspect is the one record after a Position's rows, as long as it could not be
// read and is not yet rejected.
type Suspect struct {
	Since    time.Time `json:"since"`
	Failures int       `json:"failures"`
	Status   int       `json:"status,omitempty"` // the server's, 500 or more; 0: it sent answers that cannot be read
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

// narrowable reports whether one record may be the cause of an error, so that a
// page without it may be answered.
func narrowable(err error) bool {
	if errors.Is(err, jsonscan.ErrOtherShape) {
		return false
	}
	return errors.Is(err, jsonscan.ErrNotAList) || errors.Is(err, providers.ErrTooLarge) || serverStatus(err) != 0
}

// serverStatus returns the status of a server's own failure, from 500 on; 0 for
// any other error. One that says when to come back is busy, whatever it is asked
// for.
func serverStatus(err error) int {
	var e *providers.Error
	if errors.As(err, &e) && e.Status >= 500 && errors.Is(err, providers.ErrTemporary) && providers.RetryAfter(err) == 0 {
		return e.Status
	}
	return 0
}

// errRejected says that a record is given up, and why.
type errRejected struct{ reason string }

func (e errRejected) Error() string { return e.reason }

// judgeRecord asks for one record, by alone, until it is answered or has failed
// often and long enough. After each failure probe asks for its neighbors: if they
// fail too, the server is ill. judgeRecord returns the answer, errRejected, a
// WaitError to go on later, or the server's fault.
func (s *session) judgeRecord(ctx context.Context, alone func(context.Context) (jsonscan.List, error), probe func(context.Context) error) (jsonscan.List, error) {
	if s.at.Suspect == nil {
		s.at.Suspect = &Suspect{Since: s.now().UTC()}
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
		if probe(ctx) != nil {
			return l, err // and nothing is known about the record
		}
		suspect.Failures += s.attempts
		suspect.Status = max(suspect.Status, serverStatus(err))
		switch now := s.now(); {
		case errors.Is(err, providers.ErrTooLarge):
			s.at.Suspect = nil
			return l, errRejected{"larger than an answer may be"}
		case suspect.Failures < max(enoughFailures, enoughFetches*s.attempts):
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

// probe asks a question that the record at hand cannot spoil. Its error means
// that the server is ill.
func (s *session) probe(ctx context.Context, q Query) error {
	_, err := s.refetchTwice(ctx, q)
	return err
}

// refetchTwice asks again, and once more if the answer cannot be read.
func (s *session) refetchTwice(ctx context.Context, q Query) (jsonscan.List, error) {
	l, err := s.refetch(ctx, q)
	if err != nil && narrowable(err) {
		l, err = s.refetch(ctx, q)
	}
	return l, err
}

// reasonOf says why an answer is no list. It never holds text of the answer.
func reasonOf(err error) string {
	var e *providers.Error
	if errors.As(err, &e) && e.Detail != "" {
		return e.Detail
	}
	return "its answer is not a list"
}

// reject makes a row, with a Fault, of the record after those read. Its id is not
// known, because no answer shows it: it gets one that is made of its place.
func (s *session) reject(body []byte, reason, place string) Page {
	id := digestID([]byte(place))
	s.at.Rows++
	s.at.Gap++
	d := digest(id)
	if s.known.find(d) != nil {
		return Page{}
	}
	one := knownRow{id: d, pass: uint8(s.at.Pass), looks: takenIn(s.at.Look)}
	s.known.add(one)
	s.at.Seen++
	return Page{Body: append(body, '\n'), Rows: []Row{{Record: jsonscan.Record{ID: id, End: len(body), Fault: reason}, Place: s.at.Rows, known: one}}}
}
