package supersaastest

import (
	"bytes"
	"encoding/json"
	"slices"
	"sort"
	"strconv"

	"hikyaku/pkg/providers/sandbox"
)

// Absent is the value by which the methods of Editor take a field away. Nil
// sets it to null.
var Absent = absent{}

type absent struct{}

// object is a record by its fields, each as JSON.
type object map[string]json.RawMessage

func parseObject(raw []byte) object {
	o := object{}
	_ = json.Unmarshal(raw, &o) // what is stored was checked before
	return o
}

func (o object) set(name string, value any) {
	if _, ok := value.(absent); ok {
		delete(o, name)
		return
	}
	if o[name] = sandbox.Record(value); len(o[name]) == 0 {
		o[name] = json.RawMessage("null") // a value without a JSON form
	}
}

// objectOf is a record of values.
func objectOf(values map[string]any) object {
	o := object{}
	for name, value := range values {
		o.set(name, value)
	}
	return o
}

// shown is a record as the API shows it, with the form if that is asked for.
func shown(raw, form []byte, asked bool) []byte {
	switch {
	case !asked:
		return raw
	case form != nil:
		return with(raw, "form", json.RawMessage(form))
	}
	return with(raw, "form", nil)
}

// encode writes the fields in the order first, then all others by name.
func (o object) encode(first []string) []byte {
	b := append(make([]byte, 0, 512), '{')
	add := func(name string) {
		if len(b) > 1 {
			b = append(b, ',')
		}
		quoted, _ := json.Marshal(name)
		b = append(append(append(b, quoted...), ':'), o[name]...)
	}
	rest := make([]string, 0, len(o))
	for name := range o {
		if !slices.Contains(first, name) {
			rest = append(rest, name)
		}
	}
	sort.Strings(rest)
	for _, name := range first {
		if _, ok := o[name]; ok {
			add(name)
		}
	}
	for _, name := range rest {
		add(name)
	}
	return append(b, '}')
}

// with returns raw with a further field at its end.
func with(raw []byte, name string, value any) []byte {
	o := object{}
	o.set(name, value)
	field := o.encode(nil)
	if bytes.Equal(raw, []byte("{}")) {
		return field
	}
	return append(append(append(make([]byte, 0, len(raw)+len(field)), raw[:len(raw)-1]...), ','), field[1:]...)
}

// textOf returns a scalar as text, and "" for null.
func textOf(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// number is 0 for what is none.
func number(raw json.RawMessage) int64 {
	n, err := strconv.ParseInt(textOf(raw), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func array(rows [][]byte) []byte {
	return append(append([]byte{'['}, bytes.Join(rows, []byte(","))...), ']')
}
