package awslocal

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/uuid"
)

// GatewayID is the id of every gateway's API.
const GatewayID = "local"

// maxGateway caps a request's body, in bytes.
const maxGateway = 10 << 20

var pathParameter = regexp.MustCompile(`\{([A-Za-z0-9_]+)\+?\}`)

// Gateway returns an API Gateway HTTP API before a function: each request
// becomes an event of payload format 2.0. Routes are API Gateway's route keys,
// such as "POST /webhook/{secret}" or "ANY /{proxy+}"; what none matches is
// answered 404.
func (a *AWS) Gateway(function string, routes ...string) http.Handler {
	mux := http.NewServeMux()
	for _, key := range routes {
		parameters := pathParameter.FindAllStringSubmatch(key, -1)
		names := make([]string, len(parameters))
		for i, p := range parameters {
			names[i] = p[1]
		}
		pattern := strings.TrimPrefix(strings.ReplaceAll(key, "+}", "...}"), "ANY ")
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { gateway{a}.forward(w, r, function, key, names) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "" {
			gatewayError(w, http.StatusNotFound, "Not Found")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

type requestIDKey struct{}

// WithRequestID gives the request that is sent to a Gateway with the context its id, for
// who wants to know it again.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

func gatewayID(ctx context.Context) string {
	if id, ok := ctx.Value(requestIDKey{}).(string); ok {
		return id
	}
	return uuid.NewString()
}

func gatewayError(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": message})
}

// gateway makes events of requests.
type gateway struct{ *AWS }

func (a gateway) forward(w http.ResponseWriter, r *http.Request, function, key string, names []string) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxGateway))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		gatewayError(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		return
	}
	if err != nil {
		gatewayError(w, http.StatusBadRequest, "Bad Request")
		return
	}
	event := a.event(r, key, names, body)
	w.Header().Set("Apigw-Requestid", event.RequestContext.RequestID)
	payload, err := json.Marshal(event)
	if err != nil {
		gatewayError(w, http.StatusInternalServerError, "Internal Server Error")
		return
	}
	a.Told.watch.meter.asked(GatewayID)
	answer, err := a.Invoke(r.Context(), function, payload)
	if err != nil || answer.Error != "" {
		a.log.WarnContext(r.Context(), "gateway invocation failed", "function", function)
		gatewayError(w, http.StatusInternalServerError, "Internal Server Error")
		return
	}
	writeGateway(w, answer.Payload)
}

func (a gateway) event(r *http.Request, key string, names []string, body []byte) events.APIGatewayV2HTTPRequest {
	client, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		client = r.RemoteAddr
	}
	now := a.now()
	event := events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: key, RawPath: r.URL.Path, RawQueryString: r.URL.RawQuery,
		Headers: map[string]string{"host": r.Host},
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			RouteKey: key, AccountID: Account, Stage: "$default", RequestID: gatewayID(r.Context()), APIID: GatewayID,
			DomainName: r.Host, DomainPrefix: "local", Time: now.UTC().Format("02/Jan/2006:15:04:05 -0700"), TimeEpoch: now.UnixMilli(),
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{
				Method: r.Method, Path: r.URL.Path, Protocol: r.Proto, SourceIP: client, UserAgent: r.UserAgent(),
			},
		},
	}
	for name, values := range r.Header {
		if name == "Cookie" {
			event.Cookies = strings.Split(strings.Join(values, "; "), "; ")
			continue
		}
		event.Headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	event.QueryStringParameters = joined(r.URL.Query())
	if len(names) > 0 {
		event.PathParameters = map[string]string{}
		for _, n := range names {
			event.PathParameters[n] = r.PathValue(n)
		}
	}
	event.Body = string(body)
	if len(body) > 0 && !isText(r.Header.Get("Content-Type")) {
		event.Body, event.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	return event
}

func joined(values url.Values) map[string]string {
	if len(values) == 0 {
		return nil
	}
	out := map[string]string{}
	for name, v := range maps.All(values) {
		out[name] = strings.Join(v, ",")
	}
	return out
}

// isText reports whether API Gateway passes a body on as text. A form is not.
func isText(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	switch media {
	case "application/json", "application/javascript", "application/xml":
		return true
	}
	return strings.HasPrefix(media, "text/") || strings.HasSuffix(media, "+json") || strings.HasSuffix(media, "+xml")
}

// writeGateway answers what the function did. An answer without a status code
// is, whole, the JSON body of a 200.
func writeGateway(w http.ResponseWriter, payload []byte) {
	var answer events.APIGatewayV2HTTPResponse
	if err := json.Unmarshal(payload, &answer); err != nil || answer.StatusCode == 0 {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(payload)
		return
	}
	body := []byte(answer.Body)
	if answer.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(answer.Body)
		if err != nil {
			gatewayError(w, http.StatusInternalServerError, "Internal Server Error")
			return
		}
		body = decoded
	}
	for name, value := range answer.Headers {
		w.Header().Set(name, value)
	}
	for _, cookie := range answer.Cookies {
		w.Header().Add("Set-Cookie", cookie)
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = w.Write(body)
}
