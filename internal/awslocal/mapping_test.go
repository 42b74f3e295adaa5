package awslocal_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"hikyaku/internal/awslocal"
)

// poll runs a mapping to a handler of SQS events until the test's bubble ends.
func poll(t *testing.T, a *awslocal.AWS, m awslocal.Mapping, h func(events.SQSEvent) (any, error)) {
	t.Helper()
	register(t, a, awslocal.Function{Name: m.Function, Timeout: time.Minute}, func(_ context.Context, payload []byte) ([]byte, error) {
		var e events.SQSEvent
		if err := json.Unmarshal(payload, &e); err != nil {
			return nil, err
		}
		answer, err := h(e)
		if err != nil {
			return nil, err
		}
		return json.Marshal(answer)
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Poll(ctx, m) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func texts(e events.SQSEvent) string {
	bodies := make([]string, len(e.Records))
	for i, r := range e.Records {
		bodies[i] = r.Body
	}
	return strings.Join(bodies, " ")
}

func TestAMappingDeliversAndDeletes(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, a *awslocal.AWS) {
		q := newLine(t, a, "q.fifo", map[string]string{"FifoQueue": "true"})
		var got []events.SQSEvent
		poll(t, a, awslocal.Mapping{Queue: "q.fifo", Function: "f", BatchSize: 10}, func(e events.SQSEvent) (any, error) {
			got = append(got, e)
			return nil, nil
		})
		time.Sleep(time.Second)
		id := q.send("a-1")[0]
		time.Sleep(time.Second)
		_, err := q.client.SendMessage(t.Context(), &sqs.SendMessageInput{
			QueueUrl: &q.url, MessageBody: aws.String("b-1"), MessageGroupId: aws.String("b"), MessageDeduplicationId: aws.String("b"),
			MessageAttributes: map[string]types.MessageAttributeValue{"class": {DataType: aws.String("String"), StringValue: aws.String("invalid")}},
		})
		ok(t, "send", err)
		time.Sleep(time.Minute)
		synctest.Wait()
		equal(t, "events", len(got), 2)
		r := got[0].Records[0]
		equal(t, "record", r.MessageId+r.Body+r.EventSource+r.EventSourceARN+r.AWSRegion, id+"a-1aws:sqs"+awslocal.QueueARN("q.fifo")+awslocal.Region)
		equal(t, "group", r.Attributes["MessageGroupId"]+r.Attributes["ApproximateReceiveCount"], "a1")
		equal(t, "digest", r.Md5OfBody, "737c191aed52450b9c655083c9971bdd")
		equal(t, "attribute", *got[1].Records[0].MessageAttributes["class"].StringValue, "invalid")
		have := q.attributes()
		equal(t, "left", have["ApproximateNumberOfMessages"]+have["ApproximateNumberOfMessagesNotVisible"], "00")
		calls := a.Calls()
		equal(t, "deletes", calls["sqs.DeleteMessageBatch"], 2)
		equal(t, "invocations", calls["lambda.Invoke"], 2)
		// Two pollers wait 20 s each: the first wait ends early by a message.
		equal(t, "receives", calls["sqs.ReceiveMessage"] >= 8, true)
	})
}

func TestAMappingKeepsWhatFailed(t *testing.T) {
	t.Parallel()
	type failures struct {
		BatchItemFailures []map[string]any `json:"batchItemFailures"`
	}
	named := func(id any) failures { return failures{[]map[string]any{{"itemIdentifier": id}}} }
	for name, c := range map[string]struct {
		answer func(e events.SQSEvent) (any, error)
		again  string
	}{
		"one named":     {func(e events.SQSEvent) (any, error) { return named(e.Records[1].MessageId), nil }, "b-1"},
		"none named":    {func(events.SQSEvent) (any, error) { return failures{[]map[string]any{}}, nil }, ""},
		"null":          {func(events.SQSEvent) (any, error) { return nil, nil }, ""},
		"other object":  {func(events.SQSEvent) (any, error) { return map[string]int{"processed": 3}, nil }, ""},
		"unknown named": {func(events.SQSEvent) (any, error) { return named("someone"), nil }, "a-1 b-1 c-1"},
		"empty name":    {func(events.SQSEvent) (any, error) { return named(""), nil }, "a-1 b-1 c-1"},
		"null name":     {func(events.SQSEvent) (any, error) { return named(nil), nil }, "a-1 b-1 c-1"},
		"no object":     {func(events.SQSEvent) (any, error) { return "done", nil }, "a-1 b-1 c-1"},
		"error":         {func(events.SQSEvent) (any, error) { return nil, errors.New("failed") }, "a-1 b-1 c-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, a *awslocal.AWS) {
				q := newLine(t, a, "q.fifo", map[string]string{"FifoQueue": "true"})
				q.send("a-1", "b-1", "c-1")
				var got []string
				begin := time.Now()
				poll(t, a, awslocal.Mapping{Queue: "q.fifo", Function: "f", BatchSize: 10, MaxConcurrency: 1}, func(e events.SQSEvent) (any, error) {
					got = append(got, fmt.Sprintf("%v %s", time.Since(begin), texts(e)))
					if len(got) > 1 {
						return nil, nil
					}
					return c.answer(e)
				})
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				want := []string{"0s a-1 b-1 c-1"}
				if c.again != "" {
					want = append(want, "30s "+c.again)
				}
				equal(t, "batches", strings.Join(got, "; "), strings.Join(want, "; "))
			})
		})
	}
}

