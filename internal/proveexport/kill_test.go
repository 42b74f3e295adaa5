package proveexport

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/export"
	"hikyaku/internal/prove"
	"hikyaku/pkg/providers/sandbox"
)

// register runs the real binary as the function "export".
func (r *rig) register(env ...string) {
	r.Helper()
	for name, value := range r.vars {
		env = append(env, name+"="+value)
	}
	binary, err := prove.Build(r.Context(), r.TempDir(), "export")
	if err != nil {
		r.Fatal(err)
	}
	err = r.stack.AWS.Register(awslocal.Function{Name: "export", Binary: binary, Env: env, Timeout: time.Minute})
	if err != nil {
		r.Fatal(err)
	}
}

// TestKill kills the real binary again and again while it exports, and compares
// what it leaves with an undisturbed run over the same range.
func TestKill(t *testing.T) {
	prove.Heavy(t)
	t.Parallel()
	kills := sized(60, 3)
	rows := sized(3000, 1500)
	r := newRig(t, sandbox.Options{Seed: seed(), Records: rows, Rate: anyRate, Faults: sandbox.Faults{Latency: 2 * time.Millisecond}})
	r.register("HIKYAKU_EXPORT_PART_MIB=1", "GOMAXPROCS=1")
	const dataset = "shopline/customers"
	backfill := func(n int) (string, export.Run) {
		trigger := export.Trigger{Scheduled: at(n), From: at(0).AddDate(-10, 0, 0), To: at(0).AddDate(1, 0, 0)}
		return fmt.Sprintf(`{"action":"extract","dataset":%q,"scheduled_time":%q,"from":%q,"to":%q}`, dataset,
			at(n).Format(time.RFC3339), trigger.From.Format(time.RFC3339), trigger.To.Format(time.RFC3339)), runOf(t, dataset, trigger)
	}
	r.vars["HIKYAKU_EXPORT_PART_MIB"] = "1"
	payload, _ := backfill(0)
	clean := r.verified(r.must(payload).Manifest)
	if clean.Rows != rows || len(clean.Parts) < 2 {
		t.Fatalf("undisturbed: %d rows in %d parts", clean.Rows, len(clean.Parts))
	}
	chance := random(1)
	killed, runs := 0, 0
	for killed < kills {
		runs++
		payload, run := backfill(runs)
		manifest := ""
		for manifest == "" {
			done := make(chan awslocal.Result, 1)
			go func() {
				result, err := r.stack.AWS.Invoke(t.Context(), "export", []byte(payload))
				if err != nil {
					result.Error = err.Error()
				}
				done <- result
			}()
			var result awslocal.Result
			select {
			case result = <-done:
			case <-time.After(time.Duration(10+chance.IntN(250)) * time.Millisecond):
				for _, pid := range r.stack.AWS.Processes("export") {
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
				if result = <-done; result.Error != "" {
					killed++
					r.expire(dataset, run)
				}
			}
			if result.Error != "" {
				continue
			}
			manifest = r.must(payload).Manifest
		}
		m := r.verified(manifest)
		if !same(r, clean, m) {
			t.Errorf("run %d differs from the undisturbed one after %d kills", runs, killed)
		}
	}
	figure(t, !t.Failed(), "SIGKILL of the real binary", "at least 50 at full size, rows and manifest identical",
		"%d kills in %d runs of %d rows in %d parts, all identical to the undisturbed run", killed, runs, clean.Rows, len(clean.Parts))
}

// same compares two runs over the same range byte by byte, but for their names
// and for where their parts begin: a run that dies where it began stores what it
// has earlier, so that it gets on.
func same(r *rig, a, b export.Manifest) bool {
	if !slices.Equal(r.rows(a), r.rows(b)) {
		return false
	}
	name := func(m export.Manifest) string {
		m.Run, m.DT, m.ScheduledTime, m.Parts, m.StoredBytes, m.Observed = "", "", time.Time{}, nil, 0, export.Observed{}
		return fmt.Sprintf("%+v", m)
	}
	return name(a) == name(b)
}
