package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// maxBody caps what a sandbox reads of a request.
const maxBody = 16 << 20

// A Request is an incoming request with its parameters read, whatever form
// they came in.
type Request struct {
	*http.Request
	Raw    []byte         // the body
	Media  string         // its media type without parameters
	Fields url.Values     // of a form or multipart body; empty for JSON
	JSON   map[string]any // of a JSON body that is an object; numbers are json.Number
	Bad    error          // the body could not be read as its media type says
}

// Param returns the value of name from the query, then from the body.
func (r *Request) Param(name string) string {
	if v, ok := r.Lookup(name); ok {
		return v
	}
	return ""
}

// Lookup is Param with presence: null counts as absent.
func (r *Request) Lookup(name string) (string, bool) {
	if v, ok := r.URL.Query()[name]; ok && len(v) > 0 {
		return v[0], true
	}
	if v, ok := r.Fields[name]; ok && len(v) > 0 {
		return v[0], true
	}
	switch v := r.JSON[name].(type) {
	case nil:
		return "", false
	case string:
		return v, true
	case map[string]any, []any:
		b, _ := json.Marshal(v)
		return string(b), true
	default:
		return fmt.Sprint(v), true
	}
}

// True reports whether a query or body parameter is a spelling of true: True
// is Python's, 1 is PHP's.
func (r *Request) True(name string) bool { return IsTrue(r.Param(name)) }

// IsTrue reports whether text is a spelling of true.
func IsTrue(text string) bool {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "true", "t", "1", "yes", "y", "on":
		return true
	}
	return false
}

// Int returns a query or body parameter as an integer, or fallback if it is
// absent or no integer.
func (r *Request) Int(name string, fallback int) int {
	n, err := strconv.Atoi(r.Param(name))
	if err != nil {
		return fallback
	}
	return n
}

// BearerToken returns the token of the Authorization header.
func (r *Request) BearerToken() string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}

func readRequest(provider, route string, r *http.Request) *Request {
	q := &Request{Request: r, Fields: url.Values{}}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil || len(body) > maxBody {
		q.Bad = fmt.Errorf("body unreadable or above %d bytes", maxBody)
	}
	q.Raw = body
	kind := "form"
	var params map[string]string
	q.Media, params, _ = mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch q.Media {
	case "application/x-www-form-urlencoded":
		q.Fields, err = url.ParseQuery(string(body))
	case "multipart/form-data":
		kind = "multipart"
		q.Fields, err = readMultipart(body, params["boundary"])
	case "application/json":
		kind = "json"
		q.JSON, err = readJSON(body)
	}
	if err == nil {
		err = checkText(q.Fields)
	}
	if err != nil {
		q.Bad = err
	}
	q.note(provider, route, kind)
	return q
}

// readJSON reads one object and refuses what follows it, as well as bytes that
// encoding/json would silently replace.
func readJSON(body []byte) (object map[string]any, err error) {
	if len(body) == 0 {
		return nil, nil
	}
	if !utf8.Valid(body) {
		return nil, errNotText
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(&object); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON of the body")
	}
	return object, nil
}

var errNotText = errors.New("the body is not UTF-8")

// checkText refuses names and values that could not be answered as JSON.
func checkText(fields url.Values) error {
	for name, values := range fields {
		if !utf8.ValidString(name) || slices.ContainsFunc(values, func(v string) bool { return !utf8.ValidString(v) }) {
			return errNotText
		}
	}
	return nil
}

func readMultipart(body []byte, boundary string) (url.Values, error) {
	values := url.Values{}
	reader := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			return values, nil
		}
		if err != nil {
			return values, err
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return values, err
		}
		values.Add(part.FormName(), string(value))
	}
}

// seen holds, for the whole process, "provider<TAB>route<TAB>place:name" of
// every parameter any sandbox was sent.
var seen struct {
	sync.Mutex
	lines map[string]bool
}

// Seen returns what all sandboxes of this process were sent, sorted: lines of
// provider, route and parameter with tabs between them. The parameter is
// "path:id", "query:limit", "header:User-Agent", "form:x", "multipart:x" or
// "json:user.name". A route itself is noted with the parameter "-".
func Seen() []string {
	seen.Lock()
	defer seen.Unlock()
	return slices.Sorted(maps.Keys(seen.lines))
}

var pathName = regexp.MustCompile(`\{([^}.]+)`)

func (r *Request) note(provider, route, kind string) {
	names := []string{"-"}
	for _, m := range pathName.FindAllStringSubmatch(route, -1) {
		names = append(names, "path:"+m[1])
	}
	for name := range r.URL.Query() {
		names = append(names, "query:"+name)
	}
	for name := range r.Header {
		names = append(names, "header:"+name)
	}
	for name := range r.Fields {
		names = append(names, kind+":"+name)
	}
	names = jsonNames(names, "json:", r.JSON)
	seen.Lock()
	defer seen.Unlock()
	if seen.lines == nil {
		seen.lines = map[string]bool{}
	}
	for _, n := range names {
		seen.lines[provider+"\t"+route+"\t"+n] = true
	}
}

func jsonNames(names []string, prefix string, object map[string]any) []string {
	for name, v := range object {
		names = append(names, prefix+name)
		if inner, ok := v.(map[string]any); ok {
			names = jsonNames(names, prefix+name+".", inner)
		}
	}
	return names
}
