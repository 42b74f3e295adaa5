package awslocal_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"hikyaku/internal/awslocal"
)

const partSize = 5 << 20 // the least of every part but the last

// An uploading is a multipart upload in a test.
type uploading struct {
	*testing.T

	client  *s3.Client
	key, id *string
	parts   []s3types.CompletedPart
}

func begin(t *testing.T, client *s3.Client, in *s3.CreateMultipartUploadInput) *uploading {
	t.Helper()
	in.Bucket = aws.String(awslocal.Bucket)
	out, err := client.CreateMultipartUpload(t.Context(), in)
	ok(t, "create", err)
	return &uploading{T: t, client: client, key: in.Key, id: out.UploadId}
}

// put uploads a part, and lists it for the completion.
func (u *uploading) put(number int32, body string, algorithm s3types.ChecksumAlgorithm) error {
	out, err := u.client.UploadPart(u.Context(), &s3.UploadPartInput{
		Bucket: aws.String(awslocal.Bucket), Key: u.key, UploadId: u.id, PartNumber: &number, Body: strings.NewReader(body), ChecksumAlgorithm: algorithm,
	})
	if err == nil {
		u.parts = append(u.parts, s3types.CompletedPart{
			PartNumber: &number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32, ChecksumSHA256: out.ChecksumSHA256, ChecksumCRC64NVME: out.ChecksumCRC64NVME,
		})
	}
	return err
}

func (u *uploading) complete(change ...func(*s3.CompleteMultipartUploadInput)) (*s3.CompleteMultipartUploadOutput, error) {
	in := &s3.CompleteMultipartUploadInput{
		Bucket: aws.String(awslocal.Bucket), Key: u.key, UploadId: u.id, MultipartUpload: &s3types.CompletedMultipartUpload{Parts: u.parts},
	}
	for _, c := range change {
		c(in)
	}
	return u.client.CompleteMultipartUpload(u.Context(), in)
}

func TestMultipartUploads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, a := range map[string]*awslocal.AWS{"memory": start(t, awslocal.Options{}), "directory": start(t, awslocal.Options{Dir: dir})} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, key := s3Client(a), aws.String("dir/large")
			one, two := strings.Repeat("1", partSize), "the rest"
			u := begin(t, client, &s3.CreateMultipartUploadInput{
				Key: key, ChecksumAlgorithm: "SHA256", ContentType: aws.String("text/plain"), Metadata: map[string]string{"run": "1"}, Tagging: aws.String("team=shop"),
			})
			ok(t, "second part", u.put(7, two, "SHA256"))
			ok(t, "first part, for the first time", u.put(3, strings.Repeat("0", partSize), "SHA256"))
			u.parts = u.parts[:1]
			ok(t, "first part", u.put(3, one, "SHA256"))
			u.parts[0], u.parts[1] = u.parts[1], u.parts[0]
			_, _, err := getText(t, a, &s3.GetObjectInput{Key: key})
			code(t, "before its end", err, "NoSuchKey")
			out, err := u.complete(func(in *s3.CompleteMultipartUploadInput) {
				in.MpuObjectSize, in.IfNoneMatch = aws.Int64(int64(len(one)+len(two))), aws.String("*")
			})
			ok(t, "complete", err)
			tags, sums := md5.New(), sha256.New()
			for _, part := range []string{one, two} {
				m, s := md5.Sum([]byte(part)), sha256.Sum256([]byte(part))
				tags.Write(m[:])
				sums.Write(s[:])
			}
			equal(t, "etag", *out.ETag, `"`+hex.EncodeToString(tags.Sum(nil))+`-2"`)
			equal(t, "checksum", aws.ToString(out.ChecksumSHA256), base64.StdEncoding.EncodeToString(sums.Sum(nil))+"-2")
			equal(t, "kind", out.ChecksumType, s3types.ChecksumTypeComposite)
			got, body, err := getText(t, a, &s3.GetObjectInput{Key: key, ChecksumMode: "ENABLED"})
			ok(t, "get", err)
			equal(t, "body", body == one+two, true)
			equal(t, "etag", *got.ETag, *out.ETag)
			equal(t, "headers", *got.ContentType+got.Metadata["run"]+fmt.Sprint(*got.TagCount), "text/plain11")
			equal(t, "checksum of the object", aws.ToString(got.ChecksumSHA256), *out.ChecksumSHA256)
			_, err = u.complete()
			code(t, "complete again", err, "NoSuchUpload")
		})
	}
	t.Cleanup(func() { // runs after the subtests
		spooled, err := os.ReadDir(filepath.Join(dir, ".spool"))
		if err != nil || len(spooled) > 0 {
			t.Errorf("%d files of parts are left, %v", len(spooled), err)
		}
	})
}

