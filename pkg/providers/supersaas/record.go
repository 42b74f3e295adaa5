package supersaas

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"hikyaku/pkg/providers"
)

// A record is one object of the API, of which each field is read by itself: one
// that is odd spoils no other.
type record struct {
	fields map[string]json.RawMessage
	odd    []string // fields that hold something else than is expected
}

func readRecord(b []byte) (*record, error) {
	r := &record{}
	return r, json.Unmarshal(b, &r.fields)
}

// into reads a field into v, which stays as it is if the field is missing.
func (r *record) into(name string, v any) {
	raw, sent := r.fields[name]
	if !sent {
		return
	}
	var err error
	if own, ok := v.(json.Unmarshaler); ok { // raw is valid: json.Unmarshal would only look at it again
		err = own.UnmarshalJSON(raw)
	} else {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		r.odd = append(r.odd, name)
	}
}

// text returns a scalar, "" for null.
func (r *record) text(name string) string {
	var t providers.Text
	r.into(name, &t)
	return string(t)
}

func (r *record) number(name string) int64 {
	var n providers.Number
	r.into(name, &n)
	return int64(n)
}

// id returns a positive integer, else 0.
func (r *record) id(name string) int64 {
	id, _ := parseID(r.text(name))
	return id
}

// time returns a time in UTC. One that cannot be read is zero, so that a new
// notation does not make a whole list unreadable.
func (r *record) time(name string) time.Time {
	text := r.text(name)
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC()
		}
	}
	return time.Time{}
}

// sent reports whether a field is there and not null.
func (r *record) sent(name string) bool {
	raw, there := r.fields[name]
	return there && string(raw) != "null"
}

// parseID accepts an id as number or text, also with white space around it or as
// 5.0, and nothing that is not a positive integer.
func parseID(text string) (int64, bool) {
	digits, fraction, _ := strings.Cut(strings.TrimSpace(text), ".")
	if id, err := strconv.ParseInt(digits, 10, 64); err == nil && id > 0 && strings.Trim(fraction, "0") == "" {
		return id, true
	}
	return 0, false
}
