package actibooktest_test

import (
	"testing"

	"hikyaku/pkg/providers/actibook/actibooktest"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/sandbox/keepertest"
	"hikyaku/pkg/providers/sandbox/sandboxtest"
)

func TestTroubles(t *testing.T) {
	t.Parallel()
	s := actibooktest.New(sandbox.Options{Records: 9, Rate: -1})
	s.Silent = true // else each answer has a ticket of its own
	token := s.Token("").Credential.Reveal()
	sandboxtest.Troubles(t, s, func() string {
		return keepertest.Ask(s, token, "POST", "/api/sso/login", `{"parameters":{"keyword":"members","user_id":"a"}}`)
	})
}
