package protocol_test

import (
	"strings"
	"testing"
	"time"

	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
)

func TestParseWindow_NamesWhatItFound(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"22-06 Asia/Tokyo":          `"22-06" is not`,
		"22:00-06:0 Asia/Tokyo":     `"22:00-06:0" is not`,
		"22:00-6:00 Asia/Tokyo":     `"22:00-6:00" is not`,
		"22:00 Asia/Tokyo":          `"22:00" is not`,
		"24:00-06:00 Asia/Tokyo":    `"24:00-06:00" is not`,
		"22:60-06:00 Asia/Tokyo":    `"22:60-06:00" is not`,
		"22:00-06:60 Asia/Tokyo":    `"22:00-06:60" is not`,
		"+2:00-06:00 Asia/Tokyo":    `"+2:00-06:00" is not`,
		"22:+0-06:00 Asia/Tokyo":    `"22:+0-06:00" is not`,
		"22:00-06:00-08:00 UTC":     `"22:00-06:00-08:00" is not`,
		" 22:00-06:00 UTC":          `"" is not`,
		"22:00-06:00":               `"" is not an IANA`,
		"22:00-06:00 ":              `"" is not an IANA`,
		"22:00-06:00  UTC":          `" UTC" is not an IANA`,
		"22:00-06:00 Local":         `"Local" is not an IANA`,
		"22:00-06:00 JST":           `"JST" is not an IANA`,
		"22:00-06:00 Asia/Nowhere":  `"Asia/Nowhere" is not an IANA`,
		"22:00-06:00 ../etc/passwd": "is not an IANA",
		"22:00-22:00 Asia/Tokyo":    "begins when it ends",
	} {
		w, err := protocol.ParseWindow(text)
		if err == nil || !strings.Contains(err.Error(), want) || w != (protocol.Window{}) {
			t.Errorf("%q: %v, %v; want %q", text, w, err, want)
		}
	}
	if w, err := protocol.ParseWindow(""); err != nil || w != (protocol.Window{}) {
		t.Errorf("nothing: %v, %v", w, err)
	}
}

