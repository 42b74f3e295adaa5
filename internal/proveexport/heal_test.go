package proveexport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/export"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/localstack"
	"hikyaku/internal/objectstore"
	"hikyaku/internal/prove"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline/shoplinetest"
)

// held returns a list of a sandbox in compact form.
func (r *rig) held(provider, list string) []string {
	r.Helper()
	var raw bytes.Buffer
	if err := r.stack.Sandboxes[provider].Dump(&raw); err != nil {
		r.Fatal(err)
	}
	var document map[string]json.RawMessage
	var records []json.RawMessage
	if err := json.Unmarshal(raw.Bytes(), &document); err != nil {
		r.Fatal(err)
	}
	if err := json.Unmarshal(document[list], &records); err != nil {
		r.Fatal(err)
	}
	var lines []string
	for _, one := range records {
		var b bytes.Buffer
		if err := json.Compact(&b, one); err != nil {
			r.Fatal(err)
		}
		lines = append(lines, b.String())
	}
	return lines
}

// TestHeal refuses the token in the middle of a run.
func TestHeal(t *testing.T) {
	r := newRig(t, sandbox.Options{Seed: seed(), Records: 300, Rate: anyRate})
	refresher, err := refreshfn.New(t.Context(), lambdafn.Environ{Vars: r.stack.Vars(localstack.TokenRefresh), Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	err = r.stack.AWS.Register(awslocal.Function{Name: localstack.TokenRefresh, Aliases: localstack.Aliases(localstack.TokenRefresh), Handler: refresher, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := refresher.Invoke(t.Context(), []byte(`{"source":"aws.scheduler"}`)); err != nil {
		t.Fatal(err)
	}
	refreshes := func() int { return r.stack.AWS.Calls()["lambda.Invoke"] }
	before := refreshes()
	r.stack.Yappli().Inject(sandbox.Fault{Kind: sandbox.Denied, After: 3, Times: 1})
	a := r.must(event("yappli/users", 1))
	got, want := r.rows(r.verified(a.Manifest)), r.held(providers.Yappli, "users")
	figure(t, a.Status == export.Done && slices.Equal(got, want), "401 in the middle of a run", "every row, and the refresher asked",
		"%s with %d of %d rows, %d invocations of the refresher", a.Status, len(got), len(want), refreshes()-before)

	delete(r.vars, "HIKYAKU_TOKENREFRESH_FUNCTION")
	r.stack.Yappli().Inject(sandbox.Fault{Kind: sandbox.Denied, After: 3, Times: 1})
	_, err = r.invoke(t.Context(), event("yappli/users", 2))
	figure(t, err != nil, "guard removed: a 401 without a refresher to ask", "must fail", "%v", err)
}

// TestDelivery changes nothing of an order but its delivery.
func TestDelivery(t *testing.T) {
	prove.Heavy(t)
	t.Parallel()
	r := newRig(t, sandbox.Options{Seed: seed(), Records: 60, Rate: anyRate})
	now := time.Now().UTC().Truncate(time.Minute)
	scheduled := func(after time.Duration) string {
		return `{"action":"extract","dataset":"shopline/orders","scheduled_time":"` + now.Add(after).Format(time.RFC3339) + `"}`
	}
	first := r.must(scheduled(2 * time.Hour))
	shop := r.stack.Sandboxes[providers.SHOPLINE].(*shoplinetest.Server)
	id := ""
	for _, line := range r.rows(r.verified(first.Manifest)) {
		if strings.Contains(line, `"delivery_status":"pending"`) {
			id = line[strings.Index(line, `"id":"`)+6:][:24]
		}
	}
	if err := shop.ChangeDelivery(id, "shipped"); err != nil {
		t.Fatal(err)
	}
	r.vars["HIKYAKU_EXPORT_LOOK_BACK"] = "3h"
	second := r.must(scheduled(3 * time.Hour))
	found := func(a export.Answer) int {
		return strings.Count(strings.Join(r.rows(r.verified(a.Manifest)), "\n"), id)
	}
	figure(t, found(second) > 0, "an order whose delivery alone changed", "in the next incremental run", "there, among %d of %d rows", second.Rows, first.Rows)

	const dataset = "shopline/orders"
	r.planLike(dataset, runOf(t, dataset, export.Trigger{Scheduled: now.Add(3 * time.Hour)}),
		runOf(t, dataset, export.Trigger{Scheduled: now.Add(4 * time.Hour)}), `["updated"]`)
	third := r.must(scheduled(4 * time.Hour))
	figure(t, found(third) == 0, "guard removed: the same window by updated_at alone", "must miss it", "%d times there, among %d rows", found(third), third.Rows)
}

// planLike plans a run as another was, but with these passes.
func (r *rig) planLike(dataset string, other, run export.Run, passes string) {
	r.Helper()
	document, err := objectstore.ReadDocument(r.Context(), r.store, leaseKey(dataset, other))
	if err != nil {
		r.Fatal(err)
	}
	var held struct {
		Journal struct {
			Plan map[string]json.RawMessage `json:"plan"`
		} `json:"journal"`
	}
	if err := document.Decode(&held); err != nil {
		r.Fatal(err)
	}
	held.Journal.Plan["passes"] = json.RawMessage(passes)
	document, err = objectstore.ReadDocument(r.Context(), r.store, leaseKey(dataset, run))
	if err != nil {
		r.Fatal(err)
	}
	if _, err := document.Replace(r.Context(), r.store, held); err != nil {
		r.Fatal(err)
	}
}

// TestVerify tampers with a published run.
func TestVerify(t *testing.T) {
	r := newRig(t, sandbox.Options{Seed: seed(), Records: 60, Rate: anyRate})
	r.vars["HIKYAKU_EXPORT_COMPRESSION"] = "none"
	a := r.must(event("yappli/users", 1))
	m := r.verified(a.Manifest)
	key := m.Parts[0].Key
	info, err := r.store.Head(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	whole := r.object(key)
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	caught, seen := 0, 0
	tamper := func(key string, body []byte) {
		if _, err := r.store.Put(t.Context(), objectstore.Object{Key: key, Body: bytes.NewReader(body), Size: int64(len(body)), Metadata: info.Metadata}); err != nil {
			t.Fatal(err)
		}
		v, err := export.Verify(t.Context(), r.store, a.Manifest)
		if err != nil {
			t.Fatal(err)
		}
		if len(v.Faults) > 0 {
			caught++
		}
		if key != m.Parts[0].Key || len(body) != len(whole) {
			seen++
		}
	}
	tamper(key, flipped)
	tamper(key, whole[:bytes.LastIndexByte(whole[:len(whole)-1], '\n')+1])
	tamper(key, whole)
	tamper(strings.Replace(key, "part-00000", "part-00001", 1), whole)
	figure(t, caught == 3, "verify: a flipped byte, a missing row, a part too many; not the untouched run", "3 of 3", "%d", caught)
	figure(t, seen < caught, "guard removed: the same by names and sizes alone", "must miss some", "%d", seen)
}

// TestFieldsLeave drops and hashes, and looks for what is left.
func TestFieldsLeave(t *testing.T) {
	r := newRig(t, sandbox.Options{Seed: seed(), Records: 60, Rate: anyRate})
	whole, _, values := r.fieldsLeft(1)
	r.vars["HIKYAKU_EXPORT_DROP"] = "shopline/customers: email"
	r.vars["HIKYAKU_EXPORT_HASH"] = "shopline/customers: mobile_phone"
	left, lines, _ := r.fieldsLeft(2)
	figure(t, left == 0 && values >= 120 && strings.Contains(lines, "hmac-sha256:"), "dropped and hashed fields", "no value left", "%d of %d left", left, values)
	figure(t, whole == values, "guard removed: the same fields, neither dropped nor hashed", "must all be left", "%d of %d left", whole, values)
}

// fieldsLeft exports the customers by a backfill n minutes after midnight, and
// counts the e-mails and phones of the sandbox that stand in the lines.
func (r *rig) fieldsLeft(n int) (left int, lines string, values int) {
	r.Helper()
	a := r.must(fmt.Sprintf(`{"action":"extract","dataset":"shopline/customers","scheduled_time":%q,"from":"2000-01-01T00:00:00Z","to":"2040-01-01T00:00:00Z"}`,
		at(n).Format(time.RFC3339)))
	lines = strings.Join(r.rows(r.verified(a.Manifest)), "\n")
	for _, line := range r.held(providers.SHOPLINE, "customers") {
		var customer struct {
			Email string `json:"email"`
			Phone string `json:"mobile_phone"`
		}
		if err := json.Unmarshal([]byte(line), &customer); err != nil {
			r.Fatal(err)
		}
		for _, value := range []string{`"email":"` + customer.Email + `"`, `"mobile_phone":"` + customer.Phone + `"`} {
			values++
			left += strings.Count(lines, value)
		}
	}
	return left, lines, values
}

// TestDays names runs around midnight and across changes of summer time.
func TestDays(t *testing.T) {
	right, inUTC := 0, 0
	cases := []struct{ zone, utc, want string }{
		{"Asia/Tokyo", "2026-11-21T15:30:00Z", "2026-11-22"}, // 00:30 there
		{"Asia/Tokyo", "2026-11-21T14:59:59Z", "2026-11-21"},
		{"America/New_York", "2026-03-08T04:30:00Z", "2026-03-07"}, // 23:30, the day before the clocks go forward
		{"America/New_York", "2026-03-09T04:30:00Z", "2026-03-09"}, // 00:30, the day after
		{"America/New_York", "2026-11-01T04:30:00Z", "2026-11-01"}, // 00:30, the day they go back
		{"America/New_York", "2026-11-02T04:30:00Z", "2026-11-01"}, // 23:30 of the same day
	}
	for _, c := range cases {
		zone, err := export.LoadZone(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		due, err := time.Parse(time.RFC3339, c.utc)
		if err != nil {
			t.Fatal(err)
		}
		run, err := export.NewRun(export.Trigger{Dataset: export.Datasets()[0], Scheduled: due}, zone)
		if err == nil && run.DT == c.want {
			right++
		}
		if due.Format(time.DateOnly) == c.want {
			inUTC++
		}
	}
	figure(t, right == len(cases), "dt at 00:30 in Tokyo and across summer time", "all", "%d of %d", right, len(cases))
	figure(t, inUTC < len(cases), "guard removed: the same days counted in UTC", "must miss some", "%d of %d", inUTC, len(cases))
}
