package actibook

import "hikyaku/pkg/providers"

// CheckConnection says what is wrong with a connection to ActiBookOne.
func CheckConnection(c providers.Connection) providers.Faults {
	faults := append(c.OfKind(providers.ClientCredentials), c.Missing(map[string]string{
		"token_url": "the full address of the token endpoint", "login_url": "the full address of the proxy login",
		"client_id": "that ActiBookOne's support gave", "client_secrets": "that ActiBookOne's support gave",
	})...)
	if _, err := ParseQuirks(c.Quirks); err != nil {
		faults = append(faults, providers.Fault{Field: "quirks", Wrong: err.Error()})
	}
	return faults
}
