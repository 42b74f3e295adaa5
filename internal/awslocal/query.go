package awslocal

import (
	"encoding/xml"
	"maps"
	"mime"
	"net/http"
	"slices"
)

const stsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"

// isQuery says whether a request speaks the query protocol: a form that names
// its operation as Action. Its answers, refusals too, are XML.
func isQuery(r *http.Request) bool {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	scope := signedFor(r)
	return r.Method == http.MethodPost && media == "application/x-www-form-urlencoded" && (r.URL.Path == "/" || scope != "" && scope != "s3") ||
		r.URL.Path == "/" && r.URL.Query().Has("Action")
}

// A queryOperation answers one operation of the query protocol with a document. What
// a request has beside its parameters is refused by name.
type queryOperation struct {
	parameters []string
	answer     func(w http.ResponseWriter, r *http.Request) (any, error)
}

// callerIdentity is sts GetCallerIdentity, with which people and tools ask first who
// they are.
var callerIdentity = map[string]queryOperation{
	"GetCallerIdentity": {nil, func(w http.ResponseWriter, _ *http.Request) (any, error) { return newIdentity(w), nil }},
}

func requestID(w http.ResponseWriter) string { return w.Header().Get("X-Amzn-Requestid") }

// queryService answers operations of the query protocol, and refuses every other
// call by name.
func queryService(name string, operations map[string]queryOperation) service {
	return service{
		name: name,
		operation: func(r *http.Request) string {
			r.Body = http.MaxBytesReader(nil, r.Body, maxJSON)
			return r.FormValue("Action")
		},
		serve: func(w http.ResponseWriter, r *http.Request, operation string) error {
			served, ok := operations[operation]
			if !ok {
				return refuse(unknownOperation, "%s %s (query protocol) is not served here; %s", signedFor(r), operation, whatIsServed)
			}
			for _, name := range slices.Sorted(maps.Keys(r.Form)) {
				if name != "Action" && name != "Version" && !slices.Contains(served.parameters, name) {
					return refuse("ValidationError", "the local AWS does not serve the parameter %s of %s %s", name, signedFor(r), operation)
				}
			}
			answer, err := served.answer(w, r)
			if err != nil {
				return err
			}
			return writeXML(w, http.StatusOK, answer)
		},
		refuse:    refuseQuery,
		throttled: refusal{Code: "Throttling", Message: "Rate exceeded (injected fault)"},
		failed:    refusal{Status: http.StatusInternalServerError, Code: "InternalFailure", Message: "internal failure (injected fault)"},
	}
}

// An identity is the answer of GetCallerIdentity: every caller is the
// account's root user, because every caller may do everything.
type identity struct {
	XMLName   xml.Name `xml:"GetCallerIdentityResponse"`
	Namespace string   `xml:"xmlns,attr"`
	ARN       string   `xml:"GetCallerIdentityResult>Arn"`
	UserID    string   `xml:"GetCallerIdentityResult>UserId"`
	Account   string   `xml:"GetCallerIdentityResult>Account"`
	RequestID string   `xml:"ResponseMetadata>RequestId"`
}

func newIdentity(w http.ResponseWriter) identity {
	return identity{
		Namespace: stsNamespace, ARN: "arn:aws:iam::" + Account + ":root", UserID: Account, Account: Account, RequestID: requestID(w),
	}
}

type queryError struct {
	XMLName   xml.Name `xml:"ErrorResponse"`
	Namespace string   `xml:"xmlns,attr,omitempty"`
	Type      string   `xml:"Error>Type"`
	Code      string   `xml:"Error>Code"`
	Message   string   `xml:"Error>Message"`
	RequestID string   `xml:"RequestId"`
}

// ec2Error is the form of EC2, which has one of its own.
type ec2Error struct {
	XMLName   xml.Name `xml:"Response"`
	Code      string   `xml:"Errors>Error>Code"`
	Message   string   `xml:"Errors>Error>Message"`
	RequestID string   `xml:"RequestID"`
}

func refuseQuery(w http.ResponseWriter, r *http.Request, no *refusal) {
	status, id := max(no.Status, http.StatusBadRequest), requestID(w)
	if signedFor(r) == "ec2" {
		_ = writeXML(w, status, ec2Error{Code: no.Code, Message: no.Message, RequestID: id})
		return
	}
	answer := queryError{Type: "Sender", Code: no.Code, Message: no.Message, RequestID: id}
	if status >= http.StatusInternalServerError {
		answer.Type = "Receiver"
	}
	switch signedFor(r) {
	case "sts":
		answer.Namespace = stsNamespace
	case "cloudformation":
		answer.Namespace = stacksNamespace
	case "monitoring":
		answer.Namespace = watchNamespace
	case "sns":
		answer.Namespace = topicsNamespace
	}
	_ = writeXML(w, status, answer)
}
