package awslocal

import (
	"encoding/xml"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// storedHeaders are kept with an object, beside its metadata.
var storedHeaders = []string{"Content-Type", "Content-Encoding", "Content-Disposition", "Content-Language", "Cache-Control", "Expires"}

const (
	metadataHeader = "X-Amz-Meta-"
	maxMetadata    = 2048 // bytes of names and values
	maxKey         = 1024 // bytes
)

// kept picks the headers that an object keeps.
func kept(h http.Header) (http.Header, error) {
	headers, size := http.Header{}, 0
	for _, name := range storedHeaders {
		if v := h.Get(name); v != "" {
			headers.Set(name, v)
		}
	}
	headers.Del("Content-Encoding")
	if coding := keptCoding(h); coding != "" {
		headers.Set("Content-Encoding", coding)
	}
	if headers.Get("Content-Type") == "" {
		headers.Set("Content-Type", "binary/octet-stream")
	}
	for name, values := range h {
		if strings.HasPrefix(name, metadataHeader) {
			value := strings.Join(values, ",")
			headers[strings.ToLower(name)] = []string{value} // as S3 writes it: some clients keep the case
			size += len(name) - len(metadataHeader) + len(value)
		}
	}
	if size > maxMetadata {
		return nil, refuse("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size")
	}
	return headers, nil
}

// keptCoding is the Content-Encoding without aws-chunked, which is of the
// transport; SDKs put it first or last.
func keptCoding(h http.Header) string {
	codings := strings.Split(strings.Join(h.Values("Content-Encoding"), ","), ",")
	codings = slices.DeleteFunc(codings, func(c string) bool { return strings.EqualFold(strings.TrimSpace(c), "aws-chunked") })
	return strings.TrimSpace(strings.Join(codings, ","))
}

func (o *objects) put(w http.ResponseWriter, r *http.Request, at place) error {
	if len(at.key) > maxKey {
		return refuse("KeyTooLongError", "Your key is too long")
	}
	headers, err := kept(r.Header)
	if err != nil {
		return err
	}
	tags, err := headerTags(r.Header)
	if err != nil {
		return err
	}
	p, err := newPayload(r)
	if err != nil {
		return err
	}
	body, err := o.spool(p)
	if err != nil {
		return err
	}
	if err := p.check(); err != nil {
		body.remove()
		return err
	}
	made := &object{blob: body, etag: p.etag(), headers: headers, checksum: http.Header{}, tags: tags}
	made.checksum.Set(checksumHeader+p.algorithm, p.checksum())
	made.checksum.Set(checksumHeader+"Type", "FULL_OBJECT")
	if err := o.store(at, made, r.Header); err != nil {
		body.remove()
		return err
	}
	w.Header().Set("Etag", made.etag)
	copyHeaders(w.Header(), made.checksum)
	return nil
}

// get serves GetObject and HeadObject.
func (o *objects) get(w http.ResponseWriter, r *http.Request, at place) error {
	found, body, err := o.find(at)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	h := w.Header()
	h.Set("Etag", found.etag)
	if match := r.Header.Get("If-Match"); match != "" && !matches(match, found.etag) {
		return errPrecondition
	}
	if none := r.Header.Get("If-None-Match"); none != "" && matches(none, found.etag) {
		return errNotModified
	}
	first, length, part, err := rangeOf(r.Header.Get("Range"), found.size)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if part {
		status = http.StatusPartialContent
		h.Set("Content-Range", "bytes "+strconv.FormatInt(first, 10)+"-"+strconv.FormatInt(first+length-1, 10)+"/"+strconv.FormatInt(found.size, 10))
	} else if strings.EqualFold(r.Header.Get(checksumHeader+"Mode"), "ENABLED") {
		copyHeaders(h, found.checksum)
	}
	copyHeaders(h, found.headers)
	if n := len(found.tags); n > 0 {
		h.Set(taggingHeader+"-Count", strconv.Itoa(n))
	}
	h.Set("Accept-Ranges", "bytes")
	h.Set("Last-Modified", found.modified.UTC().Format(http.TimeFormat))
	h.Set("Content-Length", strconv.FormatInt(length, 10))
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	if _, err := body.Seek(first, io.SeekStart); err == nil {
		_, _ = io.CopyN(w, body, length)
	}
	return nil
}

var rangeSyntax = regexp.MustCompile(`^bytes=(\d*)-(\d*)$`)

// rangeOf reads a Range header. As on S3, one that is no single range of
// bytes means the whole object; part says that it is one, if only of them all.
func rangeOf(header string, size int64) (first, length int64, part bool, err error) {
	m := rangeSyntax.FindStringSubmatch(header)
	if m == nil || m[1]+m[2] == "" {
		return 0, size, false, nil
	}
	first, _ = strconv.ParseInt(m[1], 10, 64)
	last, bad := strconv.ParseInt(m[2], 10, 64)
	switch {
	case m[1] == "": // the last bytes
		first, last = max(size-last, 0), size-1
	case bad != nil || last >= size:
		last = size - 1
	}
	if first > last {
		return 0, 0, false, &refusal{Status: 416, Code: "InvalidRange", Message: "The requested range is not satisfiable"}
	}
	return first, last - first + 1, true, nil
}

func (o *objects) delete(w http.ResponseWriter, r *http.Request, at place) error {
	if err := o.erase(at, r.Header); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (o *objects) createBucket(w http.ResponseWriter, _ *http.Request, at place) error {
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`).MatchString(at.bucket) {
		return refuse("InvalidBucketName", "The specified bucket is not valid.")
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.buckets[at.bucket] != nil {
		return &refusal{Status: 409, Code: "BucketAlreadyOwnedByYou", Message: "Your previous request to create the named bucket succeeded and you already own it."}
	}
	o.buckets[at.bucket] = &bucket{created: o.now(), objects: map[string]*object{}}
	w.Header().Set("Location", "/"+at.bucket)
	return nil
}

func (o *objects) headBucket(w http.ResponseWriter, _ *http.Request, at place) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.buckets[at.bucket] == nil {
		return errNoSuchBucket
	}
	w.Header().Set("X-Amz-Bucket-Region", Region)
	return nil
}

func (o *objects) location(w http.ResponseWriter, r *http.Request, at place) error {
	if err := o.headBucket(w, r, at); err != nil {
		return err
	}
	return writeXML(w, http.StatusOK, struct {
		XMLName xml.Name `xml:"LocationConstraint"`
		Region  string   `xml:",chardata"`
	}{Region: Region})
}

func copyHeaders(to, from http.Header) {
	for name, values := range from {
		to[name] = values
	}
}
