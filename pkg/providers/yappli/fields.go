package yappli

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

// Fields are the values of a creation or an update by request field name. A
// name that is not in the map is absent from the request; a null and an empty
// value are two more states. Names are those of RequestFields.
//
// Values are personal data, and password is a secret: do not log them.
type Fields map[string]Value

// shown are the fields as they may be printed.
func (f Fields) shown() map[string]Value {
	return providers.WithoutSecrets(f, Text("[redacted]"), "password", "secret_answer")
}

// Format keeps the password out of whatever prints fields.
func (f Fields) Format(s fmt.State, verb rune) {
	_, _ = fmt.Fprintf(s, fmt.FormatString(s, verb), f.shown())
}

// LogValue keeps it out of structured logs.
func (f Fields) LogValue() slog.Value { return slog.AnyValue(f.shown()) }

// MarshalJSON keeps it out of any JSON made by reflection. Requests are written
// explicitly.
func (f Fields) MarshalJSON() ([]byte, error) { return json.Marshal(f.shown()) }

// A Value is what one request field is set to. Values are comparable, so
// maps.Equal compares Fields.
type Value struct {
	Text string // integers in decimal
	Null bool   // then Text is ""
}

// Text returns a value that may be empty.
func Text(s string) Value { return Value{Text: s} }

// Null returns the value that says "nothing". Only JSON bodies can express
// it; in the other encodings it is sent as "".
func Null() Value { return Value{Null: true} }

// Int returns the value of an Integer field.
func Int(n int64) Value { return Value{Text: strconv.FormatInt(n, 10)} }

// Bool returns the value of enabled or logined: 1 or 0.
func Bool(b bool) Value {
	if b {
		return Text("1")
	}
	return Text("0")
}

// japan is the zone of Yappli's times. Japan has no summer time.
var japan = time.FixedZone("JST", 9*60*60)

// Timestamp returns the value of logined_at: the time in Japan as
// "2006-01-02 15:04:05".
func Timestamp(t time.Time) Value { return Text(t.In(japan).Format(time.DateTime)) }

// requestFields is in the order of the documents' table (顧客登録).
var requestFields = func() []string {
	names := []string{"unique_id", "login_id", "password", "rank"}
	for n := 1; n <= columns; n++ {
		names = append(names, columnName(n))
	}
	return append(names, "secret_question", "secret_answer", "logined", "enabled", "logined_at")
}()

var isRequestField = func() map[string]bool {
	set := map[string]bool{}
	for _, name := range requestFields {
		set[name] = true
	}
	return set
}()

// RequestFields lists every field that a request may set, in the order in
// which they are sent. unique_id is for creations only.
func RequestFields() []string { return slices.Clone(requestFields) }

// columns is how many custom fields a member has.
const columns = 50

func columnName(n int) string { return fmt.Sprintf("column%02d", n) }

// Check reports the first field, in alphabetical order, that no request may
// carry: an unknown name, text that is not UTF-8, or a rank, logined or
// enabled that is not the documented integer. The error is an ErrInvalid and
// holds no value.
func (f Fields) Check() error { return f.check("fields") }

func (f Fields) check(op string) error {
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if fault := f[name].fault(name); fault != "" {
			return refuse(op, "field %q: %s", name, fault)
		}
	}
	return nil
}

func (v Value) fault(name string) string {
	switch {
	case !isRequestField[name]:
		return "not a request field"
	case v.Null && v.Text != "":
		return "null and a text at once"
	case !utf8.ValidString(v.Text):
		return "not UTF-8"
	case (name == "logined" || name == "enabled") && v.Text != "0" && v.Text != "1":
		return "must be 0 or 1"
	case name == "rank" && !v.Null:
		if _, err := strconv.ParseInt(v.Text, 10, 64); err != nil {
			return "must be an integer"
		}
	}
	return ""
}

// body encodes fields in the order of RequestFields.
func (f Fields) body(encoding Encoding) (call.Body, error) {
	switch encoding {
	case JSON:
		object := make(map[string]any, len(f))
		for name, v := range f {
			object[name] = v.json(name)
		}
		return call.JSON(object)
	case Form:
		values := make(url.Values, len(f))
		for name, v := range f {
			values.Set(name, v.Plain(name))
		}
		return call.Form(values), nil
	case Multipart:
	}
	parts := make([]call.Field, 0, len(f))
	for _, name := range requestFields {
		if v, ok := f[name]; ok {
			parts = append(parts, call.Field{Name: name, Value: v.Plain(name)})
		}
	}
	return call.Multipart(parts)
}

// json gives the documents' Integer fields as numbers.
func (v Value) json(name string) any {
	if v.Null {
		return nil
	}
	if n, ok := v.integer(name); ok {
		return n
	}
	return v.Text
}

// Plain returns the value as every encoding sends it in the field name, and as
// an answer shows it: +5 and 05 of an integer as 5.
func (v Value) Plain(name string) string {
	if n, ok := v.integer(name); ok {
		return strconv.FormatInt(n, 10)
	}
	return v.Text
}

func (v Value) integer(name string) (n int64, ok bool) {
	if name != "rank" && name != "logined" && name != "enabled" {
		return 0, false
	}
	n, err := strconv.ParseInt(v.Text, 10, 64)
	return n, err == nil
}
