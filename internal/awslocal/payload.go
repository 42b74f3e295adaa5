package awslocal

import (
	"bufio"
	"crypto/md5"  //nolint:gosec // S3's ETag
	"crypto/sha1" //nolint:gosec // one of S3's checksums
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// defaultChecksum is what S3 computes itself where the client names none.
const defaultChecksum = "Crc64nvme"

// checksums are S3's algorithms by the last part of their header's name.
var checksums = map[string]func() hash.Hash{
	"Crc32":         func() hash.Hash { return crc32.NewIEEE() },
	"Crc32c":        func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"Sha1":          sha1.New,
	"Sha256":        sha256.New,
	defaultChecksum: func() hash.Hash { return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5)) },
}

const (
	checksumHeader = "X-Amz-Checksum-"
	trailerHeader  = "X-Amz-Trailer"
)

var errTrailer = refuse("MalformedTrailerError", "The request contained trailing data that was not well-formed or did not conform to our published schema.")

// A payload is a request's body as it is read: out of its aws-chunked coding,
// and hashed by all that the request names.
type payload struct {
	io.Reader

	request  *http.Request
	trailer  http.Header // after an aws-chunked body
	trailing bool        // whether the checksum is to come in the trailer
	named    bool        // whether the client brings a checksum
	sums     sums
	sha256   hash.Hash // nil if the body is not signed
}

// newPayload computes a checksum by fallback where the client names no other.
func newPayload(r *http.Request, fallback string) (*payload, error) {
	p := &payload{request: r, trailer: http.Header{}, sums: sums{algorithm: fallback, md5: md5.New()}} //nolint:gosec // as above
	if err := p.choose(r.Header); err != nil {
		return nil, err
	}
	body := io.Reader(r.Body)
	signed := r.Header.Get("X-Amz-Content-Sha256")
	if strings.HasPrefix(signed, "STREAMING-") {
		body = &chunked{in: bufio.NewReader(r.Body), trailer: p.trailer}
	}
	p.sums.sum = checksums[p.sums.algorithm]()
	hashes := []io.Writer{p.sums.md5, p.sums.sum}
	if len(signed) == hex.EncodedLen(sha256.Size) {
		p.sha256 = sha256.New()
		hashes = append(hashes, p.sha256)
	}
	p.Reader = io.TeeReader(body, io.MultiWriter(hashes...))
	return p, nil
}

// choose finds the one checksum that a request may bring, in a header or in
// the trailer that it declares.
func (p *payload) choose(h http.Header) error {
	brought := 0
	for name := range checksums {
		if n := len(h.Values(checksumHeader + name)); n > 0 {
			p.sums.algorithm, brought = name, brought+n
		}
	}
	for _, declared := range h.Values(trailerHeader) {
		name, ok := strings.CutPrefix(http.CanonicalHeaderKey(declared), checksumHeader)
		if !ok || checksums[name] == nil {
			return refuse("InvalidRequest", "The value specified in the x-amz-trailer header is not supported: %s", declared)
		}
		p.sums.algorithm, p.trailing, brought = name, true, brought+1
	}
	p.named = brought > 0
	if brought > 1 {
		return refuse("InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
	}
	return nil
}

// brought returns the checksum that came with the request, if any did. The
// trailer must have what was declared, and nothing else but a signature.
func (p *payload) brought() ([]string, error) {
	p.trailer.Del("X-Amz-Trailer-Signature")
	if !p.trailing {
		if len(p.trailer) > 0 {
			return nil, errTrailer
		}
		return p.request.Header.Values(checksumHeader + p.sums.algorithm), nil
	}
	sums := p.trailer.Values(checksumHeader + p.sums.algorithm)
	if len(p.trailer) != 1 || len(sums) != 1 {
		return nil, errTrailer
	}
	return sums, nil
}

// check compares the digests that the client sent with the body, which has
// been read to its end.
func (p *payload) check() error {
	h := p.request.Header
	sums, err := p.brought()
	switch {
	case err != nil:
		return err
	case len(sums) > 0 && !slices.Contains(sums, p.sums.checksum()):
		return refuse("BadDigest", "The %s you specified did not match the calculated checksum.", p.sums.algorithm)
	case h.Get("Content-Md5") != "" && h.Get("Content-Md5") != base64.StdEncoding.EncodeToString(p.sums.md5.Sum(nil)):
		return refuse("BadDigest", "The Content-MD5 you specified did not match what we received.")
	case p.sha256 != nil && h.Get("X-Amz-Content-Sha256") != hex.EncodeToString(p.sha256.Sum(nil)):
		return refuse("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	return nil
}

// chunked undoes the aws-chunked coding. Chunk signatures are not checked.
type chunked struct {
	in      *bufio.Reader
	trailer http.Header
	left    int64 // bytes of the current chunk
	begun   bool
	done    bool
}

var errChunk = refuse("IncompleteBody", "the body is no aws-chunked stream")

// Read returns the decoded bytes.
func (c *chunked) Read(p []byte) (int, error) {
	for c.left == 0 && !c.done {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	if c.done {
		return 0, io.EOF
	}
	n, err := c.in.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if errors.Is(err, io.EOF) {
		err = errChunk
	}
	return n, err
}

// next reads the header of a chunk, or the trailer after the last.
func (c *chunked) next() error {
	if c.begun {
		if line, err := c.line(); err != nil || line != "" {
			return errChunk
		}
	}
	c.begun = true
	line, err := c.line()
	if err != nil {
		return err
	}
	size, _, _ := strings.Cut(line, ";")
	c.left, err = strconv.ParseInt(size, 16, 64)
	if err != nil || c.left < 0 {
		return errChunk
	}
	for c.left == 0 {
		line, err := c.line()
		if err != nil {
			return err
		}
		if line == "" {
			c.done = true
			return nil
		}
		name, value, _ := strings.Cut(line, ":")
		c.trailer.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return nil
}

func (c *chunked) line() (string, error) {
	line, err := c.in.ReadString('\n')
	if err != nil {
		return "", errChunk
	}
	return strings.TrimRight(line, "\r\n"), nil
}
