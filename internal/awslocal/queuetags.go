package awslocal

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// queueTagging is what is called about the tags of queues.
type queueTagging struct{ *queues }

type queueTags struct {
	Tags map[string]string `json:",omitempty"`
}

func (t queueTagging) list(_ *http.Request, in queueURL) (queueTags, error) {
	return with(t.queues, in.QueueURL, func(q *queue, _ time.Time) (queueTags, error) { return queueTags{maps.Clone(q.tags)}, nil })
}

type tagQueueInput struct {
	queueURL
	queueTags
}

func (t queueTagging) tag(_ *http.Request, in tagQueueInput) (nothing, error) {
	return with(t.queues, in.QueueURL, func(q *queue, _ time.Time) (nothing, error) {
		merged := maps.Clone(q.tags)
		maps.Copy(merged, in.Tags)
		if err := checkQueueTags(merged); err != nil {
			return nothing{}, err
		}
		q.tags = merged
		q.ledger.note(q.self())
		return nothing{}, nil
	})
}

type untagQueueInput struct {
	queueURL

	TagKeys []string
}

func (t queueTagging) untag(_ *http.Request, in untagQueueInput) (nothing, error) {
	return with(t.queues, in.QueueURL, func(q *queue, _ time.Time) (nothing, error) {
		maps.DeleteFunc(q.tags, func(key, _ string) bool { return slices.Contains(in.TagKeys, key) })
		q.ledger.note(q.self())
		return nothing{}, nil
	})
}

const maxQueueTags = 50

func checkQueueTags(tags map[string]string) error {
	if len(tags) > maxQueueTags {
		return invalidValue("A queue has at most %d tags.", maxQueueTags)
	}
	for key, value := range tags {
		if key == "" || utf8.RuneCountInString(key) > maxTagName || utf8.RuneCountInString(value) > maxTagValue || strings.HasPrefix(key, "aws:") {
			return invalidValue("The tag %q is invalid: a key has 1 to %d characters and does not begin with aws:, a value at most %d.", key, maxTagName, maxTagValue)
		}
	}
	return nil
}
