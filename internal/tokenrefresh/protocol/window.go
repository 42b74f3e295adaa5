package protocol

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a function's image has no zone data
)

// A Window is the hours of a day in which credentials that are due for their age are
// replaced. The zero Window is always open.
type Window struct {
	from, to int // minutes of the local day; to is outside, and before from if the window crosses midnight
	zone     *time.Location
}

// ParseWindow reads hours with an IANA zone, such as "22:00-06:00 Asia/Tokyo". An empty
// text is the zero Window.
func ParseWindow(text string) (Window, error) {
	if text == "" {
		return Window{}, nil
	}
	hours, name, _ := strings.Cut(text, " ")
	first, last, _ := strings.Cut(hours, "-")
	from, fromErr := minuteOf(first)
	to, toErr := minuteOf(last)
	var w Window
	zone, zoneErr := time.LoadLocation(name)
	if name == "" || name == "Local" {
		zoneErr = errors.New("no zone")
	}
	switch {
	case fromErr != nil || toErr != nil:
		return w, fmt.Errorf("%q: %q is not the first and the last minute of a day's hours; expected such as 22:00-06:00 Asia/Tokyo", text, hours)
	case zoneErr != nil:
		return w, fmt.Errorf("%q: %q is not an IANA time zone; expected such as 22:00-06:00 Asia/Tokyo", text, name)
	case from == to:
		return w, fmt.Errorf("%q begins when it ends; for the whole day leave it empty", text)
	}
	return Window{from, to, zone}, nil
}

// minuteOf reads "22:00". Hours and minutes have two digits.
func minuteOf(text string) (int, error) {
	at, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("22:00") { // Parse takes an hour of one digit, too
		return 0, errors.New("no time of the day")
	}
	return at.Hour()*60 + at.Minute(), nil
}

// open reports whether t is in the window, by the clock on the wall: an hour that is
// skipped there is in no window, and one that comes twice is in it twice.
func (w Window) open(t time.Time) bool {
	if w.zone == nil {
		return true
	}
	hour, minute, _ := t.In(w.zone).Clock()
	now := hour*60 + minute
	if w.from < w.to {
		return w.from <= now && now < w.to
	}
	return w.from <= now || now < w.to
}

// next is the first moment in the window at or after t, but latest if the window is
// closed until then.
func (w Window) next(t, latest time.Time) time.Time {
	for ; t.Before(latest); t = t.Truncate(time.Minute).Add(time.Minute) {
		if w.open(t) {
			return t
		}
	}
	return latest
}
