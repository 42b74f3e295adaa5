package repotest_test

import (
	"strconv"
	"testing"

	"hikyaku/internal/localstack"
	"hikyaku/internal/prove"
)

// What a function holds at once, in MiB.
const (
	baseMiB    = 45  // binary, runtime, clients
	objectMiB  = 1   // the cap of an answer that is one object
	pageMiB    = 8   // the cap of a page where no setting names one
	twice      = 2   // an answer as it came, and unpacked
	knownMiB   = 28  // the ids of the last million rows: four tables of 16 bytes a slot, three quarters full
	spooledMiB = 8   // of a stored part, before it goes to a file
	tableMiB   = 138 // of reconcile, for a million users: as measured, less the base
	folderMiB  = 512 // Lambda's own folder for files
)

// setting is a number of a function's environment.
func setting(t *testing.T, vars map[string]string, name string) int {
	t.Helper()
	n, err := strconv.Atoi(vars[name])
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return n
}

// What a function may hold at once fits its memory, with a tenth to spare.
func TestTemplate_MemoryIsEnough(t *testing.T) {
	t.Parallel()
	s := prove.ReadTemplate(t, root)
	vars := s.Variables(localstack.Resource(localstack.Export))
	page := setting(t, vars, "HIKYAKU_EXPORT_BODY_MIB")
	needs := map[string]int{
		localstack.TokenRefresh: baseMiB + 5*twice*objectMiB, // five providers at once
		localstack.Ingest:       baseMiB + twice*objectMiB,
		localstack.Relay:        baseMiB + 2*twice*objectMiB, // both sides of one user
		localstack.Reconcile:    baseMiB + twice*pageMiB + knownMiB + tableMiB,
		localstack.Export:       baseMiB + setting(t, vars, "HIKYAKU_EXPORT_IN_FLIGHT")*twice*page + knownMiB + spooledMiB,
	}
	for _, function := range localstack.Functions() {
		at := []string{"Resources", localstack.Resource(function), "Properties", "MemorySize"}
		if s.At(at...) == nil {
			at = []string{"Globals", "Function", "MemorySize"}
		}
		size := s.Number(t, at...)
		if need := needs[function]; need == 0 || 10*need > 9*size {
			t.Errorf("%s may hold %d MiB, want at most nine tenths of its %d: lower its caps, what it has in flight, or give it more", function, need, size)
		}
	}
	if record := setting(t, vars, "HIKYAKU_EXPORT_RECORD_MIB"); record > page {
		t.Errorf("a record of %d MiB is allowed in a page of %d", record, page)
	}
	spool := setting(t, vars, "HIKYAKU_EXPORT_SPOOL_MIB") + setting(t, vars, "HIKYAKU_EXPORT_PART_MIB")
	if s.At("Resources", localstack.Resource(localstack.Export), "Properties", "EphemeralStorage") != nil || 10*spool > 9*folderMiB {
		t.Errorf("a list and a part of together %d MiB lie in a folder of %d", spool, folderMiB)
	}
}
