package shopline

import (
	"context"
	"fmt"
	"iter"
	"net/url"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
)

// searchWindow is how many rows a search by page number is said to reach.
const searchWindow = 10_000

// An OrdersSearch chooses orders by what OrdersQuery cannot ask for: above all
// by the times at which a delivery changed. Conditions are joined by "and";
// the zero value means all.
type OrdersSearch struct {
	Paging
	Created   Between
	Updated   Between
	Shipped   Between
	Arrived   Between
	Collected Between
	Returned  Between
	Cancelled Between
	Paid      Between

	Query            string // free text, looked for in SearchFields
	SearchFields     string
	OrderNumber      string
	CustomerID       string
	CustomerEmail    string
	Name             string // the customer's
	PhoneNumber      string
	TrackingNumber   string
	PromotionID      string
	ItemID           string
	Status           string
	Statuses         []string
	PaymentID        string
	PaymentStatus    string
	DeliveryOptionID string
	DeliveryStatus   string
	DeliveryStatuses []string
	AffiliateSource  string
	CreatedBy        string
	IncludeFields    []string
}

func (q OrdersSearch) values(quirks Quirks) (url.Values, error) {
	if (q.Page-1)*q.size(quirks) >= searchWindow {
		return nil, fmt.Errorf("%w: page %d lies beyond the %d rows that a search by page reaches; search by previous id or a shorter time",
			providers.ErrInvalid, q.Page, searchWindow)
	}
	v := url.Values{"sort_by": {"created_at"}, "order_by": {q.direction()}}
	for name, between := range map[string]Between{
		"created": q.Created, "updated": q.Updated, "shipped": q.Shipped, "arrived": q.Arrived,
		"collected": q.Collected, "returned": q.Returned, "cancelled": q.Cancelled, "paid": q.Paid,
	} {
		between.write(v, name)
	}
	texts(v, map[string]string{
		"query": q.Query, "search_fields": q.SearchFields, "order_number": q.OrderNumber,
		"customer_id": q.CustomerID, "customer_email": q.CustomerEmail, "name": q.Name, "phone_number": q.PhoneNumber,
		"delivery_data_tracking_number": q.TrackingNumber, "promotion_id": q.PromotionID, "item_id": q.ItemID,
		"status": q.Status, "payment_id": q.PaymentID, "payment_status": q.PaymentStatus,
		"delivery_option_id": q.DeliveryOptionID, "delivery_status": q.DeliveryStatus,
		"affiliate_data[affiliate_source]": q.AffiliateSource, "created_by": q.CreatedBy,
	})
	lists(v, map[string][]string{
		"statuses[]": q.Statuses, "delivery_statuses[]": q.DeliveryStatuses, "include_fields[]": q.IncludeFields,
	})
	return v, q.write(v, quirks)
}

// SearchOrders yields the orders that q finds, in order of creation, from q's
// page to the last. The first error ends it.
func (c *Client) SearchOrders(ctx context.Context, q OrdersSearch) iter.Seq2[Order, error] {
	fetch := func(ctx context.Context, p Paging) (jsonscan.List, error) {
		q.Paging = p
		return c.ReadOrdersSearch(ctx, q)
	}
	return pages(ctx, "orders.search", q.Paging, fetch, orderID)
}

// ReadOrdersSearch reads the one page that q names. The list ends at an empty
// one. A page by number beyond row 10,000 is an ErrInvalid, without a call.
func (c *Client) ReadOrdersSearch(ctx context.Context, q OrdersSearch) (jsonscan.List, error) {
	return c.read(ctx, "orders.search", "/orders/search", q.Paging, q.values)
}
