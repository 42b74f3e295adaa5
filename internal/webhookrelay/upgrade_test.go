package webhookrelay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/internal/lease"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/webhookrelay/reconcile"
	"hikyaku/pkg/providers/sandbox"
)

// put stores objects as another version left them.
func (r *rig) put(objects map[string][]byte) {
	r.t.Helper()
	for key, body := range objects {
		_, err := r.objects.Put(context.Background(), objectstore.Object{Key: key, Body: bytes.NewReader(body), Size: int64(len(body))})
		if err != nil {
			r.t.Fatal(err)
		}
	}
}

// wantWhole lets a run go on or begin, and wants every user once and no object
// of the run left.
func (r *rig) wantWhole(t *testing.T, users int) {
	t.Helper()
	listed := r.shop.Count("GET /api/users.json")
	report := r.reconciles(true) // a run under way goes on, wanted or not
	if report == nil || report.Users != users || report.Matched+report.Missing != users || report.Drift != 0 {
		t.Fatalf("report = %+v, want all of %d users", report, users)
	}
	if r.shop.Count("GET /api/users.json") == listed || !strings.Contains(r.log.String(), "reconcile starts over") {
		t.Fatalf("the run went on, want it to start over\n%s", r.log)
	}
	for key := range keysOf(r) {
		if strings.Contains(key, "/reconcile/") {
			t.Fatalf("%s is left", key)
		}
	}
}

// TestReconcile_RunsOfEarlierVersionsStartOver takes up what the program of
// commit ee17bce stored when a run failed in each of its phases.
func TestReconcile_RunsOfEarlierVersionsStartOver(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/ee17bce-runs.json")
	if err != nil {
		t.Fatal(err)
	}
	var runs map[string]map[string][]byte // by phase, then by key
	if err := json.Unmarshal(raw, &runs); err != nil || len(runs) != 3 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	for phase, objects := range runs {
		t.Run(phase, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.person("keeper")
				r.populate(15)
				r.put(objects)
				r.wantWhole(t, 16)
				r.drop()
				if second := r.reconcile(); second.Matched+second.Missing != 16 {
					t.Fatalf("second report = %+v", second)
				}
			})
		})
	}
}

// TestReconcile_EarlierVersionsFindNoTables: a record had another length at commit
// ee17bce, whose program looks for the tables of a run under {run}/{number}/ and
// starts over where there are none.
func TestReconcile_EarlierVersionsFindNoTables(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.populate(500)
		r.crm.SetFaults(sandbox.Faults{Latency: time.Second})
		ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
		defer cancel()
		result, err := reconcile.New(r.stack(), r.queue).Run(ctx, false)
		if err != nil || result.Status != "continue" {
			t.Fatalf("result = %+v, %v", result, err)
		}
		tables, theirs := 0, regexp.MustCompile(`/reconcile/[^/]+/\d+/`)
		for key := range keysOf(r) {
			if strings.Contains(key, "/reconcile/") {
				tables++
			}
			if theirs.MatchString(key) {
				t.Errorf("%s would be read by an earlier version", key)
			}
		}
		if tables == 0 {
			t.Fatal("the run saved no table")
		}
	})
}

// TestReconcile_UnreadableJournalsStartOver: nothing that a journal may hold is
// an error for ever.
func TestReconcile_UnreadableJournalsStartOver(t *testing.T) {
	for name, journal := range map[string]string{
		"another kind":        `{"users":[1],"phase":3}`,
		"no object":           `"run"`,
		"a later version":     `{"version":99,"run":"x","phase":"members","users":{"at":{"pass":0,"rows":7}}}`,
		"tables that are not": `{"version":3,"run":"x","began":"2000-01-01T00:00:00Z","phase":"members","records":7}`,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rig) {
				r.populate(15)
				r.reconcile()
				r.drop()
				key := ""
				for k := range keysOf(r) {
					if strings.HasSuffix(k, "/reconcile-lease") {
						key = k
					}
				}
				l, err := lease.Acquire(context.Background(), r.objects, key, "test", time.Minute, time.Now)
				if err != nil {
					t.Fatal(err)
				}
				if err := l.Release(context.Background(), json.RawMessage(journal)); err != nil {
					t.Fatal(err)
				}
				r.wantWhole(t, 16)
			})
		})
	}
}

// What an earlier version stored goes on: its links count as approved, its claims
// are claims, and nobody is made twice, rewritten or disabled by the upgrade.
func TestUpgrade_RowsAndIdentitiesWithoutALink(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.settings.Link = "always" // which writes as an earlier version did
		r.identity.By = "field_2"
		r.byHand("ss-A", "古")
		r.reconcile()
		r.drop()
		user := r.numbered("会員", "A")
		r.relay(user, "new")
		r.wantOutcome("linked")
		for key := range keysOf(r) {
			d, err := objectstore.ReadDocument(context.Background(), r.objects, key)
			if err == nil && (bytes.Contains(d.Data, []byte(`"link"`)) || bytes.Contains(d.Data, []byte(`"sent"`))) {
				t.Fatalf("%s = %s, want what an earlier version wrote", key, d.Data)
			}
		}
		writes := r.crm.Count("PUT /api/ext/users/{id}") + r.crm.Count("POST /api/ext/users")
		r.settings.Link = ""
		if report := r.reconcile(); report.Sent != 0 || report.Matched != 1 {
			t.Fatalf("report = %+v, want nobody sent", report)
		}
		r.relay(user, "change")
		r.wantOutcome("unchanged")
		if n := r.crm.Count("PUT /api/ext/users/{id}") + r.crm.Count("POST /api/ext/users") - writes; n != 0 {
			t.Fatalf("%d writes by the upgrade", n)
		}
		r.relay(r.changed(user), "change")
		r.wantOutcome("updated")
		r.shop.DeleteUser(user)
		r.relay(user, "delete")
		r.wantOutcome("disabled")
	})
}
