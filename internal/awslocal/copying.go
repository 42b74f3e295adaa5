package awslocal

import (
	"crypto/md5" //nolint:gosec // S3's ETag
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	copySource        = "X-Amz-Copy-Source"
	metadataDirective = "X-Amz-Metadata-Directive"
	fullObject        = "FULL_OBJECT"
	composite         = "COMPOSITE"
)

// sourceOf finds the object that a request copies, and opens it, if the
// request's conditions on it hold.
func (o *objects) sourceOf(h http.Header) (from place, found *object, body io.ReadSeekCloser, err error) {
	path, version, _ := strings.Cut(h.Get(copySource), "?")
	if version != "" {
		return place{}, nil, nil, notServed("the versionId of the header " + copySource + " of s3")
	}
	plain, err := url.PathUnescape(path)
	bucket, key, ok := strings.Cut(strings.TrimPrefix(plain, "/"), "/")
	if err != nil || !ok || bucket == "" || key == "" {
		return place{}, nil, nil, refuse("InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
	}
	from = place{bucket, key}
	found, body, err = o.find(from)
	if err != nil {
		return place{}, nil, nil, err
	}
	match, none := h.Get(copySource+"-If-Match"), h.Get(copySource+"-If-None-Match")
	if match != "" && !matches(match, found.etag) || none != "" && matches(none, found.etag) {
		_ = body.Close()
		return place{}, nil, nil, errPrecondition
	}
	return from, found, body, nil
}

// replaces says whether a directive asks for what the request brings, rather
// than for what the source has.
func replaces(h http.Header, directive string) (bool, error) {
	switch v := h.Get(directive); v {
	case "", "COPY":
		return false, nil
	case "REPLACE":
		return true, nil
	default:
		return false, refuse("InvalidArgument", "Unknown directive %s of the header %s: it must be COPY or REPLACE", v, directive)
	}
}

type copyResult struct {
	XMLName      xml.Name
	LastModified string
	ETag         string
	checksumElements
}

// copy serves CopyObject.
func (o objectCalls) copy(w http.ResponseWriter, r *http.Request, at place) error {
	newHeaders, err := replaces(r.Header, metadataDirective)
	if err != nil {
		return err
	}
	newTags, err := replaces(r.Header, taggingHeader+"-Directive")
	if err != nil {
		return err
	}
	headers, tags, err := brought(at, r.Header)
	if err != nil {
		return err
	}
	algorithm, err := algorithmOf(r.Header)
	if err != nil {
		return err
	}
	from, found, body, err := o.sourceOf(r.Header)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	if from == at && !newHeaders {
		return refuse("InvalidRequest", "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	if !newHeaders {
		headers = found.headers
	}
	if !newTags {
		tags = found.tags
	}
	if algorithm == "" {
		algorithm = found.algorithm()
	}
	made, sums, err := o.spoolSummed(body, algorithm)
	if err != nil {
		return err
	}
	copied := &object{blob: made, etag: sums.etag(), headers: headers, checksum: sums.headers(), tags: tags}
	unneeded, err := o.store(at, copied, r.Header)
	if err != nil {
		made.remove()
		return err
	}
	if err := o.settle(unneeded); err != nil {
		return err
	}
	return writeXML(w, http.StatusOK, copyResult{
		XMLName: xml.Name{Local: "CopyObjectResult"}, LastModified: copied.modified.UTC().Format(s3Time), ETag: copied.etag, checksumElements: elementsOf(copied.checksum),
	})
}

// algorithm is the one of the object's checksum.
func (o *object) algorithm() string {
	for name := range checksums {
		if o.checksum.Get(checksumHeader+name) != "" {
			return name
		}
	}
	return defaultChecksum
}

// algorithmOf reads the algorithm that a request asks for, "" if none.
func algorithmOf(h http.Header) (string, error) {
	asked := h.Get(checksumHeader + "Algorithm")
	for name := range checksums {
		if strings.EqualFold(name, asked) {
			return name, nil
		}
	}
	if asked != "" {
		return "", refuse("InvalidRequest", "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256], not %s", asked)
	}
	return "", nil
}

// sums are the digests of bytes that are already here.
type sums struct {
	algorithm string
	md5, sum  hash.Hash
}

// spoolSummed keeps what is read, under no key yet, with its digests.
func (o *objects) spoolSummed(r io.Reader, algorithm string) (blob, sums, error) {
	s := sums{algorithm: algorithm, md5: md5.New(), sum: checksums[algorithm]()} //nolint:gosec // as above
	made, err := o.spool(io.TeeReader(r, io.MultiWriter(s.md5, s.sum)))
	return made, s, err
}

func (s sums) etag() string { return `"` + hex.EncodeToString(s.md5.Sum(nil)) + `"` }

func (s sums) checksum() string { return base64.StdEncoding.EncodeToString(s.sum.Sum(nil)) }

func (s sums) headers() http.Header {
	h := http.Header{}
	h.Set(checksumHeader+s.algorithm, s.checksum())
	h.Set(checksumHeader+"Type", fullObject)
	return h
}

// checksumElements are a checksum in a document; at most one has a value.
type checksumElements struct {
	ChecksumCRC32     string `xml:",omitempty"`
	ChecksumCRC32C    string `xml:",omitempty"`
	ChecksumCRC64NVME string `xml:",omitempty"`
	ChecksumSHA1      string `xml:",omitempty"`
	ChecksumSHA256    string `xml:",omitempty"`
	ChecksumType      string `xml:",omitempty"`
}

func elementsOf(h http.Header) checksumElements {
	get := func(name string) string { return h.Get(checksumHeader + name) }
	return checksumElements{
		ChecksumCRC32: get("Crc32"), ChecksumCRC32C: get("Crc32c"), ChecksumCRC64NVME: get("Crc64nvme"),
		ChecksumSHA1: get("Sha1"), ChecksumSHA256: get("Sha256"), ChecksumType: get("Type"),
	}
}

// by returns the checksum of an algorithm.
func (e checksumElements) by(algorithm string) string {
	return map[string]string{
		"Crc32": e.ChecksumCRC32, "Crc32c": e.ChecksumCRC32C, "Crc64nvme": e.ChecksumCRC64NVME, "Sha1": e.ChecksumSHA1, "Sha256": e.ChecksumSHA256,
	}[algorithm]
}

// checksumNames are the elements that a document may have.
var checksumNames = []string{"ChecksumCRC32", "ChecksumCRC32C", "ChecksumCRC64NVME", "ChecksumSHA1", "ChecksumSHA256"}

const maxDeletes = 1000 // keys of one DeleteObjects

type deletion struct {
	Quiet   bool
	Objects []struct{ Key, ETag string } `xml:"Object"`
}

type deletedKey struct{ Key string }

type deleteFault struct{ Key, Code, Message string }

type deleteResult struct {
	XMLName   xml.Name `xml:"DeleteResult"`
	Namespace string   `xml:"xmlns,attr"`
	Deleted   []deletedKey
	Error     []deleteFault
}

// deleteMany serves DeleteObjects: what cannot be deleted does not stop the rest.
func (o objectCalls) deleteMany(w http.ResponseWriter, r *http.Request, at place) error {
	var asked deletion
	if err := checkedDocument(r, "DeleteObjects", &asked, "Delete", "Object", "Key", "ETag", "Quiet"); err != nil {
		return err
	}
	if len(asked.Objects) == 0 || len(asked.Objects) > maxDeletes {
		return errMalformedXML
	}
	if !o.has(at.bucket) {
		return errNoSuchBucket
	}
	answer := deleteResult{Namespace: s3Namespace}
	var unneeded []blob
	for _, each := range asked.Objects {
		condition := http.Header{}
		if each.ETag != "" {
			condition.Set("If-Match", each.ETag)
		}
		body, err := o.erase(place{at.bucket, each.Key}, condition)
		unneeded = append(unneeded, body)
		no, refused := err.(*refusal) //nolint:errorlint // erase wraps none
		switch {
		case refused:
			answer.Error = append(answer.Error, deleteFault{each.Key, no.Code, no.Message})
		case err != nil:
			return err
		case !asked.Quiet:
			answer.Deleted = append(answer.Deleted, deletedKey{each.Key})
		}
	}
	if err := o.settle(unneeded...); err != nil {
		return err
	}
	return writeXML(w, http.StatusOK, answer)
}

func (o *objects) has(bucket string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buckets[bucket] != nil
}

// partRange reads the range of a source that becomes a part; none is all of it.
func partRange(header string, size int64) (first, length int64, err error) {
	if header == "" {
		return 0, size, nil
	}
	m := rangeSyntax.FindStringSubmatch(header)
	if m == nil || m[1] == "" || m[2] == "" {
		return 0, 0, refuse("InvalidArgument", "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
	}
	first, length, _, err = rangeOf(header, size)
	if last, bad := strconv.ParseInt(m[2], 10, 64); err != nil || bad != nil || last >= size {
		return 0, 0, refuse("InvalidArgument", "Range specified is not valid for source object of size: %d", size)
	}
	return first, length, nil
}
