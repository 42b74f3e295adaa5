package bootrelay_test

import (
	"context"
	"strings"
	"testing"
	"time"
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
