package schedule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A cron is the six fields of an expression.
type cron struct {
	minute, hour, month, year set
	dayOfMonth                dayOfMonth
	dayOfWeek                 dayOfWeek
}

// A set is the values that a field admits; nil: all.
type set []int

func (s set) has(n int) bool { return s == nil || slices.Contains(s, n) }

// dayOfMonth is the third field.
type dayOfMonth struct {
	set

	last    bool // L
	weekday int  // 15W: the weekday that is nearest to the 15th; -1: LW, the last weekday
}

// dayOfWeek is the fifth field; Sunday is 1.
type dayOfWeek struct {
	set

	day, nth int // 6#3: the third Friday; 6L: nth is -1, the last one; 0: neither
}

var (
	months = []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
	days   = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
)

const firstYear, lastYear = 1970, 2199

func parseCron(text string) (*cron, error) {
	fields := strings.Fields(strings.ToUpper(text))
	if len(fields) != 6 {
		return nil, fmt.Errorf("expected the six fields minutes, hours, day of month, month, day of week and year")
	}
	if (fields[2] == "?") == (fields[4] == "?") {
		return nil, fmt.Errorf("expected ? as the day of month or as the day of week, and not as both")
	}
	c := &cron{}
	var faults [6]error
	c.minute, faults[0] = parseSet(fields[0], 0, 59, nil)
	c.hour, faults[1] = parseSet(fields[1], 0, 23, nil)
	c.dayOfMonth, faults[2] = parseDayOfMonth(fields[2])
	c.month, faults[3] = parseSet(fields[3], 1, 12, months)
	c.dayOfWeek, faults[4] = parseDayOfWeek(fields[4])
	c.year, faults[5] = parseSet(fields[5], firstYear, lastYear, nil)
	for i, fault := range faults {
		if fault != nil {
			return nil, fmt.Errorf("field %d: %w", i+1, fault)
		}
	}
	return c, nil
}

// parseSet reads values, ranges and steps, separated by commas.
func parseSet(field string, low, high int, names []string) (set, error) {
	if field == "*" || field == "?" {
		return nil, nil
	}
	var all set
	for part := range strings.SplitSeq(field, ",") {
		span, step, stepped := strings.Cut(part, "/")
		from, to, ranged := strings.Cut(span, "-")
		first, last, by := low, high, 1
		var err error
		if span != "*" {
			if first, err = parseValue(from, low, high, names); err == nil && ranged {
				last, err = parseValue(to, low, high, names)
			}
		}
		if !ranged && !stepped && span != "*" {
			last = first
		}
		if stepped && err == nil {
			by, err = strconv.Atoi(step)
		}
		if err != nil || by < 1 {
			return nil, fmt.Errorf("%q is none of %d to %d, a range of them or a step", part, low, high)
		}
		if last < first { // it goes around, as FRI-MON
			last += high - low + 1
		}
		for n := first; n <= last; n += by {
			all = append(all, low+(n-low)%(high-low+1))
		}
	}
	return all, nil
}

func parseValue(text string, low, high int, names []string) (int, error) {
	if i := slices.Index(names, text); i >= 0 {
		return low + i, nil
	}
	n, err := strconv.Atoi(text)
	if err == nil && (n < low || n > high) {
		err = strconv.ErrRange
	}
	return n, err
}

func parseDayOfMonth(field string) (d dayOfMonth, err error) {
	switch near, isNear := strings.CutSuffix(field, "W"); {
	case field == "L":
		d.last = true
	case field == "LW":
		d.weekday = -1
	case isNear:
		d.weekday, err = parseValue(near, 1, 31, nil)
		if err != nil {
			err = fmt.Errorf("%q is no day of a month before W", near)
		}
	default:
		d.set, err = parseSet(field, 1, 31, nil)
	}
	return d, err
}

func parseDayOfWeek(field string) (d dayOfWeek, err error) {
	day, nth, isNth := strings.Cut(field, "#")
	last, isLast := strings.CutSuffix(field, "L")
	switch {
	case field == "L":
		d.set = set{7}
	case isNth:
		if d.day, err = parseValue(day, 1, 7, days); err == nil {
			d.nth, err = parseValue(nth, 1, 5, nil)
		}
	case isLast:
		d.nth = -1
		d.day, err = parseValue(last, 1, 7, days)
	default:
		d.set, err = parseSet(field, 1, 7, days)
	}
	if err != nil {
		err = fmt.Errorf("%q is no day of the week", field)
	}
	return d, err
}

func (d dayOfMonth) admits(t time.Time) bool {
	end := t.AddDate(0, 1, -t.Day()).Day()
	switch {
	case d.last:
		return t.Day() == end
	case d.weekday == -1:
		return t.Day() == nearest(t, end, end)
	case d.weekday > 0:
		return d.weekday <= end && t.Day() == nearest(t, d.weekday, end)
	}
	return d.has(t.Day())
}

// nearest is the weekday of t's month that is nearest to a day.
func nearest(t time.Time, day, end int) int {
	switch t.AddDate(0, 0, day-t.Day()).Weekday() { //nolint:exhaustive // the others are weekdays
	case time.Saturday:
		if day == 1 {
			return 3
		}
		return day - 1
	case time.Sunday:
		if day == end {
			return day - 2
		}
		return day + 1
	}
	return day
}

func (d dayOfWeek) admits(t time.Time) bool {
	day := int(t.Weekday()) + 1
	switch {
	case d.nth > 0:
		return day == d.day && (t.Day()-1)/7+1 == d.nth
	case d.nth < 0:
		return day == d.day && t.AddDate(0, 0, 7).Month() != t.Month()
	}
	return d.has(day)
}

// after looks day by day. A time that a change to summer time leaves out fires when the
// clocks have gone on, and one that comes twice fires once, as the service has it.
func (c *cron) after(t time.Time, zone *time.Location) (time.Time, bool) {
	t = t.In(zone)
	for day := time.Date(t.Year(), t.Month(), t.Day(), 12, 0, 0, 0, zone); day.Year() <= lastYear; day = day.AddDate(0, 0, 1) {
		if !c.year.has(day.Year()) {
			day = time.Date(day.Year(), time.December, 31, 12, 0, 0, 0, zone)
			continue
		}
		if !c.month.has(int(day.Month())) || !c.dayOfMonth.admits(day) || !c.dayOfWeek.admits(day) {
			continue
		}
		for hour := range 24 {
			if !c.hour.has(hour) {
				continue
			}
			for minute := range 60 {
				at := time.Date(day.Year(), day.Month(), day.Day(), hour, minute, 0, 0, zone)
				if c.minute.has(minute) && at.After(t) {
					return at, true
				}
			}
		}
	}
	return time.Time{}, false
}
