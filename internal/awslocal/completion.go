package awslocal

import (
	"crypto/md5" //nolint:gosec // S3's ETag
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"strconv"
	"strings"
)

type completedPart struct {
	PartNumber int
	ETag       string
	checksumElements
}

type completion struct {
	Parts []completedPart `xml:"Part"`
}

type completed struct {
	XMLName   xml.Name `xml:"CompleteMultipartUploadResult"`
	Namespace string   `xml:"xmlns,attr"`
	Location  string
	Bucket    string
	Key       string
	ETag      string
	checksumElements
}

// complete serves CompleteMultipartUpload. If it fails, the upload stays as it was.
func (o uploadCalls) complete(w http.ResponseWriter, r *http.Request, at place) error {
	u, err := o.find(r, at)
	if err != nil {
		return err
	}
	// The checksum headers of this request are of the object, not of its body.
	plain := r.Clone(r.Context())
	for name := range checksums {
		plain.Header.Del(checksumHeader + name)
	}
	var asked completion
	if err := document(plain, "CompleteMultipartUpload", &asked, append(checksumNames, "CompleteMultipartUpload", "Part", "PartNumber", "ETag")...); err != nil {
		return err
	}
	if len(asked.Parts) == 0 {
		return errMalformedXML
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over {
		return errNoSuchUpload
	}
	parts, err := u.chosen(asked.Parts)
	if err != nil {
		return err
	}
	made, err := o.join(u, parts)
	if err != nil {
		return err
	}
	var unneeded blob
	if err = claimed(r.Header, u, made); err == nil {
		unneeded, err = o.store(at, made, r.Header)
	}
	if err != nil {
		made.remove()
		return err
	}
	if err := o.settle(unneeded); err != nil {
		return err
	}
	u.end()
	o.forget(at, u)
	return writeXML(w, http.StatusOK, completed{
		Namespace: s3Namespace, Location: "http://" + r.Host + "/" + at.bucket + "/" + at.key, Bucket: at.bucket, Key: at.key, ETag: made.etag,
		checksumElements: elementsOf(made.checksum),
	})
}

// chosen finds the parts that a client lists, and checks them. u.mu is held.
func (u *upload) chosen(asked []completedPart) ([]*uploadPart, error) {
	for i := 1; i < len(asked); i++ {
		if asked[i].PartNumber <= asked[i-1].PartNumber {
			return nil, refuse("InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part number.")
		}
	}
	parts := make([]*uploadPart, 0, len(asked))
	for i, a := range asked {
		p := u.parts[a.PartNumber]
		if p == nil || !matches(a.ETag, p.sums.etag()) || a.ETag == "*" {
			return nil, refuse("InvalidPart", "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.")
		}
		switch sum := a.by(p.sums.algorithm); {
		case sum == "" && u.kind == composite:
			algorithm := strings.ToLower(u.algorithm)
			return nil, refuse("InvalidRequest", "The upload was created using a %s checksum. The complete request must include the checksum for each part. It was missing for part %d in the request.", algorithm, a.PartNumber)
		case sum != "" && sum != p.sums.checksum():
			return nil, refuse("InvalidPart", "The checksum of part %d is not the one in the request.", a.PartNumber)
		case p.size < minPartSize && i < len(asked)-1:
			return nil, refuse("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size: part %d has %d bytes, and only the last may have less than %d", a.PartNumber, p.size, minPartSize)
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// join makes an object of parts.
func (o uploadCalls) join(u *upload, parts []*uploadPart) (*object, error) {
	etags, ofParts := md5.New(), checksums[u.sumBy()]() //nolint:gosec // as above
	readers := make([]io.Reader, 0, len(parts))
	for _, p := range parts {
		etags.Write(p.sums.md5.Sum(nil))
		ofParts.Write(p.sums.sum.Sum(nil))
		reader := &partReader{of: p.blob}
		defer reader.close() // the one that was being read, if joining fails
		readers = append(readers, reader)
	}
	joined, whole, err := o.spoolSummed(io.MultiReader(readers...), u.sumBy())
	if err != nil {
		return nil, err
	}
	count := "-" + strconv.Itoa(len(parts))
	made := &object{blob: joined, etag: `"` + hex.EncodeToString(etags.Sum(nil)) + count + `"`, headers: u.headers, checksum: whole.headers(), tags: u.tags}
	if u.kind == composite {
		made.checksum.Set(checksumHeader+u.algorithm, base64.StdEncoding.EncodeToString(ofParts.Sum(nil))+count)
		made.checksum.Set(checksumHeader+"Type", composite)
	}
	return made, nil
}

// A partReader opens a part when it is its turn, so that ten thousand of them
// are not open together.
type partReader struct {
	of   blob
	body io.ReadSeekCloser // nil before its turn and after it
	done bool
}

// Read returns the part's bytes, and closes it at its end.
func (p *partReader) Read(b []byte) (int, error) {
	if p.done {
		return 0, io.EOF
	}
	if p.body == nil {
		var err error
		if p.body, err = p.of.open(); err != nil {
			return 0, err
		}
	}
	n, err := p.body.Read(b)
	if err != nil {
		p.close()
	}
	return n, err
}

func (p *partReader) close() {
	if p.body != nil {
		_ = p.body.Close()
	}
	p.body, p.done = nil, true
}

// claimed compares what a client says of the whole object with what it is.
func claimed(h http.Header, u *upload, made *object) error {
	if size := h.Get("X-Amz-Mp-Object-Size"); size != "" && size != strconv.FormatInt(made.size, 10) {
		return refuse("InvalidRequest", "The provided 'x-amz-mp-object-size' header value %s does not match what was computed: %d", size, made.size)
	}
	if kind := h.Get(checksumHeader + "Type"); kind != "" && kind != u.kind {
		return refuse("InvalidRequest", "The upload was created using the %s checksum mode. The complete request must use the same checksum mode.", u.kind)
	}
	for name := range checksums {
		sum := h.Get(checksumHeader + name)
		switch {
		case sum == "":
		case name != u.sumBy():
			return refuse("InvalidRequest", "Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s", strings.ToLower(u.sumBy()), strings.ToLower(name))
		case sum != made.checksum.Get(checksumHeader+name):
			return refuse("BadDigest", "The %s you specified did not match the calculated checksum.", name)
		}
	}
	return nil
}
