package assisttencho_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/assisttencho"
	"hikyaku/pkg/providers/assisttencho/assisttenchotest"
	"hikyaku/pkg/providers/internal/canned"
	"hikyaku/pkg/providers/sandbox"
)

func ids(t *testing.T, orders func(yield func(assisttencho.Order, error) bool)) []string {
	t.Helper()
	var all []string
	for o, err := range orders {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(o.SerialOrderID))
	}
	return all
}

func numbers(from, to int) []string {
	var all []string
	for i := from; i <= to; i++ {
		all = append(all, fmt.Sprint(i))
	}
	return all
}

func TestOrdersInEveryStyle(t *testing.T) {
	t.Parallel()
	zero := 0
	for name, c := range map[string]struct {
		quirks   assisttencho.Quirks
		query    assisttencho.OrdersQuery
		want     []string
		requests []string // queries, in order
	}{
		"none": {
			assisttencho.Quirks{}, assisttencho.OrdersQuery{}, numbers(1, 7), []string{""}},
		"none, spelled out": {
			assisttencho.Quirks{Paging: assisttencho.Paging{Style: assisttencho.PagingNone, Size: 3}}, assisttencho.OrdersQuery{Limit: 3, Page: 1}, numbers(1, 7), []string{""}},
		"offset": {
			assisttencho.Quirks{Paging: assisttencho.Paging{Style: assisttencho.PagingOffset, Size: 3}}, assisttencho.OrdersQuery{}, numbers(1, 7),
			[]string{"limit=3&offset=0", "limit=3&offset=3", "limit=3&offset=6", "limit=3&offset=7"}},
		"offset, from the middle": {
			assisttencho.Quirks{Paging: assisttencho.Paging{Style: assisttencho.PagingOffset}}, assisttencho.OrdersQuery{Offset: 2, Limit: 4}, numbers(3, 7),
			[]string{"limit=4&offset=2", "limit=4&offset=6", "limit=4&offset=7"}},
		"page": {
			assisttencho.Quirks{Paging: assisttencho.Paging{Style: assisttencho.PagingPage, Size: 4}, Envelope: "response.orders"}, assisttencho.OrdersQuery{}, numbers(1, 7),
			[]string{"limit=4&page=1", "limit=4&page=2", "limit=4&page=3"}},
		"page, from zero, other names": {
			assisttencho.Quirks{Paging: assisttencho.Paging{Style: assisttencho.PagingPage, Size: 4, FirstPage: &zero, PageParameter: "p", SizeParameter: "n"}},
			assisttencho.OrdersQuery{Page: 2}, numbers(5, 7), []string{"n=4&p=1", "n=4&p=2"}},
		"offset, other name, parameters": {
			assisttencho.Quirks{Paging: assisttencho.Paging{Style: assisttencho.PagingOffset, Size: 500, OffsetParameter: "start"}, ListParameters: map[string]string{"from": "2026-01-01", "sort": "id"}},
			assisttencho.OrdersQuery{Parameters: url.Values{"sort": {"date"}}}, numbers(1, 7),
			[]string{"from=2026-01-01&limit=500&sort=date&start=0", "from=2026-01-01&limit=500&sort=date&start=7"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests []string
			s := assisttenchotest.New(sandbox.Options{Seed: 7, Records: 7, Rate: -1})
			s.Quirks = c.quirks
			client := assisttencho.New(providers.Fixed(s.Token(base)), unpaced(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				requests = append(requests, r.URL.RawQuery)
				return s.Client().Transport.RoundTrip(r)
			})}))
			if got := ids(t, client.Orders(t.Context(), c.query)); !slices.Equal(got, c.want) {
				t.Errorf("orders %v; want %v", got, c.want)
			}
			if !slices.Equal(requests, c.requests) {
				t.Errorf("asked for %q; want %q", requests, c.requests)
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestOrdersStopEarly(t *testing.T) {
	t.Parallel()
	s, client := newShop(120, nil)
	for o, err := range client.Orders(t.Context(), assisttencho.OrdersQuery{}) {
		if err != nil || o.SerialOrderID != "1" {
			t.Errorf("first order %q, %v", o.SerialOrderID, err)
		}
		break
	}
	if n := s.Count("GET /api/v1/orders.php"); n != 1 {
		t.Errorf("%d requests; want 1", n)
	}
}

func TestOrdersIgnoredPaging(t *testing.T) {
	t.Parallel()
	_, client := newShop(120, func(s *assisttenchotest.Server) { s.IgnorePaging = true })
	n, failed := 0, error(nil)
	for _, err := range client.Orders(t.Context(), assisttencho.OrdersQuery{}) {
		if failed = err; err == nil {
			n++
		}
	}
	if n != 50 || !errors.Is(failed, providers.ErrInvalid) {
		t.Errorf("%d orders, %v; want one page and ErrInvalid", n, failed)
	}
}

// What counts as no order is what the quirk empty names, in the place that the
// quirk envelope names, and an empty array there.
func TestOrdersEmptyForms(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		quirks, body string
		empty        bool
	}{
		{`{}`, `[]`, true},
		{`{}`, `null`, false},
		{`{}`, `{}`, false},
		{`{}`, `{"orders":[]}`, false},
		{`{"empty":"null"}`, `null`, true},
		{`{"empty":"null"}`, `[]`, true},
		{`{"empty":"null"}`, `{}`, false},
		{`{"empty":"{}"}`, ` { } `, true},
		{`{"empty":"{}"}`, `null`, false},
		{`{"empty":"{}"}`, `{"error":"x"}`, false},
		{`{"envelope":"orders"}`, `{"orders":[]}`, true},
		{`{"envelope":"orders"}`, `{"orders":null,"error":"x"}`, false},
		{`{"envelope":"orders"}`, `{"orders":{}}`, false},
		{`{"envelope":"orders"}`, `[]`, false},
		{`{"envelope":"orders","empty":"null"}`, `{"orders":null}`, true},
		{`{"envelope":"orders","empty":"null"}`, `{"orders":null,"status":"error"}`, false},
		{`{"envelope":"orders","empty":"{}"}`, `{"orders":{}}`, true},
		{`{"envelope":"response.orders"}`, `{"success":"ok","response":{"orders":[]}}`, true},
		{`{"envelope":"response.orders"}`, `{"success":"ng","response":{"orders":[]}}`, false},
		{`{"envelope":"response.orders","empty":"null"}`, `{"response":null}`, false},
	} {
		list, err := clientOf(&canned.Transport{Body: c.body}, c.quirks).ReadOrders(t.Context(), assisttencho.OrdersQuery{})
		if c.empty != (err == nil) || len(list.Records) != 0 || list.Null || err != nil && !errors.Is(err, providers.ErrMalformed) {
			t.Errorf("%s with %s: %+v, %v", c.body, c.quirks, list, err)
		}
	}
}

func TestReadOrdersRefusesBadRanges(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		quirks string
		query  assisttencho.OrdersQuery
		ok     bool
	}{
		"second page of none":    {`{}`, assisttencho.OrdersQuery{Page: 2}, false},
		"offset of none":         {`{}`, assisttencho.OrdersQuery{Offset: 1}, false},
		"negative page":          {`{"paging":{"style":"page"}}`, assisttencho.OrdersQuery{Page: -1}, false},
		"negative offset":        {`{"paging":{"style":"offset"}}`, assisttencho.OrdersQuery{Offset: -1}, false},
		"negative limit":         {`{"paging":{"style":"offset"}}`, assisttencho.OrdersQuery{Limit: -1}, false},
		"limit 501":              {`{"paging":{"style":"offset"}}`, assisttencho.OrdersQuery{Limit: 501}, false},
		"limit 500":              {`{"paging":{"style":"offset"}}`, assisttencho.OrdersQuery{Limit: 500}, true},
		"limit above the shop's": {`{"paging":{"style":"offset","size":20}}`, assisttencho.OrdersQuery{Limit: 21}, false},
		"limit of the shop":      {`{"paging":{"style":"offset","size":20}}`, assisttencho.OrdersQuery{Limit: 20}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transport := &canned.Transport{Body: ` [ {"serial_order_id": 1} ] `}
			list, err := clientOf(transport, c.quirks).ReadOrders(t.Context(), c.query)
			if c.ok != (err == nil) || c.ok != (transport.Sent != nil) || !c.ok && !errors.Is(err, providers.ErrInvalid) {
				t.Errorf("error %v, sent %t", err, transport.Sent != nil)
			}
			if c.ok && string(list.Bytes(list.Records[0])) != `{"serial_order_id":1}` {
				t.Errorf("%+v; want the provider's own bytes", list)
			}
		})
	}
}

