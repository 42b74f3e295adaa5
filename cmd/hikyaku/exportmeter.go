package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"hikyaku/internal/boot/bootexport"
	"hikyaku/internal/export"
)

// A meter shows the progress of an export: one line that is written over on a
// terminal, and a line now and then elsewhere.
type meter struct {
	out       io.Writer
	live      bool
	began     time.Time
	shown     time.Time
	expected  int     // rows; 0: not known
	perSecond float64 // requests that are allowed
}

// The times between two reports.
const (
	liveEvery  = 200 * time.Millisecond
	plainEvery = 10 * time.Second
)

// newMeter learns what it can: a snapshot has about as many rows as the newest
// published one.
func newMeter(ctx context.Context, out io.Writer, direct *bootexport.Direct, d export.Dataset) *meter {
	m := &meter{out: out, began: time.Now()}
	if file, ok := out.(*os.File); ok {
		m.live = term.IsTerminal(int(file.Fd()))
	}
	if pace, err := direct.Pace(ctx, d); err == nil {
		m.perSecond = pace.PerSecond
	}
	if last, err := direct.Core.Newest(ctx, d); err == nil && last != nil && !d.Incremental {
		m.expected = last.Rows
	}
	return m
}

func (m *meter) told(p export.Progress) {
	now := time.Now()
	every := plainEvery
	if m.live {
		every = liveEvery
	}
	if now.Sub(m.shown) < every {
		return
	}
	m.shown = now
	text := m.text(p, now.Sub(m.began))
	if m.live {
		_, _ = fmt.Fprintf(m.out, "\r\x1b[K%s", text)
		return
	}
	_, _ = fmt.Fprintln(m.out, text)
}

// text is one report.
func (m *meter) text(p export.Progress, elapsed time.Duration) string {
	seconds := max(elapsed.Seconds(), 0.001)
	left := "unknown"
	if m.expected > p.Rows && p.Rows > 0 {
		left = spell(time.Duration(float64(m.expected-p.Rows) / float64(p.Rows) * float64(elapsed)))
	}
	return fmt.Sprintf("%s, %.2f MB/s, %s, %.1f of %.1f requests/s, %d refused, remaining: %s",
		count(p.Rows, "row"), float64(p.Bytes)/1e6/seconds, count(p.Pages, "page"),
		float64(p.Traffic.Requests)/seconds, m.perSecond, p.Traffic.RateLimited, left)
}

func (m *meter) end() {
	if m.live && !m.shown.IsZero() {
		_, _ = fmt.Fprintln(m.out)
	}
}
