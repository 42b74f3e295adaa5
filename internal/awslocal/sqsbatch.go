package awslocal

import (
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"
)

type receipt struct {
	ID                string `json:"Id"` // of a batch
	ReceiptHandle     string
	VisibilityTimeout int
}

type receiptInput struct {
	queueURL
	receipt
}

func (s *queues) deleteMessage(_ *http.Request, in receiptInput) (nothing, error) {
	return with(s, in.QueueURL, func(q *queue, now time.Time) (nothing, error) { return nothing{}, q.remove(in.ReceiptHandle, now) })
}

func (s *queues) changeVisibility(_ *http.Request, in receiptInput) (nothing, error) {
	return with(s, in.QueueURL, func(q *queue, now time.Time) (nothing, error) {
		return nothing{}, q.changeVisibility(in.ReceiptHandle, in.VisibilityTimeout, now)
	})
}

type batchInput[E any] struct {
	queueURL

	Entries []E
}

type failedEntry struct {
	ID            string `json:"Id"`
	SenderFault   bool
	Code, Message string
}

type batchOutput[E any] struct {
	Successful []E           `json:",omitempty"`
	Failed     []failedEntry `json:",omitempty"`
}

type entryID struct {
	ID string `json:"Id"`
}

// batch runs f for each entry; one that is refused does not stop the others.
func batch[E, Out any](s *queues, in batchInput[E], id func(E) string, f func(q *queue, e E, now time.Time) (Out, error)) (batchOutput[Out], error) {
	ids := map[string]bool{}
	for _, e := range in.Entries {
		ids[id(e)] = true
	}
	switch {
	case len(in.Entries) == 0:
		return batchOutput[Out]{}, refuseQueue("EmptyBatchRequest", "The batch request doesn't contain any entries.")
	case len(in.Entries) > maxBatch:
		return batchOutput[Out]{}, refuseQueue("TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10.")
	case len(ids) < len(in.Entries):
		return batchOutput[Out]{}, refuseQueue("BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id.")
	}
	return with(s, in.QueueURL, func(q *queue, now time.Time) (out batchOutput[Out], _ error) {
		for _, e := range in.Entries {
			done, err := f(q, e, now)
			if no, ok := errors.AsType[*refusal](err); ok {
				out.Failed = append(out.Failed, failedEntry{ID: id(e), SenderFault: true, Code: no.Code, Message: no.Message})
				continue
			}
			out.Successful = append(out.Successful, done)
		}
		return out, nil
	})
}

func (s *queues) sendBatch(_ *http.Request, in batchInput[sending]) (batchOutput[sent], error) {
	size := 0
	for _, e := range in.Entries {
		size += len(e.MessageBody)
	}
	if size > maxBody {
		return batchOutput[sent]{}, refuseQueue("BatchRequestTooLong", "Batch requests cannot be longer than %d bytes.", maxBody)
	}
	return batch(s, in, func(e sending) string { return e.ID }, (*queue).accept)
}

func (s *queues) deleteBatch(_ *http.Request, in batchInput[receipt]) (batchOutput[entryID], error) {
	return batch(s, in, func(e receipt) string { return e.ID }, func(q *queue, e receipt, now time.Time) (entryID, error) {
		return entryID{e.ID}, q.remove(e.ReceiptHandle, now)
	})
}

func (s *queues) changeBatch(_ *http.Request, in batchInput[receipt]) (batchOutput[entryID], error) {
	return batch(s, in, func(e receipt) string { return e.ID }, func(q *queue, e receipt, now time.Time) (entryID, error) {
		return entryID{e.ID}, q.changeVisibility(e.ReceiptHandle, e.VisibilityTimeout, now)
	})
}

type moveInput struct {
	SourceARN      string `json:"SourceArn"`
	DestinationARN string `json:"DestinationArn"`
}

type moveTask struct{ TaskHandle string }

// startMove sends all visible messages of a dead-letter queue back to where
// they came from, or to another queue. They are new there: another id, no
// receives. The service does it in the background; here it is done at once.
func (s *queues) startMove(_ *http.Request, in moveInput) (moveTask, error) {
	return with(s, in.SourceARN, func(q *queue, now time.Time) (moveTask, error) {
		isTarget := false
		for _, other := range s.byName {
			isTarget = isTarget || other.settings.deadLetters == QueueARN(q.name)
		}
		if !isTarget {
			return moveTask{}, invalidValue("Source queue must be configured as a Dead Letter Queue.")
		}
		if in.DestinationARN != "" && s.byName[nameOf(in.DestinationARN)] == nil {
			return moveTask{}, &refusal{Status: http.StatusNotFound, Code: "ResourceNotFoundException", Message: "The destination queue does not exist."}
		}
		q.expire(now)
		for _, m := range q.backlog.visible() {
			to := s.byName[nameOf(in.DestinationARN)]
			if in.DestinationARN == "" {
				to = s.byName[nameOf(m.source)]
			}
			if to != nil {
				q.move(m, to, MessageMoved, uuid.NewString(), now)
			}
		}
		return moveTask{TaskHandle: uuid.NewString()}, nil
	})
}
