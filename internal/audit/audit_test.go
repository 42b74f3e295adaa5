package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/audit"
	"hikyaku/internal/objectstore"
)

// entries are what a store holds of actions.
func entries(t *testing.T, s objectstore.Store) (found []audit.Entry) {
	t.Helper()
	for info, err := range s.List(t.Context(), "shop/state/audit/", "") {
		if err != nil {
			t.Fatal(err)
		}
		_, body, err := s.Get(t.Context(), info.Key)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		var e audit.Entry
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatal(err)
		}
		found = append(found, e)
	}
	return found
}

func TestLog_NotesWhoDidWhatAndWhy(t *testing.T) {
	objects := &objectstore.Memory{}
	log := audit.Log{Objects: objects, Prefix: "shop", By: "arn:aws:iam::000000000000:user/ops", Now: time.Now}
	end, err := log.Begin(t.Context(), []string{"redrive", "--user", "1"}, " their card was wrong ")
	if err != nil {
		t.Fatal(err)
	}
	if e := entries(t, objects); len(e) != 1 || e[0].Outcome != "begun" || e[0].Why != "their card was wrong" || e[0].By != log.By {
		t.Errorf("before it is done %v is noted", e)
	}
	if err := end(errors.New("refused")); err != nil {
		t.Fatal(err)
	}
	if e := entries(t, objects); len(e) != 1 || e[0].Outcome != "failed" || e[0].Error != "refused" {
		t.Errorf("afterwards %v is noted", e)
	}
}

func TestLog_BeginsNothingThatCannotBeNoted(t *testing.T) {
	objects := &objectstore.Memory{}
	log := audit.Log{Objects: objects, Prefix: "shop", By: "somebody", Now: time.Now}
	for _, why := range []string{"", "  ", "\u200b\u2060", "\u00ad", "\x00", strings.Repeat("あ", 501)} {
		if _, err := log.Begin(t.Context(), []string{"redrive"}, why); err == nil {
			t.Errorf("an action begins with the reason %.10q", why)
		}
	}
	log.Objects = refusing{objects}
	if _, err := log.Begin(t.Context(), []string{"redrive"}, "why not"); !errors.Is(err, objectstore.ErrDenied) {
		t.Errorf("a store that takes no note: %v", err)
	}
	if e := entries(t, objects); len(e) != 0 {
		t.Errorf("%v is noted", e)
	}
}

// refusing is a store to which nobody may write.
type refusing struct{ objectstore.Store }

func (refusing) Put(context.Context, objectstore.Object) (string, error) {
	return "", objectstore.ErrDenied
}
