package cloudwatchtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/prove"
)

// points reads periods as the guide writes them, the newest on the right: 0 is good, X
// breaches, - is missing.
func points(text string) (seen []observed) {
	fields := strings.Fields(text)
	for age := 1; age <= len(fields); age++ {
		if point := fields[len(fields)-age]; point != "-" {
			seen = append(seen, observed{age, point == "X"})
		}
	}
	return seen
}

// The tables of "How alarm state is evaluated when data is missing" and of "Avoiding
// premature transitions to alarm state" in the Amazon CloudWatch User Guide: three
// evaluation periods, an evaluation range of five.
func TestJudge_AsTheGuidesTables(t *testing.T) {
	t.Parallel()
	const retained = State("as before")
	all := func(s State) [4]State { return [4]State{s, s, s, s} }
	for _, row := range []struct {
		points   string
		toAlarm  int
		expected [4]State // missing, ignore, breaching, notBreaching
	}{
		{"0 - X - X", 3, all(OK)},
		{"0 - - - -", 3, all(OK)},
		{"- - - - -", 3, [4]State{InsufficientData, retained, Alarm, OK}},
		{"0 X X - X", 3, all(Alarm)},
		{"- - X - -", 3, [4]State{Alarm, retained, Alarm, OK}},
		{"0 - X - X", 2, all(Alarm)},
		{"0 0 X 0 X", 2, all(Alarm)},
		{"0 - X - -", 2, [4]State{OK, OK, Alarm, OK}},
		{"- - - - 0", 2, [4]State{OK, OK, Alarm, OK}},
		{"- - - X -", 2, [4]State{Alarm, retained, Alarm, OK}},
		{"- - - - X", 3, [4]State{InsufficientData, retained, Alarm, OK}}, // the first as an older edition has it
		{"- - - X -", 3, [4]State{InsufficientData, retained, Alarm, OK}},
		{"- - - X 0", 3, all(OK)},
		{"X X X X 0", 3, all(OK)},
		{"X X X 0 X", 1, all(Alarm)},
	} {
		for i, missing := range []string{"missing", "ignore", "breaching", "notBreaching"} {
			if got := judge(points(row.points), 3, row.toAlarm, missing, retained); got != row.expected[i] {
				t.Errorf("%s, %d of 3, %s: %s, want %s", row.points, row.toAlarm, missing, got, row.expected[i])
			}
		}
	}
}

// Where one period is evaluated, the newest that has data decides, as long as it lies
// in the evaluation range.
func TestJudge_OnePeriod(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]State{ // notBreaching, missing
		"- - X": {Alarm, Alarm}, "X - -": {Alarm, Alarm}, "X 0 -": {OK, OK}, "- - -": {OK, InsufficientData},
	} {
		for i, missing := range []string{"notBreaching", "missing"} {
			if got := judge(points(text), 1, 1, missing, "as before"); got != want[i] {
				t.Errorf("%s, %s: %s, want %s", text, missing, got, want[i])
			}
		}
	}
}

func TestStatistics(t *testing.T) {
	t.Parallel()
	var hundred []float64
	for n := 100; n > 0; n-- {
		hundred = append(hundred, float64(n))
	}
	for name, want := range map[string]float64{"Sum": 5050, "Minimum": 1, "Maximum": 100, "p95": 95, "p50": 50, "p100": 100, "p99.9": 100} {
		if got := statistics(name)(hundred); got != want {
			t.Errorf("%s of 1 to 100 is %g, want %g", name, got, want)
		}
	}
	for _, name := range []string{"", "p", "p0", "p101", "tm90", "Total"} {
		if statistics(name) != nil {
			t.Errorf("there is a statistic %q", name)
		}
	}
}

var start = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

// Each minute the periods that end there are looked at: they slide.
func TestState_PeriodsSlide(t *testing.T) {
	t.Parallel()
	var m metrics
	m.Put(start.Add(3*time.Minute+59*time.Second), "N", "M", 1, nil)
	a := &alarm{period: 5 * time.Minute, periods: 1, points: 1, missing: "notBreaching", breaches: func(v float64) bool { return v > 0 }}
	a.value = func(m *metrics, from, to time.Time) (float64, bool) { return m.statistic("N M", "Sum", from, to) }
	for minute := range 25 {
		want := OK
		if minute > 3 && minute <= 3+3*5 { // seen in its own period and in two further ones
			want = Alarm
		}
		if got := a.state(&m, 2, start.Add(time.Duration(minute)*time.Minute), OK); got != want {
			t.Errorf("minute %d: %s, want %s", minute, got, want)
		}
	}
}

// stackOf is a stack of a template that has no more than these resources.
func stackOf(resources map[string]any) Stack {
	return Stack{"one", prove.Template{"Resources": resources, "Parameters": map[string]any{"Limit": map[string]any{"Default": "7"}}}}
}

