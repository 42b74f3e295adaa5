package supersaas

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

// Fields are the fields of a user to write, under the provider's own names:
// name, email, password, full_name, address, phone, mobile, country,
// timezone, field_1, field_2, super_field, credit, role, group. A field that
// is not in the map is left alone. Whether "" clears one is not documented.
type Fields map[string]string

// shown are the fields as they may be printed.
func (f Fields) shown() map[string]string {
	return providers.WithoutSecrets(f, "[redacted]", "password")
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

// copied is never nil, so that a call without fields still says which user
// object it means.
func (f Fields) copied() Fields {
	c := Fields{}
	maps.Copy(c, f)
	return c
}

// encode puts the fields into the request. Maps are encoded in the order of
// their names, so equal fields make equal bytes.
func (f Fields) encode(r *call.Request, as Encoding) error {
	switch as {
	case JSONBody:
		var err error
		r.Body, err = call.JSON(map[string]map[string]string{"user": f})
		return err
	case QueryParam:
		for name, value := range f {
			r.Query.Set("user["+name+"]", value)
		}
	default:
		form := map[string][]string{}
		for name, value := range f {
			form["user["+name+"]"] = []string{value}
		}
		r.Body = call.Form(form)
	}
	return nil
}
