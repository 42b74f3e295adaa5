package awslocal

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"sync"
	"time"

	"hikyaku/pkg/providers/sandbox"

	"github.com/aws/aws-lambda-go/events"
)

// A Mapping feeds a queue to a function, as an event source mapping with
// ReportBatchItemFailures does.
type Mapping struct {
	ID              string // UUID by which [AWS.AddSource] lets Lambda show it; empty: it is always on
	Queue, Function string
	BatchSize       int // messages of one invocation, at most 10; 0: 1
	MaxConcurrency  int // invocations at a time; 0: 2, the least that the service takes
}

const leastConcurrency = 2

// Poll runs a mapping until ctx or the local AWS ends. While it is disabled it receives
// nothing; what it has received it finishes. What the function processed is deleted. What it names in batchItemFailures, and everything if
// it fails or answers something else, becomes visible again once the queue's
// visibility time-out has passed.
func (a *AWS) Poll(ctx context.Context, m Mapping) error {
	if m.BatchSize <= 0 {
		m.BatchSize = 1
	}
	if m.MaxConcurrency <= 0 {
		m.MaxConcurrency = leastConcurrency
	}
	if _, err := a.functions.find(m.Function); err != nil {
		return err
	}
	if _, err := with(a.queues, m.Queue, func(*queue, time.Time) (nothing, error) { return nothing{}, nil }); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.jobs.ctx, cancel)() //nolint:contextcheck // the other context that ends polling
	var pollers sync.WaitGroup
	for range m.MaxConcurrency {
		pollers.Go(func() {
			for ctx.Err() == nil {
				poller{a, m}.once(ctx)
			}
		})
	}
	pollers.Wait()
	return nil
}

// A poller works for a mapping.
type poller struct {
	*AWS

	mapping Mapping
}

// once receives one batch, invokes the function and settles the messages.
func (a poller) once(ctx context.Context) {
	m := a.mapping
	receiving, stop := a.sources.receiving(ctx, m.ID)
	defer stop()
	if ctx.Err() != nil {
		return
	}
	a.frontend.count("sqs.ReceiveMessage")
	received, err := a.queues.receive(receiving, m.Queue, min(m.BatchSize, maxBatch), -1, 20*time.Second)
	if err == nil && len(received) == 0 {
		a.Told.watch.meter.foundNone(m.Queue)
	}
	if err != nil || len(received) == 0 {
		if err != nil && receiving.Err() == nil { // the queue is gone
			a.log.WarnContext(ctx, "polling failed", "queue", m.Queue, "err", err)
			sandbox.Pause(ctx, time.Second)
		}
		return
	}
	payload, err := json.Marshal(events.SQSEvent{Records: records(m.Queue, received)})
	if err != nil {
		a.log.ErrorContext(ctx, "writing an event failed", "queue", m.Queue, "err", err)
		return
	}
	answer, err := a.Invoke(ctx, m.Function, payload)
	if err != nil || answer.Error != "" {
		a.log.WarnContext(ctx, "polled invocation failed", "function", m.Function, "queue", m.Queue)
		return
	}
	failed, ok := readFailures(answer.Payload, received)
	if !ok {
		a.log.WarnContext(ctx, "batch item failures are unreadable: the whole batch counts as failed", "function", m.Function, "queue", m.Queue)
		return
	}
	done := batchInput[receipt]{queueURL: queueURL{m.Queue}}
	for i, r := range received {
		if !slices.Contains(failed, r.MessageID) {
			done.Entries = append(done.Entries, receipt{ID: strconv.Itoa(i), ReceiptHandle: r.ReceiptHandle})
		}
	}
	if len(done.Entries) > 0 {
		a.frontend.count("sqs.DeleteMessageBatch")
		_, _ = a.queues.deleteBatch(nil, done) // a receipt that expired comes again
	}
}

func records(queue string, received []delivery) []events.SQSMessage {
	out := make([]events.SQSMessage, 0, len(received))
	for _, d := range received {
		attributes := map[string]events.SQSMessageAttribute{}
		for name, v := range d.MessageAttributes {
			shown := events.SQSMessageAttribute{BinaryValue: v.BinaryValue, DataType: v.DataType, StringListValues: []string{}, BinaryListValues: [][]byte{}}
			if v.StringValue != "" {
				shown.StringValue = &v.StringValue
			}
			attributes[name] = shown
		}
		out = append(out, events.SQSMessage{
			MessageId: d.MessageID, ReceiptHandle: d.ReceiptHandle, Body: d.Body, Attributes: d.Attributes, MessageAttributes: attributes,
			Md5OfBody: d.MD5OfBody, Md5OfMessageAttributes: d.MD5OfMessageAttributes, EventSource: "aws:sqs", EventSourceARN: QueueARN(queue), AWSRegion: Region,
		})
	}
	return out
}

// readFailures returns the ids that the function names as failed. As on the
// service, an empty answer means none, and one that names an empty or unknown
// id, or is no such answer, fails the batch.
func readFailures(answer []byte, received []delivery) (failed []string, ok bool) {
	var body events.SQSEventResponse
	if len(answer) > 0 && json.Unmarshal(answer, &body) != nil {
		return nil, false
	}
	for _, f := range body.BatchItemFailures {
		if !slices.ContainsFunc(received, func(d delivery) bool { return d.MessageID == f.ItemIdentifier }) {
			return nil, false
		}
		failed = append(failed, f.ItemIdentifier)
	}
	return failed, true
}
