package export_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/export"
	"hikyaku/internal/pagination"
)

func TestNewRun_NamesTheLocalDay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ zone, at, dt, id string }{
		{"Asia/Tokyo", "2026-11-21T15:30:00Z", "2026-11-22", "20261121T153000Z"}, // 00:30 in Tokyo
		{"Asia/Tokyo", "2026-11-21T14:59:59Z", "2026-11-21", "20261121T145959Z"},
		{"Asia/Tokyo", "2026-11-22T00:30:00+09:00", "2026-11-22", "20261121T153000Z"},
		{"UTC", "2026-11-22T00:30:00.999Z", "2026-11-22", "20261122T003000Z"},
		{"America/New_York", "2026-03-08T06:59:59Z", "2026-03-08", "20260308T065959Z"}, // before summer time
		{"America/New_York", "2026-03-09T03:59:59Z", "2026-03-08", "20260309T035959Z"}, // the same day, an hour shorter
		{"America/New_York", "2026-03-09T04:00:00Z", "2026-03-09", "20260309T040000Z"},
		{"Asia/Taipei", "2026-12-31T16:00:00Z", "2027-01-01", "20261231T160000Z"},
	} {
		zone, err := export.LoadZone(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		r, err := export.NewRun(export.Trigger{Dataset: dataset(t, "yappli/users"), Scheduled: at}, zone)
		if err != nil || r.DT != c.dt || r.ID != c.id || r.IsBackfill() {
			t.Errorf("%s in %s: dt %s, run %s, %v; want %s, %s", c.at, c.zone, r.DT, r.ID, err, c.dt, c.id)
		}
	}
	for _, name := range []string{"", "Local", "Tokyo", "+09:00"} {
		if _, err := export.LoadZone(name); err == nil || !strings.Contains(err.Error(), "IANA time zone such as Asia/Tokyo") {
			t.Errorf("zone %q: %v", name, err)
		}
	}
}

func TestNewRun_RefusesWhatNamesNoRun(t *testing.T) {
	t.Parallel()
	orders, users := dataset(t, "shopline/orders"), dataset(t, "yappli/users")
	day := func(n int) time.Time { return due.AddDate(0, 0, n) }
	for _, c := range []struct {
		t    export.Trigger
		want string // empty: accepted
	}{
		{export.Trigger{Dataset: orders}, "no scheduled time"},
		{export.Trigger{Dataset: orders, Scheduled: time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC)}, "year 1999 cannot be"},
		{export.Trigger{Dataset: orders, Scheduled: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}, ""},
		{export.Trigger{Dataset: orders, Scheduled: due, From: day(-2), To: day(-1)}, ""},
		{export.Trigger{Dataset: users, Scheduled: due, From: day(-2), To: day(-1)}, "yappli/users has no time range"},
		{export.Trigger{Dataset: orders, Scheduled: due, From: day(-1)}, "needs both"},
		{export.Trigger{Dataset: orders, Scheduled: due, To: day(-1)}, "needs both"},
		{export.Trigger{Dataset: orders, Scheduled: due, From: day(-1), To: day(-1)}, "must lie before"},
		{export.Trigger{Dataset: orders, Scheduled: due, From: day(-1), To: day(-2)}, "must lie before"},
		{export.Trigger{Dataset: orders, Scheduled: due, From: day(0).AddDate(-60, 0, 0), To: day(0)}, "at most fifty years"},
	} {
		r, err := export.NewRun(c.t, time.UTC)
		switch {
		case c.want == "" && err != nil, c.want != "" && (!errors.Is(err, export.ErrTrigger) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%+v: got %v, want %q", c.t, err, c.want)
		case c.want == "" && !c.t.From.IsZero() && (!r.IsBackfill() || r.ID != "20261122T003000Z_20261120T003000Z_20261121T003000Z"):
			t.Errorf("backfill is named %s", r.ID)
		}
	}
	if _, err := export.FindDataset(strings.Repeat("x", 100)); !errors.Is(err, export.ErrTrigger) || !strings.Contains(err.Error(), strings.Repeat("x", 40)+`..."`) {
		t.Errorf("got %v", err)
	}
}

// incremental prepares runs of a dataset with a watermark.
func incremental(t *testing.T, name string) (*bench, *list) {
	t.Helper()
	l := newList(pagination.ByCursor, 5)
	b := newBench(t, l)
	b.dataset = dataset(t, name)
	b.feed.Passes = b.dataset.Passes
	b.set.LookBack = time.Hour
	b.now = func() time.Time { return due.AddDate(0, 1, 0) }
	return b, l
}

