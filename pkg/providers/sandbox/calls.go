package sandbox

import "time"

// A Call is one request as it was answered.
type Call struct {
	Time    time.Time
	Route   string // "PUT /api/ext/users/{id}"
	Path    string
	Status  int // 0: the connection was cut
	Fault   FaultKind
	Elapsed time.Duration // on the machine's clock
}

// A callLog remembers the newest calls, and counts them all.
type callLog struct {
	most   int // 0: no end
	list   []Call
	oldest int // place in list of the oldest, once there are as many as it holds
	total  int
	counts map[string]int // by route
}

func newCallLog(most int) callLog { return callLog{most: most, counts: map[string]int{}} }

func (l *callLog) add(c Call) {
	l.total++
	l.counts[c.Route]++
	if l.most <= 0 || len(l.list) < l.most {
		l.list = append(l.list, c)
		return
	}
	l.list[l.oldest] = c
	l.oldest = (l.oldest + 1) % l.most
}

func (l *callLog) all() []Call {
	calls := make([]Call, 0, len(l.list))
	return append(append(calls, l.list[l.oldest:]...), l.list[:l.oldest]...)
}

func (s *Server) remember(c Call, began time.Time) {
	c.Time, c.Elapsed = s.now(), time.Since(began)
	s.mu.Lock()
	s.calls.add(c)
	s.mu.Unlock()
	if s.observe != nil {
		s.observe(c)
	}
}

// Calls returns the requests so far, in the order in which they ended; of more than
// Options.MaxCalls the newest.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls.all()
}

// Count returns how many requests a route has answered or cut, those that Calls no
// longer remembers among them; an empty route counts all.
func (s *Server) Count(route string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if route == "" {
		return s.calls.total
	}
	return s.calls.counts[route]
}