func TestAMappingRunsGroupsSideBySide(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, a *awslocal.AWS) {
		q := newLine(t, a, "q.fifo", map[string]string{"FifoQueue": "true", "VisibilityTimeout": "300"})
		var mu sync.Mutex
		running, most, inGroup := 0, 0, map[string]int{}
		var order []string
		poll(t, a, awslocal.Mapping{Queue: "q.fifo", Function: "f", MaxConcurrency: 3}, func(e events.SQSEvent) (any, error) {
			group := e.Records[0].Attributes["MessageGroupId"]
			mu.Lock()
			running++
			inGroup[group]++
			most = max(most, running)
			if inGroup[group] > 1 || len(e.Records) != 1 {
				t.Errorf("%d of group %s at a time, %d records", inGroup[group], group, len(e.Records))
			}
			if group == "a" {
				order = append(order, e.Records[0].Body)
			}
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			running--
			inGroup[group]--
			mu.Unlock()
			return nil, nil
		})
		begin := time.Now()
		for i := range 5 {
			for _, group := range []string{"a", "b", "c", "d"} {
				q.send(fmt.Sprintf("%s-%d", group, i))
			}
		}
		for q.attributes()["ApproximateNumberOfMessages"]+q.attributes()["ApproximateNumberOfMessagesNotVisible"] != "00" {
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		equal(t, "at a time", most, 3)
		equal(t, "order", strings.Join(order, " "), "a-0 a-1 a-2 a-3 a-4")
		equal(t, "time", time.Since(begin) <= 8*time.Second, true)
	})
}

func TestPollRefusesWhatDoesNotExist(t *testing.T) {
	t.Parallel()
	a, err := awslocal.New(awslocal.Options{})
	ok(t, "new", err)
	register(t, a, awslocal.Function{Name: "f"}, func(context.Context, []byte) ([]byte, error) { return nil, nil })
	if err := a.Poll(t.Context(), awslocal.Mapping{Queue: "none.fifo", Function: "f"}); err == nil {
		t.Error("a missing queue was polled")
	}
	_, err = a.CreateQueue("q.fifo", nil)
	ok(t, "create", err)
	if err := a.Poll(t.Context(), awslocal.Mapping{Queue: "q.fifo", Function: "none"}); err == nil {
		t.Error("a missing function was mapped")
	}
	ok(t, "close", a.Close())
	ok(t, "poll a closed AWS", a.Poll(t.Context(), awslocal.Mapping{Queue: "q.fifo", Function: "f"}))
}
