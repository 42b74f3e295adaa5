package provetokens

import (
	"bytes"
	"compress/gzip"
	"crypto/md5" // SuperSaaS's checksums are made with it: a form to look for
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"hikyaku/internal/secretstore"
)

// planted is a client secret that no provider knows. It stands first in each
// connection's list, so that it is sent, refused, and reported on.
const planted = "canary+client/secret=%秘密 000000"

// person is the personal data that is planted: what every field holds.
var person = map[string]string{
	"name": "佳奈理亜 帆布子", "email": "canary.person@kanaria.example", "phone": "090-0000-8642", "address": "東京都千代田区金糸雀町八六四二",
}

// canaries are values that must not show, in every form that they may take.
type canaries struct{ secrets, personal map[string][]byte }

// forms adds a value in all its forms.
func forms(to map[string][]byte, name, value string) {
	if len(value) < 8 {
		return
	}
	raw := []byte(value)
	sum := md5.Sum(raw)
	add := func(form string, b []byte) { to[name+" "+form] = b }
	add("raw", raw)
	add("hex", []byte(hex.EncodeToString(raw)))
	add("HEX", []byte(strings.ToUpper(hex.EncodeToString(raw))))
	add("MD5", []byte(hex.EncodeToString(sum[:])))
	add("query", []byte(url.QueryEscape(value)))
	add("path", []byte(url.PathEscape(value)))
	add("JSON", []byte(strings.Trim(strconv.QuoteToASCII(value), `"`)))
	for shift := range 3 { // a value inside a longer text begins at any of these
		for form, encoding := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
			text := encoding.EncodeToString(append(make([]byte, shift), raw...))
			add(form+strconv.Itoa(shift), []byte(text[(shift*8+5)/6:len(text)-2]))
		}
	}
}

// gather collects every secret value that the store holds, in any version.
func gather(t *testing.T, secrets *secretstore.Memory) canaries {
	t.Helper()
	c := canaries{map[string][]byte{}, map[string][]byte{}}
	for _, entry := range secrets.Entries() {
		for _, version := range entry.Versions {
			value, err := secrets.GetVersion(t.Context(), entry.Name, version.ID)
			if errors.Is(err, secretstore.ErrNotFound) {
				continue // pending, and without a value
			}
			if err != nil {
				t.Fatal(err)
			}
			var document map[string]any
			if json.Unmarshal(value.Data, &document) != nil {
				continue
			}
			for _, field := range []string{"api_key", "code", "credential", "access_token", "refresh_token", "current", "key"} {
				text, _ := document[field].(string)
				forms(c.secrets, entry.Name+" "+version.ID+" "+field, text)
			}
			list, _ := document["client_secrets"].([]any)
			for i, secret := range list {
				forms(c.secrets, fmt.Sprintf("%s %s client_secret %d", entry.Name, version.ID, i), fmt.Sprint(secret))
			}
		}
	}
	for field, value := range person {
		forms(c.personal, field, value)
	}
	return c
}

// An item is something that left a function for somewhere else than a
// provider or Secrets Manager.
type item struct {
	sink, name string
	data       []byte
}

// sinks are all places where a canary could show.
var sinks = []string{"logged", "measured", "returned", "queued", "stored", "told", "invoked"}

// A recorder keeps all items. As an io.Writer it takes what functions print.
type recorder struct {
	mu    sync.Mutex
	items []item
}

func (r *recorder) note(sink, name string, data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.items = append(r.items, item{sink, name, bytes.Clone(data)})
}

// Write takes a line of a function's output: a log record or a measurement.
func (r *recorder) Write(p []byte) (int, error) {
	sink := "logged"
	if bytes.Contains(p, []byte(`"CloudWatchMetrics"`)) {
		sink = "measured"
	}
	r.note(sink, "", p)
	return len(p), nil
}

// request notes what is sent to AWS, but for Secrets Manager.
func (r *recorder) request(q *http.Request, body []byte) {
	target, name := q.Header.Get("X-Amz-Target"), q.URL.Path+"?"+q.URL.RawQuery
	sink := "stored"
	switch {
	case strings.HasPrefix(target, "secretsmanager."):
		return
	case strings.HasPrefix(target, "AmazonSQS."):
		sink = "queued"
	case strings.HasPrefix(target, "AWSEvents."):
		sink = "told"
	case strings.Contains(q.URL.Path, "/functions/"):
		sink = "invoked"
	}
	r.note(sink, name, body)
	var headers bytes.Buffer
	for header, values := range q.Header {
		if header != "Authorization" { // a signature
			fmt.Fprintf(&headers, "%s: %s\n", header, values)
		}
	}
	r.note(sink, name, append([]byte(name+"\n"), headers.Bytes()...))
}

// count returns how many items each sink has seen.
func (r *recorder) count() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := map[string]int{}
	for _, i := range r.items {
		n[i.sink]++
	}
	return n
}

// leaks lists the canaries that show, by sink. The exports, and the records
// that they reject, may show personal data, and nothing else.
func (r *recorder) leaks(c canaries) (found []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, i := range r.items {
		data := i.data
		if unpacked, err := gzip.NewReader(bytes.NewReader(data)); err == nil {
			data, _ = io.ReadAll(unpacked)
		}
		look := func(needles map[string][]byte) {
			for name, needle := range needles {
				if bytes.Contains(data, needle) {
					found = append(found, fmt.Sprintf("%s %s: %s", i.sink, i.name, name))
				}
			}
		}
		look(c.secrets)
		if i.sink != "stored" || !strings.Contains(i.name, "/exports/") && !strings.Contains(i.name, "/rejects/") {
			look(c.personal)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
