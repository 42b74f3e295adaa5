package tokenrefresh

import "time"

// rest is how long a tick takes the word of the last look: less than five
// minutes, so that with a tick each minute every secret is read each five, and
// a connection that a person changed is in use within them.
const rest = 4*time.Minute + 30*time.Second

// A memory is what this process saw when all was well with a credential.
type memory struct {
	view

	at  time.Time
	off bool
}

// recall decides a tick from memory. A credential that is due by what this
// process saw goes to the lease at once, where everything is read anyway; one
// that is not rests for a while. Where nothing is remembered, after a failure
// or at the start, and for requests it is neither.
func (a *attempt) recall() (due, rests bool) {
	a.mu.Lock()
	m, known := a.memory[a.provider]
	a.mu.Unlock()
	if !known || a.request != (Request{}) {
		return false, false
	}
	rests = a.began.Sub(m.at) < rest
	if m.off {
		return false, rests
	}
	a.view = m.view
	if _, done := a.decide(); !done {
		return true, false
	}
	return false, rests && !a.untold(a.began)
}

// memorize keeps what was seen, if all is well, for the next ticks.
func (a *attempt) memorize(v verdict) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.memory, a.provider)
	if v.err == nil && (v.outcome.settled() || v.outcome == Fresh || v.outcome == Off) {
		// Without its monotonic reading, which may stand still while the process is frozen.
		a.memory[a.provider] = memory{a.view, a.began.Round(0), v.outcome == Off}
	}
}
