package call

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"

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

// Choose sets a quirk that is empty to the first of the values allowed, and
// refuses one that is none of them.
func Choose[T ~string](provider, name string, value *T, allowed ...T) error {
	if *value = cmp.Or(*value, allowed[0]); slices.Contains(allowed, *value) {
		return nil
	}
	return fmt.Errorf("reading the quirks of %s: %w: %s must be one of %q", provider, providers.ErrInvalid, name, allowed)
}
