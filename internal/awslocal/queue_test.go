package awslocal_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"hikyaku/internal/awslocal"
)

// A line is a queue as a test uses it, through the SDK, which checks every
// MD5 itself.
type line struct {
	t      *testing.T
	client *sqs.Client
	url    string
}

func newLine(t *testing.T, a *awslocal.AWS, name string, attributes map[string]string) line {
	t.Helper()
	client := sqs.NewFromConfig(config(a))
	out, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	ok(t, "create "+name, err)
	return line{t, client, *out.QueueUrl}
}

// send sends a message "group-text" whose text is its deduplication id too.
func (l line) send(messages ...string) (ids []string) {
	l.t.Helper()
	for _, m := range messages {
		group, _, _ := strings.Cut(m, "-")
		out, err := l.client.SendMessage(l.t.Context(), &sqs.SendMessageInput{QueueUrl: &l.url, MessageBody: &m, MessageGroupId: &group, MessageDeduplicationId: &m})
		ok(l.t, "send "+m, err)
		ids = append(ids, *out.MessageId)
	}
	return ids
}

// receive returns what is there at once.
func (l line) receive(n int32) []types.Message {
	l.t.Helper()
	out, err := l.client.ReceiveMessage(l.t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: &l.url, MaxNumberOfMessages: n, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}, MessageAttributeNames: []string{"All"},
	})
	ok(l.t, "receive", err)
	return out.Messages
}

// expect receives and asserts the bodies.
func (l line) expect(n int32, want string) []types.Message {
	l.t.Helper()
	got := l.receive(n)
	equal(l.t, "received", bodies(got), want)
	return got
}

func bodies(messages []types.Message) string {
	texts := make([]string, len(messages))
	for i, m := range messages {
		texts[i] = *m.Body
	}
	return strings.Join(texts, " ")
}

func (l line) remove(m types.Message) {
	l.t.Helper()
	_, err := l.client.DeleteMessage(l.t.Context(), &sqs.DeleteMessageInput{QueueUrl: &l.url, ReceiptHandle: m.ReceiptHandle})
	ok(l.t, "delete "+*m.Body, err)
}

func (l line) hide(m types.Message, seconds int32) error {
	_, err := l.client.ChangeMessageVisibility(l.t.Context(), &sqs.ChangeMessageVisibilityInput{QueueUrl: &l.url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: seconds})
	return err
}

func (l line) attributes() map[string]string {
	l.t.Helper()
	out, err := l.client.GetQueueAttributes(l.t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &l.url, AttributeNames: []types.QueueAttributeName{"All"}})
	ok(l.t, "attributes", err)
	return out.Attributes
}

func TestGroupsAreOrderedAndBlock(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, a *awslocal.AWS) {
		q := newLine(t, a, "q.fifo", map[string]string{"FifoQueue": "true"})
		q.send("a-1", "a-2", "b-1", "a-3", "b-2")
		first := q.expect(2, "a-1 a-2")
		q.expect(10, "b-1 b-2")
		q.expect(10, "")
		q.remove(first[1])
		q.expect(10, "")
		q.remove(first[0])
		q.expect(10, "a-3")
		time.Sleep(30*time.Second - time.Nanosecond)
		q.expect(10, "")
		time.Sleep(time.Nanosecond)
		again := q.expect(10, "b-1 a-3 b-2")
		equal(t, "receives", again[0].Attributes["ApproximateReceiveCount"], "2")
	})
}

func TestAFailedMessageHoldsItsGroup(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, a *awslocal.AWS) {
		q := newLine(t, a, "q.fifo", map[string]string{"FifoQueue": "true"})
		q.send("a-1", "a-2")
		both := q.expect(10, "a-1 a-2")
		ok(t, "give back", q.hide(both[0], 0))
		q.expect(10, "") // the second is still in flight
		ok(t, "give back", q.hide(both[1], 0))
		both = q.expect(10, "a-1 a-2")
		ok(t, "prolong", q.hide(both[0], 3600))
		time.Sleep(time.Hour - time.Second)
		q.expect(10, "")
		time.Sleep(time.Second)
		q.expect(10, "a-1 a-2")
		code(t, "beyond twelve hours", q.hide(both[0], 43201), "InvalidParameterValue")
	})
}

