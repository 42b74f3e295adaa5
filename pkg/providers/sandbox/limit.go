package sandbox

import (
	"slices"
	"time"
)

// A limiter is the account's limit of requests. It counts those of the last
// period, or, as a bucket, lets a second's worth through at once and refills
// at its rate. A refused request does not count.
//
// The two differ for a caller that keeps the rate but whose requests arrive a
// little closer together than they left: a bucket has room for the jitter of a
// network, a sliding window has none.
type limiter struct {
	rate   float64 // requests per second; negative: no limit
	period time.Duration
	spare  int
	bucket bool

	window []time.Time // of the requests in the last period
	level  float64     // of the bucket, at the time filled
	filled time.Time   // zero: the bucket was never used, and is full
}

func (l *limiter) allow(now time.Time) bool {
	switch {
	case l.rate < 0:
		return true
	case l.bucket:
		return l.drain(now)
	}
	l.window = slices.DeleteFunc(l.window, func(t time.Time) bool { return now.Sub(t) >= l.period })
	if float64(len(l.window)+1) > l.most()+float64(l.spare) {
		return false
	}
	l.window = append(l.window, now)
	return true
}

func (l *limiter) most() float64 { return max(l.rate*l.period.Seconds(), 1) }

func (l *limiter) drain(now time.Time) bool {
	most := l.most() + float64(l.spare)
	if l.filled.IsZero() {
		l.level = most
	} else {
		l.level = min(l.level+l.rate*max(now.Sub(l.filled), 0).Seconds(), most)
	}
	l.filled = now
	if l.level < 1 {
		return false
	}
	l.level--
	return true
}

// CountInBucket limits the account by a bucket instead of a sliding window,
// unless Options.Window asks for one. Call it before the first request.
func (s *Server) CountInBucket() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limiter.bucket = !s.windowed
}
