package awslocal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/scheduler/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"hikyaku/internal/awslocal"
)

// A cell is something of the local AWS that has one value at a time.
type cell struct {
	name string
	make func(ctx context.Context, c aws.Config) error // nil: it is there
	next func(now string, n int) string                // nil: any other
	set  func(ctx context.Context, c aws.Config, value string, n int) error
	get  func(ctx context.Context, c aws.Config) (string, error)

	n     int
	acked string
	doubt string // what it may have become too when the process died
}

func (r *cell) begin(ctx context.Context, c aws.Config) error {
	if r.make != nil {
		if err := r.make(ctx, c); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	var err error
	r.acked, err = r.get(ctx, c)
	r.doubt = r.acked
	return err
}

func (r *cell) step(ctx context.Context, c aws.Config, _ *rand.Rand) error {
	r.n++
	value := fmt.Sprintf("v%d", r.n)
	if r.next != nil {
		value = r.next(r.acked, r.n)
	}
	r.doubt = value
	if err := r.set(ctx, c, value, r.n); err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	r.acked = value
	return nil
}

func (r *cell) check(ctx context.Context, c, _ aws.Config) []string {
	got, err := r.get(ctx, c)
	if err != nil || got != r.acked && got != r.doubt {
		return []string{fmt.Sprintf("%s is %.60q, after %.60q was acknowledged and %.60q begun (%v)", r.name, got, r.acked, r.doubt, err)}
	}
	r.acked, r.doubt = got, got
	return nil
}

// toggle is next for what has two values.
func toggle(a, b string) func(string, int) string {
	return func(now string, _ int) string {
		if now == a {
			return b
		}
		return a
	}
}

func cells() []client {
	var all []client
	for _, r := range slices.Concat(secretCells(), objectCells(), otherCells()) {
		all = append(all, r)
	}
	return all
}

func versionID(n int) *string { return aws.String(fmt.Sprintf("%032d", n)) }

func secretCells() []*cell {
	sm := func(c aws.Config) *secretsmanager.Client { return secretsmanager.NewFromConfig(c) }
	create := func(name string) func(context.Context, aws.Config) error {
		return func(ctx context.Context, c aws.Config) error {
			_, err := sm(c).CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &name, ClientRequestToken: versionID(1_000_000), SecretString: aws.String("first")})
			return err
		}
	}
	describe := func(ctx context.Context, c aws.Config, name string) (*secretsmanager.DescribeSecretOutput, error) {
		return sm(c).DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: &name})
	}
	value := &cell{
		name: "value", make: create("value"),
		next: func(now string, n int) string { // a secret may have a hundred versions a day
			if n%50 == 0 && now != gone {
				return gone
			}
			return fmt.Sprintf("v%d", n)
		},
		set: func(ctx context.Context, c aws.Config, value string, n int) error {
			if value == gone {
				_, err := sm(c).DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: aws.String("value"), ForceDeleteWithoutRecovery: aws.Bool(true)})
				return err
			}
			_, err := sm(c).PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: aws.String("value"), ClientRequestToken: versionID(n), SecretString: &value})
			var none *smtypes.ResourceNotFoundException
			if errors.As(err, &none) {
				_, err = sm(c).CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String("value"), ClientRequestToken: versionID(n), SecretString: &value})
			}
			return err
		},
		get: func(ctx context.Context, c aws.Config) (string, error) {
			got, err := sm(c).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String("value")})
			var none *smtypes.ResourceNotFoundException
			if errors.As(err, &none) {
				return gone, nil
			}
			if err != nil {
				return "", err
			}
			return *got.SecretString, nil
		},
	}
	about := &cell{
		name: "description", make: create("about"),
		set: func(ctx context.Context, c aws.Config, value string, _ int) error {
			_, err := sm(c).UpdateSecret(ctx, &secretsmanager.UpdateSecretInput{SecretId: aws.String("about"), Description: &value})
			return err
		},
		get: func(ctx context.Context, c aws.Config) (string, error) {
			d, err := describe(ctx, c, "about")
			if err != nil {
				return "", err
			}
			return aws.ToString(d.Description), nil
		},
	}
	tagged := &cell{
		name: "tag of a secret", make: create("tagged"), next: func(now string, n int) string { return toggle("", fmt.Sprint("v", n))(now, n) },
		set: func(ctx context.Context, c aws.Config, value string, _ int) error {
			var err error
			if value == "" {
				_, err = sm(c).UntagResource(ctx, &secretsmanager.UntagResourceInput{SecretId: aws.String("tagged"), TagKeys: []string{"k"}})
			} else {
				_, err = sm(c).TagResource(ctx, &secretsmanager.TagResourceInput{SecretId: aws.String("tagged"), Tags: []smtypes.Tag{{Key: aws.String("k"), Value: &value}}})
			}
			return err
		},
		get: func(ctx context.Context, c aws.Config) (string, error) {
			d, err := describe(ctx, c, "tagged")
			if err != nil || len(d.Tags) == 0 {
				return "", err
			}
			return *d.Tags[0].Value, nil
		},
	}
	marked := &cell{
		name: "deletion", make: create("marked"), next: toggle("there", "marked"),
		set: func(ctx context.Context, c aws.Config, value string, _ int) error {
			var err error
			if value == "there" {
				_, err = sm(c).RestoreSecret(ctx, &secretsmanager.RestoreSecretInput{SecretId: aws.String("marked")})
			} else {
				_, err = sm(c).DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: aws.String("marked")})
			}
			return err
		},
		get: func(ctx context.Context, c aws.Config) (string, error) {
			d, err := describe(ctx, c, "marked")
			if err == nil && d.DeletedDate != nil {
				return "marked", nil
			}
			return "there", err
		},
	}
	return []*cell{value, about, tagged, marked, stageCell(create("staged"))}
}