func TestRepeatedIDsAreOneMessageForFiveMinutes(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, a *awslocal.AWS) {
		q := newLine(t, a, "q.fifo", map[string]string{"FifoQueue": "true"})
		first := q.send("a-1")[0]
		q.remove(q.expect(10, "a-1")[0])
		time.Sleep(5*time.Minute - time.Nanosecond)
		equal(t, "repeated", q.send("a-1")[0], first)
		q.expect(10, "")
		time.Sleep(time.Nanosecond)
		equal(t, "new", q.send("a-1")[0] == first, false)
		q.expect(10, "a-1")
	})
}

func TestDeduplicationByContentAndByGroup(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, a *awslocal.AWS) {
		send := func(q line, group, body string) {
			_, err := q.client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: &body, MessageGroupId: &group})
			ok(t, "send", err)
		}
		content := newLine(t, a, "content.fifo", map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true"})
		send(content, "a", "x")
		send(content, "b", "x")
		send(content, "b", "y")
		got := content.expect(10, "x y")
		equal(t, "id", got[0].Attributes["MessageDeduplicationId"], "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881")
		group := newLine(t, a, "group.fifo", map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true", "DeduplicationScope": "messageGroup"})
		send(group, "a", "x")
		send(group, "b", "x")
		send(group, "b", "x")
		group.expect(10, "x x")
	})
}

func TestDeadLettersAndRedrive(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, a *awslocal.AWS) {
		dead := newLine(t, a, "dead.fifo", map[string]string{"FifoQueue": "true"})
		q := newLine(t, a, "q.fifo", map[string]string{
			"FifoQueue": "true", "VisibilityTimeout": "1", "RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"2"}`, awslocal.QueueARN("dead.fifo")),
		})
		id := q.send("a-1", "a-2")[0]
		for range 2 {
			q.expect(1, "a-1")
			time.Sleep(time.Second)
		}
		q.remove(q.expect(1, "a-2")[0])
		got := dead.expect(10, "a-1")
		equal(t, "id", *got[0].MessageId, id)
		equal(t, "source", got[0].Attributes["DeadLetterQueueSourceArn"], awslocal.QueueARN("q.fifo"))
		equal(t, "group", got[0].Attributes["MessageGroupId"], "a")
		ok(t, "give back", dead.hide(got[0], 0))
		move := func(source, destination string) error {
			in := &sqs.StartMessageMoveTaskInput{SourceArn: aws.String(awslocal.QueueARN(source))}
			if destination != "" {
				in.DestinationArn = aws.String(awslocal.QueueARN(destination))
			}
			_, err := q.client.StartMessageMoveTask(t.Context(), in)
			return err
		}
		code(t, "redrive a queue that is no target", move("q.fifo", ""), "InvalidParameterValue")
		code(t, "redrive to nowhere", move("dead.fifo", "none.fifo"), "ResourceNotFoundException")
		ok(t, "redrive", move("dead.fifo", ""))
		dead.expect(10, "")
		back := q.expect(10, "a-1")
		equal(t, "new id", *back[0].MessageId == id, false)
		equal(t, "receives", back[0].Attributes["ApproximateReceiveCount"], "1")
		_, isDead := back[0].Attributes["DeadLetterQueueSourceArn"]
		equal(t, "still a dead letter", isDead, false)
		time.Sleep(time.Second)
		q.expect(1, "a-1")
		time.Sleep(time.Second)
		q.expect(1, "")
		ok(t, "redrive elsewhere", move("dead.fifo", "dead.fifo"))
		dead.expect(1, "a-1")
	})
}

