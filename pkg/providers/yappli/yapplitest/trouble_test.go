package yapplitest_test

import (
	"testing"
	"time"

	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/sandbox/keepertest"
	"hikyaku/pkg/providers/sandbox/sandboxtest"
	"hikyaku/pkg/providers/yappli/yapplitest"
)

func TestTroubles(t *testing.T) {
	t.Parallel()
	s := yapplitest.New(sandbox.Options{Records: 9, Rate: -1})
	s.Generation = 3
	s.Tokens.Accept(pasted, time.Time{})
	sandboxtest.Troubles(t, s, func() string {
		return keepertest.Ask(s, pasted, "GET", "/api/ext/users?per_page=3", "") + keepertest.Ask(s, pasted, "GET", "/api/ext/users?per_page=3&page=2", "") +
			keepertest.Ask(s, pasted, "GET", "/api/ext/users/1003", "")
	})
}
