package dev

import (
	"fmt"
	"time"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/console"
	"hikyaku/internal/dev/record"
	"hikyaku/internal/localstack"
)

// depth is how many messages the queue and the dead-letter queue have.
func (s *Stack) depth() (queue console.Depth, dead int) {
	if s.Local == nil {
		return queue, 0
	}
	users, err := s.Local.AWS.Hand.Depth(localstack.Queue)
	letters, deadErr := s.Local.AWS.Hand.Depth(localstack.DeadLetter)
	if err != nil || deadErr != nil {
		return queue, 0 // both are made before anybody asks
	}
	return console.Depth(users), letters.Visible + letters.InFlight + letters.Delayed
}

// observe tells the recorder what happens to messages.
func (s *Stack) observe(e awslocal.QueueEvent) {
	m := record.Message{
		ID: e.MessageID, Dedup: e.DeduplicationID, Body: e.Body, Dead: e.Queue == localstack.DeadLetter, Receives: e.Receives, Visible: e.Visible,
	}
	switch e.Kind {
	case awslocal.MessageSent:
		s.recorder.Sent(m)
	case awslocal.MessageReceived:
		s.recorder.Received(m)
	case awslocal.MessageHidden:
		s.recorder.Hidden(m)
	case awslocal.MessageDeleted, awslocal.MessageDead, awslocal.MessageMoved:
		s.recorder.Gone(m, false)
	case awslocal.MessagePurged, awslocal.MessageExpired:
		s.recorder.Expired(m)
	case awslocal.MessageDropped:
		s.recorder.Gone(m, true)
	case awslocal.MessageRepeated: // nothing came of it
	}
}

// Delay lets a message wait longer.
func (s *Stack) Delay(id string, by time.Duration) error {
	return s.each(id, func(message string) error { return s.Local.AWS.Hand.Delay(localstack.Queue, message, by) })
}

// Duplicate lets a message come twice.
func (s *Stack) Duplicate(id string) error {
	return s.each(id, func(message string) error {
		_, err := s.Local.AWS.Hand.Duplicate(localstack.Queue, message)
		return err
	})
}

// Drop takes a message away.
func (s *Stack) Drop(id string) error {
	return s.each(id, func(message string) error { return s.Local.AWS.Hand.Drop(localstack.Queue, message) })
}

// each does something to every message of a way that is in the queue. The way may be known
// no more, and the id that of a message.
func (s *Stack) each(id string, do func(message string) error) error {
	if len(s.options.Real) > 0 {
		return errRealTrouble
	}
	if _, known := s.recorder.Way(id); !known {
		return do(id)
	}
	waiting := s.recorder.Waiting(id)
	if len(waiting) == 0 {
		return fmt.Errorf("nothing of %s is in the queue: it was handled meanwhile, or taken away", id)
	}
	for _, message := range waiting {
		if err := do(message); err != nil {
			return err
		}
	}
	return nil
}
