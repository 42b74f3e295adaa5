package shoplinetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"hikyaku/pkg/providers/sandbox"
)

// The times by which lists are filtered.
const (
	created = iota
	updated
	shipped
	arrived
	collected
	returned
	cancelled
	paid
	timeCount
)

// An index is what lists look at without rendering a record. Times are in
// milliseconds since 1970; 0: none.
type index struct {
	id    string
	times [timeCount]int64
	total int64
}

// A row is one record. An invented one is rendered each time it is served, so
// that a large shop needs little memory.
type row struct {
	index
	number   int             // of an invented record
	raw      json.RawMessage // of a changed or inserted one; nil: invented
	archived bool
}

// A table holds records in order of id.
type table struct {
	rows   []*row
	next   int // number of the next invented record
	render func(number int) any
	kept   *sandbox.Section
	texts  sandbox.Texts
}

func (t *table) append(number int, i index) {
	t.rows = append(t.rows, &row{index: i, number: number})
	t.next = number + 1
}

func (t *table) find(id string) (int, bool) {
	return slices.BinarySearchFunc(t.rows, id, func(r *row, id string) int { return strings.Compare(r.id, id) })
}

func (t *table) json(r *row) json.RawMessage {
	if r.raw != nil {
		return r.raw
	}
	return sandbox.Record(t.render(r.number))
}

func (t *table) all() []json.RawMessage {
	all := make([]json.RawMessage, 0, len(t.rows))
	for _, r := range t.rows {
		if !r.archived {
			all = append(all, t.json(r))
		}
	}
	return all
}

// put inserts a record or replaces the one with its id.
func (t *table) put(raw json.RawMessage) error {
	var record order // of whose fields a customer has the first few
	var slip *json.UnmarshalTypeError
	if err := json.Unmarshal(raw, &record); err != nil && !errors.As(err, &slip) {
		return fmt.Errorf("putting a record: %w", err)
	}
	if record.ID == "" {
		return errors.New("putting a record: it has no id")
	}
	r := &row{index: record.index(), raw: slices.Clone(raw)}
	if place, found := t.find(r.id); found {
		r.archived = t.rows[place].archived
	}
	t.set(r)
	t.note(r)
	return nil
}

// set puts a row in its place.
func (t *table) set(r *row) {
	place, found := t.find(r.id)
	if found {
		t.rows[place] = r
		return
	}
	t.rows = slices.Insert(t.rows, place, r)
}

// remove reports whether there was a record.
func (t *table) remove(id string) bool {
	place, found := t.find(id)
	if found {
		t.rows = slices.Delete(t.rows, place, place+1)
	}
	return found
}

// edit changes a record through its decoded form.
func (t *table) edit(id string, change func(map[string]any)) error {
	place, found := t.find(id)
	if !found {
		return fmt.Errorf("changing record %s: there is none", id)
	}
	record := t.decode(t.rows[place])
	change(record)
	return t.put(sandbox.Record(record))
}

// decode returns a record, whose numbers stay as they are written.
func (t *table) decode(r *row) map[string]any {
	dec := json.NewDecoder(bytes.NewReader(t.json(r)))
	dec.UseNumber()
	var record map[string]any
	_ = dec.Decode(&record) // an object, or it would have no id
	return record
}

type document struct {
	Customers []json.RawMessage `json:"customers"`
	Orders    []json.RawMessage `json:"orders"`
}

// Records are what the shop has. Its methods change it as the shop's people and
// customers do.
type Records struct {
	set  *Settings
	now  func() time.Time
	seed uint64

	server  *sandbox.Server // of whose troubles its lists know
	journal *sandbox.Journal
	disown  func() // notes that no record is an invented one any longer

	mu        sync.Mutex // guards the tables
	customers table
	orders    table
}

func newRecords(set *Settings, server *sandbox.Server) *Records {
	seed, count := server.Origin()
	s := &Records{set: set, now: server.Now, seed: seed, server: server, journal: server.Journal(), disown: server.Disown}
	s.customers.render = func(n int) any { return newCustomer(seed, n) }
	s.orders.render = func(n int) any { return s.order(n) }
	for n := range count {
		s.customers.append(n, customerIndex(seed, n))
		s.orders.append(n, newOrder(seed, n).index())
	}
	s.resume()
	return s
}

// Dump writes {"customers":[...],"orders":[...]}, each record as the lists
// serve it, in order of id. Archived orders are in no list, and not here.
func (s *Records) Dump(w io.Writer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return sandbox.Dump(w, document{Customers: s.customers.all(), Orders: s.orders.all()})
}

