package providers

import (
	"fmt"
	"log/slog"
	"maps"
	"unique"
)

// redacted stands wherever a secret would otherwise appear.
const redacted = "[redacted]"

// A Secret is a value that cannot print itself: every verb of fmt, slog and
// encoding/json show "[redacted]". Reveal is the one way to the value, so a
// search for Reveal finds every place where a secret leaves its wrapping.
//
// The zero Secret is empty. Secrets are comparable, but compare what a
// stranger sent with crypto/subtle instead.
type Secret struct {
	// A handle and not a string: where fmt passes over Format, as it does
	// for a wrong verb, it prints fields by reflection, and a handle's is
	// an address. Equal values have equal handles.
	value unique.Handle[string]
}

// NewSecret wraps value.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{value: unique.Make(value)}
}

// Reveal returns the value. Pass it only to the request or the store that
// needs it.
func (s Secret) Reveal() string {
	if s.Empty() {
		return ""
	}
	return s.value.Value()
}

// Empty reports whether there is no value.
func (s Secret) Empty() bool { return s == Secret{} }

// String returns "[redacted]", or "" for an empty secret, so that a missing
// value is visible in a diagnosis.
func (s Secret) String() string {
	if s.Empty() {
		return ""
	}
	return redacted
}

// Format covers the verbs that would look through String (%#v, %x, %d).
func (s Secret) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, s.String()) }

// LogValue keeps the value out of structured logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON keeps the value out of any JSON made by reflection. Documents
// that must carry it, such as Token, write it explicitly.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// UnmarshalText reads a value, such as a setting.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// Opaque keeps whatever embeds it out of prints, logs and JSON: a struct that holds
// secrets among other things shows "[redacted]" in its place.
type Opaque struct{}

// String returns "[redacted]".
func (Opaque) String() string { return redacted }

// Format covers every verb.
func (Opaque) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, redacted) }

// LogValue keeps the whole out of structured logs.
func (Opaque) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON keeps the whole out of any JSON made by reflection.
func (Opaque) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// WithoutSecrets returns a copy of a request's fields, of which those named show
// "[redacted]".
func WithoutSecrets[M ~map[string]V, V any](fields M, hidden V, names ...string) map[string]V {
	shown := maps.Clone(map[string]V(fields))
	for _, name := range names {
		if _, has := shown[name]; has {
			shown[name] = hidden
		}
	}
	return shown
}
