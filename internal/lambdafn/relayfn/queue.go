package relayfn

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"hikyaku/internal/webhookrelay/queue"
)

// Limits of the service.
const (
	mostInBatch       = 10
	longestVisibility = 12 * time.Hour
	patience          = 1 // seconds that Receive waits for a first message
)

// A fifo is an SQS FIFO queue.
type fifo struct {
	client *sqs.Client
	url    string
}

var (
	_ queue.Queue  = (*fifo)(nil)
	_ queue.Inbox  = (*fifo)(nil)
	_ queue.Outlet = (*fifo)(nil)
)

// Send implements queue.Queue.
func (q *fifo) Send(ctx context.Context, envelopes ...queue.Envelope) error {
	for chunk := range slices.Chunk(envelopes, mostInBatch) {
		entries := make([]types.SendMessageBatchRequestEntry, len(chunk))
		for i, e := range chunk {
			entries[i] = types.SendMessageBatchRequestEntry{
				Id: aws.String(strconv.Itoa(i)), MessageBody: aws.String(string(e.Body)),
				MessageGroupId: aws.String(e.Group), MessageDeduplicationId: aws.String(e.Dedup),
			}
		}
		out, err := q.client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &q.url, Entries: entries})
		if err != nil {
			return fmt.Errorf("sending %d messages: %w", len(chunk), err)
		}
		if len(out.Failed) > 0 {
			return fmt.Errorf("sending %d messages: the queue refused %d (%s)", len(chunk), len(out.Failed), aws.ToString(out.Failed[0].Code))
		}
	}
	return nil
}

// Postpone implements queue.Inbox.
func (q *fifo) Postpone(ctx context.Context, receipt string, d time.Duration) error {
	seconds := int32(min(max(d, 0), longestVisibility) / time.Second) // at most 43,200
	_, err := q.client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &q.url, ReceiptHandle: &receipt, VisibilityTimeout: seconds,
	})
	if err != nil {
		return fmt.Errorf("postponing a message: %w", err)
	}
	return nil
}

// Receive implements queue.Outlet.
func (q *fifo) Receive(ctx context.Context) ([]queue.Delivery, error) {
	out, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &q.url, MaxNumberOfMessages: mostInBatch, WaitTimeSeconds: patience})
	if err != nil {
		return nil, fmt.Errorf("receiving messages: %w", err)
	}
	batch := make([]queue.Delivery, len(out.Messages))
	for i, m := range out.Messages {
		batch[i] = queue.Delivery{ID: aws.ToString(m.MessageId), Receipt: aws.ToString(m.ReceiptHandle), Body: []byte(aws.ToString(m.Body))}
	}
	return batch, nil
}

// Delete implements queue.Outlet.
func (q *fifo) Delete(ctx context.Context, receipt string) error {
	if _, err := q.client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: &receipt}); err != nil {
		return fmt.Errorf("deleting a message: %w", err)
	}
	return nil
}
