package s3store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// A Direct serves the eight operations of a Store over plain HTTP, signed by
// the SDK's signer, and nothing else. It takes the place of *s3.Client where a
// binary's size counts: beside code that looks up methods by reflection, as an
// expression language does, the linker must keep all hundred operations of the
// client, a quarter of the whole binary (docs/decisions/0007-direct-s3.md).
//
// Reads and tags are tried three times, other writes once, whatever a call's
// options say. It is safe for concurrent use.
type Direct struct {
	http        aws.HTTPClient
	credentials aws.CredentialsProvider
	signer      *v4.Signer
	region      string
	endpoint    string // of a custom endpoint, addressed by path; empty: AWS
}

var _ API = (*Direct)(nil)

// NewDirect returns a client for the region, credentials and endpoint of
// config. Buckets whose names have no dot are addressed by host on AWS.
func NewDirect(config aws.Config) *Direct {
	d := &Direct{
		http: config.HTTPClient, credentials: config.Credentials, signer: v4.NewSigner(),
		region: config.Region, endpoint: strings.TrimSuffix(aws.ToString(config.BaseEndpoint), "/"),
	}
	if d.http == nil {
		d.http = awshttp.NewBuildableClient()
	}
	return d
}

// GetObject opens an object. Where S3 has its CRC32, reading to the end checks it.
func (d *Direct) GetObject(ctx context.Context, in *s3.GetObjectInput, _ ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	r := request{method: http.MethodGet, bucket: *in.Bucket, key: *in.Key, header: http.Header{"X-Amz-Checksum-Mode": {"ENABLED"}}}
	response, err := d.repeat(ctx, r) //nolint:bodyclose // the caller closes it, as of any object
	if err != nil {
		return nil, err
	}
	h := response.Header
	body := response.Body
	if sum, err := base64.StdEncoding.DecodeString(h.Get("X-Amz-Checksum-Crc32")); err == nil && len(sum) == crc32.Size {
		body = &checked{ReadCloser: body, sum: crc32.NewIEEE(), want: binary.BigEndian.Uint32(sum)}
	}
	return &s3.GetObjectOutput{
		Body: body, ETag: optional(h.Get("ETag")), ContentLength: aws.Int64(response.ContentLength), LastModified: modified(h), Metadata: metadata(h),
	}, nil
}

// HeadObject reads what is known of an object.
func (d *Direct) HeadObject(ctx context.Context, in *s3.HeadObjectInput, _ ...func(*s3.Options)) (*s3.HeadObjectOutput, error) {
	response, err := d.repeat(ctx, request{method: http.MethodHead, bucket: *in.Bucket, key: *in.Key})
	if err != nil {
		return nil, err
	}
	_ = response.Body.Close()
	h := response.Header
	return &s3.HeadObjectOutput{ETag: optional(h.Get("ETag")), ContentLength: aws.Int64(response.ContentLength), LastModified: modified(h), Metadata: metadata(h)}, nil
}

// PutObject writes an object with its checksum: the SHA-256 that in has, or its
// CRC32. For that the body, which must be an io.Seeker, is read once before it
// is sent.
func (d *Direct) PutObject(ctx context.Context, in *s3.PutObjectInput, _ ...func(*s3.Options)) (*s3.PutObjectOutput, error) {
	body, ok := in.Body.(io.ReadSeeker)
	if !ok {
		return nil, fmt.Errorf("the body of %s cannot be read twice", *in.Key)
	}
	h := http.Header{}
	digest, err := base64.StdEncoding.DecodeString(aws.ToString(in.ChecksumSHA256))
	if err == nil && len(digest) > 0 {
		h.Set("X-Amz-Checksum-Sha256", *in.ChecksumSHA256)
	} else {
		whole, sum := sha256.New(), crc32.NewIEEE()
		if _, err := io.Copy(io.MultiWriter(whole, sum), body); err != nil {
			return nil, err
		}
		if _, err := body.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		digest = whole.Sum(nil)
		h.Set("X-Amz-Checksum-Crc32", base64.StdEncoding.EncodeToString(sum.Sum(nil)))
	}
	for name, value := range map[string]*string{
		"Content-Type": in.ContentType, "Content-Encoding": in.ContentEncoding, "If-Match": in.IfMatch, "If-None-Match": in.IfNoneMatch,
	} {
		if value != nil {
			h.Set(name, *value)
		}
	}
	for k, v := range in.Metadata {
		h.Set(metadataPrefix+k, v)
	}
	response, err := d.send(ctx, request{
		method: http.MethodPut, bucket: *in.Bucket, key: *in.Key, header: h,
		body: body, size: aws.ToInt64(in.ContentLength), digest: hex.EncodeToString(digest),
	})
	if err != nil {
		return nil, err
	}
	_ = response.Body.Close()
	return &s3.PutObjectOutput{ETag: optional(response.Header.Get("ETag"))}, nil
}

