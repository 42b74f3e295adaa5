package awslocal

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"time"
)

const (
	maxVisibility = 43200   // seconds
	maxBody       = 1 << 20 // bytes of a message, and of a batch
	maxBatch      = 10
)

// settings are a queue's attributes, read.
type settings struct {
	visibility, retention, delay, wait time.Duration

	maxSize      int
	contentBased bool
	perGroup     bool // deduplication is per message group
	deadLetters  string
	maxReceives  int
}

// attributeRange bounds an attribute that is a number, and gives its default.
type attributeRange struct{ least, most, fallback int }

var numericAttributes = map[string]attributeRange{
	"VisibilityTimeout":             {0, maxVisibility, 30},
	"MessageRetentionPeriod":        {60, 1209600, 345600},
	"DelaySeconds":                  {0, 900, 0},
	"ReceiveMessageWaitTimeSeconds": {0, 20, 0},
	"MaximumMessageSize":            {1024, maxBody, maxBody},
}

var wordAttributes = map[string][]string{ // the first is the default
	"FifoQueue":                 {"true"},
	"ContentBasedDeduplication": {"false", "true"},
	"DeduplicationScope":        {"queue", "messageGroup"},
	"FifoThroughputLimit":       {"perQueue", "perMessageGroupId"},
	"SqsManagedSseEnabled":      {"true", "false"},
}

var queueName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,75}\.fifo$`)

// CreateQueue makes a FIFO queue, as the operation of that name does, and
// returns its URL. Attributes are the service's own, such as
// "VisibilityTimeout" and "RedrivePolicy". A queue that an earlier process left in
// Options.Keeper takes them in the place of those that it had.
func (a *AWS) CreateQueue(name string, attributes map[string]string) (url string, err error) {
	return settled(a.queues.ledger, func() (string, error) {
		s := a.queues
		s.mu.Lock()
		defer s.mu.Unlock()
		url := a.URL + queuePath + name
		if q := s.byName[name]; q != nil && q.inherited {
			q.inherited = false
			return url, s.replace(q, attributes)
		}
		return url, s.create(name, attributes, nil)
	})
}

// QueueARN returns the ARN of a queue, for a RedrivePolicy.
func QueueARN(name string) string { return arn("sqs", name) }

func (s *queues) create(name string, attributes, tags map[string]string) error {
	if !queueName.MatchString(name) {
		return invalidValue("the local AWS serves FIFO queues only: the name %q must be 1 to 75 letters, digits, - and _ and end with .fifo", name)
	}
	if q, ok := s.byName[name]; ok {
		for k, v := range attributes {
			if q.value(k) != v {
				return &refusal{Code: "QueueNameExists", Query: "QueueAlreadyExists;Sender", Message: "A queue already exists with the same name and a different value for attribute " + k}
			}
		}
		return nil
	}
	q := s.newQueue(name)
	q.created = s.now()
	maps.Copy(q.tags, tags)
	if err := s.set(q, attributes); err != nil {
		return err
	}
	s.byName[name] = q
	return nil
}

// set changes attributes, all or none.
func (s *queues) set(q *queue, attributes map[string]string) error {
	next := maps.Clone(q.attributes)
	maps.Copy(next, attributes)
	return s.replace(q, next)
}

// replace gives a queue other attributes.
func (s *queues) replace(q *queue, next map[string]string) error {
	for name, value := range next {
		words, isWord := wordAttributes[name]
		bounds, isNumber := numericAttributes[name]
		n, err := strconv.Atoi(value)
		switch {
		case isWord && !slices.Contains(words, value), isNumber && (err != nil || n < bounds.least || n > bounds.most):
			return &refusal{Code: "InvalidAttributeValue", Message: "Invalid value for the parameter " + name + "."}
		case !isWord && !isNumber && name != "RedrivePolicy":
			return &refusal{Code: "InvalidAttributeName", Message: "Unknown Attribute " + name + ", or one that the local AWS does not serve."}
		}
	}
	read, err := readSettings(next)
	if err != nil {
		return err
	}
	if read.deadLetters != "" && s.byName[nameOf(read.deadLetters)] == nil {
		return invalidValue("Value %s for parameter RedrivePolicy is invalid. Reason: Dead letter target does not exist.", next["RedrivePolicy"])
	}
	q.attributes, q.settings, q.modified = next, read, s.now()
	q.ledger.note(q.self())
	return nil
}

// readSettings reads attributes whose values are valid, but perhaps for the RedrivePolicy.
func readSettings(attributes map[string]string) (settings, error) {
	number := func(name string) int {
		n, _ := strconv.Atoi(attributeValue(attributes, name))
		return n
	}
	seconds := func(name string) time.Duration { return time.Duration(number(name)) * time.Second }
	read := settings{
		visibility: seconds("VisibilityTimeout"), retention: seconds("MessageRetentionPeriod"),
		delay: seconds("DelaySeconds"), wait: seconds("ReceiveMessageWaitTimeSeconds"),
		maxSize:      number("MaximumMessageSize"),
		contentBased: attributeValue(attributes, "ContentBasedDeduplication") == "true",
		perGroup:     attributeValue(attributes, "DeduplicationScope") == "messageGroup",
	}
	var err error
	if policy := attributes["RedrivePolicy"]; policy != "" {
		read.deadLetters, read.maxReceives, err = readRedrive(policy)
	}
	return read, err
}

// readRedrive reads a RedrivePolicy, whose count may be a number or a string.
func readRedrive(policy string) (target string, receives int, err error) {
	var p struct {
		DeadLetterTargetARN string `json:"deadLetterTargetArn"`
		MaxReceiveCount     any    `json:"maxReceiveCount"`
	}
	if err := json.Unmarshal([]byte(policy), &p); err == nil {
		receives, _ = strconv.Atoi(fmt.Sprint(p.MaxReceiveCount))
	}
	if p.DeadLetterTargetARN == "" || receives < 1 || receives > 1000 {
		return "", 0, invalidValue("Value %s for parameter RedrivePolicy is invalid. Reason: it needs a deadLetterTargetArn and a maxReceiveCount of 1 to 1000.", policy)
	}
	return p.DeadLetterTargetARN, receives, nil
}

// value returns an attribute that can be set, or its default.
func (q *queue) value(name string) string { return attributeValue(q.attributes, name) }

func attributeValue(attributes map[string]string, name string) string {
	if v, ok := attributes[name]; ok {
		return v
	}
	if words, ok := wordAttributes[name]; ok {
		return words[0]
	}
	if bounds, ok := numericAttributes[name]; ok {
		return strconv.Itoa(bounds.fallback)
	}
	return ""
}

// all returns every attribute that the service shows.
func (q *queue) all(now time.Time) map[string]string {
	q.expire(now)
	depth := q.backlog.depth()
	shown := map[string]string{
		"QueueArn":                              QueueARN(q.name),
		"CreatedTimestamp":                      strconv.FormatInt(q.created.Unix(), 10),
		"LastModifiedTimestamp":                 strconv.FormatInt(q.modified.Unix(), 10),
		"ApproximateNumberOfMessages":           strconv.Itoa(depth.Visible),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(depth.InFlight),
		"ApproximateNumberOfMessagesDelayed":    strconv.Itoa(depth.Delayed),
	}
	for name := range numericAttributes {
		shown[name] = q.value(name)
	}
	for name := range wordAttributes {
		shown[name] = q.value(name)
	}
	if policy := q.attributes["RedrivePolicy"]; policy != "" {
		shown["RedrivePolicy"] = policy
	}
	return shown
}
