package awslocal

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"path"
	"slices"
	"strconv"
	"sync"
	"time"
)

// logKept is how many lines of a group are kept: an older one makes room for a newer.
const logKept = 20_000

// logGroups are what functions have logged, by the names of their groups, as CloudWatch
// Logs keeps it. They are not stored: like a terminal, they begin with the process.
type logGroups struct {
	now func() time.Time

	mu     sync.Mutex
	next   int64 // the number of the next line, which is its id
	byName map[string]*logRing
}

// A logRing is a group's newest lines.
type logRing struct {
	lines []logLine
	first int // where the oldest lies, once all places are taken
}

type logLine struct {
	id   int64
	at   time.Time
	text string
}

// Log adds a line to a function's log, as it was written, now. The group's name ends in the
// function's.
func (a *AWS) Log(function, line string) {
	g := &a.Told.logs
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.byName == nil {
		g.byName = map[string]*logRing{}
	}
	ring := g.byName[function]
	if ring == nil {
		ring = &logRing{}
		g.byName[function] = ring
	}
	g.next++
	added := logLine{g.next, g.now(), line}
	if len(ring.lines) < logKept {
		ring.lines = append(ring.lines, added)
		return
	}
	ring.lines[ring.first] = added
	ring.first = (ring.first + 1) % logKept
}

// all are a group's lines, the oldest first.
func (r *logRing) all() []logLine { return slices.Concat(r.lines[r.first:], r.lines[:r.first]) }

type filterInput struct {
	Group string `json:"logGroupName"`
	Start int64  `json:"startTime"` // milliseconds, and those too
	End   int64  `json:"endTime"`
	Limit int    `json:"limit"`
	Token string `json:"nextToken"`
}

type filteredEvent struct {
	ID       string `json:"eventId"`
	Stream   string `json:"logStreamName"`
	At       int64  `json:"timestamp"`
	Ingested int64  `json:"ingestionTime"`
	Text     string `json:"message"`
}

type filterOutput struct {
	Events []filteredEvent `json:"events"`
	Token  string          `json:"nextToken,omitempty"`
}

// mostEvents is how many events a page of CloudWatch Logs has.
const mostEvents = 10_000

// filter serves FilterLogEvents without a pattern. A page begins behind the line that the
// token names, so that lines that come meanwhile shift none.
func (g *logGroups) filter(_ *http.Request, in filterInput) (filterOutput, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	after := int64(0)
	if in.Token != "" {
		raw, err := base64.RawURLEncoding.DecodeString(in.Token)
		if after, _ = strconv.ParseInt(string(raw), 10, 64); err != nil || after == 0 {
			return filterOutput{}, refuse("InvalidParameterException", "The specified nextToken is invalid.")
		}
	}
	ring := g.byName[path.Base(in.Group)]
	if ring == nil {
		return filterOutput{}, refuse("ResourceNotFoundException", "The specified log group does not exist.")
	}
	out := filterOutput{Events: []filteredEvent{}}
	for _, line := range ring.all() {
		at := line.at.UnixMilli()
		if line.id <= after || at < in.Start || in.End > 0 && at > in.End {
			continue
		}
		if len(out.Events) == min(cmp.Or(in.Limit, mostEvents), mostEvents) {
			out.Token = base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(after, 10)))
			break
		}
		after = line.id
		out.Events = append(out.Events, filteredEvent{ID: strconv.FormatInt(line.id, 10), Stream: "local", At: at, Ingested: at, Text: line.text})
	}
	return out, nil
}
