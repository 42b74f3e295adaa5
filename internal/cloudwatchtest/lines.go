package cloudwatchtest

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Levels are those of Lambda's application logs, the least severe first.
var Levels = []string{"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"}

// A Line is one line of a function's log with the keys that Lambda reads.
type Line struct {
	Level     string `json:"level"`
	Timestamp string `json:"timestamp"`
	Message   string `json:"message"`
	RequestID string `json:"requestId"`

	Metrics *embedded `json:"_aws"`

	keys map[string]any
}

// An embedded says which keys of a line are metrics (the embedded metric format).
type embedded struct {
	Timestamp         int64 // milliseconds
	CloudWatchMetrics []struct {
		Namespace  string
		Dimensions [][]string
		Metrics    []struct{ Name, Unit string }
	}
}

// ParseLine reads a line. One that lacks a level, a timestamp or a message in the form
// that Lambda reads is an error: Lambda would take it for another level.
func ParseLine(line []byte) (Line, error) {
	var l Line
	if err := json.Unmarshal(line, &l); err != nil {
		return l, fmt.Errorf("no JSON object: %w", err)
	}
	if err := json.Unmarshal(line, &l.keys); err != nil {
		return l, err
	}
	if !slices.Contains(Levels, l.Level) {
		return l, fmt.Errorf("level %q is none of Lambda's", l.Level)
	}
	if _, err := time.Parse(time.RFC3339, l.Timestamp); err != nil {
		return l, fmt.Errorf("timestamp %q is not of RFC 3339", l.Timestamp)
	}
	if l.Message == "" {
		return l, fmt.Errorf("no message")
	}
	return l, nil
}

// Kept reports whether Lambda keeps a line of a function whose ApplicationLogLevel is
// this. It takes a line that it cannot read for INFO.
func Kept(line []byte, application string) bool {
	l, err := ParseLine(line)
	if err != nil {
		l.Level = "INFO"
	}
	return slices.Index(Levels, l.Level) >= slices.Index(Levels, application)
}
