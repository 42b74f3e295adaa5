package actibook

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

// Quirks settle what the documents leave open. They stand in the connection
// as JSON; the zero value is ready for use.
type Quirks struct {
	// RedirectHosts are trusted with a log-in besides the hosts under
	// actibookone.com: "books.example", "*.books.example", or an origin
	// such as "http://127.0.0.1:8080", which alone allows http or a port.
	RedirectHosts []string `json:"redirect_hosts,omitempty"`
	// KeywordParameter is the name under which the probe sends its keyword;
	// empty means "keyword".
	KeywordParameter string `json:"keyword_parameter,omitempty"`
	// Parameters go with every login; a login's own win.
	Parameters map[string]any `json:"parameters,omitempty"`
}

// ParseQuirks reads the quirks of a connection or token. A field that Quirks
// does not have, and a host that is neither a name nor an origin, are
// providers.ErrInvalid.
func ParseQuirks(raw json.RawMessage) (Quirks, error) {
	var q Quirks
	if err := call.DecodeQuirks(providers.ActiBook, raw, &q); err != nil {
		return Quirks{}, err
	}
	for _, host := range q.RedirectHosts {
		if !validHost(host) {
			return Quirks{}, fmt.Errorf("reading the quirks of %s: %w: redirect_hosts takes names, names after \"*.\", and origins such as https://books.example:8443", providers.ActiBook, providers.ErrInvalid)
		}
	}
	q.KeywordParameter = cmp.Or(q.KeywordParameter, "keyword")
	return q, nil
}

func validHost(entry string) bool {
	if strings.Contains(entry, "://") {
		u, err := url.Parse(entry)
		return err == nil && (u.Scheme == "https" || u.Scheme == "http") && entry == u.Scheme+"://"+u.Host && (isName(u.Hostname()) || isAddress(u.Hostname()))
	}
	return isName(strings.TrimPrefix(entry, "*."))
}

var hostName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// isName reports whether name is a host's: labels of letters, digits and
// hyphens, with dots between them. Whatever else a URL allows there may be read
// in another way by the program that follows it.
func isName(name string) bool { return len(name) <= 253 && hostName.MatchString(strings.ToLower(name)) }

func isAddress(name string) bool {
	address, err := netip.ParseAddr(name)
	return err == nil && address.Zone() == ""
}

// trusts reports whether u may carry a log-in.
func (q Quirks) trusts(u *url.URL) bool {
	if u.User != nil {
		return false
	}
	name := strings.ToLower(u.Hostname())
	plain := u.Scheme == "https" && u.Port() == "" && isName(name)
	for _, entry := range append([]string{"*.actibookone.com"}, q.RedirectHosts...) {
		entry = strings.ToLower(entry)
		parent, wildcard := strings.CutPrefix(entry, "*")
		switch {
		case strings.Contains(entry, "://"):
			if entry == strings.ToLower(u.Scheme+"://"+u.Host) {
				return true
			}
		case plain && (entry == name || wildcard && strings.HasSuffix(name, parent)):
			return true
		}
	}
	return false
}

// parameters returns a login's parameters on top of those of every login.
func (q Quirks) parameters(own map[string]any) map[string]any {
	all := map[string]any{}
	maps.Copy(all, q.Parameters)
	maps.Copy(all, own)
	return all
}
