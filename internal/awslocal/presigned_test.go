package awslocal_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"hikyaku/internal/awslocal"
)

func TestPresignedAddressesEnd(t *testing.T) {
	t.Parallel()
	now := time.Now()
	a := start(t, awslocal.Options{Now: func() time.Time { return now }})
	ok(t, "put", putText(a, t, "k", "body"))
	signed, err := s3.NewPresignClient(s3Client(a)).PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(awslocal.Bucket), Key: aws.String("k")}, s3.WithPresignExpires(time.Hour))
	ok(t, "presign", err)
	get := func(change func(url.Values)) (int, string) {
		address, err := url.Parse(signed.URL)
		ok(t, "parse", err)
		q := address.Query()
		change(q)
		address.RawQuery = q.Encode()
		answer, body := do(t, request(t, http.MethodGet, address.String()))
		return answer.StatusCode, body
	}
	same := func(url.Values) {}
	for after, want := range map[time.Duration]string{0: "body", 59 * time.Minute: "body", 61 * time.Minute: "Request has expired", -16 * time.Minute: "Request is not yet valid"} {
		now = time.Now().Add(after)
		status, body := get(same)
		equal(t, after.String()+body, status, map[bool]int{true: 200, false: 403}[want == "body"])
		equal(t, after.String()+body, strings.Contains(body, want), true)
	}
	now = time.Now()
	for _, c := range []struct{ name, value, code, says string }{
		{"X-Amz-Expires", "604801", "AuthorizationQueryParametersError", "less than a week"},
		{"X-Amz-Expires", "-1", "AuthorizationQueryParametersError", "non-negative"},
		{"X-Amz-Expires", "soon", "AuthorizationQueryParametersError", "a number"},
		{"X-Amz-Expires", "", "AuthorizationQueryParametersError", "requires"},
		{"X-Amz-Date", "today", "AuthorizationQueryParametersError", "ISO8601"},
		{"X-Amz-Algorithm", "AWS4-ECDSA-P256-SHA256", "AuthorizationQueryParametersError", "AWS4-HMAC-SHA256"},
		{"response-content-type", "text/css", "NotImplemented", "the parameter response-content-type of s3 GetObject"},
		{"X-Amz-Request-Payer", "requester", "NotImplemented", "the header X-Amz-Request-Payer of s3 GetObject"},
		{"versionId", "1", "NotImplemented", "the parameter versionId of s3 GetObject"},
	} {
		_, body := get(func(q url.Values) { q.Set(c.name, c.value) })
		equal(t, c.name+": "+body, strings.Contains(body, "<Code>"+c.code+"</Code>") && strings.Contains(body, c.says), true)
	}
}

// SDKs move headers into a presigned address, where they mean the same.
func TestHeadersInPresignedAddresses(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	signed, err := s3.NewPresignClient(s3Client(a)).PresignPutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(awslocal.Bucket), Key: aws.String("k"), Metadata: map[string]string{"run": "1"}, Tagging: aws.String("team=shop"),
	})
	ok(t, "presign", err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, signed.URL, strings.NewReader("body"))
	ok(t, "request", err)
	for name, values := range signed.SignedHeader {
		r.Header[name] = values
	}
	answer, body := do(t, r)
	equal(t, body, answer.StatusCode, 200)
	got, text, err := getText(t, a, &s3.GetObjectInput{Key: aws.String("k")})
	ok(t, "get", err)
	equal(t, "kept", text+got.Metadata["run"]+fmt.Sprint(*got.TagCount), "body11")
}

func TestTheOlderSignatureIsRefusedByName(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	ok(t, "put", putText(a, t, "k", "body"))
	inQuery := request(t, http.MethodGet, a.URL+"/hikyaku/k?AWSAccessKeyId=local&Signature=x&Expires=1")
	inHeader := request(t, http.MethodGet, a.URL+"/hikyaku/k")
	inHeader.Header.Set("Authorization", "AWS local:x")
	for _, r := range []*http.Request{inQuery, inHeader} {
		answer, body := do(t, r)
		equal(t, body, answer.StatusCode, http.StatusNotImplemented)
		equal(t, body, strings.Contains(body, "signature version 2"), true)
	}
}