func TestExpression_MissingIsZero(t *testing.T) {
	t.Parallel()
	query := func(id string) any {
		return map[string]any{"Id": id, "ReturnData": "false", "MetricStat": map[string]any{
			"Metric": map[string]any{"Namespace": "N", "MetricName": id}, "Stat": "Sum", "Period": "60",
		}}
	}
	var m metrics
	m.Put(start, "N", "a", 5, nil)
	m.Put(start.Add(time.Minute), "N", "b", 3, nil)
	for written, want := range map[string][3]string{
		"a - b": {"5", "-3", "none"}, "FILL(a, 9) - b": {"5", "6", "9"}, "(a + b) * 2": {"10", "6", "0"}, "a": {"5", "none", "none"},
	} {
		value, period, err := stackOf(nil).expression([]any{query("a"), query("b"), map[string]any{"Id": "e", "Expression": written}})
		if err != nil || period != time.Minute {
			t.Fatal(written, period, err)
		}
		for i := range want {
			got := "none"
			if v, ok := value(&m, start.Add(time.Duration(i)*time.Minute), start.Add(time.Duration(i+1)*time.Minute)); ok {
				got = fmt.Sprint(v)
			}
			if got != want[i] {
				t.Errorf("%s in minute %d: %s, want %s", written, i, got, want[i])
			}
		}
	}
	for _, written := range []string{"AVG(a)", "a / b", "c - a", "a -"} {
		if _, _, err := stackOf(nil).expression([]any{query("a"), query("b"), map[string]any{"Id": "e", "Expression": written}}); err == nil {
			t.Errorf("%s is taken, though nothing here knows it", written)
		}
	}
}

func TestRule(t *testing.T) {
	t.Parallel()
	s := stackOf(map[string]any{"A": map[string]any{}, "B": map[string]any{}})
	states := map[string]State{"one-A": Alarm, "one-B": InsufficientData}
	for written, want := range map[string]bool{
		`ALARM("one-A")`: true, `OK("one-A")`: false, `INSUFFICIENT_DATA("one-B")`: true, `ALARM("one-A") AND OK("one-B")`: false,
		`ALARM("one-A") OR OK("one-B")`: true, `NOT OK("one-B") AND (OK("one-A") OR ALARM("one-A"))`: true,
	} {
		holds, err := s.rule(written)
		if err != nil || holds(states) != want {
			t.Errorf("%s is %v, %v", written, !want, err)
		}
	}
	for _, written := range []string{`ALARM("one-C")`, `BROKEN("one-A")`, `ALARM("one-A"`, "A"} {
		if _, err := s.rule(written); err == nil {
			t.Errorf("%s is taken for a rule", written)
		}
	}
}

// What an alarm of the template may hold is known here, or the test fails.
func TestAlarm_RefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	good := map[string]string{
		"Namespace": "N", "MetricName": "M", "Statistic": "Sum", "Period": "60", "EvaluationPeriods": "1",
		"ComparisonOperator": "GreaterThanThreshold", "Threshold": "0", "TreatMissingData": "ignore",
	}
	read := func(change map[string]any) error {
		properties := map[string]any{}
		for name, v := range good {
			properties[name] = v
		}
		for name, v := range change {
			properties[name] = v
		}
		_, err := stackOf(map[string]any{"A": map[string]any{"Properties": properties}}).alarm("A")
		return err
	}
	for _, change := range []map[string]any{nil, {"Threshold": map[string]any{"Ref": "Limit"}}, {"Dimensions": []any{map[string]any{"Name": "stack", "Value": map[string]any{"Ref": "AWS::StackName"}}}}} {
		if err := read(change); err != nil {
			t.Errorf("%v: %v", change, err)
		}
	}
	for _, change := range []map[string]any{
		{"ActionsSuppressor": "x"}, {"Statistic": "tm90"}, {"Period": "30"}, {"Period": "x"}, {"EvaluationPeriods": "x"}, {"Threshold": "x"},
		{"ComparisonOperator": "LessThanLowerThreshold"}, {"TreatMissingData": "sometimes"}, {"Threshold": map[string]any{"Ref": "Nobody"}},
		{"Dimensions": []any{map[string]any{"Name": "stack", "Value": map[string]any{"ImportValue": "x"}}}},
	} {
		if read(change) == nil {
			t.Errorf("%v is taken", change)
		}
	}
}

// A line that Lambda would take for another level, or leave out, measures nothing.
func TestLog_ReadsAsLambdaDoes(t *testing.T) {
	t.Parallel()
	const measured = `{"level":"FATAL","timestamp":"2026-11-22T00:00:00.5Z","message":"metric","Rows":3,"stack":"one","_aws":{"Timestamp":1795305600500,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["stack"],[]],"Metrics":[{"Name":"Rows","Unit":"Count"}]}]}}`
	for line, faulty := range map[string]bool{
		measured: false,
		strings.Replace(measured, `"level":"FATAL",`, "", 1):                   true,
		strings.Replace(measured, "FATAL", "fatal", 1):                         true,
		strings.Replace(measured, "2026-11-22T", "22 Nov ", 1):                 true,
		strings.Replace(measured, `"message":"metric",`, "", 1):                true,
		strings.Replace(measured, `"Rows":3`, `"Rows":"three"`, 1):             true,
		strings.Replace(measured, `"stack":"one"`, `"stacks":"one"`, 1):        true,
		strings.Replace(measured, "FATAL", "DEBUG", 1):                         false, // left out
		`{"level":"INFO","timestamp":"2026-11-22T00:00:00Z","message":"text"}`: false,
		"panic: a fault": true,
	} {
		var m metrics
		_, _ = m.Log("INFO").Write([]byte(line))
		if got := m.Faults(); (len(got) > 0) != faulty {
			t.Errorf("%s: faults %v", line, got)
		}
		_, ok := m.statistic(`N Rows stack="one"`, "Sum", start, start.Add(time.Minute))
		_, all := m.statistic("N Rows", "Sum", start, start.Add(time.Minute))
		if want := line == measured; ok != want || all != want {
			t.Errorf("%s: measured %t and %t, want %t", line, ok, all, want)
		}
	}
}
