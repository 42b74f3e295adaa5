package assisttencho

import (
	"fmt"
	"unicode/utf16"
	"unicode/utf8"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

// asciiJSON encodes v, which must make a JSON object, in ASCII: the provider
// reads no other byte.
func asciiJSON(v any) (call.Body, error) {
	body, err := call.JSON(v)
	if err != nil {
		return call.Body{}, fmt.Errorf("encoding an order: %w: %w", providers.ErrInvalid, err)
	}
	if body.Bytes[0] != '{' {
		return call.Body{}, fmt.Errorf("encoding an order: %w: it must be a JSON object", providers.ErrInvalid)
	}
	body.Bytes, err = escapeNonASCII(body.Bytes)
	return body, err
}

// escapeNonASCII writes every character of valid JSON beyond ASCII as \uNNNN.
// Outside its strings JSON has no such character, so no parsing is needed.
func escapeNonASCII(text []byte) ([]byte, error) {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r < utf8.RuneSelf:
			out = append(out, byte(r))
		case r == utf8.RuneError && size == 1:
			return nil, fmt.Errorf("encoding an order: %w: it is not valid UTF-8", providers.ErrInvalid)
		case r <= 0xFFFF:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		}
		text = text[size:]
	}
	return out, nil
}
