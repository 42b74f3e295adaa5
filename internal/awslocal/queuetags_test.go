package awslocal_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"hikyaku/internal/awslocal"
)

func TestAQueueIsPurgedOnceAMinute(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, a *awslocal.AWS) {
		client := sqs.NewFromConfig(config(a))
		q, other := newLine(t, a, "q.fifo", nil), newLine(t, a, "other.fifo", nil)
		purge := func(l line) error {
			_, err := client.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: &l.url})
			return err
		}
		q.send("a-1")
		ok(t, "purge", purge(q))
		q.send("a-2")
		time.Sleep(59 * time.Second)
		err := purge(q)
		code(t, "too soon", err, "AWS.SimpleQueueService.PurgeQueueInProgress")
		equal(t, "says which", strings.Contains(err.Error(), "q.fifo"), true)
		ok(t, "another queue", purge(other))
		q.expect(1, "a-2")
		time.Sleep(time.Second)
		ok(t, "after a minute", purge(q))
	})
}

func TestTagsOfQueuesAreKept(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	client, ctx := sqs.NewFromConfig(config(a)), t.Context()
	made, err := client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("q.fifo"), Attributes: map[string]string{"FifoQueue": "true"}, Tags: map[string]string{"team": "shop", "stage": "test"}})
	ok(t, "create", err)
	_, err = client.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: made.QueueUrl, Tags: map[string]string{"stage": "live"}})
	ok(t, "tag", err)
	_, err = client.UntagQueue(ctx, &sqs.UntagQueueInput{QueueUrl: made.QueueUrl, TagKeys: []string{"team", "none"}})
	ok(t, "untag", err)
	tags, err := client.ListQueueTags(ctx, &sqs.ListQueueTagsInput{QueueUrl: made.QueueUrl})
	ok(t, "list", err)
	equal(t, "tags", fmt.Sprint(tags.Tags), "map[stage:live]")
	for _, wrong := range []map[string]string{{"": "x"}, {"aws:x": "y"}, {"x": strings.Repeat("v", 257)}} {
		_, err := client.TagQueue(ctx, &sqs.TagQueueInput{QueueUrl: made.QueueUrl, Tags: wrong})
		code(t, fmt.Sprint(wrong), err, "InvalidParameterValue")
		_, err = client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("other.fifo"), Tags: wrong})
		code(t, fmt.Sprint(wrong), err, "InvalidParameterValue")
	}
}

func TestAttributesThatNobodyWouldSeeAreRefused(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	client := sqs.NewFromConfig(config(a))
	url, err := a.CreateQueue("q.fifo", nil)
	ok(t, "create", err)
	for named, change := range map[string]func(*sqs.SendMessageInput){
		"Other": func(in *sqs.SendMessageInput) {
			in.MessageSystemAttributes = map[string]types.MessageSystemAttributeValue{"Other": {DataType: aws.String("String"), StringValue: aws.String("x")}}
		},
		"kind": func(in *sqs.SendMessageInput) {
			in.MessageAttributes = map[string]types.MessageAttributeValue{"kind": {DataType: aws.String("Text"), StringValue: aws.String("x")}}
		},
		"empty": func(in *sqs.SendMessageInput) {
			in.MessageAttributes = map[string]types.MessageAttributeValue{"empty": {DataType: aws.String("String.x")}}
		},
	} {
		in := &sqs.SendMessageInput{QueueUrl: &url, MessageBody: aws.String("x"), MessageGroupId: aws.String("1"), MessageDeduplicationId: aws.String("1")}
		change(in)
		_, err := client.SendMessage(t.Context(), in)
		code(t, named, err, "InvalidParameterValue")
		equal(t, err.Error(), strings.Contains(err.Error(), named), true)
	}
	_, err = client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"Color"}})
	code(t, "ask for one that there is not", err, "InvalidAttributeName")
	none, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"Policy"}})
	ok(t, "ask for one that is not set", err)
	equal(t, "not set", len(none.Attributes), 0)
}
