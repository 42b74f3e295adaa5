package provetokens

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hikyaku/internal/awslocal"
	"hikyaku/internal/lambdafn/refreshfn"
	"hikyaku/internal/tokenrefresh"
	"hikyaku/internal/tokenrefresh/protocol"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/sandbox"
)

// hosts are where no provider lives. The local ones have a listener that must
// hear nothing.
var hosts = map[string][]string{
	"RFC 1918":            {"10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.1"},
	"loopback":            {"127.0.0.1", "127.8.8.8", "[::1]", "localhost"},
	"link-local":          {"169.254.1.1", "[fe80::1]"},
	"metadata":            {"169.254.169.254", "169.254.170.2", "[fd00:ec2::254]"},
	"IPv4-mapped":         {"[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[::ffff:10.0.0.1]"},
	"NAT64":               {"[64:ff9b::a9fe:a9fe]", "[64:ff9b::7f00:1]", "[64:ff9b:1::a00:1]"},
	"6to4, Teredo":        {"[2002:a9fe:a9fe::1]", "[2002:7f00:1::1]", "[2001:0:7f00:1::1]"},
	"decimal, octal, hex": {"2130706433", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "127.1", "0"},
	"unspecified, others": {"0.0.0.0", "[::]", "100.64.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255"},
	"a name of another":   {"metadata.hikyaku.test", "rebinding.hikyaku.test"},
}

// names is a DNS server: one name leads to the metadata service, the other
// nowhere when it is asked first, and to this machine from then on. So does
// what is no address but a number, if anybody asks for it.
func names(t *testing.T) (address string, asked *atomic.Int32) {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	asked = new(atomic.Int32)
	go func() {
		for packet := make([]byte, 512); ; {
			n, from, err := server.ReadFrom(packet)
			if err != nil {
				return
			}
			question := bytes.Clone(packet[:n])
			end := 12 + bytes.IndexByte(question[12:], 0) + 5
			answer := append(bytes.Clone(question[:end]), 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
			answer[2], answer[3], answer[7], answer[9], answer[11] = 0x81, 0x80, 1, 0, 0 // one answer, no authority, no more
			rebinding := bytes.Contains(question, []byte("rebinding"))
			switch {
			case question[end-3] != 1 || rebinding && asked.Add(1) == 1: // no IPv6; nothing yet
				answer, answer[7] = answer[:end], 0
			case bytes.Contains(question, []byte("metadata")):
				answer = append(answer, 169, 254, 169, 254)
			default:
				answer = append(answer, 127, 0, 0, 1)
			}
			_, _ = server.WriteTo(answer, from)
		}
	}()
	return server.LocalAddr().String(), asked
}

// TestProveHosts sends the refresher, through its handler and over its real
// transport, to hosts where no provider lives. It replaces the process's
// resolver, so nothing runs beside it.
func TestProveHosts(t *testing.T) { //nolint:paralleltest // as above
	address, rebound := names(t)
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", address)
	}}
	defer func() { net.DefaultResolver = before }()
	var heard atomic.Int32
	here := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer here.Close()
	here.Config.ConnState = func(net.Conn, http.ConnState) { heard.Add(1) }
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard.Add(1) }))
	defer plain.Close()
	port := here.Listener.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // a TCP listener

	vectors, refused, said := 0, 0, 0
	try := func(what, target, allowed string) {
		vectors++
		outcome, log := askAt(t, target, allowed)
		if outcome != string(protocol.Refreshed) && outcome != string(protocol.Promoted) {
			refused++
		}
		unnamed := strings.HasPrefix(what, "decimal") || strings.Contains(target, "rebinding") // leads nowhere, or so at first
		switch {
		case strings.Contains(log, "refusing a private"), strings.Contains(log, "refusing plain http"), strings.Contains(log, "redirected"),
			unnamed && strings.Contains(log, providers.ErrUnsent.Error()):
			said++
		default:
			t.Errorf("%s, %s: %s, log %s", what, target, outcome, log)
		}
	}
	for what, list := range hosts {
		for _, host := range list {
			try(what, fmt.Sprintf("https://%s:%d", host, port), "")
		}
	}
	for range 3 {
		try("rebinding", fmt.Sprintf("https://rebinding.hikyaku.test:%d", port), "")
	}
	try("plain http", plain.URL, "")
	redirecting := httptest.NewServer(http.RedirectHandler(plain.URL, http.StatusTemporaryRedirect))
	defer redirecting.Close()
	try("redirect", redirecting.URL, "127.0.0.1")
	figure(t, heard.Load() == 0 && refused == vectors && said == vectors && rebound.Load() > 1, "hosts of no provider, over the handler: connections made", "0, each refused and said so", "%d, %d of %d refused", heard.Load(), refused, vectors)

	_, _ = askAt(t, plain.URL, "127.0.0.1")
	_, _ = askAt(t, here.URL, "127.0.0.1")
	figure(t, heard.Load() > 1, "guard removed: the host is allowed, connections made", "must be some", "%d", heard.Load())
}

// askAt lets the handler ask for a Yappli token at an address, and returns the
// outcome and the log.
func askAt(t *testing.T, target, allowed string) (outcome, log string) {
	t.Helper()
	g := newRig(t, sandbox.Options{Seed: seed(), Records: 1}, awslocal.Options{})
	defer func() { _ = g.aws.Close() }()
	var out bytes.Buffer
	e := g.environ("shop", &out)
	e.HTTP = nil // the real transport, with its guard
	e.Vars["HIKYAKU_ALLOW_HOSTS"] = allowed
	f, err := refreshfn.New(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	c := g.sandboxes[providers.Yappli].Connection(target)
	g.connect("shop", c)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	answer, err := f.Invoke(ctx, []byte(`{"provider":"yappli"}`))
	var report tokenrefresh.Report
	if err != nil || json.Unmarshal(answer, &report) != nil || len(report.Results) != 1 {
		t.Fatalf("answer %s, %v", answer, err)
	}
	if strings.Contains(out.String(), c.ClientSecrets[0].Reveal()) || strings.Contains(out.String(), target) {
		t.Error("the log shows a secret or an address")
	}
	return string(report.Results[0].Outcome), out.String()
}
