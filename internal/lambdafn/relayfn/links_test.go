package relayfn_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"hikyaku/pkg/providers/yappli/yapplitest"
)

// consents are identities that need somebody's yes, and what gives it.
var consents = map[string]struct {
	vars map[string]string
	yes  string
}{
	"id without a prefix": {map[string]string{"HIKYAKU_IDENTITY_PREFIX": ""}, "HIKYAKU_ID_IS_UNIQUE_ID"},
	"email":               {map[string]string{"HIKYAKU_IDENTITY": "email"}, "HIKYAKU_IDENTITY_EDITABLE"},
	"name":                {map[string]string{"HIKYAKU_IDENTITY": "name"}, "HIKYAKU_IDENTITY_EDITABLE"},
	"phone":               {map[string]string{"HIKYAKU_IDENTITY": "phone"}, "HIKYAKU_IDENTITY_EDITABLE"},
	"mobile":              {map[string]string{"HIKYAKU_IDENTITY": "mobile"}, "HIKYAKU_IDENTITY_EDITABLE"},
	"field_1":             {map[string]string{"HIKYAKU_IDENTITY": "field_1"}, "HIKYAKU_IDENTITY_EDITABLE"},
	"field_2":             {map[string]string{"HIKYAKU_IDENTITY": "field_2"}, "HIKYAKU_IDENTITY_EDITABLE"},
}

// Until somebody has said yes, messages go back to the queue, the log says why,
// and nothing is written or given up.
func TestIdentity_WaitsForAYes(t *testing.T) {
	t.Parallel()
	for name, c := range consents {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			user := int64(20450001)
			f := w.function("relay", c.vars)
			for range 3 {
				if left := w.relay(f, user); left != 1 {
					t.Fatalf("%d messages left, want 1", left)
				}
				w.now = w.now.Add(24 * time.Hour)
			}
			if log := w.out.String(); !strings.Contains(log, c.yes) || !strings.Contains(log, "relay not ready") {
				t.Errorf("the log does not name %s: %s", c.yes, log)
			}
			if n := w.crm.Count("GET /api/ext/users") + w.shop.Count("GET /api/users.json"); n != 0 || len(w.take(w.dead)) != 0 {
				t.Errorf("%d requests, or dead letters, want none", n)
			}
			if _, err := w.function("reconcile", c.vars).Invoke(context.Background(), event(t, "reconcile", "schedule")); err == nil || !strings.Contains(err.Error(), c.yes) {
				t.Errorf("reconcile: %v, want %s named", err, c.yes)
			}
			c.vars[c.yes] = "yes"
			if _, err := w.function("relay", c.vars).Links(context.Background()); err != nil {
				t.Errorf("with %s=yes: %v", c.yes, err)
			}
		})
	}
	for _, identity := range []string{"id", "fk", "super_field"} {
		if _, err := newWorld(t).function("relay", map[string]string{"HIKYAKU_IDENTITY": identity}).Links(context.Background()); err != nil {
			t.Errorf("%s: %v", identity, err)
		}
	}
}

// Through the functions and a local AWS: a user who types the identity of a
// member waits for a person, whose decision the relay carries out.
func TestLinks_ThroughTheFunctions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	vars := map[string]string{"HIKYAKU_IDENTITY": "email", "HIKYAKU_IDENTITY_EDITABLE": "yes", "HIKYAKU_IDENTITY_PREFIX": ""}
	id := w.crm.Put(yapplitest.Member{Values: map[string]string{"unique_id": "victim@mail.example", "login_id": "victim@mail.example", "column01": "本人"}})
	was, _ := w.crm.Find(id)
	user := w.shop.AddUser(map[string]any{"name": "other@mail.example", "email": "victim@mail.example", "full_name": "別人"})
	reconcile := w.function("reconcile", vars)
	if _, err := reconcile.Invoke(t.Context(), event(t, "reconcile", "schedule")); err != nil {
		t.Fatal(err)
	}
	if left := w.relay(w.function("relay", vars), user); left != 0 {
		t.Fatalf("%d messages left, want none\n%s", left, w.out)
	}
	if m, _ := w.crm.Find(id); string(m.JSON()) != string(was.JSON()) {
		t.Fatalf("the member changed: %v", m.Values)
	}
	links, err := reconcile.Links(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := links.Compare(t.Context(), user)
	if err != nil || pair.Member != id || pair.Desired["column01"] == pair.Bearer["column01"] {
		t.Fatalf("%+v, %v", pair, err)
	}
	w.take(w.queue)
	if err := links.Decide(t.Context(), pair, true); err != nil {
		t.Fatal(err)
	}
	sent := w.take(w.queue)
	if len(sent) != 1 || sent[0].User != user || sent[0].Event != "reconcile" {
		t.Fatalf("queued %+v, want the user", sent)
	}
	if left := w.relay(w.function("relay", vars), user); left != 0 {
		t.Fatalf("%d messages left, want none\n%s", left, w.out)
	}
	if m, _ := w.crm.Find(id); m.Values["column01"] == "本人" {
		t.Fatalf("the member did not change: %v\n%s", m.Values, w.out)
	}
}
