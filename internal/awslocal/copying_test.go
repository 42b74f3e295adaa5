package awslocal_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"hikyaku/internal/awslocal"
)

func TestObjectsAreCopied(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{Dir: t.TempDir()})
	client, ctx, bucket := s3Client(a), t.Context(), aws.String(awslocal.Bucket)
	_, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("other")})
	ok(t, "bucket", err)
	put, err := client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: bucket, Key: aws.String("a b/ü+c"), Body: strings.NewReader("body"), ContentType: aws.String("text/plain"), Metadata: map[string]string{"run": "1"},
		Tagging: aws.String("team=shop"), ChecksumAlgorithm: "SHA256",
	})
	ok(t, "put", err)
	copied := func(change func(*s3.CopyObjectInput)) (*s3.GetObjectOutput, error) {
		in := &s3.CopyObjectInput{Bucket: aws.String("other"), Key: aws.String("copy"), CopySource: aws.String("hikyaku/a%20b/%C3%BC%2Bc")}
		change(in)
		out, err := client.CopyObject(ctx, in)
		if err != nil {
			return nil, err
		}
		got, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: in.Bucket, Key: in.Key, ChecksumMode: "ENABLED"})
		ok(t, "get", err)
		equal(t, "etag", *out.CopyObjectResult.ETag, *got.ETag)
		_ = got.Body.Close()
		return got, nil
	}
	as, err := copied(func(*s3.CopyObjectInput) {})
	ok(t, "copy", err)
	equal(t, "as the source", *as.ETag+*as.ContentType+as.Metadata["run"]+fmt.Sprint(*as.TagCount)+*as.ChecksumSHA256, *put.ETag+"text/plain11"+*put.ChecksumSHA256)
	anew, err := copied(func(in *s3.CopyObjectInput) {
		in.MetadataDirective, in.TaggingDirective, in.Metadata, in.ContentType, in.ChecksumAlgorithm = "REPLACE", "REPLACE", map[string]string{"x": "y"}, aws.String("text/css"), "CRC32"
	})
	ok(t, "copy", err)
	equal(t, "replaced", *anew.ContentType+anew.Metadata["x"]+anew.Metadata["run"], "text/cssy")
	equal(t, "no tags, another checksum", anew.TagCount == nil && anew.ChecksumCRC32 != nil && anew.ChecksumSHA256 == nil, true)
	same := func(in *s3.CopyObjectInput) { in.Bucket, in.Key = bucket, aws.String("a b/ü+c") }
	_, err = copied(same)
	code(t, "onto itself", err, "InvalidRequest")
	again, err := copied(func(in *s3.CopyObjectInput) { same(in); in.MetadataDirective = "REPLACE" })
	ok(t, "onto itself, changed", err)
	equal(t, "changed", len(again.Metadata), 0)
	for doing, c := range map[string]struct {
		change func(*s3.CopyObjectInput)
		want   string
	}{
		"no source":             {func(in *s3.CopyObjectInput) { in.CopySource = aws.String("hikyaku/none") }, "NoSuchKey"},
		"no bucket":             {func(in *s3.CopyObjectInput) { in.CopySource = aws.String("none/none") }, "NoSuchBucket"},
		"no key":                {func(in *s3.CopyObjectInput) { in.CopySource = aws.String("hikyaku") }, "InvalidArgument"},
		"to no bucket":          {func(in *s3.CopyObjectInput) { in.Bucket = aws.String("none") }, "NoSuchBucket"},
		"another etag":          {func(in *s3.CopyObjectInput) { in.CopySourceIfMatch = aws.String("x") }, "PreconditionFailed"},
		"this etag":             {func(in *s3.CopyObjectInput) { in.CopySourceIfNoneMatch = put.ETag }, "PreconditionFailed"},
		"only a new one":        {func(in *s3.CopyObjectInput) { in.IfNoneMatch = aws.String("*") }, "PreconditionFailed"},
		"a wrong directive":     {func(in *s3.CopyObjectInput) { in.MetadataDirective = "MOVE" }, "InvalidArgument"},
		"a wrong tag directive": {func(in *s3.CopyObjectInput) { in.TaggingDirective = "MOVE" }, "InvalidArgument"},
		"a time":                {func(in *s3.CopyObjectInput) { in.CopySourceIfModifiedSince = aws.Time(time.Now()) }, "NotImplemented"},
	} {
		_, err := copied(c.change)
		code(t, doing, err, c.want)
	}
}

func TestManyObjectsAreDeleted(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	client, ctx, bucket := s3Client(a), t.Context(), aws.String(awslocal.Bucket)
	for _, key := range []string{"a", "b", "c", "d"} {
		ok(t, key, putText(a, t, key, key))
	}
	remove := func(quiet bool, objects ...s3types.ObjectIdentifier) (string, error) {
		out, err := client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: bucket, Delete: &s3types.Delete{Objects: objects, Quiet: &quiet}})
		if err != nil {
			return "", err
		}
		said := ""
		for _, d := range out.Deleted {
			said += "-" + *d.Key
		}
		for _, e := range out.Errors {
			said += "!" + *e.Key + *e.Code
		}
		return said, nil
	}
	key := func(name string) s3types.ObjectIdentifier { return s3types.ObjectIdentifier{Key: &name} }
	said, err := remove(false, key("a"), key("none"), s3types.ObjectIdentifier{Key: aws.String("b"), ETag: aws.String("x")})
	ok(t, "delete", err)
	equal(t, "said", said, "-a-none!bPreconditionFailed")
	said, err = remove(true, key("c"), s3types.ObjectIdentifier{Key: aws.String("b"), ETag: aws.String("x")})
	ok(t, "quietly", err)
	equal(t, "said quietly", said, "!bPreconditionFailed")
	list, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket})
	ok(t, "list", err)
	equal(t, "left", *list.Contents[0].Key+*list.Contents[1].Key+fmt.Sprint(*list.KeyCount), "bd2")
	_, err = remove(false, make([]s3types.ObjectIdentifier, 1001)...)
	equal(t, "too many", err != nil, true)
	_, err = client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: aws.String("none"), Delete: &s3types.Delete{Objects: []s3types.ObjectIdentifier{key("a")}}})
	code(t, "no bucket", err, "NoSuchBucket")
	_, answer := do(t, post(t, a.URL+"/hikyaku?delete", "<Delete><Object><Key>b</Key></Object></Delete>"))
	equal(t, answer, strings.Contains(answer, "Content-MD5"), true)
}

