package cloudwatchtest

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// metrics are all of an account. The zero value is ready for use, by several
// goroutines too.
type metrics struct {
	mu       sync.Mutex
	byName   map[string][]point // sorted by time
	unlikely []string           // faults of log lines
}

// A point is what was measured in a minute, as of its begin.
type point struct {
	at    time.Time
	value float64
}

// metricName is a metric's namespace, name and dimensions in one text.
func metricName(namespace, name string, dimensions map[string]string) string {
	var b strings.Builder
	b.WriteString(namespace + " " + name)
	for _, d := range slices.Sorted(maps.Keys(dimensions)) {
		fmt.Fprintf(&b, " %s=%q", d, dimensions[d])
	}
	return b.String()
}

// Put adds a measurement of one of AWS's own metrics.
func (m *metrics) Put(at time.Time, namespace, name string, value float64, dimensions map[string]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byName == nil {
		m.byName = map[string][]point{}
	}
	key, p := metricName(namespace, name, dimensions), point{at.Truncate(time.Minute), value}
	points := m.byName[key]
	i := len(points)
	for i > 0 && points[i-1].at.After(p.at) {
		i--
	}
	m.byName[key] = slices.Insert(points, i, p)
}

// Log is the log group of a function with an ApplicationLogLevel, written a line at a
// time: of the lines that Lambda keeps, the metrics are measured.
func (m *metrics) Log(application string) io.Writer { return logGroup{m, application} }

type logGroup struct {
	metrics *metrics
	level   string
}

// Write takes one line.
func (g logGroup) Write(line []byte) (int, error) {
	l, err := ParseLine(line)
	if err == nil && l.Metrics != nil && Kept(line, g.level) {
		err = g.metrics.measure(l)
	}
	if err != nil {
		g.metrics.mu.Lock()
		g.metrics.unlikely = append(g.metrics.unlikely, fmt.Sprintf("%v: %s", err, line))
		g.metrics.mu.Unlock()
	}
	return len(line), nil
}

// measure puts each metric of a line, once for each set of its dimensions.
func (m *metrics) measure(l Line) error {
	at := time.UnixMilli(l.Metrics.Timestamp)
	for _, directive := range l.Metrics.CloudWatchMetrics {
		for _, metric := range directive.Metrics {
			value, ok := l.keys[metric.Name].(float64)
			if !ok {
				return fmt.Errorf("metric %s has no value", metric.Name)
			}
			for _, names := range directive.Dimensions {
				dimensions := map[string]string{}
				for _, name := range names {
					text, ok := l.keys[name].(string)
					if !ok {
						return fmt.Errorf("metric %s has no dimension %s", metric.Name, name)
					}
					dimensions[name] = text
				}
				m.Put(at, directive.Namespace, metric.Name, value, dimensions)
			}
		}
	}
	return nil
}

// Faults are the lines that Lambda or CloudWatch would not have read.
func (m *metrics) Faults() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.unlikely)
}

// statistic is what CloudWatch makes of the points from one time up to before another;
// none if there are none.
func (m *metrics) statistic(metric, statistic string, from, to time.Time) (float64, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	points := m.byName[metric]
	first, _ := slices.BinarySearchFunc(points, from, func(p point, at time.Time) int { return p.at.Compare(at) })
	last, _ := slices.BinarySearchFunc(points, to, func(p point, at time.Time) int { return p.at.Compare(at) })
	if first == last {
		return 0, false
	}
	values := make([]float64, 0, last-first)
	for _, p := range points[first:last] {
		values = append(values, p.value)
	}
	return statistics(statistic)(values), true
}

// statistics returns the function of a statistic's name, nil for one that is not known.
// A percentile is the least value that so many percent of the values do not exceed.
func statistics(name string) func([]float64) float64 {
	switch name {
	case "Minimum":
		return slices.Min[[]float64]
	case "Maximum":
		return slices.Max[[]float64]
	case "Sum":
		return func(values []float64) (sum float64) {
			for _, v := range values {
				sum += v
			}
			return sum
		}
	}
	percent, err := strconv.ParseFloat(strings.TrimPrefix(name, "p"), 64)
	if err != nil || !strings.HasPrefix(name, "p") || percent <= 0 || percent > 100 {
		return nil
	}
	return func(values []float64) float64 {
		slices.Sort(values)
		return values[int(math.Ceil(percent/100*float64(len(values))))-1]
	}
}
