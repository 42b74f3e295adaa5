package awslocal_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/boltkeeper"
	"hikyaku/internal/prove"
	"hikyaku/pkg/providers/sandbox/keepertest"
)

// fields are a document of the JSON protocol.
type fields = map[string]any

// rawCall calls an operation without an SDK, whose own work would hide what the queue costs.
func rawCall(t testing.TB, a *awslocal.AWS, target string, in fields, out any) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body)))
	r.Header.Set("X-Amz-Target", target)
	w := httptest.NewRecorder()
	a.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", target, w.Code, w.Body)
	}
	if out != nil {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			t.Fatalf("%s: %v", target, err)
		}
	}
}

type rawMessages struct {
	Messages []struct{ MessageID, ReceiptHandle, Body string }
}

// fill sends n messages, each of a group of its own.
func fill(t testing.TB, a *awslocal.AWS, queue string, n int) {
	t.Helper()
	for sent := 0; sent < n; {
		entries := make([]fields, 0, 10)
		for ; len(entries) < cap(entries) && sent < n; sent++ {
			id := fmt.Sprintf("fill-%d", sent)
			entries = append(entries, fields{"Id": id, "MessageBody": id, "MessageGroupId": id, "MessageDeduplicationId": id})
		}
		rawCall(t, a, "AmazonSQS.SendMessageBatch", fields{"QueueUrl": queue, "Entries": entries}, nil)
	}
}

// cycle does what the relay does for one message, and what shows the queue.
func cycle(t testing.TB, a *awslocal.AWS, queue string, n int) {
	t.Helper()
	id := fmt.Sprintf("cycle-%d", n)
	rawCall(t, a, "AmazonSQS.SendMessage", fields{"QueueUrl": queue, "MessageBody": id, "MessageGroupId": id, "MessageDeduplicationId": id}, nil)
	var got rawMessages
	rawCall(t, a, "AmazonSQS.ReceiveMessage", fields{"QueueUrl": queue, "VisibilityTimeout": 600}, &got)
	if len(got.Messages) != 1 {
		t.Fatalf("%d messages received", len(got.Messages))
	}
	rawCall(t, a, "AmazonSQS.ChangeMessageVisibility", fields{"QueueUrl": queue, "ReceiptHandle": got.Messages[0].ReceiptHandle, "VisibilityTimeout": 700}, nil)
	if n%2 == 0 { // the others stay in flight
		rawCall(t, a, "AmazonSQS.DeleteMessage", fields{"QueueUrl": queue, "ReceiptHandle": got.Messages[0].ReceiptHandle}, nil)
	}
	if _, _, err := a.QueueMetrics(queue); err != nil {
		t.Fatal(err)
	}
}

func loaded(t testing.TB, waiting int, o awslocal.Options) (a *awslocal.AWS, queue string) {
	t.Helper()
	a, err := awslocal.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	if _, err := a.CreateQueue("q.fifo", nil); err != nil {
		t.Fatal(err)
	}
	fill(t, a, "q.fifo", waiting)
	return a, "q.fifo"
}

func BenchmarkQueue(b *testing.B) {
	for _, waiting := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(waiting), func(b *testing.B) {
			a, queue := loaded(b, waiting, awslocal.Options{})
			for n := 0; b.Loop(); n++ {
				cycle(b, a, queue, n)
			}
		})
		b.Run(fmt.Sprint(waiting, " kept"), func(b *testing.B) {
			a, queue := loaded(b, waiting, awslocal.Options{Keeper: stateFile(b)})
			for n := 0; b.Loop(); n++ {
				cycle(b, a, queue, n)
			}
		})
	}
	b.Run("restart with 100000", func(b *testing.B) {
		keeper := stateFile(b)
		_, _ = loaded(b, 100_000, awslocal.Options{Keeper: keeper})
		for b.Loop() {
			a, err := awslocal.New(awslocal.Options{Keeper: keeper})
			if err != nil {
				b.Fatal(err)
			}
			if depth, err := a.Hand.Depth("q.fifo"); err != nil || depth.Visible != 100_000 {
				b.Fatalf("%+v %v", depth, err)
			}
		}
	})
}

