package providers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// A Fault is one thing that is wrong with a connection. It repeats no credential.
type Fault struct {
	Field string // of the document; empty: the document itself
	Wrong string // what is wrong, and what to write instead
}

// String names the field first.
func (f Fault) String() string {
	if f.Field == "" {
		return f.Wrong
	}
	return f.Field + ": " + f.Wrong
}

// Faults are all that is wrong with a connection: an error, if there is any.
type Faults []Fault

// Error has a line for each.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

// Is makes faults errors of the vocabulary.
func (f Faults) Is(target error) bool { return target == ErrInvalid }

// CheckConnection reads a document that a person has written, and says everything
// that is doubtful about its form. What only its provider knows is checked by the
// provider's package.
func CheckConnection(document []byte, now time.Time) (Connection, Faults) {
	fields, faults := fieldsOf(document)
	if fields == nil {
		return Connection{}, faults
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		want, known := connectionFields[name]
		if !known {
			faults = append(faults, Fault{printable(name), "no field of a connection; known are " + strings.Join(slices.Sorted(maps.Keys(connectionFields)), ", ")})
			delete(fields, name)
			continue
		}
		if !want.takes(fields[name]) {
			faults = append(faults, Fault{name, "expected " + string(want)})
			delete(fields, name)
		}
	}
	sound, _ := json.Marshal(fields) // raw JSON
	c, err := ParseConnection(sound)
	if err != nil {
		faults = append(faults, Fault{"expires_at", "must be RFC 3339 with an offset, such as 2027-03-31T23:59:59+09:00"})
		delete(fields, "expires_at")
		sound, _ = json.Marshal(fields)
		c, _ = ParseConnection(sound) // nothing else of it can fail
	}
	if end := fields["expires_at"]; end != nil && string(end) != "null" && c.ExpiresAt.IsZero() { // to the rest of the code a zero time is an unknown end
		faults = append(faults, passed(c.ExpiresAt))
	}
	return c, append(faults, c.formFaults(now)...)
}

// fieldsOf splits a document; fields is nil if it is not one JSON object. Of a field
// that comes twice nobody knows which is meant.
func fieldsOf(document []byte) (map[string]json.RawMessage, Faults) {
	decoder := json.NewDecoder(bytes.NewReader(document))
	fields := map[string]json.RawMessage{}
	broken := Faults{{"", "not one JSON object, such as {\"provider\":\"yappli\",\"kind\":\"client_credentials\",...}"}}
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil, broken
	}
	var faults Faults
	for decoder.More() {
		name, err := decoder.Token()
		key, isText := name.(string)
		var value json.RawMessage
		if err != nil || !isText || decoder.Decode(&value) != nil {
			return nil, broken
		}
		if _, twice := fields[key]; twice {
			faults = append(faults, Fault{printable(key), "stands there twice"})
		}
		fields[key] = value
	}
	if _, err := decoder.Token(); err != nil {
		return nil, broken
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, broken
	}
	return fields, faults
}

// A jsonType is what a field holds.
type jsonType string

const (
	aText   jsonType = "a text"
	texts   jsonType = `a list of texts, such as ["..."]`
	anEnd   jsonType = "a text or null"
	anyJSON jsonType = "an object"
)

var connectionFields = map[string]jsonType{
	"provider": aText, "kind": aText, "base_url": aText, "token_url": aText, "login_url": aText, "account": aText, "client_id": aText,
	"client_secrets": texts, "api_key": aText, "code": aText, "redirect_uri": aText, "expires_at": anEnd, "probe_order": aText,
	"probe_keyword": aText, "quirks": anyJSON,
}

func (t jsonType) takes(raw json.RawMessage) bool {
	isNull := string(bytes.TrimSpace(raw)) == "null"
	var into any
	switch t {
	case texts:
		into = &[]*string{}
	case anyJSON:
		into = &map[string]json.RawMessage{}
	default:
		into = new(string)
	}
	return json.Unmarshal(raw, into) == nil && (!isNull || t != aText)
}

