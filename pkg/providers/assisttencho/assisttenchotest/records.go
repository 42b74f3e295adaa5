package assisttenchotest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// A record is one order. It is invented again whenever it is asked for, until
// somebody writes it, so that a hundred thousand take little memory.
type record struct {
	id  int
	raw json.RawMessage // nil: as invented
}

// invented is an order. Only serial_order_id is documented; the rest is what
// a Japanese shop's order commonly holds.
type invented struct {
	ID       int     `json:"serial_order_id"`
	Code     string  `json:"order_code"`
	Ordered  string  `json:"ordered_at"` // Japan's local time, without a zone
	Updated  string  `json:"updated_at"`
	Name     string  `json:"customer_name"`
	Reading  string  `json:"customer_kana"`
	Email    string  `json:"mail"`
	Phone    string  `json:"tel"`
	Address  string  `json:"address"`
	Shipping int     `json:"shipping_fee"`
	Total    int     `json:"total"` // yen, tax included
	Payment  string  `json:"payment"`
	Status   string  `json:"status"`
	Items    []item  `json:"items"`
	Memo     *string `json:"memo"`
}

type item struct {
	Code     string `json:"product_code"`
	Name     string `json:"product_name"`
	Price    int    `json:"price"`
	Quantity int    `json:"quantity"`
}

var (
	products = []item{
		{"TEA-001", "宇治抹茶 <缶入>", 1980, 1}, {"CUP-014", "有田焼 湯呑み", 3300, 2}, {"SOY-220", "醤油 & だし セット", 2480, 1},
		{"INC-007", "沈香 お線香", 880, 3}, {"TWL-032", "今治タオル", 1650, 4},
	}
	payments = []string{"クレジットカード", "代金引換", "銀行振込", "コンビニ決済"}
	statuses = []string{"新規受付", "入金待ち", "発送済み", "キャンセル"}
	japan    = time.FixedZone("JST", 9*60*60)
)

// orders are the shop's, in the order of their ids.
type orders struct {
	seed   uint64
	list   []record
	nextID int

	kept, counts *sandbox.Section
	texts        sandbox.Texts
}

func newOrders(seed uint64, n int) orders {
	t := orders{seed: seed, nextID: n + 1}
	for id := 1; id <= n; id++ {
		t.list = append(t.list, record{id: id})
	}
	return t
}

func (t *orders) invent(id int) invented {
	person := sandbox.NewPerson(t.seed, id, "JP")
	o := invented{
		ID: id, Code: fmt.Sprintf("SBX-%08d", id), Ordered: person.CreatedAt.In(japan).Format(time.DateTime),
		Updated: person.CreatedAt.Add(36 * time.Hour).In(japan).Format(time.DateTime),
		Name:    person.Name(), Reading: person.Reading, Email: person.Email, Phone: person.Phone, Address: person.Address,
		Shipping: 550, Payment: payments[id%len(payments)], Status: statuses[id/7%len(statuses)],
	}
	o.Total = o.Shipping
	for i := range 1 + id%3 {
		p := products[(id+i)%len(products)]
		o.Items = append(o.Items, p)
		o.Total += p.Price * p.Quantity
	}
	if id%5 == 0 {
		memo := "のし希望 / \"御祝\"\n" + person.Family + "様"
		o.Memo = &memo
	}
	return o
}

// served returns an order as lists serve it.
func (t *orders) served(r record) json.RawMessage {
	if r.raw != nil {
		return r.raw
	}
	return sandbox.Record(t.invent(r.id))
}

// find returns the place of the order with an id.
func (t *orders) find(id string) (at int, found bool) {
	n, err := strconv.Atoi(id)
	if err != nil {
		return 0, false
	}
	return slices.BinarySearchFunc(t.list, n, func(r record, n int) int { return r.id - n })
}

func (t *orders) insert(fields map[string]any) json.RawMessage {
	order := map[string]any{}
	maps.Copy(order, fields)
	order["serial_order_id"] = t.nextID
	raw := sandbox.Record(order)
	t.list = append(t.list, record{t.nextID, raw})
	t.note(t.list[len(t.list)-1])
	t.nextID++
	t.counts.Put(nextID, t.nextID)
	return raw
}

func (t *orders) change(at int, fields map[string]any) json.RawMessage {
	order := map[string]any{}
	dec := json.NewDecoder(bytes.NewReader(t.served(t.list[at])))
	dec.UseNumber()
	_ = dec.Decode(&order) // the sandbox's own bytes
	for name, value := range fields {
		if name != "serial_order_id" {
			order[name] = value
		}
	}
	t.list[at].raw = sandbox.Record(order)
	t.note(t.list[at])
	return t.list[at].raw
}

func (t *orders) remove(at int) {
	t.kept.Put(keptKey(t.list[at].id), keptOrder{Gone: true})
	t.list = slices.Delete(t.list, at, at+1)
}

// Insert adds an order by hand and returns its number.
func (s *Server) Insert(fields map[string]any) (id int) {
	s.Do(func() {
		id = s.orders.nextID
		s.orders.insert(fields)
	})
	return id
}

// Update changes fields of an order by hand. It reports whether the order
// exists.
func (s *Server) Update(id int, fields map[string]any) (found bool) {
	s.Do(func() {
		var at int
		if at, found = s.orders.find(strconv.Itoa(id)); found {
			s.orders.change(at, fields)
		}
	})
	return found
}

// Delete removes an order by hand. It reports whether the order existed.
func (s *Server) Delete(id int) (found bool) {
	s.Do(func() {
		var at int
		if at, found = s.orders.find(strconv.Itoa(id)); found {
			s.orders.remove(at)
		}
	})
	return found
}

// records is the form of Dump and Load.
type records struct {
	Orders []json.RawMessage `json:"orders"`
}

// Dump writes every order as the lists serve it.
func (s *Server) Dump(w io.Writer) error {
	all := records{Orders: []json.RawMessage{}}
	s.Do(func() {
		for _, r := range s.orders.list {
			all.Orders = append(all.Orders, s.orders.served(r))
		}
	})
	return sandbox.Dump(w, all)
}

// Load replaces the orders by what Dump has written. Every order needs its
// own serial_order_id, a number.
func (s *Server) Load(r io.Reader) error {
	var all records
	if err := json.NewDecoder(r).Decode(&all); err != nil {
		return fmt.Errorf("loading orders: %w", err)
	}
	loaded := orders{nextID: 1}
	for i, raw := range all.Orders {
		var known struct {
			ID int `json:"serial_order_id"`
		}
		if err := json.Unmarshal(raw, &known); err != nil || known.ID < 1 {
			return fmt.Errorf("loading orders: number %d has no serial_order_id", i+1)
		}
		var line bytes.Buffer
		_ = json.Compact(&line, raw) // it has just been read as JSON
		loaded.list = append(loaded.list, record{known.ID, line.Bytes()})
	}
	slices.SortFunc(loaded.list, func(a, b record) int { return a.id - b.id })
	for i := 1; i < len(loaded.list); i++ {
		if loaded.list[i].id == loaded.list[i-1].id {
			return fmt.Errorf("loading orders: serial_order_id %d stands twice", loaded.list[i].id)
		}
	}
	if n := len(loaded.list); n > 0 {
		loaded.nextID = loaded.list[n-1].id + 1
	}
	s.Do(func() {
		loaded.seed, loaded.kept, loaded.counts = s.orders.seed, s.orders.kept, s.orders.counts
		s.orders = loaded
		s.Disown()
		s.orders.keepAll()
	})
	return nil
}
