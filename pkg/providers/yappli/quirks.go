package yappli

import (
	"cmp"
	"encoding/json"
	"fmt"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

// Quirks are what differs between tenants and generations of the API. They
// travel as JSON in the connection and in the token. An empty field means the
// documents' reading, which is the first one named in its comment.
type Quirks struct {
	// Token is the encoding of the token request: form, or json.
	Token Encoding `json:"token,omitempty"`
	// Body is the encoding of creations and updates: multipart, json or
	// form. Only json can send a null; the others send it as "".
	Body Encoding `json:"body,omitempty"`
	// Paging is offset (limit and offset), or page (page and per_page).
	Paging Paging `json:"paging,omitempty"`
	// PageSize is how many users a list asks for at once; 0 means 50, the
	// provider's own default. At most 1000.
	PageSize int `json:"page_size,omitempty"`
	// List is the form of a list's answer, such as ShapeTable; empty: what
	// the first answer shows that holds a user.
	List string `json:"list,omitempty"`
	// Lookup is none, or unique_id where the tenant has that route.
	Lookup Lookup `json:"lookup,omitempty"`
	// Update says what a PUT does to fields that it does not name: partial
	// keeps them, replace resets them. Empty means that nobody has seen
	// yet, which is a state of its own.
	Update Update `json:"update,omitempty"`
}

// An Encoding is the form of a request's body.
type Encoding string

// A Paging is a family of paging parameters.
type Paging string

// A Lookup is a way to find a user by the shop's own id.
type Lookup string

// An Update is what becomes of the fields that an update omits.
type Update string

// The values of Quirks.
const (
	Form      Encoding = "form"      // application/x-www-form-urlencoded
	Multipart Encoding = "multipart" // multipart/form-data
	JSON      Encoding = "json"      // application/json

	ByOffset Paging = "offset"
	ByPage   Paging = "page"

	LookupNone     Lookup = "none"
	LookupUniqueID Lookup = "unique_id"

	UpdateUnknown Update = ""
	UpdatePartial Update = "partial"
	UpdateReplace Update = "replace"
)

const (
	defaultPageSize = 50   // (顧客一覧)
	largestPageSize = 1000 // (third party, unverified)
)

// ParseQuirks reads a token's or connection's Quirks and fills in the
// defaults. A name or value that is not in Quirks is an ErrInvalid: a
// misspelled quirk would otherwise work as its default, silently.
func ParseQuirks(raw json.RawMessage) (Quirks, error) {
	var q Quirks
	if err := call.DecodeQuirks(providers.Yappli, raw, &q); err != nil {
		return Quirks{}, err
	}
	err := cmp.Or(
		call.Choose(providers.Yappli, "token", &q.Token, Form, JSON),
		call.Choose(providers.Yappli, "body", &q.Body, Multipart, JSON, Form),
		call.Choose(providers.Yappli, "paging", &q.Paging, ByOffset, ByPage),
		call.Choose(providers.Yappli, "list", &q.List, append([]string{""}, shapeNames()...)...),
		call.Choose(providers.Yappli, "lookup", &q.Lookup, LookupNone, LookupUniqueID),
		call.Choose(providers.Yappli, "update", &q.Update, UpdateUnknown, UpdatePartial, UpdateReplace))
	if err != nil {
		return Quirks{}, err
	}
	q.PageSize = cmp.Or(q.PageSize, defaultPageSize)
	if q.PageSize < 0 || q.PageSize > largestPageSize {
		return Quirks{}, fmt.Errorf("yappli quirks: %w: page_size must be from 1 to %d", providers.ErrInvalid, largestPageSize)
	}
	return q, nil
}