// UnknownFields lists the fields of a document that no connection has: perhaps one
// that was meant is misspelled.
func UnknownFields(document []byte) []string {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(document, &fields) // what cannot be read has none
	var unknown []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if _, known := connectionFields[name]; !known {
			unknown = append(unknown, printable(name))
		}
	}
	return unknown
}

// printable is the name of a field, or a word for what is none: it may be a value that
// was pasted into the wrong place.
func printable(name string) string {
	if len(name) > 30 || strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && r != '_' }) {
		return "(not a field's name)"
	}
	return name
}

// HasField reports whether a document speaks of a field.
func HasField(document []byte, name string) bool {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(document, &fields) // what cannot be read has none
	_, has := fields[name]
	return has
}

// trim takes off what a paste leaves around a value.
func (c *Connection) trim() {
	for _, text := range []*string{&c.Provider, &c.BaseURL, &c.TokenURL, &c.LoginURL, &c.Account, &c.ClientID, &c.RedirectURI, &c.ProbeOrder, &c.ProbeKeyword} {
		*text = trimmed(*text)
	}
	c.Kind, c.APIKey, c.Code = Kind(trimmed(string(c.Kind))), c.APIKey.Trimmed(), c.Code.Trimmed()
	for i, s := range c.ClientSecrets {
		c.ClientSecrets[i] = s.Trimmed()
	}
}

// trimmed is without the white space and invisible characters around a text.
func trimmed(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf) })
}

// Trimmed is the secret without white space and invisible characters around it.
func (s Secret) Trimmed() Secret { return NewSecret(trimmed(s.Reveal())) }

// credentials are the values that go to the provider as they are, by field.
func (c Connection) credentials() map[string]string {
	all := map[string]string{"client_id": c.ClientID, "api_key": c.APIKey.Reveal(), "code": c.Code.Reveal()}
	for i, s := range c.ClientSecrets {
		all["client_secrets["+strconv.Itoa(i)+"]"] = s.Reveal()
	}
	return all
}

// Unusable says for what no request can be made of a connection, or none that its
// provider could ever accept. A function stops renewing only for these.
func (c Connection) Unusable() Faults {
	faults := holding(c.credentials(), unicode.IsControl, inOneLine)
	for _, a := range []struct{ field, address string }{{"base_url", c.BaseURL}, {"token_url", c.TokenURL}, {"login_url", c.LoginURL}} {
		isBase := a.field == "base_url"
		if a.address == "" && (!isBase || c.TokenURL != "") {
			continue
		}
		switch u, err := url.Parse(a.address); {
		case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
			faults = append(faults, Fault{a.field, notAnAddress})
		case isBase && hasTail(u): // a path is appended to it
			faults = append(faults, Fault{a.field, endsEarlier})
		}
	}
	if c.Kind != Static && slices.Contains(Kinds(), c.Kind) {
		faults = append(faults, c.Missing(map[string]string{"client_id": "no token is given without it", "client_secrets": "no token is given without one"})...)
	}
	return faults
}

const (
	inOneLine    = "holds a control character (a line break or tab) at place %d: paste the value again, in one line"
	notAnAddress = "not an address such as https://api.example/v1"
	endsEarlier  = "must end before ? and #"
)

// holding says which values, by field, hold a character, with the place of the first.
func holding(values map[string]string, wrong func(rune) bool, says string) Faults {
	var faults Faults
	for _, field := range slices.Sorted(maps.Keys(values)) {
		if at := strings.IndexFunc(values[field], wrong); at >= 0 {
			faults = append(faults, Fault{field, fmt.Sprintf(says, at+1)})
		}
	}
	return faults
}

