package awslocal_test

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"hikyaku/internal/awslocal"
)

func getText(t *testing.T, a *awslocal.AWS, in *s3.GetObjectInput) (*s3.GetObjectOutput, string, error) {
	t.Helper()
	in.Bucket = aws.String(awslocal.Bucket)
	out, err := s3Client(a).GetObject(t.Context(), in)
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(out.Body)
	ok(t, "body", err)
	return out, string(body), out.Body.Close()
}

func TestChecksumsAreComputedKeptAndChecked(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	want := map[types.ChecksumAlgorithm]string{ // of "123456789"
		types.ChecksumAlgorithmCrc32: "y/Q5Jg==", types.ChecksumAlgorithmCrc32c: "4waSgw==", types.ChecksumAlgorithmCrc64nvme: "rosUhgp5mIg=",
		types.ChecksumAlgorithmSha1: "98O8HYCOBHMq32eZZczDTKeuNEE=", types.ChecksumAlgorithmSha256: "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
	}
	for algorithm, sum := range want {
		_, err := s3Client(a).PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String(awslocal.Bucket), Key: aws.String("k"), Body: strings.NewReader("123456789"), ChecksumAlgorithm: algorithm,
		})
		ok(t, string(algorithm), err)
		out, _, err := getText(t, a, &s3.GetObjectInput{Key: aws.String("k"), ChecksumMode: types.ChecksumModeEnabled})
		ok(t, string(algorithm), err)
		got := aws.ToString(out.ChecksumCRC32) + aws.ToString(out.ChecksumCRC32C) + aws.ToString(out.ChecksumCRC64NVME) + aws.ToString(out.ChecksumSHA1) + aws.ToString(out.ChecksumSHA256)
		equal(t, string(algorithm), got, sum)
		equal(t, "type", out.ChecksumType, types.ChecksumTypeFullObject)
	}
	_, err := s3Client(a).PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(awslocal.Bucket), Key: aws.String("k"), Body: strings.NewReader("other"), ChecksumSHA256: aws.String(want[types.ChecksumAlgorithmSha256]),
	})
	code(t, "wrong checksum", err, "BadDigest")
	_, body, err := getText(t, a, &s3.GetObjectInput{Key: aws.String("k")})
	ok(t, "get", err)
	equal(t, "a refused body", body, "123456789")
}

// put sends a PutObject by hand.
func put(t *testing.T, a *awslocal.AWS, key, body string, headers ...string) (status int, answer string) {
	t.Helper()
	r := post(t, a.URL+"/"+awslocal.Bucket+"/"+key, body, headers...)
	r.Method = http.MethodPut
	response, text := do(t, r)
	return response.StatusCode, text
}

func TestBodiesAreCheckedByEveryDigest(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{Dir: t.TempDir()})
	const md5, sha = "JfnnlDI7RTiF9RgfG2JNCw==", "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"
	for _, c := range []struct{ body, header, value, code string }{
		{"123456789", "Content-Md5", md5, ""},
		{"12345678x", "Content-Md5", md5, "BadDigest"},
		{"123456789", "X-Amz-Content-Sha256", sha, ""},
		{"12345678x", "X-Amz-Content-Sha256", sha, "XAmzContentSHA256Mismatch"},
		{"123456789", "X-Amz-Checksum-Crc32", "y/Q5Jg==", ""},
		{"12345678x", "X-Amz-Checksum-Crc32", "y/Q5Jg==", "BadDigest"},
		{"x", "X-Amz-Meta-Long", strings.Repeat("v", 2044), ""},
		{"x", "X-Amz-Meta-Long", strings.Repeat("v", 2045), "MetadataTooLarge"},
		{"x", "If-None-Match", `"etag"`, "NotImplemented"},
	} {
		status, answer := put(t, a, "k", c.body, c.header, c.value)
		if c.code == "" && status != http.StatusOK || c.code != "" && !strings.Contains(answer, "<Code>"+c.code+"</Code>") {
			t.Errorf("%s of %s: %d %s", c.header, c.body, status, answer)
		}
	}
	status, answer := put(t, a, "k", "123456789", "X-Amz-Checksum-Sha512", "AAAA")
	equal(t, answer, status, http.StatusNotImplemented)
	equal(t, answer, strings.Contains(answer, "X-Amz-Checksum-Sha512"), true)
	for range 20 { // the order of a map decides which is seen
		_, answer = put(t, a, "k", "123456789", "X-Amz-Checksum-Crc32", "y/Q5Jg==", "X-Amz-Checksum-Sha1", "AAAA")
		equal(t, answer, strings.Contains(answer, "<Code>InvalidRequest</Code>"), true)
	}
	_, answer = put(t, a, "k", "123456789", "X-Amz-Checksum-Crc32", "y/Q5Jg==", "X-Amz-Checksum-Algorithm", "CRC32", "X-Amz-Checksum-Type", "FULL_OBJECT")
	equal(t, "known names", answer, "")
	status, _ = put(t, a, strings.Repeat("k", 1024), "x")
	equal(t, "longest key", status, http.StatusOK)
	_, answer = put(t, a, strings.Repeat("k", 1025), "x")
	equal(t, "longer key", strings.Contains(answer, "KeyTooLongError"), true)
}

