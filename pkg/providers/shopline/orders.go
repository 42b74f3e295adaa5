package shopline

import (
	"context"
	"encoding/json"
	"iter"
	"net/url"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
)

// An Order is a shop's order. Any field may be missing; it is then zero.
//
// UpdatedAt does not move when only the delivery changes: look at
// Delivery.UpdatedAt as well.
type Order struct {
	ID              providers.Text             `json:"id"`
	OrderNumber     providers.Text             `json:"order_number"`
	Status          providers.Text             `json:"status"` // temp, pending, removed, confirmed, completed, cancelled
	CustomerID      providers.Text             `json:"customer_id"`
	CustomerName    providers.Text             `json:"customer_name"`
	CustomerEmail   providers.Text             `json:"customer_email"`
	CustomerPhone   providers.Text             `json:"customer_phone"`
	CustomerInfo    OneOrMany[json.RawMessage] `json:"customer_info"` // of no documented shape
	Currency        providers.Text             `json:"currency_iso"`
	Subtotal        Money                      `json:"subtotal"`
	Discount        Money                      `json:"order_discount"`
	UserCredit      Money                      `json:"user_credit"`
	Total           Money                      `json:"total"`
	Payment         Payment                    `json:"order_payment"`
	Delivery        Delivery                   `json:"order_delivery"`
	DeliveryAddress Address                    `json:"delivery_address"`
	DeliveryData    DeliveryData               `json:"delivery_data"`
	Items           OneOrMany[Item]            `json:"subtotal_items"`
	Remarks         providers.Text             `json:"order_remarks"`
	Tags            []providers.Text           `json:"tags"`
	CustomData      OneOrMany[CustomField]     `json:"custom_data"`
	CreatedBy       providers.Text             `json:"created_by"` // openapi, admin, shop, shop_crm, pos, sc, mc, import
	CreatedAt       Time                       `json:"created_at"`
	UpdatedAt       Time                       `json:"updated_at"`
	ConfirmedAt     Time                       `json:"confirmed_at"`
	CompletedAt     Time                       `json:"completed_at"`
}

// A Payment is how an order is paid.
type Payment struct {
	MethodID  providers.Text `json:"payment_method_id"`
	Type      providers.Text `json:"payment_type"`
	Name      Translations   `json:"name_translations"`
	Status    providers.Text `json:"status"` // pending, failed, expired, completed, refunding, refunded, partially_refunded
	Fee       Money          `json:"payment_fee"`
	Total     Money          `json:"total"`
	PaidAt    Time           `json:"paid_at"`
	UpdatedAt Time           `json:"updated_at"`
}

// A Delivery is how and how far an order is delivered.
type Delivery struct {
	ID          providers.Text `json:"id"`
	OptionID    providers.Text `json:"delivery_option_id"`
	Platform    providers.Text `json:"platform"`
	Status      providers.Text `json:"delivery_status"` // pending, shipping, shipped, arrived, collected, returned, returning
	Name        Translations   `json:"name_translations"`
	Total       Money          `json:"total"`
	ShippedAt   Time           `json:"shipped_at"`
	ArrivedAt   Time           `json:"arrived_at"`
	CollectedAt Time           `json:"collected_at"`
	ReturnedAt  Time           `json:"returned_at"`
	UpdatedAt   Time           `json:"updated_at"`
}

// DeliveryData are the carrier's particulars.
type DeliveryData struct {
	LocationCode   providers.Text `json:"location_code"`
	LocationName   providers.Text `json:"location_name"`
	StoreAddress   providers.Text `json:"store_address"`
	TrackingNumber providers.Text `json:"tracking_number"`
	URL            providers.Text `json:"url"`
}

// An Item is a line of an order.
type Item struct {
	ID            providers.Text                       `json:"id"`
	Type          providers.Text                       `json:"item_type"` // Product, AddonProduct, Gift, CustomProduct, ProductSet
	ItemID        providers.Text                       `json:"item_id"`
	SKU           providers.Text                       `json:"sku"`
	Quantity      providers.Number                     `json:"quantity"`
	Price         Money                                `json:"item_price"`
	Total         Money                                `json:"total"`
	Title         Translations                         `json:"title_translations"`
	Variation     map[string]OneOrMany[providers.Text] `json:"fields_translations"` // by locale
	IsPreorder    providers.Flag                       `json:"is_preorder"`
	ChildProducts OneOrMany[json.RawMessage]           `json:"child_products"`
}

// An OrdersQuery chooses orders. The zero value means all that are not
// archived.
type OrdersQuery struct {
	Paging
	Created       Between
	Updated       Between // misses changes of the delivery; see OrdersSearch
	OrderIDs      []string
	CustomerID    string
	OnlineOnly    bool     // no orders of other channels, such as the shop's till
	IncludeFields []string // "affiliate_campaign" is the only one documented
}

func (q OrdersQuery) values(quirks Quirks) (url.Values, error) {
	v := url.Values{"sort_by": {q.direction()}}
	q.Created.write(v, "created")
	q.Updated.write(v, "updated")
	texts(v, map[string]string{"customer_id": q.CustomerID})
	lists(v, map[string][]string{"order_ids[]": q.OrderIDs, "include_fields[]": q.IncludeFields})
	if q.OnlineOnly {
		v.Set("default_visible_channels", "true")
	}
	return v, q.write(v, quirks)
}

// Orders yields the orders that q chooses, from q's page to the last. The
// first error ends it.
func (c *Client) Orders(ctx context.Context, q OrdersQuery) iter.Seq2[Order, error] {
	fetch := func(ctx context.Context, p Paging) (jsonscan.List, error) {
		q.Paging = p
		return c.ReadOrders(ctx, q)
	}
	return pages(ctx, "orders.list", q.Paging, fetch, orderID)
}

// ReadOrders reads the one page that q names. The list ends at an empty one.
func (c *Client) ReadOrders(ctx context.Context, q OrdersQuery) (jsonscan.List, error) {
	return c.read(ctx, "orders.list", "/orders", q.Paging, q.values)
}

// Order returns one order; ErrNotFound if there is none, ErrGone if it is
// archived or if id is no order id, such as an order number.
func (c *Client) Order(ctx context.Context, id string) (Order, error) {
	var v Order
	err := c.single(ctx, "orders.get", "/orders/", id, &v)
	return v, err
}

// ReadOrder is Order in the provider's own bytes.
func (c *Client) ReadOrder(ctx context.Context, id string) (json.RawMessage, error) {
	var v json.RawMessage
	err := c.single(ctx, "orders.get", "/orders/", id, &v)
	return v, err
}

func orderID(v Order) providers.Text { return v.ID }
