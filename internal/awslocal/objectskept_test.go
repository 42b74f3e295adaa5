package awslocal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"hikyaku/internal/awslocal"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/sandbox/keepertest"
)

// shownObjects is all that S3 shows of every object of every bucket.
func shownObjects(t *testing.T, r *restarts) string {
	t.Helper()
	client, ctx := s3Client(r.a), t.Context()
	buckets, err := client.ListBuckets(ctx, &s3.ListBucketsInput{})
	ok(t, "buckets", err)
	all := []any{buckets.Buckets}
	for _, b := range buckets.Buckets {
		list, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: b.Name})
		ok(t, "list", err)
		for _, o := range list.Contents {
			got, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: b.Name, Key: o.Key, ChecksumMode: s3types.ChecksumModeEnabled})
			ok(t, "get "+*o.Key, err)
			body, err := io.ReadAll(got.Body)
			ok(t, "read "+*o.Key, err)
			tags, err := client.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: b.Name, Key: o.Key})
			ok(t, "tags "+*o.Key, err)
			all = append(all, o, string(body), got.ETag, got.LastModified, got.Metadata, got.ContentType, got.ContentEncoding, got.ChecksumCRC32, got.ChecksumSHA256, got.ChecksumType, tags.TagSet)
		}
	}
	text, err := json.Marshal(all)
	ok(t, "marshal", err)
	return string(text)
}

func TestObjectsOutliveTheProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	kept(t, func(t *testing.T, r *restarts) {
		r.options.Dir = dir
		r.begin()
		ctx, bucket, other := t.Context(), aws.String("hikyaku"), aws.String("other")
		client := func() *s3.Client { return s3Client(r.a) }
		put := func(key string, size int) {
			t.Helper()
			_, err := client().PutObject(ctx, &s3.PutObjectInput{
				Bucket: bucket, Key: &key, Body: bytes.NewReader(bytes.Repeat([]byte{'x', '\n'}, size/2)), Metadata: map[string]string{"k": "v", "latin": "caf\xe9"},
				ContentType: aws.String("text/csv"), Tagging: aws.String("a=b"), ChecksumAlgorithm: s3types.ChecksumAlgorithmSha256,
			})
			ok(t, "put "+key, err)
		}
		_, err := client().CreateBucket(ctx, &s3.CreateBucketInput{Bucket: other, CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: "ap-northeast-1"}})
		ok(t, "bucket", err)
		for i, size := range []int{0, 10, 32 << 10, 32<<10 + 2, 100_000} {
			put(fmt.Sprintf("a/%d", i), size)
			time.Sleep(time.Second)
		}
		for _, key := range []string{"a", "a/../b", "\u00e9/\u6f22", strings.Repeat("x", 1024)} {
			put(key, 50_000)
		}
		_, err = client().CopyObject(ctx, &s3.CopyObjectInput{Bucket: other, Key: aws.String("copy"), CopySource: aws.String("hikyaku/a/4")})
		ok(t, "copy", err)
		_, err = client().PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: other, Key: aws.String("copy"), Tagging: &s3types.Tagging{TagSet: []s3types.Tag{{Key: aws.String("c"), Value: aws.String("d")}}}})
		ok(t, "tag", err)
		put("a/1", 60_000) // small before, and large now
		put("a/3", 12)     // the other way round
		_, err = client().DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: bucket, Delete: &s3types.Delete{Objects: []s3types.ObjectIdentifier{{Key: aws.String("a/0")}, {Key: aws.String("a")}}}})
		ok(t, "delete", err)
		before := shownObjects(t, r)
		files := bodyFiles(t, dir)
		equal(t, "large bodies", len(files), 6)
		lost, err := client().CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: aws.String("part")})
		ok(t, "begin", err)
		_, err = client().UploadPart(ctx, &s3.UploadPartInput{Bucket: bucket, Key: aws.String("part"), UploadId: lost.UploadId, PartNumber: aws.Int32(1), Body: bytes.NewReader(make([]byte, 50_000))})
		ok(t, "part", err)
		ok(t, "orphan", os.WriteFile(filepath.Join(dir, "bodies", "killed-while-it-was-written"), []byte("x"), 0o600))
		ok(t, "foreign", os.WriteFile(filepath.Join(dir, "foreign"), []byte("x"), 0o600))
		for range 2 {
			r.begin()
			equal(t, "after a restart", shownObjects(t, r), before)
			equal(t, "files", strings.Join(bodyFiles(t, dir), " "), strings.Join(files, " "))
		}
		if _, err := os.Stat(filepath.Join(dir, "foreign")); err != nil {
			t.Errorf("a foreign file is gone: %v", err)
		}
		_, err = client().UploadPart(ctx, &s3.UploadPartInput{Bucket: bucket, Key: aws.String("part"), UploadId: lost.UploadId, PartNumber: aws.Int32(2), Body: strings.NewReader("x")})
		code(t, "an upload of the process before", err, "NoSuchUpload")
		_, err = client().DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: other, Key: aws.String("copy")})
		ok(t, "delete", err)
		_, err = client().DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: other})
		ok(t, "delete", err)
		equal(t, "large bodies", len(bodyFiles(t, dir)), 5)
		r.begin()
		_, err = client().HeadBucket(ctx, &s3.HeadBucketInput{Bucket: other})
		code(t, "a deleted bucket", err, "NotFound")
	})
}