func TestWindow_FollowsTheWatermark(t *testing.T) {
	t.Parallel()
	b, l := incremental(t, "shopline/customers")
	window := func(at time.Time) export.Window {
		t.Helper()
		a, err := b.exporter().Plan(t.Context(), b.run(at))
		if err != nil || a.Window == nil {
			t.Fatal(err)
		}
		return *a.Window
	}
	if w := window(due); w != (export.Window{To: due}) {
		t.Errorf("first window %+v, want all up to the scheduled time", w)
	}
	b.extract(due)
	if q := l.calls[0]; !q.From.IsZero() || !q.To.Equal(due) {
		t.Errorf("the source was asked for %s to %s", q.From, q.To)
	}
	next := due.Add(24 * time.Hour)
	want := export.Window{From: due.Add(-time.Hour), To: next}
	if w := window(next); w != want {
		t.Errorf("second window %+v, want %+v", w, want)
	}
	b.extract(next)
	earlier := due.Add(time.Hour)
	if w := window(earlier); w != (export.Window{From: due.Add(-time.Hour), To: earlier}) {
		t.Errorf("a late trigger's window %+v", w)
	}
	b.extract(earlier) // does not move anything back
	if w := window(next.Add(time.Hour)); !w.From.Equal(next.Add(-time.Hour)) {
		t.Errorf("the watermark went back: %+v", w)
	}
	backfill, err := export.NewRun(export.Trigger{Dataset: b.dataset, Scheduled: next.Add(48 * time.Hour), From: due.AddDate(-1, 0, 0), To: due}, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	a, err := b.exporter().Extract(t.Context(), backfill)
	if err != nil || a.Status != export.Done || *a.Window != (export.Window{From: due.AddDate(-1, 0, 0), To: due}) {
		t.Errorf("backfill %+v, %v", a, err)
	}
	if w := window(next.Add(time.Hour)); !w.From.Equal(next.Add(-time.Hour)) {
		t.Errorf("a backfill moved the watermark: %+v", w)
	}
	var latest struct{ Data export.Pointer }
	b.json("shop/exports/shopline/customers/latest.json", &latest)
	if latest.Data.Run != next.Format("20060102T150405Z") || latest.Data.Rows != 5 || latest.Data.DT != "2026-11-23" {
		t.Errorf("latest is %+v", latest.Data)
	}
	link := string(b.object("shop/athena/shopline/customers/dt=2026-11-22/symlink.txt"))
	if strings.Count(link, "s3://lake/shop/exports/shopline/customers/dt=2026-11-22/run=20261122T") != 2 || strings.Count(link, "\n") != 2 {
		t.Errorf("an incremental day's symlink names\n%s", link)
	}
}

// TestWindow_OfAMistakenTime: a run of a time to come covers what is there, and
// not what will be.
func TestWindow_OfAMistakenTime(t *testing.T) {
	t.Parallel()
	b, _ := incremental(t, "shopline/customers")
	b.now = func() time.Time { return due.Add(90*time.Second + time.Millisecond) }
	b.extract(due.AddDate(1, 0, 0))
	next := due.AddDate(0, 0, 1)
	a, err := b.exporter().Plan(t.Context(), b.run(next))
	if want := (export.Window{From: due.Add(90*time.Second - time.Hour), To: next}); err != nil || *a.Window != want {
		t.Errorf("the next window is %+v, want %+v (%v)", a.Window, want, err)
	}
}

func TestWindow_OfAppointments(t *testing.T) {
	t.Parallel()
	b, _ := incremental(t, "supersaas/appointments")
	b.dataset.Past, b.dataset.Future = 48*time.Hour, 24*time.Hour
	for _, c := range []struct {
		incremental bool
		want        export.Window
	}{
		{false, export.Window{From: due.AddDate(0, 0, -2), To: due.AddDate(0, 0, 1)}},
		{true, export.Window{From: due.AddDate(0, 0, -2), To: due}},
	} {
		b.dataset.Incremental = c.incremental
		if a, err := b.exporter().Plan(t.Context(), b.run(due)); err != nil || *a.Window != c.want {
			t.Errorf("incremental %t: window %+v, %v", c.incremental, a.Window, err)
		}
	}
}

func TestPasses_LeaveOutWhatEarlierOnesDelivered(t *testing.T) {
	t.Parallel()
	b, l := incremental(t, "shopline/orders")
	b.extract(due)
	if n := len(l.calls); n != 3 { // the rows, and twice that nothing follows them
		t.Errorf("%d requests for everything, want one pass of 3", n)
	}
	at := due.Add(time.Hour)
	inside, outside := at.Format(time.RFC3339), due.Add(-2*time.Hour).Format(time.RFC3339)
	l.render = func(n int) string {
		updated, shipped := outside, "null"
		switch n {
		case 1000: // updated in the window: the first pass has it
			updated = inside
		case 2000: // shipped in the window: the second has it
			shipped = `"` + inside + `"`
		case 3000: // what is no time was in no window
			updated = "yesterday"
		}
		return `{"id":"` + id(n) + `","updated_at":"` + updated + `","order_delivery":{"shipped_at":` + shipped + `}}`
	}
	m := b.manifest(b.extract(at).Manifest)
	// The list ignores the passes: each shows all five rows, which are
	// delivered once.
	if m.Rows != 5 || m.Repeats != 20 {
		t.Errorf("%d rows, %d repeats", m.Rows, m.Repeats)
	}
	if strings.Join(m.Passes, " ") != "updated shipped arrived collected returned" {
		t.Errorf("passes %v", m.Passes)
	}
	b.verify(b.exporterManifest(at))
}

// TestPasses_CountWhatTheyLeaveOutBehindTheLastPart stops a run where all that
// is still to come has been delivered.
func TestPasses_CountWhatTheyLeaveOutBehindTheLastPart(t *testing.T) {
	t.Parallel()
	b, l := incremental(t, "shopline/orders")
	b.extract(due)
	at := due.Add(time.Hour)
	l.render = func(n int) string {
		return `{"id":"` + id(n) + `","updated_at":"` + at.Format(time.RFC3339) + `","order_delivery":{}}`
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l.edit = func(_ *list, request int) {
		if request == 2+2 { // the first one of the second pass
			cancel()
		}
	}
	if a, err := b.exporter().Extract(ctx, b.run(at)); err != nil || a.Status != export.Continue || a.Rows != 5 {
		t.Fatalf("got %+v, %v; want the first pass, and to be called again", a, err)
	}
	m := b.manifest(b.extract(at).Manifest)
	if m.Rows != 5 || m.Repeats != 20 || m.RepeatsAtEnd < 15 || len(m.Parts) != 1 {
		t.Errorf("%d rows in %d parts, %d repeats, %d of them at the end", m.Rows, len(m.Parts), m.Repeats, m.RepeatsAtEnd)
	}
	b.verify(b.exporterManifest(at))
}
