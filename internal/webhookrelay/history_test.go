package webhookrelay_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/webhookrelay/admin"
	"hikyaku/internal/webhookrelay/outcome"
	"hikyaku/internal/webhookrelay/tenant"
)

// storedRow returns a user's row as it is stored: the whole object, and its data.
func (r *rig) storedRow(user int64) (object []byte, data map[string]any) {
	r.t.Helper()
	for key := range keysOf(r) {
		if strings.HasSuffix(key, fmt.Sprintf("/rows/%d", user)) {
			_, body, err := r.objects.Get(context.Background(), key)
			if err != nil {
				r.t.Fatal(err)
			}
			object, _ = io.ReadAll(body)
			var envelope struct{ Data map[string]any }
			if err := json.Unmarshal(object, &envelope); err != nil {
				r.t.Fatal(err)
			}
			return object, envelope.Data
		}
	}
	return nil, nil
}

func (r *rig) history(user int64) admin.History {
	r.t.Helper()
	h, err := admin.HistoryOf(context.Background(), r.stack(), user)
	if err != nil {
		r.t.Fatal(err)
	}
	return h
}

// wantEvents compares causes, outcomes and fields.
func wantEvents(t *testing.T, h admin.History, want ...string) {
	t.Helper()
	var got []string
	for _, e := range h.Events {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Cause, e.Outcome, strings.Join(e.Fields, " "))))
		if e.Request != "request-1" || time.Since(e.At) > 24*time.Hour || time.Since(e.At) < 0 {
			t.Errorf("event %+v: no request, or another time", e)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("events\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A history follows one user through life, without a value, and costs no object of
// its own: a job that finds nothing to do leaves the row as it is.
func TestHistory_FollowsOneUser(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		user := r.linked("戸田")
		sent := "column01 column02 login_id"
		wantEvents(t, r.history(user), "new created column01 column02 enabled login_id unique_id")
		before, _ := r.storedRow(user)
		r.relay(user, "change")
		r.wantOutcome("unchanged")
		if after, _ := r.storedRow(user); string(after) != string(before) {
			t.Fatal("a job without a write wrote the row")
		}
		r.shop.ChangeUser(user, map[string]any{"full_name": "戸田 改", "mobile": "なし"})
		r.relay(user, "change")
		h := r.history(user)
		wantEvents(t, h, "new created column01 column02 enabled login_id unique_id", "change updated column01 login_id")
		if h.Err != nil || h.Preview.Outcome != outcome.Unchanged || !slices.Equal(h.Preview.Unread, []string{"column02"}) {
			t.Fatalf("now %+v, %v", h.Preview, h.Err)
		}
		r.shop.ChangeUser(user, map[string]any{"mobile": "090-1000-0000"})
		if p := r.history(user).Preview; p.Outcome != outcome.Unchanged || p.Unread != nil {
			t.Fatalf("now %+v", p)
		}
		r.relay(user, "change")
		r.shop.Quiet().DeleteUser(user)
		if p := r.history(user).Preview; p.Outcome != outcome.WouldDisable {
			t.Fatalf("now %+v", p)
		}
		r.relay(user, "delete")
		r.shop.Quiet().RestoreUser(user)
		r.relay(user, "change")
		wantEvents(t, r.history(user), "new created column01 column02 enabled login_id unique_id", "change updated column01 login_id",
			"change updated "+sent, "delete disabled enabled", "change restored column01 column02 enabled login_id")
		if object, _ := r.storedRow(user); strings.Contains(string(object), "戸田") || strings.Contains(string(object), "mail.example") {
			t.Fatalf("row %s", object)
		}
	})
}

// A job that ended without a write says why, and one that did not end reads as
// under way, then as interrupted.
func TestHistory_TellsHowAJobFailed(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		user := r.linked("戸田")
		created := "new created column01 column02 enabled login_id unique_id"
		answer := http.StatusTooManyRequests
		r.transport = roundTripper(func(q *http.Request) (*http.Response, error) {
			if q.Method == http.MethodPut {
				return &http.Response{StatusCode: answer, Body: http.NoBody, Request: q}, nil
			}
			return both{r.shop, r.crm}.RoundTrip(q)
		})
		r.shop.ChangeUser(user, map[string]any{"full_name": "戸田 改"})
		r.relay(user, "change")
		limited := "change rate_limited column01 column02 login_id"
		wantEvents(t, r.history(user), created, limited)
		time.Sleep(time.Hour)
		answer = http.StatusInternalServerError
		r.work()
		wantEvents(t, r.history(user), created, limited, "change in_flight")
		if p := r.history(user).Preview; p.Outcome != outcome.InFlight {
			t.Fatalf("now %+v", p)
		}
		time.Sleep(time.Hour)
		wantEvents(t, r.history(user), created, limited, "change interrupted")
		answer = http.StatusBadRequest
		r.work()
		wantEvents(t, r.history(user), created, limited, "change interrupted", "change refused column01 column02 login_id")
		r.transport = roundTripper(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
		if h := r.history(user); h.Err == nil || h.Preview.Outcome != outcome.Temporary || len(h.Events) != 4 {
			t.Fatalf("without a provider: %+v", h)
		}
	})
}

