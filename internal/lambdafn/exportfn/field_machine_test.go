package exportfn

import (
	"context"
	"fmt"
	"testing"
	"time"

	"hikyaku/internal/crash"
	"hikyaku/internal/export"
)

// TestField_E13_TheSecondReadingGetsOn: a list that is always read twice, by
// processes that are killed three seconds after their start, at the template's
// rate. The next one waits until the lease of the dead one has ended.
func TestField_E13_TheSecondReadingGetsOn(t *testing.T) {
	t.Parallel()
	inField(t, "supersaas/users", -1, func(f *field) {
		f.vars["HIKYAKU_SUPERSAAS_RATE"] = "4"
		f.vars["HIKYAKU_EXPORT_PAGE_SIZE"] = "50"
		all := f.holds(500)
		event := fmt.Sprintf(`{"action":"extract","dataset":%q,"scheduled_time":"2026-11-22T00:30:00Z"}`, f.dataset)
		done := false
		for starts := 0; starts < 38 && !done; starts++ {
			life, kill := context.WithCancel(f.Context())
			time.AfterFunc(3*time.Second, kill) // without a deadline, so that it is not foreseen
			f.through = crash.Mortal{Store: f.objects, Life: life}
			a, err := f.invoke(life, []byte(event))
			kill()
			done = err == nil && a.Status == export.Done
			time.Sleep(3 * time.Minute)
		}
		if !done {
			f.Errorf("not done after 38 starts and %d requests", len(f.queries))
		}
		f.through = nil
		f.isComplete(f.must(0), all)
	})
}
