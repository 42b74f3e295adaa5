package awslocal_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"hikyaku/internal/awslocal"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/sandbox/keepertest"
)

// A restarts is a local AWS in a bubble that can be ended and begun again.
type restarts struct {
	t       *testing.T
	options awslocal.Options
	a       *awslocal.AWS
	queue   string // that line shows
}

// kept runs a test with a local AWS that keeps its state.
func kept(t *testing.T, run func(t *testing.T, r *restarts)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &restarts{t: t, options: awslocal.Options{Keeper: new(keepertest.Memory)}, queue: "q.fifo"}
		r.begin()
		defer func() { _ = r.a.Close() }()
		run(t, r)
	})
}

func (r *restarts) begin() { r.a = reopen(r.t, r.a, r.options) }

// line is the queue as the SDK reaches it now.
func (r *restarts) line() line {
	return line{r.t, sqs.NewFromConfig(config(r.a)), r.a.URL + "/000000000000/" + r.queue}
}

func (r *restarts) create(name string, attributes map[string]string) {
	r.t.Helper()
	_, err := r.a.CreateQueue(name, attributes)
	ok(r.t, "create", err)
}

func TestQueueOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	kept(t, func(t *testing.T, r *restarts) {
		r.create("dead.fifo", nil)
		r.create("q.fifo", map[string]string{"VisibilityTimeout": "60", "RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"2"}`, awslocal.QueueARN("dead.fifo"))})
		_, err := r.line().client.TagQueue(t.Context(), &sqs.TagQueueInput{QueueUrl: aws.String(r.line().url), Tags: map[string]string{"k": "v"}})
		ok(t, "tag", err)
		first := r.line().send("a-1", "a-2", "b-1")[0]
		got := r.line().expect(1, "a-1")[0]
		before := r.line().attributes()
		r.begin()
		after := r.line().attributes()
		for name, value := range before {
			equal(t, name, after[name], value)
		}
		tags, err := r.line().client.ListQueueTags(t.Context(), &sqs.ListQueueTagsInput{QueueUrl: aws.String(r.line().url)})
		ok(t, "tags", err)
		equal(t, "tags", tags.Tags["k"], "v")
		equal(t, "repeated", r.line().send("a-1")[0], first)
		r.line().expect(10, "b-1") // a-1 is in flight still, and holds its group
		time.Sleep(60*time.Second - time.Nanosecond)
		r.line().expect(10, "")
		time.Sleep(time.Nanosecond)
		again := r.line().expect(1, "a-1")[0]
		equal(t, "receives", again.Attributes["ApproximateReceiveCount"], "2")
		equal(t, "first received", again.Attributes["ApproximateFirstReceiveTimestamp"], got.Attributes["ApproximateFirstReceiveTimestamp"])
		equal(t, "sent", again.Attributes["SentTimestamp"], got.Attributes["SentTimestamp"])
		equal(t, "sequence", again.Attributes["SequenceNumber"], got.Attributes["SequenceNumber"])
		r.begin()
		ok(t, "an earlier receipt is good", r.line().hide(again, 0))
		r.line().expect(1, "a-2") // a-1 was received twice
		r.begin()
		r.queue = "dead.fifo"
		letter := r.line().expect(10, "a-1")[0]
		equal(t, "id", *letter.MessageId, first)
		r.line().remove(letter)
		r.queue = "q.fifo"
		last := r.line().send("c-1")[0]
		for _, m := range append(r.line().receive(10), r.line().receive(10)...) {
			r.line().remove(m)
		}
		r.begin()
		time.Sleep(5*time.Minute - time.Nanosecond)
		equal(t, "repeated, long deleted", r.line().send("c-1")[0], last)
		time.Sleep(time.Nanosecond)
		r.begin()
		equal(t, "new", r.line().send("c-1")[0] == last, false)
		fresh := r.line().receive(10)
		newest := fresh[len(fresh)-1]
		equal(t, "body", *newest.Body, "c-1")
		equal(t, "a later sequence number", newest.Attributes["SequenceNumber"] > again.Attributes["SequenceNumber"], true)
	})
}

func TestPurgeOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	kept(t, func(t *testing.T, r *restarts) {
		r.create("q.fifo", nil)
		r.line().send("a-1", "b-1")
		_, err := r.line().client.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: aws.String(r.line().url)})
		ok(t, "purge", err)
		r.begin()
		r.line().expect(10, "")
		_, err = r.line().client.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: aws.String(r.line().url)})
		code(t, "purge again", err, "AWS.SimpleQueueService.PurgeQueueInProgress")
	})
}

