package s3store_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"hikyaku/internal/objectstore"
	"hikyaku/internal/objectstore/s3store"
)

// A service answers every request alike and keeps the last one.
type service struct {
	status   int
	answer   string
	fail     error
	sum      string // x-amz-checksum-crc32
	requests int
	last     *http.Request
	bodies   []string
}

func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	s.requests++
	s.last = r
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		s.bodies = append(s.bodies, string(body))
	}
	if s.fail != nil {
		return nil, s.fail
	}
	return &http.Response{
		StatusCode: s.status, Request: r,
		Header: http.Header{"X-Amz-Checksum-Crc32": {s.sum}, "Etag": {`"e"`}, "X-Amz-Meta-Rows": {"7"}, "Content-Length": {strconv.Itoa(len(s.answer))}, "Last-Modified": {"Sun, 22 Nov 2026 00:00:00 GMT"}},
		Body:   io.NopCloser(strings.NewReader(s.answer)), ContentLength: int64(len(s.answer)),
	}, nil
}

func (s *service) store() *s3store.Store { return storeOver(s) }

func storeOver(transport http.RoundTripper) *s3store.Store {
	config := aws.Config{
		Region: "ap-northeast-1", BaseEndpoint: aws.String("http://s3.test"), HTTPClient: &http.Client{Transport: transport},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
	return s3store.New(config, "b")
}

func put(t *testing.T, s *s3store.Store, c objectstore.Condition) error {
	t.Helper()
	_, err := s.Put(t.Context(), objectstore.Object{Key: "k", Body: strings.NewReader("body"), Size: 4, Condition: c})
	return err
}

// calls are the methods of a Store, each with how often it tries.
var calls = map[string]struct {
	run   func(*testing.T, *s3store.Store) error
	tries int
}{
	"get": {func(t *testing.T, s *s3store.Store) error {
		_, _, err := s.Get(t.Context(), "k")
		return err
	}, 3},
	"head": {func(t *testing.T, s *s3store.Store) error {
		_, err := s.Head(t.Context(), "k")
		return err
	}, 3},
	"list": {func(t *testing.T, s *s3store.Store) error {
		for _, err := range s.List(t.Context(), "k", "") {
			return err
		}
		return nil
	}, 3},
	"put":    {func(t *testing.T, s *s3store.Store) error { return put(t, s, objectstore.Condition{}) }, 1},
	"create": {func(t *testing.T, s *s3store.Store) error { return put(t, s, objectstore.Condition{Absent: true}) }, 1},
	"swap":   {func(t *testing.T, s *s3store.Store) error { return put(t, s, objectstore.Condition{ETag: `"e"`}) }, 1},
	"delete": {func(t *testing.T, s *s3store.Store) error { return s.Delete(t.Context(), "k") }, 1},
	"tag": {func(t *testing.T, s *s3store.Store) error {
		return s.SetTags(t.Context(), "k", map[string]string{"a": "1"})
	}, 3},
	"untag": {func(t *testing.T, s *s3store.Store) error { return s.SetTags(t.Context(), "k", nil) }, 3},
	"tags": {func(t *testing.T, s *s3store.Store) error {
		_, err := s.GetTags(t.Context(), "k")
		return err
	}, 3},
}

func TestAnswersBecomeTheStoresErrors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // the pauses between tries take no time
		kinds := []error{objectstore.ErrNotFound, objectstore.ErrConflict, objectstore.ErrDenied}
		reads := map[int]error{403: objectstore.ErrDenied, 404: objectstore.ErrNotFound}
		conditional := map[int]error{403: objectstore.ErrDenied, 404: objectstore.ErrConflict, 409: objectstore.ErrConflict, 412: objectstore.ErrConflict}
		plain := map[int]error{403: objectstore.ErrDenied}
		want := map[string]map[int]error{"get": reads, "head": reads, "create": conditional, "swap": conditional, "put": plain, "delete": plain, "list": plain, "tag": reads, "untag": reads, "tags": reads}
		for name, call := range calls {
			for _, status := range []int{400, 403, 404, 409, 412, 500} {
				s := &service{status: status, answer: `<Error><Code>Coded</Code><Message>canary</Message></Error>`}
				err := call.run(t, s.store())
				for _, kind := range kinds {
					if err == nil || errors.Is(err, kind) != errors.Is(want[name][status], kind) {
						t.Errorf("%s answered by %d: error %v, want %v", name, status, err, want[name][status])
					}
				}
				if text := fmt.Sprint(err); strings.Contains(text, "canary") || !strings.Contains(text, "object k: ") || !strings.Contains(text, fmt.Sprint(status)) {
					t.Errorf("%s answered by %d: error text %q", name, status, text)
				}
				if tries := map[bool]int{true: call.tries, false: 1}[status == 500]; s.requests != tries {
					t.Errorf("%s answered by %d: tried %d times, want %d", name, status, s.requests, tries)
				}
			}
		}
	})
}

