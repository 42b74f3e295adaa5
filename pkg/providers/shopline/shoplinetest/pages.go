package shoplinetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hikyaku/pkg/providers/sandbox"
)

// pages are those of the shop's staff.
type pages struct{ server *Server }

// ByHand returns the staff's pages of customers and orders.
func (s *Server) ByHand() sandbox.Editor { return pages{s} }

const (
	customersKind = "customers"
	ordersKind    = "orders"
)

// A form is how a field is written as JSON.
type form int

const (
	asText form = iota
	asNumber
	asFlag
	shown // it cannot be written
)

// A pageField is a field of a page: name is the path to its value.
type pageField struct {
	name    string
	form    form
	choices []string
}

var flags = []string{"true", "false"}

// The paths that do more than set a value.
const (
	deliveryStatus = "order_delivery.delivery_status"
	paymentStatus  = "order_payment.status"
)

var (
	customerFields = []pageField{
		{"id", shown, nil}, {"name", asText, nil}, {"email", asText, nil}, {"gender", asText, []string{"male", "female", "other"}}, {"birthday", asText, nil},
		{"mobile_phone", asText, nil}, {"mobile_phone_country_calling_code", asText, nil}, {"memo", asText, nil}, {"locale_code", asText, nil},
		{"line_id", asText, nil}, {"ref_user_id", asText, nil}, {"is_member", asFlag, flags}, {"is_blacklisted", asFlag, flags},
		{"is_subscribed_marketing_email", asFlag, flags}, {"credit_balance", asNumber, nil}, {"member_point_balance", asNumber, nil},
		{"order_count", shown, nil}, {"orders_total_sum.label", shown, nil}, {"created_at", shown, nil}, {"updated_at", shown, nil},
	}
	orderFields = []pageField{
		{"id", shown, nil}, {"order_number", shown, nil}, {"status", asText, []string{"pending", "confirmed", "completed", "cancelled"}},
		{"customer_id", asText, nil}, {"customer_name", asText, nil}, {"customer_email", asText, nil}, {"customer_phone", asText, nil},
		{paymentStatus, asText, []string{"pending", "completed", "failed", "expired", "refunding", "refunded"}},
		{deliveryStatus, asText, []string{"pending", "shipped", "arrived", "collected", "returned"}},
		{"delivery_data.tracking_number", asText, nil}, {"order_remarks", asText, nil}, {"total.label", shown, nil},
		{"confirmed_at", shown, nil}, {"created_at", shown, nil}, {"updated_at", shown, nil},
	}
)

// Kinds are customers and orders.
func (p pages) Kinds() []sandbox.RecordKind {
	kinds := []sandbox.RecordKind{{Name: customersKind}, {Name: ordersKind}}
	for i, list := range [][]pageField{customerFields, orderFields} {
		for _, f := range list {
			kinds[i].Fields = append(kinds[i].Fields, sandbox.RecordField{Name: f.name, ReadOnly: f.form == shown, Choices: f.choices})
		}
	}
	return kinds
}

// of returns the table of a kind and its fields.
func (p pages) of(kind string) (*table, []pageField) {
	if kind == customersKind {
		return &p.server.customers, customerFields
	}
	return &p.server.orders, orderFields
}

// List returns records, the newest first. Archived orders are not among them.
func (p pages) List(kind string, q sandbox.RecordQuery) (page []sandbox.Row, total int, err error) {
	if _, err := sandbox.KindOf(p.Kinds(), kind); err != nil {
		return nil, 0, err
	}
	s := p.server.Records
	s.mu.Lock()
	defer s.mu.Unlock()
	t, fields := p.of(kind)
	list := make([]*row, 0, len(t.rows))
	for _, r := range slices.Backward(t.rows) {
		if !r.archived {
			list = append(list, r)
		}
	}
	page, total = t.texts.Page(q, len(list), func(i int) any { return list[i] }, // each change makes a new row
		func(i int) sandbox.Row { return visible(t.decode(list[i]), fields) })
	return page, total, nil
}

// visible is a record as a person sees it.
func visible(record map[string]any, fields []pageField) sandbox.Row {
	row := sandbox.Row{Fields: map[string]string{}}
	row.ID, _ = record["id"].(string)
	for _, f := range fields {
		holder, name := record, f.name
		if outer, inner, nested := strings.Cut(f.name, "."); nested {
			holder, _ = record[outer].(map[string]any)
			name = inner
		}
		switch v := holder[name].(type) {
		case nil:
		case string:
			row.Fields[f.name] = v
		case map[string]any, []any:
			row.Fields[f.name] = string(sandbox.Record(v))
		default:
			row.Fields[f.name] = fmt.Sprint(v)
		}
	}
	return row
}

