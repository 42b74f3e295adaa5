package export

import (
	"testing"
	"time"
)

// TestWindow_ReadsEveryWayOfWritingATime: what lies in a window does, however it
// is written; what cannot be read does not, so that its record is rather taken
// twice than left out.
func TestWindow_ReadsEveryWayOfWritingATime(t *testing.T) {
	t.Parallel()
	inside := []string{
		"2026-11-22T02:00:00Z", "2026-11-22t02:00:00z", "2026-11-22T01:59:60Z", "2026-11-22T02:00:00+0000", "2026-11-22T11:00:00+09",
		"2026-11-22T11:00:00+09:00", "2026-11-22 02:00:00 UTC", "2026-11-22 02:00:00 utc", "2026-11-22 11:00:00 +0900", "2026-11-22T02:00:00 Z",
		"2026-11-22T02:00:00.123Z", "2026-11-22T02:00:00,123456789123Z", "2026-11-21T21:00:00-05:00", "2026-11-21T24:00:00-02:00",
		"2026-11-21T24:00:00.000-0200", "20261122T020000Z", "2026/11/22 02:00:00 GMT", "2026-11-22T02:00Z", "2026-11-22T020000+0000",
		" 2026-11-22T02:00:00Z ", "2026-11-22T02:00:00-00:00", "2026-11-22T07:45:00+0545",
	}
	outside := []string{
		"2026-11-22T00:59:59Z", "2026-11-22T03:00:01Z", "2026-11-22T02:00:00+09:00", "2025-11-22T02:00:00Z",
		"", "yesterday", "2026-11-22", "2026-11-22T02:00:00", "2026-11-22T02:00:61Z", "2026-11-22T24:00:01Z", "2026-11-22T25:00:00Z",
		"2026-02-30T02:00:00Z", "2026-13-22T02:00:00Z", "2026-11-00T02:00:00Z", "2026-11-22T02:60:00Z", "2026-11-22T02:00:00.Z",
		"2026-11-22T02:00:00+9", "2026-11-22T02:00:00+09:", "2026-11-22T02:00:00+0960", "2026-11-22T02:00:00 JST", "2026-11-22T02:00:00Z!",
		"26-11-22T02:00:00Z", "2026-11/22T02:00:00Z", "2026-11-22T2:00:00Z", "1795312800",
	}
	at := func(hour int) time.Time { return time.Date(2026, 11, 22, hour, 0, 0, 0, time.UTC) }
	for _, open := range []bool{false, true} {
		w := Window{From: at(1), To: at(3)}
		if open {
			w.To = time.Time{}
		}
		for _, form := range inside {
			if !w.contains([]byte(form)) {
				t.Errorf("%+v does not contain %q", w, form)
			}
		}
		for _, form := range outside {
			if w.contains([]byte(form)) && !open {
				t.Errorf("%+v contains %q", w, form)
			}
		}
	}
	ends := Window{From: at(2), To: at(2)}
	for form, in := range map[string]bool{
		"2026-11-22T02:00:00Z": true, "2026-11-22T01:59:60Z": true, "2026-11-22T02:00:00.001Z": false, "2026-11-22T01:59:59.999Z": false,
	} {
		if ends.contains([]byte(form)) != in {
			t.Errorf("both ends belong to a window, to the second: %q", form)
		}
	}
}
