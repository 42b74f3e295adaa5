package supersaas

import (
	"bytes"
	"encoding/json"
	"fmt"

	"hikyaku/pkg/providers"
)

// Auth is how a request proves who sends it.
type Auth string

// The ways to authenticate. The empty Auth is BasicAuth.
const (
	BasicAuth    Auth = "basic"    // HTTP Basic, which keeps the key out of URLs
	QueryAuth    Auth = "query"    // ?account=...&api_key=..., as in the seed
	BearerAuth   Auth = "bearer"   // Authorization: Bearer with ?account=...
	ChecksumAuth Auth = "checksum" // ?checksum=MD5 where a call names one user; BasicAuth elsewhere
)

// Encoding is how the fields of a user travel.
type Encoding string

// The encodings. The empty Encoding is FormBody.
const (
	FormBody   Encoding = "form"  // user[name]=... in a form body
	QueryParam Encoding = "query" // user[name]=... in the URL, where logs may see it
	JSONBody   Encoding = "json"  // {"user":{"name":...}}
)

// Quirks are the differences between one account and another. The zero value
// reads the seed: parameters named user[...], keys of the awkward kind in
// braces. They travel in the connection and in the token.
type Quirks struct {
	Auth Auth     `json:"auth,omitempty"`
	Body Encoding `json:"body,omitempty"`
	// BareFK leaves out the braces of users?id={123fk}: whether they are
	// part of the syntax or of the seed's notation is not known.
	BareFK bool `json:"bare_fk,omitempty"`
	// HookParent is the parent_id of hooks on the account; empty means the
	// account's name. An account that refuses the name wants its number.
	HookParent string `json:"hook_parent,omitempty"`
}

// ParseQuirks reads the quirks of a connection or token. Nothing means the
// zero value; a name or value that is not documented is an ErrInvalid, since
// a misspelt quirk would otherwise silently do nothing.
func ParseQuirks(raw json.RawMessage) (Quirks, error) {
	var q Quirks
	if len(raw) == 0 {
		return q, nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&q); err != nil {
		return Quirks{}, fmt.Errorf("supersaas quirks: %w: an object with auth, body, bare_fk and hook_parent is expected", providers.ErrInvalid)
	}
	switch q.Auth {
	case "", BasicAuth, QueryAuth, BearerAuth, ChecksumAuth:
	default:
		return Quirks{}, fmt.Errorf("supersaas quirks: %w: auth must be basic, query, bearer or checksum", providers.ErrInvalid)
	}
	switch q.Body {
	case "", FormBody, QueryParam, JSONBody:
	default:
		return Quirks{}, fmt.Errorf("supersaas quirks: %w: body must be form, query or json", providers.ErrInvalid)
	}
	return q, nil
}
