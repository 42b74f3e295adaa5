package console_test

import (
	"net/http"
	"strings"
	"testing"

	"hikyaku/internal/console"
)

func TestCost_SaysWhatTheMonthCost(t *testing.T) {
	printed := map[string]string{"cost": `{"month":"2026-11","prices":"Tokyo","until":"2026-11-22T00:00:00Z","usd":4,"projected":5.5,"estimated":1,"parts":{"relay":3,"tokens":1},
		"lines":[{"part":"relay","service":"lambda","unit":"<b>","quantity":12,"usd":3,"basis":"measured"}]}`}
	var log commandLog
	s, b := open(t, printed, log.on)
	b.enter(s)
	for _, language := range console.Languages() {
		status, _, page := b.do(http.MethodGet, "/cost", "", map[string]string{"Accept-Language": language})
		if status != http.StatusOK || strings.Contains(page, "<b>") || !strings.Contains(page, "$4.00") || !strings.Contains(page, "$5.50") || !strings.Contains(page, `<rect width="75%"`) {
			t.Errorf("in %s answered %d: %s", language, status, page)
		}
	}
	if _, _, body := b.do(http.MethodPost, "/do/cost", "month=2026-10", nil); !strings.Contains(body, "$4.00") {
		t.Errorf("another month answered %s", body)
	}
	log.has(t, "cost --month 2026-10 --json")
	if _, _, body := b.do(http.MethodPost, "/do/cost", "month=--stack", nil); !strings.Contains(body, "Write the month as") {
		t.Errorf("no month answered %s", body)
	}
	log.lacks(t, "cost --month --stack")
}
