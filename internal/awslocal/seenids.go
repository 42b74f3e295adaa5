package awslocal

import (
	"slices"
	"time"
)

// deduplicationWindow is how long a queue remembers a deduplication id.
const deduplicationWindow = 5 * time.Minute

// seenIDs are the deduplication ids that a queue remembers, of messages too that are
// deleted by now.
type seenIDs struct {
	byKey map[string]accepted
	order []seenID // the oldest first
}

type seenID struct {
	key string
	at  time.Time
}

// accepted is what sending a message answers, and sending it again.
type accepted struct {
	at                           time.Time
	id                           string
	sequence                     int64
	bodyDigest, attributesDigest string
}

func newSeenIDs() *seenIDs { return &seenIDs{byKey: map[string]accepted{}} }

// expire forgets the ids whose window has passed, and returns their keys.
func (s *seenIDs) expire(now time.Time) (keys []string) {
	for len(s.order) > 0 && now.Sub(s.order[0].at) >= deduplicationWindow {
		keys = append(keys, s.order[0].key)
		delete(s.byKey, s.order[0].key)
		s.order = s.order[1:]
	}
	return keys
}

func (s *seenIDs) remember(key string, m *message, now time.Time) accepted {
	a := accepted{at: now, id: m.id, sequence: m.sequence, bodyDigest: digestOf(m.body), attributesDigest: digestOfAttributes(m.attributes)}
	s.add(key, a)
	return a
}

func (s *seenIDs) add(key string, a accepted) {
	s.byKey[key] = a
	s.order = append(s.order, seenID{key, a.at})
}

// sort brings ids in the order of their times that were added in another.
func (s *seenIDs) sort() {
	slices.SortStableFunc(s.order, func(a, b seenID) int { return a.at.Compare(b.at) })
}