// DeleteObject removes an object, or does nothing if there is none.
func (d *Direct) DeleteObject(ctx context.Context, in *s3.DeleteObjectInput, _ ...func(*s3.Options)) (*s3.DeleteObjectOutput, error) {
	response, err := d.send(ctx, request{method: http.MethodDelete, bucket: *in.Bucket, key: *in.Key})
	if err != nil {
		return nil, err
	}
	return &s3.DeleteObjectOutput{}, response.Body.Close()
}

// ListObjectsV2 reads one page of a listing.
func (d *Direct) ListObjectsV2(ctx context.Context, in *s3.ListObjectsV2Input, _ ...func(*s3.Options)) (*s3.ListObjectsV2Output, error) {
	query := url.Values{"list-type": {"2"}}
	for name, value := range map[string]*string{"prefix": in.Prefix, "start-after": in.StartAfter, "continuation-token": in.ContinuationToken} {
		if value != nil {
			query.Set(name, *value)
		}
	}
	response, err := d.repeat(ctx, request{method: http.MethodGet, bucket: *in.Bucket, query: query})
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	var page struct {
		IsTruncated           bool
		NextContinuationToken string
		Contents              []struct {
			Key, ETag    string
			Size         int64
			LastModified time.Time
		}
	}
	if err := xml.NewDecoder(response.Body).Decode(&page); err != nil {
		return nil, fmt.Errorf("reading a listing: %w", err)
	}
	out := &s3.ListObjectsV2Output{IsTruncated: &page.IsTruncated, NextContinuationToken: optional(page.NextContinuationToken)}
	for _, o := range page.Contents {
		out.Contents = append(out.Contents, types.Object{Key: &o.Key, ETag: &o.ETag, Size: &o.Size, LastModified: &o.LastModified})
	}
	return out, nil
}

// tagging is the document of an object's tags.
type tagging struct {
	XMLName xml.Name `xml:"Tagging"`
	XMLNS   string   `xml:"xmlns,attr"`
	TagSet  struct{ Tag []types.Tag }
}

// PutObjectTagging replaces an object's tags. It is repeated like a read:
// tagging twice is tagging once.
func (d *Direct) PutObjectTagging(ctx context.Context, in *s3.PutObjectTaggingInput, _ ...func(*s3.Options)) (*s3.PutObjectTaggingOutput, error) {
	document := tagging{XMLNS: "http://s3.amazonaws.com/doc/2006-03-01/"}
	document.TagSet.Tag = in.Tagging.TagSet
	body, err := xml.Marshal(document)
	if err != nil {
		return nil, err
	}
	digest, sum := sha256.Sum256(body), crc32.ChecksumIEEE(body)
	response, err := d.repeat(ctx, request{
		method: http.MethodPut, bucket: *in.Bucket, key: *in.Key, query: url.Values{"tagging": {""}},
		header: http.Header{"X-Amz-Checksum-Crc32": {base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))}},
		body:   bytes.NewReader(body), size: int64(len(body)), digest: hex.EncodeToString(digest[:]),
	})
	if err != nil {
		return nil, err
	}
	return &s3.PutObjectTaggingOutput{}, response.Body.Close()
}

// DeleteObjectTagging removes an object's tags, and is repeated likewise.
func (d *Direct) DeleteObjectTagging(ctx context.Context, in *s3.DeleteObjectTaggingInput, _ ...func(*s3.Options)) (*s3.DeleteObjectTaggingOutput, error) {
	response, err := d.repeat(ctx, request{method: http.MethodDelete, bucket: *in.Bucket, key: *in.Key, query: url.Values{"tagging": {""}}})
	if err != nil {
		return nil, err
	}
	return &s3.DeleteObjectTaggingOutput{}, response.Body.Close()
}

// GetObjectTagging reads an object's tags.
func (d *Direct) GetObjectTagging(ctx context.Context, in *s3.GetObjectTaggingInput, _ ...func(*s3.Options)) (*s3.GetObjectTaggingOutput, error) {
	response, err := d.repeat(ctx, request{method: http.MethodGet, bucket: *in.Bucket, key: *in.Key, query: url.Values{"tagging": {""}}})
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	var document tagging
	if err := xml.NewDecoder(response.Body).Decode(&document); err != nil {
		return nil, fmt.Errorf("reading tags: %w", err)
	}
	return &s3.GetObjectTaggingOutput{TagSet: document.TagSet.Tag}, nil
}

