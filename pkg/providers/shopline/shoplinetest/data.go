package shoplinetest

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// The kinds of record, as they stand in invented ids.
const (
	kindCustomer = 0x0c
	kindOrder    = 0x0d
	kindPart     = 0x0e // deliveries, lines, products
)

// objectID makes an id that, as MongoDB's do, begins with the second of its
// creation, so that ids sort by time.
func objectID(at time.Time, kind byte, n int) string {
	var b [12]byte
	binary.BigEndian.PutUint32(b[8:], uint32(n))
	binary.BigEndian.PutUint32(b[:], uint32(at.Unix()))
	b[8] = kind
	return hex.EncodeToString(b[:])
}

// A stamp is a time as SHOPLINE writes it: 2019-06-27T16:04:23.012+00:00.
type stamp struct{ time time.Time }

func at(t time.Time) *stamp { return &stamp{t} }

// MarshalText writes milliseconds and an offset.
func (t *stamp) MarshalText() ([]byte, error) {
	return []byte(t.time.UTC().Format("2006-01-02T15:04:05.000-07:00")), nil
}

// UnmarshalText leaves a time that it cannot read out of the index.
func (t *stamp) UnmarshalText(b []byte) error {
	t.time, _ = time.Parse(time.RFC3339Nano, string(b))
	return nil
}

// milliseconds is 0 for a missing time.
func (t *stamp) milliseconds() int64 {
	if t == nil || t.time.IsZero() {
		return 0
	}
	return t.time.UnixMilli()
}

type money struct {
	Cents    int64           `json:"cents"`
	Symbol   string          `json:"currency_symbol"`
	Currency string          `json:"currency_iso"`
	Label    string          `json:"label"`
	Dollars  json.RawMessage `json:"dollars"` // with a point even if whole, as Ruby writes it
}

// amount makes money of a country's currency from its smallest unit.
func amount(country string, cents int64) money {
	if country == "HK" {
		return money{cents, "HK$", "HKD", "HK$" + grouped(cents/100) + fmt.Sprintf(".%02d", cents%100), float(float64(cents) / 100)}
	}
	return money{cents, "NT$", "TWD", "NT$" + grouped(cents), float(float64(cents))}
}

func float(f float64) json.RawMessage {
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return json.RawMessage(s)
}

func grouped(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10)
	}
	return grouped(n/1000) + fmt.Sprintf(",%03d", n%1000)
}

type translations map[string]string

type address struct {
	CountryCode    string `json:"country_code"`
	Country        string `json:"country"`
	City           string `json:"city"`
	District       string `json:"district"`
	State          string `json:"state"`
	Postcode       string `json:"postcode"`
	Address1       string `json:"address_1"`
	Address2       string `json:"address_2"`
	RecipientName  string `json:"recipient_name"`
	RecipientPhone string `json:"recipient_phone"`
	PhoneCountry   string `json:"recipient_phone_country_code"`
	Remarks        string `json:"remarks"`
}

var callingCodes = map[string]string{"TW": "886", "HK": "852"}

func addressOf(p sandbox.Person) address {
	a := address{CountryCode: p.Country, Country: "臺灣", Postcode: "000", Address1: p.Address, RecipientName: p.Name(), RecipientPhone: p.Phone, PhoneCountry: callingCodes[p.Country]}
	if p.Country == "HK" {
		a.Country, a.Postcode = "香港", ""
	}
	return a
}