// Load replaces all records by those of a document that Dump wrote.
func (s *Records) Load(r io.Reader) error {
	var d document
	if err := json.NewDecoder(r).Decode(&d); err != nil {
		return fmt.Errorf("loading records: %w", err)
	}
	defer s.commit()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disown()
	s.keepCount()
	for _, part := range []struct {
		table   *table
		records []json.RawMessage
	}{{&s.customers, d.Customers}, {&s.orders, d.Orders}} {
		part.table.rows = nil
		part.table.kept.Clear()
		for _, raw := range part.records {
			if err := part.table.put(raw); err != nil {
				return err
			}
		}
	}
	return nil
}

// PutCustomer inserts a record, or replaces the one with its id, and serves
// its bytes as they are.
func (s *Records) PutCustomer(raw json.RawMessage) error { return s.put(&s.customers, raw) }

// PutOrder inserts a record, or replaces the one with its id, and serves its
// bytes as they are.
func (s *Records) PutOrder(raw json.RawMessage) error { return s.put(&s.orders, raw) }

func (s *Records) put(t *table, raw json.RawMessage) error {
	defer s.commit()
	s.mu.Lock()
	defer s.mu.Unlock()
	return t.put(raw)
}

// DeleteCustomer removes a customer, if there is one with this id.
func (s *Records) DeleteCustomer(id string) { s.remove(&s.customers, id) }

// DeleteOrder removes an order, if there is one with this id.
func (s *Records) DeleteOrder(id string) { s.remove(&s.orders, id) }

func (s *Records) remove(t *table, id string) (found bool) {
	defer s.commit()
	s.mu.Lock()
	defer s.mu.Unlock()
	if found = t.remove(id); found {
		t.kept.Put(id, keptRow{Gone: true})
	}
	return found
}

// UpdateCustomer sets fields of a customer, and its updated_at to now.
func (s *Records) UpdateCustomer(id string, fields map[string]any) error {
	return s.update(&s.customers, id, fields)
}

// UpdateOrder sets fields of an order, and its updated_at to now.
func (s *Records) UpdateOrder(id string, fields map[string]any) error {
	return s.update(&s.orders, id, fields)
}

func (s *Records) update(t *table, id string, fields map[string]any) error {
	defer s.commit()
	s.mu.Lock()
	defer s.mu.Unlock()
	return t.edit(id, func(record map[string]any) {
		maps.Copy(record, fields)
		record["updated_at"] = at(s.now())
	})
}

// AddOrder invents one more order, made now, and returns its id.
func (s *Records) AddOrder() string {
	defer s.commit()
	s.mu.Lock()
	defer s.mu.Unlock()
	p, customerID := person(s.seed, s.orders.next)
	o := pendingOrder(p, customerID, s.orders.next, s.now())
	s.orders.next++
	s.keepCount()
	_ = s.orders.put(sandbox.Record(o)) // it has an id
	return o.ID
}

// deliveryTimes are the fields in which a delivery's status leaves its time.
var deliveryTimes = map[string]string{
	"shipped": "shipped_at", "arrived": "arrived_at", "collected": "collected_at", "returned": "returned_at",
}

// ChangeDelivery sets the delivery status of an order to shipped, arrived,
// collected or returned, with its time. The order's updated_at stays, which
// is the trap that the documents warn of.
func (s *Records) ChangeDelivery(id, status string) error {
	if deliveryTimes[status] == "" {
		return fmt.Errorf("changing the delivery of order %s: no such status", id)
	}
	defer s.commit()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.orders.edit(id, func(record map[string]any) { deliver(record, status, s.now()) })
}

// deliver sets the delivery status of an order.
func deliver(record map[string]any, status string, now time.Time) {
	delivery := part(record, "order_delivery")
	delivery["delivery_status"], delivery["updated_at"] = status, at(now)
	if field := deliveryTimes[status]; field != "" {
		delivery[field] = at(now)
	}
}

// part returns an object within a record, and makes it if there is none.
func part(record map[string]any, name string) map[string]any {
	inner, _ := record[name].(map[string]any)
	if inner == nil {
		inner = map[string]any{}
		record[name] = inner
	}
	return inner
}

// Archive takes an order out of all lists; asked for singly it answers 410.
func (s *Records) Archive(id string) error {
	defer s.commit()
	s.mu.Lock()
	defer s.mu.Unlock()
	place, found := s.orders.find(id)
	if !found {
		return fmt.Errorf("archiving order %s: there is none", id)
	}
	s.orders.rows[place].archived = true
	s.orders.note(s.orders.rows[place])
	return nil
}

// archived returns the archived orders made in a time, both ends included.
func (s *Records) archived(start, end time.Time) []json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []json.RawMessage{}
	for _, row := range s.orders.rows {
		made := row.times[created]
		if row.archived && made >= start.UnixMilli() && made <= end.UnixMilli() {
			found = append(found, s.orders.json(row))
		}
	}
	return found
}