// dueAt finds the minute in which a token that was obtained at a time comes due.
func (s situation) dueAt(t *testing.T, window, obtained string) string {
	t.Helper()
	w, err := protocol.ParseWindow(window)
	if err != nil {
		t.Fatal(err)
	}
	begin, err := time.Parse(time.RFC3339, obtained)
	if err != nil {
		t.Fatal(err)
	}
	s.age, s.journal, s.task.Window = now.Sub(begin), probedLate, w
	due := func(at time.Time) bool { _, reason := s.looked(at); return reason == "its time has come" }
	low, high := begin, begin.Add(s.life) // due does not end before the life does
	for high.Sub(low) > time.Second {
		if middle := low.Add(high.Sub(low) / 2); due(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return high.Round(time.Minute).In(begin.Location()).Format(time.RFC3339)
}

// TestWindow_PostponesWhatIsDueForItsAge: to the window, but not into the last quarter
// of a life; a life of up to four hours waits for nothing.
func TestWindow_PostponesWhatIsDueForItsAge(t *testing.T) {
	t.Parallel()
	staff := func(life time.Duration) situation { // half of a short life, as a code's token has it
		return situation{provider: providers.AssistTencho, kind: providers.OneTimeCode, life: life}
	}
	for _, c := range []struct {
		name             string
		s                situation
		window, obtained string
		want             string
	}{
		{"always open", staff(8 * hour), "", "2026-11-22T09:00:00Z", "2026-11-22T13:00:00Z"},
		{"open when it is due", staff(8 * hour), "12:00-14:00 UTC", "2026-11-22T09:00:00Z", "2026-11-22T13:00:00Z"},
		{"opens at that minute", staff(8 * hour), "13:00-14:00 UTC", "2026-11-22T09:00:00Z", "2026-11-22T13:00:00Z"},
		{"closes at that minute", staff(8 * hour), "12:00-13:00 UTC", "2026-11-22T09:00:00Z", "2026-11-22T15:00:00Z"},
		{"opens later", staff(8 * hour), "14:30-15:00 UTC", "2026-11-22T09:00:00Z", "2026-11-22T14:30:00Z"},
		{"opens too late", staff(8 * hour), "15:01-16:00 UTC", "2026-11-22T09:00:00Z", "2026-11-22T15:00:00Z"},
		{"by the zone's clock", staff(8 * hour), "23:00-23:30 Asia/Tokyo", "2026-11-22T09:00:00Z", "2026-11-22T14:00:00Z"},
		{"crosses midnight, before", staff(12 * hour), "22:00-02:00 UTC", "2026-11-22T15:00:00Z", "2026-11-22T22:00:00Z"},
		{"crosses midnight, in it", staff(12 * hour), "22:00-02:00 UTC", "2026-11-22T18:30:00Z", "2026-11-23T00:30:00Z"},
		{"crosses midnight, over", staff(12 * hour), "22:00-02:00 UTC", "2026-11-22T20:00:00Z", "2026-11-23T05:00:00Z"},
		{"four hours", staff(4 * hour), "20:00-21:00 UTC", "2026-11-22T09:00:00Z", "2026-11-22T11:00:00Z"},
		{"more than four hours", staff(4*hour + 4*time.Minute), "12:01-13:00 UTC", "2026-11-22T09:00:00Z", "2026-11-22T12:01:00Z"},
		{"an hour that is skipped", staff(24 * hour), "02:00-03:00 America/New_York", "2026-03-08T01:00:00-05:00", "2026-03-08T19:00:00-05:00"},
		{"a window that begins in the skipped hour", staff(24 * hour), "02:30-03:30 America/New_York", "2026-03-07T14:00:00-05:00", "2026-03-08T02:00:00-05:00"},
		{"the second time of an hour that comes twice", staff(8 * hour), "01:30-02:00 America/New_York", "2026-10-31T22:00:00-04:00", "2026-11-01T02:30:00-04:00"},
		{"after a night with an hour more", staff(24 * hour), "22:00-23:00 America/New_York", "2026-11-01T01:00:00-04:00", "2026-11-01T19:00:00-04:00"},
		{"due with its last quarter", situation{provider: providers.SHOPLINE, kind: providers.OneTimePair, life: 120 * day}, "02:00-04:00 UTC", "2026-06-01T09:00:00Z", "2026-08-30T09:00:00Z"},
		{"a minute of the day's last hour", staff(8 * hour), "14:59-15:00 UTC", "2026-11-22T09:00:00Z", "2026-11-22T14:59:00Z"},
		{"SHOPLINE app", situation{provider: providers.SHOPLINE, kind: providers.OneTimePair, life: 182 * day}, "02:00-04:00 Asia/Tokyo", "2026-06-01T09:00:00Z", "2026-10-15T17:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := c.s.dueAt(t, c.window, c.obtained); got != c.want {
				t.Errorf("due at %s, want %s", got, c.want)
			}
		})
	}
}

// TestWindow_HoldsUpNothingElse: what is forced, rejected or changed waits for no window.
func TestWindow_HoldsUpNothingElse(t *testing.T) {
	t.Parallel()
	w, err := protocol.ParseWindow("20:00-21:00 UTC")
	if err != nil {
		t.Fatal(err)
	}
	for want, s := range map[string]situation{
		"asked for by a person":    {task: protocol.Task{Request: protocol.Request{Force: true}}},
		"the provider rejected it": {task: protocol.Task{Request: protocol.Request{RejectedVersion: tokenID}}},
		"the connection changed":   {journal: func(j *protocol.Journal) { j.Connection = "connection-0" }},
		"no token yet":             {none: true},
		"the last run failed":      {journal: func(j *protocol.Journal) { j.Outcome, j.At = protocol.Failed, now.Add(-hour) }},
	} {
		s.provider, s.kind, s.life, s.age, s.task.Window = providers.Yappli, providers.ClientCredentials, day, hour, w
		if _, reason := s.looked(now); reason != want {
			t.Errorf("%q, want %q", reason, want)
		}
	}
}
