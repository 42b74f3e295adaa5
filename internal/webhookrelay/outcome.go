package webhookrelay

import (
	"context"
	"errors"
	"net/http"
	"time"

	"hikyaku/internal/objectstore"
	"hikyaku/pkg/providers"
)

// An action is what becomes of a job's messages.
type action int

const (
	finish action = iota // acknowledge
	retry                // leave in the queue for a while
	bury                 // to the dead-letter queue, then acknowledge
)

// An outcome is how a job ended.
type outcome struct {
	action action
	class  string        // what was done, or why not: a constant
	after  time.Duration // of retry: not sooner
	err    error         // for the log; never holds a field of a person
}

func done(class string) outcome { return outcome{action: finish, class: class} }
func wait(class string, after time.Duration) outcome {
	return outcome{action: retry, class: class, after: after}
}
func dead(class string, err error) outcome        { return outcome{action: bury, class: class, err: err} }
func failed(class string, err error) outcome      { return outcome{action: retry, class: class, err: err} }
func (o outcome) with(err error) outcome          { o.err = err; return o }
func (o outcome) atLeast(d time.Duration) outcome { o.after = max(o.after, d); return o }

// faultOf maps an error to the outcome of a job that has written nothing, or
// nothing that a repetition could spoil.
func faultOf(err error) outcome {
	after := providers.RetryAfter(err)
	switch {
	case errors.Is(err, objectstore.ErrConflict):
		return failed("contended", err)
	case errors.Is(err, providers.ErrRateLimited):
		return failed("rate_limited", err).atLeast(after)
	case errors.Is(err, providers.ErrUnauthorized), errors.Is(err, providers.ErrForbidden), errors.Is(err, providers.ErrRevoked):
		return failed("credential", err)
	case errors.Is(err, providers.ErrTemporary), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return failed("temporary", err).atLeast(after)
	case errors.Is(err, providers.ErrInvalid), errors.Is(err, providers.ErrNotFound), errors.Is(err, providers.ErrGone):
		return failed("bad_answer", err)
	}
	return failed("store", err)
}

// effect says what a failed write may have done.
type effect int

const (
	noEffect      effect = iota // certainly nothing
	refusedEffect               // the provider refused its content
	unknownEffect               // perhaps everything
)

func effectOf(err error) effect {
	var e *providers.Error
	switch {
	case !errors.As(err, &e), errors.Is(err, providers.ErrUnsent):
		return noEffect // the client gave up before it sent anything
	case errors.Is(err, providers.ErrRateLimited), errors.Is(err, providers.ErrUnauthorized),
		errors.Is(err, providers.ErrForbidden), errors.Is(err, providers.ErrRevoked):
		return noEffect
	case e.Status >= http.StatusBadRequest && e.Status < http.StatusInternalServerError && !errors.Is(err, providers.ErrTemporary):
		return refusedEffect
	case e.Status == 0 && errors.Is(err, providers.ErrInvalid):
		return refusedEffect // by the client's own rules
	}
	return unknownEffect
}

// Of the time before a message is tried again.
const (
	firstPause   = 5 * time.Second
	longestPause = time.Hour
)

// pauseFor grows with the number of receipts, from 5 s to an hour, and varies
// by a fifth from user to user, so that an outage does not end in a stampede.
// With the receive limit and the retention of template.yaml, an outage of
// three days loses nothing.
func pauseFor(o outcome, receives int, user int64) time.Duration {
	pause := longestPause
	if n := max(receives, 1) - 1; n < 10 {
		pause = min(longestPause, firstPause<<n)
	}
	pause -= pause * time.Duration(user%20) / 100
	return min(max(pause, o.after), longestPause)
}
