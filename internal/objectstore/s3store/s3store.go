// Package s3store implements objectstore.Store on Amazon S3.
//
// A write is one request: the SDK's retries are off for it, because a retry of
// a conditional write that succeeded would be answered by a conflict with
// itself. Reads, and tags, which have no condition, are tried three times. Each
// body is sent with a checksum, and what is read back is checked against the
// stored one.
//
// The role needs s3:ListBucket on its prefix: without it S3 answers 403 for a
// key that holds nothing, and a Store never takes 403 as absent.
package s3store

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"hikyaku/internal/objectstore"
)

// A Store is an objectstore.Store on one bucket, safe for concurrent use.
type Store struct {
	api    *s3.Client
	bucket string
}

var _ objectstore.Store = (*Store)(nil)

// New returns a Store on bucket with the region, credentials and endpoint of
// config. It makes no network call.
func New(config aws.Config, bucket string) *Store {
	api := s3.NewFromConfig(config, func(o *s3.Options) {
		o.UsePathStyle = config.BaseEndpoint != nil // an endpoint of one's own has no host for each bucket
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenSupported
		o.Retryer = thrice()
	})
	return &Store{api, bucket}
}

// Get opens an object.
func (s *Store) Get(ctx context.Context, key string) (objectstore.Info, io.ReadCloser, error) {
	out, err := s.api.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &key})
	if err != nil {
		return objectstore.Info{}, nil, s.mapped("reading", key, err, readKinds)
	}
	return info(key, out.ETag, out.ContentLength, out.LastModified, out.Metadata), out.Body, nil
}

// Head reads an object's Info.
func (s *Store) Head(ctx context.Context, key string) (objectstore.Info, error) {
	out, err := s.api.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: &key})
	if err != nil {
		return objectstore.Info{}, s.mapped("reading", key, err, readKinds)
	}
	return info(key, out.ETag, out.ContentLength, out.LastModified, out.Metadata), nil
}

func info(key string, etag *string, size *int64, modified *time.Time, metadata map[string]string) objectstore.Info {
	return objectstore.Info{Key: key, ETag: aws.ToString(etag), Size: aws.ToInt64(size), Modified: aws.ToTime(modified), Metadata: lower(metadata)}
}

// Put writes an object in one request. Its ETag is the one to name in the next
// Condition.
func (s *Store) Put(ctx context.Context, o objectstore.Object) (string, error) {
	in := &s3.PutObjectInput{
		Bucket: &s.bucket, Key: &o.Key, Body: o.Body, ContentLength: &o.Size,
		ContentType: optional(o.ContentType), ContentEncoding: optional(o.ContentEncoding),
		Metadata: o.Metadata, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
		IfMatch: optional(o.Condition.ETag),
	}
	if sum, err := hex.DecodeString(o.SHA256); err == nil && len(sum) > 0 {
		in.ChecksumAlgorithm, in.ChecksumSHA256 = types.ChecksumAlgorithmSha256, aws.String(base64.StdEncoding.EncodeToString(sum))
	}
	kinds := plainKinds
	if o.Condition.Absent {
		in.IfNoneMatch = aws.String("*")
	}
	if o.Condition != (objectstore.Condition{}) {
		kinds = conditionKinds
	}
	out, err := s.api.PutObject(ctx, in, once)
	if err != nil {
		return "", s.mapped("writing", o.Key, err, kinds)
	}
	return aws.ToString(out.ETag), nil
}

// Delete removes an object.
func (s *Store) Delete(ctx context.Context, key string) error {
	_, err := s.api.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.bucket, Key: &key}, once)
	if err != nil {
		return s.mapped("deleting", key, err, plainKinds)
	}
	return nil
}

// SetTags replaces an object's tags. S3 documents no answer to removing the tags
// of a missing key, so they are read first.
func (s *Store) SetTags(ctx context.Context, key string, tags map[string]string) error {
	if len(tags) == 0 {
		return s.removeTags(ctx, key)
	}
	var set []types.Tag
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		set = append(set, types.Tag{Key: aws.String(name), Value: aws.String(tags[name])})
	}
	_, err := s.api.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: &s.bucket, Key: &key, Tagging: &types.Tagging{TagSet: set}})
	if err != nil {
		return s.mapped("tagging", key, err, readKinds)
	}
	return nil
}

