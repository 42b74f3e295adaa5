package awslocal

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// errNoSuchBucket and those below are S3's documented errors.
var (
	errNoSuchBucket = &refusal{Status: 404, Code: "NoSuchBucket", Message: "The specified bucket does not exist"}
	errNoSuchKey    = &refusal{Status: 404, Code: "NoSuchKey", Message: "The specified key does not exist."}
	errPrecondition = &refusal{Status: 412, Code: "PreconditionFailed", Message: "At least one of the pre-conditions you specified did not hold"}
	errMalformedXML = refuse("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
	errNotModified  = &refusal{Status: 304, Code: "NotModified", Message: "Not Modified"}
)

// maxDocument caps a body that is XML; a list of 10,000 parts with checksums fits.
const maxDocument = 4 << 20

// A place is what a path names.
type place struct{ bucket, key string }

func placeOf(r *http.Request) place { return placeIn(strings.TrimPrefix(r.URL.Path, "/")) }

func placeIn(path string) place {
	bucket, key, _ := strings.Cut(path, "/")
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

// An s3Call is an operation that is served, with the parameters and the
// headers that mean something to it.
type s3Call struct {
	run        s3Operation
	parameters []string
	headers    []string
}

// Headers that several operations have.
var (
	conditions  = []string{"If-Match", "If-None-Match"}
	sourceNames = []string{copySource, copySource + "-If-Match", copySource + "-If-None-Match"}
	listNames   = []string{"prefix", "delimiter", "max-keys", "encoding-type"}
)

func (o *objects) calls() map[string]s3Call {
	buckets, single, uploads := bucketCalls{o}, objectCalls{o}, uploadCalls{o}
	part := []string{"uploadId", "partNumber"}
	tagged := []string{"tagging"}
	return map[string]s3Call{
		"ListBuckets":       {run: buckets.all, parameters: []string{"prefix", "max-buckets", "continuation-token"}},
		"CreateBucket":      {run: buckets.create},
		"HeadBucket":        {run: buckets.head},
		"DeleteBucket":      {run: buckets.delete},
		"GetBucketLocation": {run: buckets.location, parameters: []string{"location"}},
		"ListObjects":       {run: buckets.list, parameters: append(listNames, "marker")},
		"ListObjectsV2":     {run: buckets.listV2, parameters: append(listNames, "list-type", "continuation-token", "start-after", "fetch-owner")},

		"PutObject":     {run: single.put, headers: append(conditions, taggingHeader, checksumHeader+"Algorithm", checksumHeader+"Type")},
		"GetObject":     {run: single.get, headers: append(conditions, checksumHeader+"Mode")},
		"HeadObject":    {run: single.get, headers: append(conditions, checksumHeader+"Mode")},
		"DeleteObject":  {run: single.delete, headers: conditions},
		"DeleteObjects": {run: single.deleteMany, parameters: []string{"delete"}},
		"CopyObject": {run: single.copy, headers: slices.Concat(conditions, sourceNames, []string{
			metadataDirective, taggingHeader, taggingHeader + "-Directive", checksumHeader + "Algorithm",
		})},
		"PutObjectTagging":    {run: single.putTagging, parameters: tagged},
		"GetObjectTagging":    {run: single.getTagging, parameters: tagged},
		"DeleteObjectTagging": {run: single.deleteTagging, parameters: tagged},

		"CreateMultipartUpload": {run: uploads.create, parameters: []string{"uploads"}, headers: []string{taggingHeader, checksumHeader + "Algorithm", checksumHeader + "Type"}},
		"UploadPart":            {run: uploads.put, parameters: part},
		"UploadPartCopy":        {run: uploads.copy, parameters: part, headers: append(sourceNames, copySource+"-Range")},
		"CompleteMultipartUpload": {
			run: uploads.complete, parameters: []string{"uploadId"}, headers: append(conditions, checksumHeader+"Type", "X-Amz-Mp-Object-Size"),
		},
		"AbortMultipartUpload": {run: uploads.abort, parameters: []string{"uploadId"}},
		"ListParts":            {run: uploads.parts, parameters: []string{"uploadId", "max-parts", "part-number-marker"}},
		"ListMultipartUploads": {run: uploads.list, parameters: []string{"uploads", "prefix", "max-uploads", "key-marker", "upload-id-marker", "encoding-type"}},
	}
}

func (o *objects) service() service {
	served := o.calls()
	return service{
		name: "s3", operation: s3Name, refuse: refuseXML,
		throttled: refusal{Status: 503, Code: "SlowDown", Message: "Please reduce your request rate. (injected fault)"},
		failed:    refusal{Status: 500, Code: "InternalError", Message: "We encountered an internal error. Please try again. (injected fault)"},
		serve: func(w http.ResponseWriter, r *http.Request, operation string) error {
			if err := checkSigned(r, o.now()); err != nil {
				return err
			}
			call, ok := served[operation]
			if !ok {
				return notServed("s3 " + operation + "; it serves " + list(served))
			}
			r = hoisted(r)
			if err := call.unserved(r, operation); err != nil {
				return err
			}
			w.Header().Set("X-Amz-Request-Id", w.Header().Get("X-Amzn-Requestid"))
			return call.run(w, r, placeOf(r))
		},
	}
}

func notServed(what string) error {
	return &refusal{Status: http.StatusNotImplemented, Code: "NotImplemented", Message: "the local AWS does not serve " + what}
}

// s3Names are the operations by method, level and sub-resource.
var s3Names = map[string]string{
	"GET Service": "ListBuckets", "GET Bucket": "ListObjects", "GET Bucket list-type": "ListObjectsV2", "PUT Bucket": "CreateBucket",
	"HEAD Object": "HeadObject", "PUT Object x-amz-copy-source": "CopyObject", "GET Bucket versions": "ListObjectVersions",
	"POST Object uploads": "CreateMultipartUpload", "PUT Object uploadId": "UploadPart", "POST Object uploadId": "CompleteMultipartUpload",
	"DELETE Object uploadId": "AbortMultipartUpload", "GET Object uploadId": "ListParts", "GET Bucket uploads": "ListMultipartUploads",
	"POST Bucket delete": "DeleteObjects", "POST Bucket": "PostObject",
}

// subResources are the parameters that choose an operation; every other one
// belongs to the operation that is chosen.
var subResources = []string{
	"abac", "accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption", "intelligent-tiering", "inventory", "legal-hold",
	"lifecycle", "list-type", "location", "logging", "metadataConfiguration", "metadataTable", "metrics", "notification", "object-lock",
	"ownershipControls", "policy", "policyStatus", "publicAccessBlock", "renameObject", "replication", "requestPayment", "restore", "retention",
	"select", "session", "tagging", "torrent", "uploadId", "uploads", "versioning", "versions", "website",
}

// s3Name names the operation that a request asks for, served or not. AWS names
// most of them by verb, level and sub-resource: GetBucketAcl.
func s3Name(r *http.Request) string {
	query := r.URL.Query()
	sub := ""
	if i := slices.IndexFunc(subResources, query.Has); i >= 0 {
		sub = subResources[i]
	}
	if r.Header.Get(copySource) != "" || query.Has(strings.ToLower(copySource)) {
		if sub == "uploadId" {
			return "UploadPartCopy"
		}
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

// transportHeaders are of the transport, or of the body's checksum.
var transportHeaders = []string{
	"X-Amz-Date", "X-Amz-Content-Sha256", "X-Amz-Security-Token", "X-Amz-User-Agent", "X-Amz-Sdk-Checksum-Algorithm", trailerHeader,
	"X-Amz-Decoded-Content-Length", "X-Amz-Te", "X-Amz-Target",
}

// metadataKeepers are the operations that keep X-Amz-Meta headers.
var metadataKeepers = []string{"PutObject", "CopyObject", "CreateMultipartUpload"}

// unserved refuses the parameters and the headers that mean nothing to a call.
func (c s3Call) unserved(r *http.Request, operation string) error {
	for _, name := range slices.Sorted(maps.Keys(r.URL.Query())) {
		if name != "x-id" && !slices.Contains(c.parameters, name) {
			return notServed("the parameter " + name + " of s3 " + operation)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		isServed := slices.Contains(c.headers, name) || slices.Contains(transportHeaders, name) ||
			strings.HasPrefix(name, metadataHeader) && slices.Contains(metadataKeepers, operation) ||
			checksums[strings.TrimPrefix(name, checksumHeader)] != nil
		if !isServed && (strings.HasPrefix(name, "X-Amz-") || slices.Contains(httpConditions, name)) {
			return notServed("the header " + name + " of s3 " + operation)
		}
	}
	return nil
}

var httpConditions = []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"}

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
	_, _ = w.Write(append([]byte(xml.Header), body...)) //nolint:gosec // XML, in which Marshal has escaped everything
	return nil
}

// document reads a body that is XML into v, and refuses what it has beside the
// elements that an operation serves. No body leaves v as it is.
func document(r *http.Request, operation string, v any, elements ...string) error {
	return readDocument(r, operation, v, false, elements)
}

// checkedDocument is document for operations whose body must bring a digest.
func checkedDocument(r *http.Request, operation string, v any, elements ...string) error {
	return readDocument(r, operation, v, true, elements)
}

func readDocument(r *http.Request, operation string, v any, needsDigest bool, elements []string) error {
	p, err := newPayload(r, defaultChecksum)
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(io.LimitReader(p, maxDocument+1))
	switch {
	case err != nil:
		return err
	case len(raw) > maxDocument:
		return refuse("EntityTooLarge", "The document of s3 %s is above %d bytes", operation, maxDocument)
	case needsDigest && !p.named && r.Header.Get("Content-Md5") == "":
		return refuse("InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	}
	if err := p.check(); err != nil || len(raw) == 0 && !needsDigest {
		return err
	}
	return decode(raw, operation, v, elements)
}

func decode(raw []byte, operation string, v any, served []string) error {
	for decoder := xml.NewDecoder(bytes.NewReader(raw)); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return errMalformedXML
		}
		if start, ok := token.(xml.StartElement); ok && !slices.Contains(served, start.Name.Local) {
			return notServed("the element " + start.Name.Local + " of s3 " + operation)
		}
	}
	if xml.NewDecoder(bytes.NewReader(raw)).Decode(v) != nil {
		return errMalformedXML
	}
	return nil
}
