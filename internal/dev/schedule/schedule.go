// Package schedule reads the expressions of EventBridge Scheduler, and says when they
// fire: rate(5 minutes), cron(30 18 * * ? *) and at(2027-01-31T09:00:00), each in a time
// zone.
//
//	e, err := schedule.Parse("cron(0 2 ? * MON-FRI *)", "Asia/Tokyo")
//	next, ok := e.After(created, now)
package schedule

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// An Expression says when a schedule fires.
type Expression struct {
	every time.Duration // of a rate
	at    time.Time     // of a single time
	cron  *cron
	zone  *time.Location
}

// Parse reads an expression. Zone is a name such as Asia/Tokyo; empty: UTC.
func Parse(expression, zone string) (Expression, error) {
	location, err := time.LoadLocation(cmp.Or(zone, "UTC"))
	if err != nil {
		return Expression{}, fmt.Errorf("schedule %s: there is no time zone %q", expression, zone)
	}
	e := Expression{zone: location}
	kind, rest, _ := strings.Cut(expression, "(")
	inner, closed := strings.CutSuffix(rest, ")")
	switch {
	case !closed:
		err = fmt.Errorf("expected rate(...), cron(...) or at(...)")
	case kind == "rate":
		e.every, err = parseRate(inner)
	case kind == "at":
		e.at, err = time.ParseInLocation("2006-01-02T15:04:05", inner, location)
	case kind == "cron":
		e.cron, err = parseCron(inner)
	default:
		err = fmt.Errorf("expected rate(...), cron(...) or at(...)")
	}
	if err != nil {
		return Expression{}, fmt.Errorf("schedule %s: %w", expression, err)
	}
	return e, nil
}

func parseRate(text string) (time.Duration, error) {
	number, unit, _ := strings.Cut(text, " ")
	n, err := strconv.Atoi(number)
	units := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}
	length, known := units[strings.TrimSuffix(unit, "s")]
	if err != nil || n < 1 || n > 1_000_000 || !known {
		return 0, fmt.Errorf("expected a rate such as 5 minutes, 1 hour or 2 days")
	}
	return time.Duration(n) * length, nil
}

// After is the first time after t at which a schedule fires that was made at created. A
// rate counts from then, and fires at once; ok is false if there is no time.
func (e Expression) After(created, t time.Time) (next time.Time, ok bool) {
	switch {
	case e.every > 0:
		if t.Before(created) {
			return created, true
		}
		return created.Add((t.Sub(created)/e.every + 1) * e.every), true
	case e.cron != nil:
		return e.cron.after(t, e.zone)
	}
	return e.at, e.at.After(t)
}
