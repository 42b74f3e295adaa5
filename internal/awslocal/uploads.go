package awslocal

import (
	"cmp"
	"encoding/xml"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	maxPart     = 10000   // the highest part number
	minPartSize = 5 << 20 // bytes of every part but the last
)

// An upload is a multipart upload that is neither completed nor aborted.
type upload struct {
	id, key   string
	began     time.Time
	headers   http.Header // of the object to be
	tags      map[string]string
	algorithm string // of the checksums; empty: the client named none
	kind      string // COMPOSITE or FULL_OBJECT

	mu    sync.Mutex
	over  bool // completed, aborted, or gone with its bucket
	parts map[int]*uploadPart
}

type uploadPart struct {
	blob

	sums     sums
	modified time.Time
}

var errNoSuchUpload = &refusal{
	Status: http.StatusNotFound, Code: "NoSuchUpload", Message: "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
}

// discard drops an upload's parts. What still writes to it finds no upload.
func (u *upload) discard() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.end()
}

// end is discard while u.mu is held.
func (u *upload) end() {
	u.over = true
	for _, p := range u.parts {
		p.remove()
	}
	u.parts = nil
}

// set keeps a part in the place of an earlier one with its number.
func (u *upload) set(number int, p *uploadPart) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over {
		p.remove()
		return errNoSuchUpload
	}
	if old := u.parts[number]; old != nil {
		old.remove()
	}
	u.parts[number] = p
	return nil
}

// sumBy is the algorithm of the parts' checksums.
func (u *upload) sumBy() string { return cmp.Or(u.algorithm, defaultChecksum) }

// uploadCalls is what is called about multipart uploads.
type uploadCalls struct{ *objects }

// find returns the upload that a request names.
func (o uploadCalls) find(r *http.Request, at place) (*upload, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b, ok := o.buckets[at.bucket]
	if !ok {
		return nil, errNoSuchBucket
	}
	u := b.uploads[r.URL.Query().Get("uploadId")]
	if u == nil || u.key != at.key {
		return nil, errNoSuchUpload
	}
	return u, nil
}

// forget takes an upload out of its bucket.
func (o uploadCalls) forget(at place, u *upload) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if b := o.buckets[at.bucket]; b != nil {
		delete(b.uploads, u.id)
	}
}

type uploadBegun struct {
	XMLName   xml.Name `xml:"InitiateMultipartUploadResult"`
	Namespace string   `xml:"xmlns,attr"`
	Bucket    string
	Key       string
	UploadID  string `xml:"UploadId"`
}

// create serves CreateMultipartUpload.
func (o uploadCalls) create(w http.ResponseWriter, r *http.Request, at place) error {
	headers, tags, err := brought(at, r.Header)
	if err != nil {
		return err
	}
	u := &upload{id: strings.ReplaceAll(uuid.NewString(), "-", ""), key: at.key, began: o.now(), headers: headers, tags: tags, parts: map[int]*uploadPart{}}
	if u.algorithm, u.kind, err = uploadChecksum(r.Header); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	b, ok := o.buckets[at.bucket]
	if !ok {
		return errNoSuchBucket
	}
	b.uploads[u.id] = u
	if u.algorithm != "" {
		w.Header().Set(checksumHeader+"Algorithm", strings.ToUpper(u.algorithm))
		w.Header().Set(checksumHeader+"Type", u.kind)
	}
	return writeXML(w, http.StatusOK, uploadBegun{Namespace: s3Namespace, Bucket: at.bucket, Key: at.key, UploadID: u.id})
}

