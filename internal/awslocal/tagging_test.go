package awslocal_test

import (
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"hikyaku/internal/awslocal"
)

// tagsOf are an object's tags as name=value,...
func tagsOf(t *testing.T, a *awslocal.AWS, key string) string {
	t.Helper()
	out, err := s3Client(a).GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: aws.String(awslocal.Bucket), Key: &key})
	ok(t, "get tags", err)
	var all []string
	for _, tag := range out.TagSet {
		all = append(all, *tag.Key+"="+*tag.Value)
	}
	return strings.Join(all, ",")
}

func TestTagsOfAPutAreKeptAndCounted(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{Dir: t.TempDir()})
	bucket, key := aws.String(awslocal.Bucket), aws.String("k")
	_, err := s3Client(a).PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader("a"), Tagging: aws.String("b=2&a=1%2F%E9%A3%9B&c")})
	ok(t, "put", err)
	equal(t, "tags", tagsOf(t, a, "k"), "a=1/飛,b=2,c=")
	counted := func(want int32) {
		t.Helper()
		out, body, err := getText(t, a, &s3.GetObjectInput{Key: key})
		ok(t, "get", err)
		head, err := s3Client(a).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket, Key: key})
		ok(t, "head", err)
		equal(t, "count", aws.ToInt32(out.TagCount), want)
		equal(t, "count by head", aws.ToInt32(head.TagCount), want)
		equal(t, "body", body, "a")
	}
	counted(3)
	_, err = s3Client(a).DeleteObjectTagging(t.Context(), &s3.DeleteObjectTaggingInput{Bucket: bucket, Key: key})
	ok(t, "delete tags", err)
	counted(0)
	equal(t, "tags", tagsOf(t, a, "k"), "")
}

func TestTagsBeyondTheLimitsAreRefused(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	bucket, key := aws.String(awslocal.Bucket), aws.String("k")
	ok(t, "put", putText(a, t, "k", "a"))
	pairs := func(n int) (set []types.Tag) {
		for i := range n {
			set = append(set, types.Tag{Key: aws.String(fmt.Sprint(i)), Value: aws.String("v")})
		}
		return set
	}
	one := func(name, value string) []types.Tag { return []types.Tag{{Key: &name, Value: &value}} }
	set := func(key *string, set []types.Tag) error {
		_, err := s3Client(a).PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{Bucket: bucket, Key: key, Tagging: &types.Tagging{TagSet: set}})
		return err
	}
	for _, c := range []struct {
		tags []types.Tag
		code string
	}{
		{pairs(10), ""},
		{pairs(11), "BadRequest"},
		{one(strings.Repeat("飛", 128), strings.Repeat("脚", 256)), ""},
		{one(strings.Repeat("k", 129), "v"), "InvalidTag"},
		{one("k", strings.Repeat("v", 257)), "InvalidTag"},
		{one("aws:k", "v"), "InvalidTag"},
		{one("k!", "v"), "InvalidTag"},
		{one("k", "v?"), "InvalidTag"},
		{one("", "v"), "InvalidTag"},
		{append(one("k", "v"), one("k", "w")...), "InvalidTag"},
	} {
		code(t, fmt.Sprint(len(c.tags)), set(key, c.tags), c.code)
	}
	equal(t, "the last good tags", tagsOf(t, a, "k"), strings.Repeat("飛", 128)+"="+strings.Repeat("脚", 256))
	none := aws.String("none")
	code(t, "tag a missing key", set(none, pairs(1)), "NoSuchKey")
	_, err := s3Client(a).DeleteObjectTagging(t.Context(), &s3.DeleteObjectTaggingInput{Bucket: bucket, Key: none})
	code(t, "delete tags of a missing key", err, "NoSuchKey")
	_, err = s3Client(a).GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: none, Key: key})
	code(t, "get tags of a missing bucket", err, "NoSuchBucket")
	for header, want := range map[string]string{"k=v&k=w": "InvalidArgument", "k=%zz": "InvalidArgument", "aws%3Ak=v": "InvalidTag"} {
		status, answer := put(t, a, "k", "b", "X-Amz-Tagging", header)
		if status != http.StatusBadRequest || !strings.Contains(answer, "<Code>"+want+"</Code>") {
			t.Errorf("%s: %d %s", header, status, answer)
		}
	}
	for body, want := range map[string]string{"<Tagging>": "MalformedXML", "<Other/>": "NotImplemented"} {
		_, answer := put(t, a, "k?tagging", body, "X-Amz-Sdk-Checksum-Algorithm", "CRC32", "Content-Md5", "JfnnlDI7RTiF9RgfG2JNCw==")
		equal(t, answer, strings.Contains(answer, "<Code>BadDigest</Code>"), true)
		_, answer = put(t, a, "k?tagging", body)
		equal(t, answer, strings.Contains(answer, "Content-MD5"), true)
		_, answer = put(t, a, "k?tagging", body, "X-Amz-Checksum-Crc32", crc32Of(body))
		equal(t, answer, strings.Contains(answer, "<Code>"+want+"</Code>"), true)
	}
}

func crc32Of(body string) string {
	sum := crc32.NewIEEE()
	_, _ = sum.Write([]byte(body))
	return base64.StdEncoding.EncodeToString(sum.Sum(nil))
}
