package bootrelay

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"hikyaku/internal/webhookrelay"
)

// Limits of the service.
const (
	mostInBatch       = 10
	longestVisibility = 12 * time.Hour
)

// A queue is an SQS FIFO queue.
type queue struct {
	client *sqs.Client
	url    string
}

var (
	_ webhookrelay.Queue = (*queue)(nil)
	_ webhookrelay.Inbox = (*queue)(nil)
)

// Send implements webhookrelay.Queue.
func (q *queue) Send(ctx context.Context, envelopes ...webhookrelay.Envelope) error {
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

// Postpone implements webhookrelay.Inbox.
func (q *queue) Postpone(ctx context.Context, receipt string, d time.Duration) error {
	seconds := int32(min(max(d, 0), longestVisibility) / time.Second) // at most 43,200
	_, err := q.client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &q.url, ReceiptHandle: &receipt, VisibilityTimeout: seconds,
	})
	if err != nil {
		return fmt.Errorf("postponing a message: %w", err)
	}
	return nil
}
