package lambdafn

import (
	"encoding/json"
	"io"
	"maps"
	"slices"
	"sync"
	"time"
)

// namespace is where CloudWatch shows the metrics.
const namespace = "Hikyaku"

const stackDimension = "stack"

const milliseconds = "2006-01-02T15:04:05.000Z07:00"

// Metrics writes measurements in CloudWatch's embedded metric format: a JSON
// line in the log, which CloudWatch turns into a metric without an API call.
// It is safe for concurrent use.
type Metrics struct {
	out         io.Writer
	now         func() time.Time
	stack       string // a dimension of every metric, so that two stacks of an account do not add up
	invocations *invocations
}

// overAll are the metrics that one alarm watches over all datasets. CloudWatch
// adds nothing up by itself, so these are measured by the stack alone, too.
var overAll = []string{"ExportDoubt", "ExportRejects", "ExportUnresolved"}

// Add writes one value. unit is one of CloudWatch's: Count, Seconds, Bytes,
// None ... Dimensions must be few and of few values (provider, dataset,
// outcome), because each combination is billed as a metric.
func (m *Metrics) Add(name, unit string, value float64, dimensions map[string]string) {
	sets := [][]string{m.set(dimensions)}
	if len(dimensions) > 0 && slices.Contains(overAll, name) {
		sets = append(sets, m.set(nil))
	}
	m.write(map[string]any{name: value}, dimensions, directive(sets, name, unit))
}

// AddTimed counts one of name, and measures beside it how long it took, by the stack
// alone: in one line, which is half the price of two.
func (m *Metrics) AddTimed(name string, dimensions map[string]string, took string, duration time.Duration) {
	m.write(map[string]any{name: 1, took: duration.Seconds()}, dimensions,
		directive([][]string{m.set(dimensions)}, name, "Count"), directive([][]string{m.set(nil)}, took, "Seconds"))
}

// set are the names of the dimensions of one metric.
func (m *Metrics) set(dimensions map[string]string) []string {
	names := append([]string{}, slices.Sorted(maps.Keys(dimensions))...)
	if m.stack != "" {
		names = append(names, stackDimension)
	}
	return names
}

// An embedded is what a line tells CloudWatch of itself. It is no map, like the line
// that it stands in, because every webhook pays for it.
type embedded struct {
	CloudWatchMetrics []metricDirective
	Timestamp         int64 // milliseconds
}

// A metricDirective tells CloudWatch which metrics a line holds.
type metricDirective struct {
	Dimensions [][]string
	Metrics    []metric
	Namespace  string
}

type metric struct{ Name, Unit string }

// directive is of one metric.
func directive(sets [][]string, name, unit string) metricDirective {
	return metricDirective{Dimensions: sets, Metrics: []metric{{name, unit}}, Namespace: namespace}
}

// write writes a line of values.
func (m *Metrics) write(line map[string]any, dimensions map[string]string, directives ...metricDirective) {
	now := m.now()
	line["_aws"] = embedded{directives, now.UnixMilli()}
	line[timestampKey], line[levelKey], line[messageKey] = now.UTC().Format(milliseconds), metricLevel, "metric"
	for name, value := range dimensions {
		line[name] = value
	}
	if m.stack != "" {
		line[stackDimension] = m.stack
	}
	if id := m.invocations.current(); id != "" {
		line[requestKey] = id
	}
	b, err := json.Marshal(line)
	if err != nil {
		return // a NaN cannot be shown, and no measurement is worth failing an event
	}
	_, _ = m.out.Write(append(b, '\n'))
}

// lines is where logs and metrics meet: each line is written whole.
type lines struct {
	mu sync.Mutex
	to io.Writer
}

// Write writes one line.
func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(line)
}
