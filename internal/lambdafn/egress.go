package lambdafn

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"hikyaku/pkg/providers"
)

// Egress errors. They name no URL, because a query may hold a key.
const (
	errPlainHTTP = providers.BlockedError("refusing plain http to a provider: use https, or name the host in HIKYAKU_ALLOW_HOSTS together with AWS_ENDPOINT_URL")
	errPrivate   = providers.BlockedError("refusing a private, local or reserved address: name the host in HIKYAKU_ALLOW_HOSTS together with AWS_ENDPOINT_URL")
)

// guardedTransport sends requests over https to public addresses only. The
// address is checked when the connection is made, after the name was
// resolved, so a name that resolves to the metadata service, or changes its
// mind between two look-ups, leads nowhere. Hosts in allowed are exempt.
func guardedTransport(allowed []string) http.RoundTripper {
	open := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	guarded := *open
	guarded.Control = func(_, address string, _ syscall.RawConn) error { return checkAddress(address) }
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = transport.MaxIdleConns // one host gets all requests
	transport.Proxy = nil                                  // a proxy would resolve the name where it cannot be checked
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if host, _, err := net.SplitHostPort(address); err == nil && slices.Contains(allowed, host) {
			return open.DialContext(ctx, network, address)
		}
		return guarded.DialContext(ctx, network, address)
	}
	return egress{transport, allowed}
}

type egress struct {
	next    *http.Transport
	allowed []string
}

// RoundTrip refuses plain http unless the host is allowed.
func (e egress) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && !slices.Contains(e.allowed, r.URL.Hostname()) {
		return nil, errPlainHTTP
	}
	return e.next.RoundTrip(r)
}

// CloseIdleConnections lets a token call begin on a new connection.
func (e egress) CloseIdleConnections() { e.next.CloseIdleConnections() }

// reserved are the ranges that netip's own predicates do not cover: shared
// address space, IETF protocol assignments, documentation, benchmarking,
// former class E, segment routing, site-local addresses, and the IPv6 forms
// that carry an IPv4 address inside.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.88.99.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("3fff::/20"), netip.MustParsePrefix("5f00::/16"),
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("::ffff:0:0:0/96"), netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("100:0:0:1::/64"),
	netip.MustParsePrefix("fec0::/10"),
}

func checkAddress(address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return errPrivate
	}
	ip := at.Addr().Unmap()
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || slices.ContainsFunc(reserved, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return errPrivate
	}
	return nil
}
