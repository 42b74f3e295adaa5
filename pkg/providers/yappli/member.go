package yappli

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"hikyaku/pkg/jsonscan"
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
	Unidentified   bool   // the answer shows a unique_id that is neither a text nor a number
	PointGetedAt   string // the provider's spelling; its documents call it a memo
	LoginedAt      string
	CreatedAt      string
	UpdatedAt      string

	values answerFields
}

// answerFields are the fields of one answer in its order, without the many
// that are null. A map would cost more to make than its look-ups save.
type answerFields []answerField

type answerField struct {
	name  string
	value Value
}

// get returns the last value of a name, null if there is none.
func (f answerFields) get(name string) Value {
	for i := len(f) - 1; i >= 0; i-- {
		if f[i].name == name {
			return f[i].value
		}
	}
	return Null()
}

// Column returns custom field n, from 1 to 50; "" if it is null, absent or
// out of range.
func (m Member) Column(n int) string { return m.values.get(columnName(n)).Text }

// Field returns what a request field holds now, in the form in which a request
// would send it. present is false if the answer does not show the field
// (password and secret_answer never are) or shows null.
func (m Member) Field(name string) (value string, present bool) {
	if !isRequestField[name] {
		return "", false
	}
	v := m.values.get(name)
	if name == "secret_question" && v.Null {
		v = m.values.get("secret_quetion") // the answers' spelling
	}
	if v.Null {
		return "", false
	}
	switch name {
	case "logined":
		return Bool(v.isTrue()).Text, true
	case "enabled":
		return Bool(!v.isFalse()).Text, true
	}
	return v.Text, true
}

// Shown returns what every request field holds that the answer shows: see Field.
func (m Member) Shown() map[string]string {
	shown := map[string]string{}
	for _, name := range RequestFields() {
		if value, present := m.Field(name); present {
			shown[name] = value
		}
	}
	return shown
}

func (v Value) isTrue() bool { return v.Text == "1" || v.Text == "true" }

func (v Value) isFalse() bool { return v.Text == "0" || v.Text == "false" }

// newValue reads a text, number, boolean or null; anything else is kept as its
// JSON text.
func newValue(raw []byte) Value {
	switch raw[0] {
	case 'n':
		return Null()
	case '"':
		return Text(unquote(raw[1 : len(raw)-1]))
	}
	return Text(string(raw))
}

// unquote returns the text of what stands between a string's quotes.
func unquote(inside []byte) string {
	text, _ := jsonscan.Unquote(inside) // it is a valid string
	return string(text)
}

// intern returns the text of a name, without making it again where the
// documents have it.
func intern(raw []byte) string {
	if name, ok := knownNames[string(raw)]; ok {
		return name
	}
	return unquote(raw)
}

var knownNames = func() map[string]string {
	names := map[string]string{}
	for _, name := range append(RequestFields(), "id", "secret_quetion", "point", "point_geted_at", "created_at", "updated_at") {
		names[name] = name
	}
	return names
}()

// deepest bounds the descent through wrappers and arrays.
const deepest = 8

// DecodeUsers reads the members of an answer in their order, whatever wraps them:
// {"members":[{"member":{...}}]} is one of the forms that the documents allow.
// An object with an id is a member; in any other, "members", else "member",
// leads on. Of a name that comes twice in a member, the last value counts.
// ReadUsers reads a page of a list more strictly.
func DecodeUsers(body []byte) ([]Member, error) {
	body = bytes.TrimSpace(jsonscan.TrimMark(body))
	if !utf8.Valid(body) {
		return nil, unreadable("not UTF-8") // encoding/json would replace what it cannot read
	}
	if !json.Valid(body) {
		return nil, unreadable("not JSON")
	}
	return unwrap([]Member{}, body, 0)
}

// unwrap adds the members in raw, which is valid JSON.
func unwrap(members []Member, raw []byte, depth int) ([]Member, error) {
	if depth > deepest {
		return nil, unreadable("members are wrapped too deep")
	}
	switch raw[0] {
	case '{':
		return unwrapObject(members, raw, depth)
	case '[':
		var err error
		jsonscan.Elements(raw, 0, func(start, end int) bool {
			members, err = unwrap(members, raw[start:end], depth+1)
			return err == nil
		})
		return members, err
	}
	return nil, unreadable("neither an object nor an array stands where members are expected")
}

func unwrapObject(members []Member, raw []byte, depth int) ([]Member, error) {
	inner := map[string][]byte{}
	jsonscan.Members(raw, 0, func(m jsonscan.Member) bool {
		switch key := unquote(m.Name); key {
		case "id", "members", "member":
			inner[key] = raw[m.Value:m.End]
		}
		return inner["id"] == nil
	})
	if inner["id"] != nil {
		m, err := DecodeMember(raw)
		return append(members, m), err
	}
	for _, name := range []string{"members", "member"} {
		if value, ok := inner[name]; ok {
			return unwrap(members, value, depth+1)
		}
	}
	return nil, unreadable("neither a member nor a wrapper of one")
}

// DecodeMember reads a record of a list: a member object without any wrapper,
// which is valid JSON. encoding/json would spend five times as long on these
// flat objects of 60 fields, and a reconcile reads a million. An error still
// comes with the unique_id that a record without a readable id shows.
func DecodeMember(record []byte) (Member, error) {
	if len(record) == 0 || record[0] != '{' {
		return Member{}, unreadable("no member object")
	}
	values, unidentified := make(answerFields, 0, 16), false
	jsonscan.Members(record, 0, func(f jsonscan.Member) bool {
		v, name := newValue(record[f.Value:f.End]), intern(f.Name)
		if isID := name == "id" || name == "unique_id"; isID && !bytes.ContainsAny(record[f.Value:f.Value+1], `"-0123456789n`) {
			v, unidentified = Null(), unidentified || name == "unique_id"
		}
		if !v.Null || !values.get(name).Null { // get gives null for what is not there
			values = append(values, answerField{name, v})
		}
		return true
	})
	m := Member{
		ID: values.get("id").Text, UniqueID: values.get("unique_id").Text, LoginID: values.get("login_id").Text,
		Rank: values.get("rank").number(), Point: values.get("point").number(), Logined: values.get("logined").isTrue(),
		PointGetedAt: values.get("point_geted_at").Text, LoginedAt: values.get("logined_at").Text,
		CreatedAt: values.get("created_at").Text, UpdatedAt: values.get("updated_at").Text, values: values,
		Unidentified: unidentified,
	}
	if m.ID == "" {
		return m, unreadable("a member without an id")
	}
	m.SecretQuestion, _ = m.Field("secret_question")
	m.Enabled = !values.get("enabled").isFalse()
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