func (s *Store) removeTags(ctx context.Context, key string) error {
	tags, err := s.GetTags(ctx, key)
	if err != nil || len(tags) == 0 {
		return err
	}
	_, err = s.api.DeleteObjectTagging(ctx, &s3.DeleteObjectTaggingInput{Bucket: &s.bucket, Key: &key})
	if err != nil {
		return s.mapped("removing the tags of", key, err, readKinds)
	}
	return nil
}

// GetTags reads an object's tags.
func (s *Store) GetTags(ctx context.Context, key string) (map[string]string, error) {
	out, err := s.api.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: &s.bucket, Key: &key})
	if err != nil {
		return nil, s.mapped("reading the tags of", key, err, readKinds)
	}
	tags := make(map[string]string, len(out.TagSet))
	for _, tag := range out.TagSet {
		tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return tags, nil
}

// List yields the objects under a prefix, a thousand a request.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		pages := s3.NewListObjectsV2Paginator(s.api, &s3.ListObjectsV2Input{
			Bucket: &s.bucket, Prefix: &prefix, StartAfter: optional(after),
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(objectstore.Info{}, s.mapped("listing", prefix, err, plainKinds))
				return
			}
			for _, o := range page.Contents {
				if !yield(info(aws.ToString(o.Key), o.ETag, o.Size, o.LastModified, nil), nil) {
					return
				}
			}
		}
	}
}

// once turns the SDK's retries off for a call.
func once(o *s3.Options) { o.Retryer = aws.NopRetryer{} }

// thrice is how often reads and tags are tried. The SDK's own pauses, of up to
// six seconds, are too long for a webhook that is waiting for its answer, and its
// quota would let the failures of some reads use up the tries of others.
func thrice() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 3
		o.RateLimiter = ratelimit.None
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) {
			return time.Duration(attempt) * 100 * time.Millisecond, nil
		})
	})
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func lower(metadata map[string]string) map[string]string {
	m := make(map[string]string, len(metadata))
	for k, v := range metadata {
		m[strings.ToLower(k)] = v
	}
	return m
}

// What an HTTP status means depends on the request.
var (
	readKinds      = map[int]error{http.StatusForbidden: objectstore.ErrDenied, http.StatusNotFound: objectstore.ErrNotFound}
	plainKinds     = map[int]error{http.StatusForbidden: objectstore.ErrDenied}
	conditionKinds = map[int]error{
		http.StatusForbidden:          objectstore.ErrDenied,
		http.StatusNotFound:           objectstore.ErrConflict, // If-Match on a key that holds nothing
		http.StatusConflict:           objectstore.ErrConflict, // raced another write
		http.StatusPreconditionFailed: objectstore.ErrConflict,
	}
)

// mapped names what failed and gives it one of the Store's errors where S3's
// answer is one. Of the answer only status and code are kept.
func (s *Store) mapped(doing, key string, err error, kinds map[int]error) error {
	var answer *awshttp.ResponseError
	if !errors.As(err, &answer) || answer.HTTPStatusCode() == 0 { // no answer came
		if sent, ok := errors.AsType[*url.Error](err); ok {
			err = sent.Err // without the address
		}
		return fmt.Errorf("%s object %s: %w", doing, key, err)
	}
	code := "no code"
	if named, ok := errors.AsType[smithy.APIError](err); ok {
		code = named.ErrorCode()
	}
	kind := kinds[answer.HTTPStatusCode()]
	switch {
	case code == "NoSuchBucket":
		return fmt.Errorf("%s object %s: bucket %s does not exist: check the function's bucket setting", doing, key, s.bucket)
	case kind == nil:
		kind = errors.New("s3 failed")
	}
	return fmt.Errorf("%s object %s: %w (status %d, %s)", doing, key, kind, answer.HTTPStatusCode(), code)
}