// A request is one call before it is signed.
type request struct {
	method, bucket, key string
	query               url.Values
	header              http.Header
	body                io.ReadSeeker
	size                int64
	digest              string // SHA-256 of body in hex; empty: there is none
}

const (
	metadataPrefix = "X-Amz-Meta-"
	noBody         = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // SHA-256 of nothing
	readAttempts   = 3
	readPause      = 100 * time.Millisecond // before the second attempt; twice that before the third
	maxErrorBody   = 64 << 10
)

// repeat sends a request that may be sent twice, again if S3 or the network
// fails.
func (d *Direct) repeat(ctx context.Context, r request) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		response, err := d.send(ctx, r)
		if err == nil || attempt == readAttempts || !passing(err) || ctx.Err() != nil {
			return response, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(readPause << (attempt - 1)):
		}
	}
}

// passing reports whether another attempt may succeed.
func passing(err error) bool {
	answer, ok := err.(*awshttp.ResponseError) //nolint:errorlint // send makes it
	return !ok || answer.HTTPStatusCode() >= http.StatusInternalServerError || answer.HTTPStatusCode() == http.StatusTooManyRequests
}

// send signs and sends a request once. An answer other than 2xx is an error.
func (d *Direct) send(ctx context.Context, r request) (*http.Response, error) {
	out, err := http.NewRequestWithContext(ctx, r.method, d.address(r), nil)
	if err != nil {
		return nil, err
	}
	if r.header != nil {
		out.Header = r.header.Clone()
	}
	if r.size > 0 {
		if _, err := r.body.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		out.Body, out.ContentLength = io.NopCloser(r.body), r.size
	}
	out.Header.Set("Accept-Encoding", "identity") // else the transport unpacks what is stored packed
	digest := cmp.Or(r.digest, noBody)
	out.Header.Set("X-Amz-Content-Sha256", digest)
	keys, err := d.credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	err = d.signer.SignHTTP(ctx, keys, out, digest, "s3", d.region, time.Now().UTC(), func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err != nil {
		return nil, err
	}
	response, err := d.http.Do(out)
	if err != nil {
		return nil, err
	}
	if response.StatusCode/100 == 2 {
		return response, nil
	}
	defer func() { _ = response.Body.Close() }()
	var document struct{ Code string }
	_ = xml.NewDecoder(io.LimitReader(response.Body, maxErrorBody)).Decode(&document) // a HEAD is answered without one
	code := cmp.Or(document.Code, "status"+strconv.Itoa(response.StatusCode))
	return nil, &awshttp.ResponseError{ResponseError: &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: response}, Err: &smithy.GenericAPIError{Code: code},
	}, RequestID: response.Header.Get("X-Amz-Request-Id")}
}

// address is a request's URL. A name with a dot does not match the service's
// certificate as a host, and a custom endpoint has no hosts of that kind.
func (d *Direct) address(r request) string {
	path := "/" + escape(r.key)
	base := d.endpoint
	domain := "amazonaws.com"
	if strings.HasPrefix(d.region, "cn-") {
		domain += ".cn"
	}
	switch {
	case base != "":
		path = "/" + r.bucket + path
	case strings.Contains(r.bucket, "."):
		base, path = "https://s3."+d.region+"."+domain, "/"+r.bucket+path
	default:
		base = "https://" + r.bucket + ".s3." + d.region + "." + domain
	}
	if len(r.query) > 0 {
		path += "?" + strings.ReplaceAll(r.query.Encode(), "+", "%20")
	}
	return base + path
}

// escape encodes a key as S3 signs it: all but the unreserved characters and
// the slash.
func escape(key string) string {
	var b strings.Builder
	for i := range len(key) {
		c := key[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~/", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func modified(h http.Header) *time.Time {
	at, err := http.ParseTime(h.Get("Last-Modified"))
	if err != nil {
		return nil
	}
	return &at
}

func metadata(h http.Header) map[string]string {
	m := map[string]string{}
	for name := range h {
		if rest, ok := strings.CutPrefix(name, metadataPrefix); ok {
			m[rest] = h.Get(name)
		}
	}
	return m
}

// A checked body fails at its end if it is not what was stored.
type checked struct {
	io.ReadCloser

	sum  hash.Hash32
	want uint32
}

// Read reads on, and compares at the end.
func (c *checked) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	_, _ = c.sum.Write(p[:n])
	if errors.Is(err, io.EOF) && c.sum.Sum32() != c.want {
		return n, fmt.Errorf("the object's bytes do not match its checksum: %w", io.ErrUnexpectedEOF)
	}
	return n, err
}
