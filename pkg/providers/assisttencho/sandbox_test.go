package assisttencho_test

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/assisttencho"
	"hikyaku/pkg/providers/assisttencho/assisttenchotest"
	"hikyaku/pkg/providers/sandbox"
)

// Orders inserted and deleted between two pages shift the later ones, as they
// do at a real shop.
func TestOrdersShiftBetweenPages(t *testing.T) {
	t.Parallel()
	for name, paging := range map[string]assisttencho.Paging{
		"offset": {Style: assisttencho.PagingOffset, Size: 3}, "page": {Style: assisttencho.PagingPage, Size: 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var pages []int
			s, client := newShop(6, func(s *assisttenchotest.Server) {
				s.Quirks.Paging = paging
				s.BetweenPages = func(page int) {
					pages = append(pages, page)
					if page == 2 && (!s.Delete(1) || s.Insert(map[string]any{"total": 1}) != 7 || !s.Update(6, map[string]any{"total": 2})) {
						t.Error("the changes by hand failed")
					}
				}
			})
			want := []string{"1", "2", "3", "5", "6", "7"} // 4 has moved to the page that was read
			if got := ids(t, client.Orders(t.Context(), assisttencho.OrdersQuery{})); !slices.Equal(got, want) {
				t.Errorf("orders %v; want %v", got, want)
			}
			if !slices.Equal(pages, []int{2, 3}) {
				t.Errorf("between pages %v; want 2 and 3", pages)
			}
			if s.Delete(1) || s.Update(1, nil) {
				t.Error("a deleted order is still there")
			}
		})
	}
}

func TestDumpAndLoad(t *testing.T) {
	t.Parallel()
	s, client := newShop(60, nil)
	s.Update(3, map[string]any{"memo": "<変更>", "serial_order_id": 99})
	var dump bytes.Buffer
	if err := s.Dump(&dump); err != nil {
		t.Fatal(err)
	}
	var all struct{ Orders []json.RawMessage }
	if err := json.Unmarshal(dump.Bytes(), &all); err != nil {
		t.Fatal(err)
	}
	i := 0
	for o, err := range client.Orders(t.Context(), assisttencho.OrdersQuery{}) {
		var line bytes.Buffer
		if err != nil || json.Compact(&line, all.Orders[i]) != nil || line.String() != string(o.Raw) {
			t.Fatalf("order %d: listed %s, dumped %s, %v", i, o.Raw, line.String(), err)
		}
		i++
	}
	if i != 60 || len(all.Orders) != 60 {
		t.Fatalf("%d listed, %d dumped", i, len(all.Orders))
	}

	other := assisttenchotest.New(sandbox.Options{Seed: 8, Records: -1})
	if err := other.Load(bytes.NewReader(dump.Bytes())); err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if err := other.Dump(&again); err != nil || again.String() != dump.String() {
		t.Errorf("a dump that was loaded differs: %v", err)
	}
	if id := other.Insert(nil); id != 61 {
		t.Errorf("the next order has number %d; want 61", id)
	}
	for _, bad := range []string{`{`, `{"orders":[{}]}`, `{"orders":[{"serial_order_id":1},{"serial_order_id":1}]}`, `{"orders":[{"serial_order_id":"x"}]}`} {
		if err := other.Load(strings.NewReader(bad)); err == nil {
			t.Errorf("%s was loaded", bad)
		}
	}
	if err := other.Load(strings.NewReader(`{"orders":[]}`)); err != nil || other.Insert(nil) != 1 {
		t.Errorf("loading no orders: %v", err)
	}
}

