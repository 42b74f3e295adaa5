package call

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"hikyaku/pkg/providers"
)

// DecodeQuirks reads a connection's or a token's quirks into q, a pointer to
// the provider's Quirks. Nothing at all leaves q as it is. A field that q does
// not have is refused: a misspelled setting would otherwise do nothing, and
// nobody would notice.
func DecodeQuirks(provider string, raw json.RawMessage, q any) error {
	if len(raw) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(q); err != nil {
		return fmt.Errorf("reading the quirks of %s: %w: %w; see docs/providers/%s.md", provider, providers.ErrInvalid, err, provider)
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("reading the quirks of %s: %w: more than one JSON value", provider, providers.ErrInvalid)
	}
	return nil
}