func bodyFiles(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := os.ReadDir(filepath.Join(dir, "bodies"))
	ok(t, "bodies", err)
	for _, f := range files {
		names = append(names, f.Name())
	}
	return names
}

// TestObjectsAreNotAcknowledgedUnkept lets the keeper fail.
func TestObjectsAreNotAcknowledgedUnkept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	kept(t, func(t *testing.T, r *restarts) {
		r.options.Dir = dir
		r.begin()
		ctx, bucket, key := t.Context(), aws.String("hikyaku"), aws.String("k")
		put := func(text string) error {
			_, err := s3Client(r.a).PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader(strings.Repeat(text, 40_000))})
			return err
		}
		ok(t, "put", put("one"))
		full := errors.New("no space left on device")
		r.options.Keeper.(*keepertest.Memory).Fault = func([]sandbox.Change) error { return full }
		code(t, "put", put("two"), "InternalError")
		_, err := s3Client(r.a).GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key})
		code(t, "get what is not kept", err, "InternalError")
		_, err = s3Client(r.a).ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket})
		code(t, "list what is not kept", err, "InternalError")
		for what, change := range map[string]func() error{
			"delete": func() error {
				_, err := s3Client(r.a).DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: key})
				return err
			},
			"bucket": func() error {
				_, err := s3Client(r.a).CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("other"), CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: "ap-northeast-1"}})
				return err
			},
		} {
			code(t, what, change(), "InternalError")
		}
		r.begin() // as if it was killed: what was acknowledged is there, with its body
		r.options.Keeper.(*keepertest.Memory).Fault = nil
		got, err := s3Client(r.a).GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key})
		ok(t, "get", err)
		body, err := io.ReadAll(got.Body)
		ok(t, "read", err)
		equal(t, "body", string(body[:6]), "oneone")
	})
}

// TestBodyThatIsGone is a file that somebody took away while nothing ran.
func TestBodyThatIsGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	kept(t, func(t *testing.T, r *restarts) {
		r.options.Dir = dir
		r.begin()
		ok(t, "put", putText(r.a, t, "k", strings.Repeat("x", 50_000)))
		ok(t, "take away", os.Remove(filepath.Join(dir, "bodies", bodyFiles(t, dir)[0])))
		_, err := awslocal.New(r.options)
		if err == nil || !strings.Contains(err.Error(), "hikyaku/k") || !strings.Contains(err.Error(), "put the file back") {
			t.Errorf("it began without the body of an object: %v", err)
		}
	})
}
