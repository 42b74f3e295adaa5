package assisttencho

import (
	"fmt"
	"net/url"
	"strings"

	"hikyaku/pkg/providers"
)

const (
	authorizePath = "/api/oauth/authorize.php" // one example lacks /api; table and sample code have it
	tokenPath     = "/api/oauth/token.php"     //nolint:gosec // a path, no credential
)

// AuthorizeURL returns the page on which a person lets the connection's
// application into the shop. The provider sends the browser to the
// connection's RedirectURI with the query parameters code and state.
//
// state is a random text of the caller's, kept until the redirect comes:
// another state there means that somebody else began it. An empty state is
// refused.
func AuthorizeURL(c providers.Connection, state string) (string, error) {
	q, err := ParseQuirks(c.Quirks)
	if err != nil {
		return "", err
	}
	base, err := url.Parse(strings.TrimRight(c.BaseURL, "/") + authorizePath)
	if err != nil || base.Host == "" {
		return "", fmt.Errorf("building the authorization URL: %w: base_url is not an absolute URL", providers.ErrInvalid)
	}
	if c.ClientID == "" || c.RedirectURI == "" || state == "" {
		return "", fmt.Errorf("building the authorization URL: %w: client_id, redirect_uri and a state are required", providers.ErrInvalid)
	}
	query := url.Values{
		"client_id": {c.ClientID}, "redirect_uri": {c.RedirectURI}, "response_type": {"code"}, "state": {state},
	}
	if scope := q.scope(); scope != "" {
		query.Set("scope", scope)
	}
	base.RawQuery = query.Encode()
	return base.String(), nil
}
