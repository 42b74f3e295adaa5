package keepertest_test

import (
	"testing"

	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/sandbox/keepertest"
)

func TestMemoryConforms(t *testing.T) {
	t.Parallel()
	keepertest.Run(t, func(*testing.T) (sandbox.Keeper, func() sandbox.Keeper) {
		k := new(keepertest.Memory)
		return k, func() sandbox.Keeper { return k }
	})
}
