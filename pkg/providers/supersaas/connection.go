package supersaas

import (
	"strings"

	"hikyaku/pkg/providers"
)

// CheckConnection says what is wrong with a connection to SuperSaaS.
func CheckConnection(c providers.Connection) providers.Faults {
	faults := append(c.OfKind(providers.Static), c.Missing(map[string]string{
		"base_url": DefaultBaseURL, "account": "the account name, under Account Info", "api_key": "under Account Info",
	})...)
	if strings.Contains(c.BaseURL+"/", "/api/") {
		faults = append(faults, providers.Fault{Field: "base_url", Wrong: "must end before /api, which each call appends"})
	}
	if _, err := readQuirks(c.Quirks); err != nil {
		faults = append(faults, providers.Fault{Field: "quirks", Wrong: err.Error()})
	}
	return faults
}
