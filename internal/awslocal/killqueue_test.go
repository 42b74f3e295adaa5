package awslocal_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"hikyaku/internal/awslocal"
)

type sqsName = types.QueueAttributeName

// A killedLine is a client that sends, receives and deletes messages of a queue of its
// own. A message is known by its body.
type killedLine struct {
	number  int
	queue   string
	fates   map[string]*fate
	taken   []takenMessage // of this life and those before
	last    string         // the body that was sent last, with its id
	lastID  string
	n       int
	doubted int // receives whose answer nobody heard
}

// A fate is what a client knows of a message.
type fate struct {
	least, most int // how often it is there
	receives    int // that were answered
}

// A takenMessage is one with its last receipt. While that is sure, nobody else can take
// the message: another one may be good for a message that was moved meanwhile, of which
// the service deletes nothing and says nothing.
type takenMessage struct {
	body, handle string
	isSure       bool
}

func newKilledLine(i int) *killedLine {
	return &killedLine{number: i, queue: fmt.Sprintf("line-%d.fifo", i), fates: map[string]*fate{}}
}

// plain says whether the queue's messages stay in their order: nothing doubles them or
// moves them to another queue.
func (l *killedLine) plain() bool { return l.number == 0 }

func (l *killedLine) dead() string { return fmt.Sprintf("dead-%d.fifo", l.number) }

func (l *killedLine) begin(ctx context.Context, c aws.Config) error {
	client := sqs.NewFromConfig(c)
	attributes := map[string]string{"FifoQueue": "true"}
	_, err := client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String(l.dead()), Attributes: attributes})
	if !l.plain() {
		attributes["RedrivePolicy"] = fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":3}`, awslocal.QueueARN(l.dead()))
	}
	if err == nil {
		_, err = client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &l.queue, Attributes: attributes})
	}
	return err
}

func (l *killedLine) url(c aws.Config, name string) *string {
	return aws.String(*c.BaseEndpoint + "/000000000000/" + name)
}

func (l *killedLine) step(ctx context.Context, c aws.Config, random *rand.Rand) error {
	client := sqs.NewFromConfig(c)
	waiting := 0
	for _, f := range l.fates {
		waiting += f.most
	}
	switch do := random.IntN(20); {
	case do < 6 && waiting < 200:
		return l.send(ctx, c, client, random)
	case do < 7 && l.last != "":
		return l.repeat(ctx, c, client)
	case do < 9 && !l.plain():
		return l.byHand(ctx, c, client, random)
	case do < 14:
		return l.receive(ctx, c, client, random)
	case do < 15 && !l.plain():
		_, err := client.StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{SourceArn: aws.String(awslocal.QueueARN(l.dead()))})
		return err
	case len(l.taken) > 0:
		return l.settle(ctx, c, client, random)
	}
	return nil
}

func groupOf(body string) string {
	group, _, _ := strings.Cut(body, "-")
	return group
}

func (l *killedLine) put(ctx context.Context, c aws.Config, client *sqs.Client, body string) (string, error) {
	out, err := client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: l.url(c, l.queue), MessageBody: &body, MessageGroupId: aws.String(groupOf(body)), MessageDeduplicationId: &body})
	if err != nil {
		return "", err
	}
	return *out.MessageId, nil
}

func (l *killedLine) send(ctx context.Context, c aws.Config, client *sqs.Client, random *rand.Rand) error {
	l.n++
	body := fmt.Sprintf("g%d-%06d", random.IntN(20), l.n)
	f := &fate{most: 1}
	l.fates[body] = f
	id, err := l.put(ctx, c, client, body)
	if err != nil {
		return err
	}
	f.least, l.last, l.lastID = 1, body, id
	return nil
}

// repeat sends what was sent last: it has to be the same message, also after a kill.
func (l *killedLine) repeat(ctx context.Context, c aws.Config, client *sqs.Client) error {
	id, err := l.put(ctx, c, client, l.last)
	if err == nil && id != l.lastID {
		return &types.InvalidIdFormat{Message: aws.String("a repeated message became a second one")} // a refusal: it is a problem
	}
	return err
}