// TestMissingBucketIsNoAbsentObject: S3 answers 404 for both.
func TestMissingBucketIsNoAbsentObject(t *testing.T) {
	t.Parallel()
	for name, call := range calls {
		if name == "head" {
			continue // its answer has no body that could tell
		}
		s := &service{status: http.StatusNotFound, answer: `<Error><Code>NoSuchBucket</Code></Error>`}
		err := call.run(t, s.store())
		if err == nil || errors.Is(err, objectstore.ErrNotFound) || errors.Is(err, objectstore.ErrConflict) || !strings.Contains(err.Error(), "bucket b does not exist") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConnectionFaultsKeepTheirCauseButNoAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // the pauses between tries take no time
		cause := errors.New("connection reset")
		for name, call := range calls {
			s := &service{fail: cause}
			if err := call.run(t, s.store()); !errors.Is(err, cause) || strings.Contains(err.Error(), "s3.test") {
				t.Errorf("%s: error %v, want the cause without the address", name, err)
			}
		}
	})
}

func TestPutSendsWhatItIsTold(t *testing.T) {
	t.Parallel()
	s := &service{status: http.StatusOK}
	etag, err := s.store().Put(t.Context(), objectstore.Object{
		Key: "a/b", Body: strings.NewReader("body"), Size: 4, ContentType: "text/plain", ContentEncoding: "gzip",
		Metadata: map[string]string{"rows": "7"}, Condition: objectstore.Condition{Absent: true},
	})
	if err != nil || etag != `"e"` {
		t.Errorf("Put = %s, %v", etag, err)
	}
	h := s.last.Header
	for name, want := range map[string]string{
		"Content-Type": "text/plain", "Content-Encoding": "gzip", "X-Amz-Meta-Rows": "7", "If-None-Match": "*", "If-Match": "",
		"X-Amz-Checksum-Crc32": "26gLsg==",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if s.last.ContentLength != 4 || s.last.URL.Path != "/b/a/b" {
		t.Errorf("%d bytes to %s", s.last.ContentLength, s.last.URL.Path)
	}
	if err := put(t, s.store(), objectstore.Condition{ETag: `"old"`}); err != nil || s.last.Header.Get("If-Match") != `"old"` || s.last.Header.Get("If-None-Match") != "" {
		t.Errorf("swap sent If-Match %q, %v", s.last.Header.Get("If-Match"), err)
	}
	if err := put(t, s.store(), objectstore.Condition{}); err != nil || s.last.Header.Get("If-Match")+s.last.Header.Get("If-None-Match")+s.last.Header.Get("Content-Encoding") != "" {
		t.Errorf("plain put sent %v, %v", s.last.Header, err)
	}
}

// A bucket is addressed by host on AWS and by path elsewhere.
func TestBuckets_AreAddressedByHostOnAWS(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, region, endpoint, bucket, want string }{
		{"host", "ap-northeast-1", "", "lake", "https://lake.s3.ap-northeast-1.amazonaws.com/a%20b/dt%3D1/%E9%A3%9B%2B~"},
		{"China", "cn-north-1", "", "lake", "https://lake.s3.cn-north-1.amazonaws.com.cn/a%20b/dt%3D1/%E9%A3%9B%2B~"},
		{"a dot, which no certificate has", "ap-northeast-1", "", "my.lake", "https://s3.ap-northeast-1.amazonaws.com/my.lake/a%20b/dt%3D1/%E9%A3%9B%2B~"},
		{"endpoint", "us-east-1", "http://s3.test:9000/", "lake", "http://s3.test:9000/lake/a%20b/dt%3D1/%E9%A3%9B%2B~"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &service{status: http.StatusOK}
			config := aws.Config{
				Region: c.region, HTTPClient: &http.Client{Transport: s}, Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", "session"),
			}
			if c.endpoint != "" {
				config.BaseEndpoint = &c.endpoint
			}
			_, err := s3store.New(config, c.bucket).Put(t.Context(), objectstore.Object{Key: "a b/dt=1/飛+~", Body: strings.NewReader("body"), Size: 4})
			address := *s.last.URL
			address.RawQuery = "" // names the operation
			if err != nil || address.String() != c.want {
				t.Errorf("%s, want %s (%v)", address.String(), c.want, err)
			}
			if auth := s.last.Header.Get("Authorization"); !strings.Contains(auth, "Credential=AKID/") || !strings.Contains(auth, "/"+c.region+"/s3/aws4_request") {
				t.Errorf("authorization %q", auth)
			}
		})
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

func TestReads_SurviveTwoFailures(t *testing.T) {
	t.Parallel()
	for name, with := range map[string]error{"status": nil, "connection": errors.New("connection reset"), "certificate": &tls.CertificateVerificationError{Err: io.EOF}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &flaky{failures: 2, with: with}
			if _, err := storeOver(f).Head(t.Context(), "k"); err != nil || f.requests != 3 {
				t.Errorf("%v after %d requests, want success with the third", err, f.requests)
			}
		})
	}
}

