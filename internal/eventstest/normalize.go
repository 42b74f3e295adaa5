// Package eventstest sends every file in events/ through the real binary that
// it is meant for, on the local AWS and, if HIKYAKU_TEST_AWS_ENDPOINT names
// one, on another AWS by endpoint alone, and compares answer and effects with
// what testdata/ says of the file. 'go test ./internal/eventstest -update'
// writes that again, to be read before it is committed.
//
// Its one function outside the tests is what makes two answers comparable; the
// comparison of containers with the command line uses it too.
package eventstest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// luck names the members of an answer that differ from run to run.
var luck = map[string]string{
	"expires_at": "<time>", "until": "<time>", "seconds": "<seconds>", "observed": "<observed>", "mapping": "<mapping>",
}

var (
	anyUUID    = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	anyDigest  = regexp.MustCompile(`\b[0-9a-f]{32}\b`)
	anyAddress = regexp.MustCompile(`https?://[^/"\s]+`)
)

// Normalize returns an answer with times, ids, addresses and durations masked
// and the members of each object in order. What is not JSON is masked as text.
func Normalize(answer []byte) string {
	decoder := json.NewDecoder(bytes.NewReader(answer))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return maskText(string(bytes.TrimSpace(answer)))
	}
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(mask(v)); err != nil {
		return maskText(string(answer))
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func mask(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			if word, differs := luck[name]; differs {
				v[name] = word
				continue
			}
			v[name] = mask(v[name])
			if list, ok := v[name].([]any); ok && name == "differences" { // of a set
				slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			}
		}
	case []any:
		for i := range v {
			v[i] = mask(v[i])
		}
	case string:
		return maskText(v)
	}
	return v
}

// maskText masks ids, digests (names of objects are some) and addresses.
func maskText(s string) string {
	return anyAddress.ReplaceAllString(anyDigest.ReplaceAllString(anyUUID.ReplaceAllString(s, "<id>"), "<digest>"), "<address>")
}
