package console

import (
	"context"
	"encoding/json"
	"net/url"
)

// decoded makes what a command has printed a T for a template.
func decoded[T any](_ context.Context, raw json.RawMessage, _ url.Values) (any, error) {
	var made T
	err := json.Unmarshal(raw, &made)
	return made, err
}