func TestReceiveWaitsForAMessage(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, a *awslocal.AWS) {
		q := newLine(t, a, "q.fifo", map[string]string{"FifoQueue": "true", "ReceiveMessageWaitTimeSeconds": "5"})
		begin := time.Now()
		q.expect(10, "")
		equal(t, "the queue's own wait", time.Since(begin), 5*time.Second)
		go func() {
			time.Sleep(3 * time.Second)
			q.send("a-1")
		}()
		q.expect(10, "a-1")
		equal(t, "until a message came", time.Since(begin), 8*time.Second)
		long := func(ctx context.Context) (*sqs.ReceiveMessageOutput, error) {
			return q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &q.url, WaitTimeSeconds: 20})
		}
		out, err := long(t.Context())
		ok(t, "wait", err)
		equal(t, "nothing yet", bodies(out.Messages), "")
		out, err = long(t.Context())
		ok(t, "wait", err)
		equal(t, "again", bodies(out.Messages), "a-1")
		equal(t, "when its visibility ended", time.Since(begin), 38*time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = long(ctx)
		equal(t, "given up", errors.Is(err, context.DeadlineExceeded), true)
		equal(t, "at once", time.Since(begin), 39*time.Second)
	})
}

func TestRetentionAndDelay(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, a *awslocal.AWS) {
		q := newLine(t, a, "q.fifo", map[string]string{"FifoQueue": "true", "MessageRetentionPeriod": "60", "DelaySeconds": "10"})
		q.send("a-1", "b-1")
		time.Sleep(10*time.Second - time.Nanosecond)
		q.expect(10, "")
		equal(t, "delayed", q.attributes()["ApproximateNumberOfMessagesDelayed"], "2")
		time.Sleep(time.Nanosecond)
		q.expect(1, "a-1")
		have := q.attributes()
		equal(t, "counts", have["ApproximateNumberOfMessages"]+have["ApproximateNumberOfMessagesNotVisible"]+have["ApproximateNumberOfMessagesDelayed"], "110")
		time.Sleep(50*time.Second - time.Nanosecond)
		equal(t, "kept", q.attributes()["ApproximateNumberOfMessages"], "2")
		time.Sleep(time.Nanosecond)
		equal(t, "gone", q.attributes()["ApproximateNumberOfMessages"], "0")
		q.expect(10, "")
	})
}

func TestReceiptHandles(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, a *awslocal.AWS) {
		q := newLine(t, a, "q.fifo", map[string]string{"FifoQueue": "true"})
		q.send("a-1")
		old := q.expect(1, "a-1")[0]
		time.Sleep(30 * time.Second)
		remove := func(handle string) error {
			_, err := q.client.DeleteMessage(t.Context(), &sqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: &handle})
			return err
		}
		code(t, "after its visibility ended", remove(*old.ReceiptHandle), "InvalidParameterValue")
		current := q.expect(1, "a-1")[0]
		code(t, "of an earlier receipt", remove(*old.ReceiptHandle), "InvalidParameterValue")
		code(t, "that is none", remove("garbage"), "ReceiptHandleIsInvalid")
		ok(t, "current", remove(*current.ReceiptHandle))
		ok(t, "of a deleted message", remove(*current.ReceiptHandle))
		code(t, "hide a deleted message", q.hide(current, 5), "AWS.SimpleQueueService.MessageNotInflight")
	})
}

