package assisttencho

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"

	"hikyaku/pkg/jsonscan"
	"hikyaku/pkg/providers"
	"hikyaku/pkg/providers/internal/call"
)

const (
	ordersPath = "/api/v1/orders.php"
	orderID    = "serial_order_id"
)

// An Order is one order as the provider sent it. Decode Raw into a type of
// your own; only the name of the id is documented.
type Order struct {
	SerialOrderID providers.Text  // the number that GetOrder takes
	Raw           json.RawMessage // the record's own bytes
}

// UnmarshalJSON keeps the order's bytes.
func (o *Order) UnmarshalJSON(b []byte) error {
	var known struct {
		ID providers.Text `json:"serial_order_id"`
	}
	if err := json.Unmarshal(b, &known); err != nil {
		return err
	}
	o.SerialOrderID, o.Raw = known.ID, append(json.RawMessage(nil), b...)
	return nil
}

// An OrdersQuery asks for one page of the order list. Which of Page and Offset
// is sent depends on the quirk paging.style; with "none" both must point to the
// start.
type OrdersQuery struct {
	Page       int        // counts from 1; 0 is 1
	Offset     int        // orders before the page
	Limit      int        // orders in the page, at most the quirk paging.size; 0: that size
	Parameters url.Values // search parameters; they win over the quirk list_parameters
}

// ReadOrders reads one page of the order list. The list ends at an empty one;
// without paging the one page is all of it, for which StreamOrders takes less
// memory.
func (c *Client) ReadOrders(ctx context.Context, query OrdersQuery) (jsonscan.List, error) {
	list, err := c.call.List(ctx, "orders.list", query.list)
	return list, explain(err)
}

// StreamOrders reads the whole order list of a shop that does not page it, in
// pieces: through a temporary file, in the memory of a page. Close the stream.
// The answer is validated whole before the first piece.
func (c *Client) StreamOrders(ctx context.Context, query OrdersQuery) (*jsonscan.Stream, error) {
	stream, err := c.call.Stream(ctx, "orders.list", query.list)
	return stream, explain(err)
}

// list is the request for one page.
func (query OrdersQuery) list(t providers.Token) (call.ListRequest, error) {
	q, err := ParseQuirks(t.Quirks)
	if err != nil {
		return call.ListRequest{}, err
	}
	values, err := query.values(q)
	return call.ListRequest{
		Request: call.Request{Path: ordersPath, Query: values}, Shapes: []jsonscan.Shape{q.Shape()}, Limit: query.size(q),
	}, err
}

// Orders yields every order that the query finds, from its Page and Offset on.
// Without paging that is the one answer's orders.
func (c *Client) Orders(ctx context.Context, query OrdersQuery) iter.Seq2[Order, error] {
	return func(yield func(Order, error) bool) {
		orders := c.pagedOrders(ctx, query)
		token, err := c.source.Token(ctx)
		if err == nil {
			var q Quirks
			if q, err = ParseQuirks(token.Quirks); err == nil && q.Paging.Style == PagingNone {
				orders = c.streamedOrders(ctx, query)
			}
		}
		if err != nil {
			yield(Order{}, fmt.Errorf("assisttencho orders.list: %w", err))
			return
		}
		orders(yield)
	}
}

func (c *Client) pagedOrders(ctx context.Context, query OrdersQuery) iter.Seq2[Order, error] {
	return call.Pages(ctx, func(ctx context.Context, at call.Position) ([]Order, error) {
		next := query
		next.Page, next.Offset = max(query.Page, 1)+at.Index, query.Offset+at.Offset
		list, err := c.ReadOrders(ctx, next)
		if err != nil {
			return nil, err
		}
		return decodeList(list)
	}, func(o Order) string { return string(o.SerialOrderID) })
}

func (c *Client) streamedOrders(ctx context.Context, query OrdersQuery) iter.Seq2[Order, error] {
	return func(yield func(Order, error) bool) {
		stream, err := c.StreamOrders(ctx, query)
		if err != nil {
			yield(Order{}, err)
			return
		}
		defer func() { _ = stream.Close() }()
		for {
			var orders []Order
			list, err := stream.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err == nil {
				orders, err = decodeList(list)
			}
			if err != nil {
				yield(Order{}, err)
				return
			}
			for _, o := range orders {
				if !yield(o, nil) {
					return
				}
			}
		}
	}
}

func decodeList(list jsonscan.List) ([]Order, error) {
	return call.Records(providers.AssistTencho, "orders.list", list, call.Unmarshal[Order])
}

