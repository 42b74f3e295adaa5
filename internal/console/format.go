package console

import (
	"strconv"
	"strings"
	"time"
)

// time is a moment in the shop's zone, with the offset: 2026-11-22 09:30:15 +09:00.
func (s *Server) time(at time.Time) string {
	if at.IsZero() {
		return "–"
	}
	return at.In(s.options.Zone).Format("2006-01-02 15:04:05 -07:00")
}

// moment is a time that a template has, or the address of one; none is the zero time.
func moment(at any) time.Time {
	switch at := at.(type) {
	case time.Time:
		return at
	case *time.Time:
		if at != nil {
			return *at
		}
	}
	return time.Time{}
}

// duration is a time span by its greatest unit, or its two greatest.
func (s *Server) duration(lang string, d time.Duration) string {
	d = max(d, -d)
	units := []struct {
		key string
		of  time.Duration
	}{{"days", 24 * time.Hour}, {"hours", time.Hour}, {"minutes", time.Minute}, {"seconds", time.Second}, {"milliseconds", time.Millisecond}}
	for i, u := range units {
		n := d / u.of
		if n == 0 && i < len(units)-1 {
			continue
		}
		text := s.texts.say(lang, "duration."+u.key, "n", int64(n))
		if rest := d % u.of; i < 3 && n < 10 && rest >= units[i+1].of {
			text += " " + s.texts.say(lang, "duration."+units[i+1].key, "n", int64(rest/units[i+1].of))
		}
		return text
	}
	return ""
}

// ago is how long ago a moment was, or how soon it will be, on the stack's clock.
func (s *Server) ago(lang string, at time.Time) string {
	if at.IsZero() {
		return "–"
	}
	d := s.stackNow().Sub(at)
	key := "time.ago"
	if d < 0 {
		key = "time.in"
	}
	return s.texts.say(lang, key, "span", s.duration(lang, d))
}

// stackNow is the stack's clock: a development stack has one of its own.
func (s *Server) stackNow() time.Time {
	if s.options.Dev != nil {
		return s.options.Dev.State().Now
	}
	return s.options.Now()
}

// number groups the digits of a count: 1,234,567.
func number(n any) string {
	var digits string
	switch n := n.(type) {
	case int:
		digits = strconv.Itoa(n)
	case int64:
		digits = strconv.FormatInt(n, 10)
	case float64:
		return strconv.FormatFloat(n, 'f', 1, 64)
	default:
		return ""
	}
	sign := ""
	if rest, negative := strings.CutPrefix(digits, "-"); negative {
		sign, digits = "-", rest
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// size is a number of bytes in the units that files have.
func size(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	value, unit := float64(n), 0
	for value >= 1024 && unit < len(units)-1 {
		value, unit = value/1024, unit+1
	}
	if unit == 0 {
		return strconv.FormatInt(n, 10) + " B"
	}
	return strconv.FormatFloat(value, 'f', 1, 64) + " " + units[unit]
}