// However many reads have failed before, the next is tried three times, for 0.3 s.
func TestReads_AreTriedThreeTimesThroughAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &service{status: http.StatusServiceUnavailable}
		store := s.store()
		began := time.Now()
		for range 200 {
			s.requests = 0
			if _, err := store.Head(t.Context(), "k"); err == nil || s.requests != 3 {
				t.Fatalf("%v after %d requests, want an error after 3", err, s.requests)
			}
		}
		if waited := time.Since(began); waited != time.Minute {
			t.Errorf("waited %s, want 200 times 0.3 s", waited)
		}
	})
}

// Each attempt sends the whole document of the tags.
func TestTags_AreSentWholeEachTime(t *testing.T) {
	t.Parallel()
	f := &flaky{failures: 2}
	store := storeOver(f)
	if err := store.SetTags(t.Context(), "k", map[string]string{"b": "", "a": "1&2"}); err != nil {
		t.Fatal(err)
	}
	if len(f.bodies) != 3 || f.bodies[1] != f.bodies[0] || f.bodies[2] != f.bodies[0] || !strings.Contains(f.bodies[0], "<Value>1&amp;2</Value>") {
		t.Errorf("sent %q", f.bodies)
	}
	f.answer = f.bodies[0]
	tags, err := store.GetTags(t.Context(), "k")
	if err != nil || len(tags) != 2 || tags["a"] != "1&2" {
		t.Errorf("read %v, %v", tags, err)
	}
}

func TestGet_ChecksWhatItReads(t *testing.T) {
	t.Parallel()
	for sum, whole := range map[string]bool{"26gLsg==": true, "AAAAAA==": false, "26gLsg==-2": true, "": true} {
		s := &service{status: http.StatusOK, answer: "body", sum: sum}
		_, body, err := s.store().Get(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(body); string(text) != "body" || (err == nil) != whole {
			t.Errorf("checksum %q: read %q, %v", sum, text, err)
		}
	}
}

// Tags are removed only where there are some.
func TestTagsAreReadBeforeTheyAreRemoved(t *testing.T) {
	t.Parallel()
	for answer, requests := range map[string]int{
		`<Tagging><TagSet></TagSet></Tagging>`:                                        1,
		`<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>`: 2,
	} {
		s := &service{status: http.StatusOK, answer: answer}
		if err := s.store().SetTags(t.Context(), "k", nil); err != nil || s.requests != requests || requests == 2 && s.last.Method != http.MethodDelete {
			t.Errorf("%s: %v after %d requests", answer, err, s.requests)
		}
	}
}

func TestListAsksForThePagesThereAre(t *testing.T) {
	t.Parallel()
	page := `<ListBucketResult><IsTruncated>%t</IsTruncated><NextContinuationToken>next</NextContinuationToken>
		<Contents><Key>k1</Key><ETag>"1"</ETag><Size>3</Size></Contents><Contents><Key>k2</Key></Contents></ListBucketResult>`
	s := &service{status: http.StatusOK, answer: fmt.Sprintf(page, true)}
	seen := 0
	for info, err := range s.store().List(t.Context(), "k", "k0") {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen == 1 && (info.Key != "k1" || info.ETag != `"1"` || info.Size != 3) {
			t.Errorf("first = %+v", info)
		}
		if query := s.last.URL.Query(); query.Get("prefix") != "k" || query.Get("start-after") != "k0" {
			t.Errorf("query = %v", query)
		}
		if seen == 3 {
			if s.last.URL.Query().Get("continuation-token") != "next" {
				t.Errorf("query of the second page = %v", s.last.URL.Query())
			}
			s.answer = fmt.Sprintf(page, false)
		}
	}
	if seen != 6 || s.requests != 3 {
		t.Errorf("%d objects in %d requests, want 6 in 3", seen, s.requests)
	}
}

func TestReadsShowTheWholeInfo(t *testing.T) {
	t.Parallel()
	s := &service{status: http.StatusOK, answer: "body"}
	info, body, err := s.store().Get(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(body)
	if err != nil || string(text) != "body" || body.Close() != nil {
		t.Errorf("body = %q, %v", text, err)
	}
	head, err := s.store().Head(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []objectstore.Info{info, head} {
		if i.Key != "k" || i.ETag != `"e"` || i.Size != 4 || i.Metadata["rows"] != "7" || i.Modified.Unix() != 1795305600 {
			t.Errorf("info = %+v", i)
		}
	}
}
