package record

import (
	"time"

	"hikyaku/internal/console"
)

// mostSamples is how many seconds are remembered.
const mostSamples = 900

// A series is the samples of the last while, and the one that is still counted.
type series struct {
	samples []console.Sample
	now     console.Sample
}

func (r *Recorder) sample(at time.Time) {
	queue, dead := r.depth()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.series
	s.now.At, s.now.Queue, s.now.Dead = at, queue.Visible+queue.InFlight+queue.Delayed, dead
	if len(s.samples) == mostSamples {
		s.samples = append(s.samples[:0], s.samples[1:]...)
	}
	if last := len(s.samples) - 1; s.now.Jobs == 0 && last >= 0 {
		s.now.Lag = s.samples[last].Lag
	}
	s.samples = append(s.samples, s.now)
	s.now = console.Sample{}
	r.dirty = true
}

// Series are samples of the last while, one a second of the machine's own clock, the
// oldest first.
func (r *Recorder) Series() []console.Sample {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]console.Sample(nil), r.series.samples...)
}