func TestBucketsAreDeleted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := start(t, awslocal.Options{Dir: dir})
	client, ctx, name := s3Client(a), t.Context(), aws.String("shop")
	remove := func() error {
		_, err := client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: name})
		return err
	}
	create := func(region string) error {
		in := &s3.CreateBucketInput{Bucket: name}
		if region != "" {
			in.CreateBucketConfiguration = &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(region)}
		}
		_, err := client.CreateBucket(ctx, in)
		return err
	}
	code(t, "before it is there", remove(), "NoSuchBucket")
	code(t, "elsewhere", create("eu-west-1"), "IllegalLocationConstraintException")
	ok(t, "create", create("ap-northeast-1"))
	_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: name, Key: aws.String("a/b"), Body: strings.NewReader("x")})
	ok(t, "put", err)
	code(t, "with an object", remove(), "BucketNotEmpty")
	_, err = client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: name, Key: aws.String("a/b")})
	ok(t, "delete", err)
	upload, err := client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: name, Key: aws.String("k")})
	ok(t, "upload", err)
	part := &s3.UploadPartInput{Bucket: name, Key: aws.String("k"), UploadId: upload.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("x")}
	_, err = client.UploadPart(ctx, part)
	ok(t, "part", err)
	ok(t, "delete the bucket", remove())
	for _, path := range []string{"shop", ".spool/*"} {
		left, err := filepath.Glob(filepath.Join(dir, path))
		ok(t, path, err)
		equal(t, "left of "+path, strings.Join(left, " "), "")
	}
	ok(t, "create again", create(""))
	part.Body = strings.NewReader("x")
	_, err = client.UploadPart(ctx, part)
	code(t, "the upload is gone", err, "NoSuchUpload")
	if _, err := os.Stat(filepath.Join(dir, awslocal.Bucket)); err != nil {
		t.Error(err)
	}
}

func TestBucketsAreListedInPages(t *testing.T) {
	t.Parallel()
	client, ctx := s3Client(start(t, awslocal.Options{})), t.Context()
	for _, name := range []string{"shop-b", "shop-a", "shop-c"} {
		_, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name})
		ok(t, name, err)
	}
	var names []string
	for p := s3.NewListBucketsPaginator(client, &s3.ListBucketsInput{MaxBuckets: aws.Int32(2), Prefix: aws.String("shop-")}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		ok(t, "page", err)
		for _, b := range page.Buckets {
			names = append(names, *b.Name)
		}
		names = append(names, "|")
	}
	equal(t, "buckets", strings.Join(names, " "), "shop-a shop-b | shop-c |")
}

func TestTheOlderListing(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	client, ctx, bucket := s3Client(a), t.Context(), aws.String(awslocal.Bucket)
	for _, key := range []string{"a/1", "a/2", "b/1", "c", "d e"} {
		ok(t, key, putText(a, t, key, key))
	}
	all := func(delimiter string) string {
		marker, said := "", ""
		for {
			out, err := client.ListObjects(ctx, &s3.ListObjectsInput{Bucket: bucket, Delimiter: &delimiter, Marker: &marker, MaxKeys: aws.Int32(2)})
			ok(t, "list", err)
			for _, p := range out.CommonPrefixes {
				said += *p.Prefix + " "
				marker = *p.Prefix
			}
			for _, o := range out.Contents {
				said += *o.Key + " "
				marker = *o.Key
				equal(t, "owner", *o.Owner.ID, "000000000000")
			}
			if !*out.IsTruncated {
				return said
			}
			said += "| "
			equal(t, "next marker, with a delimiter only", aws.ToString(out.NextMarker), map[bool]string{true: marker}[delimiter != ""])
		}
	}
	equal(t, "flat", all(""), "a/1 a/2 | b/1 c | d e ")
	equal(t, "by folder", all("/"), "a/ b/ | c d e ")
	encoded, err := client.ListObjects(ctx, &s3.ListObjectsInput{Bucket: bucket, EncodingType: "url", Marker: aws.String("c ")})
	ok(t, "encoded", err)
	equal(t, "encoded", *encoded.Contents[0].Key+" "+*encoded.Marker, "d+e c+")
	_, err = client.ListObjects(ctx, &s3.ListObjectsInput{Bucket: aws.String("none")})
	code(t, "no bucket", err, "NoSuchBucket")
	_, err = client.ListObjects(ctx, &s3.ListObjectsInput{Bucket: bucket, EncodingType: "base64"})
	code(t, "another encoding", err, "InvalidArgument")
	_, answer := do(t, request(t, http.MethodGet, a.URL+"/hikyaku?start-after=a"))
	equal(t, answer, strings.Contains(answer, "parameter start-after of s3 ListObjects"), true)
}

func request(t *testing.T, method, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	ok(t, "request", err)
	return r
}
