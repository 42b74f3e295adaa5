package sandbox

import (
	"sync"
	"time"
)

// A Call is one request as it was answered.
type Call struct {
	Time    time.Time
	Route   string // "PUT /api/ext/users/{id}"
	Path    string
	Status  int           // 0: the connection was cut
	Fault   FaultKind     // also the id of a trouble
	Elapsed time.Duration // on the machine's clock
}

// A callLog remembers the newest calls, and counts them all. It is safe for concurrent
// use.
type callLog struct {
	most    int // 0: no end
	observe func(Call)

	mu     sync.Mutex
	list   []Call
	oldest int // place in list of the oldest, once there are as many as it holds
	total  int
	counts map[string]int // by route
}

func newCallLog(o Options) *callLog {
	return &callLog{most: o.MaxCalls, observe: o.Observe, counts: map[string]int{}}
}

func (l *callLog) remember(c Call) {
	l.add(c)
	if l.observe != nil {
		l.observe(c)
	}
}

func (l *callLog) add(c Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total++
	l.counts[c.Route]++
	if l.most <= 0 || len(l.list) < l.most {
		l.list = append(l.list, c)
		return
	}
	l.list[l.oldest] = c
	l.oldest = (l.oldest + 1) % l.most
}

// Calls returns the requests so far, in the order in which they ended; of more than
// Options.MaxCalls the newest.
func (l *callLog) Calls() []Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	calls := make([]Call, 0, len(l.list))
	return append(append(calls, l.list[l.oldest:]...), l.list[:l.oldest]...)
}

// Count returns how many requests a route has answered or cut, those that Calls no
// longer remembers among them; an empty route counts all.
func (l *callLog) Count(route string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if route == "" {
		return l.total
	}
	return l.counts[route]
}
