package providers

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"hikyaku/pkg/jsonscan"
)

// The error vocabulary. Clients wrap exactly one of these in an *Error;
// callers decide with errors.Is and never look at text.
var (
	// ErrUnauthorized: the credential was not accepted (401). Another
	// version of it may be.
	ErrUnauthorized = errors.New("credential not accepted")
	// ErrRevoked: the credential can never work again (invalid_grant,
	// invalid_client): a person has to act.
	ErrRevoked = errors.New("credential revoked: authorize again")
	// ErrClient is an ErrRevoked of the client that asks, not of what it was
	// granted (invalid_client): its id or its secret is wrong.
	ErrClient error = &kind{"the client id or secret is wrong, or was revoked", []error{ErrRevoked}}
	// ErrForbidden: 403. Providers answer it for three different faults.
	ErrForbidden = errors.New("refused: check token, expiry or IP allow list")
	// ErrRateLimited: 429. Error.RetryAfter holds what the provider asked for.
	ErrRateLimited = errors.New("rate limited")
	// ErrTemporary: a 5xx, a time-out, a connection that broke, an answer
	// cut short. The same call may work later; whether it took effect is
	// unknown.
	ErrTemporary = errors.New("temporary failure")
	// ErrUnsent is an ErrTemporary of a request that never left, because no
	// connection could be made or its turn did not come in time: it
	// certainly had no effect.
	ErrUnsent = fmt.Errorf("%w: nothing was sent", ErrTemporary)
	// ErrCertificate is an ErrUnsent too: the server showed a certificate
	// that cannot be trusted. Trying again at once is useless.
	ErrCertificate error = &kind{"certificate not accepted", []error{ErrUnsent}}
	// ErrMalformed is an ErrTemporary: an answer of status 200 that is not
	// what the provider's documents say, such as an error object in place of
	// a list. Error.Detail says what was found. It is a
	// jsonscan.ErrNotAList as well.
	ErrMalformed error = &kind{ErrTemporary.Error() + ": the answer is not what the documents say", []error{ErrTemporary, jsonscan.ErrNotAList}}
	// ErrOtherShape is an ErrMalformed of a list in another documented form than
	// the pages before it. It is a jsonscan.ErrOtherShape as well.
	ErrOtherShape error = &kind{ErrMalformed.Error(), []error{ErrMalformed, jsonscan.ErrOtherShape}}
	// ErrNotFound: 404 for a single object.
	ErrNotFound = errors.New("not found")
	// ErrGone: 410, the object is archived.
	ErrGone = errors.New("archived")
	// ErrInvalid: the provider refused the request's content (400, 405,
	// 422), or its answer is not what its documents say. Repeating it is
	// useless.
	ErrInvalid = errors.New("invalid request or answer")
	// ErrDuplicate: the object exists already (409, or 422 after
	// duplicate=raise). It is also an ErrInvalid.
	ErrDuplicate = fmt.Errorf("%w: exists already", ErrInvalid)
	// ErrTooLarge: the answer passes a cap of Options. It is also an
	// ErrInvalid; a smaller page may fit.
	ErrTooLarge = fmt.Errorf("%w: larger than the cap", ErrInvalid)
)

// A kind is an entry of the vocabulary that is others as well.
type kind struct {
	text string
	also []error
}

// Error is the entry's own text.
func (k *kind) Error() string { return k.text }

// Unwrap returns the entries that it is as well.
func (k *kind) Unwrap() []error { return k.also }

// LongestRetryAfter is the longest wait that a provider can ask for, in
// whatever form: a broken clock there must not stop a dataset for years.
const LongestRetryAfter = time.Hour

// A BlockedError is an ErrUnsent of a request to where none may go. The
// transport that refused it says why, in a constant text without the URL.
type BlockedError string

// Error is the guard's text.
func (e BlockedError) Error() string { return string(e) }

// Unwrap makes it an ErrUnsent.
func (BlockedError) Unwrap() error { return ErrUnsent }

// An Error says which call to which provider failed. It never holds a body,
// a URL or a token.
type Error struct {
	Provider   string        // "yappli"
	Op         string        // "users.update"
	Status     int           // HTTP status, 0 if there was no answer
	Code       string        // the provider's own error code if it is one of a known list, e.g. "invalid_grant"; a free text could echo a secret
	RetryAfter time.Duration // what the provider asked for, 0 if nothing
	Kind       error         // one of the vocabulary
	Detail     string        // a constant of ours that says what to do, never text of the provider
}

// Error returns "yappli users.update: rate limited (429)".
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %v", e.Provider, e.Op, e.Kind)
	if e.Status != 0 {
		fmt.Fprintf(&b, " (status %d)", e.Status)
	}
	if e.Code != "" {
		fmt.Fprintf(&b, " [%s]", e.Code)
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	return b.String()
}

// Unwrap returns the vocabulary entry.
func (e *Error) Unwrap() error { return e.Kind }

// RetryAfter returns how long the provider asked to wait, or 0.
func RetryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.RetryAfter
	}
	return 0
}

// Refused reports whether the provider says that a credential does not work. An answer
// that cannot be understood says nothing of it.
func Refused(err error) bool {
	return errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrRevoked) || errors.Is(err, ErrForbidden)
}

// Retryable reports whether the same call may succeed later without anybody
// acting.
func Retryable(err error) bool {
	return errors.Is(err, ErrTemporary) || errors.Is(err, ErrRateLimited)
}
