package shopline_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/seenfile"
	"hikyaku/pkg/providers/sandbox"
	"hikyaku/pkg/providers/shopline"
	"hikyaku/pkg/providers/shopline/shoplinetest"
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // the tests make much garbage and keep little
	code := m.Run()
	if err := seenfile.Write(providers.SHOPLINE); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

const base = "http://shopline.test"

// unhurried are the options of a client that calls shop in-process and is not
// paced, so that a test does not wait.
func unhurried(shop *shoplinetest.Server) *providers.Options {
	return &providers.Options{HTTP: shop.Client(), Limiter: rate.NewLimiter(rate.Inf, 1)}
}

// open returns a shop without a rate limit, and a client for it.
func open(records int) (*shoplinetest.Server, *shopline.Client) {
	shop := shoplinetest.New(sandbox.Options{Seed: 7, Records: records, Rate: -1})
	shop.StrictAgent = true
	return shop, shopline.New(providers.Fixed(shop.Token(base)), unhurried(shop))
}

func collect[T any](t *testing.T, records iter.Seq2[T, error]) []T {
	t.Helper()
	var all []T
	for record, err := range records {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, record)
	}
	return all
}

func ids[T any](records []T, id func(T) providers.Text) []string {
	var all []string
	for _, r := range records {
		all = append(all, string(id(r)))
	}
	return all
}

func customerID(c shopline.Customer) providers.Text { return c.ID }

func orderID(o shopline.Order) providers.Text { return o.ID }

func decode[T any](t *testing.T, body []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%v in %.200s", err, body)
	}
	return v
}

type dumped struct {
	Customers []json.RawMessage `json:"customers"`
	Orders    []json.RawMessage `json:"orders"`
}

func dump(t *testing.T, shop *shoplinetest.Server) dumped {
	t.Helper()
	var b strings.Builder
	if err := shop.Dump(&b); err != nil {
		t.Fatal(err)
	}
	return decode[dumped](t, []byte(b.String()))
}

func idOf(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	return decode[struct {
		ID string `json:"id"`
	}](t, raw).ID
}

var ctx = context.Background()

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t
}