func TestParseQuirks(t *testing.T) {
	t.Parallel()
	q, err := assisttencho.ParseQuirks(nil)
	if err != nil || q.Paging.Style != assisttencho.PagingNone || q.Paging.Size != 500 || *q.Paging.FirstPage != 1 ||
		q.Paging.PageParameter != "page" || q.Paging.OffsetParameter != "offset" || q.Paging.SizeParameter != "limit" {
		t.Errorf("defaults: %+v, %v", q, err)
	}
	q, err = assisttencho.ParseQuirks([]byte(`{"paging":{"style":"page","page_parameter":"a","offset_parameter":"b","size_parameter":"c","first_page":0,"size":500}}`))
	if err != nil || q.Paging.PageParameter != "a" || q.Paging.OffsetParameter != "b" || q.Paging.SizeParameter != "c" || *q.Paging.FirstPage != 0 {
		t.Errorf("given: %+v, %v", q, err)
	}
	for _, bad := range []string{`{"paging":{"style":"cursor"}}`, `{"paging":{"size":501}}`, `{"paging":{"size":-1}}`, `{"pagging":{}}`, `{"empty":"none"}`, `{"envelope":"a..b"}`, `{"envelope":"."}`, `{} {}`, `[`, `{"scope":1}`} {
		if _, err := assisttencho.ParseQuirks([]byte(bad)); !errors.Is(err, providers.ErrInvalid) {
			t.Errorf("%s: %v; want ErrInvalid", bad, err)
		}
	}
}

