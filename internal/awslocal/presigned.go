package awslocal

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	presignedDate = "20060102T150405Z"
	maxPresigned  = 7 * 24 * time.Hour
	maxSkew       = 15 * time.Minute // how far ahead of this clock a signature's time may be
)

// signatureParameters are what a presigned URL must have.
var signatureParameters = []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Expires"}

// checkSigned refuses what is signed in a way that is not served, and what was
// presigned for another time than now. The signature itself is not checked.
func checkSigned(r *http.Request, now time.Time) error {
	q := r.URL.Query()
	if strings.HasPrefix(r.Header.Get("Authorization"), "AWS ") || q.Has("AWSAccessKeyId") {
		return notServed("signature version 2 (AWSAccessKeyId, Signature and Expires) of s3; sign with version 4 (boto3: Config(signature_version=\"s3v4\"))")
	}
	if !slices.ContainsFunc(signatureParameters, q.Has) {
		return nil
	}
	wrong := func(message string) error { return refuse("AuthorizationQueryParametersError", "%s", message) }
	for _, name := range signatureParameters {
		if q.Get(name) == "" {
			return wrong("Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
		}
	}
	seconds, err := strconv.Atoi(q.Get("X-Amz-Expires"))
	lasts := time.Duration(seconds) * time.Second
	at, badDate := time.Parse(presignedDate, q.Get("X-Amz-Date"))
	switch {
	case q.Get("X-Amz-Algorithm") != "AWS4-HMAC-SHA256":
		return wrong(`X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"`)
	case err != nil:
		return wrong("X-Amz-Expires should be a number")
	case seconds < 0:
		return wrong("X-Amz-Expires must be non-negative")
	case seconds > int(maxPresigned/time.Second):
		return wrong("X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds")
	case badDate != nil:
		return wrong(`X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`)
	case now.After(at.Add(lasts)):
		return &refusal{Status: http.StatusForbidden, Code: "AccessDenied", Message: "Request has expired"}
	case now.Before(at.Add(-maxSkew)):
		return &refusal{Status: http.StatusForbidden, Code: "AccessDenied", Message: "Request is not yet valid"}
	}
	return nil
}

// hoisted returns a request whose x-amz parameters are headers, as S3 reads
// them: SDKs move headers into the query of what they presign.
func hoisted(r *http.Request) *http.Request {
	q, headers := r.URL.Query(), r.Header.Clone()
	for name, values := range q {
		if header := http.CanonicalHeaderKey(name); strings.HasPrefix(header, "X-Amz-") {
			q.Del(name)
			if header != "X-Amz-Security-Token" && !slices.ContainsFunc(signatureParameters, func(s string) bool { return strings.EqualFold(s, name) }) {
				headers[header] = append(headers[header], values...)
			}
		}
	}
	out := r.Clone(r.Context())
	out.Header, out.URL.RawQuery = headers, q.Encode()
	return out
}
