// Package outcome says how a job of the relay may end: its class, with one
// sentence for people, and what becomes of the job's messages. It is the one
// table that the log, the rows, the dead letters and every command share.
//
//	o := outcome.FaultOf(err)
//	pause := o.Pause(delivery.Receives, user)
package outcome

import (
	"context"
	"errors"
	"net/http"
	"time"

	"hikyaku/internal/objectstore"
	"hikyaku/pkg/providers"
)

// An Action is what becomes of a job's messages.
type Action int

// The actions.
const (
	Finish Action = iota // acknowledge
	Retry                // leave in the queue for a while
	Bury                 // to the dead-letter queue, then acknowledge
)

// An Outcome is how a job ended.
type Outcome struct {
	Action Action
	Class  Class
	After  time.Duration // of Retry: not sooner
	Err    error         // for the log; never holds a field of a person
}

// Done ends a job that needs nothing more.
func Done(c Class) Outcome { return Outcome{Action: Finish, Class: c} }

// Dead gives a job up: only a person can repair what stops it.
func Dead(c Class, err error) Outcome { return Outcome{Action: Bury, Class: c, Err: err} }

// Later lets a job be tried again, after a fault or what another is to bring.
func Later(c Class, err error) Outcome { return Outcome{Action: Retry, Class: c, Err: err} }

// With returns the outcome with an error for the log.
func (o Outcome) With(err error) Outcome { o.Err = err; return o }

// AtLeast returns the outcome with a longer time before the next try.
func (o Outcome) AtLeast(d time.Duration) Outcome { o.After = max(o.After, d); return o }

// FaultOf maps an error to the outcome of a job that has written nothing, or
// nothing that a repetition could spoil.
func FaultOf(err error) Outcome {
	after := providers.RetryAfter(err)
	switch {
	case errors.Is(err, objectstore.ErrConflict):
		return Later(Contended, err)
	case errors.Is(err, providers.ErrRateLimited):
		return Later(RateLimited, err).AtLeast(after)
	case errors.Is(err, providers.ErrUnauthorized), errors.Is(err, providers.ErrForbidden), errors.Is(err, providers.ErrRevoked):
		return Later(Credential, err)
	case errors.Is(err, providers.ErrTemporary), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Later(Temporary, err).AtLeast(after)
	case errors.Is(err, providers.ErrInvalid), errors.Is(err, providers.ErrNotFound), errors.Is(err, providers.ErrGone):
		return Later(BadAnswer, err)
	}
	return Later(Store, err)
}

// An Effect says what a failed write may have done.
type Effect int

// The effects.
const (
	NoEffect      Effect = iota // certainly nothing
	RefusedEffect               // the provider refused its content
	UnknownEffect               // perhaps everything
)

// EffectOf judges a failed write by its error.
func EffectOf(err error) Effect {
	var e *providers.Error
	switch {
	case !errors.As(err, &e), errors.Is(err, providers.ErrUnsent):
		return NoEffect // the client gave up before it sent anything
	case errors.Is(err, providers.ErrRateLimited), errors.Is(err, providers.ErrUnauthorized),
		errors.Is(err, providers.ErrForbidden), errors.Is(err, providers.ErrRevoked):
		return NoEffect
	case e.Status >= http.StatusBadRequest && e.Status < http.StatusInternalServerError && !errors.Is(err, providers.ErrTemporary):
		return RefusedEffect
	case e.Status == 0 && errors.Is(err, providers.ErrInvalid):
		return RefusedEffect // by the client's own rules
	}
	return UnknownEffect
}

// LongestPause bounds the time before a message is tried again. firstPause is where
// it begins.
const (
	firstPause   = 5 * time.Second
	LongestPause = time.Hour
)

// Pause is how long a message waits for its next try. It grows with the number of receipts, from 5 s to an hour, and varies
// by a fifth from user to user, so that an outage does not end in a stampede.
// With the receive limit and the retention of template.yaml, an outage of
// three days loses nothing.
func (o Outcome) Pause(receives int, user int64) time.Duration {
	pause := LongestPause
	if n := max(receives, 1) - 1; n < 10 {
		pause = min(LongestPause, firstPause<<n)
	}
	pause -= pause * time.Duration(user%20) / 100
	return min(max(pause, o.After), LongestPause)
}
