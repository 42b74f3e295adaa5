package awslocal

import (
	"crypto/md5" //nolint:gosec // SQS's digest
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

const queuePath = "/" + Account + "/"

const queryPrefix = "AWS.SimpleQueueService."

var errNoSuchQueue = &refusal{
	Code: "QueueDoesNotExist", Message: "The specified queue does not exist.", Query: queryPrefix + "NonExistentQueue;Sender",
}

// refuseQueue is a refusal whose code has a prefix in the query protocol.
func refuseQueue(code, format string, args ...any) *refusal {
	no := refuse(code, format, args...)
	no.Query = queryPrefix + code + ";Sender"
	return no
}

func invalidValue(format string, args ...any) *refusal {
	return refuse("InvalidParameterValue", format, args...)
}

type nothing struct{}

func (s *queues) operations() map[string]jsonOperation {
	own, tags := queueCalls{s}, queueTagging{s}
	return map[string]jsonOperation{
		"CreateQueue": operation(own.createQueue), "GetQueueUrl": operation(own.getURL), "ListQueues": operation(own.listQueues),
		"GetQueueAttributes": operation(own.getAttributes), "SetQueueAttributes": operation(own.setAttributes), "PurgeQueue": operation(own.purge),
		"SendMessage": operation(s.sendMessage), "SendMessageBatch": operation(s.sendBatch), "ReceiveMessage": operation(s.receiveMessage),
		"DeleteMessage": operation(s.deleteMessage), "DeleteMessageBatch": operation(s.deleteBatch),
		"ChangeMessageVisibility": operation(s.changeVisibility), "ChangeMessageVisibilityBatch": operation(s.changeBatch),
		"StartMessageMoveTask": operation(s.startMove),
		"ListQueueTags":        operation(tags.list), "TagQueue": operation(tags.tag), "UntagQueue": operation(tags.untag),
	}
}

// queueCalls is what is called about queues as such.
type queueCalls struct{ *queues }

// with runs f on the queue of a URL, under the lock, and keeps what it changed.
func with[Out any](s *queues, url string, f func(q *queue, now time.Time) (Out, error)) (Out, error) {
	return settled(s.ledger, func() (out Out, err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		q, ok := s.byName[nameOf(url)]
		if !ok {
			return out, errNoSuchQueue
		}
		return f(q, s.now())
	})
}

type queueURL struct {
	QueueURL string `json:"QueueUrl"`
}

type createQueueInput struct {
	QueueName  string
	Attributes map[string]string
	Tags       map[string]string `json:"tags"`
}

// The host of an answered URL is the one the caller used, so that it works
// from inside a container too.
func urlOf(r *http.Request, name string) queueURL {
	return queueURL{"http://" + r.Host + queuePath + name}
}

func (s queueCalls) createQueue(r *http.Request, in createQueueInput) (queueURL, error) {
	return settled(s.ledger, func() (queueURL, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if err := checkQueueTags(in.Tags); err != nil {
			return queueURL{}, err
		}
		return urlOf(r, in.QueueName), s.create(in.QueueName, in.Attributes, in.Tags)
	})
}

type getURLInput struct{ QueueName string }

func (s queueCalls) getURL(r *http.Request, in getURLInput) (queueURL, error) {
	return with(s.queues, in.QueueName, func(q *queue, _ time.Time) (queueURL, error) { return urlOf(r, q.name), nil })
}

type listQueuesInput struct{ QueueNamePrefix string }

type queueURLs struct {
	QueueURLs []string `json:"QueueUrls,omitempty"`
}

func (s queueCalls) listQueues(r *http.Request, in listQueuesInput) (out queueURLs, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.byName)) {
		if strings.HasPrefix(name, in.QueueNamePrefix) {
			out.QueueURLs = append(out.QueueURLs, urlOf(r, name).QueueURL)
		}
	}
	return out, nil
}

type getAttributesInput struct {
	queueURL

	AttributeNames []string
}

type queueAttributes struct {
	Attributes map[string]string `json:",omitempty"`
}

func (s queueCalls) getAttributes(_ *http.Request, in getAttributesInput) (queueAttributes, error) {
	return with(s.queues, in.QueueURL, func(q *queue, now time.Time) (queueAttributes, error) {
		all := q.all(now)
		for _, name := range in.AttributeNames {
			if _, ok := all[name]; !ok && !slices.Contains(unsetAttributes, name) {
				return queueAttributes{}, refuse("InvalidAttributeName", "Unknown Attribute %s.", name)
			}
		}
		return queueAttributes{chosen(all, in.AttributeNames)}, nil
	})
}

