package supersaas

import "time"

// A range is asked for in the schedule's local time, without an offset. Where
// clocks are changed, such a time is not one instant: an hour comes twice, or
// is left out, and nothing documents which one the provider means. So an end
// that is near a change is moved past all that its local time could mean, and
// the range holds a few rows more rather than one too few.

// notAfter returns the local time of t, or an earlier one if it is ambiguous.
func notAfter(t time.Time) string {
	if change, size, ok := clockChange(t); ok {
		t = change.Add(-size - time.Second)
	}
	return t.Format(time.DateTime)
}

// notBefore returns the local time of t, or a later one if it is ambiguous. A
// fraction of a second counts as a whole one.
func notBefore(t time.Time) string {
	if change, size, ok := clockChange(t); ok {
		t = change.Add(size)
	} else if whole := t.Truncate(time.Second); whole.Before(t) {
		t = whole.Add(time.Second)
	}
	return t.Format(time.DateTime)
}

// clockChange returns the change of the clocks of t's zone that makes its local
// time uncertain, and by how much they are changed.
func clockChange(t time.Time) (change time.Time, size time.Duration, ok bool) {
	began, ends := t.ZoneBounds()
	for _, change := range []time.Time{began, ends} {
		if change.IsZero() {
			continue
		}
		_, before := change.Add(-time.Nanosecond).Zone()
		_, after := change.Zone()
		size := time.Duration(max(after-before, before-after)) * time.Second
		if size > 0 && !t.Before(change.Add(-size)) && t.Before(change.Add(size)) {
			return change, size, true
		}
	}
	return time.Time{}, 0, false
}