// stageCell is a stage that moves between two versions.
func stageCell(create func(context.Context, aws.Config) error) *cell {
	ids := map[string]*string{"one": versionID(1_000_000), "two": versionID(2)}
	sm := func(c aws.Config) *secretsmanager.Client { return secretsmanager.NewFromConfig(c) }
	return &cell{
		name: "stage", next: toggle("one", "two"),
		make: func(ctx context.Context, c aws.Config) error {
			_, err := sm(c).PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: aws.String("staged"), ClientRequestToken: ids["two"], SecretString: aws.String("x"), VersionStages: []string{"NEXT"}})
			if err != nil {
				if err = create(ctx, c); err == nil {
					_, err = sm(c).PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: aws.String("staged"), ClientRequestToken: ids["two"], SecretString: aws.String("x"), VersionStages: []string{"NEXT"}})
				}
			}
			return err
		},
		set: func(ctx context.Context, c aws.Config, value string, n int) error {
			_, err := sm(c).UpdateSecretVersionStage(ctx, &secretsmanager.UpdateSecretVersionStageInput{
				SecretId: aws.String("staged"), VersionStage: aws.String("NEXT"), MoveToVersionId: ids[value], RemoveFromVersionId: ids[toggle("one", "two")(value, n)],
			})
			return err
		},
		get: func(ctx context.Context, c aws.Config) (string, error) {
			got, err := sm(c).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String("staged"), VersionStage: aws.String("NEXT")})
			if err == nil && *got.VersionId == *ids["one"] {
				return "one", nil
			}
			return "two", err
		},
	}
}

const gone = "gone"

// bodyOf is long for every third value.
func bodyOf(value string, n int) []byte {
	if n%3 == 0 {
		return bytes.Repeat([]byte(value+"\n"), 20_000)
	}
	return []byte(value + "\n")
}