// unsetAttributes may be asked for, and no queue here has all of them.
var unsetAttributes = []string{"All", "Policy", "RedrivePolicy", "RedriveAllowPolicy", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds"}

// chosen keeps the attributes that were asked for.
func chosen(all map[string]string, names []string) map[string]string {
	maps.DeleteFunc(all, func(name, _ string) bool {
		return !slices.Contains(names, "All") && !slices.Contains(names, name)
	})
	return all
}

type setAttributesInput struct {
	queueURL

	Attributes map[string]string
}

func (s queueCalls) setAttributes(_ *http.Request, in setAttributesInput) (nothing, error) {
	return with(s.queues, in.QueueURL, func(q *queue, _ time.Time) (nothing, error) { return nothing{}, s.set(q, in.Attributes) })
}

// purgePause is how long a queue refuses to be purged again.
const purgePause = 60 * time.Second

func (s queueCalls) purge(_ *http.Request, in queueURL) (nothing, error) {
	return with(s.queues, in.QueueURL, func(q *queue, now time.Time) (nothing, error) {
		if !q.purged.IsZero() && now.Sub(q.purged) < purgePause {
			no := refuseQueue("PurgeQueueInProgress", "Only one PurgeQueue operation on %s is allowed every 60 seconds.", q.name)
			no.Status = http.StatusForbidden
			return nothing{}, no
		}
		for m := q.backlog.all.first; m != nil; m = q.backlog.all.first {
			q.drop(m, MessagePurged, now)
		}
		q.purged = now
		q.ledger.note(q.self())
		return nothing{}, nil
	})
}

// A sending is a message to send; Id is of a batch.
type sending struct {
	ID                      string `json:"Id"`
	MessageBody             string
	MessageAttributes       map[string]attribute
	MessageSystemAttributes map[string]attribute
	MessageDeduplicationID  string `json:"MessageDeduplicationId"`
	MessageGroupID          string `json:"MessageGroupId"`
}

type sent struct {
	ID                     string `json:"Id,omitempty"`
	MessageID              string `json:"MessageId"`
	MD5OfMessageBody       string
	MD5OfMessageAttributes string `json:",omitempty"`
	SequenceNumber         string
}

func (q *queue) accept(in sending, now time.Time) (sent, error) {
	m := &message{
		id: uuid.NewString(), body: in.MessageBody, group: in.MessageGroupID, dedup: in.MessageDeduplicationID,
		attributes: in.MessageAttributes, trace: in.MessageSystemAttributes["AWSTraceHeader"].StringValue,
	}
	if m.dedup == "" && q.settings.contentBased {
		digest := sha256.Sum256([]byte(m.body))
		m.dedup = hex.EncodeToString(digest[:])
	}
	if err := checkAttributes(in); err != nil {
		return sent{}, err
	}
	switch {
	case m.group == "":
		return sent{}, refuse("MissingParameter", "The request must contain the parameter MessageGroupId.")
	case m.dedup == "":
		return sent{}, invalidValue("The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
	case len(m.group) > 128 || len(m.dedup) > 128:
		return sent{}, invalidValue("MessageGroupId and MessageDeduplicationId have at most 128 characters")
	case m.body == "" || m.size() > q.settings.maxSize:
		return sent{}, invalidValue("One or more parameters are invalid. Reason: Message must have 1 to %d bytes.", q.settings.maxSize)
	}
	done := q.send(m, now)
	return sent{
		ID: in.ID, MessageID: done.id, MD5OfMessageBody: done.bodyDigest, MD5OfMessageAttributes: done.attributesDigest,
		SequenceNumber: sequenceNumber(done.sequence),
	}, nil
}

// checkAttributes refuses attributes that no receiver would see.
func checkAttributes(in sending) error {
	for name := range in.MessageSystemAttributes {
		if name != "AWSTraceHeader" {
			return invalidValue("Message system attribute name %q is invalid: only AWSTraceHeader can be sent.", name)
		}
	}
	for name, a := range in.MessageAttributes {
		kind, _, _ := strings.Cut(a.DataType, ".")
		switch {
		case kind != "String" && kind != "Number" && kind != "Binary":
			return invalidValue("The message attribute %q has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.", name)
		case kind == "Binary" && len(a.BinaryValue) == 0 || kind != "Binary" && a.StringValue == "":
			return invalidValue("The message attribute %q must contain a non-empty value of its type %s.", name, kind)
		}
	}
	return nil
}

// sequenceNumber has the service's form of 20 digits.
func sequenceNumber(n int64) string { return strconv.FormatInt(n+1e19/10, 10) + "0" }

func (m *message) size() int {
	size := len(m.body)
	for name, a := range m.attributes {
		size += len(name) + len(a.DataType) + len(a.StringValue) + len(a.BinaryValue)
	}
	return size
}

type sendInput struct {
	queueURL
	sending
}

func (s *queues) sendMessage(_ *http.Request, in sendInput) (sent, error) {
	return with(s, in.QueueURL, func(q *queue, now time.Time) (sent, error) { return q.accept(in.sending, now) })
}

type receiveInput struct {
	queueURL

	AttributeNames              []string
	MessageSystemAttributeNames []string
	MessageAttributeNames       []string
	MaxNumberOfMessages         *int
	VisibilityTimeout           *int
	WaitTimeSeconds             *int
}

// A delivery is a message as it is received.
type delivery struct {
	MessageID              string `json:"MessageId"`
	ReceiptHandle          string
	MD5OfBody              string
	Body                   string
	Attributes             map[string]string    `json:",omitempty"`
	MD5OfMessageAttributes string               `json:",omitempty"`
	MessageAttributes      map[string]attribute `json:",omitempty"`
}

// deliver describes messages while the lock is held.
func deliver(messages []*message) []delivery {
	out := make([]delivery, 0, len(messages))
	for _, m := range messages {
		system := map[string]string{
			"SenderId": Account, "SentTimestamp": millis(m.sent), "ApproximateFirstReceiveTimestamp": millis(m.first),
			"ApproximateReceiveCount": strconv.Itoa(m.received), "SequenceNumber": sequenceNumber(m.sequence),
			"MessageDeduplicationId": m.dedup, "MessageGroupId": m.group,
		}
		if m.trace != "" {
			system["AWSTraceHeader"] = m.trace
		}
		if m.source != "" {
			system["DeadLetterQueueSourceArn"] = m.source
		}
		out = append(out, delivery{
			MessageID: m.id, ReceiptHandle: m.handle(), MD5OfBody: digestOf(m.body), Body: m.body, Attributes: system,
			MD5OfMessageAttributes: digestOfAttributes(m.attributes), MessageAttributes: maps.Clone(m.attributes),
		})
	}
	return out
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

type deliveries struct {
	Messages []delivery `json:",omitempty"`
}

func (s *queues) receiveMessage(r *http.Request, in receiveInput) (deliveries, error) {
	n, visibility := 1, -1*time.Second
	wait, err := with(s, in.QueueURL, func(q *queue, _ time.Time) (time.Duration, error) { return q.settings.wait, nil })
	if in.MaxNumberOfMessages != nil {
		n = *in.MaxNumberOfMessages
	}
	if in.VisibilityTimeout != nil {
		visibility = time.Duration(*in.VisibilityTimeout) * time.Second
	}
	if in.WaitTimeSeconds != nil {
		wait = time.Duration(*in.WaitTimeSeconds) * time.Second
	}
	switch {
	case err != nil:
		return deliveries{}, err
	case n < 1 || n > maxBatch:
		return deliveries{}, invalidValue("Value %d for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.", n)
	case wait < 0 || wait > 20*time.Second || visibility > maxVisibility*time.Second || in.VisibilityTimeout != nil && visibility < 0:
		return deliveries{}, invalidValue("WaitTimeSeconds must be between 0 and 20, VisibilityTimeout between 0 and 43200")
	}
	found, err := s.receive(r.Context(), nameOf(in.QueueURL), n, visibility, wait)
	for i := range found {
		found[i].Attributes = chosen(found[i].Attributes, append(in.AttributeNames, in.MessageSystemAttributeNames...))
		maps.DeleteFunc(found[i].MessageAttributes, func(name string, _ attribute) bool {
			return !asked(in.MessageAttributeNames, name)
		})
		found[i].MD5OfMessageAttributes = digestOfAttributes(found[i].MessageAttributes)
	}
	return deliveries{found}, err
}

// asked says whether a list of names asks for a message attribute: for all, by
// a prefix before ".*", or by its name.
func asked(names []string, attribute string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		prefix, open := strings.CutSuffix(name, ".*")
		return name == "All" || name == attribute || open && strings.HasPrefix(attribute, prefix)
	})
}

func digestOf(body string) string {
	sum := md5.Sum([]byte(body)) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}

// digestOfAttributes is the documented MD5 over names, types and values, each
// with its length before it.
func digestOfAttributes(attributes map[string]attribute) string {
	if len(attributes) == 0 {
		return ""
	}
	var b []byte
	field := func(v string) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(v)))
		b = append(b, v...)
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		field(name)
		field(a.DataType)
		if strings.HasPrefix(a.DataType, "Binary") {
			b = append(b, 2)
			field(string(a.BinaryValue))
		} else {
			b = append(b, 1)
			field(a.StringValue)
		}
	}
	return digestOf(string(b))
}
