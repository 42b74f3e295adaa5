package awslocal

import (
	"strings"
	"sync"
	"time"
)

// A meter counts what AWS measures of its own services without charge, for who asks
// CloudWatch: invocations of functions and how long they took, messages of queues, and
// requests of the gateway. It begins anew with the process.
type meter struct {
	now func() time.Time

	mu   sync.Mutex
	sums map[metered]map[time.Time]float64 // by the hour
}

// metered names one metric, which has one dimension.
type metered struct{ namespace, metric, dimension, value string }

func (m *meter) add(what metered, value float64) {
	at := m.now().UTC().Truncate(time.Hour)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sums == nil {
		m.sums = map[metered]map[time.Time]float64{}
	}
	if m.sums[what] == nil {
		m.sums[what] = map[time.Time]float64{}
	}
	m.sums[what][at] += value
}

// points are the sums of one metric.
func (m *meter) points(namespace, metric string, dimensions map[string]string) []Point {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Point
	for name, value := range dimensions {
		for at, sum := range m.sums[metered{namespace, metric, name, value}] {
			list = append(list, Point{Namespace: namespace, Metric: metric, Dimensions: dimensions, At: at, Value: sum})
		}
	}
	if len(dimensions) != 1 {
		return nil
	}
	return list
}

// invoked counts an invocation that has ended.
func (m *meter) invoked(function string, took time.Duration) {
	m.add(metered{"AWS/Lambda", "Invocations", "FunctionName", function}, 1)
	m.add(metered{"AWS/Lambda", "Duration", "FunctionName", function}, float64(took.Microseconds())/1000)
}

// queueMetrics are the metrics of what happens to messages.
var queueMetrics = map[QueueEventKind]string{
	MessageSent: "NumberOfMessagesSent", MessageReceived: "NumberOfMessagesReceived", MessageDeleted: "NumberOfMessagesDeleted",
}

// happened counts what happened to a message.
func (m *meter) happened(e QueueEvent) {
	if metric := queueMetrics[e.Kind]; metric != "" {
		m.add(metered{"AWS/SQS", metric, "QueueName", e.Queue}, 1)
	}
}

// foundNone counts a receive of a queue, by name or address, that found no message.
func (m *meter) foundNone(queue string) {
	m.add(metered{"AWS/SQS", "NumberOfEmptyReceives", "QueueName", queue[strings.LastIndexByte(queue, '/')+1:]}, 1)
}

// asked counts a request of the gateway.
func (m *meter) asked(api string) { m.add(metered{"AWS/ApiGateway", "Count", "ApiId", api}, 1) }