// byHand doubles, delays or drops a message that was just sent.
func (l *killedLine) byHand(ctx context.Context, c aws.Config, client *sqs.Client, random *rand.Rand) error {
	if err := l.send(ctx, c, client, random); err != nil {
		return err
	}
	f := l.fates[l.last]
	act := []string{"delay", "duplicate", "drop"}[random.IntN(3)]
	switch act {
	case "duplicate":
		f.most++
	case "drop":
		f.least--
	}
	form := url.Values{"queue": {l.queue}, "id": {l.lastID}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, *c.BaseEndpoint+"/hand/"+act, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return &types.InvalidIdFormat{Message: aws.String("the hand was refused")}
	}
	switch act {
	case "duplicate":
		f.least = f.most
	case "drop":
		f.most--
	}
	return nil
}

func (l *killedLine) receive(ctx context.Context, c aws.Config, client *sqs.Client, random *rand.Rand) error {
	l.doubted++
	visibility := []int32{1, 600}[random.IntN(2)]
	got, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: l.url(c, l.queue), MaxNumberOfMessages: int32(1 + random.IntN(3)), VisibilityTimeout: visibility})
	if err != nil {
		return err
	}
	l.doubted--
	for _, m := range got.Messages {
		f := l.fates[*m.Body]
		if f == nil {
			return &types.InvalidIdFormat{Message: aws.String("received what was never sent, or is deleted: " + *m.Body)}
		}
		f.receives++
		l.taken = slices.DeleteFunc(l.taken, func(old takenMessage) bool { return old.body == *m.Body })
		l.taken = append(l.taken, takenMessage{*m.Body, *m.ReceiptHandle, l.plain() || visibility > 1})
	}
	return nil
}

// settle deletes a message that was received, or gives it back.
func (l *killedLine) settle(ctx context.Context, c aws.Config, client *sqs.Client, random *rand.Rand) error {
	i := random.IntN(len(l.taken))
	m := l.taken[i]
	l.taken = slices.Delete(l.taken, i, i+1)
	f := l.fates[m.body]
	if random.IntN(3) == 0 {
		_, err := client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: l.url(c, l.queue), ReceiptHandle: &m.handle, VisibilityTimeout: 0})
		if refused(err) { // its visibility has ended
			return nil
		}
		return err
	}
	f.least--
	_, err := client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: l.url(c, l.queue), ReceiptHandle: &m.handle})
	switch {
	case refused(err):
		f.least++
		return nil
	case err == nil && m.isSure:
		f.most--
	}
	return err
}

// check drains the queue, and the dead letters, thirteen hours later.
func (l *killedLine) check(ctx context.Context, _, later aws.Config) (problems []string) {
	say := func(format string, args ...any) {
		problems = append(problems, l.queue+": "+fmt.Sprintf(format, args...))
	}
	found, newest := map[string]int{}, map[string]string{}
	client := sqs.NewFromConfig(later)
	for _, queue := range []string{l.queue, l.dead()} {
		err := drain(ctx, client, l.url(later, queue), func(m types.Message) {
			body := *m.Body
			found[body]++
			f := l.fates[body]
			if f == nil {
				say("%s was never sent", body)
				return
			}
			receives, _ := strconv.Atoi(m.Attributes["ApproximateReceiveCount"])
			if l.plain() && (receives-1 < f.receives || receives-1 > f.receives+l.doubted) {
				say("%s was received %d times, and %d are counted", body, f.receives, receives-1)
			}
			if l.plain() && body < newest[groupOf(body)] {
				say("%s comes after %s", body, newest[groupOf(body)])
			}
			newest[groupOf(body)] = body
		})
		if err != nil {
			say("%v", err)
		}
	}
	for body, f := range l.fates {
		if found[body] < f.least || found[body] > f.most {
			say("%s is there %d times, not %d to %d", body, found[body], f.least, f.most)
		}
		if f.least, f.most = found[body], found[body]; f.most == 0 && body != l.last {
			delete(l.fates, body)
		}
	}
	return problems
}

func drain(ctx context.Context, client *sqs.Client, url *string, each func(types.Message)) error {
	for range 1000 {
		got, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
		if err != nil || len(got.Messages) == 0 {
			return err
		}
		for _, m := range got.Messages {
			each(m)
			if _, err := client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle}); err != nil {
				return err
			}
		}
	}
	return errors.New("it never ends")
}
