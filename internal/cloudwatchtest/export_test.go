package cloudwatchtest_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"hikyaku/internal/cloudwatchtest"
	"hikyaku/internal/export"
	"hikyaku/internal/localstack"
	"hikyaku/pkg/providers/sandbox"
)

const members = "yappli/users"

// list alters the answers of Yappli's list.
func (s *shop) list(alter func(body string) string) {
	s.instead = func(function string, r *http.Request) *http.Response {
		if function != localstack.Export || r.URL.Host != "yappli.test" {
			return nil
		}
		answer, err := s.members().Client().Transport.RoundTrip(r)
		s.must(err)
		body, err := io.ReadAll(answer.Body)
		s.must(err)
		return says(r, answer.StatusCode, alter(string(body)))
	}
}

// ages are the alarms on the age of each dataset.
var ages = []string{
	"ExportAgeAssistTenchoOrdersAlarm", "ExportAgeShoplineCustomersAlarm", "ExportAgeShoplineOrdersAlarm",
	"ExportAgeSuperSaaSAppointmentsAlarm", "ExportAgeSuperSaaSUsersAlarm", "ExportAgeYappliUsersAlarm",
}

var exportDrives = []drive{
	{"Yappli's list is down", []string{"ExportFailedAlarm"}, func(s *shop) {
		s.start()
		s.pass(2 * time.Minute)
		s.members().Inject(sandbox.Fault{Kind: sandbox.ServerFail, Route: "GET /api/ext/users", Times: -1})
		s.later(func() { s.export(members) })
		s.becomes(cloudwatchtest.Alarm, 6*hour, "ExportFailedAlarm")
		s.members().SetFaults(sandbox.Faults{})
	}},
	{"thousands of pages to export, each half a minute late", []string{"ExportTimedOutAlarm"}, func(s *shop) {
		s.set(map[string]string{"HIKYAKU_EXPORT_PAGE_SIZE": "2", "HIKYAKU_EXPORT_IN_FLIGHT": "1"})
		s.more(3_600)
		s.cadence = 5 * time.Minute
		s.start()
		s.pass(2 * time.Minute)
		s.members().Inject(sandbox.Fault{Kind: sandbox.Slow, Delay: 25 * time.Second, Route: "GET /api/ext/users", Times: -1})
		s.later(func() { s.export(members) })
		s.becomes(cloudwatchtest.Alarm, 24*hour, "ExportTimedOutAlarm")
	}},
	{"most members are gone", []string{"ExportDoubtAlarm", "ExportFailedAlarm"}, func(s *shop) {
		s.more(100)
		s.cadence = 5 * time.Minute
		s.start()
		s.pass(2 * time.Minute)
		if status := s.export(members); status != "done" {
			s.Fatalf("the first export is %q", status)
		}
		for _, m := range s.members().Members()[3:] {
			s.members().Delete(m.ID)
		}
		s.pass(hour)
		if status := s.export(members); status != "doubt" {
			s.Errorf("the export is %q", status)
		}
		s.becomes(cloudwatchtest.Alarm, soon, "ExportDoubtAlarm", "ExportFailedAlarm")
	}},
	{"a record that is no text", []string{"ExportRejectsAlarm"}, func(s *shop) {
		s.start()
		s.pass(2 * time.Minute)
		name := s.members().Members()[7].Values["unique_id"]
		s.list(func(body string) string { return strings.ReplaceAll(body, `"`+name+`"`, "\"\xff\"") })
		s.export(members)
		s.becomes(cloudwatchtest.Alarm, soon, "ExportRejectsAlarm")
		s.instead = nil
		s.pass(hour)
		s.export(members)
	}},
	{"all that was read of a list vanishes", []string{"ExportUnresolvedAlarm"}, func(s *shop) {
		s.set(map[string]string{"HIKYAKU_EXPORT_PAGE_SIZE": "5", "HIKYAKU_EXPORT_IN_FLIGHT": "1"})
		s.start()
		s.pass(2 * time.Minute)
		pages := 0
		s.list(func(body string) string {
			if pages++; pages == 4 {
				for _, m := range s.members().Members()[:18] {
					s.members().Delete(m.ID)
				}
			}
			return body
		})
		s.export(members)
		s.becomes(cloudwatchtest.Alarm, soon, "ExportUnresolvedAlarm")
	}},
	{"no list is read for two days", append(slices.Clone(ages), "ExportFailedAlarm"), func(s *shop) {
		var all []string
		for _, d := range export.Datasets() {
			all = append(all, d.String())
		}
		s.cadence, s.looks = 10*time.Minute, 10*time.Minute
		s.start()
		s.pass(2 * time.Minute)
		if status := s.export(all...); status != "done" {
			s.Fatalf("the first export is %q", status)
		}
		s.instead = func(function string, r *http.Request) *http.Response {
			if function != localstack.Export {
				return nil // tokens are well
			}
			return says(r, http.StatusServiceUnavailable, "{}")
		}
		for range 2 {
			s.pass(24 * hour)
			s.later(func() { s.export(all...) })
		}
		s.becomes(cloudwatchtest.Alarm, 9*hour, ages...)
		s.stays(9*hour, ages...)
		s.instead = nil
		s.export(all...)
	}},
}
