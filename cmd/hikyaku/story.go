package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/export"
	"hikyaku/internal/lambdafn"
	"hikyaku/internal/locale"
	"hikyaku/internal/localstack"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/internal/webhookrelay/reconcile"
)

// refresh lets the token refresher find all five credentials.
func (d *demo) refresh(ctx context.Context) error {
	d.say("\n1  Tokens")
	var report tokenrefresh.Report
	if err := d.tick(ctx, &report); err != nil {
		return err
	}
	for _, r := range report.Results {
		if r.Outcome != protocol.Refreshed {
			return locale.Errorf("the token of %s: %s %s", r.Provider, r.Outcome, r.Reason)
		}
		life := locale.T("no known end: probed each hour")
		if r.ExpiresAt != nil {
			life = locale.M("ends in %s", time.Until(*r.ExpiresAt).Round(time.Minute))
		}
		d.say("   %-13s %-19s %s, %s", r.Provider, r.Kind, r.Outcome, life)
	}
	d.totals.Tokens = len(report.Results)
	return nil
}

// reconcile runs a whole reconciliation and waits for what it queued.
func (d *demo) reconcile(ctx context.Context) (reconcile.Report, error) {
	var answer reconcile.Result
	_, err := d.loop(ctx, localstack.Reconcile, map[string]string{"action": "reconcile"}, &answer, func() string { return answer.Status })
	if err != nil || answer.Report == nil {
		return reconcile.Report{}, locale.Errorf("reconciling: %w", err)
	}
	return *answer.Report, d.drained(ctx)
}

// firstReconcile indexes the app's members and brings the people of the
// booking page into it.
func (d *demo) firstReconcile(ctx context.Context) error {
	d.say("\n2  First reconcile: index the app's members, bring in the people of the booking page")
	members := len(d.stack.Yappli().Members())
	report, err := d.reconcile(ctx)
	if err != nil {
		return err
	}
	d.totals.Created = len(d.stack.Yappli().Members()) - members
	d.say("   %d people and %d members listed; %d created, %d members that belong to nobody here left alone",
		report.Users, report.Members, d.totals.Created, report.Unclaimed)
	return d.converged(0)
}

// relay lets people do what they do on a booking page. The webhooks go over
// real HTTP: some twice, some out of order, one not at all.
func (d *demo) relay(ctx context.Context) error {
	d.say("\n3  Webhooks: people sign up, change, leave and come back")
	d.peopleAct()
	s := d.stack.SuperSaaS()
	d.totals.Webhooks = len(s.Deliveries())
	for _, delivery := range s.Deliveries() {
		if delivery.Status != 200 {
			return locale.Errorf("a webhook was answered %d", delivery.Status)
		}
	}
	if err := d.drained(ctx); err != nil {
		return err
	}
	d.say("   %d webhooks taken, each queued before it was answered; 5 came twice, 8 out of order", d.totals.Webhooks)
	d.say("   6 signed up, 1 left (their app account is disabled, not deleted), 1 left and came back")
	return d.converged(1)
}

// peopleAct makes 6 people sign up, 5 change and be told of twice, 4 change out of
// order, 2 leave and 1 of them come back, and 1 change that no webhook tells.
func (d *demo) peopleAct() {
	s := d.stack.SuperSaaS()
	ids := s.UserIDs()
	for n := range 6 {
		ids = append(ids, s.AddUser(map[string]any{
			"name": fmt.Sprintf("demo.%d@mail.example", n), "email": fmt.Sprintf("demo.%d@mail.example", n),
			"full_name": "見本 太郎" + strconv.Itoa(n), "mobile": fmt.Sprintf("03-1000-%04d", n), "field_1": "ミホン タロウ",
		}))
	}
	s.Do(func() { s.Knobs.Duplicate = 1 })
	for _, id := range ids[:5] {
		s.ChangeUser(id, map[string]any{"mobile": "03-1000-1111", "field_2": "会員ランク：金"})
	}
	s.Do(func() { s.Knobs.Duplicate, s.Knobs.HoldBack = 0, 1 })
	for n, id := range ids[5:9] {
		s.ChangeUser(id, map[string]any{"address": fmt.Sprintf("東京都千代田区見本町%d-1", n+1)})
		s.ChangeUser(id, map[string]any{"address": fmt.Sprintf("東京都千代田区見本町%d-2", n+1)})
	}
	s.Release()
	s.Do(func() { s.Knobs.HoldBack = 0 })
	s.DeleteUser(ids[10])
	s.DeleteUser(ids[11])
	s.RestoreUser(ids[11])
	s.Quiet().ChangeUser(ids[12], map[string]any{"full_name": "山田 改名子"})
}

// secondReconcile finds what no webhook reported.
func (d *demo) secondReconcile(ctx context.Context) error {
	d.say("\n4  Second reconcile: find what no webhook reported")
	report, err := d.reconcile(ctx)
	if err != nil {
		return err
	}
	if report.Differing != 1 {
		return locale.Errorf("the second reconcile found %d differences where one change was made without a webhook", report.Differing)
	}
	third, err := d.reconcile(ctx)
	if err != nil {
		return err
	}
	if third.Sent != 0 {
		return locale.Errorf("a reconcile of equal lists queued %d users", third.Sent)
	}
	d.say("   1 change made through the API, which fires no webhook, found and carried over; then 0 differences")
	d.totals.People = len(d.stack.SuperSaaS().UserIDs())
	return d.converged(0)
}

