package shoplinetest

import (
	"encoding/json"
	"fmt"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

type order struct {
	ID              string          `json:"id"`
	OrderNumber     string          `json:"order_number"`
	Status          string          `json:"status"`
	CustomerID      string          `json:"customer_id"`
	CustomerName    string          `json:"customer_name"`
	CustomerEmail   string          `json:"customer_email"`
	CustomerPhone   string          `json:"customer_phone"`
	CustomerInfo    json.RawMessage `json:"customer_info"` // an object, but see Server.InfoArrays
	Currency        string          `json:"currency_iso"`
	Subtotal        money           `json:"subtotal"`
	Discount        money           `json:"order_discount"`
	Total           money           `json:"total"`
	Payment         payment         `json:"order_payment"`
	Delivery        delivery        `json:"order_delivery"`
	DeliveryAddress address         `json:"delivery_address"`
	DeliveryData    deliveryData    `json:"delivery_data"`
	Items           []item          `json:"subtotal_items"`
	Promotions      []promotion     `json:"promotion_items"`
	AffiliateData   affiliate       `json:"affiliate_data"`
	Remarks         string          `json:"order_remarks"`
	CreatedBy       string          `json:"created_by"`
	Tags            []string        `json:"tags"`
	ConfirmedAt     *stamp          `json:"confirmed_at"`
	CreatedAt       *stamp          `json:"created_at"`
	UpdatedAt       *stamp          `json:"updated_at"`
}

type payment struct {
	MethodID string       `json:"payment_method_id"`
	Type     string       `json:"payment_type"`
	Name     translations `json:"name_translations"`
	Status   string       `json:"status"`
	Total    money        `json:"total"`
	PaidAt   *stamp       `json:"paid_at"`
}

type delivery struct {
	ID          string       `json:"id"`
	OptionID    string       `json:"delivery_option_id"`
	Status      string       `json:"delivery_status"`
	Name        translations `json:"name_translations"`
	Total       translations `json:"total"` // the schema's slip
	ShippedAt   *stamp       `json:"shipped_at"`
	ArrivedAt   *stamp       `json:"arrived_at"`
	CollectedAt *stamp       `json:"collected_at"`
	ReturnedAt  *stamp       `json:"returned_at"`
	UpdatedAt   *stamp       `json:"updated_at"`
}

type deliveryData struct {
	TrackingNumber string `json:"tracking_number"`
	LocationName   string `json:"location_name"`
}

type item struct {
	ID       string              `json:"id"`
	Type     string              `json:"item_type"`
	ItemID   string              `json:"item_id"`
	SKU      string              `json:"sku"`
	Quantity int                 `json:"quantity"`
	Price    money               `json:"item_price"`
	Total    money               `json:"total"`
	Title    translations        `json:"title_translations"`
	Fields   map[string][]string `json:"fields_translations"`
	Children json.RawMessage     `json:"child_products"` // an object or an array
}

type promotion struct {
	ID string `json:"promotion_id"`
}

type affiliate struct {
	Source string `json:"affiliate_source"`
}

func (o *order) promotions() []string {
	ids := make([]string, 0, len(o.Promotions))
	for _, p := range o.Promotions {
		ids = append(ids, p.ID)
	}
	return ids
}

func (o *order) items() []string {
	ids := make([]string, 0, len(o.Items))
	for _, i := range o.Items {
		ids = append(ids, i.ItemID)
	}
	return ids
}

func (o order) index() index {
	i := index{id: o.ID, total: o.Total.Cents}
	for n, t := range []*stamp{
		created: o.CreatedAt, updated: o.UpdatedAt, shipped: o.Delivery.ShippedAt, arrived: o.Delivery.ArrivedAt,
		collected: o.Delivery.CollectedAt, returned: o.Delivery.ReturnedAt, cancelled: nil, paid: o.Payment.PaidAt,
	} {
		i.times[n] = t.milliseconds()
	}
	if o.Status == "cancelled" { // the schema has no field for its time
		i.times[cancelled] = o.UpdatedAt.milliseconds()
	}
	return i
}

// A product is one of the shop's goods, priced in dollars of Taiwan.
type product struct {
	zh, en, sku, color string
	price              int64
}

var products = []product{
	{"高山烏龍茶禮盒", "Oolong Tea Gift Box", "TEA-01", "紅", 1280},
	{"手工鳳梨酥(10入)", "Pineapple Cakes (10)", "CAKE-10", "原味", 420},
	{"純棉短袖上衣", "Cotton T-shirt", "TS-03", "白", 590},
	{"保濕精華液 30ml", "Moisturizing Serum 30 ml", "SR-30", "無香", 880},
	{"職人咖啡豆 <中焙> & 濾紙組", "Coffee Beans <medium> & Filters", "COF-07", "中焙", 650},
}

func productID(n int) string { return objectID(sandbox.Epoch, kindPart, 100+n) }

// order invents the n-th order as the shop's knobs want it.
func (s *Records) order(n int) order {
	o := newOrder(s.seed, n)
	if s.set.InfoArrays && o.Status == "cancelled" {
		o.CustomerInfo = json.RawMessage(`[]`)
	}
	return o
}

// customerInfo is what a customer told of itself at the checkout.
func customerInfo(p sandbox.Person) json.RawMessage {
	gender := "male"
	if p.Female {
		gender = "female"
	}
	return sandbox.Record(map[string]any{"gender": gender, "birthday": p.Birthday, "custom_data": []any{}})
}

func newOrder(seed uint64, n int) order {
	p, customerID := person(seed, n)
	made := p.CreatedAt.Add(26 * time.Hour)
	o := pendingOrder(p, customerID, n, made)
	o.progress(n, made)
	return o
}

// pendingOrder invents an order that nobody has touched since it was made.
func pendingOrder(p sandbox.Person, customerID string, n int, made time.Time) order {
	goods, quantity := products[n%len(products)], 1+n%3
	unit := goods.price
	if p.Country == "HK" {
		unit = goods.price*25 + 10 // about four to one, in cents, never even
	}
	price, total := amount(p.Country, unit), amount(p.Country, unit*int64(quantity))
	return order{
		ID: objectID(made, kindOrder, n), OrderNumber: fmt.Sprintf("%s%09d", made.Format("20060102"), n), Status: "pending",
		CustomerID: customerID, CustomerName: p.Name(), CustomerEmail: p.Email, CustomerPhone: p.Phone,
		CustomerInfo: customerInfo(p), Currency: price.Currency, Subtotal: total, Discount: amount(p.Country, 0), Total: total,
		Payment: payment{
			MethodID: objectID(sandbox.Epoch, kindPart, 10), Type: "custom", Name: translations{"zh-hant": "銀行轉帳", "en": "Bank transfer"},
			Status: "pending", Total: total,
		},
		Delivery: delivery{
			ID: objectID(made, kindPart, n), OptionID: objectID(sandbox.Epoch, kindPart, 20+n%2), Status: "pending",
			Name: translations{"zh-hant": "宅配", "en": "Home delivery"}, Total: translations{"zh-hant": ""}, UpdatedAt: at(made),
		},
		DeliveryAddress: addressOf(p),
		Items: []item{{
			ID: objectID(made, kindPart+1, n), Type: "Product", ItemID: productID(n % len(products)), SKU: goods.sku, Quantity: quantity,
			Price: price, Total: total, Title: translations{"zh-hant": goods.zh, "en": goods.en},
			Fields: map[string][]string{"zh-hant": {goods.color}}, Children: json.RawMessage(`[]`),
		}},
		Promotions: []promotion{}, CreatedBy: "shop", Tags: []string{}, CreatedAt: at(made), UpdatedAt: at(made),
	}
}

// progress spreads the orders over the stages of an order's life, and gives
// some the odd shapes that the schema allows.
func (o *order) progress(n int, made time.Time) {
	step := func(hours int) *stamp { return at(made.Add(time.Duration(hours) * time.Hour)) }
	stage := n % 6
	if stage == 5 {
		o.Status, o.UpdatedAt = "cancelled", step(2)
		return
	}
	if stage >= 1 {
		o.Status, o.ConfirmedAt, o.UpdatedAt = "confirmed", step(1), step(1)
		o.Payment.Status, o.Payment.PaidAt = "completed", step(1)
	}
	if stage >= 2 {
		o.Delivery.Status, o.Delivery.ShippedAt, o.Delivery.UpdatedAt = "shipped", step(24), step(24)
		o.DeliveryData.TrackingNumber = fmt.Sprintf("SF0000%06d", n)
		o.Promotions = []promotion{{ID: objectID(sandbox.Epoch, kindPart, 30)}}
		o.AffiliateData.Source = "newsletter"
	}
	if stage >= 3 {
		o.Delivery.Status, o.Delivery.ArrivedAt, o.Delivery.UpdatedAt = "arrived", step(48), step(48)
		o.Items[0].Children = json.RawMessage(`{"sku":"SET-1"}`)
	}
	if stage == 4 {
		o.Status, o.UpdatedAt = "completed", step(72)
		o.Delivery.Status, o.Delivery.CollectedAt, o.Delivery.UpdatedAt = "collected", step(60), step(60)
	}
	if n%60 == 4 {
		o.Delivery.Status, o.Delivery.ReturnedAt, o.Delivery.UpdatedAt = "returned", step(96), step(96)
	}
}