func TestGetOrder(t *testing.T) {
	t.Parallel()
	for name, configure := range map[string]func(*assisttenchotest.Server){
		"list of one":        nil,
		"bare object":        func(s *assisttenchotest.Server) { s.Bare = true },
		"found by shape":     func(s *assisttenchotest.Server) { s.Quirks.Envelope = "" },
		"not found with 404": func(s *assisttenchotest.Server) { s.NotFound = true },
		"path in base":       func(s *assisttenchotest.Server) { s.BasePath = "/shop01" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, client := newShop(9, configure)
			o, err := client.GetOrder(t.Context(), "5")
			var fields struct {
				Name  string `json:"customer_name"`
				Items []any  `json:"items"`
			}
			if err != nil || o.SerialOrderID != "5" || json.Unmarshal(o.Raw, &fields) != nil || fields.Name == "" || len(fields.Items) != 3 {
				t.Errorf("order %q, %v", o.SerialOrderID, err)
			}
			if _, err := client.GetOrder(t.Context(), "10"); !errors.Is(err, providers.ErrNotFound) {
				t.Errorf("an order that is not there: %v; want ErrNotFound", err)
			}
			if _, err := client.GetOrder(t.Context(), "abc"); !errors.Is(err, providers.ErrNotFound) {
				t.Errorf("a number that is none: %v; want ErrNotFound", err)
			}
		})
	}
}

func TestGetOrderChoosesByNumber(t *testing.T) {
	t.Parallel()
	for body, c := range map[string]struct {
		raw  string
		kind error
	}{
		`[{"serial_order_id":4},{"serial_order_id":"5","x":1}]`: {`{"serial_order_id":"5","x":1}`, nil},
		`[{"x":1}]`: {"", providers.ErrInvalid},
		`{"x":1}`:   {"", providers.ErrInvalid},
		`{"status":"error","errors":[{"code":"E401"}]}`: {"", providers.ErrInvalid},
		`[{"x":1},{"x":2}]`:                             {"", providers.ErrInvalid},
		`[{"serial_order_id":6}]`:                       {"", providers.ErrInvalid},
		`{"serial_order_id":"55"}`:                      {"", providers.ErrInvalid},
		`[]`:                                            {"", providers.ErrNotFound},
		`{"orders":[]}`:                                 {"", providers.ErrInvalid}, // of another envelope than the quirk's
		`null`:                                          {"", providers.ErrInvalid}, // but for the quirk empty
		`{}`:                                            {"", providers.ErrInvalid},
	} {
		transport := &canned.Transport{Body: body}
		o, err := clientOf(transport, "").GetOrder(t.Context(), "5")
		if string(o.Raw) != c.raw || !errors.Is(err, c.kind) {
			t.Errorf("%s: %s, %v; want %s, %v", body, o.Raw, err, c.raw, c.kind)
		}
	}
}