func TestChunkedBodies(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	send := func(body string) (int, string) {
		return put(t, a, "chunked", body, "X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "Content-Encoding", "aws-chunked,gzip",
			"X-Amz-Trailer", "x-amz-checksum-crc32", "X-Amz-Decoded-Content-Length", "9")
	}
	status, answer := send("4\r\n1234\r\n5;chunk-signature=0\r\n56789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n")
	equal(t, answer, status, http.StatusOK)
	out, body, err := getText(t, a, &s3.GetObjectInput{Key: aws.String("chunked")})
	ok(t, "get", err)
	equal(t, "body", body, "123456789")
	equal(t, "encoding", aws.ToString(out.ContentEncoding), "gzip")
	_, answer = send("9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n")
	equal(t, answer, strings.Contains(answer, "<Code>BadDigest</Code>"), true)
	for _, broken := range []string{"", "zz\r\n", "-1\r\n\r\n", "4\r\n12", "4\r\n1234", "4\r\n1234x\r\n0\r\n\r\n", "0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n"} {
		_, answer := send(broken)
		if !strings.Contains(answer, "<Code>IncompleteBody</Code>") {
			t.Errorf("%q: %s", broken, answer)
		}
	}
}

func TestADeclaredTrailerMustCome(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	const crc, begin = "x-amz-checksum-crc32", "9\r\n123456789\r\n0\r\n"
	for _, c := range []struct{ declared, trailer, code string }{
		{crc, crc + ":y/Q5Jg==\r\n", ""},
		{crc, crc + ":y/Q5Jg==\r\nx-amz-trailer-signature:0\r\n", ""},
		{"", "", ""},
		{crc, "", "MalformedTrailerError"},
		{crc, "x-amz-checksum-sha1:98O8HYCOBHMq32eZZczDTKeuNEE=\r\n", "MalformedTrailerError"},
		{crc, crc + ":y/Q5Jg==\r\n" + crc + ":AAAAAA==\r\n", "MalformedTrailerError"},
		{"", crc + ":AAAAAA==\r\n", "MalformedTrailerError"},
		{crc, crc + ":\r\n", "BadDigest"},
		{"x-amz-checksum-sha512", "x-amz-checksum-sha512:AAAA\r\n", "InvalidRequest"},
		{"x-amz-meta-late", "x-amz-meta-late:1\r\n", "InvalidRequest"},
	} {
		headers := []string{"X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}
		if c.declared != "" {
			headers = append(headers, "X-Amz-Trailer", c.declared)
		}
		status, answer := put(t, a, "k", begin+c.trailer+"\r\n", headers...)
		if c.code == "" && status != http.StatusOK || c.code != "" && !strings.Contains(answer, "<Code>"+c.code+"</Code>") {
			t.Errorf("%+v: %d %s", c, status, answer)
		}
	}
	_, answer := put(t, a, "k", begin+crc+":y/Q5Jg==\r\n\r\n", "X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "X-Amz-Trailer", crc, "X-Amz-Checksum-Sha1", "AAAA")
	equal(t, answer, strings.Contains(answer, "<Code>InvalidRequest</Code>"), true)
	_, answer = put(t, a, "k", "123456789", "X-Amz-Trailer", crc)
	equal(t, answer, strings.Contains(answer, "<Code>MalformedTrailerError</Code>"), true)
}

func TestTheTransportsCodingIsNotKept(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	for sent, want := range map[string]string{
		"aws-chunked": "", "gzip,aws-chunked": "gzip", "gzip, aws-chunked": "gzip", "br, aws-chunked, gzip": "br, gzip", "aws-chunked,gzip, br": "gzip, br", "aws-chunked-not": "aws-chunked-not",
	} {
		status, answer := put(t, a, "k", "x", "Content-Encoding", sent)
		equal(t, answer, status, http.StatusOK)
		head, err := s3Client(a).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String(awslocal.Bucket), Key: aws.String("k")})
		ok(t, sent, err)
		equal(t, sent, aws.ToString(head.ContentEncoding), want)
	}
}