func TestWholeChecksumsOfUploads(t *testing.T) {
	t.Parallel()
	client := s3Client(start(t, awslocal.Options{}))
	one, two := strings.Repeat("1", partSize), "the rest"
	u := begin(t, client, &s3.CreateMultipartUploadInput{Key: aws.String("k"), ChecksumAlgorithm: "CRC32", ChecksumType: "FULL_OBJECT"})
	ok(t, "put", u.put(1, one, "CRC32"))
	ok(t, "put", u.put(2, two, "CRC32"))
	sum := crc32.ChecksumIEEE([]byte(one + two))
	want := base64.StdEncoding.EncodeToString([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
	wrong := func(change func(*s3.CompleteMultipartUploadInput), want string) {
		t.Helper()
		_, err := u.complete(change)
		code(t, want, err, want)
	}
	wrong(func(in *s3.CompleteMultipartUploadInput) { in.ChecksumCRC32 = aws.String("AAAAAA==") }, "BadDigest")
	wrong(func(in *s3.CompleteMultipartUploadInput) { in.ChecksumSHA1 = aws.String("AAAAAA==") }, "InvalidRequest")
	wrong(func(in *s3.CompleteMultipartUploadInput) { in.ChecksumType = "COMPOSITE" }, "InvalidRequest")
	wrong(func(in *s3.CompleteMultipartUploadInput) { in.MpuObjectSize = aws.Int64(1) }, "InvalidRequest")
	wrong(func(in *s3.CompleteMultipartUploadInput) { in.IfMatch = aws.String("x") }, "NoSuchKey")
	out, err := u.complete(func(in *s3.CompleteMultipartUploadInput) { in.ChecksumCRC32, in.ChecksumType = &want, "FULL_OBJECT" })
	ok(t, "complete", err)
	equal(t, "checksum", aws.ToString(out.ChecksumCRC32)+string(out.ChecksumType), want+"FULL_OBJECT")
	plain := begin(t, client, &s3.CreateMultipartUploadInput{Key: aws.String("plain")})
	ok(t, "the SDK's default", plain.put(1, two, ""))
	_, err = plain.complete()
	ok(t, "complete", err)
	newer := begin(t, client, &s3.CreateMultipartUploadInput{Key: aws.String("newer"), ChecksumAlgorithm: "CRC64NVME"})
	ok(t, "the AWS CLI's default", newer.put(1, two, "CRC64NVME"))
	out, err = newer.complete()
	ok(t, "complete", err)
	equal(t, "the same over one part and all", aws.ToString(out.ChecksumCRC64NVME)+string(out.ChecksumType), aws.ToString(newer.parts[0].ChecksumCRC64NVME)+"FULL_OBJECT")
}

func TestWrongUploadsAreRefused(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{Dir: t.TempDir()})
	client, ctx, bucket := s3Client(a), t.Context(), aws.String(awslocal.Bucket)
	for _, in := range []s3.CreateMultipartUploadInput{
		{ChecksumAlgorithm: "SHA256", ChecksumType: "FULL_OBJECT"}, {ChecksumAlgorithm: "CRC64NVME", ChecksumType: "COMPOSITE"}, {ChecksumAlgorithm: "MD5"},
	} {
		in.Bucket, in.Key = bucket, aws.String("k")
		_, err := client.CreateMultipartUpload(ctx, &in)
		code(t, fmt.Sprint(in.ChecksumAlgorithm), err, "InvalidRequest")
	}
	_, err := client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: aws.String("none"), Key: aws.String("k")})
	code(t, "no bucket", err, "NoSuchBucket")
	u := begin(t, client, &s3.CreateMultipartUploadInput{Key: aws.String("k"), ChecksumAlgorithm: "CRC32"})
	for _, number := range []int32{0, 10001} {
		code(t, fmt.Sprint(number), u.put(number, "x", "CRC32"), "InvalidArgument")
	}
	code(t, "another checksum", u.put(1, "x", "SHA256"), "InvalidRequest")
	ok(t, "put", u.put(1, "short", "CRC32"))
	ok(t, "put", u.put(2, "short", "CRC32"))
	for want, change := range map[string]func(parts []s3types.CompletedPart) []s3types.CompletedPart{
		"EntityTooSmall":   func(p []s3types.CompletedPart) []s3types.CompletedPart { return p },
		"InvalidPartOrder": func(p []s3types.CompletedPart) []s3types.CompletedPart { return []s3types.CompletedPart{p[1], p[0]} },
		"InvalidPart etag": func(p []s3types.CompletedPart) []s3types.CompletedPart {
			return []s3types.CompletedPart{{PartNumber: aws.Int32(1), ETag: aws.String(`"0"`), ChecksumCRC32: p[0].ChecksumCRC32}}
		},
		"InvalidPart number": func(p []s3types.CompletedPart) []s3types.CompletedPart {
			return []s3types.CompletedPart{{PartNumber: aws.Int32(3), ETag: p[0].ETag, ChecksumCRC32: p[0].ChecksumCRC32}}
		},
		"InvalidPart checksum": func(p []s3types.CompletedPart) []s3types.CompletedPart {
			return []s3types.CompletedPart{{PartNumber: aws.Int32(1), ETag: p[0].ETag, ChecksumCRC32: aws.String("AAAAAA==")}}
		},
		"InvalidRequest": func(p []s3types.CompletedPart) []s3types.CompletedPart {
			return []s3types.CompletedPart{{PartNumber: aws.Int32(1), ETag: p[0].ETag}}
		},
		"MalformedXML": func([]s3types.CompletedPart) []s3types.CompletedPart { return nil },
	} {
		wanted, _, _ := strings.Cut(want, " ")
		_, err := u.complete(func(in *s3.CompleteMultipartUploadInput) { in.MultipartUpload.Parts = change(u.parts) })
		code(t, want, err, wanted)
	}
	_, err = client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: bucket, Key: aws.String("other"), UploadId: u.id})
	code(t, "abort under another key", err, "NoSuchUpload")
	_, err = client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: bucket, Key: u.key, UploadId: u.id})
	ok(t, "abort", err)
	code(t, "put to an aborted one", u.put(1, "x", "CRC32"), "NoSuchUpload")
	_, _, err = getText(t, a, &s3.GetObjectInput{Key: u.key})
	code(t, "nothing was made", err, "NoSuchKey")
}

