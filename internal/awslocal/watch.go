package awslocal

import (
	"cmp"
	"encoding/xml"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	watchNamespace = "http://monitoring.amazonaws.com/doc/2010-08-01/"
	mostDimensions = 30
)

// An Alarm is what CloudWatch tells of an alarm. Nothing evaluates it here: it has the
// state that it is given.
type Alarm struct {
	Name, Description string

	State     string   // OK, ALARM or INSUFFICIENT_DATA; empty: OK
	Actions   []string // ARNs of topics
	Muted     bool     // its actions are disabled
	Composite bool
}

// A Point is one measurement, as CloudWatch keeps it.
type Point struct {
	Namespace, Metric string

	Dimensions map[string]string
	At         time.Time
	Value      float64
}

func (p Point) is(namespace, metric string, dimensions map[string]string) bool {
	return p.Namespace == namespace && p.Metric == metric && maps.Equal(p.Dimensions, dimensions)
}

// watch is what CloudWatch was told, and what it measures itself.
type watch struct {
	meter *meter

	mu     sync.Mutex
	alarms map[string]Alarm
	points []Point
}

// PutAlarm adds an alarm, or replaces the one of its name.
func (t *Told) PutAlarm(alarm Alarm) {
	t.watch.mu.Lock()
	defer t.watch.mu.Unlock()
	if t.watch.alarms == nil {
		t.watch.alarms = map[string]Alarm{}
	}
	t.watch.alarms[alarm.Name] = alarm
}

// Measure keeps a measurement. What the functions write into their logs is not read.
func (t *Told) Measure(p Point) {
	t.watch.mu.Lock()
	defer t.watch.mu.Unlock()
	t.watch.points = append(t.watch.points, p)
}

// ForgetMeasurements drops all measurements.
func (t *Told) ForgetMeasurements() {
	t.watch.mu.Lock()
	defer t.watch.mu.Unlock()
	t.watch.points = nil
}

func (c *watch) operations() map[string]queryOperation {
	statistics := []string{"Namespace", "MetricName", "StartTime", "EndTime", "Period", "Statistics.member.1"}
	for i := 1; i <= mostDimensions; i++ {
		n := "Dimensions.member." + strconv.Itoa(i)
		statistics = append(statistics, n+".Name", n+".Value")
	}
	return map[string]queryOperation{
		"DescribeAlarms":      {[]string{"AlarmNamePrefix", "AlarmTypes.member.1", "AlarmTypes.member.2"}, c.describe},
		"GetMetricStatistics": {statistics, c.statistics},
	}
}

type alarmMember struct {
	Name        string   `xml:"AlarmName"`
	ARN         string   `xml:"AlarmArn"`
	Description string   `xml:"AlarmDescription"`
	Enabled     bool     `xml:"ActionsEnabled"`
	Actions     []string `xml:"AlarmActions>member"`
	State       string   `xml:"StateValue"`
}

type alarmList struct {
	XMLName    xml.Name      `xml:"DescribeAlarmsResponse"`
	Namespace  string        `xml:"xmlns,attr"`
	Metrics    []alarmMember `xml:"DescribeAlarmsResult>MetricAlarms>member"`
	Composites []alarmMember `xml:"DescribeAlarmsResult>CompositeAlarms>member"`
	RequestID  string        `xml:"ResponseMetadata>RequestId"`
}

func (c *watch) describe(w http.ResponseWriter, r *http.Request) (any, error) {
	types := []string{r.FormValue("AlarmTypes.member.1"), r.FormValue("AlarmTypes.member.2")}
	answer := alarmList{Namespace: watchNamespace, RequestID: requestID(w)}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(c.alarms)) {
		alarm := c.alarms[name]
		if !strings.HasPrefix(name, r.FormValue("AlarmNamePrefix")) {
			continue
		}
		member := alarmMember{name, arn("cloudwatch", "alarm:"+name), alarm.Description, !alarm.Muted, alarm.Actions, cmp.Or(alarm.State, "OK")}
		switch {
		case alarm.Composite && slices.Contains(types, "CompositeAlarm"):
			answer.Composites = append(answer.Composites, member)
		case !alarm.Composite && (slices.Contains(types, "MetricAlarm") || types[0] == ""):
			answer.Metrics = append(answer.Metrics, member)
		}
	}
	return answer, nil
}

type datapoint struct {
	At      time.Time `xml:"Timestamp"`
	Sum     *float64  `xml:"Sum"`
	Maximum *float64  `xml:"Maximum"`
}

type datapoints struct {
	XMLName   xml.Name    `xml:"GetMetricStatisticsResponse"`
	Namespace string      `xml:"xmlns,attr"`
	Label     string      `xml:"GetMetricStatisticsResult>Label"`
	Points    []datapoint `xml:"GetMetricStatisticsResult>Datapoints>member"`
	RequestID string      `xml:"ResponseMetadata>RequestId"`
}

// statistics sums up the measurements of one metric, one statistic a call.
func (c *watch) statistics(w http.ResponseWriter, r *http.Request) (any, error) {
	from, fromErr := time.Parse(time.RFC3339, r.FormValue("StartTime"))
	to, toErr := time.Parse(time.RFC3339, r.FormValue("EndTime"))
	seconds, err := strconv.Atoi(r.FormValue("Period"))
	statistic := r.FormValue("Statistics.member.1")
	switch {
	case fromErr != nil || toErr != nil || err != nil || seconds < 60 || seconds%60 != 0:
		return nil, refuse("InvalidParameterValue", "StartTime, EndTime and Period must be times and a multiple of 60 seconds")
	case statistic != "Sum" && statistic != "Maximum":
		return nil, refuse("InvalidParameterValue", "the local AWS serves the statistics Sum and Maximum, not %s", statistic)
	}
	dimensions := map[string]string{}
	for i := 1; r.Form.Has("Dimensions.member." + strconv.Itoa(i) + ".Name"); i++ {
		n := "Dimensions.member." + strconv.Itoa(i)
		dimensions[r.FormValue(n+".Name")] = r.FormValue(n + ".Value")
	}
	period, byTime := time.Duration(seconds)*time.Second, map[time.Time]float64{}
	points := c.meter.points(r.FormValue("Namespace"), r.FormValue("MetricName"), dimensions)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range append(points, c.points...) {
		at := p.At.UTC().Truncate(period)
		if !p.is(r.FormValue("Namespace"), r.FormValue("MetricName"), dimensions) || p.At.Before(from) || !p.At.Before(to) {
			continue
		}
		if before, found := byTime[at]; found && statistic == "Maximum" {
			byTime[at] = max(before, p.Value)
		} else {
			byTime[at] += p.Value
		}
	}
	answer := datapoints{Namespace: watchNamespace, Label: r.FormValue("MetricName"), RequestID: requestID(w)}
	for _, at := range slices.SortedFunc(maps.Keys(byTime), time.Time.Compare) {
		value := byTime[at]
		point := datapoint{At: at, Sum: &value}
		if statistic == "Maximum" {
			point = datapoint{At: at, Maximum: &value}
		}
		answer.Points = append(answer.Points, point)
	}
	return answer, nil
}
