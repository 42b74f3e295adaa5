package supersaas_test

import (
	"testing"
	"time"
	_ "time/tzdata"

	"hikyaku/pkg/providers/supersaas"
)

func TestRange_WhereClocksChange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ zone, from, to, wantFrom, wantTo string }{
		// The hour from 01:00 comes twice in New York: at 05:00Z and at 06:00Z.
		{"America/New_York", "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z", "2026-11-01 00:59:59", "2026-11-01 02:00:00"},
		{"America/New_York", "2026-11-01T05:00:00Z", "2026-11-01T06:00:00Z", "2026-11-01 00:59:59", "2026-11-01 02:00:00"},
		{"America/New_York", "2026-11-01T06:59:59Z", "2026-11-01T06:59:59Z", "2026-11-01 00:59:59", "2026-11-01 02:00:00"},
		{"America/New_York", "2026-11-01T04:59:59Z", "2026-11-01T07:00:00Z", "2026-11-01 00:59:59", "2026-11-01 02:00:00"},
		{"America/New_York", "2026-11-01T04:00:00Z", "2026-11-01T04:30:00Z", "2026-11-01 00:00:00", "2026-11-01 00:30:00"},
		{"America/New_York", "2026-11-01T07:00:00Z", "2026-11-01T08:00:00Z", "2026-11-01 02:00:00", "2026-11-01 03:00:00"},
		// The hour from 02:00 is left out there, at 07:00Z.
		{"America/New_York", "2027-03-14T06:30:00Z", "2027-03-14T07:30:00Z", "2027-03-14 00:59:59", "2027-03-14 04:00:00"},
		{"America/New_York", "2027-03-14T07:00:00Z", "2027-03-14T06:59:59Z", "2027-03-14 00:59:59", "2027-03-14 04:00:00"},
		{"America/New_York", "2027-03-14T05:59:59Z", "2027-03-14T08:00:00Z", "2027-03-14 00:59:59", "2027-03-14 04:00:00"},
		{"America/New_York", "2027-03-14T05:00:00Z", "2027-03-14T09:00:00Z", "2027-03-14 00:00:00", "2027-03-14 05:00:00"},
		// Half an hour on Lord Howe.
		{"Australia/Lord_Howe", "2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z", "2026-04-05 01:29:59", "2026-04-05 02:00:00"},
		{"Europe/London", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25 00:59:59", "2026-10-25 02:00:00"},
		{"Asia/Tokyo", "2026-11-01T05:30:00Z", "2026-11-01T06:30:00.5Z", "2026-11-01 14:30:00", "2026-11-01 15:30:01"},
		{"Asia/Tokyo", "1948-05-01T15:00:00Z", "1951-09-07T16:00:00Z", "1948-05-01 22:59:59", "1951-09-08 02:00:00"},
		{"Asia/Taipei", "2026-03-28T16:00:00Z", "2026-10-24T16:00:00Z", "2026-03-29 00:00:00", "2026-10-25 00:00:00"},
		{"UTC", "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z", "2026-11-01 05:30:00", "2026-11-01 06:30:00"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		a := &answering{body: "[]"}
		_ = must(a.client("").ReadRange(ctx, supersaas.RangeQuery{AppointmentsQuery: on(5), From: instant(t, c.from).In(zone), To: instant(t, c.to).In(zone)}))
		if q := a.sent[0].URL.Query(); q.Get("from") != c.wantFrom || q.Get("to") != c.wantTo {
			t.Errorf("%s, %s to %s: asked for %s to %s, want %s to %s", c.zone, c.from, c.to, q.Get("from"), q.Get("to"), c.wantFrom, c.wantTo)
		}
	}
}

// Whatever a local time means, the range holds what was asked for: the sent
// ends are read in every way, and rows are compared by instant and by text.
func TestRange_HoldsEveryReading(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	readings := func(text string) []time.Time {
		wall, err := time.Parse(time.DateTime, text)
		if err != nil {
			t.Fatal(err)
		}
		return []time.Time{wall.Add(4 * time.Hour), wall.Add(5 * time.Hour)} // as summer time, and as standard time
	}
	exists := func(at time.Time, text string) bool { return at.In(zone).Format(time.DateTime) == text }
	for _, day := range []string{"2026-11-01T03:00:00Z", "2027-03-14T03:00:00Z"} {
		for minutes := range 8 * 60 / 10 {
			at := instant(t, day).Add(time.Duration(minutes) * 10 * time.Minute)
			a := &answering{body: "[]"}
			_ = must(a.client("").ReadRange(ctx, supersaas.RangeQuery{AppointmentsQuery: on(5), From: at.In(zone), To: at.In(zone)}))
			from, to := a.sent[0].URL.Query().Get("from"), a.sent[0].URL.Query().Get("to")
			for row := at; row.Before(at.Add(3 * time.Hour)); row = row.Add(10 * time.Minute) {
				if local := row.In(zone).Format(time.DateTime); from > local {
					t.Errorf("from %v is %s, after a row of %v by its text", at, from, row)
				}
			}
			for row := at; row.After(at.Add(-3 * time.Hour)); row = row.Add(-10 * time.Minute) {
				if local := row.In(zone).Format(time.DateTime); to < local {
					t.Errorf("to %v is %s, before a row of %v by its text", at, to, row)
				}
			}
			for _, r := range readings(from) {
				if exists(r, from) && r.After(at) {
					t.Errorf("%v: from %s may be %v", at, from, r)
				}
			}
			for _, r := range readings(to) {
				if exists(r, to) && r.Before(at) {
					t.Errorf("%v: to %s may be %v", at, to, r)
				}
			}
		}
	}
}
