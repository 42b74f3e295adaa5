package localstack_test

import (
	"strings"
	"testing"

	"hikyaku/internal/localstack"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/sandbox/keepertest"
)

// A state that cannot be read is said in words, with whose it is, and nothing is served
// that would be written over it.
func TestStart_UnreadableState(t *testing.T) {
	t.Parallel()
	for _, name := range providers.Names() {
		keeper := new(keepertest.Memory)
		if err := keeper.Commit(sandbox.Change{Section: name + "/origin", Key: "made", Value: []byte("{torn")}); err != nil {
			t.Fatal(err)
		}
		_, err := localstack.Start(t.Context(), localstack.Options{Sandbox: sandbox.Options{Records: 3, Keeper: keeper}, Mapping: "../../config/mapping.yaml"})
		if err == nil || !strings.Contains(err.Error(), "opening the sandbox of "+name+": reading what was kept of "+name+"/origin") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
