package supersaastest_test

import (
	"testing"

	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/sandbox/sandboxtest"
	"hikyaku/pkg/providers/supersaas/supersaastest"
)

func TestTroubles(t *testing.T) {
	t.Parallel()
	for _, list := range []string{"/api/users.json?limit=4", "/api/range/555001.json?from=2020-01-01&limit=2", "/api/changes/555003.json?from=2020-01-01&limit=2"} {
		s := supersaastest.New(sandbox.Options{Records: 12, Rate: -1})
		unmet := []string{}
		if list == "/api/users.json?limit=4" {
			unmet = append(unmet, sandbox.ErrorBeside) // there is no object to put it into
		}
		sandboxtest.Troubles(t, s, func() string {
			return ask(s, "GET", list, "") + ask(s, "GET", list+"&offset=2", "") + ask(s, "GET", "/api/users/20450004.json", "")
		}, unmet...)
	}
}
