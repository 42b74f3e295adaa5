package yappli

import (
	"bytes"
	"encoding/json"

	"hikyaku/pkg/providers"
)

// A Member is one customer as Yappli answers it. Times are texts in the
// provider's own form, taken to be Japan's; nothing documents it.
type Member struct {
	ID             string // Yappli's own id
	UniqueID       string // the shop's id, "" if the answer has none
	LoginID        string
	Rank           int64 // 0 also if the answer has none or no number
	SecretQuestion string
	Point          int64
	Logined        bool
	Enabled        bool   // false only if the answer says 0
	PointGetedAt   string // the provider's spelling; its documents call it a memo
	LoginedAt      string
	CreatedAt      string
	UpdatedAt      string

	values map[string]Value
}

// Column returns custom field n, from 1 to 50; "" if it is null, absent or
// out of range.
func (m Member) Column(n int) string { return m.values[columnName(n)].Text }

// Field returns what a request field holds now, in the form in which a request
// would send it. present is false if the answer does not show the field
// (password and secret_answer never are) or shows null.
func (m Member) Field(name string) (value string, present bool) {
	if !isRequestField[name] {
		return "", false
	}
	v, ok := m.values[name]
	if name == "secret_question" && (!ok || v.Null) {
		v, ok = m.values["secret_quetion"] // the answers' spelling
	}
	if !ok || v.Null {
		return "", false
	}
	if name == "logined" || name == "enabled" {
		return Bool(v.isTrue()).Text, true
	}
	return v.Text, true
}

func (v Value) isTrue() bool { return v.Text == "1" || v.Text == "true" }

// UnmarshalJSON reads a member object, whatever its wrapper: see Wrappers. It
// must hold exactly one member with an id. Ids and integers may be numbers or
// texts.
func (m *Member) UnmarshalJSON(b []byte) error {
	all, err := DecodeUsers(b)
	if err != nil {
		return err
	}
	if len(all) != 1 {
		return unreadable("not exactly one member")
	}
	*m = all[0]
	return nil
}

// MarshalJSON is not the provider's form but a stable one, with the values as
// texts and nulls, so that a member can be shown and compared.
func (v Value) MarshalJSON() ([]byte, error) {
	if v.Null {
		return []byte("null"), nil
	}
	return json.Marshal(v.Text)
}

// UnmarshalJSON reads a text, number, boolean or null; anything else is kept
// as its JSON text.
func (v *Value) UnmarshalJSON(b []byte) error {
	*v = Value{}
	switch b = bytes.TrimSpace(b); {
	case len(b) == 0 || bytes.Equal(b, []byte("null")):
		v.Null = true
	case b[0] == '"':
		return json.Unmarshal(b, &v.Text)
	default:
		v.Text = string(b)
	}
	return nil
}

// Wrappers returns the names under which answers hide member objects, at any
// depth and through any arrays: {"members":[{"member":{...}}]} is one of the
// forms that the documents allow. An object with an id is a member; in any
// other, go on below the first of these names that it has.
func Wrappers() []string { return []string{"members", "member"} }

// deepest bounds the descent through wrappers and arrays.
const deepest = 8

// DecodeUsers reads the members of a list's page, or of any other answer that
// holds members, in their order.
func DecodeUsers(body []byte) ([]Member, error) {
	members := []Member{}
	err := unwrap(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), 0, func(object map[string]Value) error {
		m, err := newMember(object)
		members = append(members, m)
		return err
	})
	return members, err
}

func unwrap(raw json.RawMessage, depth int, found func(map[string]Value) error) error {
	if depth > deepest {
		return unreadable("members are wrapped too deep")
	}
	switch trimmed := bytes.TrimSpace(raw); {
	case len(trimmed) > 0 && trimmed[0] == '[':
		var items []json.RawMessage
		if json.Unmarshal(trimmed, &items) != nil {
			return unreadable("not JSON")
		}
		for _, item := range items {
			if err := unwrap(item, depth+1, found); err != nil {
				return err
			}
		}
		return nil
	case len(trimmed) > 0 && trimmed[0] == '{':
		return unwrapObject(trimmed, depth, found)
	}
	return unreadable("neither an object nor an array stands where members are expected")
}

func unwrapObject(raw json.RawMessage, depth int, found func(map[string]Value) error) error {
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil {
		return unreadable("not JSON")
	}
	if _, bare := object["id"]; bare {
		values := make(map[string]Value, len(object))
		for name, text := range object {
			var v Value
			if v.UnmarshalJSON(text) != nil {
				return unreadable("not JSON")
			}
			values[name] = v
		}
		return found(values)
	}
	for _, name := range Wrappers() {
		if inner, ok := object[name]; ok {
			return unwrap(inner, depth+1, found)
		}
	}
	return unreadable("neither a member nor a wrapper of one")
}

func newMember(values map[string]Value) (Member, error) {
	m := Member{
		ID: values["id"].Text, UniqueID: values["unique_id"].Text, LoginID: values["login_id"].Text,
		Rank: values["rank"].number(), Point: values["point"].number(), Logined: values["logined"].isTrue(),
		PointGetedAt: values["point_geted_at"].Text, LoginedAt: values["logined_at"].Text,
		CreatedAt: values["created_at"].Text, UpdatedAt: values["updated_at"].Text, values: values,
	}
	if m.ID == "" {
		return m, unreadable("a member without an id")
	}
	m.SecretQuestion, _ = m.Field("secret_question")
	enabled, shown := m.Field("enabled")
	m.Enabled = !shown || enabled == "1"
	return m, nil
}

// number reads an integer, also one in quotes or with a fraction; anything
// else is 0.
func (v Value) number() int64 {
	var n providers.Number
	if n.UnmarshalJSON([]byte(v.Text)) != nil {
		return 0
	}
	return int64(n)
}

// unreadable is an answer that breaks every documented form; detail is a
// constant.
func unreadable(detail string) error {
	return &providers.Error{Provider: providers.Yappli, Op: "answer", Kind: providers.ErrInvalid, Detail: detail}
}