func TestSandboxesOfOneSeedAreEqual(t *testing.T) {
	t.Parallel()
	dump := func(seed uint64) string {
		var b bytes.Buffer
		if err := assisttenchotest.New(sandbox.Options{Seed: seed}).Dump(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	if first, again := dump(1), dump(1); first != again || first == dump(2) {
		t.Error("data must follow from the seed alone")
	}
	if n := strings.Count(dump(1), "serial_order_id"); n != 120 {
		t.Errorf("%d orders; want 120", n)
	}
}

func TestSandboxRefusals(t *testing.T) {
	t.Parallel()
	s, _ := newShop(9, func(s *assisttenchotest.Server) { s.Quirks.ListParameters = map[string]string{"from": "2026-01-01"} })
	token := s.Token(base).Credential.Reveal()
	for name, c := range map[string]struct {
		line   string
		status int
	}{
		"list":                    {"GET /api/v1/orders.php?from=2026-01-01", 200},
		"without its parameter":   {"GET /api/v1/orders.php", 400},
		"page too large":          {"GET /api/v1/orders.php?from=x&limit=51", 400},
		"page of none":            {"GET /api/v1/orders.php?from=x&limit=0", 400},
		"before the start":        {"GET /api/v1/orders.php?from=x&offset=-1", 400},
		"past the end":            {"GET /api/v1/orders.php?from=x&offset=100", 200},
		"another method":          {"PATCH /api/v1/orders.php", 404},
		"another address":         {"GET /api/v2/orders.php", 404},
		"token in the query only": {"POST /api/oauth/token.php?client_id=assist-client", 400},
	} {
		t.Run(name, func(t *testing.T) {
			raw := c.line + " HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + token + "\r\n\r\n"
			if answer := replay(t, s, raw); answer.StatusCode != c.status {
				t.Errorf("status %d; want %d", answer.StatusCode, c.status)
			}
		})
	}
	if answer := replay(t, s, "GET /api/v1/orders.php?from=x HTTP/1.1\r\nHost: a\r\nAuthorization: Basic "+token+"\r\n\r\n"); answer.StatusCode != 401 {
		t.Errorf("another scheme: status %d; want 401", answer.StatusCode)
	}
}

func TestSandboxUnderAPath(t *testing.T) {
	t.Parallel()
	s, _ := newShop(9, func(s *assisttenchotest.Server) { s.BasePath = "/shop01" })
	for path, status := range map[string]int{"/shop01/api/v1/orders.php": 401, "/api/v1/orders.php": 404, "/shop012/api/v1/orders.php": 404} {
		if answer := replay(t, s, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n"); answer.StatusCode != status {
			t.Errorf("%s: status %d; want %d", path, answer.StatusCode, status)
		}
	}
}

// The same over a real connection, the way the demo runs: from the code to the
// last order, under a base URL that carries a path.
func TestOverASocket(t *testing.T) {
	t.Parallel()
	s := assisttenchotest.New(sandbox.Options{Rate: -1})
	s.BasePath = "/shop01"
	server := httptest.NewServer(s)
	defer server.Close()
	connection := s.Connection(server.URL)
	authority := assisttencho.NewAuthority(unpaced(nil))
	grant, err := authority.Obtain(t.Context(), connection, connection.ClientSecrets[0], connection.Code, true)
	if err != nil {
		t.Fatal(err)
	}
	token := providers.Token{BaseURL: connection.BaseURL, Credential: grant.Access, Quirks: connection.Quirks}
	if err := authority.Probe(t.Context(), connection, token); err != nil {
		t.Error(err)
	}
	client := assisttencho.New(providers.Fixed(token), unpaced(nil))
	if got := ids(t, client.Orders(t.Context(), assisttencho.OrdersQuery{})); !slices.Equal(got, numbers(1, 120)) {
		t.Errorf("orders %v", got)
	}
	if n := s.Count("GET /api/v1/orders.php"); n != 5 { // the probe, three pages, the empty one
		t.Errorf("%d reads; want 5", n)
	}
}

func TestSandboxWithUnreadableQuirks(t *testing.T) {
	t.Parallel()
	s, _ := newShop(9, nil)
	token := s.Token(base).Credential.Reveal()
	s.Quirks.Paging.Style = "cursor"
	if answer := replay(t, s, "GET /api/v1/orders.php?offset=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "+token+"\r\n\r\n"); answer.StatusCode != 500 {
		t.Errorf("status %d; want 500", answer.StatusCode)
	}
}
