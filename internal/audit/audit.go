// Package audit notes what people have done to a stack from the console: who, why, which
// command, and how it ended. Each is one object, for those who have to answer for the
// stack:
//
//	{prefix}/state/audit/{time in UTC}-{id}.json
package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"hikyaku/internal/objectstore"
)

const (
	mostWhy   = 500              // characters
	noteLimit = 10 * time.Second // of writing the outcome, also where the person has gone
)

// An Entry is one action.
type Entry struct {
	At      time.Time `json:"at"`
	By      string    `json:"by"` // ARN of the caller
	Why     string    `json:"why"`
	Command []string  `json:"command"`
	// Outcome is begun, done or failed. One that stays begun was cut off: whether it took
	// effect is not known from here.
	Outcome string `json:"outcome"`
	Error   string `json:"error,omitempty"`
}

// A Log writes entries.
type Log struct {
	Objects objectstore.Store
	Prefix  string // of the stack
	By      string // ARN of the caller
	Now     func() time.Time
}

// seen is true for what a reason can be read from.
func seen(r rune) bool { return unicode.IsGraphic(r) && !unicode.IsSpace(r) }

// Begin notes an action before it is done, and returns what notes its end: an action that
// cannot be noted is not begun. Why must say something.
func (l Log) Begin(ctx context.Context, command []string, why string) (end func(error) error, err error) {
	why = strings.TrimSpace(why)
	switch {
	case !strings.ContainsFunc(why, seen):
		return nil, errors.New("say why: it is noted with your name beside what is done")
	case utf8.RuneCountInString(why) > mostWhy:
		return nil, fmt.Errorf("the reason is longer than %d characters", mostWhy)
	}
	e := Entry{At: l.Now().UTC(), By: l.By, Why: why, Command: command, Outcome: "begun"}
	key := l.Prefix + "/state/audit/" + e.At.Format("20060102T150405Z") + "-" + uuid.NewString() + ".json"
	etag, err := l.put(ctx, key, e, objectstore.Condition{Absent: true})
	if err != nil {
		return nil, fmt.Errorf("nothing was done, because it could not be noted who does it: %w", err)
	}
	return func(failure error) error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteLimit)
		defer cancel()
		e.Outcome = "done"
		if failure != nil {
			e.Outcome, e.Error = "failed", failure.Error()
		}
		if _, err := l.put(ctx, key, e, objectstore.Condition{ETag: etag}); err != nil {
			return fmt.Errorf("how it ended could not be noted in %s: %w", key, err)
		}
		return nil
	}, nil
}

func (l Log) put(ctx context.Context, key string, e Entry, c objectstore.Condition) (string, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return "", err
	}
	return l.Objects.Put(ctx, objectstore.Object{
		Key: key, Body: bytes.NewReader(body), Size: int64(len(body)), ContentType: "application/json", Condition: c,
	})
}
