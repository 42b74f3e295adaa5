package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"hikyaku/internal/console"
)

// A line is one of a function's log, as far as events need it.
type line struct {
	Level    string      `json:"level"`
	Message  string      `json:"message"`
	Request  string      `json:"requestId"`
	User     json.Number `json:"user_id"`
	Outcome  string      `json:"outcome"`
	Provider string      `json:"provider"`
	Dataset  string      `json:"dataset"`
	Run      string      `json:"run"`
	Status   any         `json:"status"`
	rest     map[string]any
}

// shownApart are the fields of a line that an event has places for.
var shownApart = []string{"timestamp", "level", "message", "requestId", "user_id", "outcome", "provider", "dataset", "run"}

// kinds says what the messages of the functions' logs tell of.
var kinds = map[string]console.Kind{
	"user handled": console.Handled, "credential looked at": console.Token,
	"export called": console.Run, "export failed": console.Run, "export in doubt": console.Run,
	"reconciled": console.Compared, "reconcile starts over": console.Compared,
}

// Line records a line of a function's log. Measurements are no events.
func (r *Recorder) Line(function string, raw []byte) {
	if bytes.Contains(raw, []byte(`"_aws":`)) {
		return
	}
	l, ok := read(raw)
	if !ok {
		if text := bytes.TrimSpace(raw); len(text) > 0 {
			r.Add(console.Event{Kind: console.Logged, Function: function, Message: short(string(text))})
		}
		return
	}
	kind, known := kinds[l.Message]
	if !known {
		kind = console.Logged
	}
	e := console.Event{ // at the stack's time: a line's own is the machine's, of which it may be far ahead
		At: r.now(), Kind: kind, Function: function, Provider: l.Provider, Dataset: l.Dataset, Run: l.Run, User: l.User.String(),
		Outcome: l.Outcome, Level: l.Level, Message: l.Message, Bad: l.Level == "WARN" || l.Level == "ERROR", Detail: l.detail(),
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if kind == console.Handled {
		r.handled(e, l.Request)
		return
	}
	if in := r.calls[l.Request]; in != nil && e.User != "" && len(in.ways[e.User]) > 0 {
		e.Way = in.ways[e.User][0]
	}
	r.add(e, nil)
}

// handled records how a job ended, on the way of each of its messages.
func (r *Recorder) handled(e console.Event, request string) {
	r.series.now.Jobs++
	ways := []string{""}
	if in := r.calls[request]; in != nil && len(in.ways[e.User]) > 0 {
		ways = slices.Compact(slices.Clone(in.ways[e.User]))
	}
	for _, id := range ways {
		e.Way = id
		if of := r.ways.byID[id]; of != nil && !of.began.IsZero() {
			lag := e.At.Sub(of.began)
			r.series.now.Lag = max(0, lag)
			e.Detail = maps.Clone(e.Detail)
			e.Detail["lag_seconds"] = fmt.Sprintf("%.3f", lag.Seconds())
		}
		r.add(e, nil)
	}
}

func read(raw []byte) (l line, ok bool) {
	if json.Unmarshal(raw, &l) != nil || l.Message == "" {
		return l, false
	}
	return l, json.Unmarshal(raw, &l.rest) == nil
}

const (
	mostDetails = 16
	mostText    = 500
)

// detail is what a line says besides, shortened.
func (l line) detail() map[string]string {
	out := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(l.rest)) {
		value := l.rest[name]
		if value == nil || slices.Contains(shownApart, name) {
			continue
		}
		if len(out) == mostDetails {
			break
		}
		text, isText := value.(string)
		if !isText {
			raw, _ := json.Marshal(value) // it came from JSON
			text = string(raw)
		}
		out[name] = short(text)
	}
	return out
}

// short is a text as far as an event keeps it.
func short(text string) string {
	if len(text) <= mostText {
		return text
	}
	cut := mostText
	for cut > 0 && text[cut]&0xc0 == 0x80 { // within a character
		cut--
	}
	return text[:cut] + "…"
}
