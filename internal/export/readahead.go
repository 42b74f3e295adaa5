package export

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"hikyaku/pkg/providers"
)

// A readahead fetches and splits pages before they are asked for, and hands
// them over in the order in which they were queued. At most flight pages are
// on their way. With those that have come and wait for an earlier one, they are
// at most maxWaiting times as many, and about budget bytes: the size of a page
// to come is taken to be that of the largest so far. One page is always
// allowed.
type readahead struct {
	source Source
	split  func() *splitter
	flight int
	budget int
	awake  func() error // called by pop before it waits, and while it does
	pulse  time.Duration

	cancel  context.CancelFunc
	ctx     context.Context
	queue   []*fetch
	largest int
	running sync.WaitGroup
	idle    []*splitter
	spare   [][]byte // memory of pages that have been consumed
	mu      sync.Mutex
	active  int           // requests on their way
	landed  chan struct{} // holds a token if one has ended since it was last looked at
	count   int64         // pages fetched
}

// maxWaiting bounds the pages kept for the sake of one that is late.
const maxWaiting = 2

func newReadahead(source Source, split func() *splitter, flight, budget int) *readahead {
	return &readahead{source: source, split: split, flight: flight, budget: budget, landed: make(chan struct{}, 1)}
}

// A fetch is one page on its way.
type fetch struct {
	query Query
	done  chan struct{}
	page  *page
	size  int
	err   error
}

// full reports whether another page would be too much.
func (r *readahead) full() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.queue)
	return n > 0 && (r.active >= r.flight || n >= maxWaiting*r.flight || (n+1)*r.largest > r.budget)
}

// push queues a page and starts to fetch it.
func (r *readahead) push(ctx context.Context, q Query) {
	if r.ctx == nil {
		r.ctx, r.cancel = context.WithCancel(ctx)
	}
	q.Into = nil // of an earlier request
	if n := len(r.spare); n > 0 {
		q.Into, r.spare = r.spare[n-1], r.spare[:n-1]
	}
	f := &fetch{query: q, done: make(chan struct{})}
	r.queue = append(r.queue, f)
	r.count++
	r.mu.Lock()
	r.active++
	r.mu.Unlock()
	r.running.Add(1)
	go r.run(r.ctx, f) //nolint:contextcheck // made from the ctx of the first push, so that drop can end them all
}

func (r *readahead) run(ctx context.Context, f *fetch) {
	defer r.running.Done()
	defer r.land(f)
	body, err := r.source.Page(ctx, f.query)
	f.size = len(body)
	if errors.Is(err, providers.ErrTooLarge) { // smaller pages may fit
		f.page, err = &page{query: f.query}, fmt.Errorf("%w: %w", ErrUnsplittable, err)
	}
	if err != nil {
		f.err = err
		return
	}
	s := r.takeSplitter()
	f.page, f.err = s.split(body, f.query)
	if f.err != nil { // kept as it came, for the rejects
		f.page = &page{query: f.query, buf: body}
	}
	r.mu.Lock()
	r.idle = append(r.idle, s)
	r.mu.Unlock()
}

// land notes that a request has ended.
func (r *readahead) land(f *fetch) {
	r.mu.Lock()
	r.active--
	r.mu.Unlock()
	close(f.done)
	select {
	case r.landed <- struct{}{}:
	default:
	}
}

func (r *readahead) takeSplitter() *splitter {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.idle); n > 0 {
		s := r.idle[n-1]
		r.idle = r.idle[:n-1]
		return s
	}
	return r.split()
}

// pop waits for the oldest page, and stays awake meanwhile. While others
// overtake it, it calls more, which may queue pages in their place. On an error
// that is ErrUnsplittable the page holds the whole answer, without rows.
func (r *readahead) pop(ctx context.Context, more func(context.Context)) (*page, error) {
	f := r.queue[0]
	if err := r.awake(); err != nil {
		return nil, err
	}
	beat := time.NewTicker(r.pulse)
	defer beat.Stop()
	for waiting := true; waiting; {
		select {
		case <-f.done: // first, so that nothing is asked for that is not needed yet
			waiting = false
			continue
		default:
		}
		select {
		case <-f.done:
		case <-r.landed:
			more(ctx)
		case <-beat.C:
			if err := r.awake(); err != nil {
				return nil, err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	r.queue = r.queue[1:]
	r.largest = max(r.largest, f.size)
	return f.page, f.err
}

// recycle takes back a page that nobody needs any more.
func (r *readahead) recycle(p *page) {
	if cap(p.buf) > 0 && len(r.spare) <= len(r.queue) {
		r.spare = append(r.spare, p.buf)
	}
}

// drop forgets all pages that are queued, cancels their requests and waits
// until they have ended.
func (r *readahead) drop() {
	if r.cancel != nil {
		r.cancel()
	}
	r.running.Wait()
	r.queue, r.ctx, r.cancel = nil, nil, nil
}
