package assisttencho

import (
	"strings"

	"hikyaku/pkg/providers"
)

// CheckConnection says what is wrong with a connection to アシスト店長.
func CheckConnection(c providers.Connection) providers.Faults {
	faults := append(c.OfKind(providers.OneTimeCode), c.Missing(map[string]string{
		"base_url":  "the address of the administration up to but without /api, its path included",
		"client_id": "of the application that is registered in the administration", "client_secrets": "shown beside the client id",
		"redirect_uri": "the one registered with the application",
	})...)
	if base := strings.TrimRight(c.BaseURL, "/"); strings.HasSuffix(base, "/api") || strings.Contains(base, "/api/") {
		faults = append(faults, providers.Fault{Field: "base_url", Wrong: "must end before /api, which each call appends"})
	}
	if _, err := ParseQuirks(c.Quirks); err != nil {
		faults = append(faults, providers.Fault{Field: "quirks", Wrong: err.Error()})
	}
	return faults
}
