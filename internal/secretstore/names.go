package secretstore

// The last part of a secret's name says what it holds.
const (
	ConnectionPart = "connection" // the operator's: providers.Connection
	TokenPart      = "token"      // the callers': providers.Token
	RefreshPart    = "refresh"    // the refresher's own: providers.Grant of a one-time pair
)

// Name returns {prefix}/{provider}/{part}, the name of a provider's secret.
func Name(prefix, provider, part string) string { return prefix + "/" + provider + "/" + part }