// uploadChecksum reads what an upload's checksums are to be: by which
// algorithm, and whether of all bytes or of the parts' checksums.
func uploadChecksum(h http.Header) (algorithm, kind string, err error) {
	if algorithm, err = algorithmOf(h); err != nil {
		return "", "", err
	}
	asked := h.Get(checksumHeader + "Type")
	isSHA := strings.HasPrefix(algorithm, "Sha")
	switch {
	case asked != "" && algorithm == "":
		return "", "", refuse("InvalidRequest", "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
	case asked != "" && asked != fullObject && asked != composite:
		return "", "", refuse("InvalidRequest", "Value for x-amz-checksum-type header is invalid: it must be COMPOSITE or FULL_OBJECT, not %s", asked)
	case asked == fullObject && isSHA, asked == composite && algorithm == defaultChecksum:
		return "", "", refuse("InvalidRequest", "The %s checksum type cannot be used with the %s checksum algorithm.", asked, strings.ToLower(algorithm))
	case asked == "" && (algorithm == "" || algorithm == defaultChecksum):
		return algorithm, fullObject, nil
	}
	return algorithm, cmp.Or(asked, composite), nil
}

// numbered finds the upload of a request and the number of its part.
func (o uploadCalls) numbered(r *http.Request, at place) (*upload, int, error) {
	number, err := strconv.Atoi(r.URL.Query().Get("partNumber"))
	if err != nil || number < 1 || number > maxPart {
		return nil, 0, refuse("InvalidArgument", "Part number must be an integer between 1 and %d, inclusive", maxPart)
	}
	u, err := o.find(r, at)
	return u, number, err
}

// put serves UploadPart.
func (o uploadCalls) put(w http.ResponseWriter, r *http.Request, at place) error {
	u, number, err := o.numbered(r, at)
	if err != nil {
		return err
	}
	p, err := newPayload(r, u.sumBy())
	if err != nil {
		return err
	}
	if err := u.takes(p); err != nil {
		return err
	}
	body, err := o.receive(p)
	if err != nil {
		return err
	}
	made := &uploadPart{blob: body, sums: p.sums, modified: o.now()}
	if err := u.set(number, made); err != nil {
		return err
	}
	w.Header().Set("Etag", made.sums.etag())
	w.Header().Set(checksumHeader+made.sums.algorithm, made.sums.checksum())
	return nil
}

// takes refuses a part whose checksum is of another algorithm than its
// upload's. Only the parts of a checksum over all bytes may come without one.
func (u *upload) takes(p *payload) error {
	expected, actual := strings.ToLower(cmp.Or(u.algorithm, "null")), "null"
	if p.named {
		actual = strings.ToLower(p.sums.algorithm)
	}
	if expected == actual || !p.named && u.kind == fullObject || u.algorithm == "" && p.sums.algorithm == defaultChecksum {
		return nil
	}
	return refuse("InvalidRequest", "Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s", expected, actual)
}

// copy serves UploadPartCopy.
func (o uploadCalls) copy(w http.ResponseWriter, r *http.Request, at place) error {
	u, number, err := o.numbered(r, at)
	if err != nil {
		return err
	}
	_, found, body, err := o.sourceOf(r.Header)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	first, length, err := partRange(r.Header.Get(copySource+"-Range"), found.size)
	if err != nil {
		return err
	}
	if _, err := body.Seek(first, io.SeekStart); err != nil {
		return err
	}
	made := &uploadPart{modified: o.now()}
	if made.blob, made.sums, err = o.spoolSummed(io.LimitReader(body, length), u.sumBy()); err != nil {
		return err
	}
	if err := u.set(number, made); err != nil {
		return err
	}
	checksum := elementsOf(made.sums.headers())
	checksum.ChecksumType = ""
	return writeXML(w, http.StatusOK, copyResult{
		XMLName: xml.Name{Local: "CopyPartResult"}, LastModified: made.modified.UTC().Format(s3Time), ETag: made.sums.etag(), checksumElements: checksum,
	})
}

// abort serves AbortMultipartUpload.
func (o uploadCalls) abort(w http.ResponseWriter, r *http.Request, at place) error {
	u, err := o.find(r, at)
	if err != nil {
		return err
	}
	o.forget(at, u)
	u.discard()
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type listedPart struct {
	PartNumber   int
	LastModified string
	ETag         string
	Size         int64
	checksumElements
}

type partList struct {
	XMLName              xml.Name `xml:"ListPartsResult"`
	Namespace            string   `xml:"xmlns,attr"`
	Bucket               string
	Key                  string
	UploadID             string `xml:"UploadId"`
	Initiator, Owner     owner
	StorageClass         string
	PartNumberMarker     int
	NextPartNumberMarker int
	MaxParts             int
	IsTruncated          bool
	ChecksumAlgorithm    string       `xml:",omitempty"`
	ChecksumType         string       `xml:",omitempty"`
	Parts                []listedPart `xml:"Part"`
}

// number reads a parameter that is one; absent means fallback.
func number(r *http.Request, name string, fallback, most int) (int, error) {
	n, err := strconv.Atoi(cmp.Or(r.URL.Query().Get(name), strconv.Itoa(fallback)))
	if err != nil || n < 0 {
		return 0, refuse("InvalidArgument", "Argument %s must be an integer between 0 and 2147483647", name)
	}
	return min(n, most), nil
}

// parts serves ListParts.
func (o uploadCalls) parts(w http.ResponseWriter, r *http.Request, at place) error {
	u, err := o.find(r, at)
	if err != nil {
		return err
	}
	size, err := number(r, "max-parts", maxKeys, maxKeys)
	if err != nil {
		return err
	}
	after, err := number(r, "part-number-marker", 0, maxPart)
	if err != nil {
		return err
	}
	answer := partList{
		Namespace: s3Namespace, Bucket: at.bucket, Key: at.key, UploadID: u.id, Initiator: owner{Account}, Owner: owner{Account}, StorageClass: "STANDARD",
		PartNumberMarker: after, MaxParts: size,
	}
	if u.algorithm != "" {
		answer.ChecksumAlgorithm, answer.ChecksumType = strings.ToUpper(u.algorithm), u.kind
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, n := range slices.Sorted(maps.Keys(u.parts)) {
		if n <= after {
			continue
		}
		if len(answer.Parts) == size {
			answer.IsTruncated = size > 0
			break
		}
		p := u.parts[n]
		checksum := elementsOf(p.sums.headers())
		checksum.ChecksumType = ""
		answer.NextPartNumberMarker = n
		answer.Parts = append(answer.Parts, listedPart{n, p.modified.UTC().Format(s3Time), p.sums.etag(), p.size, checksum})
	}
	return writeXML(w, http.StatusOK, answer)
}

type listedUpload struct {
	Key               string
	UploadID          string `xml:"UploadId"`
	Initiator, Owner  owner
	StorageClass      string
	Initiated         string
	ChecksumAlgorithm string `xml:",omitempty"`
	ChecksumType      string `xml:",omitempty"`
}

type uploadList struct {
	XMLName            xml.Name `xml:"ListMultipartUploadsResult"`
	Namespace          string   `xml:"xmlns,attr"`
	Bucket             string
	Prefix             string
	KeyMarker          string
	UploadIDMarker     string `xml:"UploadIdMarker"`
	NextKeyMarker      string `xml:",omitempty"`
	NextUploadIDMarker string `xml:"NextUploadIdMarker,omitempty"`
	EncodingType       string `xml:",omitempty"`
	MaxUploads         int
	IsTruncated        bool
	Uploads            []listedUpload `xml:"Upload"`
}

// list serves ListMultipartUploads: by key, and by id where a key has several.
func (o uploadCalls) list(w http.ResponseWriter, r *http.Request, at place) error {
	q := r.URL.Query()
	size, err := number(r, "max-uploads", maxKeys, maxKeys)
	if err != nil {
		return err
	}
	answer := uploadList{
		Namespace: s3Namespace, Bucket: at.bucket, Prefix: q.Get("prefix"), KeyMarker: q.Get("key-marker"), UploadIDMarker: q.Get("upload-id-marker"),
		EncodingType: q.Get("encoding-type"), MaxUploads: size,
	}
	show := func(key string) string { return key }
	switch answer.EncodingType {
	case "":
	case "url":
		show = escaped
	default:
		return refuse("InvalidArgument", "Invalid Encoding Method specified in Request")
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	b, ok := o.buckets[at.bucket]
	if !ok {
		return errNoSuchBucket
	}
	for _, u := range b.uploadsAfter(answer.KeyMarker, answer.UploadIDMarker) {
		if !strings.HasPrefix(u.key, answer.Prefix) {
			continue
		}
		if len(answer.Uploads) == size {
			answer.IsTruncated = size > 0
			break
		}
		answer.NextKeyMarker, answer.NextUploadIDMarker = show(u.key), u.id
		shown := listedUpload{Key: show(u.key), UploadID: u.id, Initiator: owner{Account}, Owner: owner{Account}, StorageClass: "STANDARD", Initiated: u.began.UTC().Format(s3Time)}
		if u.algorithm != "" {
			shown.ChecksumAlgorithm, shown.ChecksumType = strings.ToUpper(u.algorithm), u.kind
		}
		answer.Uploads = append(answer.Uploads, shown)
	}
	if !answer.IsTruncated {
		answer.NextKeyMarker, answer.NextUploadIDMarker = "", ""
	}
	answer.Prefix, answer.KeyMarker = show(answer.Prefix), show(answer.KeyMarker)
	return writeXML(w, http.StatusOK, answer)
}

// uploadsAfter sorts uploads by key and id, and returns those after a place. A
// marker without an id stands after all uploads of its key.
func (b *bucket) uploadsAfter(key, id string) []*upload {
	all := slices.SortedFunc(maps.Values(b.uploads), func(x, y *upload) int {
		return cmp.Or(strings.Compare(x.key, y.key), strings.Compare(x.id, y.id))
	})
	return slices.DeleteFunc(all, func(u *upload) bool {
		return u.key < key || u.key == key && key != "" && (id == "" || u.id <= id)
	})
}