func TestEmptyNumbersAreRefused(t *testing.T) {
	t.Parallel()
	transport := &canned.Transport{}
	client := clientOf(transport, "")
	_, getErr := client.GetOrder(t.Context(), "")
	_, updateErr := client.UpdateOrder(t.Context(), "", map[string]any{})
	for _, err := range []error{getErr, updateErr, client.DeleteOrder(t.Context(), "")} {
		if !errors.Is(err, providers.ErrInvalid) {
			t.Errorf("got %v; want ErrInvalid", err)
		}
	}
	if transport.Sent != nil {
		t.Error("a call was made")
	}
}

func TestWriteOrders(t *testing.T) {
	t.Parallel()
	s, client := newShop(3, nil)
	created, err := client.CreateOrder(t.Context(), map[string]any{"customer_name": "𠮷田 花子", "memo": "<御祝> & \"のし\" 😀", "total": 1980})
	if err != nil || created.SerialOrderID != "4" {
		t.Fatalf("created %q, %v", created.SerialOrderID, err)
	}
	updated, err := client.UpdateOrder(t.Context(), "4", struct {
		Status string `json:"status"`
	}{"発送済み"})
	if err != nil || updated.SerialOrderID != "4" {
		t.Fatalf("updated %q, %v", updated.SerialOrderID, err)
	}
	got, err := client.GetOrder(t.Context(), "4")
	if want := `{"customer_name":"𠮷田 花子","memo":"<御祝> & \"のし\" 😀","serial_order_id":4,"status":"発送済み","total":1980}`; err != nil || string(got.Raw) != want {
		t.Errorf("got %s, %v; want %s", got.Raw, err, want)
	}
	if err := client.DeleteOrder(t.Context(), "4"); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"get": second(client.GetOrder(t.Context(), "4")), "update": second(client.UpdateOrder(t.Context(), "4", map[string]any{})),
		"delete": client.DeleteOrder(t.Context(), "4"),
	} {
		t.Run(name, func(t *testing.T) {
			if !errors.Is(err, providers.ErrNotFound) {
				t.Errorf("%s of a deleted order: %v; want ErrNotFound", name, err)
			}
		})
	}
	if _, err := client.CreateOrder(t.Context(), map[string]any{"serial_order_id": 1}); !errors.Is(err, providers.ErrInvalid) {
		t.Errorf("a number of one's own choice: %v; want ErrInvalid", err)
	}
	if calls := s.Calls(); calls[0].Route != "POST /api/v1/orders.php" || calls[1].Route != "PUT /api/v1/orders.php" || calls[3].Route != "DELETE /api/v1/orders.php" {
		t.Errorf("routes %v", calls)
	}
}

func second[T any](_ T, err error) error { return err }

// What a write answers is not documented; the order is written all the same.
func TestWriteAnswers(t *testing.T) {
	t.Parallel()
	for body, c := range map[string]struct {
		quirks, raw string
		kind        error
	}{
		``:                                    {"", "", nil},
		`{"result":"ok"}`:                     {"", "", nil},
		"\xef\xbb\xbf{\"serial_order_id\":1}": {"", `{"serial_order_id":1}`, nil},
		`{"orders":[{"serial_order_id":1}]}`:  {`{"envelope":"orders"}`, `{"serial_order_id":1}`, nil},
		`{"order":{"serial_order_id":1}}`:     {`{"envelope":"order"}`, `{"serial_order_id":1}`, nil},
		`{"result":"OK"}`:                     {`{"envelope":"orders"}`, "", nil},
		`[]`:                                  {"", "", nil},
		`"ok"`:                                {"", "", nil},
		`ok`:                                  {"", "", providers.ErrInvalid},
		`{"error":"duplicated"}`:              {"", "", providers.ErrInvalid},
	} {
		transport := &canned.Transport{Body: body}
		o, err := clientOf(transport, c.quirks).CreateOrder(t.Context(), map[string]any{"a": 1})
		if string(o.Raw) != c.raw || !errors.Is(err, c.kind) {
			t.Errorf("%s: %s, %v; want %s, %v", body, o.Raw, err, c.raw, c.kind)
		}
	}
}

