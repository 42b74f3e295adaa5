package pagination

import (
	"context"
	"sync"
	"time"

	"hikyaku/pkg/jsonscan"
)

// requests asks for pages, some of them before they are needed: a strategy says
// which page it expects to need next. If it then asks for another one, what is on
// its way is dropped.
type requests struct {
	fetch   Fetch
	release func(body []byte)
	most    int          // on their way at once
	awake   func() error // called while a page is awaited
	pulse   time.Duration

	queue   []*request
	running sync.WaitGroup
	count   int64
	largest int        // bytes that a page has kept in memory
	lent    [][]byte   // bodies that get has returned and free has not taken back
	answer  identified // what get returned last
}

// mostAhead bounds the bytes of the pages on their way, but for the one that is
// needed next: two pages of 8 MiB, which is what the settings of the template
// allow. A source whose pages turn out to be large is asked for fewer of them at
// once, however many the settings allow for small ones.
const mostAhead = 16 << 20

// A request is a page on its way.
type request struct {
	query  Query
	cancel context.CancelFunc
	done   chan struct{} // closed once list and err are there
	list   jsonscan.List
	answer identified // list
	err    error
}

// expect asks for a page in advance, unless as many as allowed are on their way.
func (r *requests) expect(ctx context.Context, q Query) bool {
	n := len(r.queue)
	if n >= r.most || n > 0 && (n+1)*r.largest > mostAhead {
		return false
	}
	r.start(ctx, q)
	return true
}

func (r *requests) start(ctx context.Context, q Query) {
	ctx, cancel := context.WithCancel(ctx)
	one := &request{query: q, cancel: cancel, done: make(chan struct{})}
	r.queue = append(r.queue, one)
	r.count++
	begun := make(chan struct{})
	r.running.Go(func() {
		defer close(one.done)
		defer cancel()
		close(begun)
		one.list, one.err = r.fetch(ctx, q)
		one.answer.identify(one.list) // while the bytes are at hand: another processor may go on with it
	})
	// The goroutine made last runs first. Its page would take its
	// turn before one that is needed sooner, and wait for that.
	<-begun
}

// get returns a page, the one that was expected if it is this one.
func (r *requests) get(ctx context.Context, q Query) (jsonscan.List, error) {
	if err := r.awake(); err != nil { // before a page is asked for in vain
		return jsonscan.List{}, err
	}
	if len(r.queue) == 0 || r.queue[0].query != q {
		r.drop()
		r.start(ctx, q)
	}
	one := r.queue[0]
	beat := time.NewTicker(r.pulse)
	defer beat.Stop()
	for {
		select {
		case <-one.done:
			r.queue = r.queue[1:]
			if one.err == nil {
				r.largest = max(r.largest, cap(one.list.Body))
				r.lent = append(r.lent, one.list.Body)
				r.answer = one.answer
			}
			return one.list, one.err
		case <-beat.C:
			if err := r.awake(); err != nil {
				return jsonscan.List{}, err
			}
		case <-ctx.Done():
			return jsonscan.List{}, ctx.Err()
		}
	}
}

// last returns the newest query that is on its way, if there is one.
func (r *requests) last() (Query, bool) {
	if n := len(r.queue); n > 0 {
		return r.queue[n-1].query, true
	}
	return Query{}, false
}

// drop forgets what is on its way, and waits until it has ended.
func (r *requests) drop() {
	for _, one := range r.queue {
		one.cancel()
	}
	r.running.Wait()
	for _, one := range r.queue {
		if one.err == nil {
			r.release(one.list.Body)
		}
	}
	r.queue = nil
}

// free gives back all answers that get has returned: nobody reads them any more.
func (r *requests) free() {
	for _, body := range r.lent {
		r.release(body)
	}
	clear(r.lent)
	r.lent = r.lent[:0]
}