// GetOrder returns the order with a number, or ErrNotFound.
func (c *Client) GetOrder(ctx context.Context, serialOrderID string) (Order, error) {
	const op = "orders.get"
	if serialOrderID == "" {
		return Order{}, refuse(op, providers.ErrInvalid, emptyOrderID)
	}
	answer, quirks, err := c.do(ctx, op, func(Quirks) (call.Request, error) { return oneOrder(http.MethodGet, serialOrderID), nil })
	if err != nil {
		return Order{}, err
	}
	orders, err := decodeOrders(op, answer, quirks)
	if err != nil {
		return Order{}, err
	}
	for _, o := range orders {
		if string(o.SerialOrderID) == serialOrderID {
			return o, nil
		}
	}
	if len(orders) == 0 {
		return Order{}, &providers.Error{Provider: providers.AssistTencho, Op: op, Status: answer.Status, Kind: providers.ErrNotFound}
	}
	return Order{}, call.Malformed(providers.AssistTencho, op, answer, otherOrders)
}

// CreateOrder creates an order from order, which must encode as a JSON object,
// and returns the order in the answer: the zero Order if there is none, since
// the answer is not documented. After ErrTemporary the order may exist; the
// call is not repeated.
func (c *Client) CreateOrder(ctx context.Context, order any) (Order, error) {
	return c.write(ctx, "orders.create", call.Request{Method: http.MethodPost}, order)
}

// UpdateOrder changes the order with a number. Whether fields that are left
// out keep their values is not documented.
func (c *Client) UpdateOrder(ctx context.Context, serialOrderID string, order any) (Order, error) {
	if serialOrderID == "" {
		return Order{}, refuse("orders.update", providers.ErrInvalid, emptyOrderID)
	}
	return c.write(ctx, "orders.update", oneOrder(http.MethodPut, serialOrderID), order)
}

// DeleteOrder deletes the order with a number.
func (c *Client) DeleteOrder(ctx context.Context, serialOrderID string) error {
	const op = "orders.delete"
	if serialOrderID == "" { // a DELETE of the bare address might mean every order
		return refuse(op, providers.ErrInvalid, emptyOrderID)
	}
	_, _, err := c.do(ctx, op, func(Quirks) (call.Request, error) { return oneOrder(http.MethodDelete, serialOrderID), nil })
	return err
}

func (c *Client) write(ctx context.Context, op string, r call.Request, order any) (Order, error) {
	var err error
	if r.Body, err = asciiJSON(order); err != nil {
		return Order{}, err
	}
	answer, quirks, err := c.do(ctx, op, func(Quirks) (call.Request, error) { return r, nil })
	if err != nil || len(answer.Body) == 0 {
		return Order{}, err
	}
	if !json.Valid(answer.Body) {
		return Order{}, call.Malformed(providers.AssistTencho, op, answer, notJSON)
	}
	if orders, err := decodeOrders(op, answer, quirks); err == nil && len(orders) > 0 {
		return orders[0], nil
	}
	return Order{}, nil // the order is written all the same
}

// values returns the query's parameters as the quirks name them.
func (query OrdersQuery) values(q Quirks) (url.Values, error) {
	values := url.Values{}
	for name, value := range q.ListParameters {
		values.Set(name, value)
	}
	maps.Copy(values, query.Parameters)
	size := query.size(q)
	if query.Page < 0 || query.Offset < 0 || size < 0 || size > q.Paging.Size {
		return nil, fmt.Errorf("%w: page, offset or limit is out of range; a page holds at most %d orders", providers.ErrInvalid, q.Paging.Size)
	}
	switch q.Paging.Style {
	case PagingPage:
		values.Set(q.Paging.PageParameter, strconv.Itoa(*q.Paging.FirstPage+max(query.Page, 1)-1))
		values.Set(q.Paging.SizeParameter, strconv.Itoa(size))
	case PagingOffset:
		values.Set(q.Paging.OffsetParameter, strconv.Itoa(query.Offset))
		values.Set(q.Paging.SizeParameter, strconv.Itoa(size))
	default:
		if query.Page > 1 || query.Offset > 0 {
			return nil, fmt.Errorf("%w: the quirk paging.style is none, so there is one page", providers.ErrInvalid)
		}
	}
	return values, nil
}

// size is how many orders are asked for.
func (query OrdersQuery) size(q Quirks) int { return cmp.Or(query.Limit, q.Paging.Size) }

func oneOrder(method, serialOrderID string) call.Request {
	return call.Request{Method: method, Query: url.Values{orderID: {serialOrderID}}}
}

// do sends what build makes of the token's quirks to the orders' address.
func (c *Client) do(ctx context.Context, op string, build func(Quirks) (call.Request, error)) (answer call.Response, q Quirks, err error) {
	answer, err = c.call.Do(ctx, op, func(t providers.Token) (call.Request, error) {
		var r call.Request
		if q, err = ParseQuirks(t.Quirks); err == nil {
			r, err = build(q)
		}
		r.Path = ordersPath
		return r, err
	})
	return answer, q, err
}