// The sandbox refuses what the documents do not allow in a body.
func TestSandboxReadsOnlyASCII(t *testing.T) {
	t.Parallel()
	s, _ := newShop(3, nil)
	bearer := "Authorization: Bearer " + s.Token(base).Credential.Reveal() + "\r\n"
	for name, c := range map[string]struct {
		head, kind, body string
		status           int
	}{
		"escaped":        {"POST /api/v1/orders.php", "application/json", `{"a":"\u82b1"}`, 200},
		"raw Japanese":   {"POST /api/v1/orders.php", "application/json", `{"a":"花"}`, 400},
		"raw, PUT":       {"PUT /api/v1/orders.php?serial_order_id=1", "application/json", `{"a":"花"}`, 400},
		"escaped, PUT":   {"PUT /api/v1/orders.php?serial_order_id=1", "application/json; charset=utf-8", `{"a":"\ud842\udfb7"}`, 200},
		"number in body": {"PUT /api/v1/orders.php", "application/json", `{"serial_order_id":2}`, 200},
		"form":           {"POST /api/v1/orders.php", "application/x-www-form-urlencoded", `a=1`, 400},
		"no object":      {"POST /api/v1/orders.php", "application/json", `[]`, 400},
		"no JSON":        {"POST /api/v1/orders.php", "application/json", `{`, 400},
		"no body":        {"POST /api/v1/orders.php", "application/json", ``, 400},
	} {
		t.Run(name, func(t *testing.T) {
			raw := fmt.Sprintf("%s HTTP/1.1\r\nHost: a\r\n%sContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", c.head, bearer, c.kind, len(c.body), c.body)
			if answer := replay(t, s, raw); answer.StatusCode != c.status {
				t.Errorf("status %d; want %d", answer.StatusCode, c.status)
			}
		})
	}
}

func TestBodiesAreASCII(t *testing.T) {
	t.Parallel()
	transport := &canned.Transport{Body: "{}"}
	if _, err := clientOf(transport, "").CreateOrder(t.Context(), json.RawMessage("{\"é\":\"\\u00e9𠮷\\ud842 ~ｱ\u0080\uffff\"}")); err != nil {
		t.Fatal(err)
	}
	if want := `{"\u00e9":"\u00e9\ud842\udfb7\ud842 ~\uff71\u0080\uffff"}`; string(transport.Seen) != want {
		t.Errorf("sent %s; want %s", transport.Seen, want)
	}
	if kind := transport.Sent.Header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("Content-Type %q", kind)
	}
	for name, bad := range map[string]any{
		"an array": []int{1}, "null": nil, "a text": "x", "a channel": make(chan int), "not UTF-8": json.RawMessage("{\"a\":\"\xff\"}"),
	} {
		t.Run(name, func(t *testing.T) {
			transport := &canned.Transport{}
			if _, err := clientOf(transport, "").CreateOrder(t.Context(), bad); !errors.Is(err, providers.ErrInvalid) || transport.Sent != nil {
				t.Errorf("%v, sent %t; want ErrInvalid and no call", err, transport.Sent != nil)
			}
		})
	}
}

// With the defaults the client keeps to the sandbox's limit by itself: one
// request per second, none at the same time.
func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := assisttenchotest.New(sandbox.Options{Faults: sandbox.Faults{Latency: 1500 * time.Millisecond}})
		client := assisttencho.New(providers.Fixed(s.Token(base)), &providers.Options{HTTP: s.Client(), Attempts: 1})
		start := time.Now()
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if _, err := client.GetOrder(t.Context(), "1"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if took := time.Since(start); took != 4500*time.Millisecond {
			t.Errorf("three requests took %s; want 4.5s", took)
		}
	})
}

// Two clients do not know of each other, so the sandbox refuses one of them.
func TestSandboxRefusesParallelRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := assisttenchotest.New(sandbox.Options{Faults: sandbox.Faults{Latency: 5 * time.Second}})
		token := providers.Fixed(s.Token(base))
		go func() { _, _ = assisttencho.New(token, unpaced(s.Client())).GetOrder(t.Context(), "1") }()
		time.Sleep(2 * time.Second)
		if _, err := assisttencho.New(token, unpaced(s.Client())).GetOrder(t.Context(), "1"); !errors.Is(err, providers.ErrRateLimited) {
			t.Errorf("a parallel request: %v; want ErrRateLimited", err)
		}
		time.Sleep(5 * time.Second)
		if _, err := assisttencho.New(token, unpaced(s.Client())).GetOrder(t.Context(), "1"); err != nil {
			t.Errorf("a later request: %v", err)
		}
	})
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	_, client := newShop(3, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.GetOrder(ctx, "1"); !errors.Is(err, providers.ErrTemporary) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
