package published

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"hikyaku/internal/webhookrelay/mapping"
)

// lookAgain is how long a look at the pointer counts.
const lookAgain = time.Minute

// Settled is when, after a mapping was published, no instance writes by the former
// one any more and lists show what was written by it: the last look counts for a
// minute, a job takes up to 90 s, and a list may lag by two minutes.
const Settled = 5 * time.Minute

// ErrLost says that nobody knows which mapping counts. The packaged one counts only
// until one was published: it is of an older day, and must not come back by itself.
var ErrLost = errors.New("a mapping was published here, but the document that names it is gone: publish the right one with 'hikyaku mapping put FILE'")

// A Reader tells a function which mapping counts. It is safe for concurrent use.
type Reader struct {
	Store Store
	Parse func(name string, source []byte) (*mapping.Mapping, error)
	// Packaged is the mapping that was deployed with the function, or why
	// there is none. It counts until one is published.
	Packaged func() (*mapping.Mapping, error)
	Log      *slog.Logger
	Now      func() time.Time

	mu     sync.Mutex
	looked time.Time        // zero: never
	told   string           // of which mapping the last look was told
	failed error            // of the last look
	held   *mapping.Mapping // nil: none yet
}

// Held is the newest mapping that Current gave, from memory; nil: none yet.
func (r *Reader) Held() *mapping.Mapping {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held
}

// Current looks at what is published, unless the last look was less than a minute
// ago. While that fails, the last mapping counts.
//
// told is the ShortDigest of the mapping by which a message was made; empty: it
// does not say. One that is not held may be newer: it is looked for at once, and
// an error if that fails.
func (r *Reader) Current(ctx context.Context, told string) (*mapping.Mapping, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	other := r.held != nil && told != "" && told != r.held.ShortDigest()
	now := r.Now().Round(0) // without its monotonic reading, which may stand still while the process is frozen
	if r.held == nil || now.Sub(r.looked) >= lookAgain || other && (told != r.told || r.failed != nil) {
		m, err := r.look(ctx)
		if err == nil {
			r.held = m
		} else if r.held != nil {
			r.Log.WarnContext(ctx, "published mapping not readable: the last one counts", "mapping", r.held.ShortDigest(), "err", err)
		}
		r.looked, r.told, r.failed = now, told, err
	}
	if r.held == nil || other && r.failed != nil {
		return nil, r.failed
	}
	return r.held, nil
}

func (r *Reader) look(ctx context.Context) (*mapping.Mapping, error) {
	log, err := r.Store.Log(ctx)
	if err != nil {
		return nil, err
	}
	e, ok := log.Current()
	if !ok {
		return r.unpublished(ctx, log)
	}
	if r.held != nil && r.held.Digest() == e.Digest {
		return r.held, nil
	}
	source, err := r.Store.Source(ctx, e.Digest)
	if err != nil {
		return nil, err
	}
	m, err := r.Parse("published mapping "+e.Short(), source)
	if err != nil {
		return nil, fmt.Errorf("%w\npublish one that this version reads with 'hikyaku mapping put FILE', or take the last one back with 'hikyaku mapping undo'", err)
	}
	return m, nil
}

// unpublished is the packaged mapping. Whether a pointer was there is asked once:
// one that is made later is made before its first file.
func (r *Reader) unpublished(ctx context.Context, log Log) (*mapping.Mapping, error) {
	if !log.document.Exists() {
		if r.held != nil {
			m, err := r.Packaged()
			if err == nil && m.Digest() != r.held.Digest() {
				return nil, ErrLost
			}
			return m, err
		}
		ever, err := r.Store.everPublished(ctx)
		if err != nil {
			return nil, err
		}
		if ever {
			return nil, ErrLost
		}
	}
	return r.Packaged()
}