// Of many that complete one upload, one does.
func TestAnUploadIsCompletedOnce(t *testing.T) {
	t.Parallel()
	u := begin(t, s3Client(start(t, awslocal.Options{Dir: t.TempDir()})), &s3.CreateMultipartUploadInput{Key: aws.String("k"), ChecksumAlgorithm: "CRC32"})
	ok(t, "put", u.put(1, "body", "CRC32"))
	var all sync.WaitGroup
	outcomes := make(chan error, 16)
	for range cap(outcomes) {
		all.Go(func() {
			_, err := u.complete()
			outcomes <- err
		})
	}
	all.Wait()
	close(outcomes)
	won := 0
	for err := range outcomes {
		var refused smithy.APIError
		switch {
		case err == nil:
			won++
		case !errors.As(err, &refused) || refused.ErrorCode() != "NoSuchUpload":
			t.Errorf("lost with %v", err)
		}
	}
	equal(t, "won", won, 1)
}

func TestUploadsAndTheirPartsAreListed(t *testing.T) {
	t.Parallel()
	client := s3Client(start(t, awslocal.Options{}))
	ctx, bucket := t.Context(), aws.String(awslocal.Bucket)
	var first *uploading
	for _, key := range []string{"a/1", "b", "a/2", "a/1"} {
		u := begin(t, client, &s3.CreateMultipartUploadInput{Key: &key, ChecksumAlgorithm: "CRC32"})
		if first == nil {
			first = u
		}
	}
	var keys []string
	for p := s3.NewListMultipartUploadsPaginator(client, &s3.ListMultipartUploadsInput{Bucket: bucket, MaxUploads: aws.Int32(1), EncodingType: "url"}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		ok(t, "uploads", err)
		for _, u := range page.Uploads {
			keys = append(keys, *u.Key+" "+string(u.ChecksumAlgorithm)+" "+string(u.ChecksumType))
		}
	}
	equal(t, "uploads", strings.Join(keys, ";"), "a/1 CRC32 COMPOSITE;a/1 CRC32 COMPOSITE;a/2 CRC32 COMPOSITE;b CRC32 COMPOSITE")
	some, err := client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: bucket, Prefix: aws.String("a/"), KeyMarker: aws.String("a/1")})
	ok(t, "some", err)
	equal(t, "some", len(some.Uploads), 1)
	for _, number := range []int32{5, 2, 9} {
		ok(t, "put", first.put(number, strings.Repeat("x", int(number)), "CRC32"))
	}
	var parts []string
	for p := s3.NewListPartsPaginator(client, &s3.ListPartsInput{Bucket: bucket, Key: first.key, UploadId: first.id, MaxParts: aws.Int32(2)}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		ok(t, "parts", err)
		for _, part := range page.Parts {
			parts = append(parts, fmt.Sprint(*part.PartNumber, *part.Size, part.ChecksumCRC32 != nil))
		}
		parts = append(parts, string(page.ChecksumType))
	}
	equal(t, "parts", strings.Join(parts, ";"), "2 2 true;5 5 true;COMPOSITE;9 9 true;COMPOSITE")
	_, err = client.ListParts(ctx, &s3.ListPartsInput{Bucket: bucket, Key: first.key, UploadId: aws.String("none")})
	code(t, "parts of none", err, "NoSuchUpload")
	_, err = client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: bucket, Delimiter: aws.String("/")})
	code(t, "delimiter", err, "NotImplemented")
}