func TestAnOverwriteKeepsNothing(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	bucket, key := aws.String(awslocal.Bucket), aws.String("k")
	_, err := s3Client(a).PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: bucket, Key: key, Body: strings.NewReader("a"), ContentType: aws.String("application/json"), ContentEncoding: aws.String("gzip"),
		CacheControl: aws.String("no-store"), Metadata: map[string]string{"run": "1", "nonce": "n"},
	})
	ok(t, "put", err)
	head, err := s3Client(a).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket, Key: key})
	ok(t, "head", err)
	equal(t, "kept", *head.ContentType+*head.ContentEncoding+*head.CacheControl+head.Metadata["run"]+head.Metadata["nonce"], "application/jsongzipno-store1n")
	_, err = s3Client(a).PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader("bc"), Metadata: map[string]string{"run": "2"}})
	ok(t, "put again", err)
	head, err = s3Client(a).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket, Key: key})
	ok(t, "head again", err)
	equal(t, "metadata", fmt.Sprint(head.Metadata), "map[run:2]")
	equal(t, "the rest", *head.ContentType+aws.ToString(head.ContentEncoding)+aws.ToString(head.CacheControl)+strconv.Itoa(int(*head.ContentLength)), "application/octet-stream2")
}

func TestConditions(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{"memory": "", "directory": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := start(t, awslocal.Options{Dir: dir})
			client, bucket, key := s3Client(a), aws.String(awslocal.Bucket), aws.String("k")
			first, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader("a"), IfNoneMatch: aws.String("*")})
			ok(t, "create", err)
			second, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader("b"), IfMatch: first.ETag})
			ok(t, "swap", err)
			_, err = client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: aws.String("none"), Body: strings.NewReader("b"), IfMatch: first.ETag})
			code(t, "swap a missing one", err, "NoSuchKey")
			_, err = client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: key, IfMatch: first.ETag})
			code(t, "delete by an old ETag", err, "PreconditionFailed")
			_, err = client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("none"), IfMatch: aws.String("*")})
			code(t, "delete a missing one by condition", err, "NoSuchKey")
			_, _, err = getText(t, a, &s3.GetObjectInput{Key: key, IfMatch: first.ETag})
			code(t, "get by an old ETag", err, "PreconditionFailed")
			_, _, err = getText(t, a, &s3.GetObjectInput{Key: key, IfNoneMatch: second.ETag})
			code(t, "get unless it is this", err, "NotModified")
			_, body, err := getText(t, a, &s3.GetObjectInput{Key: key, IfMatch: second.ETag, IfNoneMatch: first.ETag})
			ok(t, "get", err)
			equal(t, "body", body, "b")
			_, err = client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: key, IfMatch: second.ETag})
			ok(t, "delete", err)
			_, _, err = getText(t, a, &s3.GetObjectInput{Key: key})
			code(t, "get a deleted one", err, "NoSuchKey")
		})
	}
}