func TestBatches(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	q := newLine(t, a, "q.fifo", map[string]string{"FifoQueue": "true"})
	entry := func(id, body, group string) types.SendMessageBatchRequestEntry {
		return types.SendMessageBatchRequestEntry{Id: &id, MessageBody: &body, MessageGroupId: &group, MessageDeduplicationId: &body}
	}
	send := func(entries ...types.SendMessageBatchRequestEntry) (*sqs.SendMessageBatchOutput, error) {
		return q.client.SendMessageBatch(t.Context(), &sqs.SendMessageBatchInput{QueueUrl: &q.url, Entries: entries})
	}
	out, err := send(entry("1", "x", "a"), entry("2", "", "a"), entry("3", "y", "a"))
	ok(t, "send", err)
	equal(t, "sent", len(out.Successful), 2)
	equal(t, "ids", *out.Successful[0].Id+*out.Successful[1].Id, "13")
	equal(t, "refused", *out.Failed[0].Id+" "+*out.Failed[0].Code, "2 InvalidParameterValue")
	equal(t, "order", *out.Successful[0].SequenceNumber < *out.Successful[1].SequenceNumber, true)
	equal(t, "digits", len(*out.Successful[0].SequenceNumber), 20)
	eleven := make([]types.SendMessageBatchRequestEntry, 11)
	for i := range eleven {
		eleven[i] = entry(fmt.Sprint(i), fmt.Sprint(i), "a")
	}
	_, err = send(eleven...)
	code(t, "eleven", err, "AWS.SimpleQueueService.TooManyEntriesInBatchRequest")
	_, err = send(eleven[:0]...)
	code(t, "none", err, "AWS.SimpleQueueService.EmptyBatchRequest")
	_, err = send(entry("1", "a", "a"), entry("1", "b", "a"))
	code(t, "one id twice", err, "AWS.SimpleQueueService.BatchEntryIdsNotDistinct")
	half := strings.Repeat("x", 1<<19)
	_, err = send(entry("1", half, "b"), entry("2", half+"y", "b"))
	code(t, "too large", err, "AWS.SimpleQueueService.BatchRequestTooLong")
	got := q.expect(10, "x y")
	hidden, err := q.client.ChangeMessageVisibilityBatch(t.Context(), &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &q.url, Entries: []types.ChangeMessageVisibilityBatchRequestEntry{
		{Id: aws.String("1"), ReceiptHandle: got[0].ReceiptHandle, VisibilityTimeout: 0},
		{Id: aws.String("2"), ReceiptHandle: aws.String("garbage"), VisibilityTimeout: 0},
	}})
	ok(t, "hide", err)
	equal(t, "hidden", *hidden.Successful[0].Id+*hidden.Failed[0].Id+*hidden.Failed[0].Code, "12ReceiptHandleIsInvalid")
	removed, err := q.client.DeleteMessageBatch(t.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: &q.url, Entries: []types.DeleteMessageBatchRequestEntry{
		{Id: aws.String("1"), ReceiptHandle: got[0].ReceiptHandle}, {Id: aws.String("2"), ReceiptHandle: got[1].ReceiptHandle},
	}})
	ok(t, "delete", err)
	equal(t, "deleted", *removed.Successful[0].Id+*removed.Failed[0].Id, "21")
	q.expect(10, "x")
}

func TestMessageAttributes(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	q := newLine(t, a, "q.fifo", map[string]string{"FifoQueue": "true"})
	out, err := q.client.SendMessage(t.Context(), &sqs.SendMessageInput{
		QueueUrl: &q.url, MessageBody: aws.String("x"), MessageGroupId: aws.String("a"), MessageDeduplicationId: aws.String("1"),
		MessageAttributes: map[string]types.MessageAttributeValue{
			"test_attribute_name_1": {DataType: aws.String("String"), StringValue: aws.String("test_attribute_value_1")},
			"binary":                {DataType: aws.String("Binary"), BinaryValue: []byte{1, 2}},
		},
		MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{"AWSTraceHeader": {DataType: aws.String("String"), StringValue: aws.String("Root=1")}},
	})
	ok(t, "send", err)
	equal(t, "digest", len(*out.MD5OfMessageAttributes), 32)
	got := q.receive(1)[0]
	equal(t, "digest", *got.MD5OfMessageAttributes, *out.MD5OfMessageAttributes)
	equal(t, "text", *got.MessageAttributes["test_attribute_name_1"].StringValue, "test_attribute_value_1")
	equal(t, "binary", string(got.MessageAttributes["binary"].BinaryValue), "\x01\x02")
	equal(t, "trace", got.Attributes["AWSTraceHeader"], "Root=1")
	ok(t, "give back", q.hide(got, 0))
	plain, err := q.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: &q.url, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"MessageGroupId"}, MessageAttributeNames: []string{"binary"},
	})
	ok(t, "receive", err)
	equal(t, "only what was asked for", fmt.Sprint(plain.Messages[0].Attributes), "map[MessageGroupId:a]")
	equal(t, "only what was asked for", len(plain.Messages[0].MessageAttributes), 1)
	for _, c := range []struct{ names, want string }{
		{".*", "binary test_attribute_name_1"}, {"All", "binary test_attribute_name_1"}, {"test_attribute.*", "test_attribute_name_1"},
		{"test_attribute", ""}, {"attribute.*", ""}, {"b.*,test.*", "binary test_attribute_name_1"},
	} {
		ok(t, "give back", q.hide(plain.Messages[0], 0))
		plain, err = q.client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &q.url, MessageAttributeNames: strings.Split(c.names, ",")})
		ok(t, c.names, err)
		equal(t, c.names, strings.Join(slices.Sorted(maps.Keys(plain.Messages[0].MessageAttributes)), " "), c.want)
	}
}

