package assisttenchotest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// pages are those of the shop's administrator.
type pages struct{ server *Server }

// ByHand returns the administrator's page of orders.
func (s *Server) ByHand() sandbox.Editor { return pages{s} }

const (
	ordersKind = "orders"
	serialID   = "serial_order_id"
	updatedAt  = "updated_at"
	orderedAt  = "ordered_at"
)

// A form is how a field of an order is written as JSON.
type form int

const (
	asText form = iota
	asNumber
	asJSON
	shown // it cannot be written
)

// orderFields are those of invented orders; the documents name but the first.
var orderFields = []struct {
	name, label string
	form        form
}{
	{serialID, "受注番号", shown}, {"order_code", "受注コード", asText}, {"status", "ステータス", asText}, {"customer_name", "氏名", asText},
	{"customer_kana", "フリガナ", asText}, {"mail", "メールアドレス", asText}, {"tel", "電話番号", asText}, {"address", "住所", asText},
	{"payment", "支払方法", asText}, {"shipping_fee", "送料", asNumber}, {"total", "合計", asNumber}, {"items", "商品", asJSON}, {"memo", "備考", asText},
	{orderedAt, "受注日時", asText}, {updatedAt, "更新日時", shown},
}

// Kinds are the orders.
func (p pages) Kinds() []sandbox.RecordKind {
	fields := make([]sandbox.RecordField, 0, len(orderFields))
	for _, f := range orderFields {
		fields = append(fields, sandbox.RecordField{Name: f.name, Label: f.label, ReadOnly: f.form == shown})
	}
	return []sandbox.RecordKind{{Name: ordersKind, Fields: fields}}
}

// List returns orders, the newest first.
func (p pages) List(kind string, q sandbox.RecordQuery) (page []sandbox.Row, total int, err error) {
	if _, err := sandbox.KindOf(p.Kinds(), kind); err != nil {
		return nil, 0, err
	}
	p.server.Do(func() {
		list := p.server.orders.list
		page, total = p.server.orders.texts.Page(q, len(list), func(i int) any { return list[len(list)-1-i].key() },
			func(i int) sandbox.Row { return p.server.orders.row(list[len(list)-1-i]) })
	})
	return page, total, nil
}

// An orderKey tells an order from what it was before: each change makes new bytes.
type orderKey struct {
	id  int
	raw *byte
}

func (r record) key() orderKey {
	if r.raw == nil {
		return orderKey{id: r.id}
	}
	return orderKey{r.id, &r.raw[0]}
}

// row is an order as a person sees it.
func (t *orders) row(r record) sandbox.Row {
	var order map[string]json.RawMessage
	_ = json.Unmarshal(t.served(r), &order) // the sandbox's own bytes
	return sandbox.Row{ID: strconv.Itoa(r.id), Fields: sandbox.PlainValues(order)}
}

var errNotFound = errors.New("not_found")

// Save makes or changes an order. The shop's page notes when that was.
func (p pages) Save(kind, id string, fields map[string]string) (string, error) {
	known, err := sandbox.KindOf(p.Kinds(), kind)
	if err != nil {
		return "", err
	}
	p.server.Do(func() { id, err = p.save(known, id, fields) })
	return id, errors.Join(err, p.server.Journal().Commit())
}

func (p pages) save(kind sandbox.RecordKind, id string, fields map[string]string) (string, error) {
	t := &p.server.orders
	at, found := t.find(id)
	var before sandbox.Row
	if id != "" {
		if !found {
			return "", errNotFound
		}
		before = t.row(t.list[at])
	}
	changed := before.Changed(fields)
	if err := kind.CheckSaved(id, changed); err != nil {
		return "", err
	}
	values, err := valuesOf(changed)
	if err != nil {
		return "", err
	}
	now := p.server.Now().In(japan).Format(time.DateTime)
	values[updatedAt] = now
	if id != "" {
		t.change(at, values)
		return id, nil
	}
	if _, sent := values[orderedAt]; !sent {
		values[orderedAt] = now
	}
	id = strconv.Itoa(t.nextID)
	t.insert(values)
	return id, nil
}

// valuesOf reads what a person wrote; nothing is null where no text can stand.
func valuesOf(fields map[string]string) (map[string]any, error) {
	values := map[string]any{}
	for _, f := range orderFields {
		text, sent := fields[f.name]
		switch {
		case !sent:
		case f.form == asText:
			values[f.name] = text
		case text == "":
			values[f.name] = nil
		case f.form == asNumber && !isNumber(text):
			return nil, fmt.Errorf("%s is not a number", f.name)
		case !json.Valid([]byte(text)):
			return nil, fmt.Errorf("%s is not valid JSON", f.name)
		default:
			values[f.name] = json.RawMessage(text)
		}
	}
	return values, nil
}

func isNumber(text string) bool {
	var n float64
	return json.Unmarshal([]byte(text), &n) == nil
}

// Delete takes an order away.
func (p pages) Delete(kind, id string) error {
	if _, err := sandbox.KindOf(p.Kinds(), kind); err != nil {
		return err
	}
	number, _ := strconv.Atoi(id)
	if !p.server.Delete(number) {
		return errNotFound
	}
	return p.server.Journal().Commit()
}
