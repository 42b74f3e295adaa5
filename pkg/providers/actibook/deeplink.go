package actibook

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"

	"hikyaku/pkg/providers"
)

// TargetURI returns the value of target_uri for the page at content, which is
// used byte for byte: Base64 with padding, then percent escapes.
func TargetURI(content string) string {
	return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(content)))
}

// DeepLink makes redirect open the page at content after the log-in. The page
// must have the scheme, host and port of redirect, else ErrInvalid: the site
// would send the reader elsewhere with a fresh session.
func DeepLink(redirect Redirect, content string) (Redirect, error) {
	from, fromErr := url.Parse(redirect.Reveal())
	to, toErr := url.Parse(content)
	if fromErr != nil || toErr != nil || from.Host == "" || from.User != nil || to.User != nil || origin(from) != origin(to) {
		return Redirect{}, fmt.Errorf("making a deep link: %w: the page does not lie on the site of the redirect URL", providers.ErrInvalid)
	}
	link, fragment, found := strings.Cut(redirect.Reveal(), "#")
	switch {
	case !strings.Contains(link, "?"):
		link += "?"
	case !strings.HasSuffix(link, "?") && !strings.HasSuffix(link, "&"):
		link += "&"
	}
	link += "target_uri=" + TargetURI(content)
	if found {
		link += "#" + fragment
	}
	return Redirect{providers.NewSecret(link)}, nil
}

// origin returns scheme, host and port in one spelling.
func origin(u *url.URL) string {
	port := cmp.Or(u.Port(), map[string]string{"https": "443", "http": "80"}[u.Scheme])
	return strings.ToLower(u.Scheme + "://" + u.Hostname() + ":" + port)
}
