package shopline

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

// TokenBody is the form in which the token endpoint is called.
type TokenBody string

// The forms of a token call's body.
const (
	// JSONBody is what the documents show for the exchange of a code.
	JSONBody TokenBody = "json"
	// FormBody is what RFC 6749 prescribes. The documents print the refresh
	// call as a query string, which may mean this.
	FormBody TokenBody = "form"
)

// Quirks are what may differ from shop to shop. The zero value is the
// documented behavior. They stand in the connection's "quirks".
type Quirks struct {
	// TokenBody is the form of the token endpoint's body; empty: JSONBody.
	TokenBody TokenBody `json:"token_body,omitempty"`
	// Scopes are asked for in AuthorizeURL, such as "orders"; empty: none
	// is named, and the app's own apply.
	Scopes []string `json:"scopes,omitempty"`
	// Handle is sent as User-Agent; empty: the account, if that is a handle.
	Handle string `json:"handle,omitempty"`
	// PerPage is the page size of queries that name none, 1 to 999; 0: 50.
	PerPage int `json:"per_page,omitempty"`
}

// parseQuirks reads a connection's or a token's quirks. A name that is not
// known is refused: a misspelled quirk would silently change nothing.
func parseQuirks(raw json.RawMessage) (Quirks, error) {
	var q Quirks
	if err := call.DecodeQuirks(providers.SHOPLINE, raw, &q); err != nil {
		return Quirks{}, err
	}
	switch q.TokenBody {
	case "", JSONBody, FormBody:
	default:
		return Quirks{}, fmt.Errorf("%w: quirks of shopline: token_body must be json or form", providers.ErrInvalid)
	}
	if strings.ContainsFunc(q.Handle, unicode.IsControl) {
		return Quirks{}, fmt.Errorf("%w: quirks of shopline: handle must be printable", providers.ErrInvalid)
	}
	if q.PerPage < 0 || q.PerPage > maxPerPage {
		return Quirks{}, fmt.Errorf("%w: quirks of shopline: per_page must be 1 to %d", providers.ErrInvalid, maxPerPage)
	}
	return q, nil
}
