package yappli

import (
	"strings"

	"hikyaku/pkg/providers"
)

// CheckConnection says what is wrong with a connection to Yappli CRM.
func CheckConnection(c providers.Connection) providers.Faults {
	faults := append(c.OfKind(providers.ClientCredentials), c.Missing(map[string]string{
		"base_url":  "the address that Yappli gives, up to but without /api/ext",
		"client_id": "in Yappli CRM's settings of the API", "client_secrets": "shown beside the client id",
	})...)
	if strings.Contains(c.BaseURL+"/", "/api/ext/") {
		faults = append(faults, providers.Fault{Field: "base_url", Wrong: "must end before /api/ext, which each call appends"})
	}
	if _, err := ParseQuirks(c.Quirks); err != nil {
		faults = append(faults, providers.Fault{Field: "quirks", Wrong: err.Error()})
	}
	return faults
}
