package schedule_test

import (
	"testing"
	"time"

	"hikyaku/internal/dev/schedule"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	when, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

func TestExpression_After(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ expression, zone, after, want string }{
		{"rate(1 minute)", "", "2026-12-01T10:00:05Z", "2026-12-01T10:00:30Z"}, // made at 09:00:30
		{"rate(5 minutes)", "", "2026-12-01T10:00:30Z", "2026-12-01T10:05:30Z"},
		{"rate(10 minutes)", "", "2026-12-01T08:00:00Z", "2026-12-01T09:00:30Z"}, // at once
		{"rate(2 days)", "", "2026-12-01T09:00:30Z", "2026-12-03T09:00:30Z"},
		{"rate(1 hour)", "", "2026-12-01T09:00:30Z", "2026-12-01T10:00:30Z"},
		{"at(2027-01-31T09:00:00)", "Asia/Tokyo", "2026-12-01T00:00:00Z", "2027-01-31T00:00:00Z"},
		{"at(2027-01-31T09:00:00)", "Asia/Tokyo", "2027-01-31T00:00:00Z", ""},
		{"cron(30 18 * * ? *)", "", "2026-12-01T18:29:59Z", "2026-12-01T18:30:00Z"},
		{"cron(30 18 * * ? *)", "", "2026-12-01T18:30:00Z", "2026-12-02T18:30:00Z"},
		{"cron(0 2 * * ? *)", "Asia/Tokyo", "2026-12-31T20:00:00Z", "2027-01-01T17:00:00Z"},
		{"cron(0/15 8-9 ? * MON-FRI *)", "", "2026-12-04T09:46:00Z", "2026-12-07T08:00:00Z"},
		{"cron(0/15 8-9 ? * MON-FRI *)", "", "2026-12-07T08:00:00Z", "2026-12-07T08:15:00Z"},
		{"cron(*/20 * * * ? *)", "", "2026-12-07T08:41:00Z", "2026-12-07T09:00:00Z"},
		{"cron(0 0 L * ? *)", "", "2027-02-01T00:00:00Z", "2027-02-28T00:00:00Z"},
		{"cron(0 0 LW * ? *)", "", "2027-02-01T00:00:00Z", "2027-02-26T00:00:00Z"},
		{"cron(0 0 15W * ? *)", "", "2027-05-01T00:00:00Z", "2027-05-14T00:00:00Z"},
		{"cron(0 0 1W * ? *)", "", "2027-05-01T00:00:00Z", "2027-05-03T00:00:00Z"},
		{"cron(0 0 29 2 ? *)", "", "2026-12-01T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"cron(0 0 ? * 6#3 *)", "", "2026-12-01T00:00:00Z", "2026-12-18T00:00:00Z"},
		{"cron(0 0 ? * FRIL *)", "", "2026-12-01T00:00:00Z", "2026-12-25T00:00:00Z"},
		{"cron(0 0 ? * FRI-MON *)", "", "2026-12-01T00:00:00Z", "2026-12-04T00:00:00Z"},
		{"cron(0 0 ? * L *)", "", "2026-12-01T00:00:00Z", "2026-12-05T00:00:00Z"},
		{"cron(0 12 1 JAN ? 2030-2031)", "", "2026-12-01T00:00:00Z", "2030-01-01T12:00:00Z"},
		{"cron(0 12 1 1 ? 2020)", "", "2026-12-01T00:00:00Z", ""},
		{"cron(30 2 * * ? *)", "Europe/Berlin", "2027-03-27T12:00:00Z", "2027-03-28T01:30:00Z"}, // 2:30 is left out: 3:30 summer time
		{"cron(30 2 * * ? *)", "Europe/Berlin", "2027-10-30T01:00:00Z", "2027-10-31T01:30:00Z"}, // 2:30 comes twice
		{"cron(30 2 * * ? *)", "Europe/Berlin", "2027-10-31T01:30:00Z", "2027-11-01T01:30:00Z"}, // and fires once
	} {
		e, err := schedule.Parse(c.expression, c.zone)
		if err != nil {
			t.Error(err)
			continue
		}
		next, ok := e.After(at(t, "2026-12-01T09:00:30Z"), at(t, c.after))
		got := ""
		if ok {
			got = next.UTC().Format(time.RFC3339)
		}
		if got != c.want {
			t.Errorf("%s %s after %s: %q, expected %q", c.expression, c.zone, c.after, got, c.want)
		}
	}
}

func TestParse_Refuses(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{
		"", "rate", "rate(5 minutes", "rate(0 minutes)", "rate(five minutes)", "rate(5 seconds)", "hourly(1)", "at(tomorrow)",
		"cron(30 18 * * *)", "cron(30 18 * * * *)", "cron(30 18 ? * ? *)", "cron(60 18 * * ? *)", "cron(30 24 * * ? *)", "cron(0 0 32 * ? *)",
		"cron(0 0 * 13 ? *)", "cron(0 0 ? * 8 *)", "cron(0 0 ? * FRI#6 *)", "cron(0/0 0 * * ? *)", "cron(a 0 * * ? *)", "cron(0 0 xW * ? *)", "cron(0 0 * * ? 1900)",
	} {
		if _, err := schedule.Parse(expression, ""); err == nil {
			t.Errorf("it took %q", expression)
		}
	}
	if _, err := schedule.Parse("rate(1 minute)", "Asia/Edo"); err == nil {
		t.Error("it took a zone that is not there")
	}
}
