package proveexport

import (
	"fmt"
	"testing"

	"hikyaku/internal/export"
	"hikyaku/internal/pagination"
)

// TestStill counts the requests of a list that stands still, beside those of a
// reader that asks for each row once.
func TestStill(t *testing.T) {
	for _, c := range []struct {
		name   string
		paging pagination.Paging
		fixed  int // 1: the server knows one page size only
		most   float64
	}{
		{"offset", pagination.ByOffset, 0, 1.01},
		{"page, size chosen", pagination.ByPage, 0, 1.12},
		{"page, size fixed", pagination.ByPage, 1, 2.02},
	} {
		for _, size := range []int{250, 50} {
			rows := size * sized(2000, 400)
			l := &movingList{edit: func(*movingList) {}, paging: c.paging, fixed: c.fixed * size}
			for n := range rows {
				l.rows = append(l.rows, n)
			}
			e, _ := exporter(t, feedOf(l, c.paging, size), 4)
			a, err := e.Extract(t.Context(), runOf(t, "yappli/users", export.Trigger{Scheduled: at(1)}))
			if err != nil || a.Rows != rows {
				t.Fatalf("%s: %d of %d rows, %v", c.name, a.Rows, rows, err)
			}
			once := rows / size
			passes := 1 + c.fixed // the closing check counts apart
			ratio := float64(l.asked-l.beyond) / float64(once*passes)
			bar := fmt.Sprintf("at most %.2f", c.most)
			if size != 250 {
				bar = "no bar"
			}
			figure(t, size != 250 || ratio <= c.most, fmt.Sprintf("requests on a still source, %s, %d rows a page", c.name, size), bar,
				"%.3f of %d, %d times, and %d for empty pages at the end", ratio, once, passes, l.beyond)
		}
	}
}