// TestQueueOfAnEarlierProcess is made again with what this process wants of it.
func TestQueueOfAnEarlierProcess(t *testing.T) {
	t.Parallel()
	kept(t, func(t *testing.T, r *restarts) {
		r.create("q.fifo", map[string]string{"VisibilityTimeout": "5", "DelaySeconds": "1"})
		r.line().send("a-1")
		r.begin()
		r.create("q.fifo", map[string]string{"VisibilityTimeout": "7"})
		equal(t, "taken over", r.line().attributes()["VisibilityTimeout"]+r.line().attributes()["DelaySeconds"], "70")
		_, err := r.a.CreateQueue("q.fifo", map[string]string{"VisibilityTimeout": "8"})
		if err == nil {
			t.Error("a queue was made twice by one process")
		}
		r.begin()
		equal(t, "kept", r.line().attributes()["VisibilityTimeout"], "7")
		time.Sleep(time.Second)
		r.line().expect(10, "a-1")
	})
}

// TestNothingIsAcknowledgedUnkept lets the keeper fail: the caller hears of it, also if
// he repeats what the queue has in memory by then, and what he is told afterwards is true.
func TestNothingIsAcknowledgedUnkept(t *testing.T) {
	t.Parallel()
	kept(t, func(t *testing.T, r *restarts) {
		r.create("q.fifo", nil)
		full := errors.New("no space left on device")
		r.options.Keeper.(*keepertest.Memory).Fault = func([]sandbox.Change) error { return full }
		send := func() error {
			_, err := r.line().client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: aws.String(r.line().url), MessageBody: aws.String("x"), MessageGroupId: aws.String("a"), MessageDeduplicationId: aws.String("1")})
			return err
		}
		code(t, "send", send(), "InternalServiceError")
		code(t, "send again", send(), "InternalServiceError")
		_, err := r.line().client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(r.line().url)})
		code(t, "receive", err, "InternalServiceError")
		r.options.Keeper.(*keepertest.Memory).Fault = nil
		ok(t, "send once there is space", send())
		r.begin()
		time.Sleep(30 * time.Second)
		r.line().expect(10, "x")
	})
}

// A diary keeps events.
type diary struct {
	mu     sync.Mutex
	events []awslocal.QueueEvent
}

func (d *diary) note(e awslocal.QueueEvent) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, e)
}

// take returns what was noted since, once nothing goes on any more.
func (d *diary) take() []awslocal.QueueEvent {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	events := d.events
	d.events = nil
	return events
}

// read takes it as "queue: kind body".
func (d *diary) read() string { return told(d.take()) }

func told(events []awslocal.QueueEvent) string {
	lines := make([]string, 0, len(events))
	for _, e := range events {
		lines = append(lines, strings.TrimSuffix(e.Queue, ".fifo")+": "+string(e.Kind)+" "+e.Body)
	}
	return strings.Join(lines, ", ")
}

func TestObserverSeesEverything(t *testing.T) {
	t.Parallel()
	kept(t, func(t *testing.T, r *restarts) {
		var d diary
		r.options.Observe = d.note
		r.begin()
		r.create("dead.fifo", nil)
		r.create("q.fifo", map[string]string{"VisibilityTimeout": "60", "MessageRetentionPeriod": "3600", "RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"1"}`, awslocal.QueueARN("dead.fifo"))})
		q := r.line()
		id := q.send("a-1")[0]
		first := d.take()
		equal(t, "sent", told(first), "q: sent a-1")
		sent := first[0]
		equal(t, "whole", fmt.Sprint(sent.MessageID, sent.Group, sent.DeduplicationID, sent.At, sent.Visible, sent.Receives), fmt.Sprint(id, "a", "a-1", time.Now(), time.Now(), 0))
		q.send("a-1", "b-1")
		equal(t, "sent", d.read(), "q: repeated a-1, q: sent b-1")
		got := q.receive(2)
		received := d.take()
		equal(t, "received", told(received), "q: received a-1, q: received b-1")
		equal(t, "receives", fmt.Sprint(received[0].Receives, received[0].Visible), fmt.Sprint(1, time.Now().Add(time.Minute)))
		ok(t, "hide", q.hide(got[0], 0))
		q.remove(got[1])
		q.receive(1)
		equal(t, "received", d.read(), "q: hidden a-1, q: deleted b-1, q: dead a-1, dead: sent a-1")
		_, err := q.client.StartMessageMoveTask(t.Context(), &sqs.StartMessageMoveTaskInput{SourceArn: aws.String(awslocal.QueueARN("dead.fifo"))})
		ok(t, "move", err)
		equal(t, "moved", d.read(), "dead: moved a-1, q: sent a-1")
		time.Sleep(time.Hour)
		q.receive(1)
		equal(t, "expired", d.read(), "q: expired a-1")
		q.send("c-1")
		_, err = q.client.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: &q.url})
		ok(t, "purge", err)
		equal(t, "purged", d.read(), "q: sent c-1, q: purged c-1")
	})
}

