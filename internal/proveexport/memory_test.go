package proveexport

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/export"
	"hikyaku/internal/prove"
)

// peak is the most memory in MB that a process has held at once: VmHWM.
func peak(t *testing.T, pid int) float64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib / 1024
}

// carry exports once with the real binary under the local Lambda runtime, in
// as many invocations as it takes, and returns the peak of its process.
func (h *haul) carry(t *testing.T, binary string, env ...string) float64 {
	t.Helper()
	for name, value := range h.vars {
		env = append(env, name+"="+value)
	}
	if err := h.aws.Register(awslocal.Function{Name: "export", Binary: binary, Env: env, Timeout: 2 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	trigger := h.trigger()
	result, err := h.aws.Invoke(t.Context(), "export", []byte(trigger))
	var a export.Answer
	if err == nil {
		err = json.Unmarshal(result.Payload, &a)
	}
	if lines := h.counted(); err != nil || result.Error != "" || a.Status != export.Done || a.Rows != h.rows || lines != h.rows {
		t.Fatalf("%s %s: %d rows, %d lines stored, of %d: %v", result.Error, result.Payload, a.Rows, lines, h.rows, err)
	}
	t.Logf("%d rows in %v", h.rows, time.Since(began))
	return peak(t, h.aws.Processes("export")[0])
}

// TestMemory runs the real binary: beside the ids that it remembers, how much
// memory it needs must not depend on how much there is to export.
func TestMemory(t *testing.T) {
	prove.Heavy(t)
	binary, err := prove.Build(t.Context(), t.TempDir(), "export")
	if err != nil {
		t.Fatal(err)
	}
	const most = 64 // MB
	for _, compression := range []string{"gzip", "none"} {
		env := "HIKYAKU_EXPORT_COMPRESSION=" + compression
		h := newHaul(t, sized(100_000, 5000))
		few := h.carry(t, binary, env)
		figure(t, few <= most, "memory, "+compression, "VmHWM of at most 64 MB", "%.1f MB for %d rows", few, h.rows)
		if !prove.Full() && compression == "gzip" {
			continue
		}
		h = newHaul(t, sized(10_000_000, 50_000))
		many := h.carry(t, binary, env)
		figure(t, many <= 115, "memory, "+compression+", a hundred times the rows, of which the newest million ids are remembered",
			"at most 115 MB of 128", "%.1f MB for %d rows, %+.1f %%", many, h.rows, 100*(many/few-1))
	}

	h := newHaul(t, 1600)
	h.widen(80 << 10)
	h.vars["HIKYAKU_EXPORT_PAGE_SIZE"] = "100"
	pages := h.carry(t, binary)
	figure(t, pages <= 115, "memory, pages of 8 MB, 16 in flight", "at most 115 MB of 128", "%.1f MB", pages)
	template := h.carry(t, binary, "HIKYAKU_EXPORT_IN_FLIGHT=2", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128")
	figure(t, template <= 115, "memory, pages of 8 MB, 2 in flight", "at most 115 MB of 128", "%.1f MB", template)
}
