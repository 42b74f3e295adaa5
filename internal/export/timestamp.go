package export

import (
	"strings"
	"time"
)

// readTime reads a point in time as providers write it: RFC 3339 and its
// relatives of ISO 8601, with either case of the letters, a space between the
// halves or before the zone, a leap second, midnight as 24:00, a fraction after a
// point or a comma, and a zone in any of its spellings. A time without a zone is
// no point in time.
func readTime(s string) (time.Time, bool) {
	r := timeReader{rest: strings.TrimSpace(s)}
	year, month, day := r.date()
	r.separator()
	hour, minute, second, nanos := r.clock()
	offset := r.zone()
	if r.bad || r.rest != "" {
		return time.Time{}, false
	}
	first := time.Date(year, time.Month(month), 1, 0, 0, 0, 0, time.UTC)
	midnight := first.AddDate(0, 0, day-1)
	if month < 1 || month > 12 || day < 1 || midnight.Month() != first.Month() {
		return time.Time{}, false
	}
	return midnight.Add(time.Duration(hour*3600+minute*60+second-offset)*time.Second + time.Duration(nanos)), true
}

// A timeReader reads a time from its beginning.
type timeReader struct {
	rest string
	bad  bool
}

// digits reads so many digits.
func (r *timeReader) digits(n int) int {
	if len(r.rest) < n {
		r.bad = true
		return 0
	}
	value := 0
	for _, c := range []byte(r.rest[:n]) {
		if c < '0' || c > '9' {
			r.bad = true
			return 0
		}
		value = 10*value + int(c-'0')
	}
	r.rest = r.rest[n:]
	return value
}

// one reads one of the characters of set, if it comes next.
func (r *timeReader) one(set string) bool {
	if r.bad || r.rest == "" || strings.IndexByte(set, r.rest[0]) < 0 {
		return false
	}
	r.rest = r.rest[1:]
	return true
}

// date reads 2026-11-22, 2026/11/22 or 20261122.
func (r *timeReader) date() (year, month, day int) {
	year = r.digits(4)
	for _, sign := range []string{"-", "/"} {
		if r.one(sign) {
			month = r.digits(2)
			r.bad = r.bad || !r.one(sign)
			return year, month, r.digits(2)
		}
	}
	return year, r.digits(2), r.digits(2)
}

func (r *timeReader) separator() {
	if !r.one("Tt") && !r.one(" ") {
		r.bad = true
	}
}

// clock reads 02:00:00, 02:00 or 020000, with a fraction of the second.
func (r *timeReader) clock() (hour, minute, second, nanos int) {
	hour = r.digits(2)
	colon := r.one(":")
	minute = r.digits(2)
	if colon && r.one(":") || !colon && r.rest != "" && r.rest[0] >= '0' && r.rest[0] <= '9' {
		second = r.digits(2)
		if r.one(".,") {
			nanos = r.fraction()
		}
	}
	if hour > 24 || minute > 59 || second > 60 || hour == 24 && (minute > 0 || second > 0 || nanos > 0) {
		r.bad = true
	}
	return hour, minute, second, nanos
}

// fraction reads the digits of a fraction of a second, those beyond
// nanoseconds for nothing.
func (r *timeReader) fraction() (nanos int) {
	n := 0
	for ; n < len(r.rest) && r.rest[n] >= '0' && r.rest[n] <= '9'; n++ {
		if n < 9 {
			nanos = 10*nanos + int(r.rest[n]-'0')
		}
	}
	r.bad = r.bad || n == 0
	r.rest = r.rest[n:]
	for ; n < 9; n++ {
		nanos *= 10
	}
	return nanos
}

// zone reads Z, UTC, GMT, or an offset such as +09:00, +0900 or +09, and
// returns its seconds east of Greenwich.
func (r *timeReader) zone() int {
	r.rest = strings.TrimLeft(r.rest, " ")
	switch strings.ToUpper(r.rest) {
	case "Z", "UTC", "GMT", "UT":
		r.rest = ""
		return 0
	}
	east := r.one("+")
	if !east && !r.one("-") {
		r.bad = true
		return 0
	}
	hours, minutes := r.digits(2), 0
	if r.one(":") || r.rest != "" {
		minutes = r.digits(2)
	}
	if hours > 18 || minutes > 59 {
		r.bad = true
	}
	seconds := hours*3600 + minutes*60
	if !east {
		seconds = -seconds
	}
	return seconds
}