// formFaults says what is wrong with a connection whatever its provider is.
func (c Connection) formFaults(now time.Time) Faults {
	faults := holding(c.credentials(), unicode.IsControl, inOneLine)
	if !slices.Contains(Names(), c.Provider) {
		faults = append(faults, Fault{"provider", fmt.Sprintf("%q is none of %s", c.Provider, strings.Join(Names(), ", "))})
	}
	if !slices.Contains(Kinds(), c.Kind) {
		faults = append(faults, Fault{"kind", fmt.Sprintf("%q is none of %s", c.Kind, strings.Join(texted(Kinds()), ", "))})
	}
	strange := func(r rune) bool { return (r <= ' ' || r > '~') && !unicode.IsControl(r) }
	faults = append(faults, holding(c.credentials(), strange, "holds white space or a character that is not ASCII at place %d: paste the value again, in one piece")...)
	names := map[string]string{"account": c.Account, "probe_order": c.ProbeOrder, "probe_keyword": c.ProbeKeyword}
	unseen := func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf) }
	faults = append(faults, holding(names, unseen, "holds a line break, a tab or an invisible character at place %d: type the value again")...)
	for i, s := range c.ClientSecrets {
		if s.Empty() {
			faults = append(faults, Fault{"client_secrets[" + strconv.Itoa(i) + "]", "is empty"})
		}
	}
	for field, address := range map[string]string{"base_url": c.BaseURL, "token_url": c.TokenURL, "login_url": c.LoginURL, "redirect_uri": c.RedirectURI} {
		if wrong := wrongAddress(address); address != "" && wrong != "" && (field != "redirect_uri" || !appAddress(address)) {
			faults = append(faults, Fault{field, wrong})
		}
	}
	if !c.ExpiresAt.IsZero() && !c.ExpiresAt.After(now) {
		faults = append(faults, passed(c.ExpiresAt))
	}
	slices.SortStableFunc(faults, func(a, b Fault) int { return strings.Compare(a.Field, b.Field) })
	return faults
}

func passed(end time.Time) Fault {
	return Fault{"expires_at", end.Format(time.RFC3339) + " has passed: the credential does not work any more; make a new one"}
}

// Kinds lists the kinds of credential.
func Kinds() []Kind { return []Kind{ClientCredentials, OneTimePair, OneTimeCode, Static} }

func texted(kinds []Kind) []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = string(k)
	}
	return names
}

// wrongAddress says what is wrong with the address of a provider; "" if nothing.
// Only a server on the same machine, such as a sandbox, is asked without TLS.
func wrongAddress(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r > '~' }):
		return notAnAddress
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return "must begin with https://"
	case u.User != nil:
		return "must not hold a user name or password: they have fields of their own"
	case hasTail(u):
		return endsEarlier
	}
	return ""
}

func hasTail(u *url.URL) bool { return u.RawQuery != "" || u.Fragment != "" || u.ForceQuery }

// appAddress reports a redirect address that an app takes, such as myapp://callback.
func appAddress(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https" && u.User == nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Missing says which fields a provider needs that a connection lacks. why is what each
// is for, or where it is found.
func (c Connection) Missing(why map[string]string) Faults {
	have := map[string]bool{
		"base_url": c.BaseURL != "", "token_url": c.TokenURL != "", "login_url": c.LoginURL != "", "account": c.Account != "",
		"client_id": c.ClientID != "", "client_secrets": slices.ContainsFunc(c.ClientSecrets, func(s Secret) bool { return !s.Empty() }), "api_key": !c.APIKey.Empty(), "redirect_uri": c.RedirectURI != "",
	}
	var faults Faults
	for _, field := range slices.Sorted(maps.Keys(why)) {
		if !have[field] {
			faults = append(faults, Fault{field, "is missing: " + why[field]})
		}
	}
	return faults
}

// OfKind says that a connection's kind is none that its provider has.
func (c Connection) OfKind(kinds ...Kind) Faults {
	if slices.Contains(kinds, c.Kind) || !slices.Contains(Kinds(), c.Kind) {
		return nil // an unknown one is named already
	}
	return Faults{{"kind", fmt.Sprintf("%s has no credential of the kind %q; it has %s", c.Provider, c.Kind, strings.Join(texted(kinds), " or "))}}
}