func objectCells() []*cell {
	client := func(c aws.Config) *s3.Client {
		return s3.NewFromConfig(c, func(o *s3.Options) { o.UsePathStyle = true })
	}
	bucket, key := aws.String(awslocal.Bucket), aws.String("an/object")
	object := &cell{
		name: "object",
		next: func(now string, n int) string {
			if n%5 == 0 && now != gone {
				return gone
			}
			return fmt.Sprintf("v%d", n)
		},
		set: func(ctx context.Context, c aws.Config, value string, n int) error {
			var err error
			switch {
			case value == gone:
				_, err = client(c).DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: key})
			case n%7 == 1:
				err = putInParts(ctx, client(c), bucket, key, bodyOf(value, n))
			case n%7 == 2:
				if _, err = client(c).PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("source"), Body: bytes.NewReader(bodyOf(value, n))}); err == nil {
					_, err = client(c).CopyObject(ctx, &s3.CopyObjectInput{Bucket: bucket, Key: key, CopySource: aws.String(*bucket + "/source")})
				}
			default:
				_, err = client(c).PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key, Body: bytes.NewReader(bodyOf(value, n)), Metadata: map[string]string{"v": value}})
			}
			return err
		},
		get: func(ctx context.Context, c aws.Config) (string, error) {
			return wholeObject(ctx, client(c), bucket, key)
		},
	}
	tagged := &cell{
		name: "tags of an object", next: func(now string, n int) string { return toggle("", fmt.Sprint("v", n))(now, n) },
		make: func(ctx context.Context, c aws.Config) error {
			_, err := client(c).PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("tagged"), Body: strings.NewReader("x")})
			return err
		},
		set: func(ctx context.Context, c aws.Config, value string, _ int) error {
			var err error
			if value == "" {
				_, err = client(c).DeleteObjectTagging(ctx, &s3.DeleteObjectTaggingInput{Bucket: bucket, Key: aws.String("tagged")})
			} else {
				_, err = client(c).PutObjectTagging(ctx, &s3.PutObjectTaggingInput{Bucket: bucket, Key: aws.String("tagged"), Tagging: &s3types.Tagging{TagSet: []s3types.Tag{{Key: aws.String("k"), Value: &value}}}})
			}
			return err
		},
		get: func(ctx context.Context, c aws.Config) (string, error) {
			got, err := client(c).GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: bucket, Key: aws.String("tagged")})
			if err != nil || len(got.TagSet) == 0 {
				return "", err
			}
			return *got.TagSet[0].Value, nil
		},
	}
	folder := &cell{
		name: "bucket", next: toggle("there", gone),
		set: func(ctx context.Context, c aws.Config, value string, _ int) error {
			var err error
			if value == gone {
				_, err = client(c).DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: aws.String("other")})
			} else {
				_, err = client(c).CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("other"), CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: awslocal.Region}})
			}
			return err
		},
		get: func(ctx context.Context, c aws.Config) (string, error) {
			_, err := client(c).HeadBucket(ctx, &s3.HeadBucketInput{Bucket: aws.String("other")})
			var none *s3types.NotFound
			if errors.As(err, &none) {
				return gone, nil
			}
			return "there", err
		},
	}
	return []*cell{object, tagged, folder}
}

func putInParts(ctx context.Context, c *s3.Client, bucket, key *string, body []byte) error {
	begun, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
	if err != nil {
		return err
	}
	part, err := c.UploadPart(ctx, &s3.UploadPartInput{Bucket: bucket, Key: key, UploadId: begun.UploadId, PartNumber: aws.Int32(1), Body: bytes.NewReader(body)})
	if err != nil {
		return err
	}
	_, err = c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: bucket, Key: key, UploadId: begun.UploadId, MultipartUpload: &s3types.CompletedMultipartUpload{Parts: []s3types.CompletedPart{{PartNumber: aws.Int32(1), ETag: part.ETag}}},
	})
	return err
}

// wholeObject is the value of an object whose body is as it was put; a torn one has none.
func wholeObject(ctx context.Context, c *s3.Client, bucket, key *string) (string, error) {
	got, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key, ChecksumMode: s3types.ChecksumModeEnabled})
	var none *s3types.NoSuchKey
	if errors.As(err, &none) {
		return gone, nil
	}
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(got.Body)
	if err != nil {
		return "", err
	}
	value, _, _ := strings.Cut(string(body), "\n")
	var n int
	_, _ = fmt.Sscanf(value, "v%d", &n)
	if !bytes.Equal(body, bodyOf(value, n)) {
		return "", fmt.Errorf("%d bytes of %s are torn", len(body), value)
	}
	return value, nil
}

