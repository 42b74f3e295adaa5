package assisttencho_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/assisttencho"
	"hikyaku/pkg/providers/internal/canned"
)

// TestLists_Lies tells every lie about the list, read as a page and as a stream.
func TestLists_Lies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rows := `[{"serial_order_id":1,"name":"é"},{"serial_order_id":"2","name":"é"}]`
	for _, c := range []struct{ quirks, key, good string }{
		{`{}`, "", rows},
		{`{"envelope":"orders"}`, "orders", `{"orders":` + rows + `}`},
		{`{"envelope":"response.orders"}`, "response", `{"success":"ok","response":{"orders":` + rows + `}}`},
	} {
		client := func(h *http.Client) *assisttencho.Client {
			o := unpaced(h)
			o.Attempts, o.SpoolDir = 0, dir
			return assisttencho.New(providers.Fixed(providers.Token{BaseURL: base, Quirks: []byte(c.quirks)}), o)
		}
		canned.TestList(t, canned.List{Name: "page of " + c.quirks, Key: c.key, Good: c.good, Read: func(ctx context.Context, h *http.Client) (jsonscan.List, error) {
			return client(h).ReadOrders(ctx, assisttencho.OrdersQuery{})
		}})
		canned.TestList(t, canned.List{Name: "stream of " + c.quirks, Key: c.key, Good: c.good, Read: func(ctx context.Context, h *http.Client) (jsonscan.List, error) {
			stream, err := client(h).StreamOrders(ctx, assisttencho.OrdersQuery{})
			if err != nil {
				return jsonscan.List{}, err
			}
			list, err := stream.Next()
			return list, errors.Join(err, stream.Close())
		}})
	}
}

// What names the credential is no moment of weakness, in a list either.
func TestLists_Credential(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]error{
		loginPage: providers.ErrUnauthorized, "\xef\xbb\xbf " + loginPage: providers.ErrUnauthorized, `{"error":"invalid_token"}`: providers.ErrUnauthorized,
		`{"error":"insufficient_scope"}`: providers.ErrForbidden, `<html>maintenance</html>`: providers.ErrMalformed, `{"error":"x"}`: providers.ErrMalformed,
	} {
		client := clientOf(&canned.Transport{Body: body}, "")
		_, pageErr := client.ReadOrders(t.Context(), assisttencho.OrdersQuery{})
		_, streamErr := client.StreamOrders(t.Context(), assisttencho.OrdersQuery{})
		if !errors.Is(pageErr, want) || !errors.Is(streamErr, want) {
			t.Errorf("%s: %v, %v", body, pageErr, streamErr)
		}
	}
}

// The error says how to name the list's place.
func TestLists_SaysHowToNameTheList(t *testing.T) {
	t.Parallel()
	_, err := clientOf(&canned.Transport{Body: `{"orders":[{"serial_order_id":1}]}`}, "").ReadOrders(t.Context(), assisttencho.OrdersQuery{})
	if err == nil || !strings.Contains(err.Error(), "found an object in place of the list; the quirks envelope and empty say what the shop answers") {
		t.Error(err)
	}
}

// A whole shop in one answer comes in pieces, in its order.
func TestStreamOrders(t *testing.T) {
	t.Parallel()
	var rows []string
	for n := range 5000 {
		rows = append(rows, fmt.Sprintf(`{"serial_order_id":%d,"memo":"%s"}`, n+1, strings.Repeat("御祝", 100)))
	}
	body := `{"response":{"orders":[` + strings.Join(rows, " , ") + `]},"success":"ok"}`
	client := clientOf(&canned.Transport{Body: body}, `{"envelope":"response.orders"}`)
	stream, err := client.StreamOrders(t.Context(), assisttencho.OrdersQuery{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		list, err := stream.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || list.Shape != "response.orders" || len(list.Records) > 1000 {
			t.Fatalf("%d records of shape %q, %v", len(list.Records), list.Shape, err)
		}
		for _, r := range list.Records {
			got = append(got, string(list.Bytes(r)))
		}
	}
	if strings.Join(got, "\n") != strings.Join(rows, "\n") {
		t.Errorf("%d of %d orders, or other bytes", len(got), len(rows))
	}
	if err := stream.Close(); err != nil {
		t.Error(err)
	}
	if n := len(ids(t, client.Orders(t.Context(), assisttencho.OrdersQuery{}))); n != len(rows) {
		t.Errorf("%d orders by the iterator", n)
	}
}
