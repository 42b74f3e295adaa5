package shopline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"hikyaku/pkg/providers"
)

// Money is an exact amount. Cents counts hundredths of a dollar, or dollars
// where the currency has no smaller unit (TWD, JPY). Null reads as the zero
// Money, which has no Currency.
type Money struct {
	Cents    int64
	Currency string // ISO 4217, such as TWD
	Label    string // as the shop shows it, such as NT$1,240; may be empty
}

// UnmarshalJSON reads the documented object. Its dollars, a float, are
// ignored. Cents that are no whole number are refused rather than rounded.
func (m *Money) UnmarshalJSON(b []byte) error {
	var d struct {
		Cents    providers.Text `json:"cents"`
		Currency providers.Text `json:"currency_iso"`
		Label    providers.Text `json:"label"`
	}
	if err := json.Unmarshal(b, &d); err != nil {
		return err
	}
	cents, err := wholeNumber(string(d.Cents))
	*m = Money{Cents: cents, Currency: string(d.Currency), Label: string(d.Label)}
	return err
}

// wholeNumber reads 5, 5.0 and 5e2; empty is 0.
func wholeNumber(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, fmt.Errorf("%w: an amount of money is no whole number of cents", providers.ErrInvalid)
	}
	return int64(f), nil
}

// Translations are a text by locale: en, zh-hant, zh-cn, vi, ms, ja, th, id,
// de, fr. Any may be missing. A text that stands alone has the locale "".
type Translations map[string]string

// UnmarshalJSON reads an object, null, or a text.
func (t *Translations) UnmarshalJSON(b []byte) error {
	*t = nil
	var plain providers.Text
	if json.Unmarshal(b, &plain) == nil {
		if plain != "" {
			*t = Translations{"": string(plain)}
		}
		return nil
	}
	var texts map[string]providers.Text
	if err := json.Unmarshal(b, &texts); err != nil {
		return err
	}
	*t = make(Translations, len(texts))
	for locale, text := range texts {
		(*t)[locale] = string(text)
	}
	return nil
}

// In returns the text in the first of the locales that has one, or "".
func (t Translations) In(locales ...string) string {
	for _, locale := range locales {
		if text := t[locale]; text != "" {
			return text
		}
	}
	return ""
}

// OneOrMany is a list that SHOPLINE also sends as the only element itself.
type OneOrMany[T any] []T

// UnmarshalJSON reads an array, one element, or null.
func (l *OneOrMany[T]) UnmarshalJSON(b []byte) error {
	*l = nil
	switch b = bytes.TrimSpace(b); {
	case bytes.Equal(b, []byte("null")):
		return nil
	case len(b) > 0 && b[0] == '[':
		return json.Unmarshal(b, (*[]T)(l))
	}
	var one T
	if err := json.Unmarshal(b, &one); err != nil {
		return err
	}
	*l = OneOrMany[T]{one}
	return nil
}

// Time is an instant. Null and "" read as the zero Time.
type Time struct{ time.Time }

// UnmarshalJSON reads RFC 3339 with any fraction, and the form of the time
// parameters, which is UTC.
func (t *Time) UnmarshalJSON(b []byte) error {
	*t = Time{}
	var text providers.Text
	if err := json.Unmarshal(b, &text); err != nil || text == "" {
		return err
	}
	for _, layout := range []string{time.RFC3339Nano, parameterTime} {
		if at, err := time.Parse(layout, string(text)); err == nil {
			t.Time = at.UTC()
			return nil
		}
	}
	return fmt.Errorf("%w: a time is neither RFC 3339 nor %s", providers.ErrInvalid, parameterTime)
}

// An Address is a delivery address.
type Address struct {
	CountryCode           providers.Text `json:"country_code"`
	Country               providers.Text `json:"country"`
	City                  providers.Text `json:"city"`
	District              providers.Text `json:"district"`
	State                 providers.Text `json:"state"`
	Postcode              providers.Text `json:"postcode"`
	Address1              providers.Text `json:"address_1"`
	Address2              providers.Text `json:"address_2"`
	RecipientName         providers.Text `json:"recipient_name"`
	RecipientPhone        providers.Text `json:"recipient_phone"`
	RecipientPhoneCountry providers.Text `json:"recipient_phone_country_code"`
	Remarks               providers.Text `json:"remarks"`
}

// A CustomField is a field that the merchant has added.
type CustomField struct {
	FieldID providers.Text  `json:"field_id"`
	Type    providers.Text  `json:"type"`
	Name    Translations    `json:"name_translations"`
	Value   json.RawMessage `json:"value"` // of any type
}
