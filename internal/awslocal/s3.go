package awslocal

import (
	"encoding/xml"
	"net/http"
	"slices"
	"strings"
)

// errNoSuchBucket and its kin are S3's documented errors.
var (
	errNoSuchBucket = &refusal{Status: 404, Code: "NoSuchBucket", Message: "The specified bucket does not exist"}
	errNoSuchKey    = &refusal{Status: 404, Code: "NoSuchKey", Message: "The specified key does not exist."}
	errPrecondition = &refusal{Status: 412, Code: "PreconditionFailed", Message: "At least one of the pre-conditions you specified did not hold"}
	errNotModified  = &refusal{Status: 304, Code: "NotModified", Message: "Not Modified"}
)

// A place is what a path names.
type place struct{ bucket, key string }

func placeOf(r *http.Request) place {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return place{bucket, key}
}

// level says what kind of thing a place is.
func (p place) level() string {
	switch {
	case p.bucket == "":
		return "Service"
	case p.key == "":
		return "Bucket"
	}
	return "Object"
}

type s3Operation func(w http.ResponseWriter, r *http.Request, at place) error

func (o *objects) service() service {
	served := map[string]s3Operation{
		"ListBuckets": o.listBuckets, "CreateBucket": o.createBucket, "HeadBucket": o.headBucket, "GetBucketLocation": o.location,
		"ListObjectsV2": o.list, "PutObject": o.put, "GetObject": o.get, "HeadObject": o.get, "DeleteObject": o.delete,
		"PutObjectTagging": o.putTagging, "GetObjectTagging": o.getTagging, "DeleteObjectTagging": o.deleteTagging,
	}
	return service{
		name: "s3", operation: s3Name, refuse: refuseXML,
		throttled: refusal{Status: 503, Code: "SlowDown", Message: "Please reduce your request rate. (injected fault)"},
		failed:    refusal{Status: 500, Code: "InternalError", Message: "We encountered an internal error. Please try again. (injected fault)"},
		serve: func(w http.ResponseWriter, r *http.Request, operation string) error {
			run, ok := served[operation]
			if !ok {
				return &refusal{Status: 501, Code: "NotImplemented", Message: "the local AWS does not serve s3 " + operation + "; it serves " + list(served)}
			}
			if name := unservedHeader(r.Header, operation); name != "" {
				return &refusal{Status: 501, Code: "NotImplemented", Message: "the local AWS does not serve the header " + name + " of s3 " + operation}
			}
			if r.URL.Query().Has("partNumber") {
				return &refusal{Status: 501, Code: "NotImplemented", Message: "the local AWS does not serve the parameter partNumber of s3 " + operation}
			}
			w.Header().Set("X-Amz-Request-Id", w.Header().Get("X-Amzn-Requestid"))
			return run(w, r, placeOf(r))
		},
	}
}

// s3Names are the operations by method, level and sub-resource.
var s3Names = map[string]string{
	"GET Service": "ListBuckets", "GET Bucket": "ListObjects", "GET Bucket list-type": "ListObjectsV2", "PUT Bucket": "CreateBucket",
	"HEAD Object": "HeadObject", "PUT Object x-amz-copy-source": "CopyObject", "GET Bucket versions": "ListObjectVersions",
	"POST Object uploads": "CreateMultipartUpload", "PUT Object uploadId": "UploadPart", "POST Object uploadId": "CompleteMultipartUpload",
	"DELETE Object uploadId": "AbortMultipartUpload", "GET Object uploadId": "ListParts", "GET Bucket uploads": "ListMultipartUploads",
	"POST Bucket delete": "DeleteObjects",
}

// plainParameters choose no operation; partNumber is refused where it is not
// of an upload.
var plainParameters = []string{"x-id", "prefix", "delimiter", "max-keys", "continuation-token", "start-after", "encoding-type", "fetch-owner", "partNumber"}

// s3Name names the operation that a request asks for, served or not. AWS names
// most of them by verb, level and sub-resource: GetBucketAcl.
func s3Name(r *http.Request) string {
	query := r.URL.Query()
	sub := ""
	for name := range query {
		if !slices.Contains(plainParameters, name) && !strings.HasPrefix(name, "X-Amz-") && (sub == "" || name < sub) {
			sub = name
		}
	}
	if r.Header.Get("X-Amz-Copy-Source") != "" {
		sub = "x-amz-copy-source"
	}
	level := placeOf(r).level()
	if name, ok := s3Names[strings.TrimSpace(r.Method+" "+level+" "+sub)]; ok {
		return name
	}
	name := r.Method[:1] + strings.ToLower(r.Method[1:]) + level
	for part := range strings.SplitSeq(sub, "-") {
		if part != "" {
			name += strings.ToUpper(part[:1]) + part[1:]
		}
	}
	return name
}

// servedHeaders are the x-amz headers that mean something here, or that are
// of the transport only.
var servedHeaders = []string{
	"X-Amz-Date", "X-Amz-Content-Sha256", "X-Amz-Security-Token", "X-Amz-User-Agent", "X-Amz-Sdk-Checksum-Algorithm", trailerHeader,
	checksumHeader + "Mode", checksumHeader + "Type", checksumHeader + "Algorithm",
	"X-Amz-Decoded-Content-Length", "X-Amz-Te", "X-Amz-Target",
}

func unservedHeader(h http.Header, operation string) string {
	for name := range h {
		served := name == taggingHeader && operation == "PutObject" || strings.HasPrefix(name, metadataHeader) || slices.Contains(servedHeaders, name) ||
			checksums[strings.TrimPrefix(name, checksumHeader)] != nil
		if strings.HasPrefix(name, "X-Amz-") && !served || name == "If-Modified-Since" || name == "If-Unmodified-Since" {
			return name
		}
	}
	return ""
}

type s3Error struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string
	Message   string
	Resource  string
	RequestID string `xml:"RequestId"`
}

func refuseXML(w http.ResponseWriter, r *http.Request, no *refusal) {
	status := max(no.Status, http.StatusBadRequest)
	if no.Status == http.StatusNotModified {
		status = no.Status
	}
	if r.Method == http.MethodHead || status == http.StatusNotModified {
		w.WriteHeader(status)
		return
	}
	_ = writeXML(w, status, s3Error{Code: no.Code, Message: no.Message, Resource: r.URL.Path, RequestID: w.Header().Get("X-Amzn-Requestid")})
}

func writeXML(w http.ResponseWriter, status int, v any) error {
	body, err := xml.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = w.Write(append([]byte(xml.Header), body...))
	return nil
}
