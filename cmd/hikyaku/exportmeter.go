package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/lambdafn/exportfn"
	"hikyaku/internal/locale"
)

// A meter shows the progress of an export: one line that is written over on a
// terminal, and a line now and then elsewhere. It is safe for concurrent use.
type meter struct {
	out       io.Writer
	language  locale.Language
	live      *liveLine // on a terminal; nil elsewhere
	expected  int       // rows of the whole run; 0: not known
	perSecond float64   // requests that are allowed; 0: not known

	mu     sync.Mutex
	began  time.Time
	before int    // rows that earlier calls have stored
	first  sample // of the present call; rates are counted from it
	last   sample
	shown  time.Time // when the last line was printed
	line   sample    // what it showed
	stop   chan struct{}
	ended  sync.WaitGroup
}

// A sample is how far the export had come at a time.
type sample struct {
	export.Progress

	at time.Time
}

// The times between two reports.
const (
	liveEvery  = 200 * time.Millisecond
	plainFirst = 2 * time.Second // elsewhere than on a terminal; it grows to
	plainMost  = time.Minute
	// ratesAfter is how long rates are counted before they are shown: the
	// first requests wait for nobody, so that over a shorter time any rate
	// comes out.
	ratesAfter = 3 * time.Second
)

// newMeter learns what it can, and starts: a snapshot has about as many rows as
// the newest published one.
func newMeter(ctx context.Context, out io.Writer, direct *exportfn.Direct, run export.Run) *meter {
	m := &meter{out: out, language: languageOf(out), began: time.Now(), stop: make(chan struct{})}
	if f, terminal := file(out); terminal {
		m.out, m.live = f, lineOn(out, f)
	}
	if pace, err := direct.Pace(ctx, run.Dataset); err == nil {
		m.perSecond = pace.PerSecond
	}
	if last, err := direct.Core.Newest(ctx, run.Dataset); err == nil && last != nil && !run.Dataset.Incremental {
		m.expected = last.Rows
	}
	if known, err := direct.Core.Plan(ctx, run); err == nil {
		m.before = known.Rows
	}
	m.ended.Go(m.watch)
	return m
}

// watch reports while no page comes, too.
func (m *meter) watch() {
	ticks := time.NewTicker(time.Second)
	defer ticks.Stop()
	for {
		select {
		case now := <-ticks.C:
			m.report(now)
		case <-m.stop:
			return
		}
	}
}

// told takes the news of a page.
func (m *meter) told(p export.Progress) {
	now := time.Now()
	m.take(sample{p, now})
	m.report(now)
}

func (m *meter) take(s sample) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.Pages < m.last.Pages { // another call, which counts again
		m.before += m.last.Rows
		m.first = sample{}
	}
	if m.first.at.IsZero() {
		m.first = s
	}
	m.last = s
}

// report prints a line if one is due.
func (m *meter) report(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	since := now.Sub(m.began)
	if !m.shown.IsZero() {
		since = now.Sub(m.shown)
	}
	if since >= m.every(now) {
		m.print(now, locale.M(", remaining: %s", m.remaining(now)))
	}
}

// every is how long to wait for the next line: elsewhere than on a terminal
// longer and longer, and longest while there is no news.
func (m *meter) every(now time.Time) time.Duration {
	switch {
	case m.live != nil:
		return liveEvery
	case m.last == m.line:
		return plainMost
	}
	return min(max(now.Sub(m.began)/10, plainFirst), plainMost)
}

func (m *meter) print(now time.Time, rest locale.Message) {
	m.shown, m.line = now, m.last
	if m.live != nil {
		m.live.show(m.language.Sprintf("%s%s", m.text(now), rest))
		return
	}
	_, _ = fmt.Fprintln(m.out, m.language.Sprintf("%s%s", m.text(now), rest))
}

// counted is for how long rates have been counted; 0: too short to show any.
func (m *meter) counted(now time.Time) time.Duration {
	if d := now.Sub(m.first.at); d >= ratesAfter && m.last.Pages > m.first.Pages {
		return d
	}
	return 0
}

// remaining spells how long the rest takes.
func (m *meter) remaining(now time.Time) locale.Message {
	rows, taken, counted := m.before+m.last.Rows, m.last.Rows-m.first.Rows, m.counted(now)
	if counted == 0 || taken == 0 || m.expected <= rows {
		return locale.T("unknown")
	}
	return locale.M("%s", spell(time.Duration(float64(m.expected-rows)/float64(taken)*float64(counted))))
}

// text says how far the export has come.
func (m *meter) text(now time.Time) locale.Message {
	parts := []locale.Message{count(m.before+m.last.Rows, "row"), count(m.last.Pages, "page")}
	if counted := m.counted(now); m.perSecond == 0 {
		parts = append(parts, locale.M("%d requests", m.last.Traffic.Requests))
	} else if counted > 0 {
		per := func(n int64) float64 { return float64(n) / counted.Seconds() }
		// A request is counted when it begins, so that the last one may stand
		// for a time that is still to come.
		requests := min(per(m.last.Traffic.Requests-m.first.Traffic.Requests), m.perSecond)
		parts = append(parts, locale.M("%.2f MB/s", per(m.last.Bytes-m.first.Bytes)/1e6),
			locale.M("%.1f of %.1f requests/s", requests, m.perSecond))
	} else {
		parts = append(parts, locale.M("at most %.1f requests/s", m.perSecond))
	}
	parts = append(parts, locale.M("%d refused", m.last.Traffic.RateLimited))
	heard := m.began
	if m.last.at.After(heard) {
		heard = m.last.at
	}
	if silent := now.Sub(heard); silent >= plainMost {
		parts = append(parts, locale.M("no page for %s", spell(silent)))
	}
	return locale.Join(parts, ", ")
}

// end stops the meter and shows how far it came.
func (m *meter) end() {
	close(m.stop)
	m.ended.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.last.at.IsZero() { // also after the same, which said that something remains
		m.print(time.Now(), locale.T(""))
	}
	if m.live != nil && !m.shown.IsZero() {
		_, _ = fmt.Fprintln(m.out)
	}
}