func otherCells() []*cell {
	lambdas := func(c aws.Config) *awslambda.Client { return awslambda.NewFromConfig(c) }
	queues := func(c aws.Config) *sqs.Client { return sqs.NewFromConfig(c) }
	urlOf := func(c aws.Config, name string) *string { return aws.String(*c.BaseEndpoint + "/000000000000/" + name) }
	source := &cell{
		name: "source", next: toggle("Enabled", "Disabled"),
		set: func(ctx context.Context, c aws.Config, value string, _ int) error {
			for {
				_, err := lambdas(c).UpdateEventSourceMapping(ctx, &awslambda.UpdateEventSourceMappingInput{UUID: &killedSource.ID, Enabled: aws.Bool(value == "Enabled")})
				var inUse *lambdatypes.ResourceInUseException
				if !errors.As(err, &inUse) {
					return err
				}
				time.Sleep(20 * time.Millisecond)
			}
		},
		get: func(ctx context.Context, c aws.Config) (string, error) {
			got, err := lambdas(c).GetEventSourceMapping(ctx, &awslambda.GetEventSourceMappingInput{UUID: &killedSource.ID})
			if err != nil {
				return "", err
			}
			return *got.State, nil
		},
	}
	attribute := &cell{
		name: "attribute of a queue", next: func(_ string, n int) string { return fmt.Sprint(n % 1000) },
		make: func(ctx context.Context, c aws.Config) error {
			_, err := queues(c).CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("attributes.fifo"), Attributes: map[string]string{"FifoQueue": "true"}})
			return err
		},
		set: func(ctx context.Context, c aws.Config, value string, n int) error {
			_, err := queues(c).SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: urlOf(c, "attributes.fifo"), Attributes: map[string]string{"VisibilityTimeout": value}})
			if err == nil {
				_, err = queues(c).TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: urlOf(c, "attributes.fifo"), Tags: map[string]string{"n": fmt.Sprint(n)}})
			}
			return err
		},
		get: func(ctx context.Context, c aws.Config) (string, error) {
			got, err := queues(c).GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: urlOf(c, "attributes.fifo"), AttributeNames: []sqsName{"VisibilityTimeout"}})
			if err != nil {
				return "", err
			}
			return got.Attributes["VisibilityTimeout"], nil
		},
	}
	made := &cell{
		name: "newest queue", next: func(_ string, n int) string { return fmt.Sprintf("new-%06d.fifo", n) },
		set: func(ctx context.Context, c aws.Config, value string, _ int) error {
			_, err := queues(c).CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &value, Attributes: map[string]string{"FifoQueue": "true"}})
			return err
		},
		get: func(ctx context.Context, c aws.Config) (string, error) {
			list, err := queues(c).ListQueues(ctx, &sqs.ListQueuesInput{QueueNamePrefix: aws.String("new-")})
			if err != nil || len(list.QueueUrls) == 0 {
				return "", err
			}
			last := list.QueueUrls[len(list.QueueUrls)-1]
			return last[strings.LastIndex(last, "/")+1:], nil
		},
	}
	return []*cell{source, attribute, made, scheduleCell()}
}

// scheduleCell is the state of a schedule with its expression.
func scheduleCell() *cell {
	at := func(c aws.Config) *scheduler.Client { return scheduler.NewFromConfig(c) }
	get := func(ctx context.Context, c aws.Config) (*scheduler.GetScheduleOutput, error) {
		return at(c).GetSchedule(ctx, &scheduler.GetScheduleInput{Name: aws.String("s")})
	}
	return &cell{
		name: "schedule",
		next: func(now string, n int) string {
			state := types.ScheduleStateEnabled
			if strings.HasPrefix(now, string(state)) {
				state = types.ScheduleStateDisabled
			}
			return fmt.Sprintf("%s rate(%d hours)", state, n+1)
		},
		set: func(ctx context.Context, c aws.Config, value string, _ int) error {
			found, err := get(ctx, c)
			if err != nil {
				return err
			}
			state, expression, _ := strings.Cut(value, " ")
			_, err = at(c).UpdateSchedule(ctx, &scheduler.UpdateScheduleInput{
				Name: aws.String("s"), State: types.ScheduleState(state), ScheduleExpression: &expression, FlexibleTimeWindow: found.FlexibleTimeWindow, Target: found.Target,
			})
			return err
		},
		get: func(ctx context.Context, c aws.Config) (string, error) {
			found, err := get(ctx, c)
			if err != nil {
				return "", err
			}
			return string(found.State) + " " + *found.ScheduleExpression, nil
		},
	}
}
