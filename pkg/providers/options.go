package providers

import (
	"context"
	"net/http"
	"time"
)

// Options configure a provider's client. The zero value, and a nil *Options,
// are ready for use.
type Options struct {
	// HTTP sends the requests; nil means a client with a 30 s timeout that
	// follows no redirects.
	HTTP *http.Client
	// UserAgent names the caller; empty means "hikyaku". SHOPLINE documents
	// it as the partner's handle code, Yappli requires one.
	UserAgent string
	// Limiter paces requests; nil means the provider's default rate. Share
	// one limiter among the clients of one account.
	Limiter Limiter
	// Attempts bounds the tries of one call; 0 means 4, 1 means no retries.
	// Token calls are never retried.
	Attempts int
	// MaxObject caps the answer about one object in bytes, as it comes and
	// unpacked; 0 means 1 MiB.
	MaxObject int64
	// MaxBody caps a page of a list in the same way; 0 means 8 MiB.
	MaxBody int64
	// MaxElements caps the elements of a page, or four times as many as were
	// asked for if that is more; 0 means 10,000.
	MaxElements int
	// MaxRecord caps one record of a list; a larger one has a Fault. 0 is no
	// cap but the page's.
	MaxRecord int
	// SpoolDir is where a list is kept that comes in one answer, however
	// long; empty means the folder for temporary files.
	SpoolDir string
	// MaxSpool caps such an answer; 0 means 256 MiB.
	MaxSpool int64
	// Now is the clock of the times that are stored, such as a token's expiry; nil
	// means time.Now. Waiting itself goes by the machine's clock.
	Now func() time.Time
	// Buffers hold the pages of lists; nil means new memory for each.
	Buffers *Buffers
}

// A Limiter delays a request until it may be sent, or until ctx ends.
// *rate.Limiter of golang.org/x/time is one, Pace another.
type Limiter interface {
	Wait(ctx context.Context) error
}

// An Observer is a Limiter that clients tell how each call ended, after its last
// attempt. A call that found no token is not one.
type Observer interface {
	Limiter
	Observe(err error)
}

// A Learner is a Limiter that clients tell the outcome of each request, with the
// time at which Wait let it go.
type Learner interface {
	Limiter
	Learn(sent time.Time, err error)
}
