package awslocal

import (
	"encoding/xml"
	"net/http"
	"slices"
	"sync"

	"github.com/google/uuid"
)

const topicsNamespace = "http://sns.amazonaws.com/doc/2010-03-31/"

// A Subscription is somebody whom a topic tells.
type Subscription struct {
	Protocol, Endpoint string

	Pending bool // not confirmed yet
}

// A Published is a message that was published to a topic. Nobody gets it: it is kept
// for tests and people.
type Published struct{ Topic, Subject, Message string }

// topics are all topics of SNS.
type topics struct {
	mu    sync.Mutex
	byARN map[string][]Subscription
	kept  []Published
}

// SetTopic makes a topic with its subscriptions, or gives it others, and returns its
// ARN.
func (t *Told) SetTopic(name string, subscriptions ...Subscription) string {
	t.topics.mu.Lock()
	defer t.topics.mu.Unlock()
	if t.topics.byARN == nil {
		t.topics.byARN = map[string][]Subscription{}
	}
	topic := arn("sns", name)
	t.topics.byARN[topic] = subscriptions
	return topic
}

// Published returns all messages so far, in the order in which they came.
func (t *Told) Published() []Published {
	t.topics.mu.Lock()
	defer t.topics.mu.Unlock()
	return slices.Clone(t.topics.kept)
}

func (t *topics) operations() map[string]queryOperation {
	return map[string]queryOperation{
		"ListSubscriptionsByTopic": {[]string{"TopicArn"}, t.list},
		"Publish":                  {[]string{"TopicArn", "Subject", "Message"}, t.publish},
	}
}

type subscriptionMember struct {
	ARN      string `xml:"SubscriptionArn"`
	Protocol string `xml:"Protocol"`
	Endpoint string `xml:"Endpoint"`
	Topic    string `xml:"TopicArn"`
}

type subscriptionList struct {
	XMLName       xml.Name             `xml:"ListSubscriptionsByTopicResponse"`
	Namespace     string               `xml:"xmlns,attr"`
	Subscriptions []subscriptionMember `xml:"ListSubscriptionsByTopicResult>Subscriptions>member"`
	RequestID     string               `xml:"ResponseMetadata>RequestId"`
}

// of returns the subscriptions of the topic that a request names.
func (t *topics) of(r *http.Request) ([]Subscription, error) {
	found, ok := t.byARN[r.FormValue("TopicArn")]
	if !ok {
		return nil, &refusal{Status: http.StatusNotFound, Code: "NotFound", Message: "Topic does not exist"}
	}
	return found, nil
}

func (t *topics) list(w http.ResponseWriter, r *http.Request) (any, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	found, err := t.of(r)
	if err != nil {
		return nil, err
	}
	topic := r.FormValue("TopicArn")
	answer := subscriptionList{Namespace: topicsNamespace, RequestID: requestID(w)}
	for _, s := range found {
		member := subscriptionMember{topic + ":" + uuid.NewString(), s.Protocol, s.Endpoint, topic}
		if s.Pending {
			member.ARN = "PendingConfirmation"
		}
		answer.Subscriptions = append(answer.Subscriptions, member)
	}
	return answer, nil
}

type publishAnswer struct {
	XMLName   xml.Name `xml:"PublishResponse"`
	Namespace string   `xml:"xmlns,attr"`
	ID        string   `xml:"PublishResult>MessageId"`
	RequestID string   `xml:"ResponseMetadata>RequestId"`
}

func (t *topics) publish(w http.ResponseWriter, r *http.Request) (any, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, err := t.of(r); err != nil {
		return nil, err
	}
	if r.FormValue("Message") == "" {
		return nil, refuse("InvalidParameter", "Invalid parameter: Empty message")
	}
	t.kept = append(t.kept, Published{r.FormValue("TopicArn"), r.FormValue("Subject"), r.FormValue("Message")})
	return publishAnswer{Namespace: topicsNamespace, ID: uuid.NewString(), RequestID: requestID(w)}, nil
}
