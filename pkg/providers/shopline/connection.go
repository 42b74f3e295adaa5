package shopline

import (
	"strings"

	"hikyaku/pkg/providers"
)

// DefaultBaseURL is the address of the Open API.
const DefaultBaseURL = "https://open.shopline.io/v1"

// CheckConnection says what is wrong with a connection to SHOPLINE.
func CheckConnection(c providers.Connection) providers.Faults {
	needs := map[string]string{"base_url": DefaultBaseURL}
	if c.Kind == providers.OneTimePair {
		needs["client_id"], needs["client_secrets"] = "of the app, in the Developer Center", "of the app, in the Developer Center"
		needs["redirect_uri"] = "the one registered with the app"
	}
	if c.Kind == providers.Static {
		needs["api_key"] = "the staff token, under Settings > Staff Settings > the API staff > API Auth"
	}
	faults := append(c.OfKind(providers.Static, providers.OneTimePair), c.Missing(needs)...)
	if strings.HasSuffix(strings.TrimRight(c.BaseURL, "/"), "open.shopline.io") {
		faults = append(faults, providers.Fault{Field: "base_url", Wrong: "must end in /v1: " + DefaultBaseURL})
	}
	if _, err := parseQuirks(c.Quirks); err != nil {
		faults = append(faults, providers.Fault{Field: "quirks", Wrong: err.Error()})
	}
	return faults
}
