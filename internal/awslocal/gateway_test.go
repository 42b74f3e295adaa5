package awslocal_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"hikyaku/internal/awslocal"
)

// gateway serves routes to a function that keeps its last event and answers
// what answer says.
func gateway(t *testing.T, answer *string, routes ...string) (http.Handler, *events.APIGatewayV2HTTPRequest) {
	t.Helper()
	at := time.Date(2026, 11, 22, 10, 11, 12, 13e6, time.FixedZone("JST", 9*3600))
	a, err := awslocal.New(awslocal.Options{Now: func() time.Time { return at }})
	ok(t, "new", err)
	last := new(events.APIGatewayV2HTTPRequest)
	register(t, a, awslocal.Function{Name: "ingest"}, func(_ context.Context, payload []byte) ([]byte, error) {
		*last = events.APIGatewayV2HTTPRequest{}
		if err := json.Unmarshal(payload, last); err != nil {
			return nil, err
		}
		if *answer == "fail" {
			return nil, errors.New("asked to fail")
		}
		return []byte(*answer), nil
	})
	return a.Gateway("ingest", routes...), last
}

func call(h http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestGatewayEvent(t *testing.T) {
	t.Parallel()
	answer := `{"statusCode":204}`
	h, last := gateway(t, &answer, "POST /webhooks/{provider}/{secret}", "GET /files/{proxy+}", "ANY /any")
	w := call(h, http.MethodPost, "http://api.test/webhooks/supersaas/s%2F1?a=1&a=2&b=%20x", `{"id":1}`,
		"Content-Type", "application/json; charset=utf-8", "User-Agent", "hook", "X-Two", "1", "X-Two", "2", "Cookie", "a=1; b=2")
	equal(t, "status", w.Code, 204)
	e := *last
	equal(t, "id", w.Header().Get("Apigw-Requestid"), e.RequestContext.RequestID)
	named := httptest.NewRequest(http.MethodPost, "http://api.test/any", nil)
	h.ServeHTTP(w, named.WithContext(awslocal.WithRequestID(named.Context(), "a name")))
	equal(t, "own id", last.RequestContext.RequestID, "a name")
	for what, pair := range map[string][2]string{
		"version": {e.Version, "2.0"}, "route": {e.RouteKey, "POST /webhooks/{provider}/{secret}"}, "route again": {e.RequestContext.RouteKey, e.RouteKey},
		"path": {e.RawPath, "/webhooks/supersaas/s/1"}, "query": {e.RawQueryString, "a=1&a=2&b=%20x"},
		"parameters": {fmt.Sprint(e.QueryStringParameters), "map[a:1,2 b: x]"}, "path parameters": {fmt.Sprint(e.PathParameters), "map[provider:supersaas secret:s/1]"},
		"cookies": {strings.Join(e.Cookies, "|"), "a=1|b=2"}, "header": {e.Headers["x-two"], "1,2"}, "cookie header": {e.Headers["cookie"], ""},
		"host": {e.Headers["host"], "api.test"}, "domain": {e.RequestContext.DomainName, "api.test"}, "stage": {e.RequestContext.Stage, "$default"},
		"http": {fmt.Sprint(e.RequestContext.HTTP), "{POST /webhooks/supersaas/s/1 HTTP/1.1 192.0.2.1 hook}"},
		"time": {e.RequestContext.Time, "22/Nov/2026:01:11:12 +0000"}, "epoch": {fmt.Sprint(e.RequestContext.TimeEpoch), "1795309872013"},
		"body": {e.Body, `{"id":1}`}, "account": {e.RequestContext.AccountID, awslocal.Account},
	} {
		equal(t, what, pair[0], pair[1])
	}
	equal(t, "base64", e.IsBase64Encoded, false)
	equal(t, "request id", len(e.RequestContext.RequestID), 36)
	first := e.RequestContext.RequestID
	equal(t, "greedy", call(h, http.MethodGet, "/files/a/b", "").Code, 204)
	equal(t, "greedy", fmt.Sprint(last.PathParameters, last.RouteKey), "map[proxy:a/b]GET /files/{proxy+}")
	equal(t, "another id", last.RequestContext.RequestID == first, false)
	equal(t, "any", call(h, http.MethodDelete, "/any", "").Code, 204)
	equal(t, "any", last.RouteKey+last.RequestContext.HTTP.Method, "ANY /anyDELETE")
	for _, c := range [][2]string{{http.MethodGet, "/webhooks/a/b"}, {http.MethodPost, "/webhooks/a"}, {http.MethodGet, "/"}} {
		w := call(h, c[0], c[1], "")
		equal(t, c[1], fmt.Sprint(w.Code, w.Body), "404 {\"message\":\"Not Found\"}\n")
	}
}

func TestGatewayEncodesWhatIsNotText(t *testing.T) {
	t.Parallel()
	answer := `{"statusCode":200}`
	h, last := gateway(t, &answer, "POST /")
	for contentType, encoded := range map[string]bool{
		"application/json": false, "APPLICATION/JSON": false, "text/plain; charset=utf-8": false, "application/xml": false, "application/javascript": false,
		"application/problem+json": false, "image/svg+xml": false, "application/x-www-form-urlencoded": true, "multipart/form-data; boundary=x": true,
		"application/octet-stream": true, "": true, ";": true,
	} {
		call(h, http.MethodPost, "/", "a=1", "Content-Type", contentType)
		want := "a=1"
		if encoded {
			want = "YT0x"
		}
		equal(t, contentType, fmt.Sprint(last.IsBase64Encoded, last.Body), fmt.Sprint(encoded, want))
	}
	call(h, http.MethodPost, "/", "")
	equal(t, "no body", last.IsBase64Encoded, false)
	full := strings.Repeat("x", 10<<20)
	equal(t, "too large", call(h, http.MethodPost, "/", full+"x").Code, http.StatusRequestEntityTooLarge)
}

func TestGatewayAnswers(t *testing.T) {
	t.Parallel()
	var answer string
	h, _ := gateway(t, &answer, "POST /")
	for given, want := range map[string]string{
		`{"statusCode":503,"headers":{"Retry-After":"5","Content-Type":"text/plain"},"body":"later"}`:    "503 text/plain 5 later",
		`{"statusCode":200,"headers":{"Content-Type":"image/png"},"body":"AQI=","isBase64Encoded":true}`: "200 image/png  \x01\x02",
		`{"statusCode":200,"body":"?","isBase64Encoded":true}`:                                           "500 application/json  {\"message\":\"Internal Server Error\"}\n",
		`{"hello":"world"}`: `200 application/json  {"hello":"world"}`,
		`"text"`:            `200 application/json  "text"`,
		`fail`:              "500 application/json  {\"message\":\"Internal Server Error\"}\n",
	} {
		answer = given
		w := call(h, http.MethodPost, "/", "{}", "Content-Type", "application/json")
		equal(t, given, fmt.Sprintf("%d %s %s %s", w.Code, w.Header().Get("Content-Type"), w.Header().Get("Retry-After"), w.Body), want)
	}
	answer = `{"statusCode":200,"cookies":["a=1; Path=/","b=2"]}`
	equal(t, "cookies", strings.Join(call(h, http.MethodPost, "/", "").Header()["Set-Cookie"], "|"), "a=1; Path=/|b=2")
}