func TestRanges(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	ok(t, "put", putText(a, t, "k", "0123456789"))
	for asked, want := range map[string]string{
		"bytes=0-0": "0", "bytes=2-4": "234", "bytes=8-": "89", "bytes=8-99": "89", "bytes=-3": "789", "bytes=-99": "0123456789",
		"bytes=0-9": "0123456789", "bytes=0-1,3-4": "0123456789", "lines=1": "0123456789", "bytes=-": "0123456789",
	} {
		_, body, err := getText(t, a, &s3.GetObjectInput{Key: aws.String("k"), Range: &asked})
		ok(t, asked, err)
		equal(t, asked, body, want)
	}
	for asked, want := range map[string]string{
		"bytes=2-4": "206 bytes 2-4/10", "bytes=0-": "206 bytes 0-9/10", "bytes=0-9": "206 bytes 0-9/10", "bytes=-99": "206 bytes 0-9/10",
		"bytes=0-1,3-4": "200 ", "lines=1": "200 ", "bytes=-": "200 ",
	} {
		r := post(t, a.URL+"/"+awslocal.Bucket+"/k", "", "Range", asked)
		r.Method = http.MethodGet
		response, _ := do(t, r)
		equal(t, asked, fmt.Sprint(response.StatusCode, " ", response.Header.Get("Content-Range")), want)
	}
	for _, bad := range []string{"bytes=10-", "bytes=10-11", "bytes=-0"} {
		_, _, err := getText(t, a, &s3.GetObjectInput{Key: aws.String("k"), Range: &bad})
		code(t, bad, err, "InvalidRange")
	}
}

func TestListing(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	for _, key := range []string{"b/2", "a", "b/1", "b/1/x", "b/1/y", "b!", "c/1", "日本/ +&", "d"} {
		ok(t, key, putText(a, t, key, "v"))
	}
	client, bucket := s3Client(a), aws.String(awslocal.Bucket)
	_, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("d")})
	ok(t, "delete", err)
	for _, c := range []struct{ prefix, delimiter, after, want string }{
		{"", "", "", "a b! b/1 b/1/x b/1/y b/2 c/1 日本/ +&"},
		{"", "/", "", "a b! b/* c/* 日本/*"},
		{"b/", "/", "", "b/1 b/1/* b/2"},
		{"b/", "/", "b/1", "b/1/* b/2"},
		{"b/1", "", "b/1", "b/1/x b/1/y"},
		{"b", "", "0", "b! b/1 b/1/x b/1/y b/2"},
		{"nothing", "", "", ""},
	} {
		for size := int32(1); size <= 4; size++ {
			pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{
				Bucket: bucket, Prefix: &c.prefix, Delimiter: &c.delimiter, StartAfter: &c.after, MaxKeys: &size,
			})
			var got []string
			for pages.HasMorePages() {
				page, err := pages.NextPage(t.Context())
				ok(t, "page", err)
				if n := len(page.Contents) + len(page.CommonPrefixes); n > int(size) || n != int(*page.KeyCount) {
					t.Fatalf("a page of %d has %d, says %d", size, n, *page.KeyCount)
				}
				var here []string
				for _, o := range page.Contents {
					here = append(here, *o.Key)
				}
				for _, p := range page.CommonPrefixes {
					here = append(here, *p.Prefix+"*")
				}
				got = append(got, here...)
			}
			if size > 1 { // a page lists its keys and its common prefixes apart
				equal(t, fmt.Sprint(c), len(got), len(strings.FieldsFunc(strings.ReplaceAll(c.want, " +&", "+&"), func(r rune) bool { return r == ' ' })))
				continue
			}
			equal(t, fmt.Sprint(c), strings.Join(got, " "), c.want)
		}
	}
	zero := int32(0)
	page, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket, MaxKeys: &zero})
	ok(t, "no keys", err)
	equal(t, "no keys", len(page.Contents) == 0 && !*page.IsTruncated, true)
	_, err = client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket, ContinuationToken: aws.String("?")})
	code(t, "a broken token", err, "InvalidArgument")
}

