package ingest

import (
	"bytes"
	"encoding/json"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
)

// An eventKind says which field of a payload names the user.
type eventKind struct {
	object string // user, purchase, appointment, form: a metric's dimension
	userID bool   // the user is in user_id; else in id
}

// events are all that SuperSaaS is known to send. "new", "change" and
// "delete" come for users and for stand-alone forms; "restore" for
// appointments and forms. See payload.kind.
var events = map[string]eventKind{
	"new": {object: "user"}, "change": {object: "user"}, "delete": {object: "user"},
	"purchase": {object: "purchase", userID: true},
	"create":   {object: "appointment", userID: true}, "edit": {object: "appointment", userID: true},
	"destroy": {object: "appointment", userID: true}, "place": {object: "appointment", userID: true},
	"pending": {object: "appointment", userID: true}, "restore": {object: "appointment", userID: true},
	"approve": {object: "appointment", userID: true}, "revert": {object: "appointment", userID: true},
}

// A payload is the little that is taken from one webhook. Deleted wins over
// the event's name: real samples say "create" and deleted at once. Null is as
// good as absent.
type payload struct {
	Event     providers.Text   `json:"event"`
	ID        providers.Text   `json:"id"`
	UserID    *json.RawMessage `json:"user_id"`
	SuperForm *json.RawMessage `json:"super_form_id"`
	Deleted   providers.Flag   `json:"deleted"`

	secret string // of the configured field
}

// kind tells forms from users: a form names its template, or the user it
// belongs to, which a user never does.
func (p payload) kind() (eventKind, bool) {
	k, known := events[string(p.Event)]
	if known && (p.SuperForm != nil || !k.userID && p.UserID != nil) {
		return eventKind{object: "form", userID: true}, true
	}
	return k, known
}

// user returns the user that the payload names; 0 if none. An appointment made
// by an administrator has user_id 0.
func (p payload) user(k eventKind) int64 {
	id := p.ID
	if k.userID {
		id = ""
		if p.UserID != nil && id.UnmarshalJSON(*p.UserID) != nil {
			return 0
		}
	}
	return userNumber(string(id))
}

var numberForm = regexp.MustCompile(`^\+?(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d{1,2}))?$`)

// userNumber reads a user's number in every way in which it is still the same
// number to a person: blanks around it, full-width digits, a fraction of zeros,
// an exponent. Anything else is 0: grouped digits may be two numbers.
func userNumber(text string) int64 {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		return n // nearly always
	}
	text = strings.TrimFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) })
	text = strings.Map(func(r rune) rune {
		if r >= '！' && r <= '～' { // the full-width forms of ASCII
			return r - '！' + '!'
		}
		return r
	}, text)
	form := numberForm.FindStringSubmatch(text)
	if form == nil {
		return 0
	}
	exponent, _ := strconv.Atoi(form[3]) // absent: 0
	digits, whole := form[1]+form[2], len(form[1])+exponent
	if whole <= 0 || strings.Trim(digits[min(whole, len(digits)):], "0") != "" {
		return 0
	}
	digits += strings.Repeat("0", max(0, whole-len(digits)))
	n, err := strconv.ParseInt(digits[:whole], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// parsePayloads reads a body: one JSON object, an array of them, or a form,
// whatever the content type says. secretField, if not empty, is the field that
// holds the secret. ok is false for any other shape.
func parsePayloads(body []byte, secretField string) (list []payload, ok bool) {
	body = bytes.TrimSpace(jsonscan.TrimMark(body))
	if len(body) == 0 {
		return nil, false
	}
	switch body[0] {
	case '{':
		p, ok := parseObject(body, secretField)
		return []payload{p}, ok
	case '[':
		var items []json.RawMessage
		if json.Unmarshal(body, &items) != nil || len(items) == 0 {
			return nil, false
		}
		for _, item := range items {
			p, ok := parseObject(item, secretField)
			if !ok {
				return nil, false
			}
			list = append(list, p)
		}
		return list, true
	}
	return parseForm(string(body), secretField)
}

func parseObject(raw []byte, secretField string) (payload, bool) {
	var p payload
	if bytes.TrimSpace(raw)[0] != '{' {
		return payload{}, false
	}
	if json.Unmarshal(raw, &p) != nil {
		// What an event that nobody knows holds beside its name is no fault.
		p = payload{}
		err := json.Unmarshal(raw, &struct{ Event *providers.Text }{&p.Event})
		if _, known := events[string(p.Event)]; err != nil || p.Event == "" || known {
			return payload{}, false
		}
	}
	if secretField != "" {
		var all map[string]json.RawMessage
		var secret providers.Text
		if json.Unmarshal(raw, &all) == nil && all[secretField] != nil && secret.UnmarshalJSON(all[secretField]) == nil {
			p.secret = string(secret)
		}
	}
	return p, true
}

func parseForm(body, secretField string) ([]payload, bool) {
	values, err := url.ParseQuery(body)
	if err != nil || !strings.Contains(body, "=") {
		return nil, false
	}
	p := payload{
		Event: providers.Text(values.Get("event")), ID: providers.Text(values.Get("id")),
		Deleted: values.Get("deleted") == "true" || values.Get("deleted") == "1",
	}
	p.UserID, p.SuperForm = formValue(values, "user_id"), formValue(values, "super_form_id")
	if secretField != "" {
		p.secret = values.Get(secretField)
	}
	return []payload{p}, true
}

// formValue returns a field as JSON; nil if it is absent or empty, which is a
// form's null.
func formValue(values url.Values, name string) *json.RawMessage {
	v := values.Get(name)
	if v == "" {
		return nil
	}
	raw, _ := json.Marshal(v) // a text can be marshaled
	return (*json.RawMessage)(&raw)
}