// TestObserverIsToldInOrder lets many work at the queue while the observer is slow: none
// of them waits for it, and the way of each message is told in its order.
func TestObserverIsToldInOrder(t *testing.T) {
	t.Parallel()
	kept(t, func(t *testing.T, r *restarts) {
		var d diary
		r.options.Observe = func(e awslocal.QueueEvent) {
			time.Sleep(time.Second)
			d.note(e)
		}
		r.begin()
		r.create("q.fifo", nil)
		begin := time.Now()
		var all sync.WaitGroup
		for worker := range 4 {
			all.Go(func() {
				for n := range 10 {
					cycle(t, r.a, "q.fifo", worker*1000+2*n)
				}
			})
		}
		all.Wait()
		equal(t, "time that the workers took", time.Since(begin), 0)
		time.Sleep(time.Hour)
		ways := map[string][]string{}
		for _, e := range d.take() {
			ways[e.MessageID] = append(ways[e.MessageID], string(e.Kind))
		}
		equal(t, "messages", len(ways), 40)
		for id, way := range ways {
			equal(t, id, strings.Join(way, " "), "sent received hidden deleted")
		}
	})
}

func TestAPersonsHandInTheQueue(t *testing.T) {
	t.Parallel()
	kept(t, func(t *testing.T, r *restarts) {
		var d diary
		r.options.Observe = d.note
		r.begin()
		r.create("q.fifo", nil)
		ids := r.line().send("a-1", "a-2", "b-1", "c-1")
		depth := func(what string, want awslocal.Depth) {
			t.Helper()
			got, err := r.a.Hand.Depth("q.fifo")
			ok(t, what, err)
			equal(t, what, got, want)
		}
		depth("waiting", awslocal.Depth{Visible: 4})
		_ = d.read()
		ok(t, "delay", r.a.Hand.Delay("q.fifo", ids[0], time.Minute))
		ok(t, "delay", r.a.Hand.Delay("q.fifo", ids[0], time.Minute))
		depth("delayed", awslocal.Depth{Visible: 3, Delayed: 1})
		twin, err := r.a.Hand.Duplicate("q.fifo", ids[2])
		ok(t, "duplicate", err)
		ok(t, "drop", r.a.Hand.Drop("q.fifo", ids[3]))
		byHand := d.take()
		equal(t, "copied", byHand[2].Copy && byHand[2].MessageID == twin, true)
		equal(t, "told", told(byHand), "q: hidden a-1, q: hidden a-1, q: sent b-1, q: dropped c-1")
		r.begin()
		got := r.line().expect(10, "b-1 b-1") // a-1 holds a-2
		equal(t, "the new one", *got[1].MessageId, twin)
		equal(t, "another deduplication id", slices.Contains(ids, got[1].Attributes["MessageDeduplicationId"]) || got[1].Attributes["MessageDeduplicationId"] == "b-1", false)
		depth("in flight", awslocal.Depth{Visible: 1, InFlight: 2, Delayed: 1})
		ok(t, "delay one in flight", r.a.Hand.Delay("q.fifo", twin, time.Hour))
		r.line().remove(got[1])
		time.Sleep(30 * time.Second)
		r.line().expect(10, "b-1")
		ok(t, "drop one in flight", r.a.Hand.Drop("q.fifo", ids[2]))
		r.line().remove(got[0]) // as of a message that is deleted already
		time.Sleep(90*time.Second - time.Nanosecond)
		r.line().expect(10, "")
		ok(t, "at once after all", r.a.Hand.Delay("q.fifo", ids[0], -time.Hour))
		r.begin()
		r.line().expect(10, "a-1 a-2")
		for what, err := range map[string]error{
			"no queue": r.a.Hand.Drop("none.fifo", ids[0]), "no message": r.a.Hand.Drop("q.fifo", ids[2]), "too long": r.a.Hand.Delay("q.fifo", ids[0], 13*time.Hour),
		} {
			if err == nil {
				t.Errorf("%s: nothing is said", what)
			}
		}
	})
}