var errNotFound = errors.New("no record has this id")

// Save makes or changes a customer or an order. As in the shop, a change of the delivery
// alone leaves an order's updated_at as it is.
func (p pages) Save(kind, id string, fields map[string]string) (string, error) {
	known, err := sandbox.KindOf(p.Kinds(), kind)
	if err != nil {
		return "", err
	}
	p.server.Do(func() {
		s := p.server.Records
		s.mu.Lock()
		defer s.mu.Unlock()
		id, err = p.save(known, id, fields)
	})
	return id, errors.Join(err, p.server.Journal().Commit())
}

func (p pages) save(kind sandbox.RecordKind, id string, fields map[string]string) (string, error) {
	t, known := p.of(kind.Name)
	var before sandbox.Row
	if id != "" {
		place, found := t.find(id)
		if !found || t.rows[place].archived {
			return "", errNotFound
		}
		before = visible(t.decode(t.rows[place]), known)
	}
	changed := before.Changed(fields)
	if err := kind.CheckSaved(id, changed); err != nil {
		return "", err
	}
	values, err := valuesOf(known, changed)
	if err != nil {
		return "", err
	}
	if id == "" {
		if id, err = p.insert(kind.Name); err != nil {
			return "", err
		}
	}
	return id, t.edit(id, func(record map[string]any) { p.fill(record, values) })
}

// valuesOf reads what a person wrote; nothing is null where no text can stand.
func valuesOf(known []pageField, fields map[string]string) (map[string]any, error) {
	values := map[string]any{}
	for _, f := range known {
		text, sent := fields[f.name]
		switch {
		case !sent:
		case f.form == asText:
			values[f.name] = text
		case text == "":
			values[f.name] = nil
		case f.form == asFlag:
			values[f.name] = text == "true"
		default:
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("%s is not an integer", f.name)
			}
			values[f.name] = n
		}
	}
	return values, nil
}

// insert makes a record like one that the shop's staff has just opened. It is inside the
// lock.
func (p pages) insert(kind string) (string, error) {
	s, now := p.server.Records, p.server.Now()
	if kind == customersKind {
		n := s.customers.next
		s.customers.next++
		s.keepCount()
		c := customer{
			ID: objectID(now, kindCustomer, n), Phones: []string{}, LocaleCode: "zh-hant", OrdersTotal: amount("TW", 0), IsMember: true,
			CustomData: []string{}, Addresses: []address{}, Tags: []string{}, CreatedBy: "admin", CreatedAt: at(now), UpdatedAt: at(now), RegisteredAt: at(now),
		}
		return c.ID, s.customers.put(sandbox.Record(c))
	}
	n := s.orders.next
	s.orders.next++
	s.keepCount()
	o := pendingOrder(sandbox.Person{Country: "TW"}, "", n, now)
	o.CustomerInfo, o.CreatedBy = json.RawMessage("{}"), "admin"
	return o.ID, s.orders.put(sandbox.Record(o))
}

// fill sets what a person changed, and the times that hang on it.
func (p pages) fill(record map[string]any, values map[string]any) {
	now, touched := p.server.Now(), false
	for name, value := range values {
		outer, inner, nested := strings.Cut(name, ".")
		switch {
		case name == deliveryStatus:
			status, _ := value.(string)
			deliver(record, status, now)
			continue
		case nested:
			part(record, outer)[inner] = value
		default:
			record[name] = value
		}
		touched = true
		switch {
		case name == paymentStatus && value == "completed":
			part(record, outer)["paid_at"] = at(now)
		case name == "status" && value == "confirmed":
			record["confirmed_at"] = at(now)
		}
	}
	if touched {
		record["updated_at"] = at(now)
	}
}

// Delete takes a customer or an order away.
func (p pages) Delete(kind, id string) error {
	if _, err := sandbox.KindOf(p.Kinds(), kind); err != nil {
		return err
	}
	t, _ := p.of(kind)
	found := false
	p.server.Do(func() { found = p.server.remove(t, id) })
	if !found {
		return errNotFound
	}
	return p.server.Journal().Commit()
}
