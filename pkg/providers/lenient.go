package providers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// Text is a string that providers also send as a number, a boolean or null:
// the ids of Yappli and SuperSaaS, for example. Null leaves it empty.
type Text string

// UnmarshalJSON keeps a number's own digits.
func (t *Text) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	switch {
	case len(b) == 0 || bytes.Equal(b, []byte("null")):
		*t = ""
	case b[0] == '"':
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*t = Text(s)
	case b[0] == '{' || b[0] == '[':
		return fmt.Errorf("%w: an object or array stands where a text is expected", ErrInvalid)
	default:
		*t = Text(b)
	}
	return nil
}

// Number is an integer that providers also send as a string. Null and ""
// leave it 0; a fraction is cut off.
type Number int64

// UnmarshalJSON accepts 5, "5", 5.0, null and "".
func (n *Number) UnmarshalJSON(b []byte) error {
	var t Text
	if err := t.UnmarshalJSON(b); err != nil {
		return err
	}
	*n = 0
	if t == "" {
		return nil
	}
	if i, err := strconv.ParseInt(string(t), 10, 64); err == nil {
		*n = Number(i)
		return nil
	}
	f, err := strconv.ParseFloat(string(t), 64)
	if err != nil || f != f || f > 1<<62 || f < -(1<<62) {
		return fmt.Errorf("%w: not a number", ErrInvalid)
	}
	*n = Number(f)
	return nil
}

// Flag is a boolean that providers also send as 0, 1, "true" or "1".
type Flag bool

// UnmarshalJSON reads anything but the documented forms of true as false.
func (f *Flag) UnmarshalJSON(b []byte) error {
	var t Text
	if err := t.UnmarshalJSON(b); err != nil {
		return err
	}
	*f = t == "true" || t == "1"
	return nil
}
