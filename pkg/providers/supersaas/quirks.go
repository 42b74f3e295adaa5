package supersaas

import (
	"cmp"
	"encoding/json"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

// Auth is how a request proves who sends it.
type Auth string

// The ways to authenticate. The empty Auth is BasicAuth.
const (
	BasicAuth    Auth = "basic"    // HTTP Basic, which keeps the key out of URLs
	QueryAuth    Auth = "query"    // ?account=...&api_key=..., as in the guide
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
// reads the guide: parameters named user[...], keys of the awkward kind in
// braces. They travel in the connection and in the token.
type Quirks struct {
	Auth Auth     `json:"auth,omitempty"`
	Body Encoding `json:"body,omitempty"`
	// BareFK leaves out the braces of users?id={123fk}: whether they are
	// part of the syntax or of the guide's notation is not known.
	BareFK bool `json:"bare_fk,omitempty"`
	// HookParent is the parent_id of hooks on the account; empty means the
	// account's name. An account that refuses the name wants its number.
	HookParent string `json:"hook_parent,omitempty"`
}

// readQuirks reads the quirks of a token. Nothing means the zero value.
func readQuirks(raw json.RawMessage) (Quirks, error) {
	var q Quirks
	if err := call.DecodeQuirks(providers.SuperSaaS, raw, &q); err != nil {
		return Quirks{}, err
	}
	return q, cmp.Or(
		call.Choose(providers.SuperSaaS, "auth", &q.Auth, BasicAuth, QueryAuth, BearerAuth, ChecksumAuth),
		call.Choose(providers.SuperSaaS, "body", &q.Body, FormBody, QueryParam, JSONBody))
}