func TestPartsAreCopied(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{Dir: t.TempDir()})
	client, ctx, bucket := s3Client(a), t.Context(), aws.String(awslocal.Bucket)
	source := bytes.Repeat([]byte("0123456789"), partSize/5)
	ok(t, "source", putText(a, t, "so urce", string(source)))
	u := begin(t, client, &s3.CreateMultipartUploadInput{Key: aws.String("k"), ChecksumAlgorithm: "CRC32"})
	part := func(number int32, ranged string) error {
		out, err := client.UploadPartCopy(ctx, &s3.UploadPartCopyInput{
			Bucket: bucket, Key: u.key, UploadId: u.id, PartNumber: &number, CopySource: aws.String("hikyaku/so%20urce"), CopySourceRange: &ranged,
		})
		if err == nil {
			u.parts = append(u.parts, s3types.CompletedPart{PartNumber: &number, ETag: out.CopyPartResult.ETag, ChecksumCRC32: out.CopyPartResult.ChecksumCRC32})
		}
		return err
	}
	ok(t, "first", part(1, fmt.Sprintf("bytes=0-%d", partSize-1)))
	ok(t, "second", part(2, fmt.Sprintf("bytes=%d-%d", partSize, len(source)-1)))
	for _, wrong := range []string{"bytes=5-", "bytes=-5", fmt.Sprintf("bytes=0-%d", len(source)), "bytes=9-5", "5-9"} {
		code(t, wrong, part(3, wrong), "InvalidArgument")
	}
	_, err := u.complete()
	ok(t, "complete", err)
	_, body, err := getText(t, a, &s3.GetObjectInput{Key: u.key})
	ok(t, "get", err)
	equal(t, "as the source", body == string(source), true)
}
