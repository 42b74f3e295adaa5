package s3store_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/objectstore/s3store"
)

// A signed request is what S3 expects: the host form of the bucket, the key
// escaped once, every header and the body under the signature.
func TestDirect_AddressesAndSigns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ region, endpoint, bucket, want string }{
		{"ap-northeast-1", "", "lake", "https://lake.s3.ap-northeast-1.amazonaws.com/a%20b/dt%3D1/%E9%A3%9B%2B~"},
		{"cn-north-1", "", "lake", "https://lake.s3.cn-north-1.amazonaws.com.cn/a%20b/dt%3D1/%E9%A3%9B%2B~"},
		{"us-east-1", "", "my.lake", "https://s3.us-east-1.amazonaws.com/my.lake/a%20b/dt%3D1/%E9%A3%9B%2B~"},
		{"us-east-1", "http://s3.test:9000/", "lake", "http://s3.test:9000/lake/a%20b/dt%3D1/%E9%A3%9B%2B~"},
	} {
		s := &service{status: http.StatusOK}
		config := aws.Config{
			Region: c.region, HTTPClient: &http.Client{Transport: s},
			Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", "session"),
		}
		if c.endpoint != "" {
			config.BaseEndpoint = &c.endpoint
		}
		store := s3store.New(s3store.NewDirect(config), c.bucket)
		_, err := store.Put(t.Context(), objectstore.Object{Key: "a b/dt=1/飛+~", Body: strings.NewReader("body"), Size: 4, Metadata: map[string]string{"run": "1"}})
		if err != nil || s.last.URL.String() != c.want {
			t.Errorf("%s, want %s (%v)", s.last.URL, c.want, err)
		}
		auth := s.last.Header.Get("Authorization")
		for _, part := range []string{"AWS4-HMAC-SHA256 Credential=AKID/", "/" + c.region + "/s3/aws4_request", "content-length;host;", "x-amz-checksum-crc32;x-amz-content-sha256;x-amz-date;x-amz-meta-run;x-amz-security-token"} {
			if !strings.Contains(auth, part) {
				t.Errorf("authorization %q lacks %q", auth, part)
			}
		}
		if got := s.last.Header.Get("X-Amz-Content-Sha256"); got != "230d8358dc8e8890b4c58deeb62912ee2f20357ae92a5cc861b98e68fe31acb5" {
			t.Errorf("digest of the body: %s", got)
		}
	}
}

// A flaky service fails a number of times first.
type flaky struct {
	service

	failures int
	with     error // nil: a 503
}

func (f *flaky) RoundTrip(r *http.Request) (*http.Response, error) {
	f.status = http.StatusOK
	if f.failures--; f.failures >= 0 {
		f.status = http.StatusServiceUnavailable
		if f.with != nil {
			f.requests++
			return nil, f.with
		}
	}
	return f.service.RoundTrip(r)
}

func TestDirect_ReadsSurviveTwoFailures(t *testing.T) {
	t.Parallel()
	for _, with := range []error{nil, errors.New("connection reset"), &tls.CertificateVerificationError{Err: io.EOF}} {
		f := &flaky{failures: 2, with: with}
		store := s3store.New(s3store.NewDirect(aws.Config{
			Region: "us-east-1", HTTPClient: &http.Client{Transport: f}, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
		}), "b")
		if _, err := store.Head(t.Context(), "k"); err != nil || f.requests != 3 {
			t.Errorf("%v after %d requests, want success with the third", err, f.requests)
		}
	}
}

// Each attempt sends the whole document of the tags, with its checksum.
func TestDirect_TagsAreSentWholeEachTime(t *testing.T) {
	t.Parallel()
	const document = `<Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><TagSet><Tag><Key>a</Key><Value>1&amp;2</Value></Tag><Tag><Key>b</Key><Value></Value></Tag></TagSet></Tagging>`
	f := &flaky{failures: 2}
	store := s3store.New(s3store.NewDirect(aws.Config{
		Region: "us-east-1", HTTPClient: &http.Client{Transport: f}, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
	}), "lake")
	if err := store.SetTags(t.Context(), "k", map[string]string{"b": "", "a": "1&2"}); err != nil {
		t.Fatal(err)
	}
	if strings.Join(f.bodies, "\n") != strings.Repeat(document+"\n", 2)+document {
		t.Errorf("sent %q", f.bodies)
	}
	h := f.last.Header
	if f.last.URL.String() != "https://lake.s3.us-east-1.amazonaws.com/k?tagging=" || f.last.Method != http.MethodPut || h.Get("X-Amz-Checksum-Crc32") == "" ||
		!strings.Contains(h.Get("Authorization"), "x-amz-checksum-crc32;x-amz-content-sha256") {
		t.Errorf("%s %s with %v", f.last.Method, f.last.URL, h)
	}
	f.answer = document
	tags, err := store.GetTags(t.Context(), "k")
	if err != nil || len(tags) != 2 || tags["a"] != "1&2" {
		t.Errorf("read %v, %v", tags, err)
	}
}

func TestDirect_ChecksWhatItReads(t *testing.T) {
	t.Parallel()
	for sum, want := range map[string]error{"26gLsg==": nil, "AAAAAA==": io.ErrUnexpectedEOF, "26gLsg==-2": nil, "": nil} {
		s := &service{status: http.StatusOK, answer: "body", sum: sum}
		_, body, err := s.store().Get(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(body); string(text) != "body" || !errors.Is(err, want) {
			t.Errorf("checksum %q: read %q, %v, want %v", sum, text, err, want)
		}
	}
}
