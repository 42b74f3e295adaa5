package shopline

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"
	"slices"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
)

// A Customer is a shop's customer. Any field may be missing; it is then zero.
//
// SHOPLINE hides Phone and Phones once the mobile number is confirmed. Of a
// legacy Birthday the unknown parts are those of 1904-01-01.
type Customer struct {
	ID                 providers.Text            `json:"id"`
	Name               providers.Text            `json:"name"`
	Email              providers.Text            `json:"email"`
	RefUserID          providers.Text            `json:"ref_user_id"` // the shop's own id of this person
	Phone              providers.Text            `json:"phone"`
	Phones             []providers.Text          `json:"phones"`
	MobilePhone        providers.Text            `json:"mobile_phone"`
	MobileCallingCode  providers.Text            `json:"mobile_phone_country_calling_code"`
	MobileVerified     providers.Flag            `json:"mobile_phone_verified"`
	Gender             providers.Text            `json:"gender"` // male, female, other
	Birthday           providers.Text            `json:"birthday"`
	BirthYear          providers.Number          `json:"birth_year"`
	BirthMonth         providers.Number          `json:"birth_month"`
	BirthDay           providers.Number          `json:"birth_day"`
	LocaleCode         providers.Text            `json:"locale_code"`
	Memo               providers.Text            `json:"memo"`
	IsMember           providers.Flag            `json:"is_member"`
	IsBlacklisted      providers.Flag            `json:"is_blacklisted"`
	AcceptsMarketing   providers.Flag            `json:"is_subscribed_marketing_email"`
	Tags               []providers.Text          `json:"tags"`
	OrderCount         providers.Number          `json:"order_count"`
	OrdersTotal        Money                     `json:"orders_total_sum"`
	CreditBalance      providers.Number          `json:"credit_balance"`
	MemberPointBalance providers.Number          `json:"member_point_balance"`
	MembershipTier     OneOrMany[MembershipTier] `json:"membership_tier"`
	DeliveryAddresses  OneOrMany[Address]        `json:"delivery_addresses"`
	CustomData         OneOrMany[CustomField]    `json:"custom_data"`
	CreatedBy          providers.Text            `json:"created_by"` // shop, admin, openapi, shop_crm, pos
	CreatedAt          Time                      `json:"created_at"`
	UpdatedAt          Time                      `json:"updated_at"`
	RegisteredAt       Time                      `json:"registered_at"`
}

// A MembershipTier is the level that a customer has reached.
type MembershipTier struct {
	ID     providers.Text   `json:"id"`
	Level  providers.Number `json:"level"`
	Name   Translations     `json:"name_translations"`
	Status providers.Text   `json:"status"`
}

// A CustomersQuery chooses customers. The zero value means all.
type CustomersQuery struct {
	Paging
	Created Between
	Updated Between
	// IncludeFields adds attributes to the records; "metafields" is the
	// only one documented.
	IncludeFields []string
	// Fields cuts the records down to these attributes; it must name the id
	// and those of IncludeFields too.
	Fields []string
}

func (q CustomersQuery) values(quirks Quirks) (url.Values, error) {
	if len(q.Fields) > 0 && !slices.Contains(q.Fields, "id") {
		return nil, fmt.Errorf("%w: fields must name the id, by which the list is read", providers.ErrInvalid)
	}
	v := url.Values{"sort_by": {q.direction()}}
	q.Created.write(v, "created")
	q.Updated.write(v, "updated")
	lists(v, map[string][]string{"include_fields[]": q.IncludeFields, "fields[]": q.Fields})
	return v, q.write(v, quirks)
}

// Customers yields the customers that q chooses, from q's page to the last.
// The first error ends it.
func (c *Client) Customers(ctx context.Context, q CustomersQuery) iter.Seq2[Customer, error] {
	fetch := func(ctx context.Context, p Paging) (jsonscan.List, error) {
		q.Paging = p
		return c.ReadCustomers(ctx, q)
	}
	return pages(ctx, "customers.list", q.Paging, fetch, func(v Customer) providers.Text { return v.ID })
}

// ReadCustomers reads the one page that q names. The list ends at an empty one.
func (c *Client) ReadCustomers(ctx context.Context, q CustomersQuery) (jsonscan.List, error) {
	return c.read(ctx, "customers.list", "/customers", q.Paging, q.values)
}

// Customer returns one customer; ErrNotFound if there is none.
func (c *Client) Customer(ctx context.Context, id string) (Customer, error) {
	var v Customer
	err := c.single(ctx, "customers.get", "/customers/", id, &v)
	return v, err
}

// ReadCustomer is Customer in the provider's own bytes.
func (c *Client) ReadCustomer(ctx context.Context, id string) (json.RawMessage, error) {
	var v json.RawMessage
	err := c.single(ctx, "customers.get", "/customers/", id, &v)
	return v, err
}