func TestQueuesRefuseWhatTheServiceDoes(t *testing.T) {
	t.Parallel()
	a := start(t, awslocal.Options{})
	q := newLine(t, a, "q.fifo", map[string]string{"FifoQueue": "true", "MaximumMessageSize": "1024"})
	create := func(name string, attributes map[string]string) error {
		_, err := q.client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
		return err
	}
	for value, want := range map[string]string{"-1": "InvalidAttributeValue", "43201": "InvalidAttributeValue", "x": "InvalidAttributeValue", "0": "", "43200": ""} {
		code(t, "visibility "+value, create("v"+value+".fifo", map[string]string{"VisibilityTimeout": value}), want)
	}
	code(t, "standard", create("q", nil), "InvalidParameterValue")
	code(t, "again", create("q.fifo", map[string]string{"FifoQueue": "true"}), "")
	code(t, "otherwise", create("q.fifo", map[string]string{"VisibilityTimeout": "7"}), "QueueAlreadyExists")
	code(t, "unknown attribute", create("r.fifo", map[string]string{"Color": "red"}), "InvalidAttributeName")
	code(t, "bad word", create("r.fifo", map[string]string{"FifoQueue": "false"}), "InvalidAttributeValue")
	code(t, "no such dead-letter queue", create("r.fifo", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:x:0:none.fifo","maxReceiveCount":1}`}), "InvalidParameterValue")
	for _, policy := range []string{`{`, `{"maxReceiveCount":1}`, fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":0}`, awslocal.QueueARN("q.fifo")), fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":1001}`, awslocal.QueueARN("q.fifo"))} {
		code(t, policy, create("r.fifo", map[string]string{"RedrivePolicy": policy}), "InvalidParameterValue")
	}
	send := func(in sqs.SendMessageInput) error {
		in.QueueUrl = &q.url
		_, err := q.client.SendMessage(t.Context(), &in)
		return err
	}
	x, long := aws.String("x"), aws.String(strings.Repeat("x", 129))
	code(t, "no group", send(sqs.SendMessageInput{MessageBody: x, MessageDeduplicationId: x}), "MissingParameter")
	code(t, "no id", send(sqs.SendMessageInput{MessageBody: x, MessageGroupId: x}), "InvalidParameterValue")
	code(t, "long group", send(sqs.SendMessageInput{MessageBody: x, MessageGroupId: long, MessageDeduplicationId: x}), "InvalidParameterValue")
	code(t, "long id", send(sqs.SendMessageInput{MessageBody: x, MessageGroupId: x, MessageDeduplicationId: long}), "InvalidParameterValue")
	code(t, "delay", send(sqs.SendMessageInput{MessageBody: x, MessageGroupId: x, MessageDeduplicationId: x, DelaySeconds: 5}), "InvalidParameterException")
	code(t, "longest", send(sqs.SendMessageInput{MessageBody: aws.String(strings.Repeat("x", 1024)), MessageGroupId: x, MessageDeduplicationId: x}), "")
	code(t, "longer", send(sqs.SendMessageInput{MessageBody: aws.String(strings.Repeat("x", 1025)), MessageGroupId: x, MessageDeduplicationId: aws.String("y")}), "InvalidParameterValue")
	receive := func(in sqs.ReceiveMessageInput) error {
		in.QueueUrl = &q.url
		_, err := q.client.ReceiveMessage(t.Context(), &in)
		return err
	}
	code(t, "eleven", receive(sqs.ReceiveMessageInput{MaxNumberOfMessages: 11}), "InvalidParameterValue")
	code(t, "minus one", receive(sqs.ReceiveMessageInput{MaxNumberOfMessages: -1}), "InvalidParameterValue")
	code(t, "a long wait", receive(sqs.ReceiveMessageInput{WaitTimeSeconds: 21}), "InvalidParameterValue")
	code(t, "hidden for long", receive(sqs.ReceiveMessageInput{VisibilityTimeout: 43201}), "InvalidParameterValue")
	q.url = a.URL + "/000000000000/none.fifo"
	code(t, "receive from none", receive(sqs.ReceiveMessageInput{}), "AWS.SimpleQueueService.NonExistentQueue")
	code(t, "send to none", send(sqs.SendMessageInput{MessageBody: x}), "AWS.SimpleQueueService.NonExistentQueue")
	_, err := q.client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("none.fifo")})
	var missing *types.QueueDoesNotExist
	equal(t, "typed", errors.As(err, &missing), true)
}

func TestQueueAttributesCanChange(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, a *awslocal.AWS) {
		url, err := a.CreateQueue("q.fifo", map[string]string{"VisibilityTimeout": "5"})
		ok(t, "create", err)
		client := sqs.NewFromConfig(config(a))
		found, err := client.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("q.fifo")})
		ok(t, "url", err)
		equal(t, "url", *found.QueueUrl, url)
		q := line{t, client, url}
		time.Sleep(time.Minute)
		_, err = client.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: map[string]string{"VisibilityTimeout": "7"}})
		ok(t, "set", err)
		have := q.attributes()
		for name, want := range map[string]string{
			"VisibilityTimeout": "7", "MessageRetentionPeriod": "345600", "DelaySeconds": "0", "ReceiveMessageWaitTimeSeconds": "0",
			"MaximumMessageSize": "1048576", "FifoQueue": "true", "ContentBasedDeduplication": "false", "DeduplicationScope": "queue",
			"QueueArn": awslocal.QueueARN("q.fifo"), "CreatedTimestamp": "946684800", "LastModifiedTimestamp": "946684860",
		} {
			equal(t, name, have[name], want)
		}
		one, err := client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{"DelaySeconds"}})
		ok(t, "one", err)
		equal(t, "one", fmt.Sprint(one.Attributes), "map[DelaySeconds:0]")
		q.send("a-1")
		got := q.expect(1, "a-1")[0]
		equal(t, "sent", got.Attributes["SentTimestamp"]+" "+got.Attributes["ApproximateFirstReceiveTimestamp"], "946684860000 946684860000")
		time.Sleep(7 * time.Second)
		q.expect(1, "a-1")
		_, err = client.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: &url})
		ok(t, "purge", err)
		time.Sleep(time.Minute)
		q.expect(1, "")
		_, err = a.CreateQueue("other.fifo", nil)
		ok(t, "create", err)
		list, err := client.ListQueues(t.Context(), &sqs.ListQueuesInput{QueueNamePrefix: aws.String("q")})
		ok(t, "list", err)
		equal(t, "list", strings.Join(list.QueueUrls, " "), url)
		synctest.Wait()
	})
}
