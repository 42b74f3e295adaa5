package cloudwatchtest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// An alarm is one on a metric, or on an expression of several.
type alarm struct {
	value    func(of *metrics, from, to time.Time) (float64, bool) // of a period
	period   time.Duration
	periods  int // N
	points   int // M of them
	breaches func(value float64) bool
	missing  string
}

// known are the properties that an alarm may have here; those without an effect on its
// state are false.
var known = map[string]bool{
	"AlarmDescription": false, "AlarmActions": false, "OKActions": false,
	"Namespace": true, "MetricName": true, "Dimensions": true, "Statistic": true, "ExtendedStatistic": true, "Period": true, "Metrics": true,
	"EvaluationPeriods": true, "DatapointsToAlarm": true, "ComparisonOperator": true, "Threshold": true, "TreatMissingData": true,
}

// comparisons by their names in the template.
var comparisons = map[string]func(value, threshold float64) bool{
	"GreaterThanThreshold":          func(v, t float64) bool { return v > t },
	"GreaterThanOrEqualToThreshold": func(v, t float64) bool { return v >= t },
	"LessThanThreshold":             func(v, t float64) bool { return v < t },
	"LessThanOrEqualToThreshold":    func(v, t float64) bool { return v <= t },
}

// alarm reads an alarm of the template.
func (s Stack) alarm(resource string) (*alarm, error) {
	properties, _ := s.template.At("Resources", resource, "Properties").(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if _, is := known[name]; !is {
			return nil, fmt.Errorf("a property %s, which this test does not know", name)
		}
	}
	var faults []error
	number := func(name, otherwise string) int {
		text := otherwise
		if v := properties[name]; v != nil {
			var err error
			text, err = s.Resolve(v)
			faults = append(faults, err)
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
		}
		return n
	}
	a := &alarm{periods: number("EvaluationPeriods", ""), missing: cmp.Or(text(properties["TreatMissingData"]), "missing")}
	a.points = number("DatapointsToAlarm", strconv.Itoa(a.periods))
	threshold, compare := float64(number("Threshold", "")), comparisons[text(properties["ComparisonOperator"])]
	if compare == nil || !slices.Contains([]string{"missing", "ignore", "breaching", "notBreaching"}, a.missing) {
		faults = append(faults, errors.New("a comparison, or a way to treat missing data, that this test does not know"))
	}
	a.breaches = func(value float64) bool { return compare(value, threshold) }
	var err error
	if queries, several := properties["Metrics"].([]any); several {
		a.value, a.period, err = s.expression(queries)
	} else {
		a.value, a.period, err = s.metric(properties, cmp.Or(text(properties["Statistic"]), text(properties["ExtendedStatistic"])))
	}
	return a, errors.Join(append(faults, err)...)
}

// text is a scalar of the template; empty if it is not there.
func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// metric reads a metric with its statistic and period. of holds Namespace, MetricName,
// Dimensions and, but for queries, Period.
func (s Stack) metric(of map[string]any, statistic string) (func(*metrics, time.Time, time.Time) (float64, bool), time.Duration, error) {
	dimensions := map[string]string{}
	list, _ := of["Dimensions"].([]any)
	for _, each := range list {
		d, _ := each.(map[string]any)
		value, err := s.Resolve(d["Value"])
		if err != nil {
			return nil, 0, err
		}
		dimensions[text(d["Name"])] = value
	}
	seconds, err := strconv.Atoi(text(of["Period"]))
	if err == nil && seconds%60 != 0 {
		err = fmt.Errorf("a period of %d s is not one of whole minutes", seconds)
	}
	if statistics(statistic) == nil {
		err = errors.Join(err, fmt.Errorf("a statistic %q, which this test does not know", statistic))
	}
	name := metricName(text(of["Namespace"]), text(of["MetricName"]), dimensions)
	return func(m *metrics, from, to time.Time) (float64, bool) { return m.statistic(name, statistic, from, to) }, time.Duration(seconds) * time.Second, err
}

// state is the alarm's at the end of a minute. Each minute it looks at periods that
// end there; see "Evaluating an alarm" in CloudWatch's user guide.
func (a *alarm) state(of *metrics, extra int, now time.Time, before State) State {
	var seen []observed
	for age := 1; age <= a.periods+extra; age++ {
		to := now.Add(-time.Duration(age-1) * a.period)
		if value, ok := a.value(of, to.Add(-a.period), to); ok {
			seen = append(seen, observed{age, a.breaches(value)})
		}
	}
	return judge(seen, a.periods, a.points, a.missing, before)
}

// An observed is a period that has data.
type observed struct {
	age    int // periods: 1 is the newest
	breach bool
}

// judge is how CloudWatch evaluates the periods of an alarm's evaluation range that
// have data, the newest first; see "How alarm state is evaluated when data is missing".
func judge(seen []observed, periods, points int, missing string, before State) State {
	if len(seen) > periods {
		seen = seen[:periods] // older ones only stand for missing ones
	}
	breaching, filled := 0, periods-len(seen)
	for _, o := range seen {
		if o.breach {
			breaching++
		}
	}
	good := breaching < len(seen)
	switch {
	case missing == "breaching" && breaching+filled >= points, breaching >= points:
		return Alarm
	case filled == 0 || missing == "breaching" || missing == "notBreaching" || good:
		return OK
	case missing == "ignore":
		return before
	// Nothing but breaching points, too few of them: premature, unless the oldest was
	// given the time for others to follow.
	case len(seen) > 0 && seen[len(seen)-1].age >= points:
		return Alarm
	}
	return InsufficientData
}