func TestListingEncodesKeysOnRequest(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	ok(t, "put", putText(a, t, "a b/é+\x01", "v"))
	out, err := s3Client(a).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(awslocal.Bucket), EncodingType: types.EncodingTypeUrl, FetchOwner: aws.Bool(true)})
	ok(t, "list", err)
	equal(t, "key", *out.Contents[0].Key, "a+b/%C3%A9%2B%01")
	equal(t, "owner", aws.ToString(out.Contents[0].Owner.ID), awslocal.Account)
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	client := s3Client(a)
	_, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("another")})
	ok(t, "create", err)
	_, err = client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("another")})
	code(t, "create again", err, "BucketAlreadyOwnedByYou")
	_, err = client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("No_Bucket")})
	code(t, "create a bad name", err, "InvalidBucketName")
	out, err := client.ListBuckets(t.Context(), &s3.ListBucketsInput{})
	ok(t, "list", err)
	equal(t, "buckets", len(out.Buckets), 2)
	equal(t, "names", *out.Buckets[0].Name+" "+*out.Buckets[1].Name, "another hikyaku")
	_, err = client.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("another")})
	ok(t, "head", err)
	_, err = client.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("none")})
	code(t, "head none", err, "NotFound")
	where, err := client.GetBucketLocation(t.Context(), &s3.GetBucketLocationInput{Bucket: aws.String("another")})
	ok(t, "location", err)
	equal(t, "location", string(where.LocationConstraint), awslocal.Region)
	none := aws.String("none")
	_, put := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: none, Key: aws.String("k"), Body: strings.NewReader("v")})
	_, get := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: none, Key: aws.String("k")})
	_, del := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: none, Key: aws.String("k")})
	_, list := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: none})
	for doing, err := range map[string]error{"put": put, "get": get, "delete": del, "list": list} {
		code(t, doing, err, "NoSuchBucket")
	}
}

func TestObjectsLieInTheDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "objects")
	a := start(t, awslocal.Options{Dir: dir})
	ok(t, "put", putText(a, t, "shop/exports/part-00000.jsonl", "{}\n"))
	raw, err := os.ReadFile(filepath.Join(dir, awslocal.Bucket, "shop", "exports", "part-00000.jsonl"))
	ok(t, "read", err)
	equal(t, "file", string(raw), "{}\n")
	odd := []string{"a", "a/b", "../../escape", "x//y", "./z", "dir/", strings.Repeat("n", 300), "back\\slash"}
	for _, key := range odd {
		ok(t, key, putText(a, t, key, "first"))
		ok(t, key, putText(a, t, key, key))
	}
	for _, key := range odd {
		_, body, err := getText(t, a, &s3.GetObjectInput{Key: &key})
		ok(t, key, err)
		equal(t, "body", body, key)
	}
	files := 0
	ok(t, "walk", filepath.WalkDir(filepath.Dir(dir), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files++
			equal(t, path, strings.HasPrefix(path, dir), true)
		}
		return err
	}))
	equal(t, "files", files, len(odd)+1)
	for _, key := range odd {
		_, err := s3Client(a).DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(awslocal.Bucket), Key: &key})
		ok(t, "delete", err)
	}
	left, err := os.ReadDir(filepath.Join(dir, ".odd"))
	ok(t, "read", err)
	equal(t, "left", len(left), 0)
}

// An object of a directory has its key's path, whichever version it is. The
// path is deep, so that opening it takes long enough for a writer to come in
// between.
func TestAReaderBesideWritersSeesOneVersion(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{Dir: t.TempDir()})
	key := strings.Repeat("d/", 400) + "k"
	ctx, stop := context.WithCancel(t.Context())
	var writers, readers sync.WaitGroup
	for range 2 {
		writers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				r := post(t, a.URL+"/"+awslocal.Bucket+"/"+key, strings.Repeat("v", i%100))
				r.Method = http.MethodPut
				if i%5 == 4 {
					r.Method = http.MethodDelete
				}
				do(t, r)
			}
		})
	}
	for range 4 {
		readers.Go(func() {
			for range 150 {
				r := post(t, a.URL+"/"+awslocal.Bucket+"/"+key, "")
				r.Method = http.MethodGet
				response, body := do(t, r)
				sum := md5.Sum([]byte(body))
				whole := response.Header.Get("Etag") == fmt.Sprintf("%q", hex.EncodeToString(sum[:]))
				if response.StatusCode != http.StatusNotFound && (response.StatusCode != http.StatusOK || !whole) {
					t.Errorf("%d, %s of %d bytes", response.StatusCode, response.Header.Get("Etag"), len(body))
				}
			}
		})
	}
	readers.Wait()
	stop()
	writers.Wait()
}
