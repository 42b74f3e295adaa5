package supersaas

import (
	"maps"

	"hikyaku/pkg/providers/internal/call"
)

// Fields are the fields of a user to write, under the provider's own names:
// name, email, password, full_name, address, phone, mobile, country,
// timezone, field_1, field_2, super_field, credit, role, group. A field that
// is not in the map is left alone. Whether "" clears one is not documented.
type Fields map[string]string

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
		r.Body, err = call.JSON(map[string]Fields{"user": f})
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