// converged compares both sides without the product's code: everybody has one
// member, under their name, enabled. stale people may still have an old name.
func (d *demo) converged(stale int) error {
	y, s := d.stack.Yappli(), d.stack.SuperSaaS()
	wrong := 0
	for _, id := range s.UserIDs() {
		raw, _ := s.User(id)
		var user struct {
			FullName string `json:"full_name"`
		}
		if err := json.Unmarshal(raw, &user); err != nil {
			return err
		}
		members := y.FindUnique(strconv.FormatInt(id, 10))
		if len(members) != 1 {
			return locale.Errorf("user %d has %d members", id, len(members))
		}
		if members[0].Values["column01"] != user.FullName || members[0].Values["enabled"] != "1" {
			wrong++
		}
	}
	if wrong != stale {
		return locale.Errorf("%d members differ from their user where %d are expected", wrong, stale)
	}
	return nil
}

// export exports every dataset, one of them across a forced stop.
func (d *demo) export(ctx context.Context) error {
	d.say("\n5  Exports")
	scheduled := time.Now().UTC().Truncate(time.Second).Format(time.RFC3339)
	for _, dataset := range export.Datasets() {
		result, err := d.exportOne(ctx, dataset.String(), scheduled)
		if err != nil {
			return locale.Errorf("exporting %s: %w", dataset.String(), err)
		}
		if result.Pages < 3 {
			return locale.Errorf("exporting %s took %d pages; the demo shows at least 3", result.Dataset, result.Pages)
		}
		note := locale.T("")
		if result.Calls > 1 {
			note = locale.M("  stopped before the deadline, continued: %d calls", result.Calls)
		}
		d.say("   %-23s %4d rows %7.1f KB %3d pages  verified%s", result.Dataset, result.Rows, float64(result.Bytes)/1000, result.Pages, note)
		d.totals.Exports = append(d.totals.Exports, result)
		d.totals.Continued += result.Calls - 1
	}
	if d.totals.Continued == 0 {
		return locale.Errorf("no export was stopped and continued")
	}
	return nil
}

// tight is so short a time-out that the slow page of orders does not fit in.
const tight = 3 * time.Second

func (d *demo) exportOne(ctx context.Context, dataset, scheduled string) (exportResult, error) {
	event := map[string]string{"action": "extract", "dataset": dataset, "scheduled_time": scheduled}
	result := exportResult{Dataset: dataset}
	var answer export.Answer
	if dataset == "shopline/orders" {
		d.slowOrders()
		if err := d.invokeTight(ctx, event, &answer); err != nil {
			return result, err
		}
		if answer.Status != export.Continue {
			return result, locale.Errorf("answered %q where it had to stop for its deadline", answer.Status)
		}
		result.Calls, result.Pages = 1, answer.Observed.Pages
	}
	calls, err := d.loop(ctx, localstack.Export, event, &answer, func() string { return string(answer.Status) })
	if err != nil {
		return result, err
	}
	result.Calls += calls
	manifest, err := d.exported(ctx, answer.Manifest)
	if err != nil {
		return result, err
	}
	result.Manifest, result.Rows, result.Bytes, result.Pages = answer.Manifest, manifest.Rows, manifest.Bytes, manifest.Observed.Pages
	return result, nil
}

// invokeTight invokes the export with little time, as a function near its
// time-out has.
func (d *demo) invokeTight(ctx context.Context, event, answer any) error {
	const name = "export-tight"
	handler, err := compose(ctx, localstack.Export, lambdafn.Environ{Vars: d.stack.Vars(localstack.Export), Out: d.base.Out})
	if err != nil {
		return err
	}
	if err := d.stack.AWS.Register(awslocal.Function{Name: name, Handler: handler, Timeout: tight}); err != nil {
		return err
	}
	return d.invoke(ctx, name, event, answer)
}

// dump writes what each sandbox holds, so that anybody can compare.
func (d *demo) dump(context.Context) error {
	return dumpRecords(d.stack.Sandboxes, filepath.Join(d.dir, "sandboxes"))
}

func (d *demo) summary() {
	rows := 0
	for _, e := range d.totals.Exports {
		rows += e.Rows
	}
	t := d.totals
	d.say("\n%s\n", strings.Repeat("-", 78))
	d.say("%d tokens alive. %d webhooks relayed, %d people in step with the app, nobody twice.", t.Tokens, t.Webhooks, t.People)
	d.say("%d rows in %d datasets exported and verified, byte for byte as the providers sent them.", rows, len(t.Exports))
	d.say("All of it in %.1f seconds.\n", t.Seconds)
	root := filepath.Join(t.Directory, "objects", awslocal.Bucket)
	d.say("The JSONL, with a manifest beside each run:\n  %s", filepath.Join(root, localstack.Prefix, "exports"))
	d.say("Read one:\n  gunzip -c %s | head -1", filepath.Join(root, filepath.Dir(t.Exports[0].Manifest), "part-00000.jsonl.gz"))
	d.say("What the sandboxes held, to compare:\n  %s", filepath.Join(t.Directory, "sandboxes"))
}
