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

// Metrics writes measurements in CloudWatch's embedded metric format: a JSON
// line in the log, which CloudWatch turns into a metric without an API call.
// It is safe for concurrent use.
type Metrics struct {
	out io.Writer
	now func() time.Time
}

// overAll are the metrics that one alarm watches over all datasets. CloudWatch
// adds nothing up by itself, so these are measured without their dimensions too.
var overAll = []string{"ExportDoubt", "ExportRejects", "ExportUnresolved"}

// Add writes one value. unit is one of CloudWatch's: Count, Seconds, Bytes,
// None ... Dimensions must be few and of few values (provider, dataset,
// outcome), because each combination is billed as a metric.
func (m *Metrics) Add(name, unit string, value float64, dimensions map[string]string) {
	names := slices.Sorted(maps.Keys(dimensions))
	if names == nil {
		names = []string{}
	}
	sets := [][]string{names}
	if len(names) > 0 && slices.Contains(overAll, name) {
		sets = append(sets, []string{})
	}
	line := map[string]any{
		name: value,
		"_aws": map[string]any{
			"Timestamp": m.now().UnixMilli(),
			"CloudWatchMetrics": []any{map[string]any{
				"Namespace":  namespace,
				"Dimensions": sets,
				"Metrics":    []any{map[string]string{"Name": name, "Unit": unit}},
			}},
		},
	}
	for _, n := range names {
		line[n] = dimensions[n]
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