type customer struct {
	ID               string          `json:"id"`
	Name             string          `json:"name"`
	Email            string          `json:"email"`
	Gender           string          `json:"gender"`
	BirthYear        int             `json:"birth_year"`
	BirthMonth       int             `json:"birth_month"`
	BirthDay         int             `json:"birth_day"`
	Birthday         string          `json:"birthday"`
	Phones           []string        `json:"phones"`
	Phone            *string         `json:"phone"` // hidden, for the mobile is confirmed
	MobilePhone      string          `json:"mobile_phone"`
	CallingCode      string          `json:"mobile_phone_country_calling_code"`
	MobileVerified   bool            `json:"mobile_phone_verified"`
	LocaleCode       string          `json:"locale_code"`
	OrderCount       int             `json:"order_count"`
	OrdersTotal      money           `json:"orders_total_sum"`
	IsMember         bool            `json:"is_member"`
	IsBlacklisted    bool            `json:"is_blacklisted"`
	AcceptsMarketing bool            `json:"is_subscribed_marketing_email"`
	CreditBalance    int             `json:"credit_balance"`
	Points           int             `json:"member_point_balance"`
	CustomData       []string        `json:"custom_data"`
	MembershipTier   *membershipTier `json:"membership_tier"`
	Addresses        []address       `json:"delivery_addresses"`
	Tags             []string        `json:"tags"`
	RefUserID        *string         `json:"ref_user_id"`
	LineID           *string         `json:"line_id"`
	CreatedBy        string          `json:"created_by"`
	CreatedAt        *stamp          `json:"created_at"`
	UpdatedAt        *stamp          `json:"updated_at"`
	RegisteredAt     *stamp          `json:"registered_at"`
}

type membershipTier struct {
	ID     string       `json:"id"`
	Level  int          `json:"level"`
	Name   translations `json:"name_translations"`
	Status string       `json:"status"`
}

// person invents the n-th customer; its id is that of the customer too.
func person(seed uint64, n int) (sandbox.Person, string) {
	p := sandbox.NewPerson(seed, n, "TW", "TW", "HK")
	p.CreatedAt = p.CreatedAt.Add(time.Duration(n%1000) * time.Millisecond)
	return p, objectID(p.CreatedAt, kindCustomer, n)
}

// touched is when the n-th customer was last changed.
func touched(p sandbox.Person, n int) *stamp {
	return at(p.CreatedAt.Add(time.Duration(n%50) * time.Hour))
}

// customerIndex is the index of the n-th customer, without the rest of it.
func customerIndex(seed uint64, n int) index {
	p, id := person(seed, n)
	i := index{id: id}
	i.times[created], i.times[updated] = at(p.CreatedAt).milliseconds(), touched(p, n).milliseconds()
	return i
}

func newCustomer(seed uint64, n int) customer {
	p, id := person(seed, n)
	born, _ := time.Parse(time.DateOnly, p.Birthday)
	c := customer{
		ID: id, Name: p.Name(), Email: p.Email, Gender: "male", Birthday: p.Birthday,
		BirthYear: born.Year(), BirthMonth: int(born.Month()), BirthDay: born.Day(), Phones: []string{},
		MobilePhone: strings.NewReplacer("-", "", " ", "").Replace(p.Phone), CallingCode: callingCodes[p.Country],
		MobileVerified: true, LocaleCode: "zh-hant", OrderCount: 1, OrdersTotal: newOrder(seed, n).Total,
		IsMember: true, IsBlacklisted: n%97 == 96, AcceptsMarketing: n%3 != 0, CreditBalance: 50 * (n % 5), Points: n % 300,
		CustomData: []string{}, Addresses: []address{addressOf(p)}, Tags: []string{}, CreatedBy: "shop",
		CreatedAt: at(p.CreatedAt), UpdatedAt: touched(p, n), RegisteredAt: at(p.CreatedAt),
	}
	if p.Female {
		c.Gender = "female"
	}
	if n%5 == 0 {
		line := fmt.Sprintf("U%032x", n)
		c.LineID = &line
	}
	if n%4 == 0 {
		ref := fmt.Sprintf("M%07d", n)
		c.RefUserID, c.Tags = &ref, []string{"vip", "老客戶"}
		c.MembershipTier = &membershipTier{ID: objectID(sandbox.Epoch, kindPart, 1), Level: 1, Name: translations{"zh-hant": "金卡會員", "en": "Gold"}, Status: "active"}
	}
	return c
}
