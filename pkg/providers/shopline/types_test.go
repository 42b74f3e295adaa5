package shopline_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"
	"unicode/utf8"

	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/shopline"
)

func TestMoney(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]shopline.Money{
		`{"cents":1240,"currency_symbol":"NT$","currency_iso":"TWD","label":"NT$1,240","dollars":1240.0}`: {Cents: 1240, Currency: "TWD", Label: "NT$1,240"},
		`{"cents":1160,"currency_iso":"HKD","label":"","dollars":11.60}`:                                  {Cents: 1160, Currency: "HKD"},
		`{"cents":99999999900,"currency_iso":"HKD"}`:                                                      {Cents: 99_999_999_900, Currency: "HKD"},
		`{"cents":9223372036854775807}`:                                                                   {Cents: 1<<63 - 1},
		`{"cents":"-5","currency_iso":"TWD"}`:                                                             {Cents: -5, Currency: "TWD"},
		`{"cents":12.0}`:                                                                                  {Cents: 12},
		`{"cents":1e3}`:                                                                                   {Cents: 1000},
		`{"cents":9007199254740992.0}`:                                                                    {Cents: 1 << 53},
		`{"zh-hant":"宅配"}`:                                                                                {},
		`{"cents":null}`:                                                                                  {},
		`null`:                                                                                            {},
	} {
		got := shopline.Money{Cents: 1, Currency: "X"}
		if err := json.Unmarshal([]byte(in), &got); err != nil || got != want {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{`{"cents":12.5}`, `{"cents":1e17}`, `{"cents":-1e300}`, `{"cents":"many"}`} {
		var got shopline.Money
		if err := json.Unmarshal([]byte(in), &got); !errors.Is(err, providers.ErrInvalid) {
			t.Errorf("%s: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{`5`, `"5"`, `[]`, `{"cents":{}}`} {
		var got shopline.Money
		if err := json.Unmarshal([]byte(in), &got); err == nil {
			t.Errorf("%s: %+v", in, got)
		}
	}
}

func TestTranslations(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]shopline.Translations{
		`{"zh-hant":"轉帳","en":null,"ja":5}`: {"zh-hant": "轉帳", "en": "", "ja": "5"},
		`"plain"`:                           {"": "plain"},
		`""`:                                nil,
		`null`:                              nil,
		`{}`:                                {},
	} {
		got := shopline.Translations{"x": "y"}
		if err := json.Unmarshal([]byte(in), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %#v, %v", in, got, err)
		}
	}
	var got shopline.Translations
	if err := json.Unmarshal([]byte(`["a"]`), &got); err == nil {
		t.Errorf("an array: %v", got)
	}
	texts := shopline.Translations{"en": "a", "ja": "b", "th": ""}
	for want, locales := range map[string][]string{"a": {"th", "zh-hant", "en", "ja"}, "b": {"ja", "en"}, "": {"vi"}} {
		if got := texts.In(locales...); got != want {
			t.Errorf("in %v: %q", locales, got)
		}
	}
}

func TestOneOrMany(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]shopline.OneOrMany[int]{`[1,2]`: {1, 2}, `[ ]`: {}, `3`: {3}, `null`: nil} {
		got := shopline.OneOrMany[int]{9}
		if err := json.Unmarshal([]byte(in), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %#v, %v", in, got, err)
		}
	}
	for _, in := range []string{`"a"`, `["a"]`} {
		var got shopline.OneOrMany[int]
		if err := json.Unmarshal([]byte(in), &got); err == nil {
			t.Errorf("%s: %v", in, got)
		}
	}
}

func TestTime(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Time{
		`"2019-06-27T16:04:23.012+00:00"`: time.Date(2019, 6, 27, 16, 4, 23, 12e6, time.UTC),
		`"2019-06-28T00:04:23+08:00"`:     time.Date(2019, 6, 27, 16, 4, 23, 0, time.UTC),
		`"2019-06-27 16:04:23"`:           time.Date(2019, 6, 27, 16, 4, 23, 0, time.UTC),
		`""`:                              {},
		`null`:                            {},
	} {
		got := shopline.Time{Time: time.Now()}
		if err := json.Unmarshal([]byte(in), &got); err != nil || got.Time != want {
			t.Errorf("%s: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{`"yesterday"`, `"2019-06-27"`, `5`} {
		var got shopline.Time
		if err := json.Unmarshal([]byte(in), &got); !errors.Is(err, providers.ErrInvalid) {
			t.Errorf("%s: %v, %v", in, got, err)
		}
	}
}

// Any order and customer either decodes, or fails with an error; re-reading a
// page of one finds the same record.
func FuzzOrder(f *testing.F) {
	for _, example := range []string{orderExample, `{"items":[]}`, `{"id":"1","customer_info":[{}],"child_products":{}}`, `{"id":1,"total":{"cents":1e400}}`, "\xff"} {
		f.Add([]byte(example))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var o shopline.Order
		if !utf8.Valid(raw) || json.Unmarshal(raw, &o) != nil || o.ID == "" {
			return
		}
		page := fmt.Appendf(nil, `{"items":[%s],"pagination":{}}`, raw)
		client := shopline.New(providers.Fixed(providers.Token{BaseURL: base}), unpaced(answering(200, string(page))))
		for got, err := range client.Orders(ctx, shopline.OrdersQuery{}) {
			if err != nil || !reflect.DeepEqual(got, o) {
				t.Fatalf("%+v, %v; want %+v", got, err, o)
			}
			return
		}
		t.Error("the page has no order")
	})
}

func FuzzCustomer(f *testing.F) {
	for _, example := range []string{customerExample, `{"membership_tier":{},"delivery_addresses":{}}`, `{"birth_year":"1990","is_member":1}`, `null`} {
		f.Add([]byte(example))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		client := shopline.New(providers.Fixed(providers.Token{BaseURL: base}), unpaced(answering(200, string(raw))))
		got, err := client.Customer(ctx, "1")
		var want shopline.Customer
		switch valid := utf8.Valid(raw) && json.Unmarshal(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")), &want) == nil; {
		case valid && (err != nil || !reflect.DeepEqual(got, want)):
			t.Errorf("%+v, %v; want %+v", got, err, want)
		case !valid && !errors.Is(err, providers.ErrInvalid):
			t.Errorf("%v", err)
		}
	})
}

// FuzzQuirks: any text in place of the quirks is read or refused, and never
// changes what is sent silently.
func FuzzQuirks(f *testing.F) {
	for _, example := range []string{``, `{}`, `{"per_page":5}`, `{"per_page":-5}`, `{"handle":"x"}`, `{"token_body":"form"}`, `{"other":1}`} {
		f.Add(example)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		token := providers.Token{BaseURL: base, Quirks: []byte(raw)}
		client := shopline.New(providers.Fixed(token), unpaced(answering(200, `{"items":[]}`)))
		if _, err := client.ReadCustomers(ctx, shopline.CustomersQuery{}); err != nil && !errors.Is(err, providers.ErrInvalid) {
			t.Error(err)
		}
	})
}