// What waits says for what.
func TestHistory_TellsWhatAJobWaitsFor(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.identity = tenant.Identity{By: "field_2"}
		r.settings.Cap, r.settings.CreateAfterList = 1, true
		wantNow := func(user int64, class outcome.Class) {
			t.Helper()
			if h := r.history(user); h.Err != nil || h.Preview.Outcome != class {
				t.Fatalf("now %s, %v; want %s", h.Preview.Outcome, h.Err, class)
			}
		}
		first, second := r.numbered("甲", "S1"), r.numbered("乙", "S2")
		wantNow(first, outcome.AwaitingList)
		time.Sleep(time.Hour)
		r.reconcile()
		r.settleAll()
		third := r.numbered("丙", "S3")
		wantNow(third, outcome.AwaitingList)
		time.Sleep(time.Hour)
		r.reconcile()
		wantNow(third, outcome.WouldCreate)
		r.drop()
		for _, user := range []int64{first, second} {
			r.shop.Quiet().DeleteUser(user)
			wantNow(user, outcome.WouldDisable)
			r.relay(user, "delete")
		}
		wantNow(second, outcome.DisablingStopped)
	})
}

// What a creation in doubt leaves stays in the row that a reconcile writes.
func TestHistory_OutlivesAReconcile(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.reconcile()
		r.drop()
		user := r.person("戸田")
		r.transport = roundTripper(func(q *http.Request) (*http.Response, error) {
			answer, err := both{r.shop, r.crm}.RoundTrip(q)
			if q.Method == http.MethodPost {
				return nil, io.ErrUnexpectedEOF
			}
			return answer, err
		})
		r.relay(user, "new")
		r.wantOutcome("unresolved")
		r.transport = nil
		time.Sleep(time.Hour)
		if p := r.history(user).Preview; p.Outcome != outcome.Unresolved {
			t.Fatalf("now %+v", p)
		}
		r.reconcile()
		wantEvents(t, r.history(user), "new interrupted")
		r.drop()
		r.relay(user, "change")
		wantEvents(t, r.history(user), "new interrupted", "change updated column01 column02 login_id")
	})
}

// The last 20 jobs are kept, and of those as many as leave the whole row small.
func TestHistory_StaysSmall(t *testing.T) {
	for columns, most := range map[int]int{2: 20, 50: 19} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.mapping = ""
				for i := range columns {
					r.mapping += fmt.Sprintf("column%02d: full_name\n", i+1)
				}
				user := r.linked("戸田")
				for i := range 25 {
					r.shop.ChangeUser(user, map[string]any{"full_name": fmt.Sprintf("戸田 %d", i)})
					r.relay(user, "change")
				}
				object, _ := r.storedRow(user)
				h := r.history(user)
				if n := len(h.Events); n == 0 || n > most || columns == 2 && n != most || len(object) > 4096 || h.Events[n-1].Outcome != outcome.Updated || h.Events[0].Cause != "change" {
					t.Fatalf("%d events in %d bytes", n, len(object))
				}
			})
		})
	}
}

// rowOfBefore is a row as the version of commit ee17bce reads it.
type rowOfBefore struct {
	State     string    `json:"state,omitempty"`
	Owner     string    `json:"owner,omitempty"`
	Until     time.Time `json:"until,omitzero"`
	Hash      string    `json:"hash,omitempty"`
	Member    string    `json:"member,omitempty"`
	Identity  string    `json:"identity,omitempty"`
	Tombstone bool      `json:"tombstone,omitempty"`
	Disabled  bool      `json:"disabled,omitempty"`
	Absent    bool      `json:"absent,omitempty"`
}

// The version of before reads each row that this one writes, drops what it does
// not know when it writes the row, and what it leaves is read again here.
func TestHistory_OfAnOlderVersion(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		user, updates := r.trimming("戸田")
		r.leftAlone(updates)
		object, data := r.storedRow(user)
		if data["history"] == nil || data["left"] != true {
			t.Fatalf("row %s", object)
		}
		for name, read := range map[string]bool{"history": false, "left": false, "differs": false, "state": true, "hash": true, "member": true, "identity": true} {
			raw, _ := json.Marshal(data)
			var old rowOfBefore
			if err := json.Unmarshal(raw, &old); err != nil {
				t.Fatal(err)
			}
			raw, _ = json.Marshal(old)
			var kept map[string]any
			_ = json.Unmarshal(raw, &kept)
			if value, there := kept[name]; there != read || read && value != data[name] {
				t.Errorf("%s is %v where an older version wrote the row, and was %v", name, value, data[name])
			}
			if name == "hash" {
				r.rewrite(user, kept)
			}
		}
		if h := r.history(user); h.Events != nil || h.Preview.Outcome != outcome.WouldUpdate {
			t.Fatalf("history %+v", h)
		}
		updates()
		r.leftAlone(updates) // from the beginning
		if len(r.history(user).Events) != 2 {
			t.Fatalf("history %+v", r.history(user).Events)
		}
	})
}

// rewrite puts data into a user's row.
func (r *rig) rewrite(user int64, data map[string]any) {
	r.t.Helper()
	object, _ := r.storedRow(user)
	envelope := map[string]any{}
	if err := json.Unmarshal(object, &envelope); err != nil {
		r.t.Fatal(err)
	}
	envelope["data"] = maps.Clone(data)
	raw, _ := json.Marshal(envelope)
	for key := range keysOf(r) {
		if strings.HasSuffix(key, fmt.Sprintf("/rows/%d", user)) {
			r.put(map[string][]byte{key: raw})
		}
	}
}
