package awslocal

import (
	"cmp"
	"io"
	"maps"
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

// brought reads what a request says of an object that it makes under a key.
func brought(at place, h http.Header) (headers http.Header, tags map[string]string, err error) {
	if len(at.key) > maxKey {
		return nil, nil, refuse("KeyTooLongError", "Your key is too long")
	}
	if headers, err = kept(h); err != nil {
		return nil, nil, err
	}
	tags, err = headerTags(h)
	return headers, tags, err
}

// keptCoding is the Content-Encoding without aws-chunked, which is of the
// transport; SDKs put it first or last.
func keptCoding(h http.Header) string {
	codings := strings.Split(strings.Join(h.Values("Content-Encoding"), ","), ",")
	codings = slices.DeleteFunc(codings, func(c string) bool { return strings.EqualFold(strings.TrimSpace(c), "aws-chunked") })
	return strings.TrimSpace(strings.Join(codings, ","))
}

// objectCalls is what is called about single objects.
type objectCalls struct{ *objects }

func (o objectCalls) put(w http.ResponseWriter, r *http.Request, at place) error {
	headers, tags, err := brought(at, r.Header)
	if err != nil {
		return err
	}
	algorithm, err := algorithmOf(r.Header)
	if err != nil {
		return err
	}
	if kind := r.Header.Get(checksumHeader + "Type"); cmp.Or(kind, fullObject) != fullObject {
		return refuse("InvalidRequest", "Value for x-amz-checksum-type header is invalid: an object that is put whole has only FULL_OBJECT, not %s", kind)
	}
	p, err := newPayload(r, cmp.Or(algorithm, defaultChecksum))
	if err != nil {
		return err
	}
	body, err := o.receive(p)
	if err != nil {
		return err
	}
	made := &object{blob: body, etag: p.sums.etag(), headers: headers, checksum: p.sums.headers(), tags: tags}
	unneeded, err := o.store(at, made, r.Header)
	if err != nil {
		body.remove()
		return err
	}
	if err := o.settle(unneeded); err != nil {
		return err
	}
	w.Header().Set("Etag", made.etag)
	copyHeaders(w.Header(), made.checksum)
	return nil
}

// get serves GetObject and HeadObject.
func (o objectCalls) get(w http.ResponseWriter, r *http.Request, at place) error {
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

func (o objectCalls) delete(w http.ResponseWriter, r *http.Request, at place) error {
	unneeded, err := o.erase(at, r.Header)
	if err == nil {
		err = o.settle(unneeded)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func copyHeaders(to, from http.Header) {
	maps.Copy(to, from)
}