// stateFile keeps state in a file.
func stateFile(t testing.TB) *boltkeeper.Keeper {
	t.Helper()
	k, err := boltkeeper.Open(filepath.Join(t.TempDir(), "state.bolt"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	return k
}

// TestWaitingMessagesCostNothing compares the time that a message takes when few others
// wait with the time when many do. The best of many short rounds counts: other work of
// the machine only adds to one, and does not come between all of them.
func TestWaitingMessagesCostNothing(t *testing.T) {
	many := prove.Sample(100_000, 20_000)
	few, queue := loaded(t, many/100, awslocal.Options{})
	full, _ := loaded(t, many, awslocal.Options{})
	n := 0
	round := func(a *awslocal.AWS) time.Duration {
		begin := time.Now()
		for range 5 {
			cycle(t, a, queue, n)
			n++
		}
		return time.Since(begin)
	}
	best := map[*awslocal.AWS]time.Duration{few: time.Hour, full: time.Hour}
	for range 100 {
		for _, a := range []*awslocal.AWS{few, full} {
			best[a] = min(best[a], round(a))
		}
	}
	ratio := float64(best[full]) / float64(best[few])
	prove.Figure(t, ratio <= 3, "cost of a message in a full queue", "at most 3 times", "%.2f times with %d waiting against %d", ratio, many, many/100)
}

// A model is a queue that walks all its messages: slow and easy to read.
type model struct {
	messages []*modelMessage
	now      time.Time
	delay    time.Duration
	random   *rand.Rand
}

type modelMessage struct {
	id, group string
	visible   time.Time
	inFlight  bool
	handle    string
}

func (m *model) receive(n int, visibility time.Duration) (ids []string) {
	blocked := map[string]bool{}
	for _, each := range m.messages {
		if each.inFlight = each.inFlight && each.visible.After(m.now); each.inFlight {
			blocked[each.group] = true
		}
	}
	for _, each := range m.messages {
		switch {
		case len(ids) == n || blocked[each.group]:
		case each.visible.After(m.now):
			blocked[each.group] = true
		default:
			each.visible, each.inFlight = m.now.Add(visibility), visibility > 0
			ids = append(ids, each.id)
		}
	}
	return ids
}

func (m *model) find(id string) *modelMessage {
	i := slices.IndexFunc(m.messages, func(each *modelMessage) bool { return each.id == id })
	return m.messages[i]
}

// inFlight are the messages whose receipt is good.
func (m *model) inFlight() (found []*modelMessage) {
	for _, each := range m.messages {
		if each.inFlight && each.visible.After(m.now) {
			found = append(found, each)
		}
	}
	return found
}

// TestQueueIsTheModel does the same things at random to a queue and to its model. Every
// other queue is also ended and begun again where its keeper left it.
func TestQueueIsTheModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(prove.Sample(200, 20)) {
		synctest.Test(t, func(t *testing.T) {
			options := awslocal.Options{}
			if seed%2 == 1 {
				options.Keeper = new(keepertest.Memory)
			}
			a := reopen(t, nil, options)
			delay := int(seed % 3 * 2)
			_, err := a.CreateQueue("q.fifo", map[string]string{"DelaySeconds": fmt.Sprint(delay)})
			ok(t, "create", err)
			m := &model{random: prove.Random(seed), delay: time.Duration(delay) * time.Second}
			for step := range 400 {
				m.now = time.Now()
				if options.Keeper != nil && m.random.IntN(20) == 0 {
					a = reopen(t, a, options)
				}
				m.follow(t, a, step)
			}
			ok(t, "close", a.Close())
		})
	}
}

// reopen ends a local AWS, if there is one, and begins another with the same options.
func reopen(t *testing.T, a *awslocal.AWS, o awslocal.Options) *awslocal.AWS {
	t.Helper()
	if a != nil {
		ok(t, "close", a.Close())
	}
	a, err := awslocal.New(o)
	ok(t, "new", err)
	return a
}

// follow does one thing to both.
func (m *model) follow(t *testing.T, a *awslocal.AWS, step int) {
	t.Helper()
	seconds := m.random.IntN(4)
	flying := m.inFlight()
	switch do := m.random.IntN(10); {
	case do < 4:
		group := fmt.Sprint(m.random.IntN(5))
		var out struct{ MessageID string }
		rawCall(t, a, "AmazonSQS.SendMessage", fields{"QueueUrl": "q.fifo", "MessageBody": "x", "MessageGroupId": group, "MessageDeduplicationId": fmt.Sprint(step)}, &out)
		m.messages = append(m.messages, &modelMessage{id: out.MessageID, group: group, visible: m.now.Add(m.delay)})
	case do < 7:
		n := 1 + m.random.IntN(5)
		var got rawMessages
		rawCall(t, a, "AmazonSQS.ReceiveMessage", fields{"QueueUrl": "q.fifo", "MaxNumberOfMessages": n, "VisibilityTimeout": seconds, "WaitTimeSeconds": 0}, &got)
		ids := make([]string, 0, n)
		for _, each := range got.Messages {
			ids = append(ids, each.MessageID)
			m.find(each.MessageID).handle = each.ReceiptHandle
		}
		equal(t, fmt.Sprintf("step %d: received", step), strings.Join(ids, " "), strings.Join(m.receive(n, time.Duration(seconds)*time.Second), " "))
	case do < 8 && len(flying) > 0:
		gone := flying[m.random.IntN(len(flying))]
		rawCall(t, a, "AmazonSQS.DeleteMessage", fields{"QueueUrl": "q.fifo", "ReceiptHandle": gone.handle}, nil)
		m.messages = slices.DeleteFunc(m.messages, func(each *modelMessage) bool { return each == gone })
	case do < 9 && len(flying) > 0:
		hidden := flying[m.random.IntN(len(flying))]
		rawCall(t, a, "AmazonSQS.ChangeMessageVisibility", fields{"QueueUrl": "q.fifo", "ReceiptHandle": hidden.handle, "VisibilityTimeout": seconds}, nil)
		hidden.visible, hidden.inFlight = m.now.Add(time.Duration(seconds)*time.Second), seconds > 0
	default:
		time.Sleep(time.Duration(m.random.IntN(1500)) * time.Millisecond)
	}
}

// TestLongPollNoticesAJump lets the clock jump past the end of a message's visibility
// while somebody waits.
func TestLongPollNoticesAJump(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ahead atomic.Int64
		a, err := awslocal.New(awslocal.Options{Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
		ok(t, "new", err)
		defer func() { _ = a.Close() }()
		_, err = a.CreateQueue("q.fifo", nil)
		ok(t, "create", err)
		fill(t, a, "q.fifo", 1)
		var got rawMessages
		rawCall(t, a, "AmazonSQS.ReceiveMessage", fields{"QueueUrl": "q.fifo", "VisibilityTimeout": 3600}, &got)
		begin := time.Now()
		go func() {
			time.Sleep(3 * time.Second)
			ahead.Store(int64(time.Hour))
		}()
		rawCall(t, a, "AmazonSQS.ReceiveMessage", fields{"QueueUrl": "q.fifo", "WaitTimeSeconds": 20}, &got)
		equal(t, "received", len(got.Messages), 1)
		if late := time.Since(begin) - 3*time.Second; late < 0 || late > 50*time.Millisecond {
			t.Errorf("the jump was noticed after %v", late)
		}
	})
}
